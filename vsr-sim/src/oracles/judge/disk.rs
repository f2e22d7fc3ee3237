//! What is on the disks.

use vsr_core::checkpoint::CHUNK_SIZE;
use vsr_core::header::{HEADER_SIZE, Header};
use vsr_core::io::Zone;
use vsr_core::number::{OpNumber, ReplicaIndex};
use vsr_core::state_machine::StateMachine;
use vsr_core::superblock::Superblock;

use super::super::agreement::Claim;
use super::super::exposure::Moment;
use super::super::facts::{Held, How, Promise, entry_in};
use super::super::{
    acked_durable, bounds, checkpoint_equal, log_reuse, table_equal, view_monotone,
};
use super::{DiskBytes, Oracles};
use crate::engine::disk::{MishapKind, Resolution};
use crate::engine::time::Time;

/// Where something is seen that a crash has left.
const CRASH: &str = "crash";

impl<S: StateMachine> Oracles<S> {
    /// A write is durable, in full. Formatting counts too, before anything else.
    pub fn write_completed(&mut self, now: Time, written: &DiskBytes<'_>) {
        self.facts.now = now;
        self.disk_holds(written, "overwritten");
    }

    /// A crash has met a write, and this is what the disk holds now at [`Self::record`] of where it was to go.
    pub fn write_resolved(&mut self, now: Time, found: &DiskBytes<'_>, resolution: Resolution) {
        self.facts.now = now;
        match resolution {
            Resolution::Kept => self.exposure.count(Moment::WriteKept),
            Resolution::Lost | Resolution::Late => {
                self.exposure.count(Moment::WriteLost);
                return;
            }
            Resolution::Torn { .. } => self.exposure.count(Moment::WriteTorn),
        }
        let is_whole = self.disk_holds(found, CRASH);
        match found.zone {
            Zone::Prepares if !is_whole => self.exposure.count(Moment::TornEntry),
            Zone::Superblock if !is_whole => self.exposure.count(Moment::TornSuperblock),
            Zone::Snapshots => self.exposure.count(Moment::CheckpointCutShort),
            Zone::Prepares | Zone::Superblock | Zone::Headers => {}
        }
    }

    /// Something has gone wrong on the disk of a replica. What it shows then is told next, by [`Self::record_shows`].
    pub fn mishap(&mut self, now: Time, kind: MishapKind) {
        self.facts.now = now;
        let moment = match kind {
            MishapKind::Flipped | MishapKind::Garbled | MishapKind::Unreadable => {
                Moment::SectorSpoiled
            }
            MishapKind::WriteLost | MishapKind::WriteMisdirected => Moment::LyingWrite,
            MishapKind::Overwritten => return,
            MishapKind::WriteLate => Moment::WriteLate,
            MishapKind::WriteFailed => Moment::WriteFailed,
            MishapKind::ReadFailed => Moment::ReadFailed,
            MishapKind::ReadMisdirected => Moment::ReadMisdirected,
            MishapKind::Wiped => Moment::DiskWiped,
        };
        self.exposure.count(moment);
    }

    /// After a mishap this is what the disk holds at a [`Self::record`]; nobody was told so. Nothing at all, where it cannot be read.
    pub fn record_shows(&mut self, now: Time, found: &DiskBytes<'_>, kind: MishapKind) {
        self.facts.now = now;
        let index = found.offset / self.record_size(found.zone);
        let index = usize::try_from(index).expect("records fit in memory");
        match found.zone {
            Zone::Headers => {}
            Zone::Snapshots => {
                let size = self.facts.configuration.snapshot_area_size();
                let disk = &mut self.facts.replica_mut(found.replica).disk;
                if kind == MishapKind::WriteLate {
                    disk.put_snapshot(found.offset, found.bytes, size);
                } else {
                    disk.spoil_snapshot(found.offset, found.bytes, size);
                }
            }
            Zone::Superblock => {
                let disk = &mut self.facts.replica_mut(found.replica).disk;
                let promise = disk.promise_in(index, found.bytes);
                // What comes late may come when the copy has been read already.
                disk.spoil_promise(index, promise);
                if promise.is_none() {
                    self.exposure.count(Moment::SuperblockSpoiled);
                }
            }
            Zone::Prepares => self.slot_shows(found, index, kind),
        }
    }

