//! What can be made plainer in a scenario: rates to nothing, sizes to the usual, spans and counts to less.

use super::moments::Moments;
use super::names::numbered;
use super::parts::reseeded;
use super::search::Candidates;
use crate::cluster::service::AnyService;
use crate::cluster::workload::{Mix, Workload};
use crate::engine::random::MILLION;
use crate::engine::{DiskRates, LinkRates, NodeIndex, Span, Time};
use crate::faults::{Fault, Gate, Lasts, On, Selector};
use crate::scenario::action::Action;
use crate::scenario::{Clocks, Cluster, Scenario, TimeoutSpans};

/// How many other seeds are tried where a change moves everything.
const SEEDS: u64 = 12;

/// The scenario, changed.
fn with(scenario: &Scenario, change: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut scenario = scenario.clone();
    change(&mut scenario);
    scenario
}

/// One change after the other, each by itself.
fn each<'a>(
    scenario: &'a Scenario,
    changes: &'static [fn(&mut Scenario)],
) -> Candidates<'a, Scenario> {
    Box::new(changes.iter().map(move |change| with(scenario, change)))
}

/// Nothing by chance: links that lose, copy and delay nothing, disks and clocks that keep time.
pub(super) fn calmer(scenario: &Scenario) -> Candidates<'_, Scenario> {
    each(
        scenario,
        &[
            |scenario| {
                let links = &mut scenario.network;
                (links.loss_ppm, links.duplicate_ppm, links.tail_ppm) = (0, 0, 0);
            },
            |scenario| scenario.network.loss_ppm = 0,
            |scenario| scenario.network.duplicate_ppm = 0,
            |scenario| (scenario.network.tail_ppm, scenario.network.tail) = (0, Span::ZERO),
            |scenario| scenario.clock = Clocks::default(),
            |scenario| (scenario.disk.tail_ppm, scenario.disk.tail) = (0, Span::ZERO),
            |scenario| {
                let disk = &mut scenario.disk;
                (disk.error_ppm, disk.rot_ppm, disk.lost_ppm) = (0, 0, 0);
                (disk.misdirected_ppm, disk.misread_ppm) = (0, 0);
            },
            |scenario| scenario.disk.error_ppm = 0,
            |scenario| scenario.disk.rot_ppm = 0,
            |scenario| scenario.disk.lost_ppm = 0,
            |scenario| scenario.disk.misdirected_ppm = 0,
            |scenario| scenario.disk.misread_ppm = 0,
            |scenario| {
                (scenario.disk.crash_late_ppm, scenario.disk.crash_late) = (0, Span::ZERO);
            },
        ],
    )
}

/// The usual sizes and speeds in the place of those that were drawn; where that moves everything, under other seeds too.
pub(super) fn plainer(scenario: &Scenario) -> Candidates<'_, Scenario> {
    const CHANGES: &[fn(&mut Scenario)] = &[
        |scenario| scenario.cluster.timeouts = TimeoutSpans::default(),
        |scenario| {
            let base = LinkRates::default();
            (scenario.network.latency, scenario.network.jitter) = (base.latency, base.jitter);
        },
        |scenario| {
            let base = DiskRates::default();
            let disk = &mut scenario.disk;
            (disk.write_latency, disk.read_latency) = (base.write_latency, base.read_latency);
            (disk.jitter, disk.sector_latency) = (base.jitter, base.sector_latency);
        },
        |scenario| scenario.cluster.pipeline = Cluster::default().pipeline,
        |scenario| scenario.cluster.sessions = Cluster::default().sessions,
    ];
    // What is as usual already needs no other seed.
    let changed = CHANGES.iter().map(move |change| with(scenario, change));
    let changed = changed.filter(move |changed| {
        // The usual pipeline may be too deep for a log that has been made shorter.
        let is_possible = changed.cluster.configuration().validate().is_ok();
        changed != scenario && is_possible
    });
    Box::new(changed.flat_map(|changed| reseeded(changed, SEEDS)))
}

/// No spread at all: each packet and each write takes as long as the others, and a crash keeps all writes or none.
pub(super) fn even(scenario: &Scenario) -> Candidates<'_, Scenario> {
    each(
        scenario,
        &[
            |scenario| scenario.network.jitter = Span::ZERO,
            |scenario| scenario.disk.jitter = Span::ZERO,
            |scenario| scenario.disk.sector_latency = Span::ZERO,
            |scenario| (scenario.disk.crash_kept_ppm, scenario.disk.crash_lost_ppm) = (MILLION, 0),
            |scenario| {
                if scenario.disk.crash_kept_ppm != MILLION {
                    (scenario.disk.crash_kept_ppm, scenario.disk.crash_lost_ppm) = (0, MILLION);
                }
            },
        ],
    )
}

