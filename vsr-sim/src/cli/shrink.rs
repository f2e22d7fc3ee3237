//! `vsr-sim shrink`: a failing scenario to its shortest story.

use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;

use super::run::aftermath;
use super::{CliError, Format, NONDETERMINISM, print, print_record, resolve, say, stopwatch};
use crate::campaign::shrink::account::{self, ShrinkRecord};
use crate::campaign::shrink::{Budget, NotShrunk, Shrunk, shrink};
use crate::cluster::service::AnyService;
use crate::engine::time::Span;
use crate::report::json::exit_code_of_run;
use crate::report::text;
use crate::scenario::Scenario;
use crate::scenario::file;

/// The exit code where there is nothing to shrink.
const NOTHING_TO_RUN: u8 = 4;

/// What to shrink, and how long.
///
/// The exit code is that of the failure; 4 where there is none.
#[derive(Debug, Args)]
pub(super) struct ShrinkArgs {
    /// A scenario, the folder of a failure, or `latest`.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// How long it may take, such as 60s.
    #[arg(long, value_name = "SPAN", default_value = "60s")]
    budget: Span,
    /// How many scenarios may be run: with this alone, the result does not depend on the machine.
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
    /// How many threads; as many as there are cores, if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Where to write the result; to `shrunk.json` beside what was given, if left out.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Say where the time went.
    #[arg(short, long)]
    verbose: bool,
    /// For whom the output is.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// Runs the command; answers its exit code.
pub(super) fn run(args: &ShrinkArgs) -> Result<u8, CliError> {
    let path = resolve(&args.path)?;
    let scenario = file::read(&path)?;
    let clock = stopwatch();
    match shrunk(args, &scenario, &clock) {
        Ok(shrunk) => told(args, &path, &shrunk, clock()),
        Err(NotShrunk::Passes(outcome)) => {
            let why = match exit_code_of_run(&outcome.verdict) {
                0 => "it passes",
                _ => "a budget ran out before it was known whether it fails",
            };
            say(&format!("nothing to shrink in {}: {why}", text::path(&path)));
            Ok(NOTHING_TO_RUN)
        }
        Err(NotShrunk::Differs) => {
            say("the same scenario gave two different runs");
            Ok(NONDETERMINISM)
        }
    }
}

fn shrunk(
    args: &ShrinkArgs,
    scenario: &Scenario,
    clock: &(dyn Fn() -> u64 + Sync),
) -> Result<Shrunk, NotShrunk> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(cores, usize::from);
    let runs_max = args.runs.unwrap_or(u64::MAX);
    shrink(
        scenario,
        &AnyService::default(),
        jobs,
        Budget { clock, ends_ns: args.budget.as_ns(), runs_max },
    )
}

/// Writes the result and tells it.
fn told(args: &ShrinkArgs, path: &Path, shrunk: &Shrunk, wall_ns: u64) -> Result<u8, CliError> {
    let to = args.to.clone().unwrap_or_else(|| path.with_file_name("shrunk.json"));
    file::write(&to, &shrunk.scenario)?;
    let finding = shrunk.outcome.finding().expect("what was shrunk fails");
    if args.verbose {
        say(account::efforts(shrunk).trim_end());
    }
    match args.format {
        Format::Json => {
            print_record(&ShrinkRecord::of(shrunk, finding, wall_ns, text::path(&to)))?;
        }
        Format::Human => {
            let aftermath = aftermath(&shrunk.scenario, &shrunk.outcome, None, Some(&to));
            print(&text::run(&shrunk.outcome, wall_ns, &aftermath))?;
            print(&format!("\n{}", account::text(shrunk, wall_ns)))?;
        }
    }
    Ok(exit_code_of_run(&shrunk.outcome.verdict))
}
