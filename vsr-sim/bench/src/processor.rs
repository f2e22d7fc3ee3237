//! Time and memory as the system tells them: time on a processor rather than on the clock, so that other work on the machine counts less.

use std::fs;
use std::sync::LazyLock;
use std::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds that the calling thread has been on a processor; where the system does not tell, nanoseconds of wall time.
#[must_use]
pub fn thread_ns() -> u128 {
    fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| START.elapsed().as_nanos())
}

/// KiB of memory that the process has at this moment, and the most that it ever had; zero where the system does not tell.
#[must_use]
pub fn memory_kib() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    };
    (field("VmRSS:"), field("VmHWM:"))
}
