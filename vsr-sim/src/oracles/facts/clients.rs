//! What clients asked for, and the oracles' own client table: what each committed entry does, worked out from the log alone.

use std::collections::BTreeMap;

use vsr_core::checksum::Checksum;
use vsr_core::header::{Header, Operation};
use vsr_core::message::Request;
use vsr_core::number::{ClientId, OpNumber, RequestNumber, Session};

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
    executed_at: Option<OpNumber>,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Outstanding {
    pub(in super::super) request: RequestNumber,
    pub(in super::super) since: Time,
}

#[derive(Debug, Default)]
struct ClientFacts {
    /// By number: a client numbers its requests from 0 on, without a gap.
    asked: Vec<Asked>,
    outstanding: Option<Outstanding>,
    /// The session that the committed log gives it, and the last request executed in it.
    session: Option<(Session, RequestNumber)>,
}

/// All clients there ever were.
#[derive(Debug, Default)]
pub(in super::super) struct Clients {
    clients: BTreeMap<ClientId, ClientFacts>,
    session_count: u32,
    eviction_count: u64,
}

impl Clients {
    pub(super) fn reset(&mut self) {
        self.clients.clear();
        self.session_count = 0;
        self.eviction_count = 0;
    }

    /// How many sessions have made room for others.
    pub(in super::super) const fn eviction_count(&self) -> u64 {
        self.eviction_count
    }

    /// A client has sent this; answers whether it is new. Copies differ in nothing but the view.
    pub(in super::super) fn on_request(&mut self, request: &Request, now: Time) -> bool {
        let facts = self.clients.entry(request.client).or_default();
        if request.request.get() != facts.asked.len() as u64 {
            return false;
        }
        facts.asked.push(Asked {
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
        let facts = self.clients.entry(client).or_default();
        facts.outstanding = facts.outstanding.filter(|outstanding| outstanding.request != request);
    }

    /// A client waits for nothing any more.
    pub(in super::super) fn on_gone(&mut self, client: ClientId) {
        self.clients.entry(client).or_default().outstanding = None;
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
        self.clients.get(&client)?.asked.get(usize::try_from(request.get()).ok()?)
    }

    /// Whether any client ever asked for these bytes. It looks at all of them: for explanations only.
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
        self.session_count += 1;
        Effect::Registered
    }

    fn apply(&mut self, header: &Header) -> Effect {
        let Some(facts) = self.clients.get_mut(&header.client) else { return Effect::Nothing };
        let index = usize::try_from(header.request.get()).ok();
        let asked = index.and_then(|index| facts.asked.get_mut(index));
        let first = asked.as_ref().and_then(|asked| asked.executed_at);
        if let Some(first) = first {
            return Effect::Repeated(first);
        }
        match facts.session {
            Some((session, last)) if session == header.session && last.next() == header.request => {
                facts.session = Some((session, header.request));
                if let Some(asked) = asked {
                    asked.executed_at = Some(header.op);
                }
                Effect::Applied
            }
            Some(_) | None => Effect::Nothing,
        }
    }
}
