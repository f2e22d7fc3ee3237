//! The default service: a key-value store over bytes.
//!
//! An operation is one byte that says what to do, the key (one byte of length, then the key), and what else it needs, each
//! value with four bytes of length in front. An answer has the same form. Both are little-endian, and both are exact: bytes
//! left over make an operation as malformed as bytes that are missing. What is malformed is answered, never a reason to fail.

pub mod grammar;
pub mod plain;
pub mod script;
pub mod service;

use std::collections::BTreeMap;

use vsr_core::state_machine::StateMachine;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The most bytes of a key.
pub const KEY_SIZE_MAX: usize = u8::MAX as usize;

/// What a client may ask the store to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation<'a> {
    /// What is the value?
    Get {
        /// Of which key.
        key: &'a [u8],
    },
    /// Let this be the value.
    Put {
        /// Of which key.
        key: &'a [u8],
        /// The new value.
        value: &'a [u8],
    },
    /// Let this be added to the end of the value; an absent one counts as empty.
    Append {
        /// Of which key.
        key: &'a [u8],
        /// What to add.
        suffix: &'a [u8],
    },
    /// Let there be no value.
    Delete {
        /// Of which key.
        key: &'a [u8],
    },
    /// If the value is `expected`, let it be `new`; otherwise say what it is.
    Swap {
        /// Of which key.
        key: &'a [u8],
        /// What the value must be.
        expected: &'a [u8],
        /// What it is to become.
        new: &'a [u8],
    },
}

/// What the store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer<'a> {
    /// It is done: to a put, an append or a delete.
    Done,
    /// The value, or that there is none: to a get.
    Value(Option<&'a [u8]>),
    /// The value was the expected one, and is the new one now.
    Swapped,
    /// The value was this one, or there was none; it stays.
    NotSwapped(Option<&'a [u8]>),
    /// The bytes are no operation.
    Refused(Malformed),
}

/// Why bytes are no operation, or no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Malformed {
    /// The first byte means nothing.
    UnknownKind,
    /// They end too early.
    TooShort,
    /// They go on after the end.
    TooLong,
}

const GET: u8 = 1;
const PUT: u8 = 2;
const APPEND: u8 = 3;
const DELETE: u8 = 4;
const SWAP: u8 = 5;

const DONE: u8 = 1;
const VALUE: u8 = 2;
const ABSENT: u8 = 3;
const SWAPPED: u8 = 4;
const NOT_SWAPPED: u8 = 5;
const NOT_SWAPPED_ABSENT: u8 = 6;
const REFUSED_KIND: u8 = 7;
const REFUSED_SHORT: u8 = 8;
const REFUSED_LONG: u8 = 9;

impl<'a> Operation<'a> {
    /// The key that it touches: the only one.
    #[must_use]
    pub const fn key(&self) -> &'a [u8] {
        match self {
            Self::Get { key }
            | Self::Put { key, .. }
            | Self::Append { key, .. }
            | Self::Delete { key }
            | Self::Swap { key, .. } => key,
        }
    }

    /// Appends the bytes of the operation.
    ///
    /// # Panics
    ///
    /// When the key is longer than [`KEY_SIZE_MAX`], or a value than four bytes can tell.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let kind = match self {
            Self::Get { .. } => GET,
            Self::Put { .. } => PUT,
            Self::Append { .. } => APPEND,
            Self::Delete { .. } => DELETE,
            Self::Swap { .. } => SWAP,
        };
        let key = self.key();
        bytes.push(kind);
        bytes.push(u8::try_from(key.len()).expect("a key has at most 255 bytes"));
        bytes.extend_from_slice(key);
        match self {
            Self::Get { .. } | Self::Delete { .. } => {}
            Self::Put { value, .. } => put_value(bytes, value),
            Self::Append { suffix, .. } => put_value(bytes, suffix),
            Self::Swap { expected, new, .. } => {
                put_value(bytes, expected);
                put_value(bytes, new);
            }
        }
    }

    /// Reads an operation.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes, unless they are exactly those of an operation.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, rest) = bytes.split_first().ok_or(Malformed::TooShort)?;
        if !(GET..=SWAP).contains(kind) {
            return Err(Malformed::UnknownKind);
        }
        let (length, rest) = rest.split_first().ok_or(Malformed::TooShort)?;
        let (key, mut rest) =
            rest.split_at_checked(usize::from(*length)).ok_or(Malformed::TooShort)?;
        let operation = match *kind {
            GET => Self::Get { key },
            DELETE => Self::Delete { key },
            PUT => Self::Put { key, value: take_value(&mut rest)? },
            APPEND => Self::Append { key, suffix: take_value(&mut rest)? },
            _ => Self::Swap { key, expected: take_value(&mut rest)?, new: take_value(&mut rest)? },
        };
        if rest.is_empty() { Ok(operation) } else { Err(Malformed::TooLong) }
    }
}

