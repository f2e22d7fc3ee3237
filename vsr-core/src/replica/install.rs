//! Bringing the log of a new view here: at its primary, which has chosen it, and at backups, which were told (VR Revisited 4.2).
//!
//! Deviation: the paper sends whole logs. Here a few headers name the log, and the rest is fetched by checksum from whoever has
//! it. The replica is in the view only when all of it is durable: until then its promise for a still later view speaks of its
//! old log, which is untouched but for entries that the new one contradicts. Those are cut off durably before anything is
//! written over them, so that the disk never holds a mix of two logs.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::{Replica, ignore};
use crate::checksum::Checksum;
use crate::header::{Entry, Header};
use crate::io::{Effects, Event, Ignored, Status};
use crate::message::{Command, GetHeaders, GetPrepare};
use crate::number::{OpNumber, ReplicaIndex};
use crate::state_machine::StateMachine;
use crate::superblock::is_chain;
use crate::timeout::Timeout;

/// How many entries are asked for at once.
const FETCH_MAX: usize = 16;

/// How many headers are asked for at once.
pub(super) const HEADERS_MAX: u64 = 32;

/// The log of a view, on its way.
#[derive(Debug)]
pub(super) struct Install {
    /// Who is asked first: it has what it told of.
    source: ReplicaIndex,
    /// The head of the log.
    op: OpNumber,
    /// So much of it is committed.
    commit: OpNumber,
    /// The end of its chain of headers, as far back as is known, without a gap up to `op`.
    headers: VecDeque<Header>,
    stage: Stage,
    /// Entries that have come, from the one after the journal's head; those before it are in the journal.
    entries: VecDeque<Option<Arc<Entry>>>,
    /// The last operation that was asked for.
    asked: OpNumber,
    /// The last operation that both logs share, once that is known.
    base: Option<OpNumber>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Finding the last entry that both logs share.
    FindBase,
    /// Waiting until it is durable that our log ends there.
    Cut,
    /// Fetching what follows, and making it durable.
    Fetch,
    /// Waiting until it is durable that this is our log.
    Persist,
}

impl Install {
    pub(super) const fn op(&self) -> OpNumber {
        self.op
    }

    pub(super) const fn commit(&self) -> OpNumber {
        self.commit
    }

    /// Where the log that is still ours ends, if entries of the new one may follow it in the journal. Once all of the new log is
    /// durable, it is ours.
    pub(super) fn base_of_own_log(&self) -> Option<OpNumber> {
        match self.stage {
            Stage::FindBase | Stage::Persist => None,
            Stage::Cut | Stage::Fetch => self.base,
        }
    }

    /// Whether anything of it is still to come.
    pub(super) const fn is_fetching(&self) -> bool {
        match self.stage {
            Stage::FindBase | Stage::Fetch => true,
            Stage::Cut | Stage::Persist => false,
        }
    }

    /// The first operation whose header is known; the one after the head if none is.
    fn lowest(&self) -> OpNumber {
        self.headers.front().map_or_else(|| self.op.next(), |header| header.op)
    }

    fn header(&self, op: OpNumber) -> Option<&Header> {
        let place = op.get().checked_sub(self.lowest().get())?;
        self.headers.get(usize::try_from(place).ok()?)
    }

    /// The checksum of the entry before the lowest header that is known.
    fn parent_of_lowest(&self) -> Option<Checksum> {
        self.headers.front().map(|header| header.parent)
    }
}

impl<S: StateMachine> Replica<S> {
    /// The log of the view is known by its last headers: fetch what is missing.
    pub(super) fn begin_install(
        &mut self,
        source: ReplicaIndex,
        op: OpNumber,
        commit: OpNumber,
        headers: &[Header],
        effects: &mut Effects,
    ) {
        assert_eq!(self.status(), Status::ViewChange);
        assert!(self.install.is_none());
        self.install = Some(Install {
            source,
            op,
            commit,
            headers: headers.iter().copied().collect(),
            stage: Stage::FindBase,
            entries: VecDeque::new(),
            asked: OpNumber::ZERO,
            base: None,
        });
        let checkpoint = *self.journal.base_header();
        if op < checkpoint.op {
            // Who tells of the log is behind our checkpoint, which holds what the view, or one before it, has committed.
            self.restart_install(&checkpoint);
        }
        self.timers.stop(Timeout::GetView);
        self.timers.stop(Timeout::ResendDoViewChange);
        self.timers.start(Timeout::Repair, self.now);
        if self.is_incomplete() {
            self.ask_spoiled(Some(source), effects);
        }
        self.progress_install(effects);
    }

