//! What came of a run.

use crate::engine::random::Seed;
use crate::engine::time::Span;
use crate::engine::world::Counters;
use crate::faults::{Fault, Skipped};
use crate::oracles::Exposure;
pub use crate::oracles::{Finding, FindingKind};

/// Pass, fail or unknown; never a bool, since a budget that ran out is neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was violated, and everything that must happen happened.
    Pass,
    /// Something was violated.
    Fail(Box<Finding>),
    /// A budget ran out before it was known.
    Unknown(String),
}

/// How often each fault was done.
pub type FaultCounts = [u64; Fault::NAMES.len()];

/// A step that did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfired {
    /// Its place in the scenario.
    pub step: usize,
    /// Why it was not done when it had its time; nothing if it never had.
    pub skipped: Option<Skipped>,
}

/// What came of a run, with all that reports need.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which run.
    pub seed: Seed,
    /// The verdict.
    pub verdict: Verdict,
    /// The hash of all that happened.
    pub trace_hash: u128,
    /// How often things happened.
    pub counters: Counters,
    /// Requests that were answered.
    pub requests: u64,
    /// Views that some replica became normal in, after the first.
    pub view_changes: u64,
    /// How long it took in virtual time.
    pub virtual_time: Span,
    /// How often each fault was done, by [`Fault::index`](crate::faults::Fault::index).
    pub faults: FaultCounts,
    /// The steps that did nothing.
    pub unfired: Vec<Unfired>,
    /// The moments that it met.
    pub exposure: Exposure,
    /// How many replicas there were.
    pub replicas: u8,
    /// How many clients.
    pub clients: u8,
}

impl Outcome {
    /// The finding, if the run failed.
    #[must_use]
    pub const fn finding(&self) -> Option<&Finding> {
        match &self.verdict {
            Verdict::Fail(finding) => Some(finding),
            Verdict::Pass | Verdict::Unknown(_) => None,
        }
    }
}
