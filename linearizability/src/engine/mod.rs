//! How one part of a history is decided.

pub(crate) mod lazy;
pub(crate) mod plain;
pub(crate) mod problem;
pub(crate) mod race;
pub(crate) mod space;
pub(crate) mod zones;

use crate::{Budget, Resource};

/// What an engine answers. Operations are positions in the problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An order that explains everything.
    Order(Vec<u32>),
    /// There is none.
    Impossible {
        /// Operations that suffice for the contradiction, if the engine knows some.
        core: Option<Vec<u32>>,
        /// How many returns were got past, if the engine goes by returns. It may have looked further ahead.
        level: Option<usize>,
    },
    /// Something ran out.
    Exhausted {
        /// What.
        resource: Resource,
        /// The most operations that any order explained.
        placed: usize,
    },
}

/// What a search that can be left says when it is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// An order that explains everything.
    Order(Vec<u32>),
    /// There is none; the search ended at this return.
    Impossible(Option<usize>),
    /// Not done: it was only to come so far for now.
    Paused,
}

/// Counts what is spent.
#[derive(Debug, Clone)]
pub(crate) struct Meter<'a> {
    /// Steps taken: operations that were tried at a place.
    pub(crate) steps: u64,
    /// The memory that one engine may hold.
    pub(crate) bytes_max: usize,
    budget: Budget<'a>,
    looked: u64,
}

/// How many steps pass between two looks at the clock.
const STOP_PERIOD: u64 = 1 << 12;

impl<'a> Meter<'a> {
    pub(crate) fn new(budget: &Budget<'a>) -> Self {
        Self { steps: 0, bytes_max: budget.bytes, budget: *budget, looked: 0 }
    }

    /// A meter for the next `steps` steps, or as many as are left.
    pub(crate) fn part(&self, steps: u64) -> Self {
        let steps = steps.min(self.budget.steps.saturating_sub(self.steps));
        let budget = Budget { steps, ..self.budget };
        Self { steps: 0, bytes_max: self.bytes_max, budget, looked: 0 }
    }

    /// Counts one step.
    pub(crate) fn step(&mut self) {
        self.steps += 1;
    }

    /// Whether the search may go on that holds so many bytes.
    pub(crate) fn check(&mut self, bytes: usize) -> Result<(), Resource> {
        if self.steps >= self.budget.steps {
            return Err(Resource::Steps);
        }
        if bytes > self.bytes_max {
            return Err(Resource::Bytes);
        }
        if self.steps - self.looked >= STOP_PERIOD {
            self.looked = self.steps;
            return self.look();
        }
        Ok(())
    }

    /// Asks the caller whether there is time left.
    pub(crate) fn look(&self) -> Result<(), Resource> {
        match self.budget.stop {
            Some(stop) if stop() => Err(Resource::Time),
            Some(_) | None => Ok(()),
        }
    }
}
