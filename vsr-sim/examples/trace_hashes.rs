//! The trace hash of every seed of a range, one a line: what two builds are compared by.
//!
//! `cargo run --release -p vsr-sim --example trace_hashes -- 0 1000 > before`

#![expect(clippy::print_stdout, reason = "an example that tells figures")]

use vsr_sim::engine::Seed;
use vsr_sim::scenario::Scenario;
use vsr_sim::scenario::draw::Overrides;
use vsr_sim::scenario::run::Runner;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let start = arguments.next().unwrap_or(0);
    let end = arguments.next().unwrap_or(1_000);
    let mut runner = Runner::<()>::default();
    for number in start..end {
        let scenario = Scenario::draw(Seed::new(number), &Overrides::default());
        let outcome = runner.run(&scenario);
        let counters = &outcome.counters;
        println!(
            "{number} {:032x} {} messages, {} events, {} requests",
            outcome.trace_hash, counters.sent, counters.events, outcome.requests
        );
    }
}