    /// Does what can be done now; called whenever something came or became durable.
    #[cold]
    pub(super) fn progress_install(&mut self, effects: &mut Effects) {
        while let Some(install) = &self.install {
            let before = install.stage;
            match before {
                Stage::FindBase => self.find_base(effects),
                Stage::Cut => self.await_cut(),
                Stage::Fetch => self.fetch(effects),
                Stage::Persist => return,
            }
            let after = self.install.as_ref().map(|install| install.stage);
            if after == Some(before) {
                return;
            }
        }
    }

    /// Where do the two logs part? Everything up to the last common checksum is common: that is what the chain is for.
    fn find_base(&mut self, effects: &mut Effects) {
        if self.lacks_room_to_install() {
            // A quorum has a checkpoint that makes room, or else this log could not have become so long.
            if !self.checkpoints.is_writing() {
                self.ask_for_room(effects);
            }
            return;
        }
        let Some(base) = self.common_base() else {
            self.ask_headers(None, effects);
            return;
        };
        assert!(base >= self.commit_min, "an executed operation is not in the log of a later view");
        let must_cut = base < self.journal.op();
        if must_cut {
            self.journal.truncate(base);
            effects.event(Event::Truncated { op: base });
            self.write_superblock(effects);
        }
        let install = self.install.as_mut().expect("the caller has looked");
        install.stage = Stage::Cut;
        install.asked = base;
        install.base = Some(base);
        let missing = install.op.get() - base.get();
        let missing = usize::try_from(missing).expect("a log fits in memory");
        install.entries.clear();
        install.entries.resize(missing, None);
    }

    /// Whether the log of the view reaches further than there are slots behind the newest checkpoint here. A view change executes
    /// nothing, so only a checkpoint that is on its way to the disk, or one of somebody else, makes room.
    pub(super) fn lacks_room_to_install(&self) -> bool {
        self.install.as_ref().is_some_and(|install| install.op > self.journal.room())
    }

    fn ask_for_room(&mut self, effects: &mut Effects) {
        let source = self.install.as_ref().expect("the caller has looked").source;
        if source == self.me {
            self.ask_checkpoint_again(effects);
        } else {
            self.ask_checkpoint(source, effects);
        }
    }

    /// Our log begins anew behind a checkpoint: the log of the view is compared with it from the beginning.
    pub(super) fn restart_install(&mut self, checkpoint: &Header) {
        let Some(install) = &mut self.install else { return };
        if checkpoint.op >= install.op {
            // The view has gone on meanwhile: this much of its log is as good, and more.
            install.op = checkpoint.op;
            install.headers.clear();
            install.headers.push_back(*checkpoint);
        }
        install.commit = install.commit.max(checkpoint.op);
        install.stage = Stage::FindBase;
        install.entries.clear();
        install.asked = OpNumber::ZERO;
        install.base = None;
    }

    /// The last operation at which both logs have the same entry; `None` while too few headers are known to tell.
    fn common_base(&self) -> Option<OpNumber> {
        let install = self.install.as_ref().expect("the caller has looked");
        let lowest = install.lowest();
        let mut op = self.journal.op().min(install.op);
        while op >= lowest {
            if self.journal.checksum(op) == install.header(op).map(|header| header.checksum) {
                return Some(op);
            }
            op = op.minus(1);
        }
        let below = lowest.minus(1);
        let Some(parent) = install.parent_of_lowest() else {
            return Some(OpNumber::ZERO);
        };
        if self.journal.checksum(below) == Some(parent) {
            return Some(below);
        }
        assert!(below > self.commit_min, "an executed operation is not in the log of a later view");
        None
    }

    /// Asks for headers below those that are known.
    fn ask_headers(&self, peer: Option<ReplicaIndex>, effects: &mut Effects) {
        let install = self.install.as_ref().expect("the caller has looked");
        let op_max = install.lowest().minus(1);
        let checksum = install.parent_of_lowest().expect("an empty log has a base");
        let op_min = op_max.minus(HEADERS_MAX - 1).max(self.commit_min.next());
        let to = peer.unwrap_or(install.source);
        if to != self.me {
            let get_headers = GetHeaders { op_min, op_max, checksum };
            self.send(to, Command::GetHeaders(get_headers), effects);
        }
    }

    /// A stretch of the chain has come. It is believed if its end is the one that was asked for.
    #[cold]
    pub(super) fn on_headers(
        &mut self,
        from: ReplicaIndex,
        headers: &[Header],
        effects: &mut Effects,
    ) {
        if let Some(reason) = self.ignores_headers(headers) {
            ignore(from, reason, effects);
            return;
        }
        let install = self.install.as_mut().expect("judged above");
        for header in headers.iter().rev() {
            install.headers.push_front(*header);
        }
        self.progress_install(effects);
    }

