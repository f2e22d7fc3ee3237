//! Which seeds a sweep runs, and for how long: what its flags say of that.

use std::fmt;
use std::ops::Range;

use super::parse_seed;
use crate::cluster::words;

/// Seeds, the end excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seeds(pub(super) Range<u64>);

impl Seeds {
    /// How many there are; `None` if there is no end to them.
    pub(super) const fn count(&self) -> Option<u64> {
        if self.0.end == u64::MAX { None } else { Some(self.0.end - self.0.start) }
    }

    /// Those of one slice: slices are of the same size, but for a seed, and all of them together are all seeds.
    pub(super) fn slice(&self, slice: Slice) -> Result<Self, String> {
        let count = self.count().ok_or("seeds without an end have no slices")?;
        let Slice { index, of } = slice;
        let share = |slices: u64| {
            let seeds = u128::from(count) * u128::from(slices) / u128::from(of);
            self.0.start + u64::try_from(seeds).expect("a part of a number that fits")
        };
        let seeds = share(index - 1)..share(index);
        if seeds.is_empty() {
            return Err(format!(
                "slice {index} of {of} has none of the {} seeds",
                words::count(count)
            ));
        }
        Ok(Self(seeds))
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}..{}", self.0.start, self.0.end)
    }
}

/// One of several machines' share of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Which, from 1 on.
    pub(super) index: u64,
    /// Of how many.
    pub(super) of: u64,
}

/// Reads a half-open range of seeds.
pub(super) fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let (start, end) =
        text.split_once("..").ok_or("a range of seeds is two numbers, such as 0..1000")?;
    let start = parse_seed(start)?;
    let end = if end.is_empty() { u64::MAX } else { parse_seed(end)? };
    if start >= end {
        return Err("the range is empty: the end is not part of it".to_owned());
    }
    Ok(Seeds(start..end))
}

/// Reads a slice, such as slice:1/4.
pub(super) fn parse_slice(text: &str) -> Result<Slice, String> {
    let numbers = text.strip_prefix("slice:").and_then(|rest| rest.split_once('/'));
    let number = |text: &str| text.parse::<u64>().ok();
    numbers
        .and_then(|(index, of)| Some(Slice { index: number(index)?, of: number(of)? }))
        .filter(|slice| (1..=slice.of).contains(&slice.index))
        .ok_or_else(|| "the first of four slices is slice:1/4, the last one slice:4/4".to_owned())
}

/// Reads how long to go on, in nanoseconds of the clock on the wall.
pub(super) fn parse_duration(text: &str) -> Result<u64, String> {
    const UNITS: [(char, u64); 3] = [('s', 1), ('m', 60), ('h', 3_600)];
    let read = |(unit, seconds): (char, u64)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds)?.checked_mul(1_000_000_000)
    };
    let duration = UNITS.into_iter().find_map(read).filter(|duration| *duration > 0);
    duration.ok_or_else(|| "a time is a number with its unit: 90s, 10m or 8h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_half_open_and_not_empty() {
        assert_eq!(parse_seeds("0..20000"), Ok(Seeds(0..20_000)));
        assert_eq!(parse_seeds("0x10..0x20"), Ok(Seeds(16..32)));
        assert_eq!(parse_seeds("7..").map(|seeds| seeds.count()), Ok(None));
        assert!(["5..5", "6..5", "5", "a..b", ".."].iter().all(|text| parse_seeds(text).is_err()));
    }

    #[test]
    fn slices_are_all_seeds_once() {
        for (seeds, of) in [(0..20_000, 3), (5..12, 7), (1 << 40..(1 << 63) + 5, 1_000)] {
            let whole = Seeds(seeds.clone());
            let mut next = seeds.start;
            for index in 1..=of {
                let Seeds(slice) = whole.slice(Slice { index, of }).unwrap();
                assert_eq!(slice.start, next);
                assert!(slice.end - slice.start - (seeds.end - seeds.start) / of <= 1);
                next = slice.end;
            }
            assert_eq!(next, seeds.end);
        }
        let few = Seeds(0..3);
        assert!(few.slice(Slice { index: 1, of: 4 }).is_err(), "it would pass without a run");
        assert!(Seeds(3..u64::MAX).slice(Slice { index: 1, of: 2 }).is_err());
        assert_eq!(parse_slice("slice:2/4"), Ok(Slice { index: 2, of: 4 }));
        for text in ["slice:0/4", "slice:5/4", "slice:1/0", "2/4", "slice:2", "slice:a/b"] {
            assert!(parse_slice(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_has_a_unit_and_is_not_nothing() {
        assert_eq!(parse_duration("90s"), Ok(90_000_000_000));
        assert_eq!(parse_duration("10m"), Ok(600_000_000_000));
        assert_eq!(parse_duration("8h"), Ok(28_800_000_000_000));
        for text in ["10", "0s", "m", "-1s", "1.5h", "10ms", "99999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
