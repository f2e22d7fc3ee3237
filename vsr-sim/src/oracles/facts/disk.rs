//! What the disk of one replica holds, decoded: the entries of its write-ahead log, its promise, and its checkpoints.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use vsr_core::checksum::Checksum;
use vsr_core::header::{HEADER_SIZE, Header};
use vsr_core::number::{OpNumber, ViewNumber};
use vsr_core::superblock::{Area, CheckpointRecord, Superblock};

/// A whole entry in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Held {
    pub(in super::super) op: OpNumber,
    pub(in super::super) checksum: Checksum,
    pub(in super::super) parent: Checksum,
}

impl Held {
    pub(in super::super) const fn of(header: &Header) -> Self {
        Self { op: header.op, checksum: header.checksum, parent: header.parent }
    }
}

/// What a superblock binds its replica to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Promise {
    pub(in super::super) sequence: u64,
    /// The checksum of the version, and of the one that it followed.
    pub(in super::super) version: Checksum,
    pub(in super::super) parent: Checksum,
    pub(in super::super) view: ViewNumber,
    pub(in super::super) log_view: ViewNumber,
    /// How far the log went when it was promised.
    pub(in super::super) op: OpNumber,
    pub(in super::super) checkpoint: Option<CheckpointRecord>,
}

impl Promise {
    /// Whether a start would take what is on disk at `op` into the log: in a view change that ends where the promise says.
    pub(in super::super) fn reaches(&self, op: OpNumber) -> bool {
        self.view == self.log_view || op <= self.op
    }

    /// The operation of the checkpoint; 0 if there is none.
    pub(in super::super) fn checkpoint_op(&self) -> OpNumber {
        self.checkpoint.map_or(OpNumber::ZERO, |checkpoint| checkpoint.header.op)
    }
}

/// One slot of the ring of prepares.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The whole entry that is there.
    held: Option<Held>,
    /// The whole entry that should be there, where something else is: the disk was said to hold it, and nothing was written over
    /// it since. Its replica may have acknowledged it, and must never deny it.
    owed: Option<Held>,
    /// What the replica has been told, by the disk, to be there: by a write that was done, or by a start that could read it.
    believed: Option<Held>,
    /// In which start the replica last wrote here: what it reads, it asked for before that.
    written_in: Option<u32>,
}

const NEVER_WRITTEN: Slot = Slot { held: None, owed: None, believed: None, written_in: None };

/// A copy of the superblock.
#[derive(Clone, Copy, Debug, Default)]
struct Copy {
    held: Option<Promise>,
    believed: Option<Promise>,
}

/// How much memory of an area for checkpoints is kept for the next run.
const AREA_KEPT: usize = 1 << 14;

/// One disk.
#[derive(Debug, Default)]
pub(in super::super) struct Disk {
    /// The ring of prepares, as far as it was ever written.
    slots: Vec<Slot>,
    /// All operations after the checkpoint to here are believed to be in their slots, and form a chain with it.
    prefix: u64,
    copies: Vec<Copy>,
    /// The bytes of the last version that was read from a copy, and what it says: the next three copies will say the same.
    version: (Vec<u8>, Promise),
    promise: Promise,
    /// The oldest of the versions that all copies held when last all were whole: no start can find an older one.
    established: Promise,
    /// Whether anything is believed that is not there.
    is_deceived: bool,
    /// How often the replica was started again.
    starts: u32,
    /// The two areas for checkpoints, as far as they were ever written, as they should be.
    areas: [Vec<u8>; 2],
    /// Where in the zone of checkpoints records begin that are not as they should be.
    spoiled: BTreeSet<u64>,
    /// Whether the last start was given something else than the checkpoint that the superblock names.
    is_checkpoint_misread: bool,
    /// The newest checkpoint that was ever whole here.
    checkpoint_max: OpNumber,
}