    fn ignores_headers(&self, headers: &[Header]) -> Option<Ignored> {
        let Some(install) = &self.install else {
            return Some(Ignored::NotAskedFor);
        };
        if install.stage != Stage::FindBase {
            return Some(Ignored::NotAskedFor);
        }
        let last = headers.last().map(|header| header.checksum);
        if last.is_none() || last != install.parent_of_lowest() {
            return Some(Ignored::NotAskedFor);
        }
        if !is_chain(headers) || headers[0].op == OpNumber::ZERO {
            return Some(Ignored::BrokenChain);
        }
        None
    }

    /// Both the promise and the cut are durable once nothing is left to write: only then may slots be written over.
    fn await_cut(&mut self) {
        let writer = self.superblock.as_ref().expect("read before anything is said");
        if writer.is_idle() && self.promises.is_own_durable() {
            self.install.as_mut().expect("the caller has looked").stage = Stage::Fetch;
        }
    }

    /// Appends what has come, asks for what has not, and ends when all is durable.
    fn fetch(&mut self, effects: &mut Effects) {
        let install = self.install.as_mut().expect("the caller has looked");
        while let Some(Some(_)) = install.entries.front() {
            let entry = install.entries.pop_front().flatten().expect("looked at above");
            // Not through `append`: what became durable is looked at below.
            self.journal.append(entry, &mut self.tokens, effects);
        }
        if self.journal.durable() == install.op && !self.checkpoints.is_spoiled() {
            assert_eq!(self.journal.op(), install.op);
            install.stage = Stage::Persist;
            self.timers.stop(Timeout::Repair);
            self.views.on_log_durable();
            self.forget_doubt(effects);
            self.write_superblock(effects);
            return;
        }
        self.ask_entries(None, effects);
    }

    /// Asks for entries that were not asked for yet, as long as few enough are on their way.
    fn ask_entries(&mut self, peer: Option<ReplicaIndex>, effects: &mut Effects) {
        let Some(install) = &self.install else { return };
        let to = peer.unwrap_or(install.source);
        if to == self.me {
            // Our own log was chosen: nothing is missing but the disk's word.
            return;
        }
        let first = self.journal.op().next();
        let mut on_their_way = 0;
        let mut asked = install.asked;
        for (op, entry) in (first.get()..).map(OpNumber::new).zip(&install.entries) {
            if entry.is_some() {
                continue;
            }
            on_their_way += 1;
            if on_their_way > FETCH_MAX {
                break;
            }
            if op <= install.asked && peer.is_none() {
                continue;
            }
            let header = install.header(op).expect("headers reach down to the base");
            let get_prepare = GetPrepare { op, checksum: header.checksum };
            self.send(to, Command::GetPrepare(get_prepare), effects);
            asked = asked.max(op);
        }
        self.install.as_mut().expect("looked at above").asked = asked;
    }

    /// An entry has come: it is the right one if its checksum is, whoever sent it and whenever it was prepared.
    #[cold]
    pub(super) fn on_repaired(
        &mut self,
        from: ReplicaIndex,
        entry: Arc<Entry>,
        effects: &mut Effects,
    ) {
        if self.journal.wants(&entry) {
            self.take_spoiled(from, entry, effects);
            return;
        }
        let Some(place) = self.place_of_repaired(&entry) else {
            ignore(from, Ignored::NotAskedFor, effects);
            return;
        };
        let op = entry.header().op;
        let install = self.install.as_mut().expect("judged above");
        if install.entries[place].replace(entry).is_some() {
            ignore(from, Ignored::AlreadyCounted, effects);
            return;
        }
        effects.event(Event::GapFilled { op });
        self.timers.forget_attempts(Timeout::Repair);
        self.progress_install(effects);
    }

    fn place_of_repaired(&self, entry: &Entry) -> Option<usize> {
        let install = self.install.as_ref()?;
        if install.stage != Stage::Fetch {
            return None;
        }
        let op = entry.header().op;
        if install.header(op)?.checksum != entry.header().checksum {
            return None;
        }
        let place = op.get().checked_sub(self.journal.op().next().get())?;
        usize::try_from(place).ok().filter(|place| *place < install.entries.len())
    }

    /// What was asked for has not come: ask somebody else.
    pub(super) fn on_install_repair_timeout(&mut self, effects: &mut Effects) {
        let Some(install) = &self.install else { return };
        let stage = install.stage;
        if self.transfer.is_some() || self.lacks_room_to_install() {
            self.ask_checkpoint_again(effects);
            self.timers.back_off(Timeout::Repair, self.now);
            return;
        }
        if self.is_incomplete() {
            self.ask_spoiled(None, effects);
        }
        let peer = self.random_peer();
        match stage {
            Stage::FindBase => self.ask_headers(peer, effects),
            Stage::Fetch => self.ask_entries(peer, effects),
            Stage::Cut | Stage::Persist => {}
        }
        self.timers.back_off(Timeout::Repair, self.now);
    }
}
