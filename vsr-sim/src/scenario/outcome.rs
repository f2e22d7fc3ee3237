//! What came of a run.

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::random::Seed;
use crate::engine::time::{Span, Time};
use crate::engine::world::Counters;
use crate::faults::Fault;
use crate::oracles::Exposure;

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

/// What sort of thing was violated, the gravest first: it decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The same seed gave two runs.
    Nondeterminism,
    /// An invariant does not hold.
    Safety,
    /// No order of the clients' operations explains what they saw.
    NotLinearizable,
    /// The code under test panicked.
    Panic,
    /// What must happen after the faults have stopped did not.
    NoProgress,
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What sort of thing it is.
    pub kind: FindingKind,
    /// The name of the property, such as `agreement`.
    pub property: &'static str,
    /// Where it fired, in words that do not vary with the seed; part of the signature.
    pub place: String,
    /// Both sides of the contradiction, in words.
    pub message: String,
    /// When.
    pub at: Time,
}

impl Finding {
    /// What failures are grouped by: a hash of the property and of where it fired, not of the seed.
    #[must_use]
    pub fn signature(&self) -> u64 {
        xxh3_64(format!("{}\0{}", self.property, self.place).as_bytes())
    }
}

/// How often each fault was done.
pub type FaultCounts = [u64; Fault::NAMES.len()];

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
