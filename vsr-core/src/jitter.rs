//! Spread: a small integer generator that keeps replicas and clients from acting in step.
//!
//! Nothing is safe or unsafe by what it draws: it moves timeouts and picks peers, so that two candidates do not collide for ever
//! and two repairs do not ask the wrong peers in turn. It is the whole entropy of a replica or client, and comes from the
//! seed that the caller hands over.

use crate::time::Duration;

/// What each step adds: the golden ratio's fraction, so that the states of one seed visit every number once.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// A `SplitMix64` generator: eight bytes of state, every seed good, the same numbers on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter(u64);

impl Jitter {
    /// A generator whose numbers follow from `seed` alone. Seeds that differ in one bit give unrelated numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, evenly spread over all of them.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STRIDE);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, as evenly as 64 bits allow.
    ///
    /// # Panics
    ///
    /// When `count` is zero: there is nothing to choose from.
    pub const fn below(&mut self, count: u64) -> u64 {
        assert!(count > 0);
        let product = self.next() as u128 * count as u128;
        let bytes = (product >> 64).to_le_bytes();
        let mut low = [0; 8];
        low.copy_from_slice(bytes.split_at(8).0);
        u64::from_le_bytes(low)
    }

    /// A span in `[base / 2, base * 3 / 2)`; `base` itself where it is zero. The longest span stays the longest.
    pub const fn around(&mut self, base: Duration) -> Duration {
        let ns = base.as_ns();
        if ns == 0 {
            return base;
        }
        Duration::from_ns((ns / 2).saturating_add(self.below(ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // The first outputs of SplitMix64 from seed 1234567, as its author's reference code prints them.
        let mut jitter = Jitter::new(1_234_567);
        let expected: [u64; 5] = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        for number in expected {
            assert_eq!(jitter.next(), number);
        }
        // A constant mistyped here would change every trace hash, or make the spread worse without a sign of it.
    }

    #[test]
    fn a_wait_lies_around_its_base_and_reaches_both_ends() {
        let mut jitter = Jitter::new(7);
        let base = Duration::from_ns(11);
        let mut seen = [false; 17];
        for _ in 0..2_000 {
            let ns = jitter.around(base).as_ns();
            assert!((5..16).contains(&ns), "{ns}");
            seen[usize::try_from(ns).unwrap()] = true;
        }
        assert!(seen[5..16].iter().all(|seen| *seen));
        assert_eq!(jitter.around(Duration::ZERO), Duration::ZERO);
        assert_eq!(jitter.around(Duration::from_ns(1)), Duration::ZERO);
        let _longest = jitter.around(Duration::from_ns(u64::MAX));
        // A fixed wait would let two candidates for one view collide at every attempt.
    }

    #[test]
    fn a_choice_is_below_its_count_and_leaves_nobody_out() {
        let mut jitter = Jitter::new(0);
        let mut seen = [0u32; 7];
        for _ in 0..7_000 {
            seen[usize::try_from(jitter.below(7)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| (850..1_150).contains(count)), "{seen:?}");
        assert_eq!(jitter.below(1), 0);
        // A peer that is never asked may be the only one that has the answer.
    }
}
