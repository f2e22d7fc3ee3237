//! What is committed, executed and answered.

use vsr_core::checksum::Checksum;
use vsr_core::message::Reply;
use vsr_core::number::{ClientId, OpNumber, ReplicaIndex, RequestNumber, ViewNumber};
use vsr_core::state_machine::StateMachine;

use super::super::agreement::{self, Claim};
use super::super::exposure::Moment;
use super::super::facts::{Committed, Effect, Held, How, Outcome};
use super::super::{
    bounds, determinism, exactly_once, execution_order, no_fabrication, quorum_durable,
    reply_match, view_survival,
};
use super::Oracles;
use crate::engine::time::Time;

impl<S: StateMachine> Oracles<S> {
    /// `by` says that everything up to `op` is committed in the log of `view`, of which `known` is an entry at or after `op`.
    pub(super) fn claimed_in_log(
        &mut self,
        by: ReplicaIndex,
        view: ViewNumber,
        op: OpNumber,
        known: Option<&Held>,
        how: How,
    ) {
        if op == OpNumber::ZERO {
            return;
        }
        let log = &self.facts.log;
        let seen = log.place(op).and_then(|place| place.in_view(view));
        // Below what is known to be committed, the log of the view has been held against it already.
        let checksum = seen.or_else(|| {
            let known = known.filter(|_| op > log.commit())?;
            log.ancestor(known.op, known.checksum, op)
        });
        if let Some(checksum) = checksum {
            self.claimed(&Claim { op, checksum, view, by, how });
        }
    }

    /// Somebody acts as if the entry, and so all before it in its chain, were committed.
    pub(super) fn claimed(&mut self, claim: &Claim) {
        if claim.op == OpNumber::ZERO {
            return;
        }
        let violation = bounds::check_op(&self.facts, claim.by, claim.op, claim.how.name());
        if violation.is_some() {
            self.found(violation);
            return;
        }
        let mut newly = std::mem::take(&mut self.newly);
        newly.clear();
        if self.follow_chain(claim, &mut newly) {
            for (op, checksum) in newly.iter().rev() {
                self.commit(*op, *checksum, claim);
            }
        }
        self.newly = newly;
    }

    /// Walks back from the claim to what is known to be committed; answers whether the two meet.
    fn follow_chain(&mut self, claim: &Claim, newly: &mut Vec<(OpNumber, Checksum)>) -> bool {
        let (mut op, mut checksum) = (claim.op, claim.checksum);
        loop {
            let place = self.facts.log.place(op);
            let header = place.and_then(|place| place.header(checksum));
            if op == OpNumber::ZERO {
                if checksum != self.facts.log.root() {
                    let violation = execution_order::broken_chain(&self.facts, claim, op);
                    self.found(Some(violation));
                    return false;
                }
                return true;
            }
            if let Some(committed) = place.and_then(|place| place.committed) {
                if committed.checksum == checksum {
                    return true;
                }
                // A parent that nobody ever had is no other log, but a broken chain.
                let violation = if header.is_some() || op == claim.op {
                    agreement::broken(&self.facts, claim, op, checksum, &committed)
                } else {
                    execution_order::broken_chain(&self.facts, claim, op)
                };
                self.found(Some(violation));
                return false;
            }
            newly.push((op, checksum));
            let Some(header) = header else {
                let held = Held { op, checksum, parent: Checksum::ZERO };
                let violation = quorum_durable::broken(&self.facts, &held, claim);
                self.found(Some(violation));
                return false;
            };
            checksum = header.parent;
            op = op.minus(1);
        }
    }

