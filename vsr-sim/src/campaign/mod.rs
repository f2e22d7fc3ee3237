//! Many runs: sweeps over seeds, and what is kept of those that fail.

pub mod artefacts;
pub mod recording;
pub mod regressions;
pub mod shrink;
pub mod subject;
pub mod sweep;
