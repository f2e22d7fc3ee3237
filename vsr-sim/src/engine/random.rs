//! Everything random comes from one seed, by one of two ways.
//!
//! What is drawn once, before or between runs, comes from a [`Stream`]: its values depend on how often it was asked.
//! What is drawn for one packet or one disk write comes from a [`Fate`]: its values depend only on what that thing is,
//! so that taking another thing away leaves them as they are.
//!
//! All sampling is integer code of this file, so no library update can move a value.

use std::fmt;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// One million: chances are counted in parts of it.
pub const MILLION: u32 = 1_000_000;

/// What a whole run is a function of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seed(u64);

impl Seed {
    /// The seed numbered `number`; neighbouring numbers give unrelated runs.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The generator called `name`; generators of different names are unrelated.
    #[must_use]
    pub fn stream(self, name: &str) -> Stream {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&xxh3_128_with_seed(name.as_bytes(), self.0).to_le_bytes());
        key[16..].copy_from_slice(&xxh3_128_with_seed(name.as_bytes(), !self.0).to_le_bytes());
        Stream { generator: ChaCha8Rng::from_seed(key) }
    }

    /// The seed of a part of the run, unrelated to this one and to those of other names or numbers.
    #[must_use]
    pub fn derive(self, name: &str, number: u64) -> Self {
        Self(Keyed::new(self, name).fate(number, 0).lane(0))
    }
}

/// Text that is no seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSeed;

impl fmt::Display for NoSeed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a seed is a number such as 42 or 0x2a, below 2^64")
    }
}

impl std::error::Error for NoSeed {}

/// Reads a seed as people write it: a decimal number, or a hexadecimal one after 0x.
impl FromStr for Seed {
    type Err = NoSeed;

    fn from_str(text: &str) -> Result<Self, NoSeed> {
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.map(Self).map_err(|_| NoSeed)
    }
}

/// A generator whose values depend on the seed, its name, and how often it was asked.
#[derive(Clone, Debug)]
pub struct Stream {
    generator: ChaCha8Rng,
}

impl Stream {
    /// Sixty-four random bits.
    pub fn bits(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// A number below `bound`, each as likely as the others.
    ///
    /// # Panics
    /// When `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0);
        // Lemire's method: the high half of the product is the sample; the low half tells the few draws that would
        // favour some values.
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            let [high, low] = halves(product);
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return high;
            }
        }
    }

    /// A number from `low` to `high`, both included.
    ///
    /// # Panics
    /// When `low` exceeds `high`.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high);
        if low == 0 && high == u64::MAX { self.bits() } else { low + self.below(high - low + 1) }
    }

    /// A number from `low` to `high` whose order of magnitude is what is evenly spread: 1 to 10 is as likely as 100 to 1000.
    ///
    /// # Panics
    /// When `low` is zero or exceeds `high`.
    pub fn magnitude(&mut self, low: u64, high: u64) -> u64 {
        assert!(low > 0);
        assert!(low <= high);
        let bits = self.within(low.ilog2().into(), high.ilog2().into());
        let floor = low.max(1 << bits);
        let ceiling = high.min((1 << bits) + ((1 << bits) - 1));
        self.within(floor, ceiling)
    }

    /// Yes, with a chance of `parts_per_million`.
    pub fn chance(&mut self, parts_per_million: u32) -> bool {
        self.below(MILLION.into()) < u64::from(parts_per_million)
    }

    /// A place in a list of `length` things.
    ///
    /// # Panics
    /// When there are none.
    pub fn place(&mut self, length: usize) -> usize {
        let place = self.below(length as u64);
        usize::try_from(place).expect("a place in a list fits an index")
    }

    /// One of `things`.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.place(things.len())]
    }

    /// One of `things`, each as likely as its weight says against the sum of all.
    ///
    /// # Panics
    /// When all weights are zero.
    pub fn pick_weighted<'a, T>(&mut self, things: &'a [(u32, T)]) -> &'a T {
        let sum = things.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut rest = self.below(sum);
        for (weight, thing) in things {
            match rest.checked_sub(u64::from(*weight)) {
                Some(less) => rest = less,
                None => return thing,
            }
        }
        unreachable!("a draw below the sum of the weights falls on one of them")
    }

    /// Puts `things` into a random order, each as likely as the others.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let other = self.place(last + 1);
            things.swap(last, other);
        }
    }
}

fn halves(product: u128) -> [u64; 2] {
    let bytes = product.to_be_bytes();
    let (high, low) = bytes.split_at(8);
    [high, low]
        .map(|half| u64::from_be_bytes(half.try_into().expect("half of sixteen bytes is eight")))
}

/// A keyed hash: gives things their fate by what they are.
#[derive(Clone, Copy, Debug)]
pub struct Keyed {
    key: u64,
}

impl Keyed {
    /// The hash of this `seed` for things of one `name`, such as "packet" or "write".
    #[must_use]
    pub fn new(seed: Seed, name: &str) -> Self {
        Self { key: xxh3_64_with_seed(name.as_bytes(), seed.0) }
    }

    /// The name of a thing as one number: equal things have equal names, different things almost never.
    #[must_use]
    pub fn name(self, what: u64, which: u64) -> u64 {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&what.to_le_bytes());
        bytes[8..].copy_from_slice(&which.to_le_bytes());
        xxh3_64_with_seed(&bytes, self.key)
    }

    /// The fate of the thing called (`what`, `which`).
    #[must_use]
    pub fn fate(self, what: u64, which: u64) -> Fate {
        Fate::of(self.name(what, which), 0)
    }
}