    /// The requests that the committed log executes, in its order: what should explain all that clients saw.
    pub fn commit_order(&self) -> impl Iterator<Item = (ClientId, RequestNumber)> + '_ {
        (0..self.facts.log.applies_count()).filter_map(|count| self.executed_after(count))
    }

    /// The request that the committed log executes after so many others.
    #[must_use]
    pub fn executed_after(&self, count: usize) -> Option<(ClientId, RequestNumber)> {
        let place = self.facts.log.place(self.facts.log.nth_apply(count)?)?;
        let header = place.committed_header()?;
        Some((header.client, header.request))
    }

    fn commit(&mut self, op: OpNumber, checksum: Checksum, claim: &Claim) {
        let (view, by, how, at) = (claim.view, claim.by, claim.how, self.facts.now);
        self.facts.log.commit_next(op, Committed { checksum, view, by, how, at });
        let place = self.facts.log.place(op).expect("committed just now");
        let header = *place.committed_header().expect("walked over just now");
        let evictions = self.facts.clients.eviction_count();
        let effect = self.facts.clients.execute(&header, self.facts.configuration.clients_max);
        self.facts.log.set_effect(op, effect);
        if self.facts.configuration.is_checkpoint(op) {
            let sessions = self.facts.clients.sessions();
            self.facts.log.place_mut(op).taken.sessions = Some(sessions);
        }
        if self.facts.clients.eviction_count() > evictions {
            self.exposure.count(Moment::SessionEvicted);
        }
        if header.view < view {
            self.exposure.count(Moment::CommittedInLaterView);
        }
        let facts = &self.facts;
        let violations = [
            quorum_durable::check(facts, &Held::of(&header), claim),
            view_survival::check_committed(facts, op),
            no_fabrication::check(facts, &header),
            match effect {
                Effect::Repeated(first) => Some(exactly_once::broken(facts, &header, first)),
                Effect::Registered | Effect::Applied | Effect::Nothing => None,
            },
        ];
        for violation in violations {
            self.found(violation);
        }
    }

    /// A replica has called [`StateMachine::apply`], with this result. Calls are told in order.
    pub fn applied(
        &mut self,
        now: Time,
        replica: ReplicaIndex,
        operation: &[u8],
        reply: &[u8],
        digest: Option<u128>,
    ) {
        self.facts.now = now;
        let count = self.facts.replica(replica).applied;
        while self.facts.log.applies_count() <= count {
            if !self.apply_commits_next(replica) {
                return;
            }
        }
        // Forgotten: no replica should be so far behind.
        let Some(op) = self.facts.log.nth_apply(count) else { return };
        let place = self.facts.log.place(op).expect("committed");
        let header = *place.committed_header().expect("committed entries are known");
        let body = Checksum::of(operation);
        if body != header.checksum_body {
            let violation = execution_order::explain(&self.facts, replica, &header, body);
            self.found(Some(violation));
            return;
        }
        self.facts.replica_mut(replica).applied = count + 1;
        if count == self.reference_count {
            self.execute_reference(op, operation);
        }
        let outcome = Outcome { reply: Checksum::of(reply), digest };
        let violation = determinism::check(&self.facts, replica, &header, &outcome);
        self.found(violation);
    }

    /// A replica executes more than is known to be committed: so the next entry of its log is. Answers whether there is one.
    fn apply_commits_next(&mut self, replica: ReplicaIndex) -> bool {
        let commit = self.facts.log.commit();
        let op = commit.next();
        let view = self.facts.promise(replica).log_view;
        let own = self.facts.on_disk(replica, op).map(|held| held.checksum);
        let checksum = own.or_else(|| {
            let place = self.facts.log.place(op)?;
            let newest = place.views().iter().max_by_key(|(view, _)| *view);
            newest.map(|(_, checksum)| *checksum).or_else(|| Some(place.headers().last()?.checksum))
        });
        let Some(checksum) = checksum else {
            let violation = execution_order::beyond_the_log(&self.facts, replica, op);
            self.found(Some(violation));
            return false;
        };
        self.claimed(&Claim { op, checksum, view, by: replica, how: How::Apply });
        self.facts.log.commit() > commit
    }

    /// A replica has called [`StateMachine::restore`]: its state is that of the checkpoint that its disk names, with this digest.
    pub fn restored(&mut self, now: Time, replica: ReplicaIndex, digest: Option<u128>) {
        self.facts.now = now;
        let op = self.facts.promise(replica).checkpoint_op();
        let applied = self.facts.log.applies_up_to(op);
        let known = self.facts.replica_mut(replica);
        known.applied = applied;
        let moment =
            if known.has_spoken { Moment::StateTransferred } else { Moment::StateRestored };
        self.exposure.count(moment);
        let violation = determinism::check_restored(&self.facts, replica, op, digest);
        self.found(violation);
    }

    /// The state that a checkpoint of `op` must hold is known once the reference has executed so far, and no further.
    pub(super) fn take_reference(&mut self, op: OpNumber) {
        if self.facts.log.is_forgotten(op) {
            return;
        }
        let place = self.facts.log.place(op);
        let is_known = place.is_some_and(|place| place.taken.state.is_some());
        if is_known || self.facts.log.applies_up_to(op) != self.reference_count {
            return;
        }
        self.reply.clear();
        self.reference.snapshot(&mut self.reply);
        let state = Checksum::of(&self.reply);
        self.facts.log.place_mut(op).taken.state = Some(state);
    }

    /// The reference service executes `op`, as the first of all.
    fn execute_reference(&mut self, op: OpNumber, operation: &[u8]) {
        let interval = u64::from(self.facts.configuration.checkpoint_interval);
        let due = OpNumber::new((op.get() - 1) / interval * interval);
        if due > OpNumber::ZERO {
            self.take_reference(due);
        }
        self.reply.clear();
        self.reference.apply(operation, &mut self.reply);
        self.reference_count += 1;
        let reply = Checksum::of(&self.reply);
        let outcome = Outcome { reply, digest: self.reference.digest() };
        let place = self.facts.log.place_mut(op);
        place.outcome = Some(outcome);
        let is_other = place.replied.is_some_and(|(result, _)| result != reply);
        if is_other {
            let place = self.facts.log.place(op).expect("just written to");
            let header = place.committed_header().expect("committed entries are known");
            let violation = reply_match::broken_before(&self.facts, header, reply);
            self.found(Some(violation));
        }
    }

    pub(super) fn reply_sent(&mut self, reply: &Reply) {
        self.said(reply.from, reply.view, true, "Reply");
        let violation = bounds::check_op(&self.facts, reply.from, reply.op, "Reply");
        if violation.is_some() {
            self.found(violation);
            return;
        }
        if self.facts.log.is_forgotten(reply.op) {
            return self.reply_repeated(reply);
        }
        if !self.reply_commits(reply) || reply.op > self.facts.log.commit() {
            return;
        }
        let violation = reply_match::check(&self.facts, reply);
        self.found(violation);
        let place = self.facts.log.place_mut(reply.op);
        match place.replied {
            None => place.replied = Some((Checksum::of(&reply.result), reply.view)),
            Some((_, first)) => self.count_retry(reply, first),
        }
    }

    fn count_retry(&mut self, reply: &Reply, first: ViewNumber) {
        self.exposure.count(Moment::RetryAnswered);
        if reply.view > first {
            self.exposure.count(Moment::RetryAnsweredInLaterView);
        }
    }

    /// A reply to what was executed so long ago that its place is forgotten: it must be the last of its client's there.
    fn reply_repeated(&mut self, reply: &Reply) {
        let Some(kept) = self.facts.clients.kept_mut(reply.client, reply.op) else {
            return self.facts.log.doubt();
        };
        let answered = *kept;
        kept.replied.get_or_insert_with(|| (Checksum::of(&reply.result), reply.view));
        let violation = reply_match::check_answered(&self.facts, reply, &answered);
        self.found(violation);
        if let Some((_, first)) = answered.replied {
            self.count_retry(reply, first);
        }
    }

    /// What is answered is committed: the entry that the reply's request became, in the sender's log if that can be told.
    /// Answers whether the reply itself is left to be judged.
    fn reply_commits(&mut self, reply: &Reply) -> bool {
        let place = self.facts.log.place(reply.op);
        let committed = place.and_then(|place| place.committed_header());
        let is_committed = committed.is_some();
        if committed.is_some_and(|header| reply_match::is_of(reply, header)) {
            return true;
        }
        let own = self.facts.on_disk(reply.from, reply.op).map(|held| held.checksum);
        let candidates = place.map(|place| place.headers()).unwrap_or_default();
        let mut matching = candidates.iter().filter(|header| reply_match::is_of(reply, header));
        let in_view = place.and_then(|place| place.in_view(reply.view));
        let best = matching
            .clone()
            .find(|header| Some(header.checksum) == own)
            .or_else(|| matching.clone().find(|header| Some(header.checksum) == in_view))
            .or_else(|| matching.next_back());
        let checksum = match best {
            Some(header) => header.checksum,
            // Judged against what is committed, by the reply's own oracle.
            None if is_committed => return true,
            None => own.or(in_view).unwrap_or_default(),
        };
        let Reply { op, view, from: by, .. } = *reply;
        self.claimed(&Claim { op, checksum, view, by, how: How::Reply });
        !is_committed
    }
}
