//! The simulated world: it knows no Viewstamped Replication.

pub mod node;
pub mod process;
pub mod random;
pub mod time;

pub use node::{Incarnation, NodeIndex, NodeSet};
pub use process::{
    Boot, Context, DiskError, Effect, Effects, Event, Input, Message, Process, Token, Zone,
};
pub use random::Seed;
pub use time::{LocalTime, Span, Time, WallTime};