/// Fewer requests, under some other seeds too: half of them, a quarter less, one less.
pub(super) fn fewer_requests(scenario: &Scenario) -> Candidates<'_, Scenario> {
    let Some(Workload { requests, .. }) = scenario.workload else {
        return Box::new(std::iter::empty());
    };
    let fewer = [
        0,
        1,
        2,
        3,
        requests / 4,
        requests / 2,
        requests - requests / 4,
        requests.saturating_sub(1),
    ];
    Box::new(fewer.into_iter().filter(move |fewer| *fewer < requests).flat_map(move |fewer| {
        let changed = with(scenario, |scenario| {
            scenario.workload = scenario.workload.map(|now| Workload { requests: fewer, ..now });
        });
        reseeded(changed, SEEDS)
    }))
}

/// Plainer wishes: small values, one key, no thought, puts alone, gets and puts.
pub(super) fn plainer_workload(scenario: &Scenario) -> Candidates<'_, Scenario> {
    let Some(workload) = scenario.workload else { return Box::new(std::iter::empty()) };
    let mix = |get, put| Mix { get, put, append: 0, delete: 0, swap: 0 };
    let is_plain = workload.mix == mix(0, 1);
    let plainer = [
        Workload { large_ppm: 0, ..workload },
        Workload { keys: 1, hot_ppm: 0, ..workload },
        Workload { think_min: Span::ZERO, think_max: Span::ZERO, ..workload },
        Workload { mix: mix(0, 1), ..workload },
        Workload { mix: if is_plain { workload.mix } else { mix(1, 1) }, ..workload },
    ];
    Box::new(
        plainer
            .into_iter()
            .map(move |workload| with(scenario, |scenario| scenario.workload = Some(workload))),
    )
}

/// Nothing asked for but by steps, where a workload asks for something only after the faults have stopped.
pub(super) fn without_late_requests(scenario: &Scenario) -> Candidates<'_, Scenario> {
    let is_late = scenario.workload.is_some_and(|workload| workload.requests == 0);
    let without = is_late.then(|| with(scenario, |scenario| scenario.workload = None));
    Box::new(without.into_iter().flat_map(|without| reseeded(without, SEEDS)))
}

/// A shorter phase of faults; each step that has a time still has it.
pub(super) fn sooner(scenario: &Scenario) -> Candidates<'_, Scenario> {
    let (duration, last) = (scenario.duration, last_moment(scenario));
    let shorter = [10, 25, 50, 75, 90].map(|percent| round_up(duration.percent(percent)));
    Box::new(
        shorter
            .into_iter()
            .filter(move |shorter| *shorter < duration && *shorter > last)
            .map(move |shorter| with(scenario, |scenario| scenario.duration = shorter)),
    )
}

/// The last time that a step waits for.
pub(super) fn last_moment(scenario: &Scenario) -> Span {
    let times = scenario.steps.iter().map(|step| match step.gate {
        Gate::At(time) => time.since(Time::ZERO),
        Gate::Start | Gate::After(_) | Gate::Settled(_) => Span::ZERO,
    });
    times.max().unwrap_or_default()
}

/// To the millisecond, and to ten and a hundred of them where that is little.
pub(super) fn round_up(span: Span) -> Span {
    let ms = span.as_ns().div_ceil(1_000_000);
    let grain = match ms {
        0..50 => 1,
        50..500 => 10,
        _ => 100,
    };
    Span::from_ms(ms.div_ceil(grain) * grain)
}

/// Faults that last less long, each by itself.
pub(super) fn shorter_faults(scenario: &Scenario) -> Candidates<'_, Scenario> {
    Box::new((0..scenario.steps.len()).flat_map(move |place| {
        let lasts = match &scenario.steps[place].lasts {
            Lasts::For(span) => Some(*span),
            Lasts::On | Lasts::Until(_) => None,
        };
        lasts.into_iter().flat_map(move |span| {
            let shorter = [Span::from_ms(1), span.percent(10), span.percent(50)];
            let rounded = [1_000_000_000, 100_000_000, 10_000_000, 1_000_000]
                .map(|grain| Span::from_ns(span.as_ns() / grain * grain));
            shorter
                .into_iter()
                .chain(rounded)
                .filter(move |shorter| *shorter < span && *shorter >= Span::from_ms(1))
                .map(move |shorter| {
                    with(scenario, |scenario| scenario.steps[place].lasts = Lasts::For(shorter))
                })
        })
    }))
}

/// Steps that wait for an earlier one of their kind, each by itself.
pub(super) fn earlier(scenario: &Scenario) -> Candidates<'_, Scenario> {
    Box::new((0..scenario.steps.len()).flat_map(move |place| {
        let nth = scenario.steps[place].on.as_ref().map_or(1, |on| on.nth);
        let less = [1, 2, nth / 2, nth - nth / 4, nth - 1];
        less.into_iter().filter(move |less| *less > 0 && *less < nth).map(move |less| {
            with(scenario, |scenario| {
                if let Some(on) = &mut scenario.steps[place].on {
                    on.nth = less;
                }
            })
        })
    }))
}

