//! Checksums: by them a record proves what it is, and names what came before it.

use core::fmt;

use xxhash_rust::xxh3::xxh3_128;

/// 128 bits of XXH3 over a record. It guards against accidents (a torn or rotten sector, a flipped bit on the wire), not
/// against an adversary: a replica that lies is outside the protocol's fault model.
///
/// In two halves, the higher one first: as one number it would have to lie at a multiple of sixteen bytes, and all that holds it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum(u64, u64);

impl Checksum {
    /// What stands where there is nothing to sum, such as the reply before the first.
    pub const ZERO: Self = Self(0, 0);

    /// The checksum of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::new(xxh3_128(bytes))
    }

    /// Wraps a plain integer, as read from a file or the wire.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "one half after the other")]
    pub const fn new(number: u128) -> Self {
        Self((number >> 64) as u64, number as u64)
    }

    /// The plain integer.
    #[must_use]
    pub const fn get(self) -> u128 {
        (self.0 as u128) << 64 | self.1 as u128
    }
}

impl fmt::Display for Checksum {
    /// The first and last two bytes: enough to tell two apart in a trace.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04x}…{:04x}", self.0 >> 48, self.1 & 0xffff)
    }
}
