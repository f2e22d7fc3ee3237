//! Starting: reading back what the disk holds, and deciding where to go on.
//!
//! Deviation: the paper's recovery protocol (VR Revisited 4.3) asks others for a state that was lost. Here the state is durable and
//! read back, so that all replicas may stop at once.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Replica;
use super::checkpoint::offset_in_zone;
use crate::checkpoint::{CHUNK_SIZE, Checkpoint};
use crate::checksum::Checksum;
use crate::configuration::Configuration;
use crate::header::{Entry, HEADER_SIZE, Header};
use crate::io::{Effect, Effects, Event, Halt, Status, Zone};
use crate::number::{Incarnation, OpNumber, ReplicaIndex};
use crate::state_machine::StateMachine;
use crate::superblock::{COPIES, CheckpointRecord, Superblock, SuperblockWriter};
use crate::token::{Subject, Tokens};

/// How many entries are read at once.
const READ_AHEAD: u64 = 16;

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// Copies of the superblock that were whole.
    copies: Vec<Superblock>,
    copies_left: u32,
    /// What the log must agree with: the superblock as it was found.
    found: Option<Superblock>,
    /// The bytes of the checkpoint, as far as they have been read.
    snapshot: Vec<u8>,
    /// The checksums in the ring of headers, by slot.
    redundant: Vec<Checksum>,
    /// Entries that were read, from the one after the journal's head; `None` while the read is on.
    read: VecDeque<Option<Slot>>,
    /// Whether the log's end has been found.
    is_log_read: bool,
}

/// What a slot of the ring of prepares holds.
#[derive(Clone, Debug)]
enum Slot {
    Whole(Arc<Entry>),
    /// Never written, torn, or of another purpose.
    Unreadable,
}

/// Writes an empty disk for replica `me` of a new cluster: to be made durable before the first start, and never again.
///
/// The rings need nothing: a slot of zeros is one that was never written.
pub fn format(configuration: &Configuration, me: ReplicaIndex, effects: &mut Effects) {
    effects.begin();
    let mut tokens = Tokens::default();
    let superblock = Superblock::first(configuration, me);
    let copy_size = Superblock::copy_size(configuration);
    for copy in 0..COPIES {
        let token = tokens.next(Subject::SuperblockCopy(copy));
        let offset = u64::from(copy) * copy_size;
        effects.write(token, Zone::Superblock, offset, |bytes| superblock.encode(bytes));
    }
}

impl<S: StateMachine> Replica<S> {
    /// The first input: read all copies of the superblock.
    pub(super) fn on_start(&mut self, effects: &mut Effects) {
        assert_eq!(self.status(), Status::Recovering);
        assert!(self.opening.is_none());
        self.opening = Some(Opening { copies_left: COPIES, ..Opening::default() });
        let copy_size = Superblock::copy_size(&self.configuration);
        for copy in 0..COPIES {
            effects.push(Effect::Read {
                token: self.tokens.next(Subject::SuperblockCopy(copy)),
                zone: Zone::Superblock,
                offset: u64::from(copy) * copy_size,
                size: u32::try_from(copy_size).expect("a few sectors"),
            });
        }
    }

    /// A copy of the superblock has been read. With the last one, it is known which to believe.
    pub(super) fn on_superblock_read(&mut self, bytes: &[u8], effects: &mut Effects) {
        let opening = self.opening.as_mut().expect("only read at a start");
        opening.copies.extend(Superblock::decode(bytes));
        opening.copies_left -= 1;
        if opening.copies_left > 0 {
            return;
        }
        let found = Superblock::choose(opening.copies.drain(..));
        let Some(found) = found.filter(|found| found.belongs_to(&self.configuration, self.me))
        else {
            self.halt(Halt::WrongDisk, effects);
            return;
        };
        // Counted up durably before the replica takes part; which also spreads the version found to all four copies.
        let next = Superblock { incarnation: found.incarnation.next(), ..found.clone() };
        opening.found = Some(found.clone());
        let checkpoint = found.checkpoint;
        let mut writer = SuperblockWriter::new(&self.configuration, found);
        writer.write(next, &mut self.tokens, effects);
        self.superblock = Some(writer);
        match checkpoint {
            Some(checkpoint) => self.read_chunk(&checkpoint, 0, effects),
            None => self.read_header_ring(effects),
        }
    }

