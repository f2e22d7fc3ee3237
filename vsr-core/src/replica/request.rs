//! A client's request, at whichever replica it arrives (VR Revisited 4.1, steps 1 to 3).

use alloc::sync::Arc;

use super::Replica;
use crate::checksum::Checksum;
use crate::header::{Entry, Header, Operation};
use crate::io::{Effect, Effects, Event, Ignored, Status};
use crate::message::{ClientMessage, Command, Eviction, Prepare, Request};
use crate::number::{ReplicaIndex, RequestNumber, Session, ViewNumber};
use crate::quorum::ReplicaSet;
use crate::state_machine::StateMachine;
use crate::timeout::Timeout;

/// What a primary does with a request that it understands.
enum Decision {
    /// Put it into the log.
    Prepare,
    /// It was executed: answer as then.
    ReplyAgain,
    /// The session that it names is gone.
    Evict,
    /// Nothing.
    Ignore(Ignored),
}

impl<S: StateMachine> Replica<S> {
    /// A request has come, from its client or passed on by `forwarder`.
    pub(super) fn on_request(
        &mut self,
        request: Arc<Request>,
        forwarder: Option<ReplicaIndex>,
        effects: &mut Effects,
    ) {
        if let Some(reason) = self.ignores_request(&request, forwarder) {
            effects.event(Event::Ignored { from: forwarder, reason });
            return;
        }
        if !self.is_primary() {
            // At most one hop: two replicas that each take the other for the primary would pass it on for ever.
            let primary = self.configuration.primary(self.view());
            self.send(primary, Command::Forward(request), effects);
            return;
        }
        match self.decide(&request) {
            Decision::Prepare => self.prepare_or_queue(request, effects),
            Decision::ReplyAgain => self.send_reply(request.client, effects),
            Decision::Evict => self.send_eviction(&request, effects),
            Decision::Ignore(reason) => {
                effects.event(Event::Ignored { from: forwarder, reason });
            }
        }
    }

    fn ignores_request(
        &self,
        request: &Request,
        forwarder: Option<ReplicaIndex>,
    ) -> Option<Ignored> {
        if self.halted.is_some() {
            return Some(Ignored::Recovering);
        }
        match self.status() {
            Status::Recovering => return Some(Ignored::Recovering),
            Status::ViewChange => return Some(Ignored::ViewChange),
            Status::Normal => {}
        }
        if request.cluster != self.configuration.cluster || !is_well_formed(request) {
            return Some(Ignored::Misdirected);
        }
        if request.body.len() as u64 > u64::from(self.configuration.body_size_max) {
            return Some(Ignored::TooLarge);
        }
        if !self.is_primary() && forwarder.is_some() {
            return Some(Ignored::NotPrimary);
        }
        if self.primary.has_stepped_down {
            return Some(Ignored::SteppedDown);
        }
        None
    }

    /// Judges a request by the client table and by what is on its way.
    fn decide(&self, request: &Request) -> Decision {
        if self.is_in_progress(request) {
            return Decision::Ignore(Ignored::InProgress);
        }
        let Some(record) = self.client_table.get(request.client) else {
            return match request.operation {
                Operation::Register => Decision::Prepare,
                Operation::Apply | Operation::Root => self.decide_without_session(request),
            };
        };
        if request.operation == Operation::Register {
            return if record.request == RequestNumber::ZERO
                && record.request_checksum == request.checksum
            {
                Decision::ReplyAgain
            } else {
                Decision::Ignore(Ignored::OldRequest)
            };
        }
        if request.session < record.session {
            return Decision::Evict;
        }
        if request.session > record.session {
            return Decision::Ignore(Ignored::NotNext);
        }
        if request.request < record.request {
            return Decision::Ignore(Ignored::OldRequest);
        }
        if request.request == record.request {
            return if request.checksum == record.request_checksum {
                Decision::ReplyAgain
            } else {
                Decision::Ignore(Ignored::NotNext)
            };
        }
        if request.request == record.request.next() && request.parent == record.reply_checksum {
            Decision::Prepare
        } else {
            Decision::Ignore(Ignored::NotNext)
        }
    }

    /// A request of a session that the table does not have. Only who has executed all that the view began with, and knows all that the
    /// client knows, can tell that there is no such session.
    fn decide_without_session(&self, request: &Request) -> Decision {
        let knows = self.commit_min >= self.primary.op_at_start && request.view <= self.view();
        if knows { Decision::Evict } else { Decision::Ignore(Ignored::NotNext) }
    }

