//! Normal operation (VR Revisited 4.1): the primary prepares, backups acknowledge, a quorum commits.

use alloc::sync::Arc;

use super::checkpoint::NO_CHECKPOINTS;
use super::{Backup, Primary, Replica, ignore};
use crate::checksum::Checksum;
use crate::header::Entry;
use crate::io::{Effects, Event, Ignored};
use crate::message::{Command, Commit, CommitOk, Prepare, PrepareOk};
use crate::number::{OpNumber, ReplicaIndex, ViewNumber};
use crate::quorum::ReplicaSet;
use crate::state_machine::StateMachine;
use crate::time::Instant;
use crate::timeout::Timeout;

/// How many uncommitted prepares the primary sends again at once.
const RESEND_MAX: usize = 4;

impl<S: StateMachine> Replica<S> {
    /// The primary has put an operation into the log; 4.1, step 4.
    ///
    /// Deviation: the acknowledgement waits until the entry and all before it are durable here.
    pub(super) fn on_prepare(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        prepare: Prepare,
        effects: &mut Effects,
    ) {
        if let Some(reason) = self.ignores_prepare(from, view, &prepare) {
            ignore(from, reason, effects);
            return;
        }
        let Prepare { entry, commit } = prepare;
        let op = entry.header().op;
        self.backup.primary_commit = self.backup.primary_commit.max(commit);
        if op <= self.journal.op() {
            let checksum = entry.header().checksum;
            // One primary, one log: whoever is normal in a view holds a prefix of its log. What only the checkpoint still holds is
            // committed, and so the same in every log.
            assert!(self.journal.checksum(op).is_none_or(|own| own == checksum));
            if op <= self.journal.durable() {
                self.send_prepare_ok(op, checksum, effects);
            } else if self.journal.wants(&entry) {
                self.take_spoiled(from, entry, effects);
            }
            ignore(from, Ignored::AlreadyPrepared, effects);
            self.learn_commit(commit, effects);
            return;
        }
        self.on_progress();
        if op == self.journal.op().next() {
            self.append_ahead(entry, effects);
        } else {
            self.keep_ahead(from, entry, effects);
        }
        self.learn_commit(commit, effects);
    }

    fn ignores_prepare(
        &self,
        from: ReplicaIndex,
        view: ViewNumber,
        prepare: &Prepare,
    ) -> Option<Ignored> {
        if let Some(reason) = self.ignores_unless_normal_in(view) {
            return Some(reason);
        }
        if from != self.configuration.primary(view) {
            return Some(Ignored::NotFromPrimary);
        }
        if prepare.entry.header().view > view {
            return Some(Ignored::Misdirected);
        }
        None
    }

    /// Appends the next operation, and those that came before their turn and now follow.
    pub(super) fn append_ahead(&mut self, entry: Arc<Entry>, effects: &mut Effects) {
        let mut next = Some(entry);
        while let Some(entry) = next {
            if self.journal.is_full() {
                // It comes again when it is asked for, and that is done when the next checkpoint is durable.
                self.timers.ensure(Timeout::Repair, self.now);
                effects.event(Event::Ignored { from: None, reason: Ignored::LogFull });
                return;
            }
            assert_eq!(entry.header().parent, self.journal.head().checksum);
            self.append(entry, effects);
            self.backup.ahead.pop_front();
            next = self.backup.ahead.front_mut().and_then(Option::take);
        }
    }

    /// Keeps an operation whose predecessors are missing, and sees to it that they are asked for. Never applied over a gap.
    #[cold]
    fn keep_ahead(&mut self, from: ReplicaIndex, entry: Arc<Entry>, effects: &mut Effects) {
        let gap = self.journal.op().next();
        let place = entry.header().op.get() - gap.get();
        let place_max = 2 * u64::from(self.configuration.pipeline_max);
        effects.event(Event::GapFound { op: gap });
        self.timers.ensure(Timeout::Repair, self.now);
        if place >= place_max {
            ignore(from, Ignored::TooFarAhead, effects);
            return;
        }
        let place = usize::try_from(place).expect("a small number");
        if self.backup.ahead.len() <= place {
            self.backup.ahead.resize(place + 1, None);
        }
        self.backup.ahead[place] = Some(entry);
        ignore(from, Ignored::Gap, effects);
    }

    /// Acknowledges all that became durable after `before`, unless the primary knows it to be committed.
    pub(super) fn send_prepare_oks(&self, before: OpNumber, effects: &mut Effects) {
        let first = before.max(self.backup.primary_commit).next().max(self.journal.base());
        for op in (first.get()..=self.journal.durable().get()).map(OpNumber::new) {
            let checksum = self.journal.checksum(op).expect("not below the base");
            self.send_prepare_ok(op, checksum, effects);
        }
    }

    /// Acknowledges one operation: to the primary of this view, whichever view the entry was first prepared in.
    fn send_prepare_ok(&self, op: OpNumber, checksum: Checksum, effects: &mut Effects) {
        assert!(op <= self.journal.durable());
        assert_eq!(self.views.view_durable(), self.view());
        assert_eq!(self.superblock_newest().log_view, self.view());
        let primary = self.configuration.primary(self.view());
        let checkpoint = self.checkpoints.durable_op();
        self.send(primary, Command::PrepareOk(PrepareOk { op, checksum, checkpoint }), effects);
    }

