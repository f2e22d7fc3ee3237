//! What is replicated and asked for, behind one door: the cluster, the oracles and the reports know a service by this alone.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use linearizability::{Exhausted, HistoryError};
use serde_json::{Map, Value};
use vsr_core::state_machine::StateMachine;

use super::key_value::service::KeyValueService;
use super::workload::Workload;
use crate::engine::random::Seed;
use crate::engine::time::Time;

/// A kind of service, with clients that know what to ask it and a judge who knows what it may answer.
pub trait Service: fmt::Debug + Send + Sync {
    /// A service to which nothing has happened yet.
    fn machine(&self) -> Machine;

    /// What one client of it is going to ask.
    fn script(&self, assignment: &Assignment) -> Box<dyn Script>;

    /// An empty record of what clients saw of it.
    fn chronicle(&self) -> Box<dyn Chronicle>;

    /// A judge for runs so long that nobody wants to remember them, if there is one. Without one a long run takes as much memory as it
    /// has requests.
    fn follower(&self) -> Option<Box<dyn Follower>> {
        None
    }

    /// The bytes of an operation that a scenario tells in the words of [`Self::operation_in_words`].
    ///
    /// # Errors
    ///
    /// Why they tell none.
    fn operation_from_words(&self, words: &str) -> Result<Vec<u8>, String> {
        Err(format!("`{words}` tells nothing: this service reads no operations in words"))
    }

    /// An operation in words.
    fn operation_in_words(&self, operation: &[u8]) -> String;

    /// As [`Self::operation_in_words`], with all that [`Self::operation_from_words`] needs to read the same bytes.
    fn operation_in_full(&self, operation: &[u8]) -> String {
        self.operation_in_words(operation)
    }

    /// An answer in words.
    fn answer_in_words(&self, answer: &[u8]) -> String;

    /// The fields of an operation and its answer in a stored history. Unless said otherwise, both in words.
    fn as_recorded(&self, operation: &[u8], answer: Option<&[u8]>) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("operation".to_owned(), self.operation_in_words(operation).into());
        if let Some(answer) = answer {
            fields.insert("answer".to_owned(), self.answer_in_words(answer).into());
        }
        fields
    }
}

/// The kind of service that a run has; unless said otherwise, the key-value store.
#[derive(Clone, Debug)]
pub struct AnyService(Arc<dyn Service>);

impl AnyService {
    /// This kind of service.
    pub fn new(service: impl Service + 'static) -> Self {
        Self(Arc::new(service))
    }
}

impl Default for AnyService {
    fn default() -> Self {
        Self::new(KeyValueService)
    }
}

impl Deref for AnyService {
    type Target = dyn Service;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// One service, as a replica holds it.
pub trait Replicated: StateMachine + fmt::Debug {}

impl<S: StateMachine + fmt::Debug> Replicated for S {}

/// One service of any kind.
pub type Machine = Box<dyn Replicated>;

impl StateMachine for Machine {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        (**self).apply(operation, reply);
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        (**self).snapshot(snapshot);
    }

    fn restore(&mut self, snapshot: &[u8]) {
        (**self).restore(snapshot);
    }

    fn digest(&self) -> Option<u128> {
        (**self).digest()
    }
}

/// Whose operations a script is to give.
#[derive(Clone, Copy, Debug)]
pub struct Assignment {
    /// How clients behave.
    pub workload: Workload,
    /// The seed of the run.
    pub seed: Seed,
    /// Which client.
    pub client: u8,
    /// The most bytes that an operation may have.
    pub body_size_max: usize,
}

/// One client's way through its operations.
pub trait Script: fmt::Debug {
    /// Appends the bytes of the client's operation `number` to `bytes`. It depends on the number and on what the client was
    /// answered; never on how often it was asked for, since a client that comes back asks again from where it was.
    fn operation(&mut self, number: u32, bytes: &mut Vec<u8>);

    /// Takes notice of the answer to an operation.
    fn answered(&mut self, operation: &[u8], answer: &[u8]) {
        let _ = (operation, answer);
    }
}

/// Questions and answers, written down as they come, and judged in the end.
pub trait Chronicle: fmt::Debug {
    /// Writes down that `process` asks; returns the number of the question.
    ///
    /// # Errors
    ///
    /// When that cannot be.
    fn invoke(
        &mut self,
        process: u64,
        now: Time,
        operation: &[u8],
    ) -> Result<usize, ChronicleError>;

    /// Writes down that `process` is answered; returns the number of its question.
    ///
    /// # Errors
    ///
    /// When that cannot be.
    fn complete(&mut self, process: u64, now: Time, answer: &[u8])
    -> Result<usize, ChronicleError>;

    /// Judges all that was written down; what is still open is pending. The checker may take `steps` steps for each part if
    /// the order in which operations were committed does not explain the history as it is.
    fn judge(self: Box<Self>, commit_order: Vec<usize>, steps: u64) -> Judgement;
}

/// Questions and answers, judged as they come, by the order in which operations take effect; and forgotten then.
///
/// It may be sure that a history is linearizable, and nothing else. Where it is not sure the run is run again, with a [`Chronicle`].
pub trait Follower: fmt::Debug {
    /// As [`Chronicle::invoke`].
    ///
    /// # Errors
    ///
    /// When that cannot be.
    fn invoke(
        &mut self,
        process: u64,
        now: Time,
        operation: &[u8],
    ) -> Result<usize, ChronicleError>;

    /// As [`Chronicle::complete`].
    ///
    /// # Errors
    ///
    /// When that cannot be.
    fn complete(&mut self, process: u64, now: Time, answer: &[u8])
    -> Result<usize, ChronicleError>;

    /// `process` is gone: its last question stays without an answer, if it is without one.
    fn abandon(&mut self, process: u64);

    /// The question takes effect next.
    fn take_effect(&mut self, question: usize);

    /// The question, whose process is gone, cannot take effect any more.
    fn never(&mut self, question: usize);

    /// Whether it cannot be sure any more.
    fn is_in_doubt(&self) -> bool;

    /// Ends the history: what is still open is pending. Answers whether it is linearizable for certain.
    fn finish(self: Box<Self>) -> bool;
}

/// Why something cannot be written down: a bug in a client, in the service, or in the simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChronicleError {
    /// The bytes of a question are no operation.
    Question,
    /// The bytes of an answer are none, or none to this question.
    Answer,
    /// No client can have asked or been answered in this order.
    Order(HistoryError),
}

/// What the checker says of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Some order explains every answer.
    Linearizable,
    /// None does: the reason in words, and the operations that cannot be put into any order.
    NotLinearizable(String),
    /// A budget ran out.
    Unknown(Exhausted),
}
