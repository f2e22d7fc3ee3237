//! Entries that the disk has spoiled: what is known of them, and how they come back.

use alloc::sync::Arc;

use super::Journal;
use crate::checksum::Checksum;
use crate::decision::Expected;
use crate::header::{Entry, Header};
use crate::io::Effects;
use crate::number::OpNumber;
use crate::token::Tokens;

/// An entry that should be here and is not whole, or not in both rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is known of it.
    pub expected: Expected,
    /// A whole entry that was found in its place, as long as nothing is known that could tell whether it is the right one.
    pub found: Option<Arc<Entry>>,
    place: Place,
}

/// Where the entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nowhere here.
    Elsewhere,
    /// It has come, and is being written.
    Memory,
    /// Whole on the disk, and only its redundant header is written again.
    Disk,
}

impl Missing {
    /// One of which this is known.
    #[must_use]
    pub const fn new(expected: Expected, found: Option<Arc<Entry>>) -> Self {
        Self { expected, found, place: Place::Elsewhere }
    }

    /// One that is whole but for its redundant header.
    pub(super) const fn but_for_header(header: Header) -> Self {
        Self { expected: Expected::Header(header), found: None, place: Place::Disk }
    }
}

impl Journal {
    /// At a start: the next entry is missing.
    pub fn restore_missing(&mut self, missing: Missing) {
        self.op = self.op.next();
        self.missing.insert(self.op, missing);
        self.advance();
    }

    /// Whether any entry is missing, or not yet durable again in both rings.
    #[must_use]
    pub fn has_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Whether the entry at `op` is missing, or not yet durable again.
    #[must_use]
    pub fn is_missing(&self, op: OpNumber) -> bool {
        self.missing.contains_key(&op)
    }

    /// Whether the disk has not got the entry at `op`, though it should.
    #[must_use]
    pub fn is_spoiled(&self, op: OpNumber) -> bool {
        self.missing.get(&op).is_some_and(|missing| missing.place != Place::Disk)
    }

    /// The first missing entry.
    #[must_use]
    pub fn first_missing(&self) -> Option<OpNumber> {
        self.missing.first_key_value().map(|(op, _)| *op)
    }

    /// The missing entries that can be asked for, oldest first.
    pub fn wanted(&self) -> impl Iterator<Item = (OpNumber, Checksum)> + '_ {
        let wanted = |(op, missing): (&OpNumber, &Missing)| {
            let checksum = missing.expected.checksum()?;
            (missing.place == Place::Elsewhere).then_some((*op, checksum))
        };
        self.missing.iter().filter_map(wanted)
    }

    /// Whether `entry` is one that is missing.
    #[must_use]
    pub fn wants(&self, entry: &Entry) -> bool {
        self.missing.get(&entry.header().op).is_some_and(|missing| {
            missing.place == Place::Elsewhere
                && missing.expected.checksum() == Some(entry.header().checksum)
        })
    }

    /// Takes a missing entry in, and begins to write it. It names the one before it, which may have been found and not been known.
    pub fn repair(&mut self, entry: Arc<Entry>, tokens: &mut Tokens, effects: &mut Effects) {
        assert!(self.wants(&entry));
        let mut next = Some(entry);
        while let Some(entry) = next {
            let header = *entry.header();
            let missing = self.missing.get_mut(&header.op).expect("it is wanted");
            let expected = Expected::Header(header);
            *missing = Missing { expected, found: None, place: Place::Memory };
            let index = self.slot_of(header.op);
            self.slots[index].entry = Some(entry);
            self.write_if_needed(index, tokens, effects);
            next = self.name(header.op.minus(1), header.parent);
        }
    }

    /// The entry at `op` is that of `checksum`. Answers it if it had been found.
    fn name(&mut self, op: OpNumber, checksum: Checksum) -> Option<Arc<Entry>> {
        let missing = self.missing.get_mut(&op)?;
        if missing.expected != Expected::Nothing {
            return None;
        }
        missing.expected = Expected::Checksum(checksum);
        missing.found.take().filter(|found| found.header().checksum == checksum)
    }

    /// The slot of a missing entry has been written: it is missing no more.
    pub(super) fn settle(&mut self, index: usize) {
        let slot = &self.slots[index];
        let Some(entry) = slot.entry.as_ref().filter(|_| slot.wants(slot.on_disk)) else { return };
        self.missing.remove(&entry.header().op);
    }

    pub(super) fn missing_header(&self, op: OpNumber) -> Option<&Header> {
        match &self.missing.get(&op)?.expected {
            Expected::Header(header) => Some(header),
            Expected::Checksum(_) | Expected::Nothing => None,
        }
    }

    /// Whether the log leads to the operation of `header`, as far as is known.
    #[must_use]
    pub fn leads_to(&self, header: &Header) -> bool {
        header.op <= self.op
            && header.op >= self.base.op
            && self.checksum(header.op).is_none_or(|checksum| checksum == header.checksum)
    }

    /// A durable checkpoint of the operation of `header`, to which this log leads, makes up for all before, missing or not.
    pub fn make_up(&mut self, header: &Header) {
        assert!(self.leads_to(header));
        for op in self.base.op.next().get()..=header.op.get() {
            let index = self.slot_of(OpNumber::new(op));
            self.slots[index].entry = None;
        }
        self.missing = self.missing.split_off(&header.op.next());
        self.base = *header;
        self.held = self.held.max(header.op);
        self.advance();
    }
}
