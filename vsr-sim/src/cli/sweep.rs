//! `vsr-sim sweep`: many seeds on all cores.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use clap::Args;

use super::interrupt::{self, INTERRUPTED, is_interrupted};
use super::keeper::{Keeper, News};
use super::seeds::{Seeds, Slice, parse_duration, parse_seeds, parse_slice};
use super::{CliError, Format, NONDETERMINISM, OverrideArgs};
use super::{command_line, date, print, print_record, say, stopwatch};
use crate::campaign::artefacts::Folder;
use crate::campaign::regressions;
use crate::campaign::subject::Clusters;
use crate::campaign::sweep::{Plan, sweep};
use crate::cluster::words;
use crate::report::json::{Ending, EventRecord, SweepRecord, exit_code_of_sweep, graver};
use crate::report::summary::{Failure, Regressions, Summary, Unmet};
use crate::report::text::{self, Aftermath};
use crate::scenario::Scenario;
use crate::scenario::outcome::{Outcome, Verdict};
use crate::scenario::run::Runner;

/// Signatures that are told in full; the others are listed.
const STORIES_MAX: usize = 5;

/// How often progress is said, in nanoseconds.
const PROGRESS_NS: u64 = 10_000_000_000;

/// What to sweep, and how to tell about it.
#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// The seeds, the end excluded: 0..20000. Without an end, as in 0.., it goes on until the time is up, there are failures enough, or
    /// it is interrupted.
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    seeds: Seeds,
    /// Only this share of the seeds, as slice:1/4 for the first of four machines, which alone replays the regressions.
    #[arg(long, value_name = "slice:I/N", value_parser = parse_slice)]
    partition: Option<Slice>,
    /// After so long (90s, 10m, 8h) no more seeds are begun.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<u64>,
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
    /// Where to keep what the sweep leaves behind; in a new folder below target/vsr-sim, if left out.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The scenarios that are replayed first, and must come out as they say; those in scenarios/regressions, if left out.
    #[arg(long, value_name = "DIR")]
    regressions: Option<PathBuf>,
    /// Replay none.
    #[arg(long, conflicts_with = "regressions")]
    no_regressions: bool,
}

/// Runs the command; answers its exit code.
pub(super) fn run(args: &SweepArgs) -> Result<u8, CliError> {
    let seeds =
        args.partition.map_or_else(|| Ok(args.seeds.clone()), |slice| args.seeds.slice(slice));
    let seeds = seeds.map_err(CliError::Usage)?;
    let scenarios = regressions_of(args)?;
    interrupt::listen()?;
    let mut folder = Folder::create(args.out.as_deref(), &date(), "sweep")?;
    folder.note(&EventRecord::begun(command_line()))?;
    let regressions = scenarios.map(|scenarios| regressions::replay(&scenarios));
    for unmet in regressions.iter().flat_map(|regressions| &regressions.unmet) {
        let Unmet { path, expected, found, .. } = unmet;
        let words = format!("{path}: expected {expected}, found {found}");
        folder.note(&EventRecord::regression(words))?;
    }
    let clock = stopwatch();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(cores, usize::from);
    let failures_max = args.max_failures.unwrap_or(u64::MAX);
    let plan = Plan { seeds: seeds.0.clone(), jobs, failures_max };
    let (summary, mut keeper) = sweep_and_keep(args, &plan, &clock, folder);
    if seeds.count().is_none_or(|count| summary.seeds < count) {
        let begun = Seeds(plan.seeds.start..plan.seeds.start + summary.seeds);
        say(&format!("no more seeds were begun after {begun}"));
    }
    let swept = Swept {
        args,
        summary: &summary,
        regressions: regressions.as_ref(),
        wall_ns: clock(),
        jobs,
    };
    let error = keeper.take_error();
    let exit_code = swept.conclude(&keeper)?;
    error.map_or(Ok(exit_code), |error| Err(error.into()))
}

/// The regressions that are to be replayed first, if there are any.
fn regressions_of(args: &SweepArgs) -> Result<Option<Vec<(PathBuf, Scenario)>>, CliError> {
    let folder = match &args.regressions {
        _ if args.no_regressions || args.partition.is_some_and(|slice| slice.index > 1) => {
            return Ok(None);
        }
        Some(folder) => folder,
        None if Path::new(regressions::FOLDER).is_dir() => Path::new(regressions::FOLDER),
        None => return Ok(None),
    };
    // The first one is enough to say that nothing can be believed until it is mended.
    regressions::read_all(folder).map(Some).map_err(|mut errors| errors.swap_remove(0).into())
}

