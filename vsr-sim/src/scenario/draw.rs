//! Draws a whole scenario from a seed.
//!
//! Each part has a generator of its own, so that a flag which overrides one part moves nothing else.

use super::action::Action;
use super::check::DURATION_MAX;
use super::draw_disks::{self, Size};
use super::{Clocks, Cluster, Expect, FORMAT, Scenario, TimeoutSpans};
use crate::cluster::budget::Budget;
use crate::cluster::selector::{BUSY, Words};
use crate::cluster::words;
use crate::cluster::workload::{Mix, Workload};
use crate::engine::node::NodeIndex;
use crate::engine::random::{Seed, Stream};
use crate::engine::time::{Span, Time};
use crate::faults::{Cue, Fault, Gate, Lasts, MomentName, On, Selector, Shape, Step, Swarm, draw};

/// What flags put in the place of what was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// How many replicas there are.
    pub replicas: Option<u8>,
    /// How many clients there are.
    pub clients: Option<u8>,
    /// How many operations they ask for, together.
    pub requests: Option<u32>,
    /// What may go wrong.
    pub profile: Profile,
}

/// What may go wrong in a run that is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// All sorts of things, other ones in each run.
    #[default]
    Swarm,
    /// Nothing: links and disks do as they should, only not at once.
    Calm,
    /// All that, and disks that spoil, lie and fail, within what a cluster must bear.
    HarshDisk,
    /// All that, beyond it: the cluster may halt, and must not answer wrongly.
    HarshDiskBeyond,
}

/// Operations that each client asks for after the faults have stopped.
pub const LATE_REQUESTS: u32 = 2;

impl Scenario {
    /// The scenario of `seed`, but for what is overridden.
    #[must_use]
    pub fn draw(seed: Seed, overrides: &Overrides) -> Self {
        let mut cluster = draw_cluster(&mut seed.stream("cluster"));
        cluster.timeouts = draw_timeouts(&mut seed.stream("timeouts"));
        let mut workload = draw_workload(&mut seed.stream("workload"));
        let duration = draw_duration(&mut seed.stream("duration"), &cluster.timeouts);
        // What goes wrong is drawn for the cluster that was drawn, whatever flags make of it.
        let swarm = draw_swarm(seed, &cluster, &workload, duration);
        let mut aim = seed.stream("aim");
        let more = draw_more_steps(&mut seed.stream("more steps"), workload.requests);
        let sleepers = draw_sleepers(&mut seed.stream("sleepers"), workload.requests, duration);
        let mut steps: Vec<Step<Action>> = swarm
            .plan
            .steps
            .into_iter()
            .map(|step| aimed(&mut aim, named(step, cluster.replicas)))
            .chain(more)
            .chain(sleepers)
            .map(|step| step.map(Action::Fault))
            .collect();
        let size = Size { requests: workload.requests, replicas: cluster.replicas };
        cluster.replicas = overrides.replicas.unwrap_or(cluster.replicas);
        cluster.clients = overrides.clients.unwrap_or(cluster.clients);
        workload.requests = overrides.requests.unwrap_or(workload.requests);
        // Room for all clients at least: else two could drive each other out for ever.
        cluster.sessions = cluster.sessions.max(u32::from(cluster.clients) + 1);
        draw_log(&mut seed.stream("checkpoints"), &mut cluster);
        if overrides.replicas.is_some() || overrides.clients.is_some() {
            let words = Words { replicas: cluster.replicas, clients: cluster.clients };
            steps.iter_mut().for_each(|step| forget_missing(step, words));
        }
        let mut scenario = Self {
            format: FORMAT,
            title: String::new(),
            story: Vec::new(),
            seed,
            duration,
            cluster,
            network: swarm.links,
            disk: swarm.disks,
            budget: Budget::default(),
            clock: draw_clocks(&mut seed.stream("clock")),
            workload: Some(workload),
            steps,
            fates: Vec::new(),
            expect: Expect::default(),
        };
        draw_disks::apply(&mut scenario, overrides.profile, size);
        let longer = workload.requests.div_ceil(size.requests);
        stretch(&mut scenario, longer.into());
        scenario
    }
}

