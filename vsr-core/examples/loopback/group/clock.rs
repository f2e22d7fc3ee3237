//! Where time and randomness come from: the only place that asks the operating system.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "somebody has to ask for the time"
)]

use std::time::{self, SystemTime, UNIX_EPOCH};

use vsr_core::time::Instant;

/// A monotonic clock that all threads of the process read alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(time::Instant::now())
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_ns(u64::try_from(self.0.elapsed().as_nanos()).expect("five centuries"))
    }
}

/// Nanoseconds since 1970: the sample of the wall clock that a primary stamps entries with.
pub(crate) fn wall_clock() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).expect("before the year 2554")
}
