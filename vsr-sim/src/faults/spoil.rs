//! Draws what goes wrong with disks from a run's seed: for protocols that read back what they wrote, and check it.
//!
//! It is drawn apart from everything else, from generators of its own, so that with it or without it the rest of a run is the same.
//! What disks did badly shows only when it is read back, so most moves end with a crash.

use super::fault::Fault;
use super::plan::{Lasts, MomentName, On, Plan, Step};
use super::selector::Selector;
use super::swarm::Cue;
use crate::engine::{DiskRates, Rot, Seed, Span, Spot, Stream};

/// What is known beforehand of the runs whose disks are to be spoiled.
#[derive(Clone, Copy, Debug)]
pub struct DiskShape<'a> {
    /// Words for servers, by how often each is to be struck.
    pub servers: &'a [(u32, &'a str)],
    /// The word for all servers at once.
    pub all_servers: &'a str,
    /// How long the protocol waits before it thinks that somebody is gone: the measure of all that lasts.
    pub timeout: Span,
    /// What a server is seen to do when it has just said that something is durable.
    pub acknowledgements: &'a [Cue<'a>],
    /// The zones of a disk, how often each is to be spoiled, and about how often it is written in a run.
    pub zones: &'a [(u32, (&'a str, u32))],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    SpoilAcknowledged,
    SpoilThenPowerLoss,
    SpoilWhileWriting,
    SpoilAll,
    SpoilApart,
    LieThenCrash,
    PowerLossRow,
    TearAll,
    SlowZone,
    FailingWrites,
    FailingReads,
    Wipe,
}

const MOVES: [(u32, Move); 12] = [
    (8, Move::SpoilAcknowledged),
    (6, Move::SpoilThenPowerLoss),
    (4, Move::SpoilWhileWriting),
    (4, Move::SpoilAll),
    (5, Move::SpoilApart),
    (6, Move::LieThenCrash),
    (4, Move::PowerLossRow),
    (5, Move::TearAll),
    (4, Move::SlowZone),
    (3, Move::FailingWrites),
    (3, Move::FailingReads),
    (2, Move::Wipe),
];

/// Those moves after which a disk holds what a crash alone may leave.
const HONEST_MOVES: [(u32, Move); 4] =
    [(4, Move::PowerLossRow), (4, Move::TearAll), (3, Move::SlowZone), (3, Move::FailingWrites)];

const EVEN_PPM: u32 = 500_000;
const LIKELY_PPM: u32 = 700_000;
const TORN_PPM: u32 = 350_000;
const MOVES_MIN: u64 = 1;
const MOVES_MAX: u64 = 12;

/// Draws how often disks fail and lie by themselves: `rates`, and what is on of that.
#[must_use]
pub fn draw_rates(seed: Seed, rates: DiskRates, timeout: Span, is_honest: bool) -> DiskRates {
    let stream = &mut seed.stream("disk lies");
    let late = stream.chance(EVEN_PPM).then(|| ppm(stream.magnitude(10_000, 900_000)));
    // Now and then nearly all that a crash meets is torn.
    let calmer = if stream.chance(TORN_PPM) { 8 } else { 1 };
    let crash_late = Span::from_ns(stream.magnitude(10_000, timeout.as_ns().saturating_mul(2)));
    let mut rate = |likely, most| {
        let drawn = ppm(stream.magnitude(50, most));
        if stream.chance(likely) { drawn } else { 0 }
    };
    let error_ppm = rate(200_000, 3_000);
    let (rot, lost) = (rate(EVEN_PPM, 100_000), rate(EVEN_PPM, 100_000));
    let (misdirected, misread) = (rate(300_000, 50_000), rate(300_000, 50_000));
    let lies = |ppm| if is_honest { 0 } else { ppm };
    DiskRates {
        error_ppm,
        crash_kept_ppm: rates.crash_kept_ppm / calmer,
        crash_lost_ppm: rates.crash_lost_ppm / calmer,
        crash_late_ppm: late.unwrap_or(0),
        crash_late,
        rot_ppm: lies(rot),
        lost_ppm: lies(lost),
        misdirected_ppm: lies(misdirected),
        misread_ppm: lies(misread),
        ..rates
    }
}

