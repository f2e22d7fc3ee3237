//! Checkpoints on disk, and what they make room for in the log.
//!
//! After every operation that is a multiple of the interval the state is put into bytes, at once, so that they are of that operation
//! whatever is executed meanwhile; the bytes go to the area that the superblock does not name, and then the superblock names
//! them. One checkpoint is written at a time: the operation that the next one would be taken after waits to be executed.
//!
//! An entry of the log is written over only when a checkpoint at or after it is durable here, and was durable at a replication
//! quorum when the entry that takes its place was prepared: the primary sees to the second, so that whoever still has to bring
//! something up to date finds it in a log or in a checkpoint, though this replica's disk be lost.

use super::Replica;
use crate::checkpoint::{CHUNK_SIZE, Checkpoint};
use crate::header::Header;
use crate::io::{Effects, Event, Halt, Status, Zone};
use crate::number::{OpNumber, REPLICA_COUNT_MAX, ReplicaIndex};
use crate::state_machine::StateMachine;
use crate::superblock::{Area, CheckpointRecord, Superblock};
use crate::token::Subject;

/// How many pieces are being written at once.
const CHUNKS_IN_FLIGHT: u32 = 4;

/// The checkpoints of one replica.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    /// The newest that is durable, kept to be given to others.
    durable: Option<Checkpoint>,
    /// Whether the one that the superblock names could not be read back: nothing can be executed before another takes its place.
    is_spoiled: bool,
    writing: Option<Writing>,
}

/// A checkpoint on its way to the disk.
#[derive(Debug)]
struct Writing {
    checkpoint: Checkpoint,
    record: CheckpointRecord,
    origin: Origin,
    /// How many pieces were handed to the disk.
    started: u32,
    /// How many of those are durable.
    done: u32,
    /// Whether a superblock that names it is on its way.
    is_named: bool,
}

/// Where a checkpoint is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was taken here: the state is that of the checkpoint, or a later one.
    Taken,
    /// It was fetched from another replica: the state is an earlier one.
    Fetched,
}

impl Checkpoints {
    pub(super) const fn durable(&self) -> Option<&Checkpoint> {
        self.durable.as_ref()
    }

    /// The operation of the newest that is durable; 0 if there is none.
    pub(super) fn durable_op(&self) -> OpNumber {
        self.durable.as_ref().map_or(OpNumber::ZERO, Checkpoint::op)
    }

    pub(super) const fn is_spoiled(&self) -> bool {
        self.is_spoiled
    }

    pub(super) const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// The operation of a fetched one that a superblock on its way to the disk names: it will take the place of the state.
    pub(super) fn fetched_and_named(&self) -> Option<&Header> {
        let is_it = |writing: &&Writing| writing.origin == Origin::Fetched && writing.is_named;
        self.writing.as_ref().filter(is_it).map(|writing| &writing.record.header)
    }

    pub(super) fn is_writing_fetched(&self) -> bool {
        self.writing.as_ref().is_some_and(|writing| writing.origin == Origin::Fetched)
    }
}

impl<S: StateMachine> Replica<S> {
    /// Whether the next operation must wait: the checkpoint before the one that it calls for is not durable yet.
    pub(super) fn must_await_checkpoint(&self, next: OpNumber) -> bool {
        self.configuration.is_checkpoint(next) && self.checkpoints.is_writing()
    }

    /// Takes a checkpoint after `op`, which was executed just now, if one is due.
    pub(super) fn checkpoint_if_due(&mut self, op: OpNumber, effects: &mut Effects) {
        if !self.configuration.is_checkpoint(op) {
            return;
        }
        let header = self.journal.header(op).expect("executed just now");
        let checkpoint = Checkpoint::take(header, &self.client_table, &self.state_machine);
        self.write_checkpoint(checkpoint, Origin::Taken, effects);
    }

    /// Begins to bring a checkpoint to the disk.
    #[cold]
    pub(super) fn write_checkpoint(
        &mut self,
        checkpoint: Checkpoint,
        origin: Origin,
        effects: &mut Effects,
    ) {
        assert!(!self.checkpoints.is_writing());
        if checkpoint.size() > self.configuration.snapshot_size_max {
            // What is on disk stays as it is: with more room the replica goes on from there.
            self.halt(Halt::OutOfSpace, effects);
            return;
        }
        let before = self.superblock_newest().checkpoint;
        let area = before.map_or(Area::First, |before| before.area.other());
        let record = checkpoint.record(area);
        self.checkpoints.writing =
            Some(Writing { checkpoint, record, origin, started: 0, done: 0, is_named: false });
        self.write_chunks(effects);
    }

    fn write_chunks(&mut self, effects: &mut Effects) {
        let Some(writing) = &mut self.checkpoints.writing else { return };
        let bytes = writing.checkpoint.bytes();
        let chunks = writing.record.size.div_ceil(CHUNK_SIZE);
        while writing.started < chunks && writing.started < writing.done + CHUNKS_IN_FLIGHT {
            let start = writing.started * CHUNK_SIZE;
            let end = start.saturating_add(CHUNK_SIZE).min(writing.record.size);
            let token = self.tokens.next(Subject::SnapshotChunk(writing.started));
            let offset = offset_in_zone(&self.configuration, writing.record.area, start);
            effects.write(token, Zone::Snapshots, offset, |buffer| {
                buffer.extend_from_slice(&bytes[start as usize..end as usize]);
            });
            writing.started += 1;
        }
    }

