//! Viewstamped Replication as a sans-IO replica: a function of its inputs, without clock, entropy, input or output.
#![no_std]
#![warn(clippy::alloc_instead_of_core, clippy::std_instead_of_alloc, clippy::std_instead_of_core)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod checksum;
pub mod configuration;
pub mod header;
pub mod io;
pub mod jitter;
pub mod message;
pub mod number;
pub mod quorum;
pub mod replica;
pub mod state_machine;
pub mod time;
pub mod wire;

pub use replica::{Replica, format};