/// Makes it `longer` times as long: who asks for more operations than were drawn means to have them answered. What goes wrong at a
/// moment does so later by as much, and so is spread over all of it.
fn stretch(scenario: &mut Scenario, longer: u64) {
    let longer = longer.min(DURATION_MAX.as_ns() / scenario.duration.as_ns());
    scenario.duration = scenario.duration.times(longer);
    for step in &mut scenario.steps {
        if let Gate::At(time) = &mut step.gate {
            *time = Time::from_ns(time.as_ns().saturating_mul(longer));
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
    // Now and then so few that clients which come back drive others out.
    let sessions =
        if stream.chance(250_000) { u32::from(clients) + word(stream.within(1, 3)) } else { 64 };
    Cluster { replicas, clients, pipeline, sessions, ..Cluster::default() }
}

/// Somebody who sleeps, or hears nothing, while the others use their logs again and again.
fn draw_sleepers(stream: &mut Stream, requests: u32, span: Span) -> Vec<Step> {
    let mut steps = Vec::new();
    if !stream.chance(150_000) {
        return steps;
    }
    for _ in 0..stream.within(1, 2) {
        let mut on = On::first(MomentName::Event, "Prepared");
        on.nth = word(stream.within(1, u64::from(requests) / 2));
        let node =
            Selector::new(*stream.pick_weighted(&[(3, "replica"), (2, "backup"), (1, "primary")]));
        let (fault, why) = if stream.chance(600_000) {
            (Fault::Crash { node }, "one sleeps for long")
        } else {
            (Fault::Isolate { node }, "one is alone for long")
        };
        let mut step = Step::on(on, fault);
        step.lasts = if stream.chance(300_000) {
            Lasts::On
        } else {
            Lasts::For(span.percent(stream.within(10, 90)))
        };
        steps.push(because(step, why));
    }
    steps
}

/// A log that is used again several times in most runs, and checkpoints of which there are more still.
fn draw_log(stream: &mut Stream, cluster: &mut Cluster) {
    cluster.checkpoint_interval =
        *stream.pick_weighted(&[(1, 4_u32), (4, 8), (3, 12), (3, 16), (1, 32), (1, 64)]);
    cluster.fit_slots();
    if stream.chance(250_000) {
        cluster.slots *= 2;
    }
}

/// Timeouts, all longer or shorter together, and now and then too short for the links.
fn draw_timeouts(stream: &mut Stream) -> TimeoutSpans {
    let patience = *stream.pick_weighted(&[(1, 40_u64), (4, 100), (2, 200), (1, 400)]);
    let mut spans = TimeoutSpans::default().scaled(patience);
    if stream.chance(150_000) {
        spans.suspect_primary = spans.suspect_primary.percent(50);
        spans.check_quorum = spans.check_quorum.percent(50);
    }
    spans
}

/// Whom faults strike, by how often.
const SERVERS: [(u32, &str); 5] =
    [(9, "busy"), (5, "primary"), (2, "backup"), (2, "backup1"), (1, "replica")];

const CLIENTS: [(u32, &str); 1] = [(1, "client")];

/// What is worth holding back until after a restart or a view change.
const HOLDS: [(u32, &str); 9] = [
    (4, "Prepare"),
    (4, "PrepareOk"),
    (2, "Commit"),
    (4, "StartViewChange"),
    (5, "DoViewChange"),
    (5, "StartView"),
    (1, "NewState"),
    (1, "Repaired"),
    (2, "Reply"),
];

const ZONES: [(u32, &str); 3] = [(3, "Superblock"), (1, "Headers"), (4, "Prepares")];

/// What steps wait for: mostly work, and the moments of a view change.
const fn cues(requests: u32, replicas: u8) -> [Cue<'static>; 14] {
    const fn cue(weight: u32, moment: MomentName, kind: &str, times: u32) -> Cue<'_> {
        Cue { weight, moment, kind, times }
    }
    let entries = requests * replicas as u32;
    [
        cue(10, MomentName::Event, "Prepared", requests),
        cue(10, MomentName::Event, "Committed", entries),
        cue(8, MomentName::Sent, "PrepareOk", entries),
        cue(6, MomentName::Sent, "Prepare", entries),
        cue(6, MomentName::Delivered, "PrepareOk", entries),
        cue(4, MomentName::Sent, "Reply", requests),
        cue(8, MomentName::WriteStarted, "Prepares", entries),
        cue(3, MomentName::WriteStarted, "Superblock", 12),
        cue(3, MomentName::Event, "ViewChange", 6),
        cue(3, MomentName::Event, "LogChosen", 2),
        cue(3, MomentName::Sent, "DoViewChange", 12),
        cue(3, MomentName::Sent, "StartView", 6),
        cue(2, MomentName::Delivered, "StartView", 4),
        cue(2, MomentName::Event, "GapFilled", 6),
    ]
}

/// What is seen when a new primary begins: from its choice of a log to its first commits.
const TURNS: [Cue<'static>; 6] = {
    const fn cue(weight: u32, moment: MomentName, kind: &str, times: u32) -> Cue<'_> {
        Cue { weight, moment, kind, times }
    }
    [
        cue(2, MomentName::Event, "LogChosen", 1),
        cue(2, MomentName::Sent, "StartView", 6),
        cue(2, MomentName::Delivered, "StartView", 4),
        cue(4, MomentName::Event, "Prepared", 10),
        cue(4, MomentName::Sent, "Reply", 4),
        cue(2, MomentName::Event, "Committed", 10),
    ]
};

fn draw_swarm(seed: Seed, cluster: &Cluster, workload: &Workload, duration: Span) -> Swarm {
    let cues = cues(workload.requests, cluster.replicas);
    draw(
        seed,
        &Shape {
            nodes: cluster.replicas + cluster.clients,
            servers: &SERVERS,
            clients: &CLIENTS,
            all_servers: "replicas",
            span: duration,
            timeout: cluster.timeouts.suspect_primary,
            cues: &cues,
            turns: &TURNS,
            leader: "primary",
            holds: &HOLDS,
            zones: &ZONES,
        },
    )
}

