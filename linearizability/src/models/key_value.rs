//! A key-value service: get, put, append, delete and compare-and-swap. Keys are judged apart.

use crate::{Model, Operation, RegisterView, Symbol, Symbols};
use std::sync::OnceLock;

/// A key-value service whose keys and values are symbols of one table.
///
/// A key starts absent, or with the value given to [`KeyValue::with_initial`]. To append to an absent key creates it.
#[derive(Debug, Clone)]
pub struct KeyValue {
    symbols: Symbols,
    initial: Option<Symbol>,
    /// All symbols in the order of their bytes; only a search among appends asks for it.
    sorted: OnceLock<Vec<Symbol>>,
}

/// A question to a [`KeyValue`] service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyValueInput {
    /// The key.
    pub key: Symbol,
    /// What is asked of it.
    pub call: KeyValueCall,
}

/// What a [`KeyValueInput`] asks of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyValueCall {
    /// What is the value?
    Get,
    /// Let this be the value.
    Put(Symbol),
    /// Let this follow the value.
    Append(Symbol),
    /// Let there be no value.
    Delete,
    /// If the value is `expected` (`None`: if there is none), let it be `new`.
    Cas {
        /// What the caller thinks the value is.
        expected: Option<Symbol>,
        /// What it wants it to be.
        new: Symbol,
    },
}

/// An answer of a [`KeyValue`] service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyValueOutput {
    /// To a get: the value.
    Value(Symbol),
    /// To a get: the key is absent.
    Absent,
    /// To a get: the key is absent since the delete that answered [`KeyValueOutput::Deleted`] with this version; zero,
    /// since the beginning.
    AbsentSince(u64),
    /// To a put, an append or a delete.
    Done,
    /// To a delete: done, and this is the version of the absence that it left. Never zero.
    Deleted(u64),
    /// To a cas: the value was the expected one, and is now the new one.
    Swapped,
    /// To a cas: the value was another than the expected one.
    NotSwapped,
    /// To a cas: as [`KeyValueOutput::NotSwapped`], and it was this.
    Was(Option<Symbol>),
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyValueState {
    /// Nothing, since the delete of this version; `None` after a delete whose version is unknown.
    Absent(Option<u64>),
    /// A value that occurs in the history.
    Value(Symbol),
    /// The beginning of such a value, which does not itself occur.
    Prefix(Box<[u8]>),
    /// Anything else that appends have made: no get can see it, whatever is appended to it.
    Unseen,
}

impl KeyValue {
    /// A service in which every key starts absent.
    pub fn new(symbols: Symbols) -> Self {
        Self { symbols, initial: None, sorted: OnceLock::new() }
    }

    /// A service in which every key starts with `initial`.
    pub fn with_initial(symbols: Symbols, initial: Symbol) -> Self {
        Self { initial: Some(initial), ..Self::new(symbols) }
    }

    /// The table of keys and values.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The value that every key starts with, if it does not start absent.
    pub fn initial_value(&self) -> Option<Symbol> {
        self.initial
    }

    fn appended(&self, state: &KeyValueState, token: Symbol) -> KeyValueState {
        let before: &[u8] = match state {
            KeyValueState::Absent(_) => return KeyValueState::Value(token),
            KeyValueState::Unseen => return KeyValueState::Unseen,
            KeyValueState::Value(value) => self.symbols.bytes(*value),
            KeyValueState::Prefix(bytes) => bytes,
        };
        let after = [before, self.symbols.bytes(token)].concat();
        if let Some(value) = self.symbols.find(&after) {
            return KeyValueState::Value(value);
        }
        let sorted = self.sorted.get_or_init(|| {
            let mut sorted: Vec<Symbol> = self.symbols.iter().collect();
            sorted.sort_by_key(|&symbol| self.symbols.bytes(symbol));
            sorted
        });
        let at = sorted.partition_point(|&symbol| self.symbols.bytes(symbol) < &after[..]);
        match sorted.get(at) {
            Some(&symbol) if self.symbols.bytes(symbol).starts_with(&after) => {
                KeyValueState::Prefix(after.into_boxed_slice())
            }
            Some(_) | None => KeyValueState::Unseen,
        }
    }
}

