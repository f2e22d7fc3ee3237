//! View change (VR Revisited 4.2): votes to leave, durable promises, and the choice of the new view's log.
//!
//! Deviation: the paper's `StartViewChange` names the view to enter, and whoever receives it enters it. Here it names the view to
//! leave, and nobody moves before a quorum wants to: a replica that hears nothing, but can still be heard, does not disturb a
//! view that works.
//!
//! The choice of the log is the paper's: the greatest log view, then the greatest op. It is safe because of two rules that
//! hold everywhere else: an acknowledgement covers the whole log up to its operation, durably; and `log_view` is raised only
//! when the whole log of that view is durable. So a promise's log is never shorter than what its sender has acknowledged, but for what it
//! has cut off since: what a later view began without, or what it cut as the primary of a view that did not begin, since a quorum
//! denied it. Neither was ever committed in the view of that log or before, and more a denial does not say.

use alloc::sync::Arc;

use super::choice::{self, Choice, Chosen};
use super::install::Install;
use super::{Replica, ignore};
use crate::io::{Effects, Event, Halt, Ignored, Status};
use crate::message::{Command, DoViewChange, GetView, Message, StartView};
use crate::number::{Nonce, OpNumber, REPLICA_COUNT_MAX, ReplicaIndex, ViewNumber};
use crate::quorum::ReplicaSet;
use crate::state_machine::StateMachine;
use crate::superblock::is_chain;
use crate::timeout::Timeout;

/// Which view each replica last wanted to leave.
#[derive(Debug, Default)]
pub(super) struct Votes {
    of: [Option<ViewNumber>; REPLICA_COUNT_MAX as usize],
}

/// The promises for one view, by their senders.
#[derive(Debug, Default)]
pub(super) struct Promises {
    of: [Option<Arc<DoViewChange>>; REPLICA_COUNT_MAX as usize],
    senders: ReplicaSet,
    /// Whether this replica's own promise is durable.
    is_own_durable: bool,
}

impl Votes {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn forget_all_but(&mut self, replica: ReplicaIndex) {
        let kept = self.of[replica.index()];
        self.clear();
        self.of[replica.index()] = kept;
    }

    /// Who wants to leave `view` or a later one, and the latest of those.
    fn to_leave(&self, view: ViewNumber) -> (ReplicaSet, ViewNumber) {
        let mut voters = ReplicaSet::EMPTY;
        let mut newest = view;
        for (index, vote) in (0..).zip(self.of) {
            if let Some(vote) = vote.filter(|vote| *vote >= view) {
                voters.insert(ReplicaIndex::new(index));
                newest = newest.max(vote);
            }
        }
        (voters, newest)
    }
}

impl Promises {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn is_own_durable(&self) -> bool {
        self.is_own_durable
    }

    /// Keeps the first promise of `from`; answers whether this was it.
    fn insert(&mut self, from: ReplicaIndex, promise: Arc<DoViewChange>) -> bool {
        if !self.senders.insert(from) {
            return false;
        }
        self.of[from.index()] = Some(promise);
        true
    }

    /// The newest checkpoint that each sender has durably.
    pub(super) fn checkpoints(&self) -> [OpNumber; REPLICA_COUNT_MAX as usize] {
        let op = |promise: &Option<Arc<DoViewChange>>| {
            promise.as_ref().map_or(OpNumber::ZERO, |promise| promise.checkpoint)
        };
        core::array::from_fn(|index| op(&self.of[index]))
    }
}

impl<S: StateMachine> Replica<S> {
    /// No sign of the primary: this backup wants to leave the view, and goes on following it.
    pub(super) fn on_suspect_primary_timeout(&mut self, effects: &mut Effects) {
        assert_eq!(self.status(), Status::Normal);
        self.vote_to_leave(effects);
        // It may be cut off from the primary alone: others of the view can tell how far that is.
        self.timers.ensure(Timeout::Repair, self.now);
    }

    /// Votes to leave the view, and keeps saying so until the view ends or its primary is heard again.
    pub(super) fn vote_to_leave(&mut self, effects: &mut Effects) {
        let view = self.view();
        assert_eq!(self.views.view_durable(), view);
        effects.event(Event::Voted { view });
        self.votes.of[self.me.index()] = Some(view);
        self.broadcast(&Command::StartViewChange, effects);
        self.timers.start(Timeout::ResendStartViewChange, self.now);
        self.count_votes(effects);
    }

    /// Says it once more.
    pub(super) fn on_resend_start_view_change_timeout(&mut self, effects: &mut Effects) {
        if self.votes.of[self.me.index()] != Some(self.view()) {
            return;
        }
        self.broadcast(&Command::StartViewChange, effects);
        self.timers.back_off(Timeout::ResendStartViewChange, self.now);
    }

