//! Judges a history while it happens, by an order that is known: it remembers what is open, and nothing of what is done.

use crate::witness::deduplicate;
use crate::{Completion, HistoryError, Model, Operation, Refusal};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

#[cfg(test)]
mod tests;

/// An operation that is not judged yet.
struct Held<I, O> {
    index: usize,
    operation: Operation<I, O>,
    /// Whether its place in the order is known.
    is_ordered: bool,
    /// Whether it will never be answered.
    is_abandoned: bool,
}

/// What is remembered of a process.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// Its operation at this index has no answer yet.
    Open(usize),
    /// Its operation at this index was answered at this time.
    Closed { index: usize, at: i64 },
}

/// A history that is recorded and judged at once, for a caller who knows the order in which operations take effect.
///
/// It is told questions and answers as a [`Recorder`](crate::Recorder) is, and besides, one by one, which operation takes effect next.
/// What has an answer and a place in the order is replayed against the model, and forgotten: so a history may be as long as it likes.
///
/// It says that a history is linearizable only where [`check_order`](crate::check_order) does so without a search: when the order
/// explains everything. A refusal proves nothing about the history, which is gone by then; whoever wants a verdict records it all, and
/// checks that.
///
/// ```
/// use linearizability::{Register, RegisterInput::{Read, Write}, RegisterOutput::{Value, Written}, Stream};
///
/// let mut stream = Stream::new(Register { initial: 0 });
/// let write = stream.invoke(0, 0, Write(1)).unwrap();
/// let read = stream.invoke(1, 10, Read).unwrap();
/// stream.take_effect(write);
/// stream.take_effect(read);
/// stream.complete(1, 30, Value(1)).unwrap();
/// assert_eq!(stream.held(), 2, "the write is not answered yet, and stands before the read");
/// stream.complete(0, 35, Written).unwrap();
/// assert_eq!(stream.held(), 0);
/// assert_eq!(stream.finish(), Ok(()));
/// ```
pub struct Stream<M: Model> {
    model: M,
    /// By index.
    held: VecDeque<Held<M::Input, M::Output>>,
    /// How many questions there were.
    count: usize,
    processes: BTreeMap<u64, Last>,
    /// What is known of the order and not replayed yet.
    order: VecDeque<usize>,
    states: BTreeMap<M::Key, Vec<M::State>>,
    next: Vec<M::State>,
    /// The latest call of all that was replayed, and whose it was.
    latest: Option<(i64, usize)>,
    refusal: Option<Refusal>,
}

impl<M: Model> fmt::Debug for Stream<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stream")
            .field("count", &self.count)
            .field("held", &self.held.len())
            .field("refusal", &self.refusal)
            .finish_non_exhaustive()
    }
}

impl<M: Model> Stream<M> {
    /// A history in which nothing has happened.
    pub fn new(model: M) -> Self {
        Self {
            model,
            held: VecDeque::new(),
            count: 0,
            processes: BTreeMap::new(),
            order: VecDeque::new(),
            states: BTreeMap::new(),
            next: Vec::new(),
            latest: None,
            refusal: None,
        }
    }

    /// The number of questions so far.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing was asked yet.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many operations are remembered: those that have no answer, or no place in the order, and those that stand in the order
    /// behind one that has no answer.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The first thing that the order does not explain. From then on nothing is judged, nor forgotten.
    pub const fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Records that `process` asked `input`; answers the operation's index in the history.
    ///
    /// # Errors
    /// [`HistoryError::StillOpen`] when the process has not been answered yet.
    pub fn invoke(
        &mut self,
        process: u64,
        call: i64,
        input: M::Input,
    ) -> Result<usize, HistoryError> {
        let index = self.count;
        let refused = match self.processes.get(&process) {
            Some(&Last::Open(open)) => Some(open),
            Some(&Last::Closed { index, at }) => (call < at).then_some(index),
            None => None,
        };
        if let Some(first) = refused {
            let (first, second) = (first as u64, index as u64);
            return Err(HistoryError::StillOpen { process, first, second, call });
        }
        self.count += 1;
        self.processes.insert(process, Last::Open(index));
        let operation = Operation { id: index as u64, process, call, input, completion: None };
        self.held.push_back(Held { index, operation, is_ordered: false, is_abandoned: false });
        Ok(index)
    }

