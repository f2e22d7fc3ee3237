//! What replicas say to each other.

use vsr_core::checksum::Checksum;
use vsr_core::header::Header;
use vsr_core::message::{Command, DoViewChange, Message, NewState, Prepare, PrepareOk, StartView};
use vsr_core::number::{OpNumber, ReplicaIndex, ViewNumber};
use vsr_core::state_machine::StateMachine;

use super::super::agreement::Claim;
use super::super::exposure::Moment;
use super::super::facts::{Acknowledged, Begun, Held, How, Promised};
use super::super::timestamp_monotone::Stamped;
use super::super::{
    ack_truthful, bounds, forward_once, log_choice, log_reuse, nack_truthful, one_log_per_view,
    promise_kept, timestamp_monotone, view_monotone, view_quorum, view_survival,
};
use super::{Delivery, Oracles};
use crate::engine::time::Time;

impl<S: StateMachine> Oracles<S> {
    pub(super) fn message_sent(&mut self, message: &Message) {
        let Message { from, view, ref command, .. } = *message;
        self.said(from, view, view_monotone::is_from_normal(command), name(command));
        match command {
            Command::Prepare(prepare) => self.prepare_sent(from, view, prepare),
            Command::PrepareOk(ack) => self.prepare_ok_sent(from, view, ack),
            Command::Commit(commit) => {
                let violation = one_log_per_view::check_primary(&self.facts, view, from, "Commit");
                self.found(violation);
                let claim = Claim {
                    op: commit.commit,
                    checksum: commit.checksum,
                    view,
                    by: from,
                    how: How::Commit,
                };
                self.claimed(&claim);
            }
            Command::StartView(start) => self.start_view_sent(from, view, start),
            Command::DoViewChange(promise) => self.do_view_change_sent(from, view, promise),
            Command::NewState(state) => self.new_state_sent(from, view, state),
            Command::Headers(headers) => {
                for header in headers.iter() {
                    self.seen(from, header, "Headers");
                }
            }
            Command::Repaired(entry) => {
                self.exposure.count(Moment::EntryFetched);
                self.seen(from, entry.header(), "Repaired");
            }
            Command::StartViewChange => self.exposure.count(Moment::Vote),
            Command::Forward(request) => {
                self.exposure.count(Moment::RequestForwarded);
                let violation = forward_once::check(&self.facts, from, request);
                self.found(violation);
            }
            Command::CommitOk(ok) => {
                let violation = log_reuse::check_said(&self.facts, from, ok.checkpoint, "CommitOk");
                self.found(violation);
            }
            Command::Checkpoint(part) => {
                self.seen(from, &part.header, "Checkpoint");
                let op = part.header.op;
                let violation = log_reuse::check_said(&self.facts, from, op, "Checkpoint");
                self.found(violation);
            }
            Command::GetView(_)
            | Command::GetState(_)
            | Command::GetHeaders(_)
            | Command::GetPrepare(_)
            | Command::GetCheckpoint(_) => {}
        }
    }

    /// A replica has said something in `view`; `is_normal` if only a normal replica says that.
    pub(super) fn said(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        is_normal: bool,
        place: &'static str,
    ) {
        let violation = view_monotone::check_envelope(&self.facts, from, view, place);
        self.found(violation);
        let known = self.facts.replica_mut(from);
        known.has_spoken = true;
        if !is_normal {
            return;
        }
        let violation = promise_kept::check(&self.facts, from, view, place);
        self.found(violation);
        let known = self.facts.replica_mut(from);
        let is_news = known.normal_view != Some(view);
        known.normal_view = Some(view);
        // An acknowledgement has an oracle of its own.
        if place != "PrepareOk" {
            let violation = view_monotone::check_normal(&self.facts, from, view, place);
            self.found(violation);
        }
        if is_news && let Some(phase) = &mut self.phase {
            phase.observe(&self.facts);
        }
    }

    /// An entry with this header exists. Answers whether a log has room for it.
    fn seen(&mut self, from: ReplicaIndex, header: &Header, place: &'static str) -> bool {
        let violation = bounds::check_op(&self.facts, from, header.op, place);
        if violation.is_some() {
            self.found(violation);
            return false;
        }
        self.facts.log.see(header);
        true
    }

    /// The log of `view` holds `checksum` at `op`, says `from`.
    fn in_log(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        op: OpNumber,
        checksum: Checksum,
        place: &'static str,
    ) {
        let violation = one_log_per_view::check(&self.facts, view, op, checksum, from, place);
        let violation =
            violation.or_else(|| view_survival::check_log(&self.facts, view, op, checksum, place));
        self.found(violation);
        self.facts.log.see_in_view(view, op, checksum);
    }

