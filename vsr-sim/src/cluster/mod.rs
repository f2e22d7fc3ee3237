//! Viewstamped Replication in the world: replicas, clients, what they say to each other, and what the clients want.

pub mod key_value;
pub mod packet;
pub mod workload;
