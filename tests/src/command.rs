//! The `vsr-sim` command, for tests that look at it from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The command, built with the profile and into the folder of the test that asks for it.
///
/// # Panics
///
/// When it cannot be built.
#[must_use]
pub fn vsr_sim() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let me = std::env::current_exe().expect("a test knows where it is");
        let profile = me.parent().and_then(Path::parent).expect("a test lies in `deps`");
        let target = profile.parent().expect("a profile has a folder in the target folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--package", "vsr-sim", "--bin", "vsr-sim"]);
        build.arg("--target-dir").arg(target);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the command does not build");
        profile.join(format!("vsr-sim{}", std::env::consts::EXE_SUFFIX))
    })
}

/// What the command came to: its exit code, what it printed, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The exit code.
    pub code: i32,
    /// What it wrote to stdout.
    pub printed: String,
    /// What it wrote to stderr.
    pub said: String,
}

impl Done {
    /// Of a process that has ended.
    ///
    /// # Panics
    ///
    /// When a signal killed it, or it wrote no text.
    #[must_use]
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the command writes text");
        Self {
            code: output.status.code().expect("the command ends by itself"),
            printed: text(output.stdout),
            said: text(output.stderr),
        }
    }

    /// The last record that it printed.
    ///
    /// # Panics
    ///
    /// When it printed none.
    #[must_use]
    pub fn record(&self) -> serde_json::Value {
        let last = self.printed.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The arguments of the command that it printed after `label`.
    ///
    /// # Panics
    ///
    /// When it printed none.
    #[must_use]
    pub fn command(&self, label: &str) -> Vec<String> {
        let find = |line: &str| {
            let rest = line.trim_start().strip_prefix(label)?.trim_start();
            Some(rest.strip_prefix("cargo run --release -p vsr-sim -- ")?.to_owned())
        };
        let line = self.printed.lines().find_map(find);
        let line = line.unwrap_or_else(|| panic!("no command to {label}: {self:?}"));
        line.split_whitespace().map(str::to_owned).collect()
    }
}

/// Runs the command in `folder`.
///
/// # Panics
///
/// When it cannot be run.
#[must_use]
pub fn run_in<A: AsRef<std::ffi::OsStr>>(folder: &Path, arguments: &[A]) -> Done {
    let output = Command::new(vsr_sim()).current_dir(folder).args(arguments).output();
    Done::of(output.expect("the command runs"))
}
