//! Virtual time: integers of nanoseconds, and one type for each clock, so that they cannot be mixed up.

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A moment of the world, in nanoseconds since the run began.
///
/// Only the world and its observers see it; a process sees [`LocalTime`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

/// A moment of a node's own monotonic clock, in nanoseconds from an arbitrary origin.
///
/// It never runs backwards, not even when the node restarts, but it may run faster or slower than the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(u64);

/// What a node believes the date to be, in nanoseconds since 1970; it may jump either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(u64);

/// A length of time in nanoseconds.
///
/// As text (and so in scenario files) it is a whole number and a unit: `250ms`, `1500us`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

macro_rules! moment {
    ($name:ident) => {
        impl $name {
            /// The origin.
            pub const ZERO: Self = Self(0);

            /// The last moment that can be told; used for "never".
            pub const MAX: Self = Self(u64::MAX);

            /// `ns` nanoseconds after the origin.
            #[must_use]
            pub const fn from_ns(ns: u64) -> Self {
                Self(ns)
            }

            /// Nanoseconds since the origin.
            #[must_use]
            pub const fn as_ns(self) -> u64 {
                self.0
            }

            /// The moment `span` later, or the last one that can be told.
            #[must_use]
            pub const fn plus(self, span: Span) -> Self {
                Self(self.0.saturating_add(span.0))
            }

            /// How long ago `earlier` was; zero if it lies ahead.
            #[must_use]
            pub const fn since(self, earlier: Self) -> Span {
                Span(self.0.saturating_sub(earlier.0))
            }
        }
    };
}

moment!(Time);
moment!(LocalTime);
moment!(WallTime);

impl WallTime {
    /// The moment `by_ns` nanoseconds away, in either direction; it stops at either end of what can be told.
    #[must_use]
    pub const fn shifted(self, by_ns: i64) -> Self {
        Self(self.0.saturating_add_signed(by_ns))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// The longest span that can be told.
    pub const MAX: Self = Self(u64::MAX);

    /// A span of `ns` nanoseconds.
    #[must_use]
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// A span of `us` microseconds.
    #[must_use]
    pub const fn from_us(us: u64) -> Self {
        Self(us.saturating_mul(1_000))
    }

    /// A span of `ms` milliseconds.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// A span of `s` seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds.
    #[must_use]
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// Both spans after each other.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The span `factor` times as long.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// `percent` hundredths of the span.
    #[must_use]
    pub const fn percent(self, percent: u64) -> Self {
        Self(self.0.saturating_mul(percent) / 100)
    }
}

/// Writes `ns` with the largest unit that loses nothing.
fn write_exact(formatter: &mut fmt::Formatter<'_>, ns: u64) -> fmt::Result {
    let (unit, name) = UNITS
        .into_iter()
        .find(|(unit, _)| ns != 0 && ns.is_multiple_of(*unit))
        .unwrap_or((1, "ns"));
    write!(formatter, "{}{name}", ns / unit)
}

const UNITS: [(u64, &str); 4] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];

/// Text that is no span: see [`Span`] for what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanError(String);

impl fmt::Display for SpanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` is no span of time such as 250ms, 1500us or 2s", self.0)
    }
}

impl core::error::Error for SpanError {}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.to_owned());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, name) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| error())?;
        let (unit, _) = UNITS.into_iter().find(|(_, unit)| *unit == name).ok_or_else(error)?;
        number.checked_mul(unit).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_exact(formatter, self.0)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a span of time such as \"250ms\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: a whole number and a unit, such as 250ms or 1500us.",
            "type": "string",
            "pattern": "^[0-9]+(ns|us|ms|s)$",
        })
    }
}

/// As a span since the beginning of the run.
impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Span>()
    }
}

/// As a span since the beginning of the run.
impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Span(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Span::deserialize(deserializer)?.0))
    }
}

/// Seconds to the microsecond, rounded down: for people.
impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:06}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000)
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Time(self.0).fmt(formatter)
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Time(self.0).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_survive_the_round_trip_through_text() {
        for ns in [0, 1, 999, 1_000, 1_001, 250_000_000, 3_000_000_000, u64::MAX] {
            let text = serde_json::to_string(&Span::from_ns(ns)).unwrap();
            assert_eq!(serde_json::from_str::<Span>(&text).unwrap(), Span::from_ns(ns), "{text}");
        }
        assert_eq!(Span::from_ms(250).to_string(), "250ms");
        assert_eq!(Span::from_us(1_500).to_string(), "1500us");
    }

    #[test]
    fn text_that_is_no_span_is_refused() {
        for text in ["", "12", "ms", "1.5s", "-1s", "1 s", "18446744073709551615s", "3m"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_wall_clock_moves_both_ways() {
        let noon = WallTime::from_ns(1_000);
        assert_eq!(noon.shifted(-1).as_ns(), 999);
        assert_eq!(noon.shifted(1).as_ns(), 1_001);
        assert_eq!(noon.shifted(i64::MIN), WallTime::ZERO);
    }
}