    /// A replica reads a [`Self::record`], and is given this, whatever the disk holds: nothing at all, if the read fails. To be told of
    /// each copy of a superblock, and of what is read otherwise than it is on the disk.
    pub fn record_read(&mut self, now: Time, given: &DiskBytes<'_>) {
        self.facts.now = now;
        let index = given.offset / self.record_size(given.zone);
        let place = usize::try_from(index).expect("records fit in memory");
        let (root, slots) = (self.facts.log.root(), self.facts.configuration.slots);
        match given.zone {
            Zone::Headers => {}
            Zone::Snapshots => {
                let size = self.facts.configuration.snapshot_area_size();
                let disk = &mut self.facts.replica_mut(given.replica).disk;
                disk.read_snapshot(given.offset, given.bytes, size);
            }
            Zone::Superblock => {
                let disk = &mut self.facts.replica_mut(given.replica).disk;
                let promise = disk.promise_in(place, given.bytes);
                let before = disk.read_promise(place, promise, root, slots);
                self.checkpoint_named(given.replica, &before);
            }
            Zone::Prepares => {
                let header = entry_in(given.bytes).filter(|header| self.belongs(header, index));
                let held = header.as_ref().map(Held::of);
                let disk = &mut self.facts.replica_mut(given.replica).disk;
                disk.read_slot(place, held, root, slots);
            }
        }
    }

    /// Whether the disk should hold the entry of these bytes, and holds something else.
    #[must_use]
    pub fn is_owed(&self, replica: ReplicaIndex, bytes: &[u8]) -> bool {
        let slots = self.facts.configuration.slots;
        entry_in(bytes).is_some_and(|header| {
            let disk = &self.facts.replica(replica).disk;
            disk.whole_and_owed(header.op, slots).1 == Some(Held::of(&header))
        })
    }

    /// Whether the slot is that of the entry.
    fn belongs(&self, header: &Header, slot: u64) -> bool {
        let slots = u64::from(self.facts.configuration.slots);
        header.op.get() % slots == slot && self.facts.log.has_room(header.op)
    }

    #[inline(never)]
    fn slot_shows(&mut self, found: &DiskBytes<'_>, slot: usize, kind: MishapKind) {
        // An entry that was meant for another slot is nothing here.
        let header = entry_in(found.bytes).filter(|header| self.belongs(header, slot as u64));
        let held = header.as_ref().map(Held::of);
        if let Some(header) = &header {
            self.facts.log.see(header);
        }
        let (root, slots) = (self.facts.log.root(), self.facts.configuration.slots);
        let disk = &mut self.facts.replica_mut(found.replica).disk;
        // What comes late may come just in time to be read back, and is written over nothing that anybody still relies on.
        let before = if kind == MishapKind::WriteLate {
            disk.put(slot, held, root, slots)
        } else {
            disk.spoil(slot, held)
        };
        let Some(lost) = before.filter(|before| held != Some(*before)) else { return };
        if self.matters(found.replica, &lost) {
            self.exposure.count(Moment::AcknowledgedSpoiled);
        }
        let violation = acked_durable::check(&self.facts, found.replica, &lost, "spoiled");
        self.found(violation);
    }

    /// Whether the entry is one that the replica has acknowledged, or that was committed.
    fn matters(&self, replica: ReplicaIndex, held: &Held) -> bool {
        let acknowledged = self.facts.replica(replica).acknowledged;
        acknowledged.is_some_and(|ack| ack.op >= held.op)
            || self
                .facts
                .log
                .place(held.op)
                .and_then(|place| place.committed)
                .is_some_and(|committed| committed.checksum == held.checksum)
    }

    pub(super) fn record_size(&self, zone: Zone) -> u64 {
        match zone {
            Zone::Superblock => Superblock::copy_size(&self.facts.configuration),
            Zone::Headers => HEADER_SIZE as u64,
            Zone::Prepares => self.facts.configuration.prepare_slot_size(),
            Zone::Snapshots => CHUNK_SIZE.into(),
        }
    }

    /// Takes in what the disk holds now; answers whether that is a whole record.
    fn disk_holds(&mut self, found: &DiskBytes<'_>, place: &str) -> bool {
        let index = found.offset / self.record_size(found.zone);
        match found.zone {
            Zone::Headers => true,
            Zone::Superblock => self.superblock_holds(found, index, place),
            Zone::Prepares => self.slot_holds(found, index, place),
            Zone::Snapshots => {
                self.snapshot_holds(found);
                true
            }
        }
    }