fn holds(state: &KeyValueState, expected: Option<Symbol>) -> bool {
    match (state, expected) {
        (KeyValueState::Absent(_), None) => true,
        (KeyValueState::Value(value), Some(expected)) => *value == expected,
        (KeyValueState::Absent(_), Some(_))
        | (KeyValueState::Value(_), None)
        | (KeyValueState::Prefix(_) | KeyValueState::Unseen, _) => false,
    }
}

impl Model for KeyValue {
    type State = KeyValueState;
    type Input = KeyValueInput;
    type Output = KeyValueOutput;
    type Key = Symbol;

    fn key(&self, input: &KeyValueInput) -> Symbol {
        input.key
    }

    fn initial(&self, _: &Symbol) -> KeyValueState {
        self.initial.map_or(KeyValueState::Absent(Some(0)), KeyValueState::Value)
    }

    fn step(
        &self,
        state: &KeyValueState,
        input: &KeyValueInput,
        output: Option<&KeyValueOutput>,
        next: &mut Vec<KeyValueState>,
    ) {
        use {KeyValueCall as Call, KeyValueOutput as Output, KeyValueState as State};
        let after = match (input.call, output) {
            (Call::Get, None) => Some(state.clone()),
            (Call::Get, Some(Output::Value(value))) => {
                holds(state, Some(*value)).then(|| state.clone())
            }
            (Call::Get, Some(Output::Absent)) => holds(state, None).then(|| state.clone()),
            (Call::Get, Some(Output::AbsentSince(version))) => match state {
                State::Absent(known) if known.is_none_or(|known| known == *version) => {
                    Some(State::Absent(Some(*version)))
                }
                State::Absent(_) | State::Value(_) | State::Prefix(_) | State::Unseen => None,
            },
            (Call::Put(value), Some(Output::Done) | None) => Some(State::Value(value)),
            (Call::Append(token), Some(Output::Done) | None) => Some(self.appended(state, token)),
            (Call::Delete, Some(Output::Done) | None) => Some(State::Absent(None)),
            (Call::Delete, Some(Output::Deleted(version))) => Some(State::Absent(Some(*version))),
            (Call::Cas { expected, new }, Some(Output::Swapped) | None) => {
                holds(state, expected).then_some(State::Value(new))
            }
            (Call::Cas { expected, .. }, Some(Output::NotSwapped)) => {
                (!holds(state, expected)).then(|| state.clone())
            }
            (Call::Cas { expected, .. }, Some(Output::Was(value))) => {
                (*value != expected && holds(state, *value)).then(|| state.clone())
            }
            (
                Call::Get | Call::Put(_) | Call::Append(_) | Call::Delete | Call::Cas { .. },
                Some(_),
            ) => None,
        };
        next.extend(after);
    }

    fn is_read(&self, input: &KeyValueInput, output: Option<&KeyValueOutput>) -> bool {
        use {KeyValueCall as Call, KeyValueOutput as Output};
        match input.call {
            // It may teach an absence its version.
            Call::Get => !matches!(output, Some(Output::AbsentSince(_))),
            Call::Cas { expected, new } => match output {
                Some(Output::NotSwapped | Output::Was(_)) => true,
                _ => expected == Some(new),
            },
            Call::Put(_) | Call::Append(_) | Call::Delete => false,
        }
    }

    fn as_register(
        &self,
        _: &Symbol,
        operations: &[&Operation<KeyValueInput, KeyValueOutput>],
    ) -> Option<RegisterView> {
        super::prefix::view(&self.symbols, self.initial, operations)
    }