    fn read_chunk(&mut self, record: &CheckpointRecord, start: u32, effects: &mut Effects) {
        effects.push(Effect::Read {
            token: self.tokens.next(Subject::SnapshotChunk(start / CHUNK_SIZE)),
            zone: Zone::Snapshots,
            offset: offset_in_zone(&self.configuration, record.area, start),
            size: (record.size - start).min(CHUNK_SIZE),
        });
    }

    /// A piece of the checkpoint has been read. With the last one the state is that of the checkpoint, and the log begins behind it.
    pub(super) fn on_chunk_read(&mut self, bytes: &[u8], effects: &mut Effects) {
        let opening = self.opening.as_mut().expect("only read at a start");
        let record = opening.found.as_ref().and_then(|found| found.checkpoint);
        let record = record.expect("read because of it");
        opening.snapshot.extend_from_slice(bytes);
        let start = u32::try_from(opening.snapshot.len()).expect("at most the whole of it");
        if start < record.size {
            self.read_chunk(&record, start, effects);
            return;
        }
        let snapshot = core::mem::take(&mut opening.snapshot);
        let checkpoint = Checkpoint::read(record.checksum, &snapshot)
            .filter(|checkpoint| *checkpoint.header() == record.header);
        let Some(checkpoint) = checkpoint else {
            self.halt(Halt::CheckpointDamaged, effects);
            return;
        };
        self.journal.begin_at(&record.header, OpNumber::ZERO);
        self.begin_from(checkpoint, effects);
        self.read_header_ring(effects);
    }

    fn read_header_ring(&mut self, effects: &mut Effects) {
        effects.push(Effect::Read {
            token: self.tokens.next(Subject::HeaderRing),
            zone: Zone::Headers,
            offset: 0,
            size: self.configuration.slots * u32::try_from(HEADER_SIZE).expect("small"),
        });
    }

    /// The ring of headers has been read: read the entries behind the checkpoint, oldest first.
    pub(super) fn on_header_ring_read(&mut self, bytes: &[u8], effects: &mut Effects) {
        let opening = self.opening.as_mut().expect("only read at a start");
        // Whole or not is not asked here: a header counts only where it equals that of a whole entry.
        opening.redundant = bytes
            .chunks_exact(HEADER_SIZE)
            .map(|header| {
                let mut checksum = [0; 16];
                checksum.copy_from_slice(&header[..16]);
                Checksum::new(u128::from_le_bytes(checksum))
            })
            .collect();
        for _ in 0..READ_AHEAD {
            self.read_next_entry(effects);
        }
        self.restore_log(effects);
    }

    fn read_next_entry(&mut self, effects: &mut Effects) {
        let opening = self.opening.as_mut().expect("only read at a start");
        let op = self.journal.op().plus(opening.read.len() as u64 + 1);
        if op > self.journal.room() {
            return;
        }
        let slot = op.get() % u64::from(self.configuration.slots);
        let slot_size = self.configuration.prepare_slot_size();
        opening.read.push_back(None);
        effects.push(Effect::Read {
            token: self.tokens.next(Subject::Prepare(u32::try_from(slot).expect("a slot"))),
            zone: Zone::Prepares,
            offset: slot * slot_size,
            size: u32::try_from(slot_size).expect("a few sectors"),
        });
    }

    /// A slot of the ring of prepares has been read; others may still be on their way, or not matter any more.
    pub(super) fn on_prepare_read(&mut self, slot: u32, bytes: &[u8], effects: &mut Effects) {
        let Some(opening) = &mut self.opening else { return };
        if opening.is_log_read {
            return;
        }
        let slots = u64::from(self.configuration.slots);
        let first = self.journal.op().next().get();
        let place = (u64::from(slot) + slots - first % slots) % slots;
        let place = usize::try_from(place).expect("a slot");
        let read =
            decode_entry(bytes).map_or(Slot::Unreadable, |entry| Slot::Whole(Arc::new(entry)));
        opening.read[place] = Some(read);
        self.restore_log(effects);
    }

