//! Clusters of our own replicas, as a run judges them: disks, all oracles, the linearizability check and the trace hash.

use std::ops::Range;

use vsr_sim::cluster::workload::Workload;
use vsr_sim::engine::{Seed, Span};
use vsr_sim::scenario::draw::{Overrides, Profile};
use vsr_sim::scenario::outcome::{Outcome, Verdict};
use vsr_sim::scenario::run::Runner;
use vsr_sim::scenario::{Cluster, Scenario};

use crate::processor::thread_ns;

/// How large a calm cluster is, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many replicas.
    pub replicas: u8,
    /// How many clients, each of which asks again as soon as it is answered.
    pub clients: u8,
    /// How many requests they send together.
    pub requests: u32,
    /// How many operations may be uncommitted.
    pub pipeline: u32,
}

impl Default for Shape {
    /// The cluster of the issue: 5 replicas, 10 clients, 100,000 requests.
    fn default() -> Self {
        Self { replicas: 5, clients: 10, requests: 100_000, pipeline: 8 }
    }
}

impl Shape {
    /// A calm run of it: nothing is lost, nobody crashes, a checkpoint every 256 operations in a log of 1024 slots, small values.
    #[must_use]
    pub fn scenario(self) -> Scenario {
        let overrides = Overrides { profile: Profile::Calm, ..Overrides::default() };
        let cluster = Cluster {
            replicas: self.replicas,
            clients: self.clients,
            pipeline: self.pipeline,
            slots: 1024,
            checkpoint_interval: 256,
            sessions: 128,
            ..Cluster::default()
        };
        let workload = Workload {
            requests: self.requests,
            large_ppm: 0,
            think_max: Span::ZERO,
            ..Workload::default()
        };
        Scenario {
            cluster,
            workload: Some(workload),
            duration: Span::from_secs(1_000_000),
            ..Scenario::draw(Seed::new(1), &overrides)
        }
    }
}

/// What runs came to, and the time on a processor that they took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ran {
    /// How many runs.
    pub seeds: u64,
    /// How many of them had three replicas or more.
    pub of_three: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Packets handed to the network.
    pub messages: u64,
    /// Events of the world.
    pub events: u64,
    /// Nanoseconds on a processor.
    pub cpu_ns: u128,
}

impl Ran {
    fn add(&mut self, outcome: &Outcome) {
        assert_eq!(outcome.verdict, Verdict::Pass, "seed {}", outcome.seed.number());
        self.seeds += 1;
        self.of_three += u64::from(outcome.replicas >= 3);
        self.requests += outcome.requests;
        self.messages += outcome.counters.sent;
        self.events += outcome.counters.events;
    }

    /// So many in a second of one processor.
    #[must_use]
    pub fn per_second(&self, count: u64) -> u128 {
        u128::from(count) * 1_000_000_000 / self.cpu_ns.max(1)
    }
}

/// Runs one scenario.
///
/// # Panics
///
/// When the run does not pass.
#[must_use]
pub fn run(scenario: &Scenario) -> Ran {
    let mut ran = Ran::default();
    let start = thread_ns();
    ran.add(&Runner::<()>::default().run(scenario));
    ran.cpu_ns = thread_ns() - start;
    ran
}

/// Runs the swarm's seeds in the memory of one runner, as a thread of a sweep does.
///
/// # Panics
///
/// When a run does not pass.
#[must_use]
pub fn sweep(seeds: Range<u64>, overrides: &Overrides) -> Ran {
    let (mut ran, mut runner) = (Ran::default(), Runner::<()>::default());
    let start = thread_ns();
    for number in seeds {
        ran.add(&runner.run(&Scenario::draw(Seed::new(number), overrides)));
    }
    ran.cpu_ns = thread_ns() - start;
    ran
}
