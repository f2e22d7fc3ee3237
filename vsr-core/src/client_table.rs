//! The client table: which request of each client was executed last, and what the answer was (VR Revisited 4.1).
//!
//! Deviation: the paper records a request when the primary receives it, and opens no sessions. Here the table changes only when an
//! operation is executed, at every replica alike, so that a request lost in a view change locks nobody out; and a session is
//! opened by a replicated operation, so that a client that comes back after a crash cannot be taken for its former self.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::checksum::Checksum;
use crate::number::{ClientId, OpNumber, RequestNumber, Session};

/// Sessions, by the number of the client.
pub type Sessions = BTreeMap<ClientId, SessionRecord>;

/// The sessions of all clients, at most [`crate::configuration::Configuration::clients_max`] of them.
#[derive(Debug)]
pub struct ClientTable {
    sessions: Sessions,
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
        if let Some(known) = self.sessions.get_mut(&client) {
            *known = record;
            return None;
        }
        let evicted = self.make_room();
        self.sessions.insert(client, record);
        assert!(self.sessions.len() <= self.clients_max);
        evicted
    }

    /// The bytes of a result of `client`, which [`Self::record`] is to be given next. The memory of the last result serves for it, if that
    /// is as long and nobody reads it any more.
    pub fn share(&mut self, client: ClientId, bytes: &[u8]) -> Arc<[u8]> {
        if let Some(known) = self.sessions.get_mut(&client)
            && let Some(room) = Arc::get_mut(&mut known.result)
            && room.len() == bytes.len()
        {
            room.copy_from_slice(bytes);
            return Arc::clone(&known.result);
        }
        Arc::from(bytes)
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.sessions.len()).expect("at most as many as are configured")
    }

    /// Whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Appends the bytes of all sessions, by the number of the client: equal tables give equal bytes.
    ///
    /// Each is, little-endian and in bytes: client 16, session 8, request 8, checksum of the request 16, op 8, checksum of the reply
    /// 16, size of the result 4, and the result.
    ///
    /// # Panics
    ///
    /// When a result has 4 GiB or more.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        for (client, record) in &self.sessions {
            bytes.extend_from_slice(&client.get().to_le_bytes());
            bytes.extend_from_slice(&record.session.get().to_le_bytes());
            bytes.extend_from_slice(&record.request.get().to_le_bytes());
            bytes.extend_from_slice(&record.request_checksum.get().to_le_bytes());
            bytes.extend_from_slice(&record.op.get().to_le_bytes());
            bytes.extend_from_slice(&record.reply_checksum.get().to_le_bytes());
            let size = u32::try_from(record.result.len()).expect("a result is smaller than 4 GiB");
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(&record.result);
        }
    }

    /// Takes `count` sessions off the beginning of `bytes`; `None` unless they are there, each after the one before.
    #[must_use]
    pub fn decode(count: u32, bytes: &mut &[u8]) -> Option<Sessions> {
        let mut sessions = Sessions::new();
        for _ in 0..count {
            let (client, record) = decode_session(bytes)?;
            if sessions.last_key_value().is_some_and(|(last, _)| *last >= client) {
                return None;
            }
            sessions.insert(client, record);
        }
        Some(sessions)
    }

    /// Holds these sessions from now on, and no others.
    ///
    /// # Panics
    ///
    /// When there are more than are configured: no replica of this cluster can have had them.
    pub fn replace(&mut self, sessions: Sessions) {
        assert!(sessions.len() <= self.clients_max);
        self.sessions = sessions;
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

fn decode_session(bytes: &mut &[u8]) -> Option<(ClientId, SessionRecord)> {
    let (fixed, rest) = bytes.split_at_checked(76)?;
    let wide = |at: usize| Some(u128::from_le_bytes(fixed.get(at..at + 16)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(fixed.get(at..at + 8)?.try_into().ok()?));
    let size = u32::from_le_bytes(fixed[72..].try_into().ok()?);
    let (result, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
    *bytes = rest;
    let record = SessionRecord {
        session: Session::new(long(16)?),
        request: RequestNumber::new(long(24)?),
        request_checksum: Checksum::new(wide(32)?),
        op: OpNumber::new(long(48)?),
        reply_checksum: Checksum::new(wide(56)?),
        result: result.into(),
    };
    Some((ClientId::new(wide(0)?), record))
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

    #[test]
    fn a_result_that_somebody_reads_stays_as_it_is() {
        let mut table = ClientTable::new(1);
        let client = ClientId::new(1);
        let record_of = |result| SessionRecord { result, ..record(1) };
        assert_eq!(*table.share(client, b"one"), *b"one", "nothing to use again yet");
        let first = table.share(client, b"one");
        table.record(client, record_of(Arc::clone(&first)));
        for result in [&b"two"[..], b"three", b"", b"three"] {
            let shared = table.share(client, result);
            assert_eq!((&*shared, &*first), (result, &b"one"[..]));
            table.record(client, record_of(shared));
        }
        // A reply on its way would turn into the next one.
    }
}
