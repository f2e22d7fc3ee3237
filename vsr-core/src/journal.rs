//! The write-ahead log: a chain of entries in memory, and two rings on disk.
//!
//! The ring of prepares holds whole entries, the ring of headers a second copy of each header, written only after its
//! prepare is durable. An entry counts as durable when both are. Each slot has at most one write in flight, so that
//! two versions of a slot never race on the disk; and acknowledgements go by the durable *prefix*, so that whatever was
//! acknowledged stands below the first hole that a crash can leave.
//!
//! A disk can spoil what was durable. Such an entry keeps its place, so that it is never denied, and stays missing until
//! somebody else has sent it: see [`Missing`].

mod missing;

pub use missing::Missing;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::checksum::Checksum;
use crate::configuration::Configuration;
use crate::header::{Entry, HEADER_SIZE, Header};
use crate::io::{Effects, Token, Zone};
use crate::number::OpNumber;
use crate::token::{Subject, Tokens};

/// The log of one replica: every operation after its base to its head, without a gap but for those entries that the disk has spoiled.
///
/// The slot of an operation is used again by the one that many slots further on; but not before a checkpoint makes up for it.
#[derive(Debug)]
pub struct Journal {
    /// The header of the last operation that is not here any more: the root, while all are. What it heads, a checkpoint holds.
    base: Header,
    slots: Vec<Slot>,
    prepare_slot_size: u64,
    /// n: the head.
    op: OpNumber,
    /// All entries up to here were durable once, and are still unless they are missing; at most `op`.
    held: OpNumber,
    /// The entries that should be here and are not whole: none in the life of most replicas.
    missing: BTreeMap<OpNumber, Missing>,
    /// Whether the base stands on a durable checkpoint: until it does, nothing that follows counts as durable.
    is_base_durable: bool,
    /// Entries up to here may be written over.
    reusable: OpNumber,
}

/// One place in both rings.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// What the log holds here.
    entry: Option<Arc<Entry>>,
    /// What both rings hold, if they agree.
    on_disk: Checksum,
    write: Option<SlotWrite>,
}

/// A write in flight.
#[derive(Clone, Debug)]
struct SlotWrite {
    token: Token,
    /// What is being written, or its header, which the log may have replaced in the meantime.
    entry: Arc<Entry>,
}

/// What a completed write means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The durable prefix is longer than it was.
    PrefixGrew,
    /// Nothing that anybody waits for.
    Nothing,
}

impl Journal {
    /// An empty log.
    #[must_use]
    pub fn new(configuration: &Configuration) -> Self {
        let slot_count = usize::try_from(configuration.slots).expect("slots fit in memory");
        let mut slots = Vec::new();
        slots.resize(slot_count, Slot::default());
        Self {
            base: Header::root(configuration.cluster),
            slots,
            prepare_slot_size: configuration.prepare_slot_size(),
            op: OpNumber::ZERO,
            held: OpNumber::ZERO,
            missing: BTreeMap::new(),
            is_base_durable: true,
            reusable: OpNumber::ZERO,
        }
    }

    /// The last operation that is not here any more; 0 while all are.
    #[must_use]
    pub const fn base(&self) -> OpNumber {
        self.base.op
    }

    /// The header of that operation, or the root.
    #[must_use]
    pub const fn base_header(&self) -> &Header {
        &self.base
    }

    /// n: the head.
    #[must_use]
    pub const fn op(&self) -> OpNumber {
        self.op
    }

    /// All entries up to here are durable.
    #[must_use]
    pub fn durable(&self) -> OpNumber {
        match self.missing.first_key_value() {
            None => self.held,
            Some((first, _)) => self.held.min(first.minus(1)),
        }
    }

    /// All entries up to here are durable, or were and may have been acknowledged: so far the replica must answer for its log.
    #[must_use]
    pub const fn held(&self) -> OpNumber {
        self.held
    }

    /// The last operation that has a free slot, as long as no further entry may be written over.
    #[must_use]
    pub fn room(&self) -> OpNumber {
        self.reusable.plus(self.slots.len() as u64)
    }

