//! What the disk of one replica holds, decoded: the entries of its write-ahead log, its promise, and its checkpoints.

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
}

const NEVER_WRITTEN: Slot = Slot { held: None, owed: None, believed: None };

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
    /// The two areas for checkpoints, as far as they were ever written, as they should be.
    areas: [Vec<u8>; 2],
    /// Where in the zone of checkpoints records begin that are not as they should be.
    spoiled: BTreeSet<u64>,
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
        for area in &mut self.areas {
            area.clear();
            area.shrink_to(AREA_KEPT);
        }
        self.spoiled.clear();
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
        let area = &self.areas[usize::from(offset >= area_size)];
        let start = usize::try_from(offset % area_size).expect("an area fits in memory");
        let written = area.get(start..).unwrap_or_default();
        let is_lost = bytes.is_empty() && !written.is_empty();
        if !is_lost && bytes.starts_with(&written[..written.len().min(bytes.len())]) {
            self.spoiled.remove(&offset);
        } else {
            self.spoiled.insert(offset);
        }
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
        let now = Slot { held, owed: None, believed: held };
        let before = std::mem::replace(self.slot_mut(slot), now);
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

    /// The replica starts, and can know no more than what is there.
    pub(in super::super) fn read_back(&mut self, root: Checksum, slots: u32) {
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
        let newest = self.newest_promise();
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
        let is_checkpoint_new = newest.checkpoint != self.promise.checkpoint;
        let before = std::mem::replace(&mut self.promise, newest);
        if is_checkpoint_new {
            self.prefix = self.promise.checkpoint_op().get();
            self.advance(root, slots);
        }
        before
    }

    /// The promise in this copy of the superblock, if it is whole, and that one.
    pub(in super::super) fn promise_in(&mut self, copy: usize, bytes: &[u8]) -> Option<Promise> {
        let (version, found) = Superblock::split(bytes)?;
        if !self.version.0.is_empty() && version == self.version.0 {
            return (found == copy as u64).then_some(self.version.1);
        }
        let superblock = Superblock::decode(u32::try_from(copy).ok()?, bytes)?;
        let Superblock { sequence, view, log_view, op, checkpoint, .. } = superblock;
        let promise = Promise { sequence, view, log_view, op, checkpoint };
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

    fn newest_promise(&self) -> Promise {
        let believed = self.copies.iter().filter_map(|copy| copy.believed.as_ref());
        believed.max_by_key(|promise| promise.sequence).copied().unwrap_or_default()
    }
}

fn is_same(one: Option<Held>, other: &Held) -> bool {
    one.is_some_and(|one| one.checksum == other.checksum)
}

fn slot_of(op: OpNumber, slots: u32) -> usize {
    usize::try_from(op.get() % u64::from(slots)).expect("slots fit in memory")
}

