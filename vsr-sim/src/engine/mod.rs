//! The simulated world: it knows no Viewstamped Replication.

pub mod broadcast;
pub mod clock;
mod control;
mod decided;
pub mod disk;
mod happen;
pub mod network;
pub mod node;
pub mod observer;
pub mod process;
pub mod queue;
pub mod random;
mod recent;
mod slab;
#[cfg(test)]
mod tests;
pub mod time;
pub mod trace;
pub mod watch;
pub mod world;

pub use decided::PacketFate;
pub use disk::{
    Disk, DiskRates, Doom, Failing, Mischief, Mishap, MishapKind, Resolution, Rot, SECTOR_SIZE,
    Spot, Write,
};
pub use network::{Dropped, LinkRates, Network, NetworkFaultId, Packet, PacketName, RateChange};
pub use node::{Incarnation, NodeIndex, NodeSet};
pub use observer::Observer;
pub use process::{
    Boot, Context, Described, DiskError, Effect, Effects, Event, Input, Message, Process, Token,
    Zone,
};
pub use random::{Seed, Stream};
pub use time::{LocalTime, Span, Time, WallTime};
pub use trace::Trace;
pub use watch::{Hit, Moment, Pattern, Sight, WatchId};
pub use world::{Counters, NodeState, Panicked, Setup, Stop, World};
