//! How many things of one name there were before.
//!
//! Things come in streams (the packets of one kind on one link, the writes to one zone of one disk) and have an identity
//! within theirs. A stream keeps the counts of about its last thousand identities; what another stream does never
//! matters to it. So memory is bounded, and a count is a matter of the stream alone.

/// Counts things by stream and identity.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    streams: Vec<Stream>,
    /// Counted up to forget everything at once.
    epoch: u32,
}

/// The counts of one stream: a hash table of small sets, which grows until it has [`SETS_MAX`] of them.
///
/// Identities mostly count up, and neighbours share a set, so the table is walked through rather than jumped about in.
#[derive(Debug, Default)]
struct Stream {
    sets: Vec<Set>,
    epoch: u32,
    /// The greatest identity that was forgotten.
    forgotten_max: Option<u64>,
    /// How often an identity came that may have been forgotten.
    revived: u32,
}

const WAYS: usize = 4;
const SETS_MIN: usize = 4;
const SETS_MAX: usize = 256;

/// A count for an identity that may have been forgotten begins at a multiple of this, one never used in the stream.
///
/// It must not share the fate of the forgotten one, or a packet that is lost the first time might be for ever.
const REVIVED_SHIFT: u32 = 16;

/// One line of the processor's cache.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set([Cell; WAYS]);

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    identity: u64,
    count: u32,
    /// The cell is empty unless this is the epoch of the table.
    epoch: u32,
}

impl Recent {
    /// Forgets everything and makes room for `streams`.
    pub(crate) fn reset(&mut self, streams: usize) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            // Cells of the very first epochs must not come back to life.
            self.streams.clear();
            self.epoch = 1;
        }
        self.streams.resize_with(streams, Stream::default);
    }

    /// How many things of this `identity` there were in the stream before; counts one more.
    pub(crate) fn count(&mut self, stream: usize, identity: u64) -> u32 {
        let epoch = self.epoch;
        let stream = &mut self.streams[stream];
        if stream.epoch != epoch {
            stream.begin(epoch);
        }
        let place = stream.set(identity);
        let set = &mut stream.sets[place].0;
        let mut empty = WAYS;
        for (way, cell) in set.iter_mut().enumerate() {
            if cell.epoch != epoch {
                empty = way;
            } else if cell.identity == identity {
                let before = cell.count;
                cell.count += 1;
                return before;
            }
        }
        let before = stream.first(identity);
        let new = Cell { identity, count: before + 1, epoch };
        match stream.sets[place].0.get_mut(empty) {
            Some(cell) => *cell = new,
            None => stream.insert(new),
        }
        before
    }
}

impl Stream {
    fn begin(&mut self, epoch: u32) {
        if self.sets.is_empty() {
            self.sets.resize(SETS_MIN, Set::default());
        }
        self.epoch = epoch;
        self.forgotten_max = None;
        self.revived = 0;
    }

    #[expect(clippy::cast_possible_truncation, reason = "masked to the number of sets")]
    const fn set(&self, identity: u64) -> usize {
        let folded = (identity >> 2) ^ (identity >> 11) ^ (identity >> 20) ^ (identity >> 32);
        folded as usize & (self.sets.len() - 1)
    }

    /// Where the count of an identity begins that is not in the table.
    fn first(&mut self, identity: u64) -> u32 {
        if self.forgotten_max.is_none_or(|forgotten| identity > forgotten) {
            return 0;
        }
        self.revived += 1;
        self.revived << REVIVED_SHIFT
    }

    fn insert(&mut self, new: Cell) {
        loop {
            let place = self.set(new.identity);
            let is_grown = self.sets.len() == SETS_MAX;
            let set = &mut self.sets[place].0;
            if let Some(cell) = set.iter_mut().find(|cell| cell.epoch != new.epoch) {
                *cell = new;
                return;
            }
            if is_grown {
                let oldest = set.iter_mut().min_by_key(|cell| cell.identity);
                let oldest = oldest.expect("a set has cells");
                self.forgotten_max = self.forgotten_max.max(Some(oldest.identity));
                *oldest = new;
                return;
            }
            self.grow();
        }
    }

    /// Makes the table twice as large. What was in one set goes to one of two, so there is room for all.
    #[cold]
    fn grow(&mut self) {
        let sets = vec![Set::default(); self.sets.len() * 2];
        for cell in std::mem::replace(&mut self.sets, sets).into_iter().flat_map(|set| set.0) {
            if cell.epoch == self.epoch {
                self.insert(cell);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::engine::random::Seed;

    #[test]
    fn counts_are_exact_for_the_last_identities_whatever_other_streams_do() {
        let mut recent = Recent::default();
        for round in 0..3 {
            recent.reset(3);
            let mut model = BTreeMap::new();
            let mut stream = Seed::new(round).stream("recent");
            for turn in 0..20_000 {
                let which = stream.place(3);
                // Identities of the first stream count up, those of the second are spread like addresses of sectors.
                let identity = match which {
                    0 => turn / 30 + stream.below(8),
                    1 => stream.below(64) * 4096,
                    _ => stream.below(20) << 32,
                };
                let count: &mut u32 = model.entry((which, identity)).or_default();
                assert_eq!(recent.count(which, identity), *count);
                *count += 1;
            }
        }
    }

    /// An identity that was forgotten comes back: its count must be one that it never had, or a packet that is always lost
    /// the first time would be lost for ever.
    #[test]
    fn a_forgotten_identity_never_gets_an_old_count_again() {
        let mut recent = Recent::default();
        recent.reset(1);
        let mut seen = BTreeSet::new();
        for round in 1..5 {
            assert!(seen.insert(recent.count(0, 7)));
            assert!(seen.insert(recent.count(0, 7)));
            for identity in 0..100_000 {
                assert_eq!(
                    recent.count(0, round * 1_000_000 + identity),
                    0,
                    "it counts up: nothing was forgotten"
                );
            }
        }
        assert_eq!(recent.streams[0].sets.len(), SETS_MAX, "memory is bounded");
    }

    #[test]
    fn a_table_in_used_memory_counts_as_a_fresh_one() {
        let drive = |recent: &mut Recent| {
            recent.reset(1);
            let mut stream = Seed::new(1).stream("recent");
            (0..50_000).map(|_| recent.count(0, stream.magnitude(1, 1 << 20))).collect::<Vec<_>>()
        };
        let mut used = Recent::default();
        let first = drive(&mut used);
        assert!(drive(&mut used) == first);
    }
}