/// Packets lost by name, and faults that end early, all at once.
fn draw_more_steps(stream: &mut Stream, requests: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    if stream.chance(250_000) {
        for _ in 0..stream.within(1, 4) {
            let kind = *stream.pick_weighted(&HOLDS[..6]);
            let (from, to) = (Selector::new("replicas"), Selector::new("replicas"));
            let identity = if kind.contains("View") {
                stream.within(0, 3)
            } else {
                stream.within(1, requests.into())
            };
            let fault = Fault::Lose { from, to, kind: kind.to_owned(), identity, nth: 0 };
            steps.push(because(Step::at(Time::ZERO, fault), "all first copies get lost"));
        }
    }
    let committed = |stream: &mut Stream| {
        let mut on = On::first(MomentName::Event, "Committed");
        on.nth = word(stream.within(1, 2 * u64::from(requests)));
        on
    };
    if stream.chance(150_000) {
        let step = Step::on(committed(stream), Fault::Heal {});
        steps.push(because(step, "the network is mended, all at once"));
    }
    if stream.chance(200_000) {
        let node = Selector::new("replicas");
        let step = Step::on(committed(stream), Fault::Restart { node });
        steps.push(because(step, "whoever is down starts at once"));
    }
    steps
}

/// Most crashes must meet work, and do not happen where there is none; some happen anyhow.
const AIMED_PPM: u32 = 700_000;

/// The step; a crash that has to meet work strikes only those at work.
fn aimed(stream: &mut Stream, mut step: Step) -> Step {
    // One that strikes whoever has just come back finds it reading its disk: that is its work.
    let is_again = matches!(step.gate, Gate::After(_)) && step.on.is_some();
    if let Fault::Crash { node } | Fault::PowerLoss { nodes: node } = &mut step.action
        && !is_again
        && !node.word().starts_with('c')
        && stream.chance(AIMED_PPM)
    {
        let word = if node.word() == "busy" { "replica" } else { node.word() };
        *node = Selector::new(format!("{BUSY}{word}"));
    }
    step
}

fn because(mut step: Step, why: &str) -> Step {
    why.clone_into(&mut step.why);
    step
}

/// The step, with nodes by the names that people know them by.
fn named(mut step: Step, replicas: u8) -> Step {
    if let Fault::Partition { sides } = &mut step.action {
        for selector in sides.iter_mut().flatten() {
            let number = selector.word().strip_prefix('n').and_then(|digits| digits.parse().ok());
            if let Some(number) = number {
                *selector = Selector::new(words::node(NodeIndex::new(number), replicas));
            }
        }
    }
    step
}

/// Takes nodes that a smaller cluster does not have off the sides of a partition: nobody is cut off by that, and the scenario
/// names only who is there.
fn forget_missing(step: &mut Step<Action>, words: Words) {
    if let Some(Fault::Partition { sides }) = step.action.fault_mut() {
        for side in sides {
            side.retain(|node| !Words::is_numbered(node) || words.node(node).is_some());
        }
    }
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
    let think_max = Span::from_us(stream.magnitude(10, 300_000));
    Workload {
        requests: word(stream.within(76, 124)),
        keys: small(stream.within(1, 8)),
        hot_ppm: word(stream.within(0, 700_000)),
        mix,
        large_ppm: if stream.chance(600_000) { word(stream.within(20_000, 500_000)) } else { 0 },
        think_min: Span::ZERO,
        think_max,
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
    use crate::scenario::file;

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
            assert_eq!(file::parse(&file::text_of(&other)), Ok(other.clone()), "seed {number}");
            other.cluster.replicas = drawn.cluster.replicas;
            let mut fewer = drawn.clone();
            let words = Words { replicas: replicas.min(drawn.cluster.replicas), ..drawn.words() };
            fewer.steps.iter_mut().for_each(|step| forget_missing(step, words));
            assert_eq!(other, fewer);

            // Fewer operations are done sooner; for more of them all takes as much longer.
            for requests in [10, 1_000, 5_000_000] {
                let overrides = Overrides { requests: Some(requests), ..Overrides::default() };
                let mut other = draw(number, &overrides);
                assert_eq!(file::parse(&file::text_of(&other)), Ok(other.clone()), "seed {number}");
                let longer = requests.div_ceil(drawn.workload.unwrap().requests);
                other.workload = drawn.workload;
                let mut stretched = drawn.clone();
                stretch(&mut stretched, longer.into());
                assert_eq!(other.duration, drawn.duration.times(longer.into()).min(DURATION_MAX));
                assert_eq!(other, stretched);
            }
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
            assert_eq!(file::parse(&file::text_of(&drawn)), Ok(drawn), "seed {number}");
        }
        assert!((1_600..2_000).contains(&large), "{large}");
    }
}
