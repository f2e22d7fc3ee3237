//! Names of reads and writes in flight, from which a completion is told apart from one of an older purpose.

use crate::io::Token;

/// What a read or write was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A copy of the superblock.
    SuperblockCopy(u32),
    /// The entry of a slot in the ring of prepares.
    Prepare(u32),
    /// The redundant header of a slot.
    RedundantHeader(u32),
    /// The whole ring of redundant headers.
    HeaderRing,
    /// A piece of a checkpoint.
    SnapshotChunk(u32),
}

/// Hands out names, none twice in one incarnation.
///
/// A name holds what it is for: 3 bits of kind, 21 bits of place, and a 40-bit count that makes it unique.
#[derive(Debug, Default)]
pub struct Tokens {
    count: u64,
}

const COUNT_BITS: u32 = 40;
const PLACE_BITS: u32 = 21;

impl Tokens {
    /// A new name for `subject`.
    pub fn next(&mut self, subject: Subject) -> Token {
        self.count += 1;
        assert!(self.count < 1 << COUNT_BITS);
        let (kind, place) = match subject {
            Subject::SuperblockCopy(copy) => (0, copy),
            Subject::Prepare(slot) => (1, slot),
            Subject::RedundantHeader(slot) => (2, slot),
            Subject::HeaderRing => (3, 0),
            Subject::SnapshotChunk(chunk) => (4, chunk),
        };
        assert!(place < 1 << PLACE_BITS);
        Token(kind << (COUNT_BITS + PLACE_BITS) | u64::from(place) << COUNT_BITS | self.count)
    }
}

impl Subject {
    /// What `token` is for; `None` if no replica made it.
    #[must_use]
    pub fn of(token: Token) -> Option<Self> {
        let place = (token.0 >> COUNT_BITS) & ((1 << PLACE_BITS) - 1);
        let place = u32::try_from(place).ok()?;
        match token.0 >> (COUNT_BITS + PLACE_BITS) {
            0 => Some(Self::SuperblockCopy(place)),
            1 => Some(Self::Prepare(place)),
            2 => Some(Self::RedundantHeader(place)),
            3 => Some(Self::HeaderRing),
            4 => Some(Self::SnapshotChunk(place)),
            _ => None,
        }
    }
}