/// Draws what is done to disks, and when. An honest plan has only what disks that neither rot nor lie may come to.
#[must_use]
pub fn draw_disk_plan(seed: Seed, shape: &DiskShape<'_>, is_honest: bool) -> Plan<Fault> {
    let stream = seed.stream("disk plan");
    let mut artist = Artist { stream, shape, steps: Vec::new() };
    let all: &[(u32, Move)] = if is_honest { &HONEST_MOVES } else { &MOVES };
    let mut moves: Vec<(u32, Move)> = Vec::new();
    for one in all {
        if artist.stream.chance(EVEN_PPM) {
            moves.push(*one);
        }
    }
    if moves.is_empty() {
        moves.push(all[0]);
    }
    for _ in 0..artist.stream.magnitude(MOVES_MIN, MOVES_MAX) {
        let one = *artist.stream.pick_weighted(&moves);
        artist.draw_move(one);
    }
    Plan { steps: artist.steps }
}

fn ppm(parts: u64) -> u32 {
    u32::try_from(parts).expect("parts of a million are few")
}

struct Artist<'a> {
    stream: Stream,
    shape: &'a DiskShape<'a>,
    steps: Vec<Step>,
}

impl<'a> Artist<'a> {
    fn draw_move(&mut self, one: Move) {
        match one {
            Move::SpoilAcknowledged => self.spoil_acknowledged(),
            Move::SpoilThenPowerLoss => self.spoil_then_power_loss(),
            Move::SpoilWhileWriting => self.spoil_while_writing(),
            Move::SpoilAll => self.spoil_all(),
            Move::SpoilApart => self.spoil_apart(),
            Move::LieThenCrash => self.lie_then_crash(),
            Move::PowerLossRow => self.power_loss_row(),
            Move::TearAll => self.tear_all(),
            Move::SlowZone => self.slow_zone(),
            Move::FailingWrites => self.failing_writes(),
            Move::FailingReads => self.failing_reads(),
            Move::Wipe => self.wipe(),
        }
    }

    /// What a server has just acknowledged goes bad, and the server is gone at that moment.
    fn spoil_acknowledged(&mut self) {
        let on = self.acknowledgement();
        let rot = self.rot_last(Selector::subject());
        self.push(Step::on(on.clone(), rot), "what it has just acknowledged goes bad");
        self.lasting(Step::on(on, Fault::Crash { node: Selector::subject() }), "and it is gone");
    }

    /// What several servers have acknowledged goes bad, each after the other's; then the lights go out.
    fn spoil_then_power_loss(&mut self) {
        for _ in 0..self.stream.within(1, 4) {
            let on = self.acknowledgement();
            let rot = self.rot_last(Selector::subject());
            self.push(Step::on(on, rot), "what it has just acknowledged goes bad");
        }
        let gap = self.gap();
        let step = Step::after(gap, self.power_loss());
        self.lasting(step, "the lights go out");
    }

    /// A sector goes bad while its zone is written, and the writer is gone.
    fn spoil_while_writing(&mut self) {
        let (zone, on) = self.writing();
        let rot = self.rot(Selector::subject(), zone, Spot::LastWritten);
        self.push(Step::on(on.clone(), rot), "one copy goes bad while others are written");
        self.lasting(Step::on(on, Fault::Crash { node: Selector::subject() }), "and it is gone");
    }

    /// The same goes bad on all disks where it may, and all start again.
    fn spoil_all(&mut self) {
        let on = self.acknowledgement();
        let zone = self.zone().0.to_owned();
        let spot = if self.stream.chance(EVEN_PPM) { Spot::LastWritten } else { Spot::Anywhere };
        let rot = self.rot(Selector::new(self.shape.all_servers), zone, spot);
        self.push(Step::on(on, rot), "all disks go bad at once");
        let gap = self.gap();
        let step = Step::after(gap, self.power_loss());
        self.lasting(step, "the lights go out");
    }

    /// One is out of reach while others acknowledge something, of which a copy goes bad; then somebody stays away for long, and
    /// the others must tell without it what was acknowledged.
    fn spoil_apart(&mut self) {
        let on = self.acknowledgement();
        let apart = Step::on(on, Fault::Isolate { node: self.server() });
        let back = Lasts::Until(On::first(MomentName::Booted, ""));
        self.push(Step { lasts: back, ..apart }, "one does not hear what the others acknowledge");
        let zone = self.zone().0.to_owned();
        let all = Selector::new(self.shape.all_servers);
        let mut rot = Step::after(Span::ZERO, self.rot(all, zone, Spot::LastWritten));
        rot.on = Some(self.soon(Self::acknowledgement));
        self.push(rot, "what they have just acknowledged goes bad where it may");
        let timeout = self.shape.timeout.as_ns();
        let long = self.stream.magnitude(timeout.saturating_mul(4), timeout.saturating_mul(40));
        let away = Step::after(Span::ZERO, Fault::PowerLoss { nodes: self.server() });
        let lasts = Lasts::For(Span::from_ns(long));
        self.push(Step { lasts, ..away }, "one stays away for long");
        let step = Step::after(Span::ZERO, self.power_loss());
        self.lasting(step, "and the others start again without it");
    }

