//! Filling gaps: the state transfer of a view that goes on (VR Revisited 5.2), and answers to those who ask by checksum.
//!
//! Within a view there is one log, and whoever is normal in the view holds a prefix of it: so what a normal replica of our view has
//! beyond our head is what comes next, and can be appended as it is.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::install::HEADERS_MAX;
use super::{Replica, ignore};
use crate::header::{Entry, Header};
use crate::io::{Effects, Event, Ignored, Status};
use crate::message::{Command, GetHeaders, GetPrepare, GetState, NewState};
use crate::number::{OpNumber, ReplicaIndex, ViewNumber};
use crate::state_machine::StateMachine;
use crate::timeout::Timeout;

/// How many entries one answer carries at most.
const ENTRIES_MAX: u64 = 8;

impl<S: StateMachine> Replica<S> {
    /// Something is still missing: ask for it.
    pub(super) fn on_repair_timeout(&mut self, effects: &mut Effects) {
        match self.status() {
            Status::Recovering => {}
            Status::ViewChange => self.on_install_repair_timeout(effects),
            Status::Normal => {
                if self.is_primary() {
                    return;
                }
                let is_behind = self.has_gap() || self.is_suspicious();
                if self.transfer.is_some() {
                    self.ask_checkpoint_again(effects);
                } else if is_behind {
                    self.ask_state(None, effects);
                } else if !self.is_incomplete() {
                    return;
                }
                if self.is_incomplete() {
                    self.ask_spoiled(None, effects);
                }
                self.timers.back_off(Timeout::Repair, self.now);
            }
        }
    }

    /// A checkpoint is durable, and the log has room again: there may be something to fill it with.
    pub(super) fn ask_what_is_missing(&mut self, effects: &mut Effects) {
        if self.has_gap() && self.transfer.is_none() && !self.journal.is_full() {
            self.ask_state(None, effects);
            self.timers.ensure(Timeout::Repair, self.now);
        }
    }

    /// Whether operations are known to be missing.
    fn has_gap(&self) -> bool {
        self.commit_max > self.journal.op()
            || self.backup.ahead.iter().any(Option::is_some)
            || self.lacks_end()
    }

    /// Whether this backup has not heard its primary for too long.
    fn is_suspicious(&self) -> bool {
        self.timers.is_running(Timeout::ResendStartViewChange)
    }

    /// Asks what follows our head: anybody, for whoever is normal in this view can tell.
    fn ask_state(&mut self, to: Option<ReplicaIndex>, effects: &mut Effects) {
        if let Some(to) = to.or_else(|| self.random_peer()) {
            let op = self.journal.op();
            self.send(to, Command::GetState(GetState { op }), effects);
        }
    }

    /// Somebody of this view asks what follows its head.
    #[cold]
    pub(super) fn on_get_state(
        &self,
        from: ReplicaIndex,
        view: ViewNumber,
        get_state: GetState,
        effects: &mut Effects,
    ) {
        if let Some(reason) = self.ignores_unless_normal_in(view) {
            ignore(from, reason, effects);
            return;
        }
        if get_state.op > self.journal.op() {
            ignore(from, Ignored::NotHere, effects);
            return;
        }
        if get_state.op < self.journal.base() {
            self.offer_checkpoint(from, effects);
            return;
        }
        let last = self.journal.op().min(get_state.op.plus(ENTRIES_MAX));
        let entries: Vec<Arc<Entry>> = (get_state.op.next().get()..=last.get())
            .map_while(|op| self.journal.entry(OpNumber::new(op)))
            .cloned()
            .collect();
        let new_state = NewState { entries: entries.into(), commit: self.commit_max };
        self.send(from, Command::NewState(new_state), effects);
    }

    /// This is what follows; 5.2.
    ///
    /// Deviation: neither view nor log view ever changes here, and nothing is cut off or replaced: it only extends.
    #[cold]
    pub(super) fn on_new_state(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        new_state: &NewState,
        effects: &mut Effects,
    ) {
        let reason = self.ignores_unless_normal_in(view).or_else(|| {
            // A primary's log is the view's log: nobody knows more of it.
            if self.is_primary() { Some(Ignored::NotAskedFor) } else { None }
        });
        if let Some(reason) = reason {
            ignore(from, reason, effects);
            return;
        }
        let before = self.journal.op();
        for entry in new_state.entries.iter() {
            if entry.header().op == self.journal.op().next() && self.halted.is_none() {
                effects.event(Event::GapFilled { op: entry.header().op });
                self.append_ahead(Arc::clone(entry), effects);
            }
        }
        self.learn_commit(new_state.commit, effects);
        if self.journal.op() == before {
            return;
        }
        if self.has_gap() {
            self.ask_state(Some(from), effects);
            self.timers.start(Timeout::Repair, self.now);
        } else if !self.is_suspicious() && !self.is_incomplete() {
            self.timers.stop(Timeout::Repair);
        }
    }

    /// Somebody follows a chain downwards.
    #[cold]
    pub(super) fn on_get_headers(
        &self,
        from: ReplicaIndex,
        get_headers: GetHeaders,
        effects: &mut Effects,
    ) {
        let GetHeaders { op_min, op_max, checksum } = get_headers;
        if op_max < self.journal.base() {
            self.offer_checkpoint(from, effects);
            return;
        }
        let has_it = op_min > OpNumber::ZERO
            && op_min <= op_max
            && self.journal.checksum(op_max) == Some(checksum);
        if !has_it {
            ignore(from, Ignored::NotHere, effects);
            return;
        }
        let first = op_min.max(op_max.minus(HEADERS_MAX - 1)).max(self.journal.base());
        let count = u32::try_from(op_max.get() - first.get() + 1).expect("a few");
        let headers: Vec<Header> = self.journal.headers_up_to(op_max, count);
        if headers.is_empty() {
            ignore(from, Ignored::NotHere, effects);
            return;
        }
        self.send(from, Command::Headers(headers.into()), effects);
    }

    /// Somebody lacks one entry: it gets exactly that one or none.
    #[cold]
    pub(super) fn on_get_prepare(
        &self,
        from: ReplicaIndex,
        get_prepare: GetPrepare,
        effects: &mut Effects,
    ) {
        if get_prepare.op <= self.journal.base() {
            self.offer_checkpoint(from, effects);
            return;
        }
        let entry = self.journal.entry(get_prepare.op);
        match entry.filter(|entry| entry.header().checksum == get_prepare.checksum) {
            Some(entry) => {
                let entry = Arc::clone(entry);
                self.send(from, Command::Repaired(entry), effects);
            }
            None => ignore(from, Ignored::NotHere, effects),
        }
    }
}
