//! What clients ask the key-value store: a function of the run's seed, the client, and the operation's number, and of what the
//! client has seen.
//!
//! Every value that is written is written once, so that a history can be judged quickly; it begins with the names of its client
//! and its operation.

use std::collections::BTreeMap;
use std::io::Write as _;

use super::{Answer, Operation};
use crate::cluster::service::{Assignment, Script};
use crate::cluster::workload::Workload;
use crate::engine::random::{Fate, Keyed, MILLION};

/// The lanes of an operation's fate: one for each thing that is drawn for it. Lane 5 is the time to think.
mod lane {
    pub(super) const KIND: u64 = 0;
    pub(super) const HOT: u64 = 1;
    pub(super) const KEY: u64 = 2;
    pub(super) const LARGE: u64 = 3;
    pub(super) const SIZE: u64 = 4;
    pub(super) const GUESS: u64 = 6;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Get,
    Put,
    Append,
    Delete,
    Swap,
}

/// One client's way through the workload.
#[derive(Debug)]
pub struct KeyValueScript {
    workload: Workload,
    keyed: Keyed,
    client: u8,
    body_size_max: usize,
    /// What this client last saw each key hold: the best guess for a swap.
    seen: BTreeMap<u8, Vec<u8>>,
    value: Vec<u8>,
}

impl KeyValueScript {
    /// The way of one client.
    #[must_use]
    pub fn new(assignment: &Assignment) -> Self {
        let Assignment { workload, seed, client, body_size_max } = *assignment;
        assert!(workload.validate().is_ok());
        Self {
            workload,
            keyed: Keyed::new(seed, "workload"),
            client,
            body_size_max,
            seen: BTreeMap::new(),
            value: Vec::new(),
        }
    }

    fn fate(&self, number: u32) -> Fate {
        self.keyed.fate(u64::from(self.client), u64::from(number))
    }

    fn kind(&self, fate: Fate) -> Kind {
        let mix = &self.workload.mix;
        let mut rest = fate.up_to(lane::KIND, mix.sum() - 1);
        for (kind, weight) in [
            (Kind::Get, mix.get),
            (Kind::Put, mix.put),
            (Kind::Append, mix.append),
            (Kind::Delete, mix.delete),
        ] {
            match rest.checked_sub(u64::from(weight)) {
                Some(less) => rest = less,
                None => return kind,
            }
        }
        Kind::Swap
    }

    fn key(&self, fate: Fate) -> u8 {
        if fate.chance(lane::HOT, self.workload.hot_ppm.min(MILLION)) {
            return 0;
        }
        let key = fate.up_to(lane::KEY, u64::from(self.workload.keys) - 1);
        u8::try_from(key).expect("a key's number is below the number of keys")
    }

    /// Takes notice of what a key holds, as an answer told.
    fn notice(&mut self, key: &[u8], value: Option<&[u8]>) {
        let Some(index) = key_index(key) else { return };
        match value {
            None => {
                self.seen.remove(&index);
            }
            Some(value) => {
                let seen = self.seen.entry(index).or_default();
                seen.clear();
                seen.extend_from_slice(value);
            }
        }
    }

    /// A value that nobody else writes, a mebibyte at most; a large one spans two sectors wherever it begins.
    fn fill_value(&mut self, fate: Fate, number: u32) {
        self.value.clear();
        write!(self.value, "c{}.{number};", self.client)
            .expect("a buffer takes all that is written");
        if fate.chance(lane::LARGE, self.workload.large_ppm.min(MILLION)) {
            let size = 4_200 + fate.up_to(lane::SIZE, 2_800);
            let size = usize::try_from(size).expect("some thousands fit an index");
            let filler = b'a' + u8::try_from(number % 26).expect("below 26");
            self.value.resize(size.max(self.value.len()), filler);
        }
    }
}

impl Script for KeyValueScript {
    fn operation(&mut self, number: u32, bytes: &mut Vec<u8>) {
        let fate = self.fate(number);
        let index = self.key(fate);
        let name = key_name(index);
        let key = name.trim_ascii_end();
        let kind = self.kind(fate);
        if !matches!(kind, Kind::Get | Kind::Delete) {
            self.fill_value(fate, number);
        }
        let value = self.value.as_slice();
        let operation = match kind {
            Kind::Get => Operation::Get { key },
            Kind::Put => Operation::Put { key, value },
            Kind::Append => Operation::Append { key, suffix: value },
            Kind::Delete => Operation::Delete { key },
            Kind::Swap => match self.seen.get(&index) {
                // Now and then a guess that cannot be right.
                Some(seen) if !fate.lane(lane::GUESS).is_multiple_of(8) => {
                    Operation::Swap { key, expected: seen, new: value }
                }
                Some(_) | None => Operation::Swap { key, expected: b"?", new: value },
            },
        };
        let start = bytes.len();
        operation.encode(bytes);
        if bytes.len() - start > self.body_size_max {
            // Two large values do not fit one operation; a look at the key does.
            bytes.truncate(start);
            Operation::Get { key }.encode(bytes);
        }
    }