impl Disk {
    pub(super) fn reset(&mut self) {
        self.slots.clear();
        self.prefix = 0;
        self.copies.clear();
        self.version.0.clear();
        self.promise = Promise::default();
        self.established = Promise::default();
        self.is_deceived = false;
        self.starts = 0;
        for area in &mut self.areas {
            area.clear();
            area.shrink_to(AREA_KEPT);
        }
        self.spoiled.clear();
        self.is_checkpoint_misread = false;
        self.checkpoint_max = OpNumber::ZERO;
    }

    /// Bytes of the areas for checkpoints are these now.
    pub(in super::super) fn put_snapshot(&mut self, offset: u64, bytes: &[u8], area_size: u64) {
        let area = &mut self.areas[usize::from(offset >= area_size)];
        let start = usize::try_from(offset % area_size).expect("an area fits in memory");
        let end = start + bytes.len();
        if area.len() < end {
            // Checkpoints are as long as the one before, mostly: twice the room would stay empty.
            area.reserve_exact(end - area.len());
            area.resize(end, 0);
        }
        area[start..end].copy_from_slice(bytes);
        if !self.spoiled.is_empty() {
            self.spoiled.remove(&offset);
        }
    }

    /// A record of the areas for checkpoints shows these bytes, and nobody was told so.
    pub(in super::super) fn spoil_snapshot(&mut self, offset: u64, bytes: &[u8], area_size: u64) {
        if self.is_as_written(offset, bytes, area_size) {
            self.spoiled.remove(&offset);
        } else {
            self.spoiled.insert(offset);
        }
    }

    /// The replica has read this in the areas for checkpoints, whatever is there.
    pub(in super::super) fn read_snapshot(&mut self, offset: u64, bytes: &[u8], area_size: u64) {
        let is_named = self.promise.checkpoint.is_some_and(|record| {
            u64::from(record.area.number()) == offset / area_size
                && offset % area_size < u64::from(record.size)
        });
        self.is_checkpoint_misread |= is_named && !self.is_as_written(offset, bytes, area_size);
    }

    /// Whether these are the bytes that should be there.
    fn is_as_written(&self, offset: u64, bytes: &[u8], area_size: u64) -> bool {
        let area = &self.areas[usize::from(offset >= area_size)];
        let start = usize::try_from(offset % area_size).expect("an area fits in memory");
        let written = area.get(start..).unwrap_or_default();
        let is_lost = bytes.is_empty() && !written.is_empty();
        !is_lost && bytes.starts_with(&written[..written.len().min(bytes.len())])
    }

    /// What is where a checkpoint should be, as far as it was ever written.
    pub(in super::super) fn snapshot(&self, area: Area, size: u32) -> &[u8] {
        let bytes = &self.areas[usize::from(area.number())];
        &bytes[..bytes.len().min(size as usize)]
    }

    /// The operation of the checkpoint that the superblock names, if all of it is there; 0 otherwise.
    pub(in super::super) fn whole_checkpoint_op(&self, area_size: u64) -> OpNumber {
        let is_whole = |record: &CheckpointRecord| {
            let start = u64::from(record.area.number()) * area_size;
            self.spoiled.range(start..start + u64::from(record.size)).next().is_none()
        };
        let whole = self.promise.checkpoint.filter(is_whole);
        whole.map_or(OpNumber::ZERO, |record| record.header.op)
    }

    /// Whether the replica, as it was started last, knows the checkpoint that the superblock names.
    pub(in super::super) const fn knows_checkpoint(&self) -> bool {
        !self.is_checkpoint_misread
    }

    /// Whether the replica, as it was started last, knows the entry that is in the slot of `op`.
    pub(in super::super) fn knows_slot(&self, op: OpNumber, slots: u32) -> bool {
        let slot = self.at(op, slots);
        slot.believed == slot.held
    }

    /// The operation of the newest checkpoint that was ever whole here.
    pub(in super::super) const fn checkpoint_max(&self) -> OpNumber {
        self.checkpoint_max
    }

