//! Draws what goes wrong in a run from its seed.
//!
//! Runs differ in what may go wrong at all, and by orders of magnitude in how much: a run in which only one thing is bad,
//! but often, finds other bugs than one in which everything is a little bad. Most of it waits for the work to come to
//! a certain point rather than for a time, so that faults meet work; much of it aims at whoever is just at work.

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::plan::{Lasts, MomentName, On, Plan, Step};
use super::selector::Selector;
use crate::engine::random::MILLION;
use crate::engine::{DiskRates, LinkRates, RateChange, Seed, Span, Stream, Time};

/// What is known beforehand of the runs to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// The number of nodes, all of them.
    pub nodes: u8,
    /// Words for servers, by how often each is to be struck.
    pub servers: &'a [(u32, &'a str)],
    /// Words for other nodes, by how often each is to be struck; may be empty.
    pub clients: &'a [(u32, &'a str)],
    /// The word for all servers at once.
    pub all_servers: &'a str,
    /// Until when steps may wait for a time.
    pub span: Span,
    /// How long the protocol waits before it thinks that somebody is gone: the measure of all that lasts.
    pub timeout: Span,
    /// What steps may wait to see. The subject of each should be a server.
    pub cues: &'a [Cue<'a>],
    /// What is seen when one server takes over from another: the moments between two leaders. May be empty.
    pub turns: &'a [Cue<'a>],
    /// The word for the server that leads.
    pub leader: &'a str,
    /// The names of kinds of messages that are worth holding back, and how often each is to be.
    pub holds: &'a [(u32, &'a str)],
    /// The zones of a disk: the names whose writes are worth waiting for, and how often each is to be.
    pub zones: &'a [(u32, &'a str)],
}

/// Something that is seen in each run again and again.
#[derive(Clone, Copy, Debug)]
pub struct Cue<'a> {
    /// How often it is to be waited for, against the others.
    pub weight: u32,
    /// What happens.
    pub moment: MomentName,
    /// The name of its kind, empty if the moment has none.
    pub kind: &'a str,
    /// About how often it is seen in a run.
    pub times: u32,
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swarm {
    /// What links are like.
    pub links: LinkRates,
    /// What disks are like.
    pub disks: DiskRates,
    /// What goes wrong.
    pub plan: Plan<Fault>,
}

/// What a run may suffer again and again, if it is on in that run at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Crash,
    CrashWhileWriting,
    CrashRow,
    CrashAgain,
    CrashBehindPartition,
    Handover,
    HoldOverCrash,
    PowerLoss,
    ClientCrash,
    Partition,
    OneWay,
    Isolate,
    IsolateClient,
    Hold,
    Storm,
    SlowDisk,
    Skew,
    WallJump,
    Pause,
}

const MOVES: [(u32, Move); 19] = [
    (8, Move::Crash),
    (8, Move::CrashWhileWriting),
    (4, Move::CrashRow),
    (4, Move::CrashAgain),
    (4, Move::CrashBehindPartition),
    (8, Move::Handover),
    (5, Move::HoldOverCrash),
    (4, Move::PowerLoss),
    (3, Move::ClientCrash),
    (6, Move::Partition),
    (5, Move::OneWay),
    (6, Move::Isolate),
    (2, Move::IsolateClient),
    (5, Move::Hold),
    (4, Move::Storm),
    (3, Move::SlowDisk),
    (2, Move::Skew),
    (2, Move::WallJump),
    (4, Move::Pause),
];

/// Draws a run of this shape from the seed.
#[must_use]
pub fn draw(seed: Seed, shape: &Shape<'_>) -> Swarm {
    let links = draw_links(&mut seed.stream("links"), shape);
    let disks = draw_disks(&mut seed.stream("disks"), shape);
    Swarm { links, disks, plan: draw_plan(seed, shape) }
}

