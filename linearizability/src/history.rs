//! What clients saw: operations, each an interval of time with a question and, mostly, an answer.

use std::collections::BTreeMap;

/// The moment an operation's answer arrived, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Completion<O> {
    /// When the answer arrived; never before the call. The unit is the caller's.
    pub at: i64,
    /// The answer.
    pub output: O,
}

/// One operation of one process: an interval, closed at both ends.
///
/// An operation without a completion is *pending*: its process crashed or gave up, no answer is known, and it may or may
/// not have taken effect, at any time after its call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operation<I, O> {
    /// Names the operation within its history; the recorder counts from zero, a reader of files as well.
    pub id: u64,
    /// The process (client, thread) that asked; it has at most one open operation.
    pub process: u64,
    /// When the process asked. The unit is the caller's, the same for a whole history.
    pub call: i64,
    /// The question.
    pub input: I,
    /// The answer and its time, absent for a pending operation.
    pub completion: Option<Completion<O>>,
}

impl<I, O> Operation<I, O> {
    /// When the operation ended; a pending one ends after everything else, at `i64::MAX`.
    pub fn returned(&self) -> i64 {
        self.completion.as_ref().map_or(i64::MAX, |completion| completion.at)
    }

    /// The answer, if there was one.
    pub fn output(&self) -> Option<&O> {
        self.completion.as_ref().map(|completion| &completion.output)
    }

    /// Whether no answer is known.
    pub fn is_pending(&self) -> bool {
        self.completion.is_none()
    }

    /// Whether this operation ended strictly before `other` began, so that every order must keep them so.
    ///
    /// Intervals are closed: one that ends at 20 is concurrent with one that begins at 20. A clock that is too coarse to
    /// tell the two moments apart must not be able to convict anybody.
    pub fn precedes(&self, other: &Self) -> bool {
        self.completion.is_some() && self.returned() < other.call
    }
}

/// Why a set of operations is no history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// An answer is older than its question.
    #[error("operation {id} returns at {returned}, before its call at {call}")]
    ReturnBeforeCall {
        /// The operation.
        id: u64,
        /// When it was called.
        call: i64,
        /// When it is said to have returned.
        returned: i64,
    },
    /// Two operations carry one id.
    #[error("two operations carry the id {id}")]
    DuplicateId {
        /// The id.
        id: u64,
    },
    /// A process asks again while its last question is open.
    #[error(
        "process {process} calls operation {second} at {call} while its operation {first} is still open"
    )]
    StillOpen {
        /// The process.
        process: u64,
        /// The operation that is open.
        first: u64,
        /// The operation that should have waited.
        second: u64,
        /// When the second was called.
        call: i64,
    },
    /// An answer arrives for a process that has asked nothing.
    #[error("process {process} returns at {at} without an open operation")]
    NothingOpen {
        /// The process.
        process: u64,
        /// When the answer is said to have arrived.
        at: i64,
    },
    /// More operations than an index can name.
    #[error("a history holds at most {} operations", History::<(), ()>::LENGTH_MAX)]
    TooLong,
}

impl HistoryError {
    /// The operation to point at, where there is one: the later one of two.
    pub fn operation(&self) -> Option<u64> {
        match self {
            Self::ReturnBeforeCall { id, .. } | Self::DuplicateId { id } => Some(*id),
            Self::StillOpen { second, .. } => Some(*second),
            Self::NothingOpen { .. } | Self::TooLong => None,
        }
    }
}

/// A validated set of operations.
///
/// Invariants: no answer precedes its question, no id occurs twice, and no process has two open operations (one may begin
/// at the very moment at which its predecessor ends).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History<I, O> {
    operations: Vec<Operation<I, O>>,
}

impl<I, O> History<I, O> {
    /// The greatest number of operations; an event fits into 32 bits.
    pub const LENGTH_MAX: usize = (1 << 31) - 1;

