//! How fast the bare engine is: a broadcast, nobody watching, no faults, then with a bad network and a disk.
//!
//! `cargo run --release -p vsr-sim --example messages_per_second -- [VALUES]`

#![expect(clippy::print_stdout, reason = "an example that tells a figure")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "what is measured is the time of this machine"
)]

use std::time::Instant;

use vsr_sim::engine::broadcast::{Broadcast, BroadcastNode};
use vsr_sim::engine::{LinkRates, Seed, Setup, Span, Time, World};

fn main() {
    let values =
        std::env::args().nth(1).map_or(1_000_000, |text| text.parse().expect("a number of values"));
    let calm = Broadcast { durable: false, window: 64, ..Broadcast::of(values) };
    measure("calm", calm, Setup::of(5));
    let links = LinkRates {
        loss_ppm: 10_000,
        duplicate_ppm: 10_000,
        tail_ppm: 1_000,
        tail: Span::from_ms(500),
        ..LinkRates::default()
    };
    let bad = Setup { links, ..Setup::of(5) };
    measure("bad network", calm, bad);
    measure("bad network, durable", Broadcast { durable: true, ..calm }, bad);
}

fn measure(title: &str, broadcast: Broadcast, setup: Setup) {
    let mut world: World<BroadcastNode> = World::new(broadcast, setup, Seed::new(1), ());
    // The first run warms the memory that the second one uses.
    for seed in [1, 2] {
        world.reset(setup, Seed::new(seed));
        let start = Instant::now();
        world.run_until(Time::MAX);
        let passed = start.elapsed();
        let counters = world.counters();
        let per_second = u128::from(counters.sent) * 1_000_000_000 / passed.as_nanos().max(1);
        println!(
            "{title}, run {seed}: {} messages, {} events in {} ms: {per_second} messages a second, trace {:032x}",
            counters.sent,
            counters.events,
            passed.as_millis(),
            world.trace_hash(),
        );
    }
}