/// Draws the plan alone, for who draws links and disks otherwise; it is the one that [`draw`] gives.
#[must_use]
pub fn draw_plan(seed: Seed, shape: &Shape<'_>) -> Plan<Fault> {
    Artist { stream: seed.stream("plan"), shape, steps: Vec::new() }.draw_plan()
}

/// The chances that any one thing is on at all.
const LIKELY_PPM: u32 = 600_000;
const EVEN_PPM: u32 = 500_000;
const CALM_PPM: u32 = 40_000;
const MOVES_MIN: u64 = 3;
const MOVES_MAX: u64 = 40;

fn draw_links(stream: &mut Stream, shape: &Shape<'_>) -> LinkRates {
    let timeout = shape.timeout.as_ns();
    let latency = stream.magnitude(20_000, (timeout / 20).max(20_000));
    let jitter = stream.magnitude(latency / 10, latency * 4);
    let mut rate =
        |most| if stream.chance(LIKELY_PPM) { ppm(stream.magnitude(100, most)) } else { 0 };
    let (loss_ppm, duplicate_ppm, tail_ppm) = (rate(150_000), rate(100_000), rate(50_000));
    let tail = stream.magnitude(timeout, timeout.saturating_mul(30));
    LinkRates {
        loss_ppm,
        duplicate_ppm,
        latency: Span::from_ns(latency),
        jitter: Span::from_ns(jitter),
        tail_ppm,
        tail: Span::from_ns(tail),
    }
}

fn draw_disks(stream: &mut Stream, shape: &Shape<'_>) -> DiskRates {
    let most = (shape.timeout.as_ns() / 20).max(10_000);
    let write = stream.magnitude(10_000, most);
    let tail_ppm = if stream.chance(EVEN_PPM) { ppm(stream.magnitude(1_000, 100_000)) } else { 0 };
    let kept = stream.below(u64::from(MILLION) + 1);
    let lost = stream.below(u64::from(MILLION) - kept + 1);
    DiskRates {
        write_latency: Span::from_ns(write),
        read_latency: Span::from_ns(stream.magnitude(10_000, most)),
        jitter: Span::from_ns(stream.magnitude(1_000, write * 2)),
        sector_latency: Span::from_us(2),
        tail_ppm,
        tail: Span::from_ns(stream.magnitude(write, shape.timeout.as_ns().max(write))),
        error_ppm: 0,
        crash_kept_ppm: ppm(kept),
        crash_lost_ppm: ppm(lost),
        ..DiskRates::default()
    }
}

fn ppm(parts: u64) -> u32 {
    u32::try_from(parts).expect("parts of a million are few")
}

/// Draws one plan.
struct Artist<'a> {
    stream: Stream,
    shape: &'a Shape<'a>,
    steps: Vec<Step>,
}