    /// Takes into the log what has been read, in order, up to its end.
    fn restore_log(&mut self, effects: &mut Effects) {
        while let Some(opening) = &mut self.opening {
            if opening.is_log_read {
                break;
            }
            let slot = match opening.read.front_mut() {
                Some(None) => return,
                Some(read) => read.take(),
                None => None,
            };
            let op = self.journal.op().next();
            let belongs = match slot {
                Some(Slot::Whole(entry)) if self.belongs_to_log(entry.header()) => Some(entry),
                Some(Slot::Whole(_) | Slot::Unreadable) | None => None,
            };
            let opening = self.opening.as_mut().expect("looked at above");
            let Some(entry) = belongs else {
                let found = opening.found.as_ref().expect("read before the log");
                if op <= found.op {
                    // It was durable when the superblock was written.
                    self.halt(Halt::LogDamaged, effects);
                    return;
                }
                opening.is_log_read = true;
                break;
            };
            opening.read.pop_front();
            let slot = op.get() % u64::from(self.configuration.slots);
            let redundant = opening.redundant[usize::try_from(slot).expect("a slot")];
            let header_matches = redundant == entry.header().checksum;
            self.journal.restore(entry, header_matches, &mut self.tokens, effects);
            self.read_next_entry(effects);
        }
        self.begin_to_take_part(effects);
    }

    /// Whether an entry that was found at the next place is part of the log, or was cut off once and only left behind.
    fn belongs_to_log(&self, header: &Header) -> bool {
        let opening = self.opening.as_ref().expect("only asked at a start");
        let found = opening.found.as_ref().expect("read before the log");
        let op = self.journal.op().next();
        if header.cluster != self.configuration.cluster
            || header.op != op
            || header.parent != self.journal.head().checksum
        {
            return false;
        }
        if op > found.op {
            // In a view change the log ends where the promise says. In a normal view only that view's entries may follow.
            return found.view == found.log_view && header.view == found.log_view;
        }
        let first = found.headers.first().map(|header| header.op);
        match first.and_then(|first| op.get().checked_sub(first.get())) {
            Some(place) => {
                let place = usize::try_from(place).expect("at most a pipeline");
                found.headers[place].checksum == header.checksum
            }
            None => true,
        }
    }

    /// A version of the superblock is durable.
    pub(super) fn on_superblock_durable(&mut self, effects: &mut Effects) {
        if self.opening.is_some() {
            self.begin_to_take_part(effects);
            return;
        }
        if self.halted.is_some() {
            return;
        }
        self.on_checkpoint_named(effects);
        let durable = self.superblock.as_ref().expect("just written").durable();
        let (view, log_view) = (durable.view, durable.log_view);
        self.views.on_view_durable(view);
        if view < self.view() {
            return;
        }
        if !self.promises.is_own_durable() && self.status() == Status::ViewChange {
            self.on_promise_durable(effects);
            self.use_fetched(effects);
        }
        if log_view == self.view() && self.status() == Status::ViewChange {
            self.transition_to_normal(effects);
        } else {
            self.progress_install(effects);
        }
    }

    /// The log is read, and the new incarnation is durable: go on where the superblock says.
    fn begin_to_take_part(&mut self, effects: &mut Effects) {
        let is_read = self.opening.as_ref().is_some_and(|opening| opening.is_log_read);
        let is_durable = self.superblock.as_ref().is_some_and(SuperblockWriter::is_idle);
        if !is_read || !is_durable || self.halted.is_some() {
            return;
        }
        self.opening = None;
        let superblock = self.superblock.as_ref().expect("looked at above").durable();
        let (view, log_view, incarnation) =
            (superblock.view, superblock.log_view, superblock.incarnation);
        let known = superblock.commit.max(self.known_committed(self.journal.op()));
        self.commit_max = known.max(self.commit_min);
        self.views.transition_from_recovering(view, log_view);
        effects.event(Event::Started { incarnation, op: self.journal.op() });
        self.status_changed(effects);
        match self.status() {
            Status::ViewChange => self.resume_view_change(effects),
            Status::Normal if self.is_primary() && incarnation > Incarnation::new(1) => {
                // It may have sent entries that it has lost: it leads this view no more.
                self.transition_to_view_change(view.next(), effects);
            }
            Status::Normal if self.is_primary() => {
                assert_eq!(self.journal.op(), OpNumber::ZERO);
                self.become_primary();
            }
            Status::Normal => {
                self.become_backup();
                self.execute_committed(effects);
            }
            Status::Recovering => unreachable!("left just above"),
        }
    }
}

/// Reads an entry back; `None` unless header and body are whole and belong together.
fn decode_entry(bytes: &[u8]) -> Option<Entry> {
    let header = Header::decode(bytes)?;
    let end = HEADER_SIZE.checked_add(usize::try_from(header.size).ok()?)?;
    Entry::new(header, bytes.get(HEADER_SIZE..end)?)
}
