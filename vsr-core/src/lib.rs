//! Viewstamped Replication as a sans-IO replica.
#![no_std]
