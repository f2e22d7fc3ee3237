//! A deterministic simulator for clusters of `vsr-core`: one seed, one run, one hash.

pub mod campaign;
pub mod cli;
pub mod cluster;
pub mod engine;
pub mod faults;
pub mod front;
pub mod oracles;
pub mod report;
pub mod scenario;

pub use front::{Draw, Failed, Operations, Sweep, sweep};
