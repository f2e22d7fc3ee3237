//! Sweeping with a build that has a bug in it, and asking the clean build about what was found.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::Build;

/// How many seeds one call of the command sweeps: the budget is looked at in between.
const CHUNK: u64 = 500;

/// How many seeds a bug that was not found is looked for by its traces.
const PROBE_SEEDS: u64 = 50;

/// A search for one planted bug.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The command without the bug: what fails with it is nobody's plant.
    pub clean: Build,
    /// The command with the bug.
    pub planted: Build,
    /// Where failing runs leave their artefacts.
    pub out: PathBuf,
    /// What may go wrong in the runs that are drawn, by the command's name for it.
    pub profile: String,
    /// After so many nanoseconds of sweeping a range is given up.
    pub budget_ns: u64,
}

/// What sweeping one range came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// How many seeds were run, the failing one included.
    pub seeds: u64,
    /// How long they took on one core, in nanoseconds.
    pub wall_ns: u64,
    /// How many came to no verdict.
    pub unknown: u64,
    /// Seeds that fail without the bug too, and so count for nothing.
    pub failing_anyway: Vec<u64>,
    /// What was found, if anything.
    pub found: Option<Found>,
}

/// The first seed of a range that fails with the bug, and passes without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which one.
    pub seed: u64,
    /// What was violated.
    pub property: String,
    /// Where or how, in one number.
    pub signature: String,
}

/// Whether a bug that was not found makes any difference at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// How many seeds were run with both builds.
    pub seeds: u64,
    /// How many of those went another way with the bug than without: none means that its line never mattered.
    pub differing: u64,
}

/// Why a sweep has no result.
#[derive(Debug)]
pub enum SweepError {
    /// The command cannot be run.
    Io(PathBuf, io::Error),
    /// It did not print the record that it should have.
    Output {
        /// What was run.
        command: String,
        /// What it said to stderr.
        said: String,
    },
}

impl fmt::Display for SweepError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(formatter, "{}: {error}", path.display()),
            Self::Output { command, said } => {
                write!(formatter, "{command} printed no result: {said}")
            }
        }
    }
}

impl std::error::Error for SweepError {}

impl Hunt {
    /// Runs the seeds one after the other until one fails that passes without the bug.
    ///
    /// # Errors
    ///
    /// See [`SweepError`].
    pub fn sweep(&self, seeds: Range<u64>) -> Result<Sweep, SweepError> {
        let mut sweep = Sweep::default();
        let mut next = seeds.start;
        while next < seeds.end && sweep.wall_ns < self.budget_ns {
            let end = seeds.end.min(next.saturating_add(CHUNK));
            let range = format!("{next}..{end}");
            let arguments = ["sweep", "--seeds", &range, "--jobs", "1", "--max-failures", "1"];
            // How soon seeds find the bug is what is measured: not whether kept scenarios do.
            let arguments =
                [&arguments[..], &["--no-regressions", "--profile", &self.profile]].concat();
            let result = self.record(&self.planted, &arguments)?;
            sweep.seeds += number(&result, "seeds");
            sweep.wall_ns += number(&result, "wall_ns");
            sweep.unknown += number(&result, "unknown");
            let Some(failure) = result["failures"].get(0) else {
                next = end;
                continue;
            };
            let seed = number(failure, "seed");
            next = seed + 1;
            if self.run(&self.clean, seed)?["verdict"] == "pass" {
                sweep.found = Some(Found {
                    seed,
                    property: text(failure, "property"),
                    signature: text(failure, "signature"),
                });
                break;
            }
            sweep.failing_anyway.push(seed);
        }
        Ok(sweep)
    }

    /// Whether the bug changes anything, in the first seeds of `seeds`.
    ///
    /// # Errors
    ///
    /// See [`SweepError`].
    pub fn probe(&self, seeds: Range<u64>) -> Result<Probe, SweepError> {
        let mut probe = Probe::default();
        for seed in seeds.take(usize::try_from(PROBE_SEEDS).expect("a small number")) {
            let (planted, clean) = (self.run(&self.planted, seed)?, self.run(&self.clean, seed)?);
            probe.seeds += 1;
            probe.differing += u64::from(planted["trace_hash"] != clean["trace_hash"]);
        }
        Ok(probe)
    }

    pub(super) fn run(&self, build: &Build, seed: u64) -> Result<Value, SweepError> {
        let seed = seed.to_string();
        self.record(build, &["run", "--seed", &seed, "--profile", &self.profile])
    }

    /// Runs a command that keeps failures, and reads the last record that it prints.
    pub(super) fn record(&self, build: &Build, arguments: &[&str]) -> Result<Value, SweepError> {
        let out = self.out.display().to_string();
        let mut arguments = arguments.to_vec();
        arguments.extend(["--out", &out]);
        self.record_of(build, &arguments)
    }

    /// Runs a command, and reads the last record that it prints.
    pub(super) fn record_of(&self, build: &Build, arguments: &[&str]) -> Result<Value, SweepError> {
        let mut command = Command::new(&build.command);
        command.args(arguments).args(["--format", "json"]);
        let output = command.output();
        let output = output.map_err(|error| SweepError::Io(build.command.clone(), error))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let last = printed.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
        last.filter(|record| record["kind"] == arguments[0]).ok_or_else(|| SweepError::Output {
            command: format!("{} {}", name_of(&build.command), arguments.join(" ")),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

impl fmt::Display for Sweep {
    /// As it stands in the table: seeds until detection, and seconds of one core.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.wall_ns / 100_000_000;
        let seconds = format_args!("{}.{} s", tenths / 10, tenths % 10).to_string();
        match &self.found {
            Some(_) => write!(formatter, "{}, {seconds}", self.seeds)?,
            None => write!(formatter, "not in {}, {seconds}", self.seeds)?,
        }
        if self.unknown > 0 {
            write!(formatter, ", {} unknown", self.unknown)?;
        }
        if !self.failing_anyway.is_empty() {
            write!(formatter, ", {} fail without it too", self.failing_anyway.len())?;
        }
        Ok(())
    }
}

pub(super) fn number(record: &Value, field: &str) -> u64 {
    record[field].as_u64().unwrap_or_default()
}

pub(super) fn text(record: &Value, field: &str) -> String {
    record[field].as_str().unwrap_or_default().to_owned()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_the_table_says_what_was_found_and_what_it_cost() {
        let mut sweep = Sweep { seeds: 23, wall_ns: 1_260_000_000, unknown: 2, ..Sweep::default() };
        assert_eq!(sweep.to_string(), "not in 23, 1.2 s, 2 unknown");
        sweep.unknown = 0;
        sweep.found =
            Some(Found { seed: 22, property: "agreement".into(), signature: String::new() });
        assert_eq!(sweep.to_string(), "23, 1.2 s");
        sweep.failing_anyway.push(7);
        assert_eq!(sweep.to_string(), "23, 1.2 s, 1 fail without it too");
        // A bug that was not found must never look like one that was.
    }
}