/// Random values that belong to one thing.
///
/// A value is asked for by the number of its lane, not by turn, so that one question more or less moves no other answer.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    state: u64,
}

impl Fate {
    /// The fate of the thing of this `name` (see [`Keyed::name`]) that had `before` others of that name before it.
    #[must_use]
    pub const fn of(name: u64, before: u32) -> Self {
        Self { state: mix(name ^ (before as u64).wrapping_mul(0xd1b5_4a32_d192_ed03)) }
    }

    /// Sixty-four random bits of the lane.
    #[must_use]
    pub const fn lane(self, lane: u64) -> u64 {
        mix(self.state.wrapping_add((lane + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// Yes, with a chance of `parts_per_million`.
    #[must_use]
    pub const fn chance(self, lane: u64, parts_per_million: u32) -> bool {
        ((self.lane(lane) >> 32) * MILLION as u64) >> 32 < parts_per_million as u64
    }

    /// A number from zero to `most`, included. Tiny preferences are left in: a fate has no second draw.
    #[must_use]
    pub fn up_to(self, lane: u64, most: u64) -> u64 {
        halves(u128::from(self.lane(lane)) * (u128::from(most) + 1))[0]
    }
}

/// The finaliser of splitmix64: a bijection in which each bit of the input moves half of the output.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_other_names_are_unrelated_and_values_never_move() {
        let mut network = Seed::new(42).stream("network");
        let mut workload = Seed::new(42).stream("workload");
        let drawn = [network.bits(), workload.bits()];
        assert_ne!(drawn[0], drawn[1]);
        assert_eq!(
            drawn,
            [Seed::new(42).stream("network").bits(), Seed::new(42).stream("workload").bits()]
        );
        // Were these to change, every seed ever written down would name another run.
        assert_eq!(drawn, [4_487_176_495_692_751_569, 4_995_088_749_657_236_516]);
        assert_eq!(Seed::new(42).derive("node", 3).number(), 10_800_949_400_548_149_386);
    }

    #[test]
    fn numbers_below_a_bound_are_evenly_spread() {
        let mut stream = Seed::new(1).stream("spread");
        let mut seen = [0_u32; 7];
        for _ in 0..70_000 {
            seen[stream.place(7)] += 1;
        }
        assert!(seen.iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
    }

    #[test]
    fn magnitudes_reach_both_ends_and_favour_neither() {
        let mut stream = Seed::new(2).stream("magnitude");
        let drawn: Vec<u64> = (0..10_000).map(|_| stream.magnitude(3, 1_000_000)).collect();
        assert!(drawn.iter().all(|value| (3..=1_000_000).contains(value)));
        let small = drawn.iter().filter(|value| **value < 1_700).count();
        assert!((4_000..6_500).contains(&small), "{small}");
        assert_eq!(stream.magnitude(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_weight_of_zero_is_never_picked() {
        let mut stream = Seed::new(3).stream("weights");
        let things = [(0, 'a'), (1, 'b'), (3, 'c'), (0, 'd')];
        let picked: Vec<char> = (0..4_000).map(|_| *stream.pick_weighted(&things)).collect();
        let common = picked.iter().filter(|thing| **thing == 'c').count();
        assert!(picked.iter().all(|thing| matches!(thing, 'b' | 'c')));
        assert!((2_800..3_200).contains(&common), "{common}");
    }

    #[test]
    fn a_shuffle_keeps_everything() {
        let mut things: Vec<u32> = (0..100).collect();
        Seed::new(4).stream("shuffle").shuffle(&mut things);
        assert_ne!(things, (0..100).collect::<Vec<_>>());
        things.sort_unstable();
        assert_eq!(things, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn chances_are_kept_by_streams_and_by_fates() {
        let mut stream = Seed::new(5).stream("chance");
        let keyed = Keyed::new(Seed::new(5), "chance");
        let streamed = (0..100_000).filter(|_| stream.chance(100_000)).count();
        let fated = (0..100_000).filter(|which| keyed.fate(1, *which).chance(0, 100_000)).count();
        assert!((9_500..10_500).contains(&streamed), "{streamed}");
        assert!((9_500..10_500).contains(&fated), "{fated}");
        assert!((0..1_000).all(|which| keyed.fate(1, which).chance(0, MILLION)));
        assert!(!(0..1_000).any(|which| keyed.fate(1, which).chance(0, 0)));
    }

    #[test]
    fn a_fate_is_what_the_thing_is_and_not_its_turn() {
        let keyed = Keyed::new(Seed::new(6), "packet");
        let fate = keyed.fate(7, 8);
        let asked_late = fate.lane(3);
        assert_eq!(keyed.fate(7, 8).lane(3), asked_late);
        assert_ne!(keyed.fate(8, 7).lane(3), asked_late);
        assert_ne!(Fate::of(keyed.name(7, 8), 1).lane(3), asked_late);
        assert_ne!(Keyed::new(Seed::new(6), "write").fate(7, 8).lane(3), asked_late);
        assert!((0..64).all(|lane| fate.up_to(lane, 9) <= 9));
        assert_eq!(fate.up_to(0, u64::MAX), fate.lane(0));
    }
}
