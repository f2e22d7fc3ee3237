//! What disks are like: how quick, and how honest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::random::MILLION;
use crate::engine::time::Span;

/// How fast disks are, what a crash does to what is under way, and how often they fail or lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiskRates {
    /// How long the quickest write takes.
    pub write_latency: Span,
    /// How long the quickest read takes.
    pub read_latency: Span,
    /// Up to how much longer others take, evenly spread.
    pub jitter: Span,
    /// How much longer each sector makes it.
    pub sector_latency: Span,
    /// How many in a million take much longer than that.
    pub tail_ppm: u32,
    /// Up to how much longer those take.
    pub tail: Span,
    /// How many writes in a million fail, each of their sectors then old or new, and how many reads of sectors that may be spoiled.
    pub error_ppm: u32,
    /// Of a million writes that a crash meets, how many are kept whole.
    pub crash_kept_ppm: u32,
    /// Of a million writes that a crash meets, how many are lost whole; the rest is torn.
    pub crash_lost_ppm: u32,
    /// Of a million writes that a crash has lost, how many the disk carries out after all, some time later.
    pub crash_late_ppm: u32,
    /// How much later at most.
    pub crash_late: Span,
    /// Of a million writes to sectors that may be spoiled, how many rot once they are durable.
    pub rot_ppm: u32,
    /// Of a million such writes, how many are lost, and reported as durable.
    pub lost_ppm: u32,
    /// Of a million such writes, how many go to another place of the zone, and are reported as durable.
    pub misdirected_ppm: u32,
    /// Of a million reads of sectors that may be spoiled, how many get one sector from another place of the zone.
    pub misread_ppm: u32,
}

impl Default for DiskRates {
    /// A flash disk in good health; crashes keep, lose and tear in equal parts.
    fn default() -> Self {
        Self {
            write_latency: Span::from_us(60),
            read_latency: Span::from_us(40),
            jitter: Span::from_us(40),
            sector_latency: Span::from_us(2),
            tail_ppm: 0,
            tail: Span::ZERO,
            error_ppm: 0,
            crash_kept_ppm: MILLION / 3,
            crash_lost_ppm: MILLION / 3,
            crash_late_ppm: 0,
            crash_late: Span::ZERO,
            rot_ppm: 0,
            lost_ppm: 0,
            misdirected_ppm: 0,
            misread_ppm: 0,
        }
    }
}

impl DiskRates {
    /// Whether a disk of these rates ever says something that is not so.
    pub(super) const fn is_honest(&self) -> bool {
        self.rot_ppm == 0 && self.lost_ppm == 0 && self.misdirected_ppm == 0
    }
}