    /// Records that the open operation of `process` was answered; answers its index.
    ///
    /// # Errors
    /// [`HistoryError::NothingOpen`] when there is none (an answer that came twice), [`HistoryError::ReturnBeforeCall`].
    pub fn complete(
        &mut self,
        process: u64,
        at: i64,
        output: M::Output,
    ) -> Result<usize, HistoryError> {
        let Some(&Last::Open(index)) = self.processes.get(&process) else {
            return Err(HistoryError::NothingOpen { process, at });
        };
        let place = place(&self.held, index).expect("what is open is held");
        let held = &mut self.held[place];
        let call = held.operation.call;
        if at < call {
            return Err(HistoryError::ReturnBeforeCall { id: index as u64, call, returned: at });
        }
        held.operation.completion = Some(Completion { at, output });
        self.processes.insert(process, Last::Closed { index, at });
        self.replay();
        Ok(index)
    }

    /// The question that `process` waits for; its id is its index.
    pub fn open(&self, process: u64) -> Option<&Operation<M::Input, M::Output>> {
        match self.processes.get(&process) {
            Some(&Last::Open(index)) => {
                place(&self.held, index).map(|place| &self.held[place].operation)
            }
            Some(Last::Closed { .. }) | None => None,
        }
    }

    /// Says that `process` is gone: what it has asked last stays without an answer for ever, and may take effect or not.
    pub fn abandon(&mut self, process: u64) {
        if let Some(Last::Open(index)) = self.processes.remove(&process)
            && let Some(place) = place(&self.held, index)
        {
            self.held[place].is_abandoned = true;
            self.replay();
        }
    }

    /// Says that an operation, by its index, takes effect next.
    pub fn take_effect(&mut self, index: usize) {
        match place(&self.held, index).map(|place| &mut self.held[place]) {
            Some(held) if !held.is_ordered => {
                held.is_ordered = true;
                self.order.push_back(index);
                self.replay();
            }
            Some(_) => self.refuse(Refusal::Twice(index)),
            None => self.refuse(Refusal::Stranger(index)),
        }
    }

    /// Says that an operation, whose process is gone, will not take effect any more.
    pub fn never(&mut self, index: usize) {
        let Some(place) = place(&self.held, index) else { return };
        let held = &self.held[place];
        if held.operation.is_pending() {
            if held.is_abandoned && !held.is_ordered {
                self.held.remove(place);
            }
        } else if !held.is_ordered {
            self.refuse(Refusal::Missing(index));
        }
    }

    /// Ends the recording: what is still open is pending.
    ///
    /// # Errors
    /// What the order does not explain.
    pub fn finish(mut self) -> Result<(), Refusal> {
        for held in &mut self.held {
            held.is_abandoned |= held.operation.is_pending();
        }
        self.replay();
        let mut rest = self.held.iter();
        let missing = rest.find(|held| !held.is_ordered && !held.operation.is_pending());
        match (self.refusal, missing) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(held)) => Err(Refusal::Missing(held.index)),
            (None, None) => Ok(()),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }

    /// Replays the order up to the first operation that may yet be answered.
    fn replay(&mut self) {
        while self.refusal.is_none()
            && let Some(&index) = self.order.front()
        {
            let place = place(&self.held, index).expect("what is not replayed is held");
            let held = &self.held[place];
            if held.operation.is_pending() && !held.is_abandoned {
                return;
            }
            self.order.pop_front();
            let held = self.held.remove(place).expect("found just now");
            if let Err(refusal) = self.step(index, &held.operation) {
                self.refuse(refusal);
            }
        }
    }

    /// As one step of [`verify`](crate::verify).
    fn step(
        &mut self,
        index: usize,
        operation: &Operation<M::Input, M::Output>,
    ) -> Result<(), Refusal> {
        if let Some((call, before)) = self.latest
            && operation.returned() < call
        {
            return Err(Refusal::RealTime { operation: index, before });
        }
        let key = self.model.key(&operation.input);
        let model = &self.model;
        let now = self.states.entry(key).or_insert_with_key(|key| vec![model.initial(key)]);
        self.next.clear();
        for state in &*now {
            model.step(state, &operation.input, operation.output(), &mut self.next);
        }
        if self.next.is_empty() {
            // Nobody saw its answer: it may as well have done nothing, as a failed swap does.
            let is_pending = operation.is_pending();
            return if is_pending { Ok(()) } else { Err(Refusal::Answer(index)) };
        }
        deduplicate(&mut self.next);
        std::mem::swap(now, &mut self.next);
        if self.latest.is_none_or(|(call, _)| call < operation.call) {
            self.latest = Some((operation.call, index));
        }
        Ok(())
    }
}

fn place<I, O>(held: &VecDeque<Held<I, O>>, index: usize) -> Option<usize> {
    held.binary_search_by_key(&index, |held| held.index).ok()
}