    /// A write is said to be durable, and is not; some time later its server, or everybody, starts again.
    fn lie_then_crash(&mut self) {
        let (zone, on) = self.writing();
        let node = Selector::subject();
        let lie = if self.stream.chance(650_000) {
            Fault::LoseWrite { node, zone }
        } else {
            Fault::MisdirectWrite { node, zone }
        };
        self.push(Step::on(on, lie), "a write is not where it is said to be");
        let gap = self.gap();
        let crash = if self.stream.chance(EVEN_PPM) {
            self.power_loss()
        } else {
            Fault::Crash { node: self.server() }
        };
        self.lasting(Step::after(gap, crash), "and what is there is read back");
    }

    /// The lights go out again and again, each time while somebody writes.
    fn power_loss_row(&mut self) {
        let (_, on) = self.writing();
        let step = Step::on(on, self.power_loss());
        self.lasting(step, "the lights go out");
        for _ in 0..self.stream.within(1, 4) {
            let on = self.soon(|artist| artist.writing().1);
            let mut again = Step::after(Span::ZERO, self.power_loss());
            again.on = Some(on);
            self.lasting(again, "and again, as soon as somebody writes");
        }
    }

    /// All disks are slow when the lights go out, so that many are met in the middle of the same write.
    fn tear_all(&mut self) {
        let on = self.acknowledgement();
        let slow = Fault::SlowDisk {
            node: Selector::new(self.shape.all_servers),
            percent: ppm(self.stream.magnitude(200, 5_000)),
            zone: None,
        };
        self.lasting(Step::on(on, slow), "all disks are slow");
        let mut step = Step::after(Span::ZERO, self.power_loss());
        step.on = Some(self.soon(|artist| {
            let most = artist.shape.zones.iter().max_by_key(|(weight, _)| weight);
            match most {
                Some((_, (zone, _))) if artist.stream.chance(LIKELY_PPM) => {
                    On::first(MomentName::WriteStarted, zone)
                }
                Some(_) | None => artist.writing().1,
            }
        }));
        self.lasting(step, "the lights go out while many write");
    }

    /// The same part of several disks is slow, one after the other as they come to write there: the others get ahead of them.
    fn slow_zone(&mut self) {
        let zones = self.shape.zones.iter().map(|(_, zone)| *zone);
        let rarest = zones.min_by_key(|(_, times)| *times).filter(|_| self.stream.chance(EVEN_PPM));
        let (zone, times) = rarest.unwrap_or_else(|| self.zone());
        let mut on = On::first(MomentName::WriteStarted, zone);
        on.nth = self.nth(times);
        for _ in 0..self.stream.within(1, 4) {
            let slow = Fault::SlowDisk {
                node: Selector::subject(),
                percent: ppm(self.stream.magnitude(5_000, 300_000)),
                zone: Some(zone.to_owned()),
            };
            self.lasting(Step::on(on.clone(), slow), "a part of a disk is slow");
            on.nth += 1;
        }
    }

    fn failing_writes(&mut self) {
        let (_, on) = self.writing();
        let node = Selector::subject();
        match self.stream.below(3) {
            0 => self.push(Step::on(on, Fault::FailFlush { node }), "a flush fails"),
            1 => self.lasting(Step::on(on, Fault::WriteError { node }), "writes fail"),
            _ => self.lasting(Step::on(on, Fault::FullDisk { node }), "a disk is full"),
        }
    }

    /// A server is gone, and reads badly when it is back.
    fn failing_reads(&mut self) {
        let on = self.acknowledgement();
        let crash = Step::on(on, Fault::Crash { node: Selector::subject() });
        self.lasting(crash, "a server is gone");
        let node = Selector::subject();
        let reads = if self.stream.chance(EVEN_PPM) {
            Fault::ReadError { node }
        } else {
            Fault::Misread { node }
        };
        let mut step = Step::after(Span::ZERO, reads);
        step.on = Some(On::first(MomentName::Booted, ""));
        self.lasting(step, "and reads badly when it is back");
    }

