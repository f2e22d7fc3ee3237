//! Starting: reading back what the disk holds, and deciding where to go on.
//!
//! Deviation: the paper's recovery protocol (VR Revisited 4.3) asks others for a state that was lost. Here the state is durable and
//! read back, so that all replicas may stop at once.

use alloc::vec::Vec;

use super::Replica;
use super::checkpoint::offset_in_zone;
use super::reading::LogReading;
use crate::checkpoint::{CHUNK_SIZE, Checkpoint};
use crate::configuration::Configuration;
use crate::io::{Effect, Effects, Event, Halt, Status, Zone};
use crate::number::{Incarnation, OpNumber, ReplicaIndex};
use crate::state_machine::StateMachine;
use crate::superblock::{COPIES, CheckpointRecord, Superblock, SuperblockWriter};
use crate::timeout::Timeout;
use crate::token::{Subject, Tokens};

/// What has been read so far.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// Copies of the superblock that were whole.
    copies: Vec<Superblock>,
    copies_left: u32,
    /// Whether one of them could not be read at all.
    is_unreadable: bool,
    /// Whether one of them was written by code that knows more than this.
    is_of_later_format: bool,
    /// What the log must agree with: the superblock as it was found.
    pub(super) found: Option<Superblock>,
    /// The bytes of the checkpoint, as far as they have been read.
    snapshot: Vec<u8>,
    pub(super) log: LogReading,
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
        effects.write(token, Zone::Superblock, offset, |bytes| superblock.encode(copy, bytes));
    }
}

impl<S: StateMachine> Replica<S> {
    /// The first input: read all copies of the superblock.
    #[cold]
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

    /// A copy of the superblock has been read, or not. With the last one, it is known which to believe.
    pub(super) fn on_superblock_read(
        &mut self,
        copy: u32,
        bytes: Option<&[u8]>,
        effects: &mut Effects,
    ) {
        let opening = self.opening.as_mut().expect("only read at a start");
        opening.copies.extend(bytes.and_then(|bytes| Superblock::decode(copy, bytes)));
        opening.is_of_later_format |= bytes.is_some_and(Superblock::is_of_later_format);
        opening.is_unreadable |= bytes.is_none();
        opening.copies_left -= 1;
        if opening.copies_left > 0 {
            return;
        }
        if opening.is_of_later_format {
            // An older copy beside it may be whole, and would make us forget what the later one has promised.
            self.halt(Halt::LaterFormat, effects);
            return;
        }
        let Some(found) = Superblock::choose(&opening.copies).cloned() else {
            // Nobody knows what was promised and acknowledged here: a vote would be a lie.
            let is_unreadable = opening.is_unreadable;
            self.halt(if is_unreadable { Halt::DiskFailed } else { Halt::DiskLost }, effects);
            return;
        };
        opening.copies.clear();
        if !found.belongs_to(&self.configuration, self.me) {
            self.halt(Halt::WrongDisk, effects);
            return;
        }
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

    /// A piece of the checkpoint has been read, or not. With the last one the state is that of the checkpoint, and the log begins
    /// behind it. It does so too if the checkpoint is spoiled, for the superblock says where: others will have to send the state.
    pub(super) fn on_chunk_read(&mut self, bytes: Option<&[u8]>, effects: &mut Effects) {
        let opening = self.opening.as_mut().expect("only read at a start");
        let record = opening.found.as_ref().and_then(|found| found.checkpoint);
        let record = record.expect("read because of it");
        opening.snapshot.extend_from_slice(bytes.unwrap_or_default());
        let start = u32::try_from(opening.snapshot.len()).expect("at most the whole of it");
        if bytes.is_some() && start < record.size {
            self.read_chunk(&record, start, effects);
            return;
        }
        let snapshot = core::mem::take(&mut opening.snapshot);
        let checkpoint = Checkpoint::read(record.checksum, &snapshot)
            .filter(|checkpoint| *checkpoint.header() == record.header);
        self.journal.begin_at(&record.header, OpNumber::ZERO);
        match checkpoint {
            Some(checkpoint) => self.begin_from(checkpoint, effects),
            None if self.configuration.replica_count == 1 => {
                self.halt(Halt::CheckpointDamaged, effects);
                return;
            }
            None => self.begin_without(&record, effects),
        }
        self.read_header_ring(effects);
    }

    /// A version of the superblock is durable.
    #[cold]
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
    pub(super) fn begin_to_take_part(&mut self, effects: &mut Effects) {
        let is_read = self.opening.as_ref().is_some_and(|opening| opening.log.is_done());
        let is_durable = self.superblock.as_ref().is_some_and(SuperblockWriter::is_idle);
        if !is_read || !is_durable || self.halted.is_some() {
            return;
        }
        self.opening = None;
        let superblock = self.superblock.as_ref().expect("looked at above").durable();
        let (view, log_view, incarnation) =
            (superblock.view, superblock.log_view, superblock.incarnation);
        let (op, reach) = (superblock.op, superblock.reach);
        let known = superblock.commit.max(self.known_committed(self.journal.op()));
        if reach > op && view > log_view {
            self.doubt_head(reach, effects);
        }
        self.commit_max = known.max(self.journal.base());
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
                self.ask_about_head(effects);
                if self.is_incomplete() {
                    self.ask_spoiled(None, effects);
                    self.timers.start(Timeout::Repair, self.now);
                }
                self.execute_committed(effects);
            }
            Status::Recovering => unreachable!("left just above"),
        }
    }
}
