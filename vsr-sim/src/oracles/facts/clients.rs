//! What clients asked for, and the oracles' own client table: what each committed entry does, worked out from the log alone.
//!
//! With the places of the log what was asked for there is forgotten, and clients that are gone. As in the log, [`Clients::is_in_doubt`]
//! says whether anybody has asked for that. What was last answered to a client is kept: it may be sent again at any time.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use vsr_core::checksum::Checksum;
use vsr_core::header::{Header, Operation};
use vsr_core::message::Request;
use vsr_core::number::{ClientId, OpNumber, RequestNumber, Session, ViewNumber};

use super::log::{Outcome, Place};
use crate::engine::time::Time;

/// One checksum over sessions, in the order of their clients.
pub(in super::super) fn sessions_checksum(
    sessions: impl Iterator<Item = (ClientId, Session, RequestNumber)>,
) -> Checksum {
    let mut bytes = Vec::new();
    for (client, session, request) in sessions {
        bytes.extend_from_slice(&client.get().to_le_bytes());
        bytes.extend_from_slice(&session.get().to_le_bytes());
        bytes.extend_from_slice(&request.get().to_le_bytes());
    }
    Checksum::of(&bytes)
}

/// What a committed entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Effect {
    /// Opens a session.
    Registered,
    /// Reaches the service.
    Applied,
    /// Nothing: its session is gone, or it does not follow what the session executed last.
    Nothing,
    /// Nothing, for the same request has been executed at this operation before.
    Repeated(OpNumber),
}

/// A request, as its client first sent it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Asked {
    pub(in super::super) session: Session,
    pub(in super::super) checksum: Checksum,
    pub(in super::super) body: Checksum,
    /// Where it was first committed and did something.
    executed_at: Option<OpNumber>,
}

/// What is to be answered to a request that was executed, and was answered.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Answered {
    pub(in super::super) header: Header,
    pub(in super::super) effect: Option<Effect>,
    pub(in super::super) outcome: Option<Outcome>,
    /// The result of the first reply that left, and the view that it left from.
    pub(in super::super) replied: Option<(Checksum, ViewNumber)>,
}

impl Answered {
    /// What is known of a committed place.
    pub(in super::super) fn at(place: &Place) -> Option<Self> {
        let header = *place.committed_header()?;
        Some(Self { header, effect: place.effect, outcome: place.outcome, replied: place.replied })
    }
}

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Outstanding {
    pub(in super::super) request: RequestNumber,
    pub(in super::super) since: Time,
}

#[derive(Debug, Default)]
struct ClientFacts {
    /// By number: a client numbers its requests from 0 on, without a gap. The first so many are forgotten.
    asked: VecDeque<Asked>,
    asked_forgotten: u64,
    outstanding: Option<Outstanding>,
    /// The session that the committed log gives it, and the last request executed in it.
    session: Option<(Session, RequestNumber)>,
    /// Of what was executed at places that are forgotten, the last: no replica can have an older answer at hand.
    kept: Option<Answered>,
    /// How much was committed when it was last heard of.
    heard_at: OpNumber,
    /// Whether it will never ask again: it has crashed, or was told that its session is gone.
    has_left: bool,
}

impl ClientFacts {
    fn asked_count(&self) -> u64 {
        self.asked_forgotten + self.asked.len() as u64
    }

    /// The place of a request among those that are remembered; nothing if it is forgotten.
    fn index(&self, request: RequestNumber) -> Option<usize> {
        usize::try_from(request.get().checked_sub(self.asked_forgotten)?).ok()
    }

    /// Forgets all up to the last request that was executed before `base`.
    fn forget(&mut self, base: OpNumber) {
        let is_old = |asked: &Asked| asked.executed_at.is_some_and(|op| op < base);
        let count = self.asked.iter().rposition(is_old).map_or(0, |last| last + 1);
        self.asked.drain(..count);
        self.asked_forgotten += count as u64;
    }

    /// Whether nothing that was seen since `base` has to do with it, and it will never ask again.
    fn is_gone(&self, base: OpNumber) -> bool {
        self.has_left && self.session.is_none() && self.heard_at < base
    }
}

/// All clients there ever were.
#[derive(Debug, Default)]
pub(in super::super) struct Clients {
    clients: BTreeMap<ClientId, ClientFacts>,
    session_count: u32,
    eviction_count: u64,
    /// Whether any client is forgotten.
    has_forgotten: bool,
    /// Whether what is forgotten was asked for.
    is_in_doubt: Cell<bool>,
}

impl Clients {
    pub(super) fn reset(&mut self) {
        self.clients.clear();
        self.session_count = 0;
        self.eviction_count = 0;
        self.has_forgotten = false;
        self.is_in_doubt.set(false);
    }

    /// Whether anything was asked for that is forgotten.
    pub(in super::super) const fn is_in_doubt(&self) -> bool {
        self.is_in_doubt.get()
    }

    /// Whether anything is remembered of this client.
    pub(in super::super) fn knows(&self, client: ClientId) -> bool {
        self.clients.contains_key(&client)
    }

    /// The place of the log is about to be forgotten: what was answered there may be answered again.
    pub(super) fn keep_answer(&mut self, place: &Place) {
        if !matches!(place.effect, Some(Effect::Registered | Effect::Applied)) {
            return;
        }
        let Some(answered) = Answered::at(place) else { return };
        if let Some(facts) = self.clients.get_mut(&answered.header.client) {
            facts.kept = Some(answered);
        }
    }

    /// All that was executed before `base` is forgotten.
    pub(super) fn forget_before(&mut self, base: OpNumber) {
        let count = self.clients.len();
        self.clients.retain(|_, facts| !facts.is_gone(base));
        self.has_forgotten |= self.clients.len() < count;
        self.clients.values_mut().for_each(|facts| facts.forget(base));
    }

