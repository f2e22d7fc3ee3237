//! `vsr-sim run`: one seed or one scenario file, and its verdict.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{CliError, Format, NONDETERMINISM, OverrideArgs};
use super::{command_line, date, parse_seed, print, print_record, say, stopwatch};
use crate::campaign::artefacts::{self, Folder, KeptFailure};
use crate::cluster::service::AnyService;
use crate::engine::random::Seed;
use crate::report::grid::{Detail, Grid};
use crate::report::json::{EventRecord, RunRecord, exit_code_of_run};
use crate::report::story::Story;
use crate::report::text::{self, Aftermath, Kept};
use crate::report::transcript::Transcript;
use crate::scenario::Scenario;
use crate::scenario::file::{self, FileError};
use crate::scenario::listener::Listener;
use crate::scenario::outcome::Outcome;
use crate::scenario::run::Runner;

/// What to run, and how to tell about it.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The seed that everything follows from: a number such as 42 or 0x2a.
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    seed: Option<u64>,
    /// A scenario to run instead of one that is drawn.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "replicas", "clients", "requests", "profile"])]
    scenario: Option<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// Write down the run as it happens, a column a replica.
    #[arg(long, value_name = "HOW")]
    trace: Option<TraceDetail>,
    /// After so many events the run is given up as unknown.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    events_max: Option<u64>,
    /// Write the whole scenario to a file before running it.
    #[arg(long, value_name = "FILE")]
    write_scenario: Option<PathBuf>,
    /// For whom the output is.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Where to keep what a failing run leaves behind; in a new folder below target/vsr-sim, if left out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// How much a trace tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TraceDetail {
    /// What nodes do.
    Grid,
    /// That, and every packet and write.
    Full,
    /// What the steps of a scenario did, and what came of it.
    Story,
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        let is_usage = match &error {
            FileError::Invalid { .. } => true,
            FileError::Io { error, .. } => {
                let not_there = [io::ErrorKind::NotFound, io::ErrorKind::InvalidData];
                not_there.contains(&error.kind())
            }
        };
        let words = error.to_string();
        if is_usage { Self::Usage(words) } else { Self::Internal(words) }
    }
}

/// Runs the command; answers its exit code.
pub(super) fn run(args: &RunArgs) -> Result<u8, CliError> {
    let scenario = match (&args.scenario, args.seed) {
        (Some(path), _) => file::read(path)?,
        (None, Some(seed)) => Scenario::draw(Seed::new(seed), &args.overrides.overrides()),
        (None, None) => {
            let words = "nothing to run: give a seed (--seed 42) or a scenario (--scenario FILE)";
            return Err(CliError::Usage(words.to_owned()));
        }
    };
    if let Some(path) = &args.write_scenario {
        file::write(path, &scenario)?;
    }
    let clock = stopwatch();
    let outcome = match args.trace {
        None => limited::<()>(args.events_max).run(&scenario),
        Some(detail) => run_traced(&scenario, detail, args.events_max),
    };
    let wall_ns = clock();
    let kept = keep(args, &scenario, &outcome)?;
    let path = kept.as_ref().map(|(_, kept)| text::path(&kept.scenario()));
    let record = RunRecord::of(&outcome, wall_ns, path);
    let aftermath = match kept {
        None => Aftermath { by_seed: by_seed(args), ..Aftermath::default() },
        Some((folder, kept)) => {
            folder.conclude(&record)?;
            if !kept.is_same {
                say("the same scenario gave two different runs");
                return Ok(NONDETERMINISM);
            }
            kept.aftermath
        }
    };
    match args.format {
        Format::Json => print_record(&record)?,
        Format::Human => print(&text::run(&outcome, wall_ns, &aftermath))?,
    }
    Ok(exit_code_of_run(&outcome.verdict))
}

/// Keeps what a failing run leaves behind, in the folder of this command.
fn keep(
    args: &RunArgs,
    scenario: &Scenario,
    outcome: &Outcome,
) -> Result<Option<(Folder, KeptFailure)>, CliError> {
    if outcome.finding().is_none() {
        return Ok(None);
    }
    let mut folder = Folder::create(args.out.as_deref(), &date(), "run")?;
    folder.note(&EventRecord::begun(command_line()))?;
    if let Some(record) = EventRecord::of(outcome) {
        folder.note(&record)?;
    }
    let service = AnyService::default();
    let kept = artefacts::keep(folder.path(), &service, scenario, outcome, by_seed(args))?;
    Ok(Some((folder, kept)))
}

/// Memory for a run that ends, if it must, after so many events.
pub(super) fn limited<T: Listener + Default>(events_max: Option<u64>) -> Runner<T> {
    let mut runner = Runner::default();
    if let Some(most) = events_max {
        runner.limit_events(most);
    }
    runner
}

fn run_traced(scenario: &Scenario, detail: TraceDetail, events_max: Option<u64>) -> Outcome {
    let Some(grid) = detail.grid(scenario.cluster.replicas) else {
        return run_told(scenario, events_max);
    };
    let (outcome, mut grid) = limited::<Grid>(events_max).run_watched(scenario, grid);
    grid.finish();
    outcome
}

fn run_told(scenario: &Scenario, events_max: Option<u64>) -> Outcome {
    let runner = &mut limited::<Transcript>(events_max);
    let (outcome, transcript) = runner.run_watched(scenario, Transcript::of(scenario));
    print_lines(&transcript);
    outcome
}

/// Writes what is told of a run to stdout.
pub(super) fn print_lines(transcript: &Transcript) {
    for line in transcript.lines() {
        // Whoever closed the other end has seen enough.
        writeln!(io::stdout(), "{line}").ok();
    }
}

impl TraceDetail {
    /// A trace of so many replicas to stdout, with a column for each; nothing, where a story is told instead.
    pub(super) fn grid(self, replicas: u8) -> Option<Grid> {
        let detail = match self {
            Self::Grid => Detail::Grid,
            Self::Full => Detail::Full,
            Self::Story => return None,
        };
        Some(Grid::new(Box::new(io::BufWriter::new(io::stdout())), detail, replicas))
    }
}

/// The command that runs the same seed again, unless the scenario came from a file.
fn by_seed(args: &RunArgs) -> Option<String> {
    args.seed.map(|seed| command_of_seed(seed, args.overrides))
}

/// The command that runs a seed, with every flag that differs from its default.
pub(super) fn command_of_seed(seed: u64, overrides: OverrideArgs) -> String {
    format!("{} run --seed {seed}{}", text::COMMAND, overrides.flags())
}

/// What led to a failure: the run once more, listened to this time.
pub(super) fn aftermath(
    scenario: &Scenario,
    outcome: &Outcome,
    by_seed: Option<String>,
    kept: Option<&Path>,
) -> Aftermath {
    let story = match outcome.finding() {
        None => Vec::new(),
        Some(finding) => {
            let story = Story::new(scenario.cluster.replicas, finding);
            Runner::<Story>::default().run_watched(scenario, story).1.lines()
        }
    };
    let kept = kept.map(text::argument);
    let kept = kept.map(|path| Kept { replay: path.clone(), scenario: path });
    Aftermath { story, by_seed, kept }
}
