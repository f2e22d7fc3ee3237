//! Draws a whole scenario from a seed.
//!
//! Each part has a generator of its own, so that a flag which overrides one part moves nothing else.

use super::{Clocks, Cluster, Expect, FORMAT, Scenario, TimeoutSpans};
use crate::cluster::workload::{Mix, Workload};
use crate::engine::disk::DiskRates;
use crate::engine::network::LinkRates;
use crate::engine::random::{Seed, Stream};
use crate::engine::time::Span;

/// What flags put in the place of what was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// How many replicas there are.
    pub replicas: Option<u8>,
    /// How many clients there are.
    pub clients: Option<u8>,
    /// How many operations they ask for, together.
    pub requests: Option<u32>,
}

/// Operations that each client asks for after the faults have stopped.
pub const LATE_REQUESTS: u32 = 2;

/// Log entries that nobody planned: registrations of clients that come back, and what their last lives left behind.
const SPARE_SLOTS: u32 = 32;

impl Scenario {
    /// The scenario of `seed`, but for what is overridden.
    #[must_use]
    pub fn draw(seed: Seed, overrides: &Overrides) -> Self {
        let (network, slowness) = draw_network(&mut seed.stream("network"));
        let mut cluster = draw_cluster(&mut seed.stream("cluster"));
        cluster.timeouts = draw_timeouts(&mut seed.stream("timeouts"), slowness);
        let mut workload = draw_workload(&mut seed.stream("workload"));
        cluster.replicas = overrides.replicas.unwrap_or(cluster.replicas);
        cluster.clients = overrides.clients.unwrap_or(cluster.clients);
        workload.requests = overrides.requests.unwrap_or(workload.requests);
        cluster.sessions = cluster.sessions.max(u32::from(cluster.clients) + 1);
        let clients = u32::from(cluster.clients);
        cluster.fit_slots(workload.requests + clients * (LATE_REQUESTS + 2) + SPARE_SLOTS);
        Self {
            format: FORMAT,
            title: String::new(),
            story: Vec::new(),
            seed,
            duration: draw_duration(&mut seed.stream("duration"), &cluster.timeouts),
            cluster,
            network,
            disk: draw_disk(&mut seed.stream("disk")),
            clock: draw_clocks(&mut seed.stream("clock")),
            workload: Some(workload),
            expect: Expect::default(),
        }
    }
}

fn small(number: u64) -> u8 {
    u8::try_from(number).expect("a small number")
}

fn word(number: u64) -> u32 {
    u32::try_from(number).expect("a number of four bytes")
}

fn draw_cluster(stream: &mut Stream) -> Cluster {
    let replicas =
        *stream.pick_weighted(&[(4, 1_u8), (6, 2), (38, 3), (12, 4), (26, 5), (6, 6), (8, 7)]);
    let clients = small(stream.within(1, 8));
    let pipeline = *stream.pick_weighted(&[(6, 8_u32), (1, 1), (1, 2), (2, 4), (1, 16)]);
    // Seldom so few that clients which come back drive others out.
    let sessions = if stream.chance(150_000) { word(stream.within(2, 12)) } else { 64 };
    Cluster { replicas, clients, pipeline, sessions, ..Cluster::default() }
}

/// Links, and by how many hundredths they are slower than the timeouts expect.
fn draw_network(stream: &mut Stream) -> (LinkRates, u64) {
    let latency = Span::from_us(stream.magnitude(100, 4_000));
    let jitter = latency.percent(stream.within(10, 300));
    let rates = LinkRates {
        loss_ppm: if stream.chance(600_000) { word(stream.magnitude(500, 100_000)) } else { 0 },
        duplicate_ppm: if stream.chance(600_000) {
            word(stream.magnitude(1_000, 200_000))
        } else {
            0
        },
        latency,
        jitter,
        tail_ppm: if stream.chance(700_000) { word(stream.magnitude(1_000, 100_000)) } else { 0 },
        tail: Span::from_ms(stream.magnitude(10, 2_000)),
    };
    // The default timeouts fit round trips of some milliseconds.
    let round_trip = latency.plus(jitter).times(2);
    (rates, (round_trip.as_ns() / 30_000).max(30))
}

