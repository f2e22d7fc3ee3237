//! The simulated world: it knows no Viewstamped Replication.