/// The entry at the beginning of `bytes`, if a whole one is there.
pub(in super::super) fn entry_in(bytes: &[u8]) -> Option<Header> {
    let header = Header::decode(bytes)?;
    let size = usize::try_from(header.size).ok()?;
    let body = bytes.get(HEADER_SIZE..)?.get(..size)?;
    (header.checksum_body == Checksum::of(body)).then_some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: u32 = 8;

    fn held(op: u64, checksum: u128, parent: u128) -> Held {
        Held {
            op: OpNumber::new(op),
            checksum: Checksum::new(checksum),
            parent: Checksum::new(parent),
        }
    }

    #[test]
    fn the_prefix_is_as_long_as_the_chain_without_a_hole() {
        let root = Checksum::new(100);
        let mut disk = Disk::default();
        let put = |disk: &mut Disk, held: Held| {
            let slot = usize::try_from(held.op.get()).unwrap();
            disk.put(slot, Some(held), root, SLOTS);
            disk.prefix().get()
        };
        assert_eq!(put(&mut disk, held(2, 102, 101)), 0, "a hole at 1");
        assert_eq!(put(&mut disk, held(1, 101, 100)), 2);
        assert_eq!(put(&mut disk, held(3, 103, 102)), 3);
        // Another entry at 2 breaks the chain to 3 as well.
        assert_eq!(put(&mut disk, held(2, 202, 101)), 2);
        assert_eq!(put(&mut disk, held(3, 203, 202)), 3);
        // A torn write leaves nothing.
        disk.put(1, None, root, SLOTS);
        assert_eq!(disk.prefix().get(), 0);
        assert_eq!(put(&mut disk, held(1, 101, 100)), 3);
        // A prefix that ran over a hole would believe an acknowledgement that a crash takes back.
    }

    /// An entry rots: its replica goes on believing in it until it starts again, and owes it until it is written again.
    #[test]
    fn what_is_spoiled_is_believed_until_a_start_and_owed_until_it_is_written() {
        let root = Checksum::new(100);
        let mut disk = Disk::default();
        let (one, two) = (held(1, 101, 100), held(2, 102, 101));
        disk.put(1, Some(one), root, SLOTS);
        disk.put(2, Some(two), root, SLOTS);
        disk.spoil(1, None);
        assert!(disk.holds(&one, SLOTS) && !disk.is_whole(&one, SLOTS) && disk.owes(&one, SLOTS));
        assert_eq!(disk.prefix().get(), 2);
        disk.read_back(root, SLOTS);
        assert!(!disk.holds(&one, SLOTS) && disk.owes(&one, SLOTS));
        assert_eq!((disk.prefix().get(), disk.owed_count()), (0, 1));
        assert_eq!(disk.put(1, Some(one), root, SLOTS), Some(one));
        assert_eq!((disk.prefix().get(), disk.owed_count()), (2, 0));
        // A write over it is lost: the old entry is still there, and the new one is owed.
        let other = held(2, 202, 101);
        assert_eq!(disk.put(2, Some(other), root, SLOTS), Some(two));
        disk.spoil(2, Some(two));
        assert!(
            disk.holds(&other, SLOTS) && disk.owes(&other, SLOTS) && disk.is_whole(&two, SLOTS)
        );
        // An oracle that took the disk's word would not see that an acknowledged entry has one copy less.
    }

    #[test]
    fn the_promise_is_the_newest_whole_copy() {
        let promise = |sequence, view| {
            let view = ViewNumber::new(view);
            Some(Promise { sequence, view, ..Promise::default() })
        };
        let mut disk = Disk::default();
        let put = |disk: &mut Disk, copy, promise| {
            disk.put_promise(copy, promise, Checksum::new(100), SLOTS)
        };
        put(&mut disk, 0, promise(1, 4));
        assert_eq!(put(&mut disk, 1, promise(2, 5)).view.get(), 4);
        assert_eq!(disk.promise().view.get(), 5);
        disk.spoil_promise(1, None);
        assert_eq!(disk.promise().view.get(), 5, "nobody knows");
        disk.read_back(Checksum::new(100), SLOTS);
        assert_eq!(disk.promise().view.get(), 4);
        put(&mut disk, 1, None);
        assert_eq!(disk.promise().view.get(), 4);
        put(&mut disk, 0, None);
        assert_eq!(*disk.promise(), Promise::default());
    }

    /// A crash meets the writing of a version when one copy holds it: the next start may not be able to read that one.
    #[test]
    fn a_version_that_is_on_some_copies_only_binds_nobody_yet() {
        let promise = |sequence, view| {
            let view = ViewNumber::new(view);
            Some(Promise { sequence, view, ..Promise::default() })
        };
        let mut disk = Disk::default();
        let put = |disk: &mut Disk, copies: std::ops::Range<usize>, promise| {
            for copy in copies {
                disk.put_promise(copy, promise, Checksum::new(100), SLOTS);
            }
            (disk.promise().view.get(), disk.established().view.get())
        };
        assert_eq!(put(&mut disk, 0..4, promise(1, 4)), (4, 4));
        assert_eq!(put(&mut disk, 0..1, promise(2, 5)), (5, 4));
        assert_eq!(put(&mut disk, 1..2, None), (5, 4), "torn");
        assert_eq!(put(&mut disk, 1..4, promise(2, 5)), (5, 5));
        // Once it is on all of them, an older one on all of them is a promise that was taken back.
        assert_eq!(put(&mut disk, 0..4, promise(1, 4)), (4, 5));
    }

    #[test]
    fn a_checkpoint_is_whole_until_a_piece_of_it_is_spoiled_and_again_when_that_is_written() {
        const AREA: u64 = 1 << 17;
        let mut header = Header::root(vsr_core::number::ClusterId::new(1));
        header.op = OpNumber::new(4);
        let mut disk = Disk::default();
        assert_eq!(disk.whole_checkpoint_op(AREA), OpNumber::ZERO);
        disk.put_snapshot(AREA, b"state", AREA);
        let checksum = Checksum::of(b"state");
        let checkpoint = CheckpointRecord { header, checksum, size: 5, area: Area::Second };
        let promise = Promise { sequence: 1, checkpoint: Some(checkpoint), ..Promise::default() };
        disk.put_promise(0, Some(promise), Checksum::new(100), SLOTS);
        assert_eq!(disk.whole_checkpoint_op(AREA), OpNumber::new(4));
        disk.spoil_snapshot(0, b"nonsense", AREA);
        disk.spoil_snapshot(AREA, b"state and zeros", AREA);
        assert_eq!(disk.whole_checkpoint_op(AREA), OpNumber::new(4), "the other area, and no harm");
        for spoiled in [&b"stale"[..], b""] {
            disk.spoil_snapshot(AREA, spoiled, AREA);
            assert_eq!(disk.whole_checkpoint_op(AREA), OpNumber::ZERO);
            disk.put_snapshot(AREA, b"state", AREA);
            assert_eq!(disk.whole_checkpoint_op(AREA), OpNumber::new(4));
        }
        // A core whose only newer checkpoint is spoiled cannot bring anybody up to date.
    }

    #[test]
    fn the_prefix_goes_on_behind_the_checkpoint_though_slots_be_used_again() {
        let root = Checksum::new(100);
        let mut disk = Disk::default();
        for op in 1..=6 {
            let slot = usize::try_from(op).unwrap();
            disk.put(slot, Some(held(op, u128::from(op) + 100, u128::from(op) + 99)), root, SLOTS);
        }
        let mut header = Header::root(vsr_core::number::ClusterId::new(1));
        header.op = OpNumber::new(4);
        header.checksum = Checksum::new(104);
        let checksum = Checksum::ZERO;
        let checkpoint = CheckpointRecord { header, checksum, size: 1, area: Area::First };
        let promise = Promise { sequence: 1, checkpoint: Some(checkpoint), ..Promise::default() };
        disk.put_promise(0, Some(promise), root, SLOTS);
        assert_eq!(disk.prefix().get(), 6);
        disk.put(1, Some(held(9, 109, 108)), root, SLOTS);
        assert_eq!(disk.prefix().get(), 6, "what the checkpoint holds may go");
        disk.put(5, Some(held(13, 113, 112)), root, SLOTS);
        assert_eq!(disk.prefix().get(), 4, "what it does not hold may not");
        assert!(disk.holds(&held(1, 101, 100), SLOTS));
        assert!(!disk.holds(&held(5, 105, 104), SLOTS));
        // A prefix that began at the first operation for ever would be over as soon as a slot is used again.
    }
}