    fn answered(&mut self, operation: &[u8], answer: &[u8]) {
        let (Ok(operation), Ok(answer)) = (Operation::decode(operation), Answer::decode(answer))
        else {
            return;
        };
        match (operation, answer) {
            (
                Operation::Get { key } | Operation::Swap { key, .. },
                Answer::Value(value) | Answer::NotSwapped(value),
            ) => self.notice(key, value),
            (Operation::Put { key, value }, Answer::Done) => self.notice(key, Some(value)),
            (Operation::Swap { key, new, .. }, Answer::Swapped) => self.notice(key, Some(new)),
            (Operation::Delete { key }, Answer::Done) => self.notice(key, None),
            (
                Operation::Get { .. }
                | Operation::Put { .. }
                | Operation::Append { .. }
                | Operation::Delete { .. }
                | Operation::Swap { .. },
                Answer::Done
                | Answer::Value(_)
                | Answer::Swapped
                | Answer::NotSwapped(_)
                | Answer::Refused(_),
            ) => {}
        }
    }
}

/// The name of the key at `index`, with spaces up to the array's end.
fn key_name(index: u8) -> [u8; 4] {
    let mut name = *b"k   ";
    if index < 10 {
        name[1] = b'0' + index;
    } else {
        name[1] = b'0' + index / 10;
        name[2] = b'0' + index % 10;
    }
    name
}

fn key_index(key: &[u8]) -> Option<u8> {
    let digits = key.strip_prefix(b"k")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::workload::{KEY_COUNT_MAX, Mix};
    use crate::engine::random::Seed;
    use std::collections::BTreeSet;

    fn script_of(workload: Workload, seed: u64, client: u8) -> KeyValueScript {
        let seed = Seed::new(seed);
        KeyValueScript::new(&Assignment { workload, seed, client, body_size_max: 7_936 })
    }

    fn script(client: u8) -> KeyValueScript {
        script_of(Workload::default(), 7, client)
    }

    fn operation(script: &mut KeyValueScript, number: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        script.operation(number, &mut bytes);
        bytes
    }

    #[test]
    fn an_operation_depends_on_its_client_and_number_alone() {
        let mut once = script(3);
        let late = operation(&mut once, 20);
        for number in 0..20 {
            operation(&mut once, number);
        }
        assert_eq!(operation(&mut once, 20), late);
        assert_ne!(operation(&mut script(2), 20), late);
        // Were operations drawn in turn, a client that restarts would ask for others than one that does not.
    }

    #[test]
    fn every_kind_of_operation_comes_and_no_value_comes_twice() {
        let (mut values, mut kinds, mut large) = (BTreeSet::new(), [0; 5], 0);
        for client in 0..4 {
            let mut script = script(client);
            for number in 0..200 {
                script.notice(b"k0", Some(b"seen"));
                let bytes = operation(&mut script, number);
                assert!(bytes.len() <= 7_936);
                let (kind, value) = match Operation::decode(&bytes).unwrap() {
                    Operation::Get { .. } => (0, None),
                    Operation::Put { value, .. } => (1, Some(value.to_vec())),
                    Operation::Append { suffix, .. } => (2, Some(suffix.to_vec())),
                    Operation::Delete { .. } => (3, None),
                    Operation::Swap { new, .. } => (4, Some(new.to_vec())),
                };
                kinds[kind] += 1;
                large += u32::from(value.as_ref().is_some_and(|value| value.len() > 4_096));
                if let Some(value) = value {
                    assert!(values.insert(value), "client {client} operation {number}");
                }
            }
        }
        assert!(kinds.iter().all(|count| *count > 20), "{kinds:?}");
        assert!(large > 5, "{large}");
    }

    #[test]
    fn swaps_expect_what_was_seen_last() {
        let workload = Workload {
            keys: 1,
            mix: Mix { get: 0, put: 0, append: 0, delete: 0, swap: 1 },
            ..Workload::default()
        };
        let mut script = script_of(workload, 1, 0);
        script.notice(b"k0", Some(b"old"));
        script.notice(b"k0", Some(b"new"));
        let hits = (0..100)
            .filter(|number| {
                let bytes = operation(&mut script, *number);
                matches!(Operation::decode(&bytes), Ok(Operation::Swap { expected: b"new", .. }))
            })
            .count();
        assert!((50..100).contains(&hits), "{hits}");
        script.notice(b"k0", None);
        let bytes = operation(&mut script, 3);
        assert!(matches!(Operation::decode(&bytes), Ok(Operation::Swap { expected: b"?", .. })));
    }

    #[test]
    fn what_does_not_fit_becomes_a_read() {
        let workload = Workload { keys: 1, large_ppm: MILLION, ..Workload::default() };
        let mut script = script_of(workload, 1, 0);
        script.notice(b"k0", Some(&[b'x'; 7_000]));
        for number in 0..100 {
            let bytes = operation(&mut script, number);
            assert!(bytes.len() <= 7_936);
            assert!(
                !matches!(Operation::decode(&bytes), Ok(Operation::Swap { expected, .. }) if expected.len() == 7_000)
            );
        }
    }

    #[test]
    fn keys_have_names_and_names_keys() {
        for index in 0..KEY_COUNT_MAX {
            assert_eq!(key_index(key_name(index).trim_ascii_end()), Some(index));
        }
        assert_eq!(key_index(b"kx"), None);
    }
}
