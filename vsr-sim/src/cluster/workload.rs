//! How clients behave: how much they ask for and how fast, given by chances and sizes.
//!
//! The operation that client c asks for as its n-th is a function of the run's seed, c and n: it does not move when another
//! client, fault or packet is taken out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::random::{Keyed, Seed};
use crate::engine::time::Span;

/// The most keys that a workload may have.
pub const KEY_COUNT_MAX: u8 = 64;

/// How clients behave. They are closed loops: each waits for an answer, thinks, and asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// How many operations all clients together ask for before the faults stop.
    pub requests: u32,
    /// How many keys there are: 1 to [`KEY_COUNT_MAX`].
    pub keys: u8,
    /// The chance that an operation goes to the first key rather than to any, in parts per million.
    pub hot_ppm: u32,
    /// How often each operation is chosen.
    pub mix: Mix,
    /// The chance that a value is larger than a sector of the disk, in parts per million.
    pub large_ppm: u32,
    /// The shortest time between an answer and the next question.
    pub think_min: Span,
    /// The longest one.
    pub think_max: Span,
}

/// The weights of the operations against each other; at least one is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Reads.
    pub get: u32,
    /// Blind writes.
    pub put: u32,
    /// Additions to the end of a value.
    pub append: u32,
    /// Removals.
    pub delete: u32,
    /// Compare-and-swap.
    pub swap: u32,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            requests: 96,
            keys: 4,
            hot_ppm: 300_000,
            mix: Mix { get: 4, put: 3, append: 1, delete: 1, swap: 2 },
            large_ppm: 50_000,
            think_min: Span::ZERO,
            think_max: Span::from_ms(4),
        }
    }
}

/// Why a [`Workload`] cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadError {
    /// There is no key, or there are too many.
    Keys(u8),
    /// No operation has a weight.
    Mix,
    /// The longest time to think is shorter than the shortest.
    Think,
}

impl std::fmt::Display for WorkloadError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keys(count) => {
                write!(formatter, "{count} keys: a workload has 1 to {KEY_COUNT_MAX}")
            }
            Self::Mix => write!(formatter, "a mix in which no operation has a weight"),
            Self::Think => write!(formatter, "think_max is shorter than think_min"),
        }
    }
}

impl std::error::Error for WorkloadError {}

impl Workload {
    /// Checks that it can be run.
    ///
    /// # Errors
    ///
    /// The first part that makes no sense.
    pub const fn validate(&self) -> Result<(), WorkloadError> {
        if self.keys == 0 || self.keys > KEY_COUNT_MAX {
            return Err(WorkloadError::Keys(self.keys));
        }
        if self.mix.sum() == 0 {
            return Err(WorkloadError::Mix);
        }
        if self.think_max.as_ns() < self.think_min.as_ns() {
            return Err(WorkloadError::Think);
        }
        Ok(())
    }

    /// How many operations client `client` of `clients` asks for, so that all together ask for [`Self::requests`].
    #[must_use]
    pub fn share(&self, client: u8, clients: u8) -> u32 {
        let (count, rest) =
            (self.requests / u32::from(clients), self.requests % u32::from(clients));
        count + u32::from(u32::from(client) < rest)
    }
}

impl Mix {
    /// All weights together.
    pub(super) const fn sum(&self) -> u64 {
        self.get as u64
            + self.put as u64
            + self.append as u64
            + self.delete as u64
            + self.swap as u64
    }
}

/// The lane of an operation's fate that says how long its client thinks first; what it asks has the others.
const THINK: u64 = 5;

/// How fast one client goes through its operations.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    workload: Workload,
    keyed: Keyed,
    client: u8,
}

impl Pace {
    /// The pace of client number `client` in the run of `seed`.
    #[must_use]
    pub fn new(workload: Workload, seed: Seed, client: u8) -> Self {
        Self { workload, keyed: Keyed::new(seed, "workload"), client }
    }

    /// How long the client thinks before its operation `number`.
    #[must_use]
    pub fn think(&self, number: u32) -> Span {
        let (least, most) = (self.workload.think_min.as_ns(), self.workload.think_max.as_ns());
        let fate = self.keyed.fate(u64::from(self.client), u64::from(number));
        Span::from_ns(least + fate.up_to(THINK, most - least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        let workload = Workload { requests: 97, ..Workload::default() };
        assert_eq!((0..8).map(|client| workload.share(client, 8)).sum::<u32>(), 97);
        assert_eq!(workload.share(0, 8), 13);
        assert_eq!(workload.share(7, 8), 12);
    }
}
