//! `vsr-sim sweep`: many seeds on all cores.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::Args;

use super::run::{aftermath, command_of_seed};
use super::{CliError, Format, OverrideArgs, parse_seed, print, print_record, say, stopwatch};
use crate::campaign::artefacts;
use crate::campaign::subject::Clusters;
use crate::campaign::sweep::{Plan, sweep};
use crate::cluster::words;
use crate::report::json::{SweepRecord, exit_code_of_sweep};
use crate::report::summary::{Failure, Summary};
use crate::report::text;
use crate::scenario::Scenario;
use crate::scenario::run::Runner;

/// Signatures that are told in full; the others are listed.
const STORIES_MAX: usize = 5;

/// How often progress is said, in nanoseconds.
const PROGRESS_NS: u64 = 10_000_000_000;

/// What to sweep, and how to tell about it.
#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// The seeds, the end excluded: 0..20000.
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// How many threads; as many as there are cores, if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// After so many failures no more seeds are begun.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_failures: Option<u64>,
    /// For whom the output is.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Where to keep what failing runs leave behind.
    #[arg(long, value_name = "DIR", default_value = artefacts::ROOT)]
    out: PathBuf,
}

/// Reads a half-open range of seeds.
fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let (start, end) =
        text.split_once("..").ok_or("a range of seeds is two numbers, such as 0..1000")?;
    let (start, end) = (parse_seed(start)?, parse_seed(end)?);
    if start >= end {
        return Err("the range is empty: the end is not part of it".to_owned());
    }
    Ok(start..end)
}

/// Runs the command; answers its exit code.
pub(super) fn run(args: &SweepArgs) -> Result<u8, CliError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(cores, usize::from);
    let failures_max = args.max_failures.unwrap_or(u64::MAX);
    let plan = Plan { seeds: args.seeds.clone(), jobs, failures_max };
    let subject = Clusters { overrides: args.overrides.overrides(), ..Clusters::default() };
    let clock = stopwatch();
    let summary = sweep(&subject, &plan, &clock, &progress(&plan, &clock));
    let wall_ns = clock();
    let kept = keep(args, &summary)?;
    match args.format {
        Format::Json => print_record(&SweepRecord::of(&summary, wall_ns))?,
        Format::Human => {
            for (failure, path) in &kept {
                print(&tell(args, failure, path))?;
            }
            print(&text::sweep(&summary, wall_ns, jobs))?;
        }
    }
    Ok(exit_code_of_sweep(&summary))
}

/// Says now and then how far the sweep is.
fn progress<C: Fn() -> u64 + Sync>(plan: &Plan, clock: C) -> impl Fn(bool) + Sync + use<C> {
    let all = plan.seeds.end - plan.seeds.start;
    let (done, failed, said) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    move |is_failure| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let failed =
            failed.fetch_add(u64::from(is_failure), Ordering::Relaxed) + u64::from(is_failure);
        let now = clock();
        let before = said.load(Ordering::Relaxed);
        let due = now.saturating_sub(before) >= PROGRESS_NS;
        if due && said.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            say(&format!(
                "{} of {} seeds, {} failed",
                words::count(done),
                words::count(all),
                words::count(failed)
            ));
        }
    }
}

/// Writes the scenarios of the failures that are kept; returns the first of each signature.
fn keep<'a>(
    args: &SweepArgs,
    summary: &'a Summary,
) -> Result<Vec<(&'a Failure, PathBuf)>, CliError> {
    let mut first = Vec::new();
    for kept in summary.failures.values() {
        for (place, failure) in kept.iter().enumerate() {
            let scenario = Scenario::draw(failure.seed, &args.overrides.overrides());
            let path = artefacts::keep_scenario(&args.out, &scenario, &failure.finding)?;
            if place == 0 && first.len() < STORIES_MAX {
                first.push((failure, path));
            }
        }
    }
    Ok(first)
}

/// A failure in full, as `run` tells it.
fn tell(args: &SweepArgs, failure: &Failure, path: &Path) -> String {
    let clock = stopwatch();
    let scenario = Scenario::draw(failure.seed, &args.overrides.overrides());
    let outcome = Runner::<()>::default().run(&scenario);
    let by_seed = command_of_seed(failure.seed.number(), args.overrides);
    let aftermath = aftermath(&scenario, &outcome, Some(by_seed), Some(path));
    text::run(&outcome, clock(), &aftermath) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_half_open_and_not_empty() {
        assert_eq!(parse_seeds("0..20000"), Ok(0..20_000));
        assert_eq!(parse_seeds("0x10..0x20"), Ok(16..32));
        assert!(
            ["5..5", "6..5", "5", "a..b", "..", "1.."]
                .iter()
                .all(|text| parse_seeds(text).is_err())
        );
    }
}