    /// Whether no operation can be appended before the next checkpoint is durable.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.op >= self.room()
    }

    /// A checkpoint of `op` is durable here: what it holds may be written over.
    pub fn release(&mut self, op: OpNumber) {
        assert!(op >= self.reusable);
        self.reusable = op;
        if !self.is_base_durable && op >= self.base.op {
            self.is_base_durable = true;
            self.held = self.base.op;
            self.advance();
        }
    }

    /// Begins anew behind the operation of `header`, which another log has led to: all that was here is gone. `executed` is the last
    /// operation that is durable here in any case; no more counts until the checkpoint of the new base is durable too.
    pub fn begin_at(&mut self, header: &Header, executed: OpNumber) {
        assert!(header.op > self.base.op);
        assert!(header.op >= executed);
        for slot in &mut self.slots {
            slot.entry = None;
        }
        self.missing.clear();
        self.base = *header;
        self.op = header.op;
        self.held = executed;
        self.is_base_durable = false;
    }

    /// The header at `op`, the base included; `None` above the head, below the base, and where none could be found.
    #[must_use]
    pub fn header(&self, op: OpNumber) -> Option<&Header> {
        if op == self.base.op {
            return Some(&self.base);
        }
        match self.entry(op) {
            Some(entry) => Some(entry.header()),
            None => self.missing_header(op),
        }
    }

    /// The checksum of the header at `op`, which may be known where the header is not.
    #[must_use]
    pub fn checksum(&self, op: OpNumber) -> Option<Checksum> {
        match self.header(op) {
            Some(header) => Some(header.checksum),
            None => self.missing.get(&op).and_then(|missing| missing.expected.checksum()),
        }
    }

    /// The header at the head.
    #[must_use]
    pub fn head(&self) -> &Header {
        self.header(self.op).expect("of the last entries the headers are known")
    }

    /// The entry at `op`; `None` above the head, for what is not here any more, and for what is missing.
    #[must_use]
    pub fn entry(&self, op: OpNumber) -> Option<&Arc<Entry>> {
        if op > self.op || op <= self.base.op {
            return None;
        }
        let entry = self.slots[self.slot_of(op)].entry.as_ref();
        assert!(
            entry.map_or_else(|| self.missing.contains_key(&op), |entry| entry.header().op == op)
        );
        entry
    }

    /// The headers of the last `count` entries up to `op`, oldest first; of those before the base none, and none before one that
    /// could not be found.
    #[must_use]
    pub fn headers_up_to(&self, op: OpNumber, count: u32) -> Vec<Header> {
        let first = op.minus(u64::from(count)).next().max(self.base.op);
        // The root heads nothing.
        let first = first.max(OpNumber::ZERO.next());
        let known = |op: u64| self.header(OpNumber::new(op)).copied();
        if self.missing.is_empty() {
            return (first.get()..=op.get()).map_while(known).collect();
        }
        let mut headers: Vec<Header> = (first.get()..=op.get()).rev().map_while(known).collect();
        headers.reverse();
        headers
    }

    /// Puts `entry` at the end of the log, and begins to write it unless the disk has it already.
    ///
    /// Answers whether the durable prefix grew at once, because the disk had it.
    pub fn append(
        &mut self,
        entry: Arc<Entry>,
        tokens: &mut Tokens,
        effects: &mut Effects,
    ) -> Written {
        let header = entry.header();
        assert_eq!(header.op, self.op.next());
        assert_eq!(header.parent, self.head().checksum);
        assert!(!self.is_full());
        let index = self.slot_of(header.op);
        self.op = header.op;
        let before = self.slots[index].entry.replace(entry);
        if let Some(before) = before {
            assert!(before.header().op <= self.reusable);
            self.base = *before.header();
        }
        self.write_if_needed(index, tokens, effects);
        self.advance()
    }

    /// Puts back an entry that was found on disk at a start. `header_matches` says whether the ring of headers has it too.
    pub fn restore(
        &mut self,
        entry: Arc<Entry>,
        header_matches: bool,
        tokens: &mut Tokens,
        effects: &mut Effects,
    ) {
        let header = entry.header();
        assert_eq!(header.op, self.op.next());
        assert!(self.checksum(self.op).is_none_or(|before| before == header.parent));
        let index = self.slot_of(header.op);
        self.op = header.op;
        self.slots[index].entry = Some(Arc::clone(&entry));
        if header_matches {
            self.slots[index].on_disk = entry.header().checksum;
        } else {
            // It may have been acknowledged, but is not again before both rings have it.
            self.missing.insert(header.op, Missing::but_for_header(*header));
            self.write_header(index, entry, tokens, effects);
        }
        self.advance();
    }

    /// Cuts the log off behind `op`, which is not below the base.
    pub fn truncate(&mut self, op: OpNumber) {
        assert!(op <= self.op);
        assert!(op >= self.base.op);
        while self.op > op {
            let index = self.slot_of(self.op);
            self.slots[index].entry = None;
            self.op = self.op.minus(1);
        }
        self.missing.split_off(&op.next());
        self.held = self.held.min(op);
    }

    /// A write to the ring of prepares has ended: its header follows, unless the log has moved on.
    pub fn on_prepare_written(
        &mut self,
        slot: u32,
        token: Token,
        tokens: &mut Tokens,
        effects: &mut Effects,
    ) {
        let index = slot as usize;
        let entry = self.take_write(index, token);
        if self.slots[index].wants(entry.header().checksum) {
            self.write_header(index, entry, tokens, effects);
        } else {
            self.write_if_needed(index, tokens, effects);
        }
    }

    /// A write to the ring of headers has ended: the entry is durable.
    pub fn on_header_written(
        &mut self,
        slot: u32,
        token: Token,
        tokens: &mut Tokens,
        effects: &mut Effects,
    ) -> Written {
        let index = slot as usize;
        let entry = self.take_write(index, token);
        self.slots[index].on_disk = entry.header().checksum;
        if self.missing.is_empty() {
            self.write_if_needed(index, tokens, effects);
            return self.advance();
        }
        let before = self.durable();
        self.settle(index);
        self.write_if_needed(index, tokens, effects);
        self.advance();
        if self.durable() > before { Written::PrefixGrew } else { Written::Nothing }
    }

    fn take_write(&mut self, index: usize, token: Token) -> Arc<Entry> {
        let write = self.slots[index].write.take().expect("a slot is only written on our behalf");
        assert_eq!(write.token, token);
        write.entry
    }

    /// Begins to write the slot's entry, unless that is on disk or another write to the slot is in flight.
    fn write_if_needed(&mut self, index: usize, tokens: &mut Tokens, effects: &mut Effects) {
        let slot = &mut self.slots[index];
        if slot.write.is_some() {
            return;
        }
        let Some(entry) = &slot.entry else { return };
        if slot.on_disk == entry.header().checksum {
            return;
        }
        slot.on_disk = Checksum::ZERO;
        let token = tokens.next(Subject::Prepare(place_of(index)));
        let offset = index as u64 * self.prepare_slot_size;
        effects.write(token, Zone::Prepares, offset, |bytes| {
            bytes.extend_from_slice(&entry.header().encode());
            bytes.extend_from_slice(entry.body());
        });
        slot.write = Some(SlotWrite { token, entry: Arc::clone(entry) });
    }

    fn write_header(
        &mut self,
        index: usize,
        entry: Arc<Entry>,
        tokens: &mut Tokens,
        effects: &mut Effects,
    ) {
        let slot = &mut self.slots[index];
        assert!(slot.write.is_none());
        let token = tokens.next(Subject::RedundantHeader(place_of(index)));
        let offset = (index * HEADER_SIZE) as u64;
        effects.write(token, Zone::Headers, offset, |bytes| {
            bytes.extend_from_slice(&entry.header().encode());
        });
        slot.write = Some(SlotWrite { token, entry });
    }

    /// Moves the end of the durable prefix as far as it goes.
    fn advance(&mut self) -> Written {
        let before = self.held;
        while self.is_base_durable && self.held < self.op {
            let next = self.held.next();
            let slot = &self.slots[self.slot_of(next)];
            if !slot.wants(slot.on_disk) && !self.missing.contains_key(&next) {
                break;
            }
            self.held = next;
        }
        if self.held > before { Written::PrefixGrew } else { Written::Nothing }
    }

    fn slot_of(&self, op: OpNumber) -> usize {
        // A remainder: there are as many slots as a power of two.
        let mask = self.slots.len() as u64 - 1;
        usize::try_from(op.get() & mask).expect("below the number of slots")
    }
}