    /// What was last answered to the client at places that are forgotten, if it was at `op`.
    pub(in super::super) fn kept_mut(
        &mut self,
        client: ClientId,
        op: OpNumber,
    ) -> Option<&mut Answered> {
        let kept = self.clients.get_mut(&client)?.kept.as_mut();
        kept.filter(|kept| kept.header.op == op)
    }

    /// How many sessions have made room for others.
    pub(in super::super) const fn eviction_count(&self) -> u64 {
        self.eviction_count
    }

    /// A client has sent this, when so much was committed; answers whether it is new. Copies differ in nothing but the view.
    pub(in super::super) fn on_request(
        &mut self,
        request: &Request,
        now: Time,
        commit: OpNumber,
    ) -> bool {
        let facts = self.clients.entry(request.client).or_default();
        facts.heard_at = commit;
        facts.has_left = false;
        if request.request.get() != facts.asked_count() {
            // A client that is forgotten asks again, although it has left.
            let is_stranger = facts.asked_count() == 0 && self.has_forgotten;
            self.is_in_doubt.set(self.is_in_doubt.get() || is_stranger);
            return false;
        }
        facts.asked.push_back(Asked {
            session: request.session,
            checksum: request.checksum,
            body: Checksum::of(&request.body),
            executed_at: None,
        });
        facts.outstanding = Some(Outstanding { request: request.request, since: now });
        true
    }

    /// A client has been given an answer.
    pub(in super::super) fn on_answered(&mut self, client: ClientId, request: RequestNumber) {
        if let Some(facts) = self.clients.get_mut(&client) {
            facts.outstanding =
                facts.outstanding.filter(|outstanding| outstanding.request != request);
        }
    }

    /// A client waits for nothing any more.
    pub(in super::super) fn on_gone(&mut self, client: ClientId) {
        if let Some(facts) = self.clients.get_mut(&client) {
            facts.outstanding = None;
            facts.has_left = true;
        }
    }

    /// Whether the client has this session, by all that is committed.
    pub(in super::super) fn has_session(&self, client: ClientId, session: Session) -> bool {
        let facts = self.clients.get(&client);
        facts.and_then(|facts| facts.session).is_some_and(|(own, _)| own == session)
    }

    /// All that clients wait for.
    pub(in super::super) fn outstanding(
        &self,
    ) -> impl Iterator<Item = (ClientId, Outstanding)> + '_ {
        self.clients.iter().filter_map(|(client, facts)| {
            facts.outstanding.map(|outstanding| (*client, outstanding))
        })
    }

    pub(in super::super) fn asked(
        &self,
        client: ClientId,
        request: RequestNumber,
    ) -> Option<&Asked> {
        let Some(facts) = self.clients.get(&client) else {
            self.is_in_doubt.set(self.is_in_doubt.get() || self.has_forgotten);
            return None;
        };
        let Some(index) = facts.index(request) else {
            self.is_in_doubt.set(true);
            return None;
        };
        facts.asked.get(index)
    }

    /// Whether any client ever asked for these bytes, as far as that is remembered. It looks at all of them: for explanations only.
    pub(in super::super) fn knows_body(&self, body: Checksum) -> bool {
        self.clients.values().any(|facts| facts.asked.iter().any(|asked| asked.body == body))
    }

    /// The sessions, and the last request executed in each, as one checksum.
    pub(in super::super) fn sessions(&self) -> Checksum {
        let sessions = self.clients.iter().filter_map(|(client, facts)| {
            facts.session.map(|(session, request)| (*client, session, request))
        });
        sessions_checksum(sessions)
    }

    /// Executes a committed entry in the oracles' own client table.
    pub(in super::super) fn execute(&mut self, header: &Header, clients_max: u32) -> Effect {
        match header.operation {
            Operation::Root => Effect::Nothing,
            Operation::Register => self.register(header, clients_max),
            Operation::Apply => self.apply(header),
        }
    }

    fn register(&mut self, header: &Header, clients_max: u32) -> Effect {
        let has_session = |facts: &ClientFacts| facts.session.is_some();
        if self.clients.get(&header.client).is_some_and(has_session) {
            return Effect::Nothing;
        }
        if self.session_count == clients_max {
            // Sessions are op-numbers: the oldest is the smallest.
            let sessions = self.clients.values_mut().filter(|facts| facts.session.is_some());
            if let Some(oldest) = sessions.min_by_key(|facts| facts.session) {
                oldest.session = None;
                self.session_count -= 1;
                self.eviction_count += 1;
            }
        }
        let facts = self.clients.entry(header.client).or_default();
        facts.session = Some((Session::new(header.op.get()), RequestNumber::ZERO));
        facts.heard_at = header.op;
        self.session_count += 1;
        Effect::Registered
    }

    fn apply(&mut self, header: &Header) -> Effect {
        let Some(facts) = self.clients.get_mut(&header.client) else { return Effect::Nothing };
        let Some(index) = facts.index(header.request) else {
            // It was executed, who knows where; or an older one comes too late.
            self.is_in_doubt.set(true);
            return Effect::Nothing;
        };
        let mut asked = facts.asked.get_mut(index);
        if let Some(first) = asked.as_ref().and_then(|asked| asked.executed_at) {
            return Effect::Repeated(first);
        }
        match facts.session {
            Some((session, last)) if session == header.session && last.next() == header.request => {
                facts.session = Some((session, header.request));
                if let Some(asked) = &mut asked {
                    asked.executed_at = Some(header.op);
                }
                Effect::Applied
            }
            Some(_) | None => Effect::Nothing,
        }
    }
}