    fn headers_in_log(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        headers: &[Header],
        place: &'static str,
    ) {
        for header in headers {
            if self.seen(from, header, place) {
                self.in_log(from, view, header.op, header.checksum, place);
            }
        }
    }

    fn prepare_sent(&mut self, from: ReplicaIndex, view: ViewNumber, prepare: &Prepare) {
        let header = prepare.entry.header();
        let violation = one_log_per_view::check_primary(&self.facts, view, from, "Prepare");
        self.found(violation);
        let violation = bounds::check_pipeline(&self.facts, from, header.op, prepare.commit);
        self.found(violation);
        let depth = u64::from(self.facts.configuration.pipeline_max);
        if header.op == prepare.commit.plus(depth) {
            self.exposure.count(Moment::PipelineFull);
        }
        if view > self.facts.log.newest().0 {
            let violation = view_quorum::check(&self.facts, from, view, "Prepare");
            self.found(violation);
        }
        let is_new = self
            .facts
            .log
            .place(header.op)
            .is_none_or(|place| place.header(header.checksum).is_none());
        if is_new {
            let violation = timestamp_monotone::check(&self.facts, from, header);
            self.found(violation);
            self.facts.replica_mut(from).stamped.get_or_insert_with(|| Stamped::of(header));
        }
        self.headers_in_log(from, view, std::slice::from_ref(header), "Prepare");
        self.facts.log.see_head(view, header.op, self.facts.now);
        self.claimed_in_log(from, view, prepare.commit, Some(&Held::of(header)), How::Prepare);
    }

    fn prepare_ok_sent(&mut self, from: ReplicaIndex, view: ViewNumber, ack: &PrepareOk) {
        let violation = bounds::check_op(&self.facts, from, ack.op, "PrepareOk");
        if violation.is_some() {
            self.found(violation);
            return;
        }
        let violation = ack_truthful::check_ack(&self.facts, from, view, ack)
            .or_else(|| log_reuse::check_said(&self.facts, from, ack.checkpoint, "PrepareOk"));
        self.found(violation);
        let PrepareOk { op, checksum, .. } = *ack;
        let known = self.facts.replica_mut(from);
        known.acknowledged = known.acknowledged.max(Some(Acknowledged { view, op, checksum }));
        self.in_log(from, view, ack.op, ack.checksum, "PrepareOk");
        let header = self.facts.log.place(ack.op).and_then(|place| place.header(ack.checksum));
        if header.is_some_and(|header| header.view < view) {
            self.exposure.count(Moment::ReAcknowledged);
        }
    }

    #[cold]
    fn start_view_sent(&mut self, from: ReplicaIndex, view: ViewNumber, start: &StartView) {
        let facts = &self.facts;
        let violation = bounds::check_headers(facts, from, start.op, &start.headers, "StartView")
            .or_else(|| view_survival::check_head(facts, view, start.op, "StartView"));
        self.found(violation);
        if view > self.facts.log.newest().0 {
            self.count_view(view, start);
            let violation = view_quorum::check(&self.facts, from, view, "StartView")
                .or_else(|| log_choice::check(&self.facts, from, view, start));
            self.found(violation);
            let head = start.headers.last().map_or(Checksum::ZERO, |header| header.checksum);
            self.facts.see_begun(Begun { view, op: start.op, head });
        }
        self.headers_in_log(from, view, &start.headers, "StartView");
        self.facts.log.see_head(view, start.op, self.facts.now);
        let last = start.headers.last().map(Held::of);
        self.claimed_in_log(from, view, start.commit, last.as_ref(), How::StartView);
    }

    /// A replica has made a step, having last seen its wall clock show `wall`, in nanoseconds; `None` if it has not looked yet.
    pub fn step_ends(&mut self, replica: ReplicaIndex, wall: Option<u64>) {
        let known = self.facts.replica_mut(replica);
        known.passed_on = None;
        let Some(stamped) = known.stamped.take() else { return };
        let violation = wall
            .and_then(|wall| timestamp_monotone::check_clock(&self.facts, replica, &stamped, wall));
        self.found(violation);
    }

    /// A view has been started that nobody had spoken for yet.
    #[cold]
    fn count_view(&mut self, view: ViewNumber, start: &StartView) {
        let log = &self.facts.log;
        let slots = self.facts.configuration.slots;
        let is_kept = start.op > log.commit();
        let is_skipped = view > log.newest().0.next();
        // What is held by some disk, and is neither committed nor in the log of the new view.
        let is_cut = |replica: &super::super::facts::ReplicaFacts| {
            let end = start.op.next();
            let beyond = replica.disk.slot(end, slots).is_some_and(|held| held.op == end);
            let differs = start.headers.iter().any(|header| {
                replica
                    .disk
                    .slot(header.op, slots)
                    .is_some_and(|held| held.op == header.op && held.checksum != header.checksum)
            });
            beyond || differs
        };
        let is_truncated = self.facts.replicas.iter().any(is_cut);
        let moments = [
            (Moment::ViewStarted, true),
            (Moment::SuffixKept, is_kept),
            (Moment::SuffixTruncated, is_truncated),
            (Moment::ViewSkipped, is_skipped),
        ];
        for (moment, _) in moments.into_iter().filter(|(_, is_met)| *is_met) {
            self.exposure.count(moment);
        }
    }