    /// Somebody wants to leave the view that the envelope names; 4.2, step 1.
    #[cold]
    pub(super) fn on_start_view_change(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        effects: &mut Effects,
    ) {
        if view < self.view() {
            // It has missed that this view is over.
            self.tell_view(from, None, effects);
            ignore(from, Ignored::OlderView, effects);
            return;
        }
        let vote = &mut self.votes.of[from.index()];
        *vote = Some(view).max(*vote);
        self.timers.ensure(Timeout::ForgetVotes, self.now);
        self.count_votes(effects);
    }

    /// Old votes of others are not to add up with new ones.
    pub(super) fn on_forget_votes_timeout(&mut self) {
        self.votes.forget_all_but(self.me);
    }

    /// Leaves the view once a quorum wants to; nobody moves alone.
    fn count_votes(&mut self, effects: &mut Effects) {
        let (voters, newest) = self.votes.to_leave(self.view());
        if self.quorums.is_view_change_quorum(voters) {
            self.transition_to_view_change(newest.next(), effects);
        }
    }

    /// What is not durable was never acknowledged; what is executed is durable. And what has come of another log that never became
    /// ours is not ours to speak of.
    fn cut_to_own_log(&mut self, effects: &mut Effects) {
        let own = self.install.as_ref().and_then(Install::base_of_own_log);
        let own = own.unwrap_or(OpNumber::new(u64::MAX)).min(self.journal.held());
        // A log that has just begun anew is ours once the checkpoint that it follows is durable, and with it the promise.
        let own = own.max(self.journal.base());
        match self.checkpoints.fetched_and_named().copied() {
            // So it is where what led to that checkpoint is cut off before it counts.
            Some(header) if header.op > own => self.begin_log_anew(&header, effects),
            Some(_) | None => self.journal.truncate(own),
        }
    }

    /// Leaves the view for `view`: this replica acknowledges nothing older any more, and says so once that is durable.
    pub(super) fn transition_to_view_change(&mut self, view: ViewNumber, effects: &mut Effects) {
        self.cut_to_own_log(effects);
        self.views.transition_to_view_change(view);
        self.begin_view_change();
        assert!(self.journal.op() >= self.commit_min);
        self.status_changed(effects);
        self.write_superblock(effects);
    }

    /// Takes up the view change that was on when the replica stopped: its promise is durable.
    pub(super) fn resume_view_change(&mut self, effects: &mut Effects) {
        assert_eq!(self.status(), Status::ViewChange);
        self.begin_view_change();
        self.on_promise_durable(effects);
    }

    fn begin_view_change(&mut self) {
        self.votes.clear();
        self.promises.clear();
        self.install = None;
        self.transfer = None;
        self.primary.clear();
        self.backup.clear();
        if self.newer_view.is_some_and(|newer| newer <= self.view()) {
            self.newer_view = None;
        }
        self.timers.stop_all();
        self.timers.restart(Timeout::AbandonViewChange, self.now);
    }

    /// The promise is durable: now it may be given; 4.2, step 2.
    ///
    /// Deviation: it goes to all, so that everybody learns of the view even if its primary is dead.
    pub(super) fn on_promise_durable(&mut self, effects: &mut Effects) {
        assert!(!self.promises.is_own_durable);
        self.promises.is_own_durable = true;
        self.timers.start(Timeout::GetView, self.now);
        let promise = self.own_promise();
        self.broadcast(&Command::DoViewChange(Arc::clone(&promise)), effects);
        self.timers.start(Timeout::ResendDoViewChange, self.now);
        if self.configuration.primary(self.view()) == self.me {
            self.promises.insert(self.me, promise);
            self.choose_log(effects);
        }
    }

    fn own_promise(&self) -> Arc<DoViewChange> {
        let op = self.journal.op();
        let headers = self.journal.headers_up_to(op, self.configuration.pipeline_max);
        let spoiled = headers.iter().zip(0..).filter(|(one, _)| self.journal.is_spoiled(one.op));
        let spoiled = spoiled.fold(0, |all, (_, place)| all | 1 << place);
        Arc::new(DoViewChange {
            log_view: self.log_view(),
            op,
            commit: self.commit_max,
            checkpoint: self.checkpoints.durable_op(),
            spoiled,
            reach: self.reach(),
            headers: headers.into_boxed_slice(),
        })
    }

