//! The same broadcast on three simulators: node 0 sends each value to four others and goes on when three of them have
//! acknowledged it; links take 1 to 10 ms and lose one packet in a hundred; what is not acknowledged within 100 ms is sent
//! again; 16 values are under way at a time.

pub mod clusters;
pub mod counting;
mod peers;
pub mod processor;
mod window;

pub use peers::{by_madsim, by_turmoil};

use vsr_sim::engine::broadcast::{Broadcast, BroadcastNode};
use vsr_sim::engine::{LinkRates, Seed, Setup, Span, Time, World};

/// Nodes, the sender included.
pub const NODES: u8 = 5;
/// Values under way at a time.
pub const WINDOW: u64 = 16;
/// After how many milliseconds without enough acknowledgements a value is sent again.
pub const RETRY_MS: u64 = 100;

/// What one run did, and how long that took on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Packets handed to the network.
    pub messages: u64,
    /// Nanoseconds on a processor.
    pub cpu_ns: u128,
}

impl Measured {
    /// Packets handed to the network in a second of one processor.
    #[must_use]
    pub fn per_second(self) -> u128 {
        u128::from(self.messages) * 1_000_000_000 / self.cpu_ns.max(1)
    }
}

/// Times `run`, which answers how many packets it handed to the network.
fn measured(run: impl FnOnce() -> u64) -> Measured {
    let start = processor::thread_ns();
    let messages = run();
    Measured { messages, cpu_ns: processor::thread_ns() - start }
}

/// Links as the workload wants them.
fn links() -> LinkRates {
    LinkRates {
        loss_ppm: 10_000,
        latency: Span::from_ms(1),
        jitter: Span::from_ms(9),
        ..LinkRates::default()
    }
}

/// The broadcast through our engine, with its trace hash.
#[must_use]
pub fn by_us(values: u64) -> Measured {
    let broadcast = Broadcast {
        window: WINDOW,
        retry: Span::from_ms(RETRY_MS),
        durable: false,
        ..Broadcast::of(values)
    };
    let setup = Setup { links: links(), ..Setup::of(NODES) };
    measured(|| {
        let mut world: World<BroadcastNode> = World::new(broadcast, setup, Seed::new(1), ());
        world.run_until(Time::MAX);
        world.counters().sent
    })
}
