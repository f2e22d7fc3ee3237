//! What the environment of a test says: the only place of the library that asks it.

use std::env;
use std::path::{Path, PathBuf};
use std::thread;

use crate::engine::random::{NoSeed, Seed};

/// The variables that are honoured.
pub(super) const SEED: &str = "VSR_SIM_SEED";
pub(super) const SCENARIO: &str = "VSR_SIM_SCENARIO";
pub(super) const TRACE: &str = "VSR_SIM_TRACE";

/// What is wanted of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    /// What to run instead of the sweep.
    pub(super) only: Option<Only>,
    /// Whether to tell the run as it happens.
    pub(super) is_traced: bool,
    /// The command that runs this test.
    pub(super) command: String,
    /// Where everything goes that is written.
    pub(super) out: PathBuf,
}

/// What to run instead of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Only {
    /// This seed.
    Seed(Seed),
    /// The scenario in this file.
    Scenario(PathBuf),
}

impl Environment {
    /// What this process was told.
    ///
    /// # Errors
    ///
    /// What of it makes no sense.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no command line of its own: how to come back to a failure is told by variables, and only here"
    )]
    pub(super) fn of_process() -> Result<Self, String> {
        let thread = thread::current();
        let executable = env::current_exe().ok();
        Self::read(
            &|name| env::var(name).ok().filter(|value| !value.is_empty()),
            thread.name(),
            executable.as_deref(),
        )
    }

    /// As [`Self::of_process`], of these variables, in the thread of this name, of this executable.
    pub(super) fn read(
        variable: &dyn Fn(&str) -> Option<String>,
        thread: Option<&str>,
        executable: Option<&Path>,
    ) -> Result<Self, String> {
        let only = match (variable(SEED), variable(SCENARIO)) {
            (Some(_), Some(_)) => return Err(format!("{SEED} and {SCENARIO}: one of them")),
            (Some(text), None) => {
                let seed: Result<Seed, NoSeed> = text.parse();
                Some(Only::Seed(seed.map_err(|error| format!("{SEED}={text}: {error}"))?))
            }
            (None, Some(path)) => Some(Only::Scenario(path.into())),
            (None, None) => None,
        };
        let is_traced = match variable(TRACE).as_deref() {
            None => false,
            Some("grid") => true,
            Some(other) => return Err(format!("{TRACE}={other}: there is only `grid`")),
        };
        let mut command = "cargo test".to_owned();
        // Cargo says whose test it is, and the test's thread which one; where tests have one thread, that is called `main`.
        let package = variable("CARGO_PKG_NAME").map(|name| format!("-p {name}"));
        let test = thread.filter(|name| *name != "main").map(str::to_owned);
        for word in package.into_iter().chain(test) {
            command.push(' ');
            command.push_str(&word);
        }
        let target = executable.and_then(target_of).unwrap_or_else(|| PathBuf::from("target"));
        Ok(Self { only, is_traced, command, out: target.join("vsr-sim") })
    }

    /// The command that runs this test with `variable` set to `value`.
    pub(super) fn command_with(&self, variables: &[(&str, &str)]) -> String {
        let set = |(name, value): &(&str, &str)| {
            let is_plain =
                |letter: char| letter.is_ascii_alphanumeric() || "/._-+=:@".contains(letter);
            if value.chars().all(is_plain) {
                format!("{name}={value} ")
            } else {
                format!("{name}='{}' ", value.replace('\'', r"'\''"))
            }
        };
        variables.iter().map(set).collect::<String>() + &self.command
    }
}

/// The target folder of the build that an executable such as `target/debug/deps/bank-1f2e` belongs to.
fn target_of(executable: &Path) -> Option<PathBuf> {
    let mut above = executable.ancestors();
    above.find(|folder| folder.file_name().is_some_and(|name| name == "deps"))?;
    above.nth(1).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], thread: &str) -> Result<Environment, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let executable = Path::new("/home/me/bank/target/debug/deps/bank-1f2e");
        Environment::read(&variable, Some(thread), Some(executable))
    }

    #[test]
    fn a_test_is_told_by_variables_what_to_run() {
        let plain = read(&[("CARGO_PKG_NAME", "bank")], "tests::it_survives").unwrap();
        assert_eq!((&plain.only, plain.is_traced), (&None, false));
        assert_eq!(plain.out, Path::new("/home/me/bank/target/vsr-sim"));
        assert_eq!(
            plain.command_with(&[(SEED, "0x2a")]),
            "VSR_SIM_SEED=0x2a cargo test -p bank tests::it_survives"
        );
        assert_eq!(
            plain.command_with(&[(TRACE, "grid"), (SCENARIO, "/my files/it's.json")]),
            r"VSR_SIM_TRACE=grid VSR_SIM_SCENARIO='/my files/it'\''s.json' cargo test -p bank tests::it_survives"
        );
        let seed = read(&[(SEED, "0x2a"), (TRACE, "grid")], "main").unwrap();
        assert_eq!((seed.only, seed.is_traced), (Some(Only::Seed(Seed::new(42))), true));
        assert_eq!(seed.command, "cargo test");
        let scenario = read(&[(SCENARIO, "a.json")], "main").unwrap();
        assert_eq!(scenario.only, Some(Only::Scenario("a.json".into())));
    }

    #[test]
    fn variables_that_make_no_sense_are_refused_by_name() {
        let refused = |variables: &[(&str, &str)]| read(variables, "main").unwrap_err();
        assert_eq!(
            refused(&[(SEED, "many")]),
            "VSR_SIM_SEED=many: a seed is a number such as 42 or 0x2a, below 2^64"
        );
        assert_eq!(refused(&[(TRACE, "all")]), "VSR_SIM_TRACE=all: there is only `grid`");
        assert!(refused(&[(SEED, "1"), (SCENARIO, "a.json")]).ends_with("one of them"));
        // Were a typing error taken for nothing said, the whole sweep would pass instead of the one seed that fails.
    }
}