    /// A checkpoint has been found whole.
    pub(in super::super) fn see_checkpoint(&mut self, op: OpNumber) {
        self.checkpoint_max = self.checkpoint_max.max(op);
    }

    fn at(&self, op: OpNumber, slots: u32) -> &Slot {
        self.slots.get(slot_of(op, slots)).unwrap_or(&NEVER_WRITTEN)
    }

    /// The entry that is believed to be in the slot of `op`; it may be of another operation.
    pub(in super::super) fn slot(&self, op: OpNumber, slots: u32) -> Option<Held> {
        self.at(op, slots).believed
    }

    /// Whether the replica may believe the entry to be there, or in the checkpoint.
    pub(in super::super) fn holds(&self, held: &Held, slots: u32) -> bool {
        self.is_in_checkpoint(held) || is_same(self.slot(held.op, slots), held)
    }

    /// Whether a checkpoint makes up for the entry, which was committed if one does.
    fn is_in_checkpoint(&self, held: &Held) -> bool {
        held.op <= self.promise.checkpoint_op()
    }

    /// Whether the entry is really there, whole, or in the checkpoint.
    pub(in super::super) fn is_whole(&self, held: &Held, slots: u32) -> bool {
        self.is_in_checkpoint(held) || is_same(self.at(held.op, slots).held, held)
    }

    /// Whether the entry should be there, whole or not, or is in the checkpoint: the replica must not deny it.
    pub(in super::super) fn owes(&self, held: &Held, slots: u32) -> bool {
        if self.is_in_checkpoint(held) {
            return true;
        }
        let slot = self.at(held.op, slots);
        is_same(slot.held, held) || is_same(slot.owed, held)
    }

    /// What is really there in the slot of `op`, if it is of that operation; and what should be, if something else is there.
    pub(in super::super) fn whole_and_owed(
        &self,
        op: OpNumber,
        slots: u32,
    ) -> (Option<Held>, Option<Held>) {
        let slot = self.at(op, slots);
        let of_op = |held: &Held| held.op == op;
        (slot.held.filter(of_op), slot.owed.filter(of_op))
    }

    /// How many entries should be there and are not.
    pub(in super::super) fn owed_count(&self) -> usize {
        if !self.is_deceived {
            return 0;
        }
        let base = self.promise.checkpoint_op();
        let is_owed = |slot: &&Slot| slot.owed.is_some_and(|owed| owed.op > base);
        self.slots.iter().filter(is_owed).count()
    }

    /// All operations from 1 to this one are here, as far as the replica can know: in the checkpoint, and a chain in the log.
    pub(in super::super) const fn prefix(&self) -> OpNumber {
        OpNumber::new(self.prefix)
    }

    /// The newest promise that is whole on any copy, as far as the replica can know.
    pub(in super::super) const fn promise(&self) -> &Promise {
        &self.promise
    }

    /// The newest promise that was ever on all copies: one that is only on some may be overlooked at a start, and binds nobody yet.
    pub(in super::super) const fn established(&self) -> Promise {
        self.established
    }

    /// The operations of the checkpoints that a start may find named, the newest first.
    pub(in super::super) fn named_checkpoints(&self) -> [OpNumber; 2] {
        [self.promise.checkpoint_op(), self.established.checkpoint_op()]
    }

