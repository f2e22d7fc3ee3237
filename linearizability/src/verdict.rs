//! What a check answers, and what it may spend.

use std::fmt;

/// The answer of a check; never a bool, since a search may run out of means before it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// There is an order that explains every answer, and here it is.
    Linearizable(Witness),
    /// There is none, and this is why.
    NotLinearizable(Box<Evidence>),
    /// A budget ran out before either was known. This is not a pass.
    Unknown(Exhausted),
}

/// An order of a history's operations that explains every answer and keeps real time.
///
/// Only [`verify`](crate::verify) makes one, after it has replayed the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    pub(crate) order: Vec<u32>,
}

impl Witness {
    /// Indices of operations in the history, first to take effect first. Every completed operation is among them;
    /// a pending one only if it took effect.
    pub fn order(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.order.iter().map(|&index| index as usize)
    }
}

/// Why no order explains a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The smallest set of operations found that contradict each other, as indices in the history, by time of call.
    ///
    /// Together they are impossible even if every other completed operation is let go: its answer and its return
    /// forgotten, as if its process had crashed (which is not the same as if it had never been called).
    pub operations: Vec<usize>,
    /// Whether none of `operations` can be let go in turn. Only a budget that ran out on the way leaves this false.
    pub minimal: bool,
    /// The operation that could not be placed: the history up to its return has no order, up to just before it has one.
    pub unplaced: usize,
    /// An order of all that had returned before, and of as many of the others as it needed: the longest that there is
    /// before the contradiction.
    pub longest: Vec<usize>,
    /// The contradiction in words.
    pub reason: String,
    /// Which part of the object is contradictory: a position in the order of the model's keys.
    pub partition: usize,
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Steps of the search.
    Steps,
    /// Memory.
    Bytes,
    /// The caller said stop.
    Time,
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Steps => "steps",
            Self::Bytes => "memory",
            Self::Time => "time",
        })
    }
}

/// What was explored before a budget ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    /// What ran out, in the first part that stayed open.
    pub resource: Resource,
    /// The steps that were taken, in all parts.
    pub steps: u64,
    /// The parts of the object that were decided, all of them linearizable.
    pub partitions_decided: usize,
    /// The parts of the object.
    pub partitions: usize,
    /// The most operations that any order explained in the first part that stayed open, and how many that part has.
    pub placed: (usize, usize),
}

impl fmt::Display for Exhausted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the budget of {} ran out after {} steps; {} of {} parts are linearizable, and the first open one has an \
             order for {} of its {} operations",
            self.resource,
            self.steps,
            self.partitions_decided,
            self.partitions,
            self.placed.0,
            self.placed.1,
        )
    }
}

/// What a check may spend.
///
/// Steps and bytes are counted, not measured: with the same budget of both, the same history has the same verdict on
/// every machine and with any number of threads. Time is for those who cannot wait; it gives up that promise.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Attempts to place an operation, for each part of the object.
    pub steps: u64,
    /// Memory for all searches together, in bytes; what is linear in the history's length is not counted.
    pub bytes: usize,
    /// Asked now and then; the check gives up when it answers true.
    pub stop: Option<&'a (dyn Fn() -> bool + Sync)>,
}

impl Default for Budget<'_> {
    /// A hundred million steps, a gibibyte, and no limit of time.
    fn default() -> Self {
        Self { steps: 100_000_000, bytes: 1 << 30, stop: None }
    }
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Budget")
            .field("steps", &self.steps)
            .field("bytes", &self.bytes)
            .field("stop", &self.stop.is_some())
            .finish()
    }
}
