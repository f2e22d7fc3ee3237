//! The clocks of a node: one that only runs, at a rate of its own, and one that shows the date.

use super::time::{LocalTime, Span, Time, WallTime};

/// What nodes believe the date to be when a run begins: the first of January 2026.
pub const EPOCH: WallTime = WallTime::from_ns(1_767_225_600_000_000_000);

/// Where every monotonic clock begins. Not zero, so that a process that takes zero for "never" is found out.
pub const ORIGIN: LocalTime = LocalTime::from_ns(1_000_000_000);

/// The greatest skew of a clock, in parts per million either way.
pub const SKEW_PPM_MAX: i32 = 500_000;

/// A node's two clocks.
///
/// The monotonic clock runs from [`ORIGIN`], never backwards, at a rate that is off by some parts per million; the wall
/// clock is the monotonic one, moved to the date, plus an offset that may jump.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// A moment at which both times are known: the last change of rate.
    since: Time,
    local: LocalTime,
    skew_ppm: i32,
    offset_ns: i64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { since: Time::ZERO, local: ORIGIN, skew_ppm: 0, offset_ns: 0 }
    }
}

const MILLION: u64 = 1_000_000;

impl Clock {
    /// What the monotonic clock shows at `time`, which must not lie before the last change of rate.
    #[must_use]
    pub fn local(&self, time: Time) -> LocalTime {
        let passed = time.since(self.since);
        if self.skew_ppm == 0 {
            return self.local.plus(passed);
        }
        // passed * rate / MILLION, without a product that is too large.
        let (millions, rest) = (passed.as_ns() / MILLION, passed.as_ns() % MILLION);
        let shown =
            millions.saturating_mul(self.rate()).saturating_add(rest * self.rate() / MILLION);
        self.local.plus(Span::from_ns(shown))
    }

    /// The first moment at which the monotonic clock shows `local` or more.
    #[must_use]
    pub fn world(&self, local: LocalTime) -> Time {
        let shown = local.since(self.local);
        if self.skew_ppm == 0 {
            return self.since.plus(shown);
        }
        let (turns, rest) = (shown.as_ns() / self.rate(), shown.as_ns() % self.rate());
        let passed =
            turns.saturating_mul(MILLION).saturating_add((rest * MILLION).div_ceil(self.rate()));
        self.since.plus(Span::from_ns(passed))
    }

    /// What the wall clock shows at `time`.
    #[must_use]
    pub fn wall(&self, time: Time) -> WallTime {
        EPOCH.plus(self.local(time).since(ORIGIN)).shifted(self.offset_ns)
    }

    /// By how many parts per million the clock runs too fast.
    #[must_use]
    pub const fn skew_ppm(&self) -> i32 {
        self.skew_ppm
    }

    /// From `time` on the clock runs too fast by `skew_ppm`, or too slow if it is negative.
    ///
    /// # Panics
    /// When the skew exceeds [`SKEW_PPM_MAX`] either way.
    pub fn set_skew(&mut self, time: Time, skew_ppm: i32) {
        assert!(skew_ppm.abs() <= SKEW_PPM_MAX);
        self.local = self.local(time);
        self.since = time;
        self.skew_ppm = skew_ppm;
    }

    /// The wall clock jumps.
    pub const fn jump(&mut self, by_ns: i64) {
        self.offset_ns = self.offset_ns.saturating_add(by_ns);
    }

    /// How much the clock shows while a million nanoseconds pass.
    fn rate(&self) -> u64 {
        let rate = i64::from(self.skew_ppm) + 1_000_000;
        u64::try_from(rate).expect("a clock runs forwards")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_fast_clock_shows_more_and_never_runs_backwards() {
        let mut clock = Clock::default();
        clock.set_skew(Time::ZERO, 100);
        let at = |clock: &Clock, s| clock.local(Time::from_ns(s * SECOND)).since(ORIGIN).as_ns();
        assert_eq!(at(&clock, 10), 10 * SECOND + 1_000_000);
        clock.set_skew(Time::from_ns(10 * SECOND), -200);
        assert_eq!(at(&clock, 10), 10 * SECOND + 1_000_000);
        assert_eq!(at(&clock, 20), 20 * SECOND + 1_000_000 - 2_000_000);
    }

    /// A deadline must not be served before the node's own clock shows it, nor later than it must.
    #[test]
    fn a_deadline_comes_at_the_first_moment_that_shows_it() {
        for skew_ppm in [-SKEW_PPM_MAX, -37, 0, 37, 1_001, SKEW_PPM_MAX] {
            let mut clock = Clock::default();
            clock.set_skew(Time::from_ns(17), skew_ppm);
            for ns in [0, 1, 2, 999, 12_345_678_901] {
                let deadline = ORIGIN.plus(Span::from_ns(ns));
                let time = clock.world(deadline);
                assert!(clock.local(time) >= deadline);
                let before = Time::from_ns(time.as_ns().saturating_sub(1));
                assert!(time <= Time::from_ns(17) || clock.local(before) < deadline);
            }
        }
    }

    #[test]
    fn a_jump_moves_the_date_and_nothing_else() {
        let mut clock = Clock::default();
        let noon = Time::from_ns(12 * SECOND);
        let (local, wall) = (clock.local(noon), clock.wall(noon));
        clock.jump(-7);
        assert_eq!(clock.local(noon), local);
        assert_eq!(clock.wall(noon), wall.shifted(-7));
    }
}
