//! The key-value store as it is judged while a run goes on: bytes, and no names for them that would have to be kept.

use std::sync::Arc;

use linearizability::Model;

use super::{Answer, Operation};
use crate::cluster::history::Language;

/// What a store should do, one key at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Model for Plain {
    /// The value, if there is one.
    type State = Option<Arc<[u8]>>;
    /// The bytes of an operation.
    type Input = Box<[u8]>;
    /// The bytes of an answer.
    type Output = Box<[u8]>;
    type Key = Box<[u8]>;

    fn key(&self, input: &Self::Input) -> Self::Key {
        Operation::decode(input).map(|operation| operation.key().into()).unwrap_or_default()
    }

    fn initial(&self, _: &Self::Key) -> Self::State {
        None
    }

    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
        next: &mut Vec<Self::State>,
    ) {
        let Ok(operation) = Operation::decode(input) else { return };
        let value = state.as_deref();
        let (after, answer) = match operation {
            Operation::Get { .. } => (state.clone(), Answer::Value(value)),
            Operation::Put { value, .. } => (Some(value.into()), Answer::Done),
            Operation::Append { suffix, .. } => {
                let after = [value.unwrap_or_default(), suffix].concat();
                (Some(after.into()), Answer::Done)
            }
            Operation::Delete { .. } => (None, Answer::Done),
            Operation::Swap { expected, new, .. } if value == Some(expected) => {
                (Some(new.into()), Answer::Swapped)
            }
            // Without an answer it may as well not have taken effect.
            Operation::Swap { .. } if output.is_none() => return,
            Operation::Swap { .. } => (state.clone(), Answer::NotSwapped(value)),
        };
        if output.is_none_or(|output| Answer::decode(output) == Ok(answer)) {
            next.push(after);
        }
    }
}

impl Language for Plain {
    type Model = Self;

    fn question(&mut self, operation: &[u8]) -> Option<Box<[u8]>> {
        Operation::decode(operation).ok().map(|_| operation.into())
    }

    fn answer(&mut self, _: &Box<[u8]>, answer: &[u8]) -> Option<Box<[u8]>> {
        match Answer::decode(answer).ok()? {
            Answer::Refused(_) => None,
            Answer::Done | Answer::Value(_) | Answer::Swapped | Answer::NotSwapped(_) => {
                Some(answer.into())
            }
        }
    }

    fn model(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vsr_core::state_machine::StateMachine as _;

    use super::super::KeyValue;
    use super::*;
    use crate::engine::random::{Keyed, Seed};

    /// It takes the answers of the store, and no others.
    #[test]
    fn it_is_what_the_store_does() {
        let keyed = Keyed::new(Seed::new(7), "plain");
        let mut store = KeyValue::new();
        let mut states = BTreeMap::new();
        let mut last: BTreeMap<Box<[u8]>, Box<[u8]>> = BTreeMap::new();
        let mut refused = 0;
        for number in 0..20_000 {
            let fate = keyed.fate(0, number);
            let key: &[u8] = &[b'a' + u8::try_from(fate.up_to(0, 2)).unwrap()];
            let (one, other) = (fate.up_to(1, 2).to_le_bytes(), fate.up_to(2, 2).to_le_bytes());
            let operation = match fate.up_to(3, 4) {
                0 => Operation::Get { key },
                1 => Operation::Put { key, value: &one },
                2 => Operation::Append { key, suffix: &one },
                3 => Operation::Delete { key },
                _ => Operation::Swap { key, expected: &one, new: &other },
            };
            let (mut question, mut answer) = (Vec::new(), Vec::new());
            operation.encode(&mut question);
            store.apply(&question, &mut answer);
            let (question, answer) = (question.into(), answer.into());
            let state = states.entry(Plain.key(&question)).or_insert(None);
            let mut next = Vec::new();
            if let Some(wrong) = last.get(key).filter(|wrong| **wrong != answer) {
                Plain.step(state, &question, Some(wrong), &mut next);
                assert_eq!(next, [], "{operation:?}");
                refused += 1;
            }
            Plain.step(state, &question, Some(&answer), &mut next);
            assert_eq!(next.len(), 1, "{operation:?}");
            *state = next.pop().unwrap();
            assert_eq!(state.as_deref(), store.get(key));
            last.insert(key.into(), answer);
        }
        assert!(refused > 5_000, "{refused}");
    }
}