/// Timeouts that fit the links more or less: in some seeds view changes are rare, in others there is always one.
fn draw_timeouts(stream: &mut Stream, slowness: u64) -> TimeoutSpans {
    let patience = *stream.pick_weighted(&[(1, 60_u64), (3, 100), (3, 160), (2, 300)]);
    let mut spans = TimeoutSpans::default().scaled(slowness.max(50) * patience / 100);
    if stream.chance(150_000) {
        spans.suspect_primary = spans.suspect_primary.percent(60);
        spans.check_quorum = spans.check_quorum.percent(60);
    }
    spans
}

fn draw_workload(stream: &mut Stream) -> Workload {
    let mut weight = |usual: u32| {
        if stream.chance(150_000) { 0 } else { word(stream.within(1, 2 * u64::from(usual))) }
    };
    let mix = Mix {
        // Something must be written, and something read, or nothing can be told.
        get: 1 + weight(5),
        put: 1 + weight(4),
        append: weight(2),
        delete: weight(1),
        swap: weight(4),
    };
    let think_max = Span::from_us(stream.magnitude(10, 20_000));
    Workload {
        requests: word(stream.within(72, 120)),
        keys: small(stream.within(1, 8)),
        hot_ppm: word(stream.within(0, 700_000)),
        mix,
        large_ppm: if stream.chance(500_000) { word(stream.within(5_000, 300_000)) } else { 0 },
        think_min: Span::ZERO,
        think_max,
    }
}

fn draw_disk(stream: &mut Stream) -> DiskRates {
    let write_latency = Span::from_us(stream.magnitude(20, 2_000));
    let kept = word(stream.within(0, 700_000));
    DiskRates {
        write_latency,
        read_latency: Span::from_us(stream.magnitude(20, 500)),
        jitter: write_latency.percent(stream.within(0, 300)),
        sector_latency: Span::from_us(stream.within(0, 20)),
        tail_ppm: if stream.chance(400_000) { word(stream.magnitude(1_000, 50_000)) } else { 0 },
        tail: Span::from_ms(stream.magnitude(1, 100)),
        crash_kept_ppm: kept,
        crash_lost_ppm: word(stream.within(0, 1_000_000 - u64::from(kept))),
        ..DiskRates::default()
    }
}

fn draw_clocks(stream: &mut Stream) -> Clocks {
    Clocks {
        skew_ppm: if stream.chance(500_000) { word(stream.magnitude(10, 50_000)) } else { 0 },
        wall_offset: if stream.chance(500_000) {
            Span::from_ms(stream.magnitude(1, 60_000))
        } else {
            Span::ZERO
        },
    }
}

fn draw_duration(stream: &mut Stream, timeouts: &TimeoutSpans) -> Span {
    timeouts.abandon_view_change.times(stream.within(20, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(number: u64, overrides: &Overrides) -> Scenario {
        Scenario::draw(Seed::new(number), overrides)
    }

    #[test]
    fn a_flag_moves_nothing_but_its_own_part() {
        for number in 0..50 {
            let drawn = draw(number, &Overrides::default());
            let replicas = if drawn.cluster.replicas == 5 { 3 } else { 5 };
            let mut other =
                draw(number, &Overrides { replicas: Some(replicas), ..Overrides::default() });
            assert_eq!(other.cluster.replicas, replicas);
            other.cluster.replicas = drawn.cluster.replicas;
            assert_eq!(other, drawn);

            let mut other =
                draw(number, &Overrides { requests: Some(1_000), ..Overrides::default() });
            assert!(other.cluster.slots >= 1_000);
            other.cluster.slots = drawn.cluster.slots;
            other.workload = drawn.workload;
            assert_eq!(other, drawn);
        }
    }

    #[test]
    fn most_seeds_have_three_replicas_or_more_and_all_make_sense() {
        let mut large = 0;
        for number in 0..2_000 {
            let drawn = draw(number, &Overrides::default());
            large += u32::from(drawn.cluster.replicas >= 3);
            assert_eq!(drawn.cluster.configuration().validate(), Ok(()));
            assert_eq!(drawn.workload.unwrap().validate(), Ok(()));
        }
        assert!((1_600..2_000).contains(&large), "{large}");
    }
}
