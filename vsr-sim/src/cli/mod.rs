//! The command line: one subcommand a file. Data goes to stdout, talk to stderr.

mod check;
mod interrupt;
mod keeper;
mod replay;
mod run;
mod scenario;
mod seeds;
mod shrink;
mod sweep;

use std::fmt;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::campaign::artefacts;
use crate::engine::random::{NoSeed, Seed};
use crate::report::text;
use crate::scenario::draw::{Overrides, Profile};
use crate::scenario::panics;

/// Clusters of Viewstamped Replication under faults, from one seed, and a verdict.
#[derive(Debug, Parser)]
#[command(name = "vsr-sim", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One seed or one scenario file (the default command).
    Run(run::RunArgs),
    /// Many seeds, on all cores.
    Sweep(sweep::SweepArgs),
    /// A failure, a scenario or a recording once more.
    Replay(replay::ReplayArgs),
    /// A failing scenario to its shortest story.
    Shrink(shrink::ShrinkArgs),
    /// Scenario files: list, show, validate, schema.
    Scenario(scenario::ScenarioArgs),
    /// A recorded history from anywhere: is it linearizable?
    Check(check::CheckArgs),
}

/// What flags put in the place of what the seed draws.
#[derive(Clone, Copy, Debug, Default, Args)]
struct OverrideArgs {
    /// How many replicas, 1 to 7, instead of as many as the seed says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=7))]
    replicas: Option<u8>,
    /// How many clients, 1 to 100.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    clients: Option<u8>,
    /// How many operations they ask for, together, before the faults stop: 1 to 10000000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    requests: Option<u32>,
    /// What may go wrong.
    #[arg(long, value_name = "WHAT", default_value = "swarm")]
    profile: ProfileName,
}

impl OverrideArgs {
    const fn overrides(self) -> Overrides {
        let profile = match self.profile {
            ProfileName::Swarm => Profile::Swarm,
            ProfileName::Calm => Profile::Calm,
            ProfileName::HarshDisk => Profile::HarshDisk,
            ProfileName::HarshDiskBeyond => Profile::HarshDiskBeyond,
        };
        let Self { replicas, clients, requests, .. } = self;
        Overrides { replicas, clients, requests, profile }
    }

    /// The flags that differ from the default, as they are typed, each after a space.
    fn flags(self) -> String {
        let flag = |name: &str, value: Option<u32>| {
            value.map_or_else(String::new, |value| format!(" --{name} {value}"))
        };
        flag("replicas", self.replicas.map(u32::from))
            + &flag("clients", self.clients.map(u32::from))
            + &flag("requests", self.requests)
            + &self.profile.flag()
    }
}

/// What may go wrong in runs that are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    /// All sorts of things, other ones in each run.
    #[default]
    Swarm,
    /// Nothing.
    Calm,
    /// All that, and disks that spoil, lie and fail, within what a cluster must bear.
    HarshDisk,
    /// All that, beyond what a cluster can bear: it may halt, and must not answer wrongly.
    HarshDiskBeyond,
}

impl ProfileName {
    /// The flag, after a space, unless it is the default.
    fn flag(self) -> String {
        let name = match self {
            Self::Swarm => return String::new(),
            Self::Calm => "calm",
            Self::HarshDisk => "harsh-disk",
            Self::HarshDiskBeyond => "harsh-disk-beyond",
        };
        format!(" --profile {name}")
    }
}

/// For whom the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Reads a seed: a decimal number, or a hexadecimal one after 0x.
fn parse_seed(text: &str) -> Result<u64, String> {
    let seed: Seed = text.parse().map_err(|error: NoSeed| error.to_string())?;
    Ok(seed.number())
}

/// Why a command did not come to a verdict.
#[derive(Debug)]
enum CliError {
    /// The user asked for what makes no sense: exit code 2.
    Usage(String),
    /// Something else went wrong: exit code 1.
    Internal(String),
}

impl fmt::Display for CliError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Internal(message) => write!(formatter, "error: {message}"),
        }
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Runs the command that the process was started with; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    panics::install();
    let work = || match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Shrink(args) => shrink::run(&args),
        Command::Scenario(args) => scenario::run(&args),
        Command::Check(args) => check::run(&args),
    };
    // A panic that is not the code under test's is a bug in here, and has spoken for itself.
    let done = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(CliError::Internal("the simulator itself panicked".to_owned())));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // There is nobody left to tell if this fails.
            writeln!(io::stderr(), "{error}").ok();
            ExitCode::from(match error {
                CliError::Usage(_) => USAGE,
                CliError::Internal(_) => 1,
            })
        }
    }
}

/// Nanoseconds of wall time since some moment before: the only clock of the program. No run depends on it, only how many of a sweep's
/// there are, where a time is set for that.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "how long a command took is told to people, and decides nothing of any run"
)]
fn stopwatch() -> impl Fn() -> u64 + Sync {
    let begin = std::time::Instant::now();
    move || u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The exit code of what makes no sense.
const USAGE: u8 = 2;

/// The exit code where one scenario gave two runs.
const NONDETERMINISM: u8 = 14;

/// The date and the time of day, as a part of a file's name. Nothing that runs depends on it.
fn date() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ").to_string()
}

/// What the process was started with, in words.
fn command_line() -> String {
    let words = std::env::args_os().skip(1);
    words.fold("vsr-sim".to_owned(), |line, word| line + " " + &text::argument(word.as_ref()))
}

/// Writes text to stdout. A reader that has gone away is no error.
fn print(text: &str) -> Result<(), CliError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// The scenario that is meant by the path of a file, of a failure's folder, or by `latest`.
fn resolve(path: &Path) -> Result<PathBuf, CliError> {
    artefacts::resolve(path).ok_or_else(|| {
        CliError::Usage(format!("{}: no scenario, nor a folder with one", text::path(path)))
    })
}

/// Writes one record to stdout.
fn print_record(record: &impl serde::Serialize) -> Result<(), CliError> {
    let mut text =
        serde_json::to_string(record).map_err(|error| CliError::Internal(error.to_string()))?;
    text.push('\n');
    print(&text)
}

/// Says something to stderr.
fn say(text: &str) {
    // Talk is cheap: if nobody can hear it, the result still counts.
    writeln!(io::stderr(), "{text}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seeds_are_numbers() {
        assert_eq!(parse_seed("42"), Ok(42));
        assert_eq!(parse_seed("0x2a"), Ok(42));
        assert_eq!(parse_seed("18446744073709551615"), Ok(u64::MAX));
        assert!(
            ["", "x", "-1", "1.5", "0x", "18446744073709551616"]
                .iter()
                .all(|text| parse_seed(text).is_err())
        );
    }
}