    /// Whether this request, or another of its client, is in the pipeline or the queue. Derived, never stored: a view change that
    /// loses the one loses the other.
    fn is_in_progress(&self, request: &Request) -> bool {
        let first = self.commit_min.next().get();
        let prepared = (first..=self.journal.op().get()).any(|op| {
            let header = self.journal.header(crate::number::OpNumber::new(op));
            header.is_some_and(|header| header.client == request.client)
        });
        prepared || self.primary.queue.iter().any(|queued| queued.client == request.client)
    }

    fn prepare_or_queue(&mut self, request: Arc<Request>, effects: &mut Effects) {
        if self.has_room_in_pipeline() {
            self.prepare(&request, effects);
        } else if (self.primary.queue.len() as u64) < u64::from(self.configuration.queue_max) {
            self.primary.queue.push_back(request);
        } else {
            effects.event(Event::Ignored { from: None, reason: Ignored::Busy });
        }
    }

    /// The pipeline or the log has room again: take what waits.
    pub(super) fn prepare_queued(&mut self, effects: &mut Effects) {
        while self.has_room_in_pipeline() && self.halted.is_none() {
            let Some(request) = self.primary.queue.pop_front() else { return };
            // What was true when it was queued may not be any more.
            if matches!(self.decide(&request), Decision::Prepare) {
                self.prepare(&request, effects);
            }
        }
    }

    /// Gives the request the next op-number, and begins to replicate it.
    fn prepare(&mut self, request: &Request, effects: &mut Effects) {
        assert!(self.is_primary());
        assert!(self.has_room_in_pipeline());
        let entry = Arc::new(self.next_entry(request));
        let op = entry.header().op;
        self.primary.pipeline.push_back(ReplicaSet::EMPTY);
        effects.event(Event::Prepared { op });
        self.append(Arc::clone(&entry), effects);
        let prepare = Prepare { entry, commit: self.commit_max };
        self.broadcast(&Command::Prepare(prepare), effects);
        self.timers.ensure(Timeout::ResendPrepare, self.now);
    }

    fn next_entry(&self, request: &Request) -> Entry {
        let head = self.journal.head();
        let mut header = Header {
            checksum: Checksum::ZERO,
            checksum_body: Checksum::of(&request.body),
            parent: head.checksum,
            request_checksum: request.checksum,
            client: request.client,
            cluster: self.configuration.cluster,
            view: self.view(),
            op: head.op.next(),
            session: request.session,
            request: request.request,
            timestamp: self.wall_now().max(head.timestamp + 1),
            epoch: head.epoch,
            size: u32::try_from(request.body.len()).expect("judged before"),
            operation: request.operation,
        };
        header.seal();
        Entry::new(header, &request.body).expect("sealed just now")
    }

    fn wall_now(&self) -> u64 {
        let (wall, looked_at) = self.wall_clock;
        wall.saturating_add(self.now.since(looked_at).as_ns())
    }

    /// Whether one more operation may be prepared. What must wait until checkpoints are durable waits like what must wait for others.
    fn has_room_in_pipeline(&self) -> bool {
        let depth = usize::try_from(self.configuration.pipeline_max).expect("a small number");
        self.primary.pipeline.len() < depth && self.has_room_to_prepare()
    }

    #[cold]
    fn send_eviction(&self, request: &Request, effects: &mut Effects) {
        let eviction = Eviction {
            cluster: self.configuration.cluster,
            from: self.me,
            view: self.view(),
            client: request.client,
            session: request.session,
        };
        let message = ClientMessage::Eviction(eviction);
        effects.push(Effect::Reply { to: request.client, message });
    }
}

/// Whether the request's parts agree with each other.
fn is_well_formed(request: &Request) -> bool {
    let is_registration = request.session == Session::ZERO
        && request.request == RequestNumber::ZERO
        && request.parent == Checksum::ZERO
        && request.body.is_empty();
    let fits = match request.operation {
        Operation::Root => false,
        Operation::Register => is_registration,
        Operation::Apply => {
            request.session > Session::ZERO && request.request > RequestNumber::ZERO
        }
    };
    fits && request.view < ViewNumber::new(u64::MAX)
        && request.checksum
            == Request::checksum_of(
                request.client,
                request.session,
                request.request,
                request.parent,
                request.operation,
                &request.body,
            )
}
