//! State transfer by checkpoint: for a replica that needs what is in nobody's log any more (VR Revisited 5.2 and 5.3).
//!
//! Whoever is asked for what only its checkpoint still holds answers with the first piece of that. The rest is asked for by checksum,
//! from anybody, and begun anew where others have moved on to a later checkpoint. Once all of it is durable here, and then the
//! superblock that names it, it takes the place of the state, whole; the log stays if it leads to the checkpoint's operation, and
//! begins anew behind it otherwise.
//!
//! Deviation: the paper has the checkpoint of one replica and the log of another follow each other within one view. Here a checkpoint
//! is taken from whoever is in our view or an older one, normal or not: what was committed by then is in our view's log.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::checkpoint::Origin;
use super::{Replica, ignore};
use crate::checkpoint::Checkpoint;
use crate::checksum::Checksum;
use crate::header::Header;
use crate::io::{Effects, Event, Ignored, Status};
use crate::message::{CheckpointPart, Command, GetCheckpoint};
use crate::number::{OpNumber, ReplicaIndex, ViewNumber};
use crate::state_machine::StateMachine;
use crate::superblock::CheckpointRecord;
use crate::timeout::Timeout;

/// Bytes of one piece.
const PART_SIZE: u32 = 4096;

/// How many pieces are asked for at once.
const PARTS_MAX: usize = 16;

/// A checkpoint that is being fetched.
#[derive(Debug)]
pub(super) struct Transfer {
    header: Header,
    checksum: Checksum,
    bytes: Vec<u8>,
    parts: Vec<Part>,
    missing: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Missing,
    Asked,
    Here,
}

impl Transfer {
    fn of(part: &CheckpointPart) -> Self {
        let count = part.size.div_ceil(PART_SIZE) as usize;
        Self {
            header: part.header,
            checksum: part.checksum,
            bytes: alloc::vec![0; part.size as usize],
            parts: alloc::vec![Part::Missing; count],
            missing: count,
        }
    }

    /// Takes in a piece; answers whether it was missing.
    fn take(&mut self, part: &CheckpointPart) -> bool {
        let place = &mut self.parts[(part.offset / PART_SIZE) as usize];
        if core::mem::replace(place, Part::Here) == Part::Here {
            return false;
        }
        let start = part.offset as usize;
        self.bytes[start..start + part.bytes.len()].copy_from_slice(&part.bytes);
        self.missing -= 1;
        true
    }
}

impl<S: StateMachine> Replica<S> {
    /// Asks for any checkpoint, or for what is missing of the one that is being fetched.
    pub(super) fn ask_checkpoint(&mut self, to: ReplicaIndex, effects: &mut Effects) {
        let Some(transfer) = &mut self.transfer else {
            let any = GetCheckpoint { op: OpNumber::ZERO, checksum: Checksum::ZERO, offset: 0 };
            self.send(to, Command::GetCheckpoint(any), effects);
            return;
        };
        let (op, checksum) = (transfer.header.op, transfer.checksum);
        let asked = transfer.parts.iter().filter(|part| **part == Part::Asked).count();
        let mut offsets = [None; PARTS_MAX];
        let missing = (0..).zip(&mut transfer.parts).filter(|(_, part)| **part == Part::Missing);
        for (offset, (number, part)) in offsets.iter_mut().skip(asked).zip(missing) {
            *part = Part::Asked;
            *offset = Some(number * PART_SIZE);
        }
        for offset in offsets.into_iter().flatten() {
            self.send(to, Command::GetCheckpoint(GetCheckpoint { op, checksum, offset }), effects);
        }
    }

    /// Nothing came for too long: asks somebody else, for all that is missing.
    pub(super) fn ask_checkpoint_again(&mut self, effects: &mut Effects) {
        if let Some(transfer) = &mut self.transfer {
            for part in transfer.parts.iter_mut().filter(|part| **part == Part::Asked) {
                *part = Part::Missing;
            }
        }
        if let Some(peer) = self.random_peer() {
            self.ask_checkpoint(peer, effects);
        }
    }

    /// Somebody wants a piece of a checkpoint. Who asks for one that is not the newest any more is told of the newest.
    #[cold]
    pub(super) fn on_get_checkpoint(
        &self,
        from: ReplicaIndex,
        get: GetCheckpoint,
        effects: &mut Effects,
    ) {
        let Some(checkpoint) = self.checkpoints.durable().filter(|durable| durable.op() >= get.op)
        else {
            ignore(from, Ignored::NotHere, effects);
            return;
        };
        let is_this = checkpoint.checksum() == get.checksum
            && get.offset < checkpoint.size()
            && get.offset.is_multiple_of(PART_SIZE);
        self.send_part(from, if is_this { get.offset } else { 0 }, effects);
    }

    /// Somebody asks for what only the checkpoint holds: this is its beginning.
    pub(super) fn offer_checkpoint(&self, to: ReplicaIndex, effects: &mut Effects) {
        if self.checkpoints.durable().is_some() {
            self.send_part(to, 0, effects);
        } else {
            ignore(to, Ignored::NotHere, effects);
        }
    }

