//! Many runs: sweeps over seeds, and what is kept of those that fail.

pub mod artefacts;
pub mod shrink;
pub mod subject;
pub mod sweep;
