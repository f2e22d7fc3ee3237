//! Viewstamped Replication in the world: replicas, clients, what they say to each other, and what the clients want.

pub mod budget;
pub mod client;
pub mod event;
mod following;
pub mod history;
pub mod key_value;
pub mod monitor;
pub mod node;
pub mod packet;
pub mod recorded;
pub mod replica;
pub mod selector;
pub mod service;
pub mod trouble;
pub mod words;
pub mod workload;

pub use node::{Blueprint, Node};