    /// Takes operations in any order.
    ///
    /// # Errors
    /// The first of the invariants that does not hold.
    pub fn from_operations(operations: Vec<Operation<I, O>>) -> Result<Self, HistoryError> {
        if operations.len() > Self::LENGTH_MAX {
            return Err(HistoryError::TooLong);
        }
        for operation in &operations {
            if operation.returned() < operation.call {
                return Err(HistoryError::ReturnBeforeCall {
                    id: operation.id,
                    call: operation.call,
                    returned: operation.returned(),
                });
            }
        }
        refuse_duplicate_ids(&operations)?;
        refuse_overlap(&operations)?;
        Ok(Self { operations })
    }

    /// The operations, in the order in which they were given.
    pub fn operations(&self) -> &[Operation<I, O>] {
        &self.operations
    }

    /// The number of operations.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Gives the operations back.
    pub fn into_operations(self) -> Vec<Operation<I, O>> {
        self.operations
    }
}

fn refuse_duplicate_ids<I, O>(operations: &[Operation<I, O>]) -> Result<(), HistoryError> {
    if operations.windows(2).all(|pair| pair[0].id < pair[1].id) {
        return Ok(());
    }
    let mut ids: Vec<u64> = operations.iter().map(|operation| operation.id).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(HistoryError::DuplicateId { id: pair[0] }),
        None => Ok(()),
    }
}

fn refuse_overlap<I, O>(operations: &[Operation<I, O>]) -> Result<(), HistoryError> {
    let mut order: Vec<usize> = (0..operations.len()).collect();
    order.sort_unstable_by_key(|&index| {
        let operation = &operations[index];
        (operation.process, operation.call, operation.returned(), operation.id)
    });
    for pair in order.windows(2) {
        let (first, second) = (&operations[pair[0]], &operations[pair[1]]);
        let same = first.process == second.process;
        if same && (first.is_pending() || second.call < first.returned()) {
            return Err(HistoryError::StillOpen {
                process: first.process,
                first: first.id,
                second: second.id,
                call: second.call,
            });
        }
    }
    Ok(())
}

/// What a recorder remembers of a process.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// Its operation at this index has no answer yet.
    Open(usize),
    /// Its operation with this id was answered at this time.
    Closed { id: u64, at: i64 },
}

/// Records a history while it happens: questions and answers, in the order of the world that asks and answers.
///
/// What is still open at [`Recorder::finish`] becomes pending. A client that comes back after a crash needs a new
/// process number, since its last question stays open for ever.
///
/// ```
/// use linearizability::Recorder;
///
/// let mut recorder = Recorder::new();
/// recorder.invoke(0, 10, "write 1").unwrap();
/// recorder.invoke(1, 12, "read").unwrap();
/// recorder.complete(1, 20, "1").unwrap();
/// let history = recorder.finish();
/// assert!(history.operations()[0].is_pending());
/// assert_eq!(history.operations()[1].returned(), 20);
/// ```
#[derive(Debug, Clone)]
pub struct Recorder<I, O> {
    operations: Vec<Operation<I, O>>,
    processes: BTreeMap<u64, Last>,
}

impl<I, O> Default for Recorder<I, O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I, O> Recorder<I, O> {
    /// A recorder that has seen nothing.
    pub fn new() -> Self {
        Self { operations: Vec::new(), processes: BTreeMap::new() }
    }

    /// The number of questions so far.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing was asked yet.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Records that `process` asked `input`; answers the operation's index in the history, which is its id as well.
    ///
    /// # Errors
    /// [`HistoryError::StillOpen`] when the process has not been answered yet, [`HistoryError::TooLong`].
    pub fn invoke(&mut self, process: u64, call: i64, input: I) -> Result<usize, HistoryError> {
        let index = self.operations.len();
        if index == History::<I, O>::LENGTH_MAX {
            return Err(HistoryError::TooLong);
        }
        let id = index as u64;
        let refused = match self.processes.get(&process) {
            Some(&Last::Open(open)) => Some(self.operations[open].id),
            Some(&Last::Closed { id: first, at }) => (call < at).then_some(first),
            None => None,
        };
        if let Some(first) = refused {
            return Err(HistoryError::StillOpen { process, first, second: id, call });
        }
        self.processes.insert(process, Last::Open(index));
        self.operations.push(Operation { id, process, call, input, completion: None });
        Ok(index)
    }