/// Sweeps, and keeps what fails on a thread of its own.
fn sweep_and_keep(
    args: &SweepArgs,
    plan: &Plan,
    clock: &(dyn Fn() -> u64 + Sync),
    folder: Folder,
) -> (Summary, Keeper) {
    let subject = Clusters { overrides: args.overrides.overrides(), ..Clusters::default() };
    let keeper = Keeper::new(folder, args.overrides);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let keeping = scope.spawn(move || keeper.take_all(receiver));
        let summary = {
            let watch = watch(plan, args.duration, clock, sender);
            sweep(&subject, plan, clock, &watch)
        };
        match keeping.join() {
            Ok(keeper) => (summary, keeper),
            Err(payload) => std::panic::resume_unwind(payload),
        }
    })
}

/// Says now and then how far the sweep is, tells the keeper, and ends the sweep when somebody wants it to end, or its time is up.
fn watch<C: Fn() -> u64 + Sync>(
    plan: &Plan,
    duration: Option<u64>,
    clock: C,
    keeper: Sender<News>,
) -> impl Fn(&Outcome) -> ControlFlow<()> + Sync + use<C> {
    let all = Seeds(plan.seeds.clone()).count();
    let all = all.map_or_else(String::new, |all| format!(" of {}", words::count(all)));
    let (done, failed, said) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    // The keeper listens for as long as anybody is there to tell.
    let tell = move |news| drop(keeper.send(news));
    move |outcome| {
        let has_failed = u64::from(outcome.finding().is_some());
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let failed = failed.fetch_add(has_failed, Ordering::Relaxed) + has_failed;
        if outcome.verdict != Verdict::Pass {
            tell(News::Outcome(Box::new(outcome.clone())));
        }
        let now = clock();
        let before = said.load(Ordering::Relaxed);
        let due = now.saturating_sub(before) >= PROGRESS_NS;
        if due && said.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tell(News::Progress(done));
            say(&format!("{}{all} seeds, {} failed", words::count(done), words::count(failed)));
        }
        let is_late = duration.is_some_and(|duration| now >= duration);
        if is_late || is_interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A sweep that is over.
struct Swept<'a> {
    args: &'a SweepArgs,
    summary: &'a Summary,
    regressions: Option<&'a Regressions>,
    wall_ns: u64,
    jobs: usize,
}

impl Swept<'_> {
    fn exit_code(&self, differs: Option<u64>) -> u8 {
        if is_interrupted() {
            return INTERRUPTED;
        }
        let unmet = self.regressions.iter().flat_map(|regressions| &regressions.unmet);
        let codes = unmet.map(|unmet| unmet.exit_code).chain(differs.map(|_| NONDETERMINISM));
        codes.fold(exit_code_of_sweep(self.summary), graver)
    }

    /// Tells what the sweep came to, and writes it down; answers the exit code.
    fn conclude(&self, keeper: &Keeper) -> Result<u8, CliError> {
        let Self { args, summary, regressions, wall_ns, jobs } = *self;
        let is_interrupted = is_interrupted();
        let exit_code = self.exit_code(keeper.differs);
        let ending = Ending { wall_ns, exit_code, regressions, is_interrupted };
        let record = SweepRecord::of(summary, &ending);
        keeper.folder.conclude(&record)?;
        if let Some(seed) = keeper.differs {
            say(&format!("seed {seed} gave two different runs"));
        }
        match args.format {
            Format::Json => print_record(&record)?,
            Format::Human => {
                for unmet in regressions.iter().flat_map(|regressions| &regressions.unmet) {
                    print(&text::unmet(unmet))?;
                }
                for (signature, failures) in summary.failures.iter().take(STORIES_MAX) {
                    let kept = keeper.shortest(*signature).map(|kept| &kept.aftermath);
                    print(&tell(args, &failures[0], kept))?;
                }
                let circumstances =
                    text::Circumstances { wall_ns, jobs, regressions, is_interrupted };
                print(&text::sweep(summary, &circumstances))?;
            }
        }
        Ok(exit_code)
    }
}

/// A failure in full, as `run` tells it.
fn tell(args: &SweepArgs, failure: &Failure, kept: Option<&Aftermath>) -> String {
    let clock = stopwatch();
    let scenario = Scenario::draw(failure.seed, &args.overrides.overrides());
    let outcome = Runner::<()>::default().run(&scenario);
    let nothing = Aftermath::default();
    text::run(&outcome, clock(), kept.unwrap_or(&nothing)) + "\n"
}
