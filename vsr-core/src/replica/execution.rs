//! Committing and executing: in the order of the log, one after the other, at every replica alike (VR Revisited 4.1, step 5).

use alloc::sync::Arc;

use super::Replica;
use crate::client_table::SessionRecord;
use crate::header::{Entry, Operation};
use crate::io::{Effect, Effects, Event, Status};
use crate::message::{ClientMessage, Reply};
use crate::number::{ClientId, OpNumber, Session};
use crate::state_machine::StateMachine;
use crate::timeout::Timeout;

impl<S: StateMachine> Replica<S> {
    /// Executes all that is committed, is here, and is durable here.
    pub(super) fn execute_committed(&mut self, effects: &mut Effects) {
        let before = self.commit_min;
        while self.commit_min < self.commit_max && self.commit_min < self.journal.durable() {
            let op = self.commit_min.next();
            if self.halted.is_some()
                || self.must_await_checkpoint(op)
                || self.checkpoints.is_spoiled()
            {
                break;
            }
            let entry = Arc::clone(self.journal.entry(op).expect("at most the head"));
            self.execute(&entry, effects);
            self.commit_min = op;
            effects.event(Event::Committed { op });
            self.checkpoint_if_due(op, effects);
        }
        if self.commit_min > before {
            self.timers.forget_attempts(Timeout::AbandonViewChange);
        }
    }

    /// Executes one operation. What the table shows as executed already, or as nobody's, changes nothing: so a write runs
    /// exactly once whatever got into the log.
    fn execute(&mut self, entry: &Entry, effects: &mut Effects) {
        let header = entry.header();
        let record = self.client_table.get(header.client);
        let session = match header.operation {
            Operation::Root => unreachable!("the root is not in the log"),
            Operation::Register if record.is_none() => Session::new(header.op.get()),
            Operation::Apply
                if record.is_some_and(|record| {
                    record.session == header.session && header.request == record.request.next()
                }) =>
            {
                header.session
            }
            Operation::Register | Operation::Apply => return,
        };
        self.reply_buffer.clear();
        if header.operation == Operation::Apply {
            self.state_machine.apply(entry.body(), &mut self.reply_buffer);
        }
        let result = self.client_table.share(header.client, &self.reply_buffer);
        let reply_checksum =
            Reply::checksum_of(header.client, session, header.request, header.op, &result);
        let record = SessionRecord {
            session,
            request: header.request,
            request_checksum: header.request_checksum,
            op: header.op,
            reply_checksum,
            result,
        };
        if let Some(session) = self.client_table.record(header.client, record) {
            effects.event(Event::SessionEvicted { session });
        }
        if self.is_primary() {
            self.send_reply(header.client, effects);
        }
    }

    /// Sends the last reply to `client`, which has a session.
    pub(super) fn send_reply(&self, client: ClientId, effects: &mut Effects) {
        let record = self.client_table.get(client).expect("executed a request before");
        let reply = Reply {
            cluster: self.configuration.cluster,
            from: self.me,
            view: self.view(),
            client,
            session: record.session,
            request: record.request,
            request_checksum: record.request_checksum,
            op: record.op,
            checksum: record.reply_checksum,
            result: Arc::clone(&record.result),
        };
        effects.push(Effect::Reply { to: client, message: ClientMessage::Reply(Arc::new(reply)) });
    }

    /// Puts `entry` at the end of the log. What the disk has already is durable at once.
    pub(super) fn append(&mut self, entry: Arc<Entry>, effects: &mut Effects) {
        let before = self.journal.durable();
        self.journal.append(entry, &mut self.tokens, effects);
        self.on_durable(before, effects);
    }

    /// The journal's durable prefix may have grown beyond `before`: say what may be said now.
    pub(super) fn on_durable(&mut self, before: OpNumber, effects: &mut Effects) {
        let durable = self.journal.durable();
        if self.doubt.is_some() {
            self.settle_doubt(effects);
        }
        if durable == before || self.halted.is_some() {
            return;
        }
        effects.event(Event::Durable { op: durable });
        match self.status() {
            Status::Normal if self.is_primary() => {
                self.acknowledge_own(before, effects);
            }
            Status::Normal => {
                self.send_prepare_oks(before, effects);
                self.execute_committed(effects);
            }
            Status::ViewChange => self.progress_install(effects),
            Status::Recovering => {}
        }
    }
}