    /// Gives the promise once more. Who knows the new view's log already needs no promise of an older one.
    pub(super) fn on_resend_do_view_change_timeout(&mut self, effects: &mut Effects) {
        if self.status() != Status::ViewChange || self.install.is_some() {
            return;
        }
        self.broadcast(&Command::DoViewChange(self.own_promise()), effects);
        self.timers.back_off(Timeout::ResendDoViewChange, self.now);
    }

    /// The view change does not end: this replica wants to leave that view too.
    pub(super) fn on_abandon_view_change_timeout(&mut self, effects: &mut Effects) {
        assert_eq!(self.status(), Status::ViewChange);
        self.timers.back_off(Timeout::AbandonViewChange, self.now);
        // A vote names a durable view.
        if self.promises.is_own_durable {
            self.vote_to_leave(effects);
        }
    }

    /// Somebody has promised to join the envelope's view; 4.2, step 3.
    #[cold]
    pub(super) fn on_do_view_change(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        promise: Arc<DoViewChange>,
        effects: &mut Effects,
    ) {
        if let Some(reason) = self.ignores_do_view_change(view, &promise) {
            if self.status() == Status::Normal && self.is_primary() {
                self.tell_view(from, None, effects);
            }
            ignore(from, reason, effects);
            return;
        }
        if view > self.view() {
            self.transition_to_view_change(view, effects);
        }
        assert_eq!(view, self.view());
        if self.configuration.primary(view) != self.me {
            ignore(from, Ignored::NotPrimary, effects);
            return;
        }
        if !self.promises.insert(from, promise) {
            ignore(from, Ignored::AlreadyCounted, effects);
            return;
        }
        self.choose_log(effects);
    }

    fn ignores_do_view_change(&self, view: ViewNumber, promise: &DoViewChange) -> Option<Ignored> {
        if view < self.view() {
            return Some(Ignored::OlderView);
        }
        if view == self.view() && self.status() != Status::ViewChange {
            return Some(Ignored::NotViewChange);
        }
        if promise.log_view >= view
            || promise.reach < promise.op
            || !self.is_log_end(promise.op, &promise.headers)
        {
            return Some(Ignored::Misdirected);
        }
        None
    }

    /// Whether `headers` are the last ones of a log that ends at `op`: at most a pipeline of them, and fewer where the sender's log
    /// begins behind a checkpoint.
    pub(super) fn is_log_end(&self, op: OpNumber, headers: &[crate::header::Header]) -> bool {
        let most = op.get().min(u64::from(self.configuration.pipeline_max));
        headers.len() as u64 <= most
            && headers.is_empty() == (most == 0)
            && headers.last().is_none_or(|header| header.op == op)
            && is_chain(headers)
    }

    /// With promises of a quorum, this replica's own durable one among them, the log of the view is known; 4.2, step 3.
    fn choose_log(&mut self, effects: &mut Effects) {
        if self.install.is_some()
            || !self.promises.is_own_durable
            || !self.quorums.is_view_change_quorum(self.promises.senders)
        {
            return;
        }
        assert!(self.promises.senders.contains(self.me));
        let depth = self.configuration.pipeline_max;
        match choice::choose(&self.promises.of, &self.quorums, depth) {
            Choice::Wait => {}
            Choice::Lost => self.halt(Halt::LogLost, effects),
            Choice::Log(chosen) => {
                let Chosen { from, op, commit, headers } = chosen;
                effects.event(Event::LogChosen { view: self.view(), from, op });
                self.begin_install(from, op, commit, &headers, effects);
            }
        }
    }

    /// What a log that ends at `op` proves to be committed: no primary prepares more than a pipeline beyond that.
    pub(super) fn known_committed(&self, op: OpNumber) -> OpNumber {
        op.minus(u64::from(self.configuration.pipeline_max))
    }

    /// This is the log of the envelope's view; 4.2, step 5.
    #[cold]
    pub(super) fn on_start_view(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        start: &StartView,
        effects: &mut Effects,
    ) {
        if self.tells_head(from, view, start) {
            self.learn_head(start, effects);
            return;
        }
        if let Some(reason) = self.ignores_start_view(view, start) {
            ignore(from, reason, effects);
            return;
        }
        if view > self.view() {
            self.transition_to_view_change(view, effects);
        }
        assert_eq!(self.status(), Status::ViewChange);
        assert!(self.log_view() < view);
        let commit = start.commit.max(self.known_committed(start.op));
        self.begin_install(from, start.op, commit, &start.headers, effects);
    }

