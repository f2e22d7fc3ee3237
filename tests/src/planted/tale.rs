//! What becomes of a bug that was found: its failure comes back by the printed command, is shrunk, and tells right from wrong.

use std::fmt;
use std::path::Path;
use std::process::Command;

use super::hunt::{Found, Hunt, SweepError, number, text};
use super::workshop::Build;

/// What the failure of a planted bug came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tale {
    /// How many seeds of the range were run until one went another way than without the bug, that one included. None if
    /// none of the first ones did.
    pub differs_after: Option<u64>,
    /// Whether the command that the failure printed brought it back, with the same signature.
    pub is_reproduced: bool,
    /// What is left of it.
    pub size: Size,
    /// How long shrinking took, in nanoseconds.
    pub wall_ns: u64,
    /// Whether the shrunk file tells the right replica from the wrong one.
    pub proof: Proof,
}

/// How the shrunk file comes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Whether it passes without the bug.
    pub passes_without: bool,
    /// Whether it fails with the bug, with the same signature.
    pub fails_with: bool,
}

/// How long a shrunk story is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Faults that happen in it.
    pub faults: u64,
    /// What clients ask for in it.
    pub requests: u64,
    /// Replicas.
    pub replicas: u64,
    /// Events of the world.
    pub events: u64,
}

impl Tale {
    /// Whether all of it is as it should be, but for its length.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.is_reproduced && self.proof.passes_without && self.proof.fails_with
    }
}

/// With how many seeds it is looked when a bug first makes a difference.
const DIFFERENCE_SEEDS: u64 = 50;

impl Hunt {
    /// What becomes of `found` in a range that begins with the seed `first`, where shrinking may take as long as `budget` says.
    ///
    /// # Errors
    ///
    /// See [`SweepError`].
    pub fn tale(&self, first: u64, found: &Found, budget: &str) -> Result<Tale, SweepError> {
        let file = self.out.join(format!("seed-{}-shrunk.json", found.seed));
        let drawn = self.out.join(format!("seed-{}-drawn.json", found.seed));
        let (file, drawn) = (file.display().to_string(), drawn.display().to_string());
        let seed = found.seed.to_string();
        let drawing =
            ["run", "--seed", &seed, "--profile", &self.profile, "--write-scenario", &drawn];
        let printed = self.told(&self.planted, &drawing)?;
        let is_reproduced = self.is_reproduced(&printed, found)?;
        let shrink = ["shrink", &drawn, "--budget", budget, "--to", &file];
        let shrunk = self.record_of(&self.planted, &shrink)?;
        let right = self.record(&self.clean, &["run", "--scenario", &file])?;
        let wrong = self.record(&self.planted, &["run", "--scenario", &file])?;
        Ok(Tale {
            differs_after: self.differs_after(first, found.seed)?,
            is_reproduced,
            size: Size {
                faults: number(&shrunk, "faults"),
                requests: number(&shrunk, "requests"),
                replicas: number(&shrunk, "replicas"),
                events: number(&shrunk, "events"),
            },
            wall_ns: number(&shrunk, "wall_ns"),
            proof: Proof {
                passes_without: right["verdict"] == "pass",
                fails_with: text(&wrong, "signature") == found.signature,
            },
        })
    }

    /// Whether the command that a failure prints to reproduce it does.
    fn is_reproduced(&self, printed: &str, found: &Found) -> Result<bool, SweepError> {
        let Some(arguments) = printed_command(printed, "reproduce") else { return Ok(false) };
        let mut record = self.record_of(&self.planted, &arguments)?;
        Ok(record["signature"].take() == found.signature.as_str())
    }

    /// How many seeds from `first` on it takes until the bug makes a difference: the one at which it was found surely does.
    fn differs_after(&self, first: u64, last: u64) -> Result<Option<u64>, SweepError> {
        for seed in (first..=last).take(usize::try_from(DIFFERENCE_SEEDS).unwrap_or(usize::MAX)) {
            let (planted, clean) = (self.run(&self.planted, seed)?, self.run(&self.clean, seed)?);
            if planted["trace_hash"] != clean["trace_hash"] {
                return Ok(Some(seed - first + 1));
            }
        }
        Ok(None)
    }

    /// What the command prints for people.
    fn told(&self, build: &Build, arguments: &[&str]) -> Result<String, SweepError> {
        let mut command = Command::new(&build.command);
        command.args(arguments).arg("--out").arg(&self.out);
        let output = command.output();
        let output = output.map_err(|error| SweepError::Io(build.command.clone(), error))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The arguments of the command that stands after `label` in the text of a failure.
fn printed_command<'a>(printed: &'a str, label: &str) -> Option<Vec<&'a str>> {
    let line = printed.lines().find_map(|line| line.trim_start().strip_prefix(label))?;
    let mut words = line.split_whitespace();
    let program = Path::new(words.next()?);
    if program.ends_with("cargo") {
        words.find(|word| *word == "--")?;
    }
    Some(words.collect())
}

impl fmt::Display for Tale {
    /// As it stands in the table.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { faults, requests, replicas, events } = self.size;
        let tenths = self.wall_ns / 100_000_000;
        let told = |is_so: bool, yes: &'static str, no: &'static str| if is_so { yes } else { no };
        match self.differs_after {
            Some(seeds) => write!(formatter, "{seeds} | ")?,
            None => write!(formatter, "over {DIFFERENCE_SEEDS} | ")?,
        }
        write!(
            formatter,
            "{} | {faults} | {requests} | {replicas} | {events} | {}.{} s | {}, {}",
            told(self.is_reproduced, "yes", "NO"),
            tenths / 10,
            tenths % 10,
            told(self.proof.passes_without, "passes", "FAILS"),
            told(self.proof.fails_with, "fails", "PASSES"),
        )
    }
}

/// What stands above the columns of a [`Tale`].
pub const TALE_COLUMNS: &str = "differs after | reproduced | faults | requests | replicas | events | shrunk in | right core, planted core";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_command_is_taken_with_all_its_arguments() {
        let printed = "FAIL  seed 7\n\n  by seed     cargo run -p x -- run --seed 7\n  reproduce   cargo run --release -p vsr-sim -- run --scenario a.json\n";
        assert_eq!(printed_command(printed, "reproduce").unwrap(), ["run", "--scenario", "a.json"]);
        let direct = "  reproduce   vsr-sim replay target/vsr-sim/latest";
        assert_eq!(
            printed_command(direct, "reproduce").unwrap(),
            ["replay", "target/vsr-sim/latest"]
        );
        assert_eq!(printed_command(direct, "by seed"), None);
    }

    #[test]
    fn what_is_not_as_it_should_be_is_written_large() {
        let mut tale = Tale { wall_ns: 1_260_000_000, ..Tale::default() };
        assert_eq!(tale.to_string(), "over 50 | NO | 0 | 0 | 0 | 0 | 1.2 s | FAILS, PASSES");
        assert!(!tale.is_good());
        tale.is_reproduced = true;
        tale.proof = Proof { passes_without: true, fails_with: true };
        tale.size = Size { faults: 2, requests: 1, replicas: 3, events: 84 };
        tale.differs_after = Some(4);
        assert_eq!(tale.to_string(), "4 | yes | 2 | 1 | 3 | 84 | 1.2 s | passes, fails");
        assert!(tale.is_good());
        assert_eq!(TALE_COLUMNS.split(" | ").count(), tale.to_string().split(" | ").count());
    }
}