    /// A piece is durable. With the last one the superblock may name the checkpoint.
    #[cold]
    pub(super) fn on_chunk_written(&mut self, effects: &mut Effects) {
        let writing = self.checkpoints.writing.as_mut().expect("only written on our behalf");
        writing.done += 1;
        assert!(writing.done <= writing.started);
        if writing.done < writing.record.size.div_ceil(CHUNK_SIZE) {
            self.write_chunks(effects);
            return;
        }
        if self.halted.is_some() {
            return;
        }
        let (record, origin) = (writing.record, writing.origin);
        if origin == Origin::Fetched && !self.adopt_log_of(&record, effects) {
            self.checkpoints.writing = None;
            self.go_on_after_checkpoint(effects);
            return;
        }
        self.checkpoints.writing.as_mut().expect("looked at above").is_named = true;
        let version = match origin {
            Origin::Fetched if self.journal.op() == record.header.op => Superblock {
                op: record.header.op,
                headers: alloc::vec![record.header],
                ..self.superblock_newest().clone()
            },
            Origin::Fetched | Origin::Taken => self.superblock_newest().clone(),
        };
        let version = Superblock { checkpoint: Some(record), ..version };
        let writer = self.superblock.as_mut().expect("read before anything is said");
        writer.write(version, &mut self.tokens, effects);
    }

    /// A version of the superblock is durable: it may be the first that names the checkpoint that was written.
    pub(super) fn on_checkpoint_named(&mut self, effects: &mut Effects) {
        let durable = self.superblock.as_ref().expect("just written").durable();
        let (named, op) = (durable.checkpoint, durable.checkpoint_op());
        // One that takes the place of a spoiled one may be of the same operation.
        let is_named = |writing: &mut Writing| {
            let record = writing.record;
            writing.is_named && (record.header.op < op || named == Some(record))
        };
        let Some(writing) = self.checkpoints.writing.take_if(is_named) else { return };
        let op = writing.record.header.op;
        // What was missing may have come meanwhile, and have been executed.
        let is_ahead = writing.origin == Origin::Fetched && op > self.commit_min;
        if is_ahead {
            self.restore_state(&writing.checkpoint, effects);
        }
        self.checkpoints.durable = Some(writing.checkpoint);
        let had_lost = core::mem::take(&mut self.checkpoints.is_spoiled);
        effects.event(Event::Checkpointed { op });
        let before = self.journal.durable();
        self.journal.release(op);
        if is_ahead && (had_lost || self.journal.has_missing()) {
            self.journal.make_up(&writing.record.header);
        }
        self.on_durable(before, effects);
        self.go_on_after_checkpoint(effects);
    }

    /// The state, whole, is that of the checkpoint, and so is what was executed.
    pub(super) fn restore_state(&mut self, checkpoint: &Checkpoint, effects: &mut Effects) {
        let op = checkpoint.op();
        assert!(op > self.commit_min);
        checkpoint.restore(&mut self.client_table, &mut self.state_machine);
        self.commit_min = op;
        self.commit_max = self.commit_max.max(op);
        effects.event(Event::StateRestored { op });
    }

    /// At a start: the checkpoint that was found is where the log begins, and what was executed.
    pub(super) fn begin_from(&mut self, checkpoint: Checkpoint, effects: &mut Effects) {
        let op = checkpoint.op();
        self.restore_state(&checkpoint, effects);
        self.checkpoints.durable = Some(checkpoint);
        self.journal.release(op);
    }

    /// At a start: the checkpoint that was found cannot be read. The log begins behind it all the same.
    pub(super) fn begin_without(&mut self, record: &CheckpointRecord, effects: &mut Effects) {
        let op = record.header.op;
        self.checkpoints.is_spoiled = true;
        self.journal.release(op);
        effects.event(Event::CheckpointSpoiled { op });
    }

    /// What had to wait for a checkpoint needs to wait no more.
    fn go_on_after_checkpoint(&mut self, effects: &mut Effects) {
        self.use_fetched(effects);
        match self.status() {
            Status::Normal => {
                self.execute_committed(effects);
                if self.is_primary() {
                    self.prepare_queued(effects);
                } else {
                    self.ask_what_is_missing(effects);
                }
            }
            Status::ViewChange => self.progress_install(effects),
            Status::Recovering => {}
        }
    }

    /// Whether the log of a primary has room for one more operation: here, and by the checkpoints of a quorum.
    pub(super) fn has_room_to_prepare(&self) -> bool {
        let slots = u64::from(self.configuration.slots);
        self.journal.op() < self.journal.room()
            && self.journal.op() < self.quorum_checkpoint().plus(slots)
    }

    /// The newest operation that the checkpoints of a replication quorum, durable there, are at or after.
    fn quorum_checkpoint(&self) -> OpNumber {
        let mut of = self.primary.checkpoints;
        of[self.me.index()] = self.checkpoints.durable_op();
        of.sort_unstable_by(|one, other| other.cmp(one));
        of[usize::from(self.quorums.replication()) - 1]
    }

    /// A replica has a durable checkpoint of `op`: there may be room for what waits.
    pub(super) fn learn_checkpoint(
        &mut self,
        from: ReplicaIndex,
        op: OpNumber,
        effects: &mut Effects,
    ) {
        let known = &mut self.primary.checkpoints[from.index()];
        if op > *known {
            *known = op;
            self.prepare_queued(effects);
        }
    }
}

/// Nobody's checkpoint is known.
pub(super) const NO_CHECKPOINTS: [OpNumber; REPLICA_COUNT_MAX as usize] =
    [OpNumber::ZERO; REPLICA_COUNT_MAX as usize];

/// Where byte `start` of the checkpoint in `area` is.
pub(super) fn offset_in_zone(
    configuration: &crate::configuration::Configuration,
    area: Area,
    start: u32,
) -> u64 {
    u64::from(area.number()) * configuration.snapshot_area_size() + u64::from(start)
}
