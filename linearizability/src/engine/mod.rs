//! How one part of a history is decided.

pub(crate) mod plain;
pub(crate) mod problem;
pub(crate) mod space;

use crate::{Budget, Resource};

/// What an engine answers. Operations are positions in the problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An order that explains everything.
    Order(Vec<u32>),
    /// There is none. If the engine knows operations that suffice for the contradiction, here they are.
    Impossible(Option<Vec<u32>>),
    /// Something ran out.
    Exhausted {
        /// What.
        resource: Resource,
        /// The most operations that any order explained.
        placed: usize,
    },
}

/// Counts what is spent.
#[derive(Debug, Clone)]
pub(crate) struct Meter<'a> {
    /// Steps taken.
    pub(crate) steps: u64,
    steps_max: u64,
    bytes_max: usize,
    budget: Budget<'a>,
}

/// How many steps pass between two looks at the clock.
const STOP_PERIOD: u64 = 1 << 12;

impl<'a> Meter<'a> {
    pub(crate) fn new(budget: &Budget<'a>) -> Self {
        Self { steps: 0, steps_max: budget.steps, bytes_max: budget.bytes, budget: *budget }
    }

    /// Takes one step, unless something ran out. `bytes` is what the engine holds now.
    pub(crate) fn step(&mut self, bytes: usize) -> Result<(), Resource> {
        if self.steps >= self.steps_max {
            return Err(Resource::Steps);
        }
        if bytes > self.bytes_max {
            return Err(Resource::Bytes);
        }
        self.steps += 1;
        if self.steps.is_multiple_of(STOP_PERIOD) { self.look() } else { Ok(()) }
    }

    /// Asks the caller whether there is time left.
    pub(crate) fn look(&self) -> Result<(), Resource> {
        match self.budget.stop {
            Some(stop) if stop() => Err(Resource::Time),
            Some(_) | None => Ok(()),
        }
    }
}
