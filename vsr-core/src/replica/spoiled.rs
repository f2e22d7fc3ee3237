//! What a disk has spoiled: asked for by checksum, from others, and never denied meanwhile.
//!
//! An entry that was durable and is not whole any more keeps its place in the log. The replica takes part as before; but it executes and
//! acknowledges only what is before it, does not tell others where the log of the view ends, leads no view, and says in its promises what
//! it has no bytes of.
//!
//! Where the disk does not even tell where the log ended, the promise says how far it may have reached. The primary of the view knows:
//! it has sent all that was ever acknowledged in it. It is asked with a nonce, so that an answer that was under way before the
//! replica stopped counts for nothing.

use alloc::sync::Arc;

use super::Replica;
use crate::header::Entry;
use crate::io::{Effects, Event, Status};
use crate::message::{Command, GetPrepare, StartView};
use crate::number::{OpNumber, ReplicaIndex, ViewNumber};
use crate::state_machine::StateMachine;
use crate::timeout::Timeout;

/// How many entries are asked for at once.
const ASKED_MAX: usize = 16;

/// A log of which the disk does not tell where it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// Nothing after this can have been acknowledged.
    reach: OpNumber,
    /// Whether the primary has been asked, and has said so.
    is_told: bool,
}

impl<S: StateMachine> Replica<S> {
    /// Entries after the head, up to `reach`, may have been acknowledged.
    pub(super) fn doubt_head(&mut self, reach: OpNumber, effects: &mut Effects) {
        self.doubt = Some(Doubt { reach, is_told: false });
        effects.event(Event::HeadUncertain { op: reach });
    }

    /// Up to here this replica may have acknowledged entries, in the view of its log.
    pub(super) fn reach(&self) -> OpNumber {
        let op = self.journal.op();
        self.doubt.map_or(op, |doubt| doubt.reach.max(op))
    }

    /// The log of another view is here: what may have been acknowledged in older ones does not matter any more.
    pub(super) fn forget_doubt(&mut self, effects: &mut Effects) {
        if self.doubt.take().is_some() {
            effects.event(Event::HeadCertain { op: self.journal.op() });
        }
    }

    /// Once the log reaches as far as it may have, and durably, nothing is doubtful.
    #[cold]
    pub(super) fn settle_doubt(&mut self, effects: &mut Effects) {
        let Some(doubt) = self.doubt else { return };
        if self.status() == Status::Normal && self.journal.held() >= doubt.reach {
            self.forget_doubt(effects);
        }
    }

    /// Whether this backup wants to know from its primary how far the log of the view reaches.
    pub(super) fn wants_to_know_head(&self) -> bool {
        self.status() == Status::Normal
            && !self.is_primary()
            && self.doubt.is_some_and(|doubt| !doubt.is_told)
    }

    /// Whether entries are known to be missing at the end of the log: the primary has said so.
    pub(super) fn lacks_end(&self) -> bool {
        self.doubt.is_some_and(|doubt| doubt.is_told && doubt.reach > self.journal.op())
    }

    /// Asks the primary, as long as it has not answered.
    pub(super) fn ask_about_head(&mut self, effects: &mut Effects) {
        if self.wants_to_know_head() {
            let view = self.view();
            self.ask_view(self.configuration.primary(view), view, effects);
            self.timers.ensure(Timeout::GetView, self.now);
        }
    }

    /// Whether this answers our question: said by the primary of our view, to this incarnation.
    pub(super) fn tells_head(
        &self,
        from: ReplicaIndex,
        view: ViewNumber,
        start: &StartView,
    ) -> bool {
        let incarnation = self.superblock_newest().incarnation.get();
        self.wants_to_know_head()
            && view == self.view()
            && from == self.configuration.primary(view)
            && start.nonce.is_some_and(|nonce| nonce.get() >> 32 == incarnation)
    }

    /// The primary says how far the log of the view reaches: whatever was acknowledged here is in it.
    pub(super) fn learn_head(&mut self, start: &StartView, effects: &mut Effects) {
        let Some(doubt) = &mut self.doubt else { return };
        *doubt = Doubt { reach: doubt.reach.min(start.op), is_told: true };
        self.settle_doubt(effects);
        self.learn_commit(start.commit, effects);
        self.ask_what_is_missing(effects);
    }

    /// Whether anything is to be fetched that the disk should hold.
    pub(super) fn is_incomplete(&self) -> bool {
        self.checkpoints.is_spoiled() || self.journal.wanted().next().is_some()
    }

    /// Asks for spoiled entries, and for the state if that is spoiled: `to`, or anybody.
    pub(super) fn ask_spoiled(&mut self, to: Option<ReplicaIndex>, effects: &mut Effects) {
        let to = to.filter(|to| *to != self.me).or_else(|| self.random_peer());
        let Some(to) = to else { return };
        for (op, checksum) in self.journal.wanted().take(ASKED_MAX) {
            self.send(to, Command::GetPrepare(GetPrepare { op, checksum }), effects);
        }
        if self.checkpoints.is_spoiled() && self.transfer.is_none() {
            self.ask_checkpoint(to, effects);
        }
    }

    /// A spoiled entry has come. What it names as the entry before it may be wanted too now.
    #[cold]
    pub(super) fn take_spoiled(
        &mut self,
        from: ReplicaIndex,
        entry: Arc<Entry>,
        effects: &mut Effects,
    ) {
        let op = entry.header().op;
        effects.event(Event::SpoiledRepaired { op });
        self.timers.forget_attempts(Timeout::Repair);
        let (before, parent) = (op.minus(1), entry.header().parent);
        let was_unknown =
            self.journal.is_missing(before) && self.journal.checksum(before).is_none();
        self.journal.repair(entry, &mut self.tokens, effects);
        if was_unknown && self.journal.entry(before).is_none() {
            let get_prepare = GetPrepare { op: before, checksum: parent };
            self.send(from, Command::GetPrepare(get_prepare), effects);
        }
    }
}