    fn describe(&self, input: &KeyValueInput, output: Option<&KeyValueOutput>) -> String {
        use {KeyValueCall as Call, KeyValueOutput as Output};
        let text = |symbol: Symbol| self.symbols.text(symbol);
        let maybe = |symbol: Option<Symbol>| symbol.map_or_else(|| "absent".to_owned(), text);
        // A register without a name is a key without a text.
        let register = self.symbols.bytes(input.key).is_empty();
        let of = |key_value: &str, plain: &str| match register {
            true => plain.to_owned(),
            false => format!("{key_value} {}", text(input.key)),
        };
        let asked = match input.call {
            Call::Get => of("get", "read"),
            Call::Put(value) => format!("{} {}", of("put", "write"), text(value)),
            Call::Append(token) => format!("{} {}", of("append", "append"), text(token)),
            Call::Delete => of("delete", "delete"),
            Call::Cas { expected, new } => {
                format!("{} {} to {}", of("cas", "cas"), maybe(expected), text(new))
            }
        };
        match output {
            Some(Output::Value(value)) => format!("{asked} -> {}", text(*value)),
            Some(Output::Absent) => format!("{asked} -> absent"),
            Some(Output::AbsentSince(version)) => format!("{asked} -> absent since {version}"),
            Some(Output::Deleted(version)) => format!("{asked} -> version {version}"),
            Some(Output::Swapped) => format!("{asked} -> swapped"),
            Some(Output::NotSwapped) => format!("{asked} -> failed"),
            Some(Output::Was(value)) => format!("{asked} -> failed, was {}", maybe(*value)),
            Some(Output::Done) | None => asked,
        }
    }

    fn describe_state(&self, state: &KeyValueState) -> String {
        match state {
            KeyValueState::Absent(_) => "absent".to_owned(),
            KeyValueState::Value(value) => self.symbols.text(*value),
            KeyValueState::Prefix(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            KeyValueState::Unseen => "a value that nobody saw".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_lead_to_values_that_occur_or_to_one_state_that_does_not_matter() {
        let mut symbols = Symbols::new();
        let [a, b, abc] = [&b"a"[..], b"b", b"abc"].map(|text| symbols.intern(text));
        let model = KeyValue::new(symbols);
        let mut state = model.initial(&a);
        for (token, after) in [
            (a, KeyValueState::Value(a)),
            (b, KeyValueState::Prefix(Box::from(&b"ab"[..]))),
            (b, KeyValueState::Unseen),
            (a, KeyValueState::Unseen),
        ] {
            let mut next = Vec::new();
            let input = KeyValueInput { key: a, call: KeyValueCall::Append(token) };
            model.step(&state, &input, None, &mut next);
            assert_eq!(next, [after]);
            state = next.remove(0);
        }
        let mut next = Vec::new();
        let get = KeyValueInput { key: a, call: KeyValueCall::Get };
        model.step(&state, &get, Some(&KeyValueOutput::Value(abc)), &mut next);
        assert!(next.is_empty());
    }

    #[test]
    fn an_absence_has_one_version() {
        let mut symbols = Symbols::new();
        let key = symbols.intern(b"k");
        let model = KeyValue::new(symbols);
        let get = KeyValueInput { key, call: KeyValueCall::Get };
        let after = |state: &KeyValueState, output| {
            let mut next = Vec::new();
            model.step(state, &get, Some(&output), &mut next);
            next
        };
        let unknown = KeyValueState::Absent(None);
        let known = KeyValueState::Absent(Some(7));
        assert_eq!(after(&unknown, KeyValueOutput::AbsentSince(7)), *std::slice::from_ref(&known));
        assert_eq!(after(&known, KeyValueOutput::AbsentSince(7)), *std::slice::from_ref(&known));
        assert_eq!(after(&known, KeyValueOutput::Absent), *std::slice::from_ref(&known));
        assert!(after(&known, KeyValueOutput::AbsentSince(8)).is_empty());
        assert!(after(&model.initial(&key), KeyValueOutput::AbsentSince(8)).is_empty());
    }
}