    fn slot_mut(&mut self, slot: usize) -> &mut Slot {
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, Slot::default());
        }
        &mut self.slots[slot]
    }

    /// This was written into the slot; answers what should have been there before. `root` is the checksum that the first operation
    /// follows.
    pub(in super::super) fn put(
        &mut self,
        slot: usize,
        held: Option<Held>,
        root: Checksum,
        slots: u32,
    ) -> Option<Held> {
        let place = self.slot_mut(slot);
        let now = Slot { held, owed: None, believed: held, ..*place };
        let before = std::mem::replace(place, now);
        self.believe(before.believed, held, root, slots);
        before.owed.or(before.held)
    }

    /// The slot was spoiled, and holds this now, though nobody was told so. Answers what was there.
    pub(in super::super) fn spoil(&mut self, slot: usize, held: Option<Held>) -> Option<Held> {
        self.is_deceived = true;
        let slot = self.slot_mut(slot);
        let should = slot.owed.or(slot.held);
        slot.owed = should.filter(|should| held != Some(*should));
        std::mem::replace(&mut slot.held, held)
    }

    /// The replica starts, and will know no more than what is there; less where a read goes wrong, of which it is told next.
    pub(in super::super) fn read_back(&mut self, root: Checksum, slots: u32) {
        self.starts += 1;
        self.is_checkpoint_misread = false;
        if !self.is_deceived {
            return;
        }
        for slot in &mut self.slots {
            slot.believed = slot.held;
        }
        for copy in &mut self.copies {
            copy.believed = copy.held;
        }
        self.promise = self.newest_promise();
        self.prefix = self.promise.checkpoint_op().get();
        self.advance(root, slots);
        self.is_deceived = self.slots.iter().any(|slot| slot.owed.is_some());
    }

    /// The replica itself has written into the slot.
    pub(in super::super) fn wrote_slot(&mut self, slot: usize) {
        let starts = self.starts;
        self.slot_mut(slot).written_in = Some(starts);
    }

    /// The replica has read this in the slot, whatever is there: so it believes, unless it has written there since it asked, as it
    /// may where it looks beyond the end of its log.
    pub(in super::super) fn read_slot(
        &mut self,
        slot: usize,
        given: Option<Held>,
        root: Checksum,
        slots: u32,
    ) {
        let starts = self.starts;
        let slot = self.slot_mut(slot);
        if slot.written_in == Some(starts) {
            return;
        }
        let before = std::mem::replace(&mut slot.believed, given);
        self.is_deceived |= given != slot.held;
        self.believe(before, given, root, slots);
    }

    /// The replica has read this in a copy of the superblock, whatever is there: so it believes. Answers the promise before.
    pub(in super::super) fn read_promise(
        &mut self,
        copy: usize,
        given: Option<Promise>,
        root: Checksum,
        slots: u32,
    ) -> Promise {
        let copy = self.copy_mut(copy);
        copy.believed = given;
        self.is_deceived |= given != copy.held;
        self.go_by_newest(root, slots)
    }

    /// What copies of the superblock say has changed; answers the promise before.
    fn go_by_newest(&mut self, root: Checksum, slots: u32) -> Promise {
        let newest = self.newest_promise();
        let before = std::mem::replace(&mut self.promise, newest);
        if newest.checkpoint != before.checkpoint {
            self.is_checkpoint_misread = false;
            self.prefix = newest.checkpoint_op().get();
            self.advance(root, slots);
        }
        before
    }

    /// What is believed of one slot has changed.
    fn believe(&mut self, before: Option<Held>, now: Option<Held>, root: Checksum, slots: u32) {
        if before == now {
            return;
        }
        // What the checkpoint holds is no part of the chain behind it: without a look at that, every slot that is used again would have
        // the whole chain walked over.
        let base = self.promise.checkpoint_op();
        for changed in [before, now].into_iter().flatten().filter(|changed| changed.op > base) {
            self.prefix = self.prefix.min(changed.op.get() - 1);
        }
        self.prefix = self.prefix.max(base.get());
        self.advance(root, slots);
    }

    fn advance(&mut self, root: Checksum, slots: u32) {
        let checkpoint = self.promise.checkpoint.map(|checkpoint| checkpoint.header);
        let (base, root) =
            checkpoint.map_or((0, root), |header| (header.op.get(), header.checksum));
        let mut last = match self.prefix {
            prefix if prefix == base => root,
            prefix => match self.slot(OpNumber::new(prefix), slots) {
                Some(held) => held.checksum,
                None => unreachable!("the prefix is in its slots"),
            },
        };
        while let Some(next) = self.slot(OpNumber::new(self.prefix + 1), slots) {
            if next.op.get() != self.prefix + 1 || next.parent != last {
                break;
            }
            self.prefix += 1;
            last = next.checksum;
        }
    }

    fn copy_mut(&mut self, copy: usize) -> &mut Copy {
        if copy >= self.copies.len() {
            self.copies.resize(copy + 1, Copy::default());
        }
        &mut self.copies[copy]
    }

    /// This was written as a copy of the superblock; answers the promise before.
    pub(in super::super) fn put_promise(
        &mut self,
        copy: usize,
        now: Option<Promise>,
        root: Checksum,
        slots: u32,
    ) -> Promise {
        *self.copy_mut(copy) = Copy { held: now, believed: now };
        let all = self.copies.iter().map(|copy| copy.believed.as_ref());
        let oldest = all.reduce(|one, other| {
            let (one, other) = (one?, other?);
            Some(if other.sequence < one.sequence { other } else { one })
        });
        if let Some(oldest) = oldest.flatten()
            && oldest.sequence > self.established.sequence
        {
            self.established = *oldest;
        }
        self.go_by_newest(root, slots)
    }

    /// The promise in this copy of the superblock, if it is whole, and that one.
    pub(in super::super) fn promise_in(&mut self, copy: usize, bytes: &[u8]) -> Option<Promise> {
        let (version, found) = Superblock::split(bytes)?;
        if !self.version.0.is_empty() && version == self.version.0 {
            return (found == copy as u64).then_some(self.version.1);
        }
        let superblock = Superblock::decode(u32::try_from(copy).ok()?, bytes)?;
        let Superblock { sequence, parent, view, log_view, op, checkpoint, .. } = superblock;
        // A version begins with its checksum.
        let name = Checksum::new(u128::from_le_bytes(*version.first_chunk()?));
        let promise = Promise { sequence, version: name, parent, view, log_view, op, checkpoint };
        self.version.0.clear();
        self.version.0.extend_from_slice(version);
        self.version.1 = promise;
        Some(promise)
    }

    /// A copy of the superblock holds this now, though nobody was told so.
    pub(in super::super) fn spoil_promise(&mut self, copy: usize, now: Option<Promise>) {
        self.is_deceived = true;
        self.copy_mut(copy).held = now;
    }

    /// The version that a start believes, by the rule of FORMAT.md. There may be two of one number: one was overlooked at a start, or came to
    /// the disk after it, and has been overtaken on the other copies.
    fn newest_promise(&self) -> Promise {
        let believed = || self.copies.iter().filter_map(|copy| copy.believed.as_ref());
        let Some(first) = believed().next() else { return Promise::default() };
        if believed().all(|other| other.version == first.version) {
            return *first;
        }
        let twins = |one: &Promise| believed().filter(|other| other.version == one.version).count();
        let is_stranger = |one: &Promise| {
            let is_before = |other: &&Promise| other.sequence.checked_add(1) == Some(one.sequence);
            let mut before = believed().filter(is_before);
            let is_known = believed().filter(is_before).any(|other| other.version == one.parent);
            twins(one) < 2 && before.next().is_some() && !is_known
        };
        let rank = |one: &&Promise| (!is_stranger(one), one.sequence, twins(one), one.version);
        believed().max_by_key(rank).copied().unwrap_or_default()
    }
}

fn is_same(one: Option<Held>, other: &Held) -> bool {
    one.is_some_and(|one| one.checksum == other.checksum)
}

fn slot_of(op: OpNumber, slots: u32) -> usize {
    // A remainder: there are as many slots as a power of two.
    usize::try_from(op.get() & u64::from(slots - 1)).expect("slots fit in memory")
}

/// The entry at the beginning of `bytes`, if a whole one is there.
pub(in super::super) fn entry_in(bytes: &[u8]) -> Option<Header> {
    let header = Header::decode(bytes)?;
    let size = usize::try_from(header.size).ok()?;
    let body = bytes.get(HEADER_SIZE..)?.get(..size)?;
    (header.checksum_body == Checksum::of(body)).then_some(header)
}
