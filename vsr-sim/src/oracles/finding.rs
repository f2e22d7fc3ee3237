//! A violation as all the rest of the program speaks of it, whoever noticed it: an oracle, the checker, the driver or the world.

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::time::Time;

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
