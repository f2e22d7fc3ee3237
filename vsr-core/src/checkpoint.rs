//! Checkpoints: the state of the service and the client table, as they are after one operation, in bytes.
//!
//! The bytes depend on the log alone: every replica takes the same ones after the same operation, whatever else differs between
//! them. So one checksum names a checkpoint in the whole cluster, and it may be fetched from anybody who has it. All numbers are
//! little-endian:
//!
//! ```text
//!   0  magic     4    "VSRc"
//!   4  version   2    of this encoding
//!   6  zero      2
//!   8  sessions  4    how many
//!  12  zero      4
//!  16  header    256  of the operation after which this is the state
//! 272  ...            the sessions, by the number of the client: see `ClientTable::encode`
//!      ...            the service's own snapshot, to the end
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::checksum::Checksum;
use crate::client_table::ClientTable;
use crate::header::{HEADER_SIZE, Header};
use crate::number::OpNumber;
use crate::state_machine::StateMachine;
use crate::superblock::{Area, CheckpointRecord};

/// Bytes of a checkpoint that one write or read is for: an area is as many of these as it needs.
pub const CHUNK_SIZE: u32 = 1 << 16;

const MAGIC: [u8; 4] = *b"VSRc";
const VERSION: u16 = 1;

/// Bytes before the header.
const PREFIX_SIZE: usize = 16;

/// Room for a checkpoint that is being taken, so that it need not be moved again and again as it grows.
const SIZE_LIKELY: usize = 1 << 14;

/// Bytes before the sessions.
const FIXED_SIZE: usize = PREFIX_SIZE + HEADER_SIZE;

/// A checkpoint: immutable, and shared rather than copied by all who hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    header: Header,
    checksum: Checksum,
    bytes: Arc<[u8]>,
}

impl Checkpoint {
    /// Takes the state as it is now, after the operation of `header`.
    ///
    /// # Panics
    ///
    /// When it has 4 GiB or more.
    #[must_use]
    pub fn take(header: &Header, clients: &ClientTable, service: &impl StateMachine) -> Self {
        let mut bytes = Vec::with_capacity(SIZE_LIKELY);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&clients.len().to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&header.encode());
        clients.encode(&mut bytes);
        service.snapshot(&mut bytes);
        assert!(u32::try_from(bytes.len()).is_ok());
        let checksum = Checksum::of(&bytes);
        Self { header: *header, checksum, bytes: bytes.into() }
    }

    /// Believes bytes that were read or fetched; `None` unless they are those of the checkpoint with this checksum.
    #[must_use]
    pub fn read(checksum: Checksum, bytes: &[u8]) -> Option<Self> {
        if checksum != Checksum::of(bytes) {
            return None;
        }
        let header = parse(bytes)?.0;
        Some(Self { header, checksum, bytes: bytes.into() })
    }

    /// The header of the operation after which this is the state.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The operation after which this is the state.
    #[must_use]
    pub const fn op(&self) -> OpNumber {
        self.header.op
    }

    /// Over all of its bytes.
    #[must_use]
    pub const fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("looked at when it was made")
    }

    /// What a superblock says of it, once it is whole in `area`.
    #[must_use]
    pub fn record(&self, area: Area) -> CheckpointRecord {
        CheckpointRecord { header: self.header, checksum: self.checksum, size: self.size(), area }
    }

    /// Puts this state in the place of whatever the table and the service hold: nothing of that stays.
    pub fn restore(&self, clients: &mut ClientTable, service: &mut impl StateMachine) {
        let (_, sessions, state) = parse(&self.bytes).expect("looked at when it was made");
        clients.replace(sessions);
        service.restore(state);
    }

    /// The client table's part of the bytes, and the service's.
    #[must_use]
    pub fn parts(&self) -> (&[u8], &[u8]) {
        let (_, _, state) = parse(&self.bytes).expect("looked at when it was made");
        (&self.bytes[FIXED_SIZE..self.bytes.len() - state.len()], state)
    }
}

type Parts<'a> = (Header, crate::client_table::Sessions, &'a [u8]);

fn parse(bytes: &[u8]) -> Option<Parts<'_>> {
    let prefix = bytes.get(..PREFIX_SIZE)?;
    let count = u32::from_le_bytes(prefix[8..12].try_into().ok()?);
    if prefix[..4] != MAGIC
        || prefix[4..6] != VERSION.to_le_bytes()
        || prefix[6..8] != [0; 2]
        || prefix[12..] != [0; 4]
    {
        return None;
    }
    let header = Header::decode(&bytes[PREFIX_SIZE..])?;
    let mut rest = bytes.get(FIXED_SIZE..)?;
    let sessions = ClientTable::decode(count, &mut rest)?;
    Some((header, sessions, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_table::SessionRecord;
    use crate::number::{ClientId, ClusterId, RequestNumber, Session};

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Text(Vec<u8>);

    impl StateMachine for Text {
        fn apply(&mut self, operation: &[u8], _: &mut Vec<u8>) {
            self.0.extend_from_slice(operation);
        }

        fn snapshot(&self, snapshot: &mut Vec<u8>) {
            snapshot.extend_from_slice(&self.0);
        }

        fn restore(&mut self, snapshot: &[u8]) {
            self.0 = snapshot.to_vec();
        }
    }

    fn record(session: u64, result: &[u8]) -> SessionRecord {
        SessionRecord {
            session: Session::new(session),
            request: RequestNumber::new(session + 3),
            request_checksum: Checksum::of(b"request"),
            op: OpNumber::new(session + 9),
            reply_checksum: Checksum::of(b"reply"),
            result: result.into(),
        }
    }

    fn example() -> Checkpoint {
        let mut clients = ClientTable::new(4);
        clients.record(ClientId::new(9), record(4, b"a long answer"));
        clients.record(ClientId::new(u128::MAX), record(2, b""));
        let mut header = Header::root(ClusterId::new(3));
        header.op = OpNumber::new(64);
        header.seal();
        Checkpoint::take(&header, &clients, &Text(b"the state".to_vec()))
    }

    #[test]
    fn a_checkpoint_replaces_all_that_was_there() {
        let checkpoint = example();
        let read = Checkpoint::read(checkpoint.checksum(), checkpoint.bytes());
        assert_eq!(read.as_ref(), Some(&checkpoint));

        let mut clients = ClientTable::new(4);
        clients.record(ClientId::new(5), record(1, b"of another life"));
        let mut service = Text(b"of another life".to_vec());
        checkpoint.restore(&mut clients, &mut service);
        assert_eq!(clients.get(ClientId::new(5)), None);
        assert_eq!(clients.get(ClientId::new(9)), Some(&record(4, b"a long answer")));
        assert_eq!(service.0, b"the state");
        assert_eq!(Checkpoint::take(checkpoint.header(), &clients, &service), checkpoint);
        // Merged into what was there, a state would hold what no other replica has.
    }

    #[test]
    fn nothing_is_believed_that_is_not_whole() {
        let checkpoint = example();
        let mut bytes = checkpoint.bytes().to_vec();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Checkpoint::read(checkpoint.checksum(), &bytes), None, "bit {bit}");
            // Though the checksum be right, what makes no sense is refused and not guessed at.
            let _whatever = Checkpoint::read(Checksum::of(&bytes), &bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let state = bytes.len() - b"the state".len();
        for size in 0..state {
            let cut = &bytes[..size];
            assert_eq!(Checkpoint::read(Checksum::of(cut), cut), None, "cut to {size}");
        }
        // A table that is cut in half would forget who was answered.
    }
}