    #[inline(never)]
    fn snapshot_holds(&mut self, found: &DiskBytes<'_>) {
        let size = self.facts.configuration.snapshot_area_size();
        let disk = &mut self.facts.replica_mut(found.replica).disk;
        disk.put_snapshot(found.offset, found.bytes, size);
    }

    #[inline(never)]
    fn superblock_holds(&mut self, found: &DiskBytes<'_>, copy: u64, place: &str) -> bool {
        let copy = usize::try_from(copy).expect("a disk has a few copies");
        let (root, slots) = (self.facts.log.root(), self.facts.configuration.slots);
        let disk = &mut self.facts.replica_mut(found.replica).disk;
        let promise = disk.promise_in(copy, found.bytes);
        let established = disk.established();
        let before = disk.put_promise(copy, promise, root, slots);
        self.checkpoint_named(found.replica, &before);
        let violation = view_monotone::check_disk(&self.facts, found.replica, &established, place);
        self.found(violation);
        promise.is_some()
    }

    /// The superblock may name another checkpoint than `before`.
    #[inline(never)]
    pub(super) fn checkpoint_named(&mut self, replica: ReplicaIndex, before: &Promise) {
        let now = self.facts.promise(replica);
        if now.checkpoint_op() <= before.checkpoint_op() {
            return;
        }
        let Promise { log_view, checkpoint: Some(record), .. } = *now else { return };
        self.exposure.count(Moment::CheckpointDurable);
        if checkpoint_equal::is_judged(&self.facts, replica, &record) {
            return self.see_checkpoint(replica, record.header.op);
        }
        let checkpoint = match checkpoint_equal::read(&self.facts, replica, &record) {
            Ok(checkpoint) => checkpoint,
            Err(violation) => return self.found(Some(violation)),
        };
        let header = record.header;
        let violation = bounds::check_op(&self.facts, replica, header.op, "checkpoint");
        if violation.is_some() {
            return self.found(violation);
        }
        self.facts.log.see(&header);
        let (view, by) = (log_view, replica);
        let claim =
            Claim { op: header.op, checksum: header.checksum, view, by, how: How::Checkpoint };
        self.claimed(&claim);
        self.take_reference(header.op);
        let expected = self.facts.log.place_mut(header.op).taken;
        let violations = [
            table_equal::check(&self.facts, replica, &checkpoint, &expected),
            checkpoint_equal::check(&self.facts, replica, &record, &checkpoint, &expected),
        ];
        for violation in violations {
            self.found(violation);
        }
        let taken = &mut self.facts.log.place_mut(header.op).taken;
        let (first, _) = *taken.first.get_or_insert((record.checksum, replica));
        taken.is_judged |=
            first == record.checksum && expected.sessions.is_some() && expected.state.is_some();
        self.see_checkpoint(replica, header.op);
    }

    fn see_checkpoint(&mut self, replica: ReplicaIndex, op: OpNumber) {
        self.facts.log.see_checkpoint(op);
        self.facts.replica_mut(replica).disk.see_checkpoint(op);
        self.facts.forget();
    }

    fn slot_holds(&mut self, found: &DiskBytes<'_>, slot: u64, place: &str) -> bool {
        // Where a crash has torn a write, there may be left what another that had gone astray put there before.
        let header =
            entry_in(found.bytes).filter(|header| place != CRASH || self.belongs(header, slot));
        if let Some(header) = &header {
            let violation = bounds::check_slot(&self.facts, found.replica, header.op, slot);
            if violation.is_some() {
                self.found(violation);
                return true;
            }
            self.facts.log.see(header);
        }
        let held = header.as_ref().map(Held::of);
        let (root, slots) = (self.facts.log.root(), self.facts.configuration.slots);
        let slot = usize::try_from(slot).expect("slots fit in memory");
        let disk = &mut self.facts.replica_mut(found.replica).disk;
        let owed_before = disk.owed_count();
        let lost = disk.put(slot, held, root, slots).filter(|before| held != Some(*before));
        disk.wrote_slot(slot);
        if lost.is_none() && disk.owed_count() < owed_before {
            self.exposure.count(Moment::SpoiledRepaired);
        }
        if let Some(lost) = lost {
            self.exposure.count(Moment::EntryReplaced);
            let violation = acked_durable::check(&self.facts, found.replica, &lost, place);
            self.found(violation);
            if let Some(held) = held.filter(|held| held.op > lost.op) {
                self.exposure.count(Moment::SlotReused);
                let violation = log_reuse::check(&self.facts, found.replica, &lost, &held);
                self.found(violation);
            }
        }
        held.is_some()
    }
}