impl Slot {
    /// Whether `checksum` is that of the entry that the log holds here.
    fn wants(&self, checksum: Checksum) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.header().checksum == checksum)
    }
}

fn place_of(index: usize) -> u32 {
    u32::try_from(index).expect("slots are counted in 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Operation;
    use crate::io::Effect;
    use crate::number::ViewNumber;

    /// A journal over a disk that completes writes only when told to.
    struct Bench {
        journal: Journal,
        tokens: Tokens,
        effects: Effects,
        in_flight: Vec<(Token, Subject)>,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                journal: Journal::new(&Configuration::of(3)),
                tokens: Tokens::default(),
                effects: Effects::new(),
                in_flight: Vec::new(),
            }
        }

        /// Appends an entry of `view`; answers its checksum.
        fn append(&mut self, view: u64) -> Checksum {
            let head = self.journal.head();
            let mut header = Header {
                parent: head.checksum,
                op: head.op.next(),
                view: ViewNumber::new(view),
                operation: Operation::Apply,
                ..*head
            };
            header.seal();
            let entry = Arc::new(Entry::new(header, &[]).unwrap());
            self.journal.append(entry, &mut self.tokens, &mut self.effects);
            self.collect();
            header.checksum
        }

        fn collect(&mut self) {
            for effect in self.effects.drain().0 {
                if let Effect::Write { token, .. } = effect {
                    self.in_flight.push((token, Subject::of(token).unwrap()));
                }
            }
        }

        /// Completes the oldest write in flight for which `wanted` holds.
        fn complete(&mut self, wanted: Subject) -> Written {
            let place = self.in_flight.iter().position(|(_, subject)| *subject == wanted);
            let (token, subject) = self.in_flight.remove(place.expect("such a write"));
            let (tokens, effects) = (&mut self.tokens, &mut self.effects);
            let written = match subject {
                Subject::Prepare(slot) => {
                    self.journal.on_prepare_written(slot, token, tokens, effects);
                    Written::Nothing
                }
                Subject::RedundantHeader(slot) => {
                    self.journal.on_header_written(slot, token, tokens, effects)
                }
                Subject::SuperblockCopy(_) | Subject::HeaderRing | Subject::SnapshotChunk(_) => {
                    panic!("not a journal's")
                }
            };
            self.collect();
            written
        }
    }

    #[test]
    fn the_header_follows_its_prepare_and_only_then_is_the_entry_durable() {
        let mut bench = Bench::new();
        bench.append(0);
        assert_eq!(bench.in_flight.len(), 1, "the header is not written yet");
        bench.complete(Subject::Prepare(1));
        assert_eq!(bench.journal.durable(), OpNumber::ZERO);
        assert_eq!(bench.complete(Subject::RedundantHeader(1)), Written::PrefixGrew);
        assert_eq!(bench.journal.durable(), OpNumber::new(1));
        // A header on disk before its prepare would vouch for an entry that a crash may still tear.
    }

    #[test]
    fn an_entry_behind_a_hole_is_not_durable() {
        let mut bench = Bench::new();
        bench.append(0);
        bench.append(0);
        bench.complete(Subject::Prepare(2));
        assert_eq!(bench.complete(Subject::RedundantHeader(2)), Written::Nothing);
        assert_eq!(bench.journal.durable(), OpNumber::ZERO);
        bench.complete(Subject::Prepare(1));
        bench.complete(Subject::RedundantHeader(1));
        assert_eq!(bench.journal.durable(), OpNumber::new(2));
        // Acknowledged over the hole, it would be cut off with the hole after a crash.
    }

    #[test]
    fn a_slot_has_one_write_in_flight_whatever_the_log_does() {
        let mut bench = Bench::new();
        let old = bench.append(0);
        bench.journal.truncate(OpNumber::ZERO);
        let new = bench.append(1);
        assert_ne!(old, new);
        assert_eq!(bench.in_flight.len(), 1, "the old write must end first");
        bench.complete(Subject::Prepare(1));
        // What follows is the new prepare, not the header of the old one.
        assert_eq!(bench.in_flight[0].1, Subject::Prepare(1));
        bench.complete(Subject::Prepare(1));
        bench.complete(Subject::RedundantHeader(1));
        assert_eq!(bench.journal.durable(), OpNumber::new(1));
        // Two writes to one slot may end in either order: the older one could be what stays.
    }

    #[test]
    fn an_entry_that_comes_back_is_durable_only_if_its_slot_was_not_written_over() {
        let mut bench = Bench::new();
        bench.append(0);
        bench.complete(Subject::Prepare(1));
        bench.complete(Subject::RedundantHeader(1));
        bench.journal.truncate(OpNumber::ZERO);
        bench.append(0);
        assert_eq!(bench.journal.durable(), OpNumber::new(1), "it was never gone from the disk");
        bench.journal.truncate(OpNumber::ZERO);
        bench.append(1);
        bench.journal.truncate(OpNumber::ZERO);
        bench.append(0);
        assert_eq!(bench.journal.durable(), OpNumber::ZERO, "another entry is being written there");
        // Believing the older completion would acknowledge what the disk is about to lose.
    }
}