    fn send_part(&self, to: ReplicaIndex, offset: u32, effects: &mut Effects) {
        let checkpoint = self.checkpoints.durable().expect("the caller has looked");
        let bytes = &checkpoint.bytes()[offset as usize..];
        let bytes = &bytes[..bytes.len().min(PART_SIZE as usize)];
        let part = CheckpointPart {
            header: *checkpoint.header(),
            checksum: checkpoint.checksum(),
            size: checkpoint.size(),
            offset,
            bytes: bytes.into(),
        };
        self.send(to, Command::Checkpoint(Arc::new(part)), effects);
    }

    /// A piece of a checkpoint has come.
    #[cold]
    pub(super) fn on_checkpoint_part(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        part: &CheckpointPart,
        effects: &mut Effects,
    ) {
        if let Some(reason) = self.ignores_part(view, part) {
            ignore(from, reason, effects);
            return;
        }
        let is_later =
            self.transfer.as_ref().is_none_or(|transfer| transfer.header.op < part.header.op);
        if is_later {
            self.transfer = Some(Transfer::of(part));
            effects.event(Event::StateTransferBegun { op: part.header.op });
        }
        let transfer = self.transfer.as_mut().expect("there is one now");
        if !transfer.take(part) {
            ignore(from, Ignored::AlreadyCounted, effects);
            return;
        }
        self.timers.start(Timeout::Repair, self.now);
        if transfer.missing > 0 {
            self.ask_checkpoint(from, effects);
            return;
        }
        self.use_fetched(effects);
    }

    fn ignores_part(&mut self, view: ViewNumber, part: &CheckpointPart) -> Option<Ignored> {
        if view > self.view() {
            return Some(Ignored::NewerView);
        }
        if self.checkpoints.is_writing_fetched() {
            return Some(Ignored::StateTransfer);
        }
        if part.size > self.configuration.snapshot_size_max {
            return Some(Ignored::TooLarge);
        }
        let rest = part.size.saturating_sub(part.offset);
        if part.header.cluster != self.configuration.cluster
            || !self.configuration.is_checkpoint(part.header.op)
            || !part.offset.is_multiple_of(PART_SIZE)
            || rest == 0
            || part.bytes.len() != rest.min(PART_SIZE) as usize
        {
            return Some(Ignored::Misdirected);
        }
        if !self.needs_checkpoint(&part.header) {
            self.transfer = None;
            return Some(Ignored::NotAskedFor);
        }
        let transfer = self.transfer.as_ref()?;
        if transfer.header.op > part.header.op {
            return Some(Ignored::NotAskedFor);
        }
        let is_other = transfer.header.op == part.header.op
            && (transfer.checksum != part.checksum || transfer.bytes.len() != part.size as usize);
        if is_other { Some(Ignored::BrokenChain) } else { None }
    }

    /// Whether the checkpoint after this operation brings this replica on, and its log would not.
    fn needs_checkpoint(&self, header: &Header) -> bool {
        if header.op <= self.commit_min || header.op < self.superblock_newest().checkpoint_op() {
            return false;
        }
        let makes_up = self.checkpoints.is_spoiled()
            || self.journal.first_missing().is_some_and(|first| first <= header.op);
        let is_elsewhere = makes_up || !self.journal.leads_to(header);
        match self.status() {
            Status::Normal => !self.is_primary() && is_elsewhere,
            Status::ViewChange => {
                self.install.as_ref().is_some_and(|install| install.is_fetching())
                    && (is_elsewhere || self.lacks_room_to_install())
            }
            Status::Recovering => false,
        }
    }

    /// Begins to make a checkpoint durable that has come whole, unless another is being written.
    pub(super) fn use_fetched(&mut self, effects: &mut Effects) {
        if self.checkpoints.is_writing() || self.halted.is_some() || !self.may_change_log() {
            return;
        }
        let Some(transfer) = self.transfer.take_if(|transfer| transfer.missing == 0) else {
            return;
        };
        let checkpoint = Checkpoint::read(transfer.checksum, &transfer.bytes)
            .filter(|checkpoint| *checkpoint.header() == transfer.header);
        // Pieces that do not make up what they said they would are thrown away.
        let Some(checkpoint) = checkpoint else { return };
        if self.needs_checkpoint(checkpoint.header()) {
            self.write_checkpoint(checkpoint, Origin::Fetched, effects);
        }
    }

    /// Whether the log may begin anew: not before a promise is durable that speaks of it as it is.
    fn may_change_log(&self) -> bool {
        self.status() == Status::Normal || self.promises.is_own_durable()
    }

    /// A fetched checkpoint is whole on disk: the log must lead to it. Answers whether it is still of use.
    pub(super) fn adopt_log_of(
        &mut self,
        record: &CheckpointRecord,
        effects: &mut Effects,
    ) -> bool {
        let header = &record.header;
        if !self.needs_checkpoint(header) || !self.may_change_log() {
            return false;
        }
        if self.journal.leads_to(header) {
            return true;
        }
        self.begin_log_anew(header, effects);
        self.backup.ahead.clear();
        self.restart_install(header);
        true
    }

    /// Behind a fetched checkpoint. What was here beyond what is executed was never committed, or is in the checkpoint.
    pub(super) fn begin_log_anew(&mut self, header: &Header, effects: &mut Effects) {
        if self.journal.op() > self.commit_min {
            effects.event(Event::Truncated { op: self.commit_min });
        }
        self.journal.begin_at(header, self.commit_min);
    }
}