/// Steps at the moments that they had, and with the names of those whom they struck: all of them, or one by one.
pub(super) fn fixed<'a>(service: &AnyService, scenario: &'a Scenario) -> Candidates<'a, Scenario> {
    let moments = Moments::of(service, scenario);
    let all = [moments.fixed(scenario, true), moments.fixed(scenario, false)];
    let places = 0..scenario.steps.len();
    Box::new(all.into_iter().chain(places.flat_map(move |place| {
        let (fixed, named) =
            (moments.fixed_one(scenario, place), moments.named_one(scenario, place));
        fixed.into_iter().chain(named)
    })))
}

/// The steps that had their time, and no others.
pub(super) fn met<'a>(service: &AnyService, scenario: &'a Scenario) -> Candidates<'a, Scenario> {
    Box::new(std::iter::once(Moments::of(service, scenario).met(scenario)))
}

/// One node in the place of a word for many, at either end of a link; fewer nodes on the sides of a partition.
pub(super) fn narrower(scenario: &Scenario) -> Candidates<'_, Scenario> {
    Box::new((0..scenario.steps.len()).flat_map(move |place| narrower_step(scenario, place)))
}

fn narrower_step(scenario: &Scenario, place: usize) -> Vec<Scenario> {
    let Some(fault) = scenario.steps[place].action.fault() else { return Vec::new() };
    if let Fault::Partition { sides } = fault {
        return narrower_sides(scenario, place, sides);
    }
    let words = scenario.words();
    let mut narrower = Vec::new();
    for (end, word) in fault.selectors().into_iter().enumerate() {
        if numbered(word, 'r').is_some() || numbered(word, 'c').is_some() {
            continue;
        }
        for node in NodeIndex::first(scenario.cluster.replicas) {
            let mut fault = fault.clone();
            *fault.selectors_mut()[end] = words.name(node);
            let action = Action::Fault(fault);
            narrower.push(with(scenario, |scenario| scenario.steps[place].action = action));
        }
    }
    narrower
}

fn narrower_sides(scenario: &Scenario, place: usize, sides: &[Vec<Selector>]) -> Vec<Scenario> {
    let mut narrower = Vec::new();
    for (side, words) in sides.iter().enumerate() {
        for word in 0..words.len() {
            let mut sides = sides.to_vec();
            sides[side].remove(word);
            sides.retain(|side| !side.is_empty());
            if sides.len() > 1 {
                let action = Action::Fault(Fault::Partition { sides });
                narrower.push(with(scenario, |scenario| scenario.steps[place].action = action));
            }
        }
    }
    narrower
}

/// Steps that wait for a time or for something to be seen, rather than for both; and times that read well.
pub(super) fn told_plainly(scenario: &Scenario) -> Candidates<'_, Scenario> {
    Box::new((0..scenario.steps.len()).flat_map(move |place| {
        let step = &scenario.steps[place];
        let mut gates: Vec<(Gate, Option<On>)> = Vec::new();
        if let (Gate::At(time), Some(on)) = (step.gate, &step.on) {
            let waits = [1, 2, 3].map(|nth| Some(On { nth, ..on.clone() }));
            gates.extend(waits.map(|on| (Gate::Start, on)));
            gates.push((Gate::At(Time::from_ns(time.as_ns() + 1)), None));
        }
        if let Gate::At(time) = step.gate {
            let grains = [100_000_000, 10_000_000, 1_000_000, 100_000, 1_000];
            let rounded = grains.map(|grain| Time::from_ns(time.as_ns() / grain * grain));
            let up = grains.map(|grain| Time::from_ns(time.as_ns().div_ceil(grain) * grain));
            let both = rounded.into_iter().zip(up).flat_map(|(down, up)| [down, up]);
            // Rounder than it is, or it would go on for ever.
            let rounder = both.filter(|other| zeros(*other) > zeros(time));
            gates.extend(rounder.map(|time| (Gate::At(time), step.on.clone())));
        }
        gates.into_iter().map(move |(gate, on)| {
            with(scenario, |scenario| {
                let step = &mut scenario.steps[place];
                (step.gate, step.on) = (gate, on);
            })
        })
    }))
}

/// How many zeros a number of nanoseconds ends with.
fn zeros(time: Time) -> u32 {
    let mut rest = time.as_ns();
    let mut zeros = 0;
    while rest > 0 && rest.is_multiple_of(10) {
        rest /= 10;
        zeros += 1;
    }
    if rest == 0 { u32::MAX } else { zeros }
}
