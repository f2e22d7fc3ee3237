//! Runs a range of seeds on several threads. What it reports does not depend on how many, nor on who was quicker.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::subject::Subject;
use crate::engine::random::Seed;
use crate::oracles::Exposure;
use crate::scenario::outcome::{FaultCounts, Finding, Outcome, Verdict};

/// The most seeds that are kept of one signature: those of the shortest runs.
pub const SEEDS_PER_SIGNATURE: usize = 4;

/// The most reasons for unknown that are kept.
const UNKNOWNS_KEPT: usize = 8;

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

/// A failing seed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which one.
    pub seed: Seed,
    /// How many events it took: shorter stories first.
    pub events: u64,
    /// What was violated.
    pub finding: Finding,
}

/// What a sweep, or a part of one, came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Seeds that were run.
    pub seeds: u64,
    /// Those that passed.
    pub passed: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that ran out of a budget.
    pub unknown: u64,
    /// Events of all runs.
    pub events: u64,
    /// Packets handed to the network in all runs.
    pub messages: u64,
    /// Requests answered in all runs.
    pub requests: u64,
    /// Views entered in all runs, after the first of each.
    pub view_changes: u64,
    /// Virtual time of all runs, in nanoseconds.
    pub virtual_ns: u128,
    /// Seeds whose cluster had three replicas or more.
    pub seeds_of_three: u64,
    /// How often each fault was done.
    pub faults: FaultCounts,
    /// The moments that were met.
    pub exposure: Exposure,
    /// The slowest seed, and its wall time in nanoseconds.
    pub slowest: Option<(Seed, u64)>,
    /// Kept failures by signature, the shortest runs first.
    pub failures: BTreeMap<u64, Vec<Failure>>,
    /// How many seeds failed with each signature, the kept ones included.
    pub failures_by_signature: BTreeMap<u64, u64>,
    /// Some seeds that ran out of a budget, and of which: the smallest seeds.
    pub unknowns: BTreeMap<Seed, String>,
}

impl Summary {
    /// Adds one run, which took `wall_ns`.
    pub fn add(&mut self, outcome: &Outcome, wall_ns: u64) {
        self.seeds += 1;
        self.events += outcome.counters.events;
        self.messages += outcome.counters.sent;
        self.requests += outcome.requests;
        self.view_changes += outcome.view_changes;
        self.virtual_ns += u128::from(outcome.virtual_time.as_ns());
        self.seeds_of_three += u64::from(outcome.replicas >= 3);
        self.add_faults(&outcome.faults);
        self.exposure.merge(&outcome.exposure);
        if self.slowest.is_none_or(|(_, slowest)| wall_ns > slowest) {
            self.slowest = Some((outcome.seed, wall_ns));
        }
        match &outcome.verdict {
            Verdict::Pass => self.passed += 1,
            Verdict::Unknown(what) => {
                self.unknown += 1;
                self.unknowns.insert(outcome.seed, what.clone());
                self.trim_unknowns();
            }
            Verdict::Fail(finding) => {
                self.failed += 1;
                let signature = finding.signature();
                *self.failures_by_signature.entry(signature).or_default() += 1;
                self.keep(Failure {
                    seed: outcome.seed,
                    events: outcome.counters.events,
                    finding: (**finding).clone(),
                });
            }
        }
    }

    fn add_faults(&mut self, more: &FaultCounts) {
        for (mine, more) in self.faults.iter_mut().zip(more) {
            *mine += more;
        }
    }

    fn trim_unknowns(&mut self) {
        while self.unknowns.len() > UNKNOWNS_KEPT {
            self.unknowns.pop_last();
        }
    }

    fn keep(&mut self, failure: Failure) {
        let kept = self.failures.entry(failure.finding.signature()).or_default();
        let rank = |failure: &Failure| (failure.events, failure.seed);
        let place = kept.partition_point(|other| rank(other) < rank(&failure));
        kept.insert(place, failure);
        kept.truncate(SEEDS_PER_SIGNATURE);
    }

    /// Adds another part of the sweep. The order of the parts does not matter.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.passed += other.passed;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.events += other.events;
        self.messages += other.messages;
        self.requests += other.requests;
        self.view_changes += other.view_changes;
        self.virtual_ns += other.virtual_ns;
        self.seeds_of_three += other.seeds_of_three;
        self.add_faults(&other.faults);
        self.exposure.merge(&other.exposure);
        self.slowest = match (self.slowest, other.slowest) {
            (Some(one), Some(two)) => Some(if two.1 > one.1 { two } else { one }),
            (one, two) => one.or(two),
        };
        for failure in other.failures.into_values().flatten() {
            self.keep(failure);
        }
        for (signature, count) in other.failures_by_signature {
            *self.failures_by_signature.entry(signature).or_default() += count;
        }
        self.unknowns.extend(other.unknowns);
        self.trim_unknowns();
    }

    /// The gravest finding, the one that decides the exit code.
    #[must_use]
    pub fn gravest(&self) -> Option<&Finding> {
        self.failures
            .values()
            .filter_map(|kept| kept.first())
            .map(|failure| &failure.finding)
            .min_by_key(|finding| finding.kind)
    }
}

/// Runs the seeds of `plan`. `clock` shows nanoseconds of wall time; `progress` is told each seed that is done, and whether it
/// failed, by any thread.
///
/// # Panics
///
/// When the simulator itself panics.
pub fn sweep<S: Subject>(
    subject: &S,
    plan: &Plan,
    clock: &(dyn Fn() -> u64 + Sync),
    progress: &(dyn Fn(bool) + Sync),
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
            if failed && failures.fetch_add(1, Ordering::Relaxed) + 1 >= plan.failures_max {
                stop.store(true, Ordering::Relaxed);
            }
            progress(failed);
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
    use crate::scenario::outcome::FindingKind;

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
            let mut summary = sweep(&Arithmetic, &plan, &|| 0, &|_| ());
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
        let summary = sweep(&Arithmetic, &plan, &|| 0, &|_| ());
        assert!((5..8).contains(&summary.failed), "{}", summary.failed);
    }
}