impl<'a> Answer<'a> {
    /// Appends the bytes of the answer.
    ///
    /// # Panics
    ///
    /// When a value is longer than four bytes can tell.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Done => bytes.push(DONE),
            Self::Value(None) => bytes.push(ABSENT),
            Self::Value(Some(value)) => {
                bytes.push(VALUE);
                put_value(bytes, value);
            }
            Self::Swapped => bytes.push(SWAPPED),
            Self::NotSwapped(None) => bytes.push(NOT_SWAPPED_ABSENT),
            Self::NotSwapped(Some(value)) => {
                bytes.push(NOT_SWAPPED);
                put_value(bytes, value);
            }
            Self::Refused(Malformed::UnknownKind) => bytes.push(REFUSED_KIND),
            Self::Refused(Malformed::TooShort) => bytes.push(REFUSED_SHORT),
            Self::Refused(Malformed::TooLong) => bytes.push(REFUSED_LONG),
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes, unless they are exactly those of an answer.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, mut rest) = bytes.split_first().ok_or(Malformed::TooShort)?;
        let answer = match *kind {
            DONE => Self::Done,
            ABSENT => Self::Value(None),
            VALUE => Self::Value(Some(take_value(&mut rest)?)),
            SWAPPED => Self::Swapped,
            NOT_SWAPPED_ABSENT => Self::NotSwapped(None),
            NOT_SWAPPED => Self::NotSwapped(Some(take_value(&mut rest)?)),
            REFUSED_KIND => Self::Refused(Malformed::UnknownKind),
            REFUSED_SHORT => Self::Refused(Malformed::TooShort),
            REFUSED_LONG => Self::Refused(Malformed::TooLong),
            _ => return Err(Malformed::UnknownKind),
        };
        if rest.is_empty() { Ok(answer) } else { Err(Malformed::TooLong) }
    }
}

fn put_value(bytes: &mut Vec<u8>, value: &[u8]) {
    let length = u32::try_from(value.len()).expect("a value's length fits four bytes");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(value);
}

fn take_value<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let (length, after) = rest.split_first_chunk::<4>().ok_or(Malformed::TooShort)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Malformed::TooShort)?;
    let (value, after) = after.split_at_checked(length).ok_or(Malformed::TooShort)?;
    *rest = after;
    Ok(value)
}

/// The store.
///
/// Its digest is the sum of the hashes of its pairs, and is brought up to date by what an operation changes: it costs no pass
/// over the store, and depends on the state alone, not on how it came about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    pairs: BTreeMap<Box<[u8]>, Stored>,
    digest: u128,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    value: Vec<u8>,
    digest: u128,
}

fn digest_of(key: &[u8], value: &[u8]) -> u128 {
    let [low, high] = {
        let bytes = xxh3_128_with_seed(key, key.len() as u64).to_le_bytes();
        let (low, high) = bytes.split_at(8);
        [low, high].map(|half| u64::from_le_bytes(half.try_into().expect("half of sixteen bytes")))
    };
    xxh3_128_with_seed(value, low ^ high.rotate_left(32))
}

impl KeyValue {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `key`, if there is one.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.pairs.get(key).map(|stored| stored.value.as_slice())
    }

    /// How many keys have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Changes the value of `key` by `change`, which finds it empty where there was none.
    fn set(&mut self, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
        if !self.pairs.contains_key(key) {
            self.pairs.insert(key.into(), Stored { value: Vec::new(), digest: 0 });
        }
        let stored = self.pairs.get_mut(key).expect("the key was there, or was put there");
        change(&mut stored.value);
        let digest = digest_of(key, &stored.value);
        self.digest = self.digest.wrapping_sub(stored.digest).wrapping_add(digest);
        stored.digest = digest;
    }

    fn execute(&mut self, operation: &Operation<'_>) -> Answer<'_> {
        match *operation {
            Operation::Get { key } => Answer::Value(self.get(key)),
            Operation::Put { key, value } => {
                self.set(key, |stored| {
                    stored.clear();
                    stored.extend_from_slice(value);
                });
                Answer::Done
            }
            Operation::Append { key, suffix } => {
                self.set(key, |stored| stored.extend_from_slice(suffix));
                Answer::Done
            }
            Operation::Delete { key } => {
                if let Some(stored) = self.pairs.remove(key) {
                    self.digest = self.digest.wrapping_sub(stored.digest);
                }
                Answer::Done
            }
            Operation::Swap { key, expected, new } => {
                if self.get(key) != Some(expected) {
                    return Answer::NotSwapped(self.get(key));
                }
                self.set(key, |stored| {
                    stored.clear();
                    stored.extend_from_slice(new);
                });
                Answer::Swapped
            }
        }
    }
}

