//! One cluster for a long time: the log is used again and again, replicas sleep through many checkpoints, and memory is looked at
//! after each tenth of the requests.
//!
//! `cargo run --release -p vsr-sim --example long_run -- [REQUESTS]`

#![expect(clippy::print_stdout, reason = "an example that tells figures")]

use std::fs;

use vsr_sim::cluster::Node;
use vsr_sim::cluster::event::{ClientEvent, Event};
use vsr_sim::cluster::workload::Workload;
use vsr_sim::engine::{NodeIndex, Observer, Span, Time};
use vsr_sim::faults::{Fault, Gate, Lasts, Selector, Step};
use vsr_sim::oracles::Moment;
use vsr_sim::scenario::action::Action;
use vsr_sim::scenario::draw::{Overrides, Profile};
use vsr_sim::scenario::listener::Listener;
use vsr_sim::scenario::run::Runner;
use vsr_sim::scenario::{Cluster, Scenario};

/// How many operations the log has room for, and after how many a checkpoint is taken.
const SLOTS: u32 = 512;
const CHECKPOINT_INTERVAL: u32 = 128;

/// Prints a line for each tenth.
#[derive(Clone, Debug, Default)]
struct Tenths {
    requests: u64,
    answered: u64,
}

impl Observer<Node> for Tenths {
    fn event(&mut self, now: Time, _: NodeIndex, event: &Event) {
        if !matches!(event, Event::Client(ClientEvent::Returned { .. })) {
            return;
        }
        self.answered += 1;
        if self.answered.is_multiple_of((self.requests / 10).max(1)) {
            println!("{:>9} answered at {now}: {} resident", self.answered, resident());
        }
    }
}

impl Listener for Tenths {
    fn anew(&self) -> Option<Self> {
        Some(self.clone())
    }
}

/// How much memory the process has, where the system tells.
fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn main() {
    let requests =
        std::env::args().nth(1).map_or(200_000, |text| text.parse().expect("a number of requests"));
    let overrides = Overrides { profile: Profile::Calm, ..Overrides::default() };
    let scenario = Scenario {
        cluster: Cluster {
            replicas: 5,
            clients: 10,
            slots: SLOTS,
            checkpoint_interval: CHECKPOINT_INTERVAL,
            ..Cluster::default()
        },
        workload: Some(Workload {
            requests,
            large_ppm: 0,
            think_max: Span::ZERO,
            ..Workload::default()
        }),
        duration: Span::from_secs(1_000_000),
        steps: sleepers(),
        ..Scenario::draw(vsr_sim::engine::Seed::new(1), &overrides)
    };
    let tenths = Tenths { requests: requests.into(), answered: 0 };
    let (outcome, _) = Runner::<Tenths>::default().run_watched(&scenario, tenths);
    let met = |moment| outcome.exposure.of(moment);
    println!(
        "{:?}: {} requests, {} messages, {} events in {} of virtual time",
        outcome.verdict,
        outcome.requests,
        outcome.counters.sent,
        outcome.counters.events,
        outcome.virtual_time,
    );
    println!(
        "the log of {SLOTS} slots was begun anew {} times; {} checkpoints were durable; in {SLEEPS} sleeps replicas restored \
         their state {} times, and took over the checkpoint of another {} times",
        outcome.requests / u64::from(SLOTS),
        met(Moment::CheckpointDurable),
        met(Moment::StateRestored),
        met(Moment::StateTransferred),
    );
}

/// How often a replica sleeps, how long, and after how long the next one does.
const SLEEPS: u64 = 40;
const SLEEP: Span = Span::from_ms(250);
const BETWEEN: Span = Span::from_ms(300);

/// Again and again one of the replicas is gone for longer than the log reaches back; the first one longest, so that it is soon known
/// how much memory that takes.
fn sleepers() -> Vec<Step<Action>> {
    let sleeper = |number: u64| {
        let node = Selector::new(format!("r{}", (number + 1) % 5));
        let long = if number == 0 { SLEEP.times(2) } else { SLEEP };
        Step {
            gate: Gate::At(Time::ZERO.plus(Span::from_ms(50)).plus(BETWEEN.times(number))),
            on: None,
            action: Action::Fault(Fault::Crash { node }),
            lasts: Lasts::For(long),
            why: "it sleeps through many checkpoints".to_owned(),
        }
    };
    (0..SLEEPS).map(sleeper).collect()
}