    /// Whoever may lose a disk does, while it is down.
    fn wipe(&mut self) {
        let on = self.acknowledgement();
        let step = Step::on(on, self.power_loss());
        self.lasting(step, "the lights go out");
        let node = Selector::new(self.shape.all_servers);
        let step = Step::after(Span::from_us(1), Fault::WipeDisk { node });
        self.push(step, "and a disk is gone");
    }

    fn rot_last(&mut self, node: Selector) -> Fault {
        let zone = self.zone().0.to_owned();
        self.rot(node, zone, Spot::LastWritten)
    }

    fn rot(&mut self, node: Selector, zone: String, spot: Spot) -> Fault {
        let how =
            *self.stream.pick_weighted(&[(4, Rot::Bit), (3, Rot::Sector), (2, Rot::Unreadable)]);
        Fault::Rot { node, zone, spot, how }
    }

    fn power_loss(&self) -> Fault {
        Fault::PowerLoss { nodes: Selector::new(self.shape.all_servers) }
    }

    fn acknowledgement(&mut self) -> On {
        let cues: Vec<(u32, Cue<'_>)> =
            self.shape.acknowledgements.iter().map(|cue| (cue.weight, *cue)).collect();
        let cue = *self.stream.pick_weighted(&cues);
        On { nth: self.nth(cue.times), ..On::first(cue.moment, cue.kind) }
    }

    /// The same as `draw` says, one of the next times.
    fn soon(&mut self, draw: impl FnOnce(&mut Self) -> On) -> On {
        let mut on = draw(self);
        on.nth = ppm(self.stream.magnitude(1, 12));
        on
    }

    /// A zone, and the moment at which it is being written.
    fn writing(&mut self) -> (String, On) {
        let (zone, times) = self.zone();
        let nth = self.nth(times);
        (zone.to_owned(), On { nth, ..On::first(MomentName::WriteStarted, zone) })
    }

    fn zone(&mut self) -> (&'a str, u32) {
        *self.stream.pick_weighted(self.shape.zones)
    }

    fn server(&mut self) -> Selector {
        Selector::new(*self.stream.pick_weighted(self.shape.servers))
    }

    fn nth(&mut self, times: u32) -> u32 {
        ppm(self.stream.within(1, times.max(1).into()))
    }

    fn gap(&mut self) -> Span {
        let timeout = self.shape.timeout.as_ns();
        Span::from_ns(self.stream.magnitude(1_000, timeout.saturating_mul(3).max(1_000)))
    }

    fn push(&mut self, step: Step, why: &str) {
        self.steps.push(Step { why: why.to_owned(), ..step });
    }

    /// As [`Self::push`]; it is over some time later.
    fn lasting(&mut self, step: Step, why: &str) {
        let timeout = self.shape.timeout.as_ns();
        let span = self.stream.magnitude((timeout / 50).max(1), timeout.saturating_mul(6).max(1));
        self.push(Step { lasts: Lasts::For(Span::from_ns(span)), ..step }, why);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::broadcast::BroadcastNode;

    const SHAPE: DiskShape<'_> = DiskShape {
        servers: &[(1, "n0"), (1, "n1")],
        all_servers: "all",
        timeout: Span::from_ms(20),
        acknowledgements: &[Cue {
            weight: 1,
            moment: MomentName::Sent,
            kind: "Acknowledge",
            times: 100,
        }],
        zones: &[(1, ("settled", 50))],
    };

    #[test]
    fn every_disk_fault_is_drawn_and_an_honest_plan_spoils_nothing() {
        let mut drawn = BTreeSet::new();
        for number in 0..300 {
            let plan = draw_disk_plan(Seed::new(number), &SHAPE, false);
            plan.check::<BroadcastNode>(|word| word.is_built_in(5)).unwrap();
            drawn.extend(plan.steps.iter().map(|step| step.action.name()));
            let honest = draw_disk_plan(Seed::new(number), &SHAPE, true);
            let spoils = |step: &Step| step.action.lies();
            assert!(!honest.steps.is_empty() && !honest.steps.iter().any(spoils));
            let rates = draw_rates(Seed::new(number), DiskRates::default(), SHAPE.timeout, true);
            assert_eq!((rates.rot_ppm, rates.lost_ppm, rates.misdirected_ppm), (0, 0, 0));
        }
        let first = Fault::NAMES.iter().position(|name| *name == "rot").unwrap();
        for name in &Fault::NAMES[first..] {
            assert!(drawn.contains(name), "{name} {drawn:?}");
        }
    }
}
