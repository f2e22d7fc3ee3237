//! Viewstamped Replication as a sans-IO replica: a function of its inputs, without clock, entropy, input or output.
//!
//! [`Replica::step`] is the whole of it: time and an [`io::Input`] go in, an ordered list of [`io::Effect`]s comes out. It never
//! blocks and never fails; a message that is of no use is dropped with a reason, and a panic means a bug in this crate.
//!
//! The protocol is that of Liskov and Cowling, "Viewstamped Replication Revisited" (2012), made durable. Where it departs from the
//! paper, the place says "Deviation:" and why.
#![no_std]
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_alloc, clippy::std_instead_of_core)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod checkpoint;
pub mod checksum;
pub mod client;
pub mod client_table;
pub mod configuration;
pub mod decision;
pub mod header;
pub mod io;
pub mod jitter;
pub mod journal;
pub mod message;
pub mod number;
pub mod quorum;
pub mod replica;
pub mod state_machine;
pub mod superblock;
pub mod time;
pub mod timeout;
pub mod token;
pub mod view_state;
pub mod wire;

pub use replica::{Replica, format};
