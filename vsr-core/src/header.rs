//! What the log is made of: headers, chained by their checksums, and the entries they head.

use alloc::boxed::Box;

use crate::checksum::Checksum;
use crate::number::{ClientId, ClusterId, OpNumber, RequestNumber, Session, ViewNumber};

/// Bytes of an encoded header, on disk and on the wire.
pub const HEADER_SIZE: usize = 256;

/// The version of the header's encoding, its first two bytes.
const HEADER_FORMAT: u16 = 1;

/// What an entry of the log does when it is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Nothing: the entry below the first, the same in every log of a cluster.
    Root,
    /// Opens a session for a client (VR Revisited 4.1; a replicated operation so that every replica knows it).
    Register,
    /// Is handed to the state machine.
    Apply,
}

impl Operation {
    /// The byte that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Root => 1,
            Self::Register => 2,
            Self::Apply => 3,
        }
    }

    /// What `code` stands for, if anything.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Root),
            2 => Some(Self::Register),
            3 => Some(Self::Apply),
            _ => None,
        }
    }
}

/// The head of a log entry: which operation stands where, who asked for it, and what came before.
///
/// Two headers with one checksum are the same header; two entries with one header checksum are the same entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Over all the encoded bytes of this header but the checksum itself.
    pub checksum: Checksum,
    /// Over the body.
    pub checksum_body: Checksum,
    /// The checksum of the header at `op - 1`: what makes the log a chain.
    pub parent: Checksum,
    /// The checksum of the request that this entry came from: the same however often the client sends it.
    pub request_checksum: Checksum,
    /// The client that asked.
    pub client: ClientId,
    /// Which cluster's log this is.
    pub cluster: ClusterId,
    /// The view in which the entry was first prepared. It stays when later views carry the entry on.
    pub view: ViewNumber,
    /// The place in the log.
    pub op: OpNumber,
    /// The session of the request, or 0 for a registration.
    pub session: Session,
    /// The request's number within the session.
    pub request: RequestNumber,
    /// The primary's wall clock in nanoseconds, made to increase strictly along the log.
    pub timestamp: u64,
    /// The configuration in which the entry was prepared; 0 until reconfiguration exists.
    pub epoch: u32,
    /// Bytes of the body.
    pub size: u32,
    /// What execution does.
    pub operation: Operation,
}

impl Header {
    /// The header of the entry at op 0, which no replica stores: the first operation's `parent` is its checksum.
    #[must_use]
    pub fn root(cluster: ClusterId) -> Self {
        let mut header = Self {
            checksum: Checksum::ZERO,
            checksum_body: Checksum::of(&[]),
            parent: Checksum::ZERO,
            request_checksum: Checksum::ZERO,
            client: ClientId::NONE,
            cluster,
            view: ViewNumber::ZERO,
            op: OpNumber::ZERO,
            session: Session::ZERO,
            request: RequestNumber::ZERO,
            timestamp: 0,
            epoch: 0,
            size: 0,
            operation: Operation::Root,
        };
        header.seal();
        header
    }

    /// Sets the checksum to that of the other fields.
    pub fn seal(&mut self) {
        self.checksum = Checksum::of(&self.encode()[16..]);
    }

    /// The bytes of this header: little-endian, the checksum first, zeros to the end.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let mut rest = bytes.as_mut_slice();
        put(&mut rest, self.checksum.get().to_le_bytes());
        put(&mut rest, self.checksum_body.get().to_le_bytes());
        put(&mut rest, self.parent.get().to_le_bytes());
        put(&mut rest, self.request_checksum.get().to_le_bytes());
        put(&mut rest, self.client.get().to_le_bytes());
        put(&mut rest, self.cluster.get().to_le_bytes());
        put(&mut rest, self.view.get().to_le_bytes());
        put(&mut rest, self.op.get().to_le_bytes());
        put(&mut rest, self.session.get().to_le_bytes());
        put(&mut rest, self.request.get().to_le_bytes());
        put(&mut rest, self.timestamp.to_le_bytes());
        put(&mut rest, self.epoch.to_le_bytes());
        put(&mut rest, self.size.to_le_bytes());
        put(&mut rest, HEADER_FORMAT.to_le_bytes());
        put(&mut rest, [self.operation.code()]);
        bytes
    }

    /// Reads a header back; `None` unless the bytes are exactly those of a header, checksum included.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_SIZE] = bytes.get(..HEADER_SIZE)?.try_into().ok()?;
        let wide = |at: usize| {
            let mut field = [0; 16];
            field.copy_from_slice(&bytes[at..at + 16]);
            u128::from_le_bytes(field)
        };
        let long = |at: usize| {
            let mut field = [0; 8];
            field.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(field)
        };
        let word = |at: usize| {
            let mut field = [0; 4];
            field.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(field)
        };
        let checksum = Checksum::new(wide(0));
        // A never written slot is all zeros: told by one look.
        if checksum == Checksum::ZERO || checksum != Checksum::of(&bytes[16..]) {
            return None;
        }
        if u16::from_le_bytes([bytes[136], bytes[137]]) != HEADER_FORMAT {
            return None;
        }
        // One header, one encoding: else two checksums could name the same fields.
        if bytes[139..] != [0; HEADER_SIZE - 139] {
            return None;
        }
        Some(Self {
            checksum,
            checksum_body: Checksum::new(wide(16)),
            parent: Checksum::new(wide(32)),
            request_checksum: Checksum::new(wide(48)),
            client: ClientId::new(wide(64)),
            cluster: ClusterId::new(long(80)),
            view: ViewNumber::new(long(88)),
            op: OpNumber::new(long(96)),
            session: Session::new(long(104)),
            request: RequestNumber::new(long(112)),
            timestamp: long(120),
            epoch: word(128),
            size: word(132),
            operation: Operation::from_code(bytes[138])?,
        })
    }
}

/// Writes a field, of a size that is known where it is called, and goes on behind it.
#[inline(always)]
fn put<const N: usize>(rest: &mut &mut [u8], field: [u8; N]) {
    let (place, after) =
        core::mem::take(rest).split_first_chunk_mut().expect("the fields of a header have room");
    *place = field;
    *rest = after;
}

/// One entry of the log: immutable, and shared rather than copied by all who hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    header: Header,
    body: Box<[u8]>,
}

impl Entry {
    /// Puts an entry together; `None` unless the body is the one that the header speaks of.
    #[must_use]
    pub fn new(header: Header, body: &[u8]) -> Option<Self> {
        if usize::try_from(header.size) != Ok(body.len()) {
            return None;
        }
        if header.checksum_body != Checksum::of(body) {
            return None;
        }
        Some(Self { header, body: body.into() })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The operation's bytes, as the client sent them.
    #[must_use]
    pub const fn body(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_as_it_was_and_no_flipped_bit_gets_through() {
        let mut header = Header::root(ClusterId::new(9));
        header.op = OpNumber::new(7);
        header.client = ClientId::new(u128::MAX - 3);
        header.timestamp = 5;
        header.operation = Operation::Apply;
        header.seal();
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));

        for bit in 0..HEADER_SIZE * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), None, "bit {bit}");
        }
        // A byte outside the checksum would be a place where rot goes unseen.
    }

    #[test]
    fn a_slot_never_written_is_no_header() {
        assert_eq!(Header::decode(&[0; HEADER_SIZE]), None);
        assert_eq!(Header::decode(&[0; 17]), None);
        // A header of zeros taken for one would put op 0 into the log.
    }
}