    /// A backup holds an operation durably; 4.1, step 5.
    pub(super) fn on_prepare_ok(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        prepare_ok: PrepareOk,
        effects: &mut Effects,
    ) {
        if let Some(reason) = self.ignores_prepare_ok(view, &prepare_ok) {
            ignore(from, reason, effects);
            return;
        }
        self.learn_checkpoint(from, prepare_ok.checkpoint, effects);
        assert!(prepare_ok.op > self.commit_max);
        if self.acknowledge(from, prepare_ok.op) {
            self.commit_acknowledged(effects);
        } else {
            ignore(from, Ignored::AlreadyCounted, effects);
        }
    }

    fn ignores_prepare_ok(&self, view: ViewNumber, prepare_ok: &PrepareOk) -> Option<Ignored> {
        if let Some(reason) = self.ignores_unless_normal_in(view) {
            return Some(reason);
        }
        if !self.is_primary() {
            return Some(Ignored::NotPrimary);
        }
        if prepare_ok.op <= self.commit_max {
            return Some(Ignored::AlreadyCounted);
        }
        if self.journal.checksum(prepare_ok.op) != Some(prepare_ok.checksum) {
            return Some(Ignored::BrokenChain);
        }
        None
    }

    /// Counts `replica` among those that hold `op`; answers whether that is new.
    fn acknowledge(&mut self, replica: ReplicaIndex, op: OpNumber) -> bool {
        let place = op.get() - self.commit_max.get() - 1;
        let place = usize::try_from(place).expect("a small number");
        self.primary.pipeline[place].insert(replica)
    }

    /// The primary's own log is durable further than `before`: it counts like a backup's.
    pub(super) fn acknowledge_own(&mut self, before: OpNumber, effects: &mut Effects) {
        let first = before.max(self.commit_max).next();
        for op in first.get()..=self.journal.durable().get() {
            self.acknowledge(self.me, OpNumber::new(op));
        }
        self.commit_acknowledged(effects);
    }

    /// Commits what a quorum holds: strictly in order, whichever quorum was complete first.
    pub(super) fn commit_acknowledged(&mut self, effects: &mut Effects) {
        let before = self.commit_max;
        while let Some(holders) = self.primary.pipeline.front() {
            if !self.quorums.is_replication_quorum(*holders) {
                break;
            }
            self.primary.pipeline.pop_front();
            self.commit_max = self.commit_max.next();
        }
        if self.commit_max > before {
            if self.primary.pipeline.is_empty() {
                self.timers.stop(Timeout::ResendPrepare);
            } else {
                self.timers.start(Timeout::ResendPrepare, self.now);
            }
        }
        self.execute_committed(effects);
        self.prepare_queued(effects);
    }

    /// Prepares that no quorum holds yet go once more to those who have not acknowledged them.
    pub(super) fn on_resend_prepare_timeout(&mut self, effects: &mut Effects) {
        if self.primary.has_stepped_down || self.primary.pipeline.is_empty() {
            return;
        }
        for place in 0..self.primary.pipeline.len().min(RESEND_MAX) {
            let holders = self.primary.pipeline[place];
            let op = self.commit_max.plus(place as u64 + 1);
            let entry = Arc::clone(self.journal.entry(op).expect("the pipeline is in the log"));
            let command = Command::Prepare(Prepare { entry, commit: self.commit_max });
            for to in self.configuration.replicas() {
                if to != self.me && !holders.contains(to) {
                    self.send(to, command.clone(), effects);
                }
            }
        }
        self.timers.back_off(Timeout::ResendPrepare, self.now);
    }

    /// The heartbeat: whether or not there is traffic, so that who missed the last prepare learns of it.
    pub(super) fn on_send_commit_timeout(&mut self, effects: &mut Effects) {
        assert!(self.is_primary());
        if self.primary.has_stepped_down {
            return;
        }
        let commit = Commit {
            commit: self.commit_max,
            checksum: self.journal.checksum(self.commit_max).expect("at most the head"),
            sent_at: self.now,
        };
        self.broadcast(&Command::Commit(commit), effects);
        self.timers.start(Timeout::SendCommit, self.now);
    }

    /// The primary lives, and has committed so much; 4.1, step 6.
    pub(super) fn on_commit(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        commit: Commit,
        effects: &mut Effects,
    ) {
        if let Some(reason) = self.ignores_commit(from, view, &commit) {
            ignore(from, reason, effects);
            return;
        }
        if let Some(checksum) = self.journal.checksum(commit.commit) {
            assert_eq!(checksum, commit.checksum, "two logs in one view");
        }
        self.backup.heartbeat = Some(commit.sent_at);
        self.backup.primary_commit = self.backup.primary_commit.max(commit.commit);
        self.on_progress();
        let (sent_at, checkpoint) = (commit.sent_at, self.checkpoints.durable_op());
        self.send(from, Command::CommitOk(CommitOk { sent_at, checkpoint }), effects);
        self.learn_commit(commit.commit, effects);
    }