    #[cold]
    fn do_view_change_sent(
        &mut self,
        from: ReplicaIndex,
        view: ViewNumber,
        promise: &DoViewChange,
    ) {
        let facts = &self.facts;
        let violation =
            bounds::check_headers(facts, from, promise.op, &promise.headers, "DoViewChange")
                .or_else(|| ack_truthful::check_promise(facts, from, view, promise))
                .or_else(|| log_reuse::check_said(facts, from, promise.checkpoint, "DoViewChange"));
        self.found(violation);
        let violation = nack_truthful::check(&self.facts, from, view, promise);
        self.found(violation);
        let known = self.facts.replica_mut(from);
        known.promised = known.promised.max(view);
        // What its checkpoint holds is committed, but in which view nobody can tell: whoever took it over from another replica keeps
        // its log view, and has the log of that view only beyond.
        let checkpoint = self.facts.promise(from).checkpoint_op();
        let known = promise.headers.partition_point(|header| header.op <= checkpoint);
        for header in &promise.headers[..known] {
            if self.seen(from, header, "DoViewChange") {
                let Header { op, checksum, .. } = *header;
                let view = promise.log_view;
                self.claimed(&Claim { op, checksum, view, by: from, how: How::Checkpoint });
            }
        }
        self.headers_in_log(from, promise.log_view, &promise.headers[known..], "DoViewChange");
        let head = promise.headers.last().map_or(Checksum::ZERO, |header| header.checksum);
        let DoViewChange { log_view, op, reach, .. } = *promise;
        self.facts.see_promised(Promised { from, view, log_view, op, head, reach });
        // What it says of commits is no claim: it may have heard of them in a view whose log it does not have.
    }

    #[cold]
    fn new_state_sent(&mut self, from: ReplicaIndex, view: ViewNumber, state: &NewState) {
        self.exposure.count(Moment::GapRepaired);
        for entry in state.entries.iter() {
            self.headers_in_log(from, view, std::slice::from_ref(entry.header()), "NewState");
        }
        let Some(last) = state.entries.last() else { return };
        let last = Held::of(last.header());
        let commit = state.commit.min(last.op);
        self.claimed_in_log(from, view, commit, Some(&last), How::NewState);
    }

    pub(super) fn message_delivered(
        &mut self,
        message: &Message,
        to: ReplicaIndex,
        delivery: &Delivery,
    ) {
        if let Command::Forward(request) = &message.command {
            self.facts.replica_mut(to).passed_on = Some(request.checksum);
        }
        let known = self.facts.replica(to);
        let is_late = known.booted_at > Time::ZERO && delivery.sent < known.booted_at;
        let is_old = message.view < known.disk.promise().view;
        let is_of_view_change = matches!(
            message.command,
            Command::StartViewChange | Command::DoViewChange(_) | Command::StartView(_)
        );
        let moments = [
            (Moment::LateDelivered, is_late),
            (Moment::OldViewDelivered, is_old),
            (Moment::LateViewChangeDelivered, is_late && is_of_view_change),
        ];
        for (moment, _) in moments.into_iter().filter(|(_, is_met)| *is_met) {
            self.exposure.count(moment);
        }
    }
}

/// The kind of a message, for signatures.
const fn name(command: &Command) -> &'static str {
    match command {
        Command::Prepare(_) => "Prepare",
        Command::PrepareOk(_) => "PrepareOk",
        Command::Commit(_) => "Commit",
        Command::CommitOk(_) => "CommitOk",
        Command::StartViewChange => "StartViewChange",
        Command::DoViewChange(_) => "DoViewChange",
        Command::StartView(_) => "StartView",
        Command::GetView(_) => "GetView",
        Command::GetState(_) => "GetState",
        Command::NewState(_) => "NewState",
        Command::GetHeaders(_) => "GetHeaders",
        Command::Headers(_) => "Headers",
        Command::GetPrepare(_) => "GetPrepare",
        Command::Repaired(_) => "Repaired",
        Command::GetCheckpoint(_) => "GetCheckpoint",
        Command::Checkpoint(_) => "Checkpoint",
        Command::Forward(_) => "Forward",
    }
}
