//! The client table: which request of each client was executed last, and what the answer was (VR Revisited 4.1).
//!
//! Deviation: the paper records a request when the primary receives it, and opens no sessions. Here the table changes only when an
//! operation is executed, at every replica alike, so that a request lost in a view change locks nobody out; and a session is
//! opened by a replicated operation, so that a client that comes back after a crash cannot be taken for its former self.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::checksum::Checksum;
use crate::number::{ClientId, OpNumber, RequestNumber, Session};

/// The sessions of all clients, at most [`crate::configuration::Configuration::clients_max`] of them.
#[derive(Debug)]
pub struct ClientTable {
    sessions: BTreeMap<ClientId, SessionRecord>,
    clients_max: usize,
}

/// What is known of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The op-number of the registration.
    pub session: Session,
    /// The last request that was executed.
    pub request: RequestNumber,
    /// The checksum of that request.
    pub request_checksum: Checksum,
    /// Where it was executed.
    pub op: OpNumber,
    /// The checksum of the reply: the next request shows it as a receipt.
    pub reply_checksum: Checksum,
    /// The result.
    pub result: Arc<[u8]>,
}

impl ClientTable {
    /// An empty table.
    #[must_use]
    pub fn new(clients_max: u32) -> Self {
        let clients_max = usize::try_from(clients_max).expect("clients fit in memory");
        Self { sessions: BTreeMap::new(), clients_max }
    }

    /// The session of `client`, if it has one.
    #[must_use]
    pub fn get(&self, client: ClientId) -> Option<&SessionRecord> {
        self.sessions.get(&client)
    }

    /// Records an executed request. Where a new client finds the table full, the oldest session makes room; it is returned.
    pub fn record(&mut self, client: ClientId, record: SessionRecord) -> Option<Session> {
        let evicted = if self.sessions.contains_key(&client) { None } else { self.make_room() };
        self.sessions.insert(client, record);
        assert!(self.sessions.len() <= self.clients_max);
        evicted
    }

    /// Evicts the session with the smallest number: sessions are op-numbers, so every replica picks the same.
    fn make_room(&mut self) -> Option<Session> {
        if self.sessions.len() < self.clients_max {
            return None;
        }
        let oldest = self.sessions.iter().min_by_key(|(_, record)| record.session);
        let (client, session) = oldest.map(|(client, record)| (*client, record.session))?;
        self.sessions.remove(&client);
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(session: u64) -> SessionRecord {
        SessionRecord {
            session: Session::new(session),
            request: RequestNumber::ZERO,
            request_checksum: Checksum::ZERO,
            op: OpNumber::new(session),
            reply_checksum: Checksum::ZERO,
            result: Arc::from([]),
        }
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let mut table = ClientTable::new(2);
        assert_eq!(table.record(ClientId::new(1), record(5)), None);
        assert_eq!(table.record(ClientId::new(2), record(3)), None);
        assert_eq!(table.record(ClientId::new(1), record(5)), None, "a known client needs no room");
        assert_eq!(table.record(ClientId::new(9), record(8)), Some(Session::new(3)));
        assert_eq!(table.get(ClientId::new(2)), None);
        assert!(table.get(ClientId::new(1)).is_some());
        // Evicting by anything that differs between replicas would make their tables differ.
    }
}
