//! What many runs came to together.

use std::collections::BTreeMap;

use crate::engine::random::Seed;
use crate::oracles::Exposure;
use crate::scenario::outcome::{FaultCounts, Finding, Outcome, Verdict};

/// The most seeds that are kept of one signature: those of the shortest runs.
pub const SEEDS_PER_SIGNATURE: usize = 4;

/// The most reasons for unknown that are kept.
const UNKNOWNS_KEPT: usize = 8;

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

/// What became of the scenarios that are kept because they failed once.
#[derive(Clone, Debug, Default)]
pub struct Regressions {
    /// How many were run.
    pub replayed: u64,
    /// Those that did not come out as their files say.
    pub unmet: Vec<Unmet>,
}

/// A scenario that did not come out as its file says.
#[derive(Clone, Debug, Default)]
pub struct Unmet {
    /// The file.
    pub path: String,
    /// What it says must come of it.
    pub expected: String,
    /// What came of it.
    pub found: String,
    /// The exit code of that.
    pub exit_code: u8,
}

impl Regressions {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self.unmet.len() {
            0 => format!("{} replayed, all as expected", self.replayed),
            unmet => format!("{} replayed, {unmet} not as expected", self.replayed),
        }
    }
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
