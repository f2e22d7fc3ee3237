//! Messages a second on three simulators, in turns, so that a noisy machine is noisy for all: the best of each, and our ratio to it.
//!
//! `cargo run --release --bin peers -- [VALUES] [TURNS]`

use vsr_sim_bench::{Measured, by_madsim, by_turmoil, by_us};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let values = arguments.next().unwrap_or(100_000);
    let turns = arguments.next().unwrap_or(3);
    let simulators: [(&str, fn(u64) -> Measured); 3] =
        [("vsr-sim", by_us), ("turmoil", by_turmoil), ("madsim", by_madsim)];
    let mut best = [0_u128; 3];
    for turn in 0..turns {
        for ((name, run), best) in simulators.iter().zip(&mut best) {
            let measured = run(values);
            *best = (*best).max(measured.per_second());
            eprintln!(
                "turn {turn}: {name}: {} messages in {} ms",
                measured.messages,
                measured.cpu_ns / 1_000_000
            );
        }
    }
    let ours = best[0];
    for ((name, _), best) in simulators.iter().zip(best) {
        let ratio = ours * 10 / best.max(1);
        println!(
            "{name:8} {best:>12} messages a second, ours is {}.{} times that",
            ratio / 10,
            ratio % 10
        );
    }
}
