//! The trace hash: one number for all that happened in a run, in order.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Words of a block, of which the first two are the hash of all blocks before it.
const BLOCK: usize = 512;
const STATE: usize = 2;

/// A 128-bit hash over a sequence of words, the same on every machine.
///
/// Words are collected into blocks; each block is hashed together with the hash before it.
#[derive(Debug)]
pub struct Trace {
    block: Box<[[u8; 8]; BLOCK]>,
    filled: usize,
    /// Words in the blocks that are closed.
    words: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { block: Box::new([[0; 8]; BLOCK]), filled: STATE, words: 0 }
    }
}

impl Trace {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.block[..STATE].fill([0; 8]);
        self.filled = STATE;
        self.words = 0;
    }

    /// Adds some words.
    #[inline]
    pub fn add<const N: usize>(&mut self, words: [u64; N]) {
        if self.filled + N > BLOCK {
            self.close_block();
        }
        let filled = self.filled + N;
        for (place, word) in self.block[self.filled..filled].iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        self.filled = filled;
    }

    #[cold]
    #[inline(never)]
    fn close_block(&mut self) {
        self.words += (self.filled - STATE) as u64;
        let state = self.state();
        self.block[..STATE].copy_from_slice(&state);
        self.filled = STATE;
    }

    fn state(&self) -> [[u8; 8]; STATE] {
        let hash = xxh3_128(self.block[..self.filled].as_flattened()).to_le_bytes();
        let (halves, _) = hash.as_chunks();
        [halves[0], halves[1]]
    }

    /// The hash of all words so far.
    #[must_use]
    pub fn hash(&self) -> u128 {
        let [low, high] = self.state();
        let words = self.words + (self.filled - STATE) as u64;
        xxh3_128([low, high, words.to_le_bytes()].as_flattened())
    }
}

/// The bytes at the beginning and at the end of a buffer that [`digest`] looks at.
const HEAD: usize = 40;
const TAIL: usize = 16;

/// A hash of some bytes that costs the same however many there are: of their number, and of those at both ends.
///
/// Records begin with a checksum of what follows, so looking at the ends is enough to tell two runs apart.
#[must_use]
pub fn digest(bytes: &[u8]) -> u64 {
    let (Some(head), Some(tail)) = (bytes.first_chunk::<HEAD>(), bytes.last_chunk::<TAIL>()) else {
        return xxh3_64(bytes);
    };
    let mut ends = [0; HEAD + TAIL + 8];
    ends[..HEAD].copy_from_slice(head);
    ends[HEAD..HEAD + TAIL].copy_from_slice(tail);
    ends[HEAD + TAIL..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    xxh3_64(&ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(words: &[u64]) -> u128 {
        let mut trace = Trace::default();
        for word in words {
            trace.add([*word]);
        }
        trace.hash()
    }

    #[test]
    fn order_and_number_of_words_are_told_apart() {
        assert_ne!(hash_of(&[1, 2]), hash_of(&[2, 1]));
        assert_ne!(hash_of(&[0]), hash_of(&[0, 0]));
        assert_ne!(hash_of(&[]), hash_of(&[0]));
    }

    #[test]
    fn a_word_far_back_is_not_forgotten() {
        let long: Vec<u64> = (0..5_000).collect();
        let mut other = long.clone();
        other[3] += 1;
        assert_ne!(hash_of(&long), hash_of(&other));
        let mut trace = Trace::default();
        trace.add([9]);
        trace.clear();
        trace.add([1, 2]);
        assert_eq!(trace.hash(), hash_of(&[1, 2]));
    }

    /// Were this value to move, a trace hash written down by one version would mean nothing to the next.
    #[test]
    fn the_hash_of_a_known_trace_never_moves() {
        let words: Vec<u64> = (0..1_000).collect();
        assert_eq!(hash_of(&words), 103647203108099013482646210710034738055);
    }

    #[test]
    fn long_buffers_differ_by_either_end_and_by_length() {
        let zeros = vec![0; 4096];
        let (mut head, mut tail) = (zeros.clone(), zeros.clone());
        head[0] = 1;
        tail[4095] = 1;
        let digests = [digest(&zeros), digest(&head), digest(&tail), digest(&zeros[1..])];
        for (index, one) in digests.iter().enumerate() {
            assert!(digests[..index].iter().all(|other| other != one));
        }
    }
}