    fn ignores_commit(
        &self,
        from: ReplicaIndex,
        view: ViewNumber,
        commit: &Commit,
    ) -> Option<Ignored> {
        if let Some(reason) = self.ignores_unless_normal_in(view) {
            return Some(reason);
        }
        if from != self.configuration.primary(view) {
            return Some(Ignored::NotFromPrimary);
        }
        // Played again by the network, it would keep a dead primary alive.
        if self.backup.heartbeat.is_some_and(|newest| commit.sent_at <= newest) {
            return Some(Ignored::OldHeartbeat);
        }
        None
    }

    /// The primary of this view has done something new: whoever wanted to leave the view has no reason to.
    fn on_progress(&mut self) {
        self.timers.start(Timeout::SuspectPrimary, self.now);
        self.timers.stop(Timeout::ResendStartViewChange);
        self.timers.stop(Timeout::ForgetVotes);
        self.votes.clear();
    }

    /// So much is committed, says a replica that is normal in this view.
    pub(super) fn learn_commit(&mut self, commit: OpNumber, effects: &mut Effects) {
        assert!(!self.is_primary());
        self.commit_max = self.commit_max.max(commit);
        if self.commit_max > self.journal.op() {
            if !self.timers.is_running(Timeout::Repair) {
                effects.event(Event::GapFound { op: self.journal.op().next() });
            }
            self.timers.ensure(Timeout::Repair, self.now);
        }
        self.execute_committed(effects);
    }

    /// A backup has answered a heartbeat.
    pub(super) fn on_commit_ok(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        commit_ok: CommitOk,
        effects: &mut Effects,
    ) {
        let reason = self.ignores_unless_normal_in(view).or_else(|| {
            let is_ours = self.is_primary() && commit_ok.sent_at <= self.now;
            if is_ours { None } else { Some(Ignored::NotPrimary) }
        });
        if let Some(reason) = reason {
            ignore(from, reason, effects);
            return;
        }
        let heard = &mut self.primary.heard[from.index()];
        *heard = commit_ok.sent_at.max(*heard);
        self.learn_checkpoint(from, commit_ok.checkpoint, effects);
    }

    /// A primary that no quorum answers stops and wants to leave the view like anybody else, idle or not: its heartbeats
    /// would keep backups waiting that it cannot hear.
    pub(super) fn on_check_quorum_timeout(&mut self, effects: &mut Effects) {
        assert!(self.is_primary());
        self.timers.start(Timeout::CheckQuorum, self.now);
        let patience = self.configuration.timeouts.check_quorum;
        let mut answering = ReplicaSet::EMPTY;
        answering.insert(self.me);
        for replica in self.configuration.replicas() {
            if self.now.since(self.primary.heard[replica.index()]) <= patience {
                answering.insert(replica);
            }
        }
        if self.quorums.is_replication_quorum(answering) {
            return;
        }
        effects.event(Event::SteppedDown { view: self.view() });
        self.primary.has_stepped_down = true;
        self.primary.queue.clear();
        for timeout in [Timeout::CheckQuorum, Timeout::SendCommit, Timeout::ResendPrepare] {
            self.timers.stop(timeout);
        }
        self.vote_to_leave(effects);
    }

    /// Begins to lead the view, whose log is durable here. Who asked for a heartbeat before is forgotten.
    pub(super) fn become_primary(&mut self) {
        assert!(self.is_primary());
        let op = self.journal.op();
        assert_eq!(self.journal.durable(), op);
        let mut own = ReplicaSet::EMPTY;
        own.insert(self.me);
        self.primary.pipeline.clear();
        // What survived keeps its place; its acknowledgements count anew, for they were given in another view.
        for _ in self.commit_max.get()..op.get() {
            self.primary.pipeline.push_back(own);
        }
        self.primary.queue.clear();
        self.primary.heard = [self.now; _];
        self.primary.op_at_start = op;
        self.primary.has_stepped_down = false;
        self.timers.start(Timeout::SendCommit, self.now);
        self.timers.start(Timeout::CheckQuorum, self.now);
        if !self.primary.pipeline.is_empty() {
            self.timers.start(Timeout::ResendPrepare, self.now);
        }
    }

    /// Begins to follow the view.
    pub(super) fn become_backup(&mut self) {
        assert!(!self.is_primary());
        self.backup.clear();
        self.timers.start(Timeout::SuspectPrimary, self.now);
    }
}

impl Primary {
    /// Forgets the view that was led.
    pub(super) fn clear(&mut self) {
        self.pipeline.clear();
        self.queue.clear();
        self.heard = [Instant::ZERO; _];
        self.checkpoints = NO_CHECKPOINTS;
        self.has_stepped_down = false;
    }
}

impl Backup {
    /// Forgets the view that was followed.
    pub(super) fn clear(&mut self) {
        self.ahead.clear();
        self.heartbeat = None;
        self.primary_commit = OpNumber::ZERO;
    }
}
