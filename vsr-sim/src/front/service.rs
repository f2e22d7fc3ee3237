//! Somebody else's service behind the one door that the cluster knows.

use std::fmt::{self, Debug, Write as _};
use std::marker::PhantomData;
use std::sync::Arc;

use linearizability::Model;
use vsr_core::state_machine::StateMachine;

use super::model::Shared;
use super::operations::{Draw, Operations};
use crate::cluster::history::{Followed, Language, Written};
use crate::cluster::service::{Assignment, Chronicle, Follower, Machine, Script, Service};
use crate::engine::random::Seed;

/// What stands before the bytes of an operation that has no words of its own.
const BYTES: &str = "0x";

/// A service, what it is asked, and what it should do.
pub(super) struct Embedded<S, O, M> {
    operations: Arc<O>,
    model: Arc<M>,
    machine: PhantomData<fn() -> S>,
}

impl<S, O, M> Embedded<S, O, M> {
    pub(super) fn new(operations: O, model: M) -> Self {
        Self { operations: Arc::new(operations), model: Arc::new(model), machine: PhantomData }
    }
}

impl<S, O, M> Debug for Embedded<S, O, M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Embedded({})", std::any::type_name::<S>())
    }
}

impl<S, O, M> Service for Embedded<S, O, M>
where
    S: StateMachine + Default + Debug + 'static,
    O: Operations,
    M: Model<Input = O::Operation, Output = O::Answer> + Send + Sync + 'static,
{
    fn machine(&self) -> Machine {
        Box::new(S::default())
    }

    fn script(&self, assignment: &Assignment) -> Box<dyn Script> {
        let Assignment { seed, client, body_size_max, .. } = *assignment;
        let operations = Arc::clone(&self.operations);
        Box::new(Drawn { operations, seed, client, body_size_max })
    }

    fn chronicle(&self) -> Box<dyn Chronicle> {
        let (operations, model) = (Arc::clone(&self.operations), Arc::clone(&self.model));
        Box::new(Written::of(Spoken { operations, model }))
    }

    fn follower(&self) -> Option<Box<dyn Follower>> {
        let (operations, model) = (Arc::clone(&self.operations), Arc::clone(&self.model));
        Some(Box::new(Followed::of(Spoken { operations, model })))
    }

    fn operation_from_words(&self, words: &str) -> Result<Vec<u8>, String> {
        if let Some(operation) = self.operations.read(words) {
            return Ok(self.operations.encode(&operation));
        }
        let Some((_, digits)) = words.rsplit_once(BYTES) else {
            return Err(format!("`{words}` tells no operation, and ends with no bytes (0x…)"));
        };
        let bytes = from_hexadecimal(digits)
            .ok_or_else(|| format!("`{BYTES}{digits}` are no bytes: two digits for each"))?;
        match self.operations.decode(&bytes) {
            Some(_) => Ok(bytes),
            None => Err(format!("`{BYTES}{digits}` are bytes that say no operation")),
        }
    }

    fn operation_in_words(&self, operation: &[u8]) -> String {
        match self.operations.decode(operation) {
            Some(operation) => self.operations.words(&operation),
            None => format!("no operation: {}", hexadecimal(operation)),
        }
    }

    /// The words where they read back, and else the bytes too.
    fn operation_in_full(&self, operation: &[u8]) -> String {
        let words = self.operation_in_words(operation);
        let read = self.operations.read(&words).map(|read| self.operations.encode(&read));
        if read.as_deref() == Some(operation) {
            return words;
        }
        format!("{words} = {}", hexadecimal(operation))
    }

    fn answer_in_words(&self, answer: &[u8]) -> String {
        match self.operations.decode_answer(answer) {
            Some(answer) => self.operations.answer_in_words(&answer),
            None => format!("no answer: {}", hexadecimal(answer)),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = BYTES.to_owned();
    for byte in bytes {
        // Writing to a string never fails.
        write!(text, "{byte:02x}").ok();
    }
    text
}

fn from_hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let is_digit = |letter: u8| letter.is_ascii_hexdigit();
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(is_digit) {
        return None;
    }
    let places = (0..digits.len()).step_by(2);
    places.map(|place| u8::from_str_radix(&digits[place..place + 2], 16).ok()).collect()
}

/// One client's way through what is drawn for it.
struct Drawn<O> {
    operations: Arc<O>,
    seed: Seed,
    client: u8,
    body_size_max: usize,
}

impl<O> Debug for Drawn<O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Drawn").field("client", &self.client).finish_non_exhaustive()
    }
}

impl<O: Operations> Script for Drawn<O> {
    fn operation(&mut self, number: u32, bytes: &mut Vec<u8>) {
        let operation = self.operations.draw(&mut Draw::new(self.seed, self.client, number));
        let encoded = self.operations.encode(&operation);
        let (size, most) = (encoded.len(), self.body_size_max);
        assert!(size <= most, "an operation of {size} bytes, where {most} are the most");
        bytes.extend_from_slice(&encoded);
    }
}

/// How the checker reads the service's bytes.
struct Spoken<O, M> {
    operations: Arc<O>,
    model: Arc<M>,
}

impl<O, M> Clone for Spoken<O, M> {
    fn clone(&self) -> Self {
        Self { operations: Arc::clone(&self.operations), model: Arc::clone(&self.model) }
    }
}

impl<O, M> Language for Spoken<O, M>
where
    O: Operations,
    M: Model<Input = O::Operation, Output = O::Answer>,
{
    type Model = Shared<O, M>;

    fn question(&mut self, operation: &[u8]) -> Option<O::Operation> {
        self.operations.decode(operation)
    }

    fn answer(&mut self, _: &O::Operation, answer: &[u8]) -> Option<O::Answer> {
        self.operations.decode_answer(answer)
    }

    fn model(self) -> Shared<O, M> {
        Shared { operations: self.operations, model: self.model }
    }
}
