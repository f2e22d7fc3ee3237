//! The key-value store as a service: its clients, its words and its judge.

use linearizability::{KeyValue as Model, KeyValueCall, KeyValueInput, KeyValueOutput, Symbols};

use serde_json::{Map, Value, json};

use super::plain::Plain;
use super::script::KeyValueScript;
use super::{Answer, KeyValue, Operation, grammar};
use crate::cluster::history::{Followed, Language, Written};
use crate::cluster::service::{Assignment, Chronicle, Follower, Machine, Script, Service};
use crate::cluster::words;

/// The default service.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyValueService;

impl Service for KeyValueService {
    fn machine(&self) -> Machine {
        Box::new(KeyValue::new())
    }

    fn script(&self, assignment: &Assignment) -> Box<dyn Script> {
        Box::new(KeyValueScript::new(assignment))
    }

    fn chronicle(&self) -> Box<dyn Chronicle> {
        Box::new(Written::<KeyValueLanguage>::default())
    }

    fn follower(&self) -> Option<Box<dyn Follower>> {
        Some(Box::new(Followed::of(Plain)))
    }

    fn operation_from_words(&self, words: &str) -> Result<Vec<u8>, String> {
        grammar::parse(words).map_err(|error| error.to_string())
    }

    fn operation_in_words(&self, operation: &[u8]) -> String {
        words::operation(operation)
    }

    fn operation_in_full(&self, operation: &[u8]) -> String {
        // Cut short where that says it all: large values are mostly one letter.
        let words = self.operation_in_words(operation);
        let is_all = self.operation_from_words(&words).is_ok_and(|read| read == operation);
        if is_all { words } else { words::operation_in_full(operation) }
    }

    fn answer_in_words(&self, answer: &[u8]) -> String {
        words::answer(answer)
    }

    /// As `linearizability` reads it.
    fn as_recorded(&self, operation: &[u8], answer: Option<&[u8]>) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut field = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        let Ok(operation) = Operation::decode(operation) else { return fields };
        let (name, value) = match operation {
            Operation::Get { .. } => ("get", None),
            Operation::Put { value, .. } => ("put", Some(scalar(value))),
            Operation::Append { suffix, .. } => ("append", Some(scalar(suffix))),
            Operation::Delete { .. } => ("delete", None),
            Operation::Swap { expected, new, .. } => {
                ("cas", Some(Value::from(vec![scalar(expected), scalar(new)])))
            }
        };
        field("f", name.into());
        field("key", scalar(operation.key()));
        if let Some(value) = value {
            field("value", value);
        }
        match answer.map(Answer::decode) {
            None | Some(Err(_)) => {}
            Some(Ok(Answer::Done | Answer::Value(None))) => field("output", Value::Null),
            Some(Ok(Answer::Value(Some(value)))) => field("output", scalar(value)),
            Some(Ok(Answer::Swapped)) => field("output", true.into()),
            Some(Ok(Answer::NotSwapped(was))) => {
                field("output", json!({ "ok": false, "was": was.map(scalar) }));
            }
            Some(Ok(Answer::Refused(why))) => field("output", format!("{why:?}").into()),
        }
        fields
    }
}

/// Bytes as a string; those that are no text by their digits, after a letter that no text here begins with.
fn scalar(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            std::iter::once("\u{fffd}".to_owned()).chain(digits).collect::<String>().into()
        }
    }
}

/// Reads operations and answers for the checker, which knows keys and values by number.
#[derive(Debug, Default)]
pub struct KeyValueLanguage {
    symbols: Symbols,
}

impl Language for KeyValueLanguage {
    type Model = Model;

    fn question(&mut self, operation: &[u8]) -> Option<KeyValueInput> {
        let operation = Operation::decode(operation).ok()?;
        let key = self.symbols.intern(operation.key());
        let call = match operation {
            Operation::Get { .. } => KeyValueCall::Get,
            Operation::Put { value, .. } => KeyValueCall::Put(self.symbols.intern(value)),
            Operation::Append { suffix, .. } => KeyValueCall::Append(self.symbols.intern(suffix)),
            Operation::Delete { .. } => KeyValueCall::Delete,
            Operation::Swap { expected, new, .. } => KeyValueCall::Cas {
                expected: Some(self.symbols.intern(expected)),
                new: self.symbols.intern(new),
            },
        };
        Some(KeyValueInput { key, call })
    }

    fn answer(&mut self, _: &KeyValueInput, answer: &[u8]) -> Option<KeyValueOutput> {
        Some(match Answer::decode(answer).ok()? {
            Answer::Done => KeyValueOutput::Done,
            Answer::Value(None) => KeyValueOutput::Absent,
            Answer::Value(Some(value)) => KeyValueOutput::Value(self.symbols.intern(value)),
            Answer::Swapped => KeyValueOutput::Swapped,
            Answer::NotSwapped(was) => {
                KeyValueOutput::Was(was.map(|value| self.symbols.intern(value)))
            }
            Answer::Refused(_) => return None,
        })
    }

    fn model(self) -> Model {
        Model::new(self.symbols)
    }
}
