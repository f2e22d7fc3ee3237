//! Runs a range of seeds on several threads. What it reports does not depend on how many, nor on who was quicker.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::subject::Subject;
use crate::engine::random::Seed;
use crate::report::summary::Summary;
use crate::scenario::outcome::Outcome;

/// What to sweep.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seeds, the end excluded.
    pub seeds: Range<u64>,
    /// How many threads.
    pub jobs: usize,
    /// After so many failures no more seeds are begun.
    pub failures_max: u64,
}

/// Runs the seeds of `plan`. `clock` shows nanoseconds of wall time; `progress` is told what came of each seed, by any thread, and
/// says whether more are to be begun.
///
/// # Panics
///
/// When the simulator itself panics.
pub fn sweep<S: Subject>(
    subject: &S,
    plan: &Plan,
    clock: &(dyn Fn() -> u64 + Sync),
    progress: &(dyn Fn(&Outcome) -> ControlFlow<()> + Sync),
) -> Summary {
    let next = AtomicU64::new(plan.seeds.start);
    let failures = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let work = || {
        let mut runner = subject.runner();
        let mut summary = Summary::default();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= plan.seeds.end {
                break;
            }
            let begin = clock();
            let outcome = subject.run(&mut runner, Seed::new(number));
            summary.add(&outcome, clock().saturating_sub(begin));
            let failed = outcome.finding().is_some();
            let is_enough =
                failed && failures.fetch_add(1, Ordering::Relaxed) + 1 >= plan.failures_max;
            if progress(&outcome).is_break() || is_enough {
                stop.store(true, Ordering::Relaxed);
            }
        }
        summary
    };
    let mut whole = Summary::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(part) => whole.merge(part),
                Err(payload) => std::panic::resume_unwind(payload),
            }
        }
    });
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::{Span, Time};
    use crate::engine::world::Counters;
    use crate::oracles::Exposure;
    use crate::report::summary::SEEDS_PER_SIGNATURE;
    use crate::scenario::outcome::{FaultCounts, Finding, FindingKind, Verdict};

    /// Every third seed fails, one of two ways; every seventh is unknown.
    struct Arithmetic;

    impl Subject for Arithmetic {
        type Runner = ();

        fn runner(&self) {}

        fn run(&self, (): &mut (), seed: Seed) -> Outcome {
            let number = seed.number();
            let finding = |property| Finding {
                kind: FindingKind::Safety,
                property,
                place: String::new(),
                message: String::new(),
                at: Time::ZERO,
            };
            let verdict = match (number % 3, number % 7) {
                (0, _) if number.is_multiple_of(2) => Verdict::Fail(Box::new(finding("even"))),
                (0, _) => Verdict::Fail(Box::new(finding("odd"))),
                (_, 0) => Verdict::Unknown("seven".to_owned()),
                _ => Verdict::Pass,
            };
            let counters = Counters { events: 1_000 - number, ..Counters::default() };
            Outcome {
                seed,
                verdict,
                trace_hash: 0,
                counters,
                requests: 1,
                view_changes: 0,
                faults: FaultCounts::default(),
                unfired: Vec::new(),
                exposure: Exposure::default(),
                virtual_time: Span::ZERO,
                replicas: 3,
                clients: 1,
            }
        }
    }

    #[test]
    fn a_sweep_is_the_same_with_any_number_of_threads() {
        let run = |jobs| {
            let plan = Plan { seeds: 0..100, jobs, failures_max: u64::MAX };
            let mut summary = sweep(&Arithmetic, &plan, &|| 0, &|_| ControlFlow::Continue(()));
            summary.slowest = None;
            summary
        };
        let alone = run(1);
        assert_eq!((alone.seeds, alone.failed, alone.unknown), (100, 34, 10));
        assert_eq!(alone.failures.len(), 2);
        for kept in alone.failures.values() {
            let seeds: Vec<u64> = kept.iter().map(|failure| failure.seed.number()).collect();
            assert_eq!(seeds.len(), SEEDS_PER_SIGNATURE);
            assert!(
                seeds.windows(2).all(|pair| pair[0] > pair[1]),
                "the shortest first: {seeds:?}"
            );
        }
        assert_eq!(format!("{:?}", run(4)), format!("{alone:?}"));
    }

    #[test]
    fn enough_failures_end_it() {
        let plan = Plan { seeds: 0..1_000_000, jobs: 2, failures_max: 5 };
        let summary = sweep(&Arithmetic, &plan, &|| 0, &|_| ControlFlow::Continue(()));
        assert!((5..8).contains(&summary.failed), "{}", summary.failed);
    }

    #[test]
    fn whoever_watches_it_may_end_it() {
        let plan = Plan { seeds: 0..1_000_000, jobs: 2, failures_max: u64::MAX };
        let watch = |outcome: &Outcome| match outcome.seed.number() {
            0..50 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let summary = sweep(&Arithmetic, &plan, &|| 0, &watch);
        assert!((50..1_000_000).contains(&summary.seeds), "{}", summary.seeds);
        assert_eq!(summary.seeds, summary.passed + summary.failed + summary.unknown);
    }
}