impl Artist<'_> {
    fn draw_plan(mut self) -> Plan<Fault> {
        if self.stream.chance(CALM_PPM) {
            return Plan::default();
        }
        let mut moves: Vec<(u32, Move)> =
            MOVES.into_iter().filter(|_| self.stream.chance(EVEN_PPM)).collect();
        if self.shape.clients.is_empty() {
            moves.retain(|(_, one)| !matches!(one, Move::ClientCrash | Move::IsolateClient));
        }
        if self.shape.turns.is_empty() {
            moves.retain(|(_, one)| *one != Move::Handover);
        }
        if moves.is_empty() {
            moves.push((1, Move::Crash));
        }
        for _ in 0..self.stream.magnitude(MOVES_MIN, MOVES_MAX) {
            let one = *self.stream.pick_weighted(&moves);
            self.draw_move(one);
        }
        Plan { steps: self.steps }
    }

    fn draw_move(&mut self, one: Move) {
        match one {
            Move::Crash => self.crash(),
            Move::CrashWhileWriting => self.crash_while_writing(),
            Move::CrashRow => self.crash_row(),
            Move::CrashAgain => self.crash_again(),
            Move::CrashBehindPartition => self.crash_behind_partition(),
            Move::Handover => self.handover(),
            Move::HoldOverCrash => self.hold_over_crash(),
            Move::PowerLoss => self.power_loss(),
            Move::ClientCrash => {
                let node = self.client();
                self.step(Fault::Crash { node }, "a client is gone");
            }
            Move::Partition => self.partition(),
            Move::OneWay => self.one_way(),
            Move::Isolate => {
                let node = self.server();
                self.step(Fault::Isolate { node }, "a server is alone");
            }
            Move::IsolateClient => {
                let node = self.client();
                self.step(Fault::Isolate { node }, "a client is alone");
            }
            Move::Hold => self.hold(),
            Move::Storm => self.storm(),
            Move::SlowDisk => {
                let (node, percent) = (self.server(), ppm(self.stream.magnitude(200, 20_000)));
                self.step(Fault::SlowDisk { node, percent, zone: None }, "a disk is slow");
            }
            Move::Skew => self.skew(),
            Move::WallJump => self.wall_jump(),
            Move::Pause => {
                let node = self.server();
                self.step(Fault::Pause { node }, "a server stands still");
            }
        }
    }

    fn crash(&mut self) {
        let node = self.server();
        self.step(Fault::Crash { node }, "a server is gone");
    }

    fn crash_while_writing(&mut self) {
        let Some(zone) = self.zone() else { return self.crash() };
        let times = self.shape.cues.iter().map(|cue| cue.times).max().unwrap_or(1);
        let moment = if self.stream.chance(750_000) {
            MomentName::WriteStarted
        } else {
            MomentName::WriteEnded
        };
        let mut on = On::first(moment, &zone);
        on.nth = self.nth(times);
        let lasts = self.lasts();
        let crash = Step::on(on, Fault::Crash { node: Selector::subject() });
        self.push(crash, lasts, "a server is gone while it writes");
    }

    /// Servers go one after the other, each before the last is long back.
    fn crash_row(&mut self) {
        self.crash();
        for _ in 0..self.stream.within(1, 3) {
            let gap = self.stream.magnitude(1_000, self.shape.timeout.as_ns().saturating_mul(4));
            let node = self.server_by_word();
            let lasts = self.lasts();
            let step = Step::after(Span::from_ns(gap), Fault::Crash { node });
            self.push(step, lasts, "and the next one");
        }
    }

    /// A server goes again just when it is back.
    fn crash_again(&mut self) {
        self.crash();
        for _ in 0..self.stream.within(1, 3) {
            let lasts = self.lasts();
            let mut again = Step::after(Span::ZERO, Fault::Crash { node: Selector::subject() });
            again.on = Some(On::first(MomentName::Booted, ""));
            if self.stream.chance(EVEN_PPM)
                && let Some(zone) = self.zone()
            {
                again.on = Some(On::first(MomentName::WriteStarted, &zone));
            }
            self.push(again, lasts, "and again, just when it is back");
        }
    }

    /// Some servers are out of reach; then one of the others goes.
    fn crash_behind_partition(&mut self) {
        let node = self.server();
        self.step(Fault::Isolate { node }, "a server is alone");
        let node = self.server_by_word();
        let gap = self.stream.magnitude(1_000, self.shape.timeout.as_ns().saturating_mul(6));
        let lasts = self.lasts();
        let step = Step::after(Span::from_ns(gap), Fault::Crash { node });
        self.push(step, lasts, "and another one is gone");
    }

    /// The leader is out of its peers' reach, though not of its clients'; it comes back at the very moment at which its
    /// successor has begun to work, and that is the moment at which the successor goes. Once, or several times in a row:
    /// what each leader did alone then meets what the others did.
    fn handover(&mut self) {
        for turn in 0..self.stream.within(1, 3) {
            let leader = Selector::new(self.shape.leader);
            let peers = Selector::new(self.shape.all_servers);
            let back = self.turn();
            let away = Fault::Cut { from: leader.clone(), to: peers.clone() };
            let first = if turn == 0 {
                self.triggered(away)
            } else {
                let gap = self.stream.magnitude(1_000, self.shape.timeout.as_ns());
                Step::after(Span::from_ns(gap), away)
            };
            self.push(first, Lasts::Until(back.clone()), "the leader does not reach its peers");
            let deaf = Fault::Cut { from: peers, to: leader };
            let deaf = Step::after(Span::ZERO, deaf);
            self.push(deaf, Lasts::Until(back.clone()), "nor they it");
            let mut gone = Step::after(Span::ZERO, Fault::Crash { node: Selector::subject() });
            gone.on = Some(back);
            let lasts = self.lasts();
            self.push(gone, lasts, "its successor is gone as soon as it leads");
        }
    }

    /// A moment between two leaders.
    fn turn(&mut self) -> On {
        let turns: Vec<(u32, Cue<'_>)> =
            self.shape.turns.iter().map(|cue| (cue.weight, *cue)).collect();
        let cue = *self.stream.pick_weighted(&turns);
        On { nth: self.nth(cue.times), ..On::first(cue.moment, cue.kind) }
    }

    /// What a server has said arrives only after it, or somebody else, was gone and is back.
    fn hold_over_crash(&mut self) {
        let from = self.server();
        let kinds = self.hold_kinds();
        let until = On { nth: self.nth(2), ..On::first(MomentName::Booted, "") };
        let to = self.shape.all_servers;
        let hold = Fault::Hold { from: from.clone(), to: Selector::new(to), kinds };
        let step = self.triggered(hold);
        self.push(step, Lasts::Until(until), "what it says is held back over a crash");
        let gap = self.stream.magnitude(1_000, self.shape.timeout.as_ns().saturating_mul(6));
        let node = if self.stream.chance(EVEN_PPM) { from } else { self.server_by_word() };
        // The subject of a step that follows by time alone is nobody.
        let node = if node == Selector::subject() { self.server_by_word() } else { node };
        let lasts = self.lasts();
        self.push(Step::after(Span::from_ns(gap), Fault::Crash { node }), lasts, "the crash");
    }

    fn power_loss(&mut self) {
        let nodes = Selector::new(self.shape.all_servers);
        self.step(Fault::PowerLoss { nodes }, "the lights go out");
    }

    fn partition(&mut self) {
        let mut nodes: Vec<u8> = (0..self.shape.nodes).collect();
        self.stream.shuffle(&mut nodes);
        let side_count = self.stream.within(2, 3);
        let mut sides = vec![Vec::new(); usize::try_from(side_count).expect("two or three")];
        for node in nodes {
            let place = self.stream.place(sides.len());
            sides[place].push(Selector::new(format!("n{node}")));
        }
        self.step(Fault::Partition { sides }, "the network falls apart");
    }

    fn one_way(&mut self) {
        let (one, all) = (self.server(), Selector::new(self.shape.all_servers));
        let other = if self.stream.chance(EVEN_PPM) { all } else { self.server_by_word() };
        let (from, to) = if self.stream.chance(EVEN_PPM) { (one, other) } else { (other, one) };
        self.step(Fault::Cut { from, to }, "one does not hear the other");
    }

    fn hold(&mut self) {
        let (from, to) = (self.server(), Selector::new(self.shape.all_servers));
        let kinds = self.hold_kinds();
        self.step(Fault::Hold { from, to, kinds }, "what it says comes late");
    }

    fn storm(&mut self) {
        let mut rate =
            |most| self.stream.chance(EVEN_PPM).then(|| ppm(self.stream.magnitude(10_000, most)));
        let (loss_ppm, duplicate_ppm, tail_ppm) = (rate(900_000), rate(900_000), rate(500_000));
        let latency_percent =
            self.stream.chance(EVEN_PPM).then(|| ppm(self.stream.magnitude(150, 5_000)));
        let change = RateChange { loss_ppm, duplicate_ppm, tail_ppm, latency_percent };
        self.step(Fault::Rates { from: Selector::all(), to: Selector::all(), change }, "a storm");
    }

    /// Clocks are off from the beginning, mostly a little.
    fn skew(&mut self) {
        let parts =
            i32::try_from(self.stream.magnitude(1, 200_000)).expect("parts of a million are few");
        let ppm = if self.stream.chance(EVEN_PPM) { parts } else { -parts };
        let node = self.server_by_word();
        self.push(Step::at(Time::ZERO, Fault::Skew { node, ppm }), Lasts::On, "a clock is off");
    }

    fn wall_jump(&mut self) {
        let (node, by) =
            (self.server(), Span::from_ns(self.stream.magnitude(1_000, 100_000_000_000)));
        let ahead = self.stream.chance(EVEN_PPM);
        let fault =
            if ahead { Fault::WallAhead { node, by } } else { Fault::WallBack { node, by } };
        let step = self.triggered(fault);
        self.push(step, Lasts::On, "a wall clock is set");
    }

    /// A fault with a trigger of its own, that lasts for a while.
    fn step(&mut self, fault: Fault, why: &str) {
        let step = self.triggered(fault);
        let lasts = self.lasts();
        self.push(step, lasts, why);
    }

    fn push(&mut self, step: Step, lasts: Lasts, why: &str) {
        self.steps.push(Step { lasts, why: why.to_owned(), ..step });
    }

    /// Mostly when the work has come to some point, sometimes at a time.
    fn triggered(&mut self, fault: Fault) -> Step {
        let needs_sight = fault.selectors().contains(&&Selector::subject());
        if self.shape.cues.is_empty() || !needs_sight && self.stream.chance(150_000) {
            return Step::at(
                Time::from_ns(self.stream.below(self.shape.span.as_ns().max(1))),
                fault,
            );
        }
        let weights: Vec<(u32, Cue<'_>)> =
            self.shape.cues.iter().map(|cue| (cue.weight, *cue)).collect();
        let cue = *self.stream.pick_weighted(&weights);
        let mut on = On::first(cue.moment, cue.kind);
        on.nth = self.nth(cue.times);
        Step::on(on, fault)
    }

    /// One of about `times`; the first few have a better chance.
    fn nth(&mut self, times: u32) -> u32 {
        let times = u64::from(times.max(1));
        let nth = if self.stream.chance(250_000) {
            self.stream.magnitude(1, times)
        } else {
            self.stream.within(1, times)
        };
        u32::try_from(nth).expect("no more than was given")
    }

    /// From much shorter than a timeout to several of them.
    fn lasts(&mut self) -> Lasts {
        let timeout = self.shape.timeout.as_ns();
        Lasts::For(Span::from_ns(
            self.stream.magnitude((timeout / 50).max(1), timeout.saturating_mul(8)),
        ))
    }

    /// A server: often whoever was just at work.
    fn server(&mut self) -> Selector {
        if !self.shape.cues.is_empty() && self.stream.chance(400_000) {
            return Selector::subject();
        }
        self.server_by_word()
    }

    fn server_by_word(&mut self) -> Selector {
        Selector::new(*self.stream.pick_weighted(self.shape.servers))
    }

    fn client(&mut self) -> Selector {
        Selector::new(*self.stream.pick_weighted(self.shape.clients))
    }

    /// A zone whose writes are worth waiting for.
    fn zone(&mut self) -> Option<String> {
        let zones = self.shape.zones;
        (!zones.is_empty()).then(|| (*self.stream.pick_weighted(zones)).to_owned())
    }

    fn hold_kinds(&mut self) -> Vec<String> {
        if self.shape.holds.is_empty() || self.stream.chance(200_000) {
            return Vec::new();
        }
        vec![(*self.stream.pick_weighted(self.shape.holds)).to_owned()]
    }
}