    fn ignores_start_view(&self, view: ViewNumber, start: &StartView) -> Option<Ignored> {
        if view < self.view() {
            return Some(Ignored::OlderView);
        }
        if view == self.view() {
            if self.status() != Status::ViewChange {
                return Some(Ignored::NotViewChange);
            }
            if self.install.is_some() {
                return Some(Ignored::AlreadyCounted);
            }
        }
        // Nobody can start a view but its primary, and this replica has not.
        if self.configuration.primary(view) == self.me
            || !self.is_log_end(start.op, &start.headers)
            || start.commit > start.op
        {
            return Some(Ignored::Misdirected);
        }
        None
    }

    /// The log of the view is durable here, and so is that: the replica is normal in it.
    pub(super) fn transition_to_normal(&mut self, effects: &mut Effects) {
        let install = self.install.take().expect("the log of the view was brought here");
        let log_view_durable = self.superblock.as_ref().expect("read").durable().log_view;
        self.views.transition_to_normal(log_view_durable);
        assert_eq!(self.journal.op(), install.op());
        self.commit_max = self.commit_max.max(install.commit());
        let checkpoints = self.promises.checkpoints();
        self.promises.clear();
        self.votes.clear();
        self.timers.stop_all();
        self.status_changed(effects);
        if self.newer_view.is_some() {
            self.timers.start(Timeout::GetView, self.now);
        }
        if self.is_primary() {
            self.become_primary();
            self.primary.checkpoints = checkpoints;
            for to in self.configuration.replicas().filter(|to| *to != self.me) {
                self.tell_view(to, None, effects);
            }
            self.commit_acknowledged(effects);
        } else {
            self.become_backup();
            self.backup.primary_commit = install.commit();
            self.send_prepare_oks(OpNumber::ZERO, effects);
            self.learn_commit(install.commit(), effects);
        }
    }

    /// Sends the log of this view, if this replica is normal in it.
    fn tell_view(&self, to: ReplicaIndex, nonce: Option<Nonce>, effects: &mut Effects) {
        let mut op = self.journal.durable();
        // Where entries are missing, less of the log is here than the view began with.
        if self.status() != Status::Normal || op < self.journal.base() || self.journal.has_missing()
        {
            return;
        }
        if nonce.is_some() && self.is_primary() {
            // Others may hold what is not durable here yet, and have acknowledged it.
            op = self.journal.op();
        }
        let headers = self.journal.headers_up_to(op, self.configuration.pipeline_max);
        let start = StartView {
            op,
            commit: self.commit_max.min(op),
            headers: headers.into_boxed_slice(),
            nonce,
        };
        self.send(to, Command::StartView(Arc::new(start)), effects);
    }

    /// Somebody asks for the log of a view.
    #[cold]
    pub(super) fn on_get_view(&self, from: ReplicaIndex, get_view: GetView, effects: &mut Effects) {
        if self.status() != Status::Normal || self.view() < get_view.view {
            ignore(from, Ignored::NotHere, effects);
            return;
        }
        self.tell_view(from, Some(get_view.nonce), effects);
    }

    /// Others are in a later view: it is never adopted on their word, but asked for.
    ///
    /// Deviation: the paper has a replica that hears of a later view cut its log back to its commit-number and fetch the rest (5.2).
    /// That can take the last copy of a committed operation out of a quorum.
    pub(super) fn notice_newer_view(&mut self, message: &Message, effects: &mut Effects) {
        let seen = self.newer_view.unwrap_or_else(|| self.view());
        if message.view <= seen {
            return;
        }
        // A promise or the log itself is all that is needed.
        if matches!(message.command, Command::DoViewChange(_) | Command::StartView(_)) {
            return;
        }
        self.newer_view = Some(message.view);
        self.ask_view(message.from, message.view, effects);
        self.timers.start(Timeout::GetView, self.now);
    }

    pub(super) fn ask_view(&mut self, to: ReplicaIndex, view: ViewNumber, effects: &mut Effects) {
        let nonce = self.next_nonce();
        self.send(to, Command::GetView(GetView { view, nonce }), effects);
    }

    /// Nobody has told: ask the view's primary, and one other.
    pub(super) fn on_get_view_timeout(&mut self, effects: &mut Effects) {
        let view = match self.newer_view {
            Some(newer) if newer > self.view() => newer,
            Some(_) | None if self.status() == Status::ViewChange || self.wants_to_know_head() => {
                self.view()
            }
            Some(_) | None => return,
        };
        if view == self.view() && self.install.is_some() {
            return;
        }
        let primary = self.configuration.primary(view);
        if primary != self.me {
            self.ask_view(primary, view, effects);
        }
        if let Some(peer) = self.random_peer().filter(|peer| *peer != primary) {
            self.ask_view(peer, view, effects);
        }
        self.timers.back_off(Timeout::GetView, self.now);
    }
}