impl StateMachine for KeyValue {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        match Operation::decode(operation) {
            Ok(operation) => self.execute(&operation).encode(reply),
            Err(malformed) => Answer::Refused(malformed).encode(reply),
        }
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        // A snapshot is the puts that make the store, in the order of the keys.
        for (key, stored) in &self.pairs {
            Operation::Put { key, value: &stored.value }.encode(snapshot);
        }
    }

    fn restore(&mut self, snapshot: &[u8]) {
        *self = Self::new();
        let mut rest = snapshot;
        while let Some((head, after)) = rest.split_first_chunk::<2>() {
            assert!(head[0] == PUT, "a snapshot holds puts only");
            let (key, mut after) = after.split_at(usize::from(head[1]));
            let value = take_value(&mut after).expect("a snapshot ends where a pair ends");
            self.set(key, |stored| stored.extend_from_slice(value));
            rest = after;
        }
        assert!(rest.is_empty(), "a snapshot ends where a pair ends");
    }

    fn digest(&self) -> Option<u128> {
        Some(self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(store: &mut KeyValue, operation: &Operation<'_>) -> Vec<u8> {
        let (mut bytes, mut reply) = (Vec::new(), Vec::new());
        operation.encode(&mut bytes);
        assert_eq!(Operation::decode(&bytes), Ok(*operation));
        store.apply(&bytes, &mut reply);
        reply
    }

    const K: &[u8] = b"k";

    #[test]
    fn a_key_lives_through_its_whole_life() {
        let mut store = KeyValue::new();
        let mut expect = |operation: Operation<'_>, answer: Answer<'_>| {
            let reply = ask(&mut store, &operation);
            assert_eq!(Answer::decode(&reply), Ok(answer), "{operation:?}");
        };
        expect(Operation::Get { key: K }, Answer::Value(None));
        expect(Operation::Swap { key: K, expected: b"", new: b"1" }, Answer::NotSwapped(None));
        expect(Operation::Append { key: K, suffix: b"a" }, Answer::Done);
        expect(Operation::Append { key: K, suffix: b"b" }, Answer::Done);
        expect(Operation::Get { key: K }, Answer::Value(Some(b"ab")));
        expect(
            Operation::Swap { key: K, expected: b"a", new: b"1" },
            Answer::NotSwapped(Some(b"ab")),
        );
        expect(Operation::Swap { key: K, expected: b"ab", new: b"1" }, Answer::Swapped);
        expect(Operation::Put { key: K, value: b"" }, Answer::Done);
        expect(Operation::Get { key: K }, Answer::Value(Some(b"")));
        expect(Operation::Delete { key: K }, Answer::Done);
        expect(Operation::Delete { key: K }, Answer::Done);
        expect(Operation::Get { key: K }, Answer::Value(None));
        // An empty value is a value: a store that took it for absence would fail the swap of an absent key.
    }

    #[test]
    fn nonsense_is_answered_and_changes_nothing() {
        let mut good = Vec::new();
        Operation::Swap { key: K, expected: b"old", new: b"new" }.encode(&mut good);
        let mut store = KeyValue::new();
        ask(&mut store, &Operation::Put { key: K, value: b"old" });
        let before = store.clone();

        let mut refuse = |bytes: &[u8], malformed| {
            let mut reply = Vec::new();
            store.apply(bytes, &mut reply);
            assert_eq!(Answer::decode(&reply), Ok(Answer::Refused(malformed)), "{bytes:?}");
            assert_eq!(store, before);
        };
        for length in 0..good.len() {
            refuse(&good[..length], Malformed::TooShort);
        }
        refuse(&[&good[..], &[0]].concat(), Malformed::TooLong);
        refuse(&[0, 0], Malformed::UnknownKind);
        refuse(&[PUT, 0, 255, 255, 255, 255], Malformed::TooShort);
        assert_eq!(Answer::decode(&[77]), Err(Malformed::UnknownKind));
        assert_eq!(Answer::decode(&[DONE, 0]), Err(Malformed::TooLong));
    }

    #[test]
    fn a_digest_tells_states_and_not_histories() {
        let (mut one, mut other) = (KeyValue::new(), KeyValue::new());
        assert_eq!(one.digest(), other.digest());
        ask(&mut one, &Operation::Put { key: b"a", value: b"1" });
        ask(&mut one, &Operation::Put { key: b"b", value: b"2" });
        ask(&mut other, &Operation::Put { key: b"b", value: b"" });
        ask(&mut other, &Operation::Append { key: b"b", suffix: b"2" });
        assert_ne!(one.digest(), other.digest());
        ask(&mut other, &Operation::Put { key: b"c", value: b"3" });
        ask(&mut other, &Operation::Put { key: b"a", value: b"1" });
        ask(&mut other, &Operation::Delete { key: b"c" });
        assert_eq!(one.digest(), other.digest());
        assert_eq!(one, other);

        // The values of two keys exchanged: a sum of hashes that left the key out would not see it.
        ask(&mut other, &Operation::Put { key: b"a", value: b"2" });
        ask(&mut other, &Operation::Put { key: b"b", value: b"1" });
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn a_snapshot_brings_the_store_back() {
        let mut store = KeyValue::new();
        ask(&mut store, &Operation::Put { key: b"", value: b"of the empty key" });
        ask(&mut store, &Operation::Put { key: &[7; KEY_SIZE_MAX], value: &[9; 70_000] });
        let mut snapshot = Vec::new();
        store.snapshot(&mut snapshot);

        let mut other = KeyValue::new();
        ask(&mut other, &Operation::Put { key: b"gone", value: b"x" });
        other.restore(&snapshot);
        assert_eq!(other, store);
        assert_eq!(other.get(b"gone"), None);
        // What the store held before must not shine through.
    }
}