    /// Records that the open operation of `process` was answered; answers its index.
    ///
    /// # Errors
    /// [`HistoryError::NothingOpen`] when there is none (an answer that came twice), [`HistoryError::ReturnBeforeCall`].
    pub fn complete(&mut self, process: u64, at: i64, output: O) -> Result<usize, HistoryError> {
        let Some(&Last::Open(index)) = self.processes.get(&process) else {
            return Err(HistoryError::NothingOpen { process, at });
        };
        let operation = &mut self.operations[index];
        if at < operation.call {
            let (id, call) = (operation.id, operation.call);
            return Err(HistoryError::ReturnBeforeCall { id, call, returned: at });
        }
        operation.completion = Some(Completion { at, output });
        self.processes.insert(process, Last::Closed { id: operation.id, at });
        Ok(index)
    }

    /// The question that `process` waits for, with its index.
    pub fn open(&self, process: u64) -> Option<(usize, &Operation<I, O>)> {
        match self.processes.get(&process) {
            Some(&Last::Open(index)) => Some((index, &self.operations[index])),
            Some(Last::Closed { .. }) | None => None,
        }
    }

    /// Ends the recording.
    pub fn finish(self) -> History<I, O> {
        History { operations: self.operations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(id: u64, process: u64, call: i64, at: Option<i64>) -> Operation<(), ()> {
        let completion = at.map(|at| Completion { at, output: () });
        Operation { id, process, call, input: (), completion }
    }

    #[test]
    fn a_return_before_its_call_is_refused() {
        let refused = History::from_operations(vec![operation(3, 0, 10, Some(9))]);
        assert_eq!(refused, Err(HistoryError::ReturnBeforeCall { id: 3, call: 10, returned: 9 }));
    }

    #[test]
    fn one_id_for_two_operations_is_refused() {
        let refused = History::from_operations(vec![
            operation(1, 0, 0, Some(1)),
            operation(0, 1, 0, Some(1)),
            operation(1, 2, 0, Some(1)),
        ]);
        assert_eq!(refused, Err(HistoryError::DuplicateId { id: 1 }));
    }

    #[test]
    fn a_process_waits_for_its_answer() {
        let overlap = vec![operation(0, 7, 0, Some(5)), operation(1, 7, 4, Some(6))];
        let refused = HistoryError::StillOpen { process: 7, first: 0, second: 1, call: 4 };
        assert_eq!(History::from_operations(overlap), Err(refused.clone()));
        assert_eq!(refused.operation(), Some(1));

        let after_a_crash = vec![operation(0, 7, 0, None), operation(1, 7, 4, Some(6))];
        assert_eq!(History::from_operations(after_a_crash), Err(refused));

        let back_to_back = vec![operation(1, 7, 5, Some(6)), operation(0, 7, 0, Some(5))];
        assert!(History::from_operations(back_to_back).is_ok());
    }

    #[test]
    fn closed_intervals_that_touch_are_concurrent() {
        let (first, second) = (operation(0, 0, 0, Some(20)), operation(1, 1, 20, Some(30)));
        assert!(!first.precedes(&second));
        assert!(first.precedes(&operation(2, 1, 21, None)));
        assert!(!operation(3, 2, 0, None).precedes(&second));
    }

    #[test]
    fn a_recorder_refuses_what_no_client_can_do() {
        let mut recorder = Recorder::new();
        assert_eq!(recorder.invoke(4, 10, 'a'), Ok(0));
        let open = HistoryError::StillOpen { process: 4, first: 0, second: 1, call: 11 };
        assert_eq!(recorder.invoke(4, 11, 'b'), Err(open));
        let early = HistoryError::ReturnBeforeCall { id: 0, call: 10, returned: 9 };
        assert_eq!(recorder.complete(4, 9, ()), Err(early));
        assert_eq!(recorder.complete(4, 12, ()), Ok(0));
        let twice = HistoryError::NothingOpen { process: 4, at: 13 };
        assert_eq!(recorder.complete(4, 13, ()), Err(twice));
        let past = HistoryError::StillOpen { process: 4, first: 0, second: 1, call: 11 };
        assert_eq!(recorder.invoke(4, 11, 'b'), Err(past));
        assert_eq!(recorder.finish().len(), 1);
    }
}
