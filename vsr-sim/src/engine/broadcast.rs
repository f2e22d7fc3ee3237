//! The plainest process that is of any use: a broadcast with acknowledgements.
//!
//! Node 0 sends each of a number of values to all others, notes on its disk those that enough of them acknowledged, and
//! sends again what is not acknowledged in time. It keeps the engine honest, which must serve it as well as any other
//! protocol, and it is the work by which simulators are compared.

use std::collections::BTreeSet;

use super::node::{NodeIndex, NodeSet};
use super::process::{Boot, Context, Described, Event, Input, Message, Process, Token, Zone};
use super::time::{LocalTime, Span};

/// What a broadcast is like.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    /// How many nodes there are, the sender included.
    pub nodes: u8,
    /// How many values are to be sent.
    pub values: u64,
    /// How many values are under way at a time.
    pub window: u64,
    /// How many acknowledgements settle a value.
    pub quorum: u32,
    /// After how long without them a value is sent again.
    pub retry: Span,
    /// Whether the sender notes on its disk each value that is settled, before it says so.
    pub durable: bool,
}

impl Broadcast {
    /// Five nodes, three acknowledgements.
    #[must_use]
    pub const fn of(values: u64) -> Self {
        Self { nodes: 5, values, window: 8, quorum: 3, retry: Span::from_ms(20), durable: true }
    }
}

/// What nodes of a broadcast say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BroadcastMessage {
    /// A value, by number.
    Value(u64),
    /// The value of this number arrived.
    Acknowledge(u64),
}

impl Message for BroadcastMessage {
    fn describe(&self) -> Described {
        let (kind, identity) = match self {
            Self::Value(value) => (0, *value),
            Self::Acknowledge(value) => (1, *value),
        };
        Described { kind, identity, digest: identity << 1 | u64::from(kind), size: 16 }
    }
}

/// What a node of a broadcast says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BroadcastEvent {
    /// Enough nodes acknowledged the value of this number, and the sender noted it.
    Settled(u64),
    /// All values are settled.
    Finished,
}

impl Event for BroadcastEvent {
    fn describe(&self) -> (u8, u64) {
        match self {
            Self::Settled(value) => (0, *value),
            Self::Finished => (1, u64::MAX),
        }
    }
}

/// A value under way.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    value: u64,
    acknowledged: NodeSet,
    noting: bool,
    retry_at: LocalTime,
}

/// A node of a broadcast: the sender is node 0.
#[derive(Debug)]
pub struct BroadcastNode {
    broadcast: Broadcast,
    is_sender: bool,
    is_started: bool,
    next: u64,
    /// The window: a value is under way in the place that is its number, modulo the size of the window.
    under_way: Vec<Option<UnderWay>>,
    under_way_count: u64,
    /// When a value may have to be sent again; never too late.
    retry_at: Option<LocalTime>,
    settled: BTreeSet<u64>,
}

impl BroadcastNode {
    /// How many values the sender knows to be settled.
    #[must_use]
    pub const fn settled_count(&self) -> u64 {
        self.next - self.under_way_count
    }

    fn place(&self, value: u64) -> usize {
        usize::try_from(value % self.broadcast.window).expect("a window is small")
    }

    /// Sends on while the window has room.
    fn fill_window(&mut self, now: LocalTime, context: &mut Context<'_, Self>) {
        while self.next < self.broadcast.values && self.under_way[self.place(self.next)].is_none() {
            let value = self.next;
            self.next += 1;
            if self.settled.remove(&value) {
                continue;
            }
            let retry_at = now.plus(self.broadcast.retry);
            let place = self.place(value);
            self.under_way[place] =
                Some(UnderWay { value, acknowledged: NodeSet::EMPTY, noting: false, retry_at });
            self.under_way_count += 1;
            self.retry_at = self.retry_at.or(Some(retry_at));
            self.send_value(value, NodeSet::EMPTY, context);
        }
    }

    fn send_value(&self, value: u64, except: NodeSet, context: &mut Context<'_, Self>) {
        for to in NodeIndex::first(self.broadcast.nodes).skip(1).filter(|to| !except.contains(*to))
        {
            context.send(to, BroadcastMessage::Value(value));
        }
    }

    fn on_acknowledge(
        &mut self,
        now: LocalTime,
        from: NodeIndex,
        value: u64,
        context: &mut Context<'_, Self>,
    ) {
        let place = self.place(value);
        let Some(under_way) = self.under_way[place].as_mut().filter(|one| one.value == value)
        else {
            return;
        };
        under_way.acknowledged.insert(from);
        if under_way.noting || under_way.acknowledged.count() < self.broadcast.quorum {
            return;
        }
        if self.broadcast.durable {
            under_way.noting = true;
            context.write(Token(value), Zone(0), value, &[1]);
        } else {
            self.settle(now, value, context);
        }
    }

    fn settle(&mut self, now: LocalTime, value: u64, context: &mut Context<'_, Self>) {
        let place = self.place(value);
        self.under_way[place] = None;
        self.under_way_count -= 1;
        context.event(BroadcastEvent::Settled(value));
        self.fill_window(now, context);
        if self.under_way_count == 0 {
            self.retry_at = None;
            context.event(BroadcastEvent::Finished);
        }
    }

    fn retry(&mut self, now: LocalTime, context: &mut Context<'_, Self>) {
        for place in 0..self.under_way.len() {
            let Some(UnderWay { value, acknowledged, retry_at, .. }) = &mut self.under_way[place]
            else {
                continue;
            };
            if *retry_at <= now {
                *retry_at = now.plus(self.broadcast.retry);
                let (value, acknowledged) = (*value, *acknowledged);
                self.send_value(value, acknowledged, context);
            }
        }
        self.retry_at = self.under_way.iter().flatten().map(|one| one.retry_at).min();
    }
}

impl Process for BroadcastNode {
    type Message = BroadcastMessage;
    type Event = BroadcastEvent;
    /// A broadcast needs no driver.
    type Command = std::convert::Infallible;
    type Blueprint = Broadcast;

    const MESSAGE_KINDS: &'static [&'static str] = &["Value", "Acknowledge"];
    const EVENT_KINDS: &'static [&'static str] = &["Settled", "Finished"];
    const ZONES: &'static [&'static str] = &["settled"];

    fn boot(blueprint: &Broadcast, boot: &Boot) -> Self {
        Self {
            broadcast: *blueprint,
            is_sender: boot.node.number() == 0,
            is_started: false,
            next: 0,
            under_way: vec![None; usize::try_from(blueprint.window).expect("a window is small")],
            under_way_count: 0,
            retry_at: None,
            settled: BTreeSet::new(),
        }
    }

    fn step(&mut self, now: LocalTime, input: Input<'_, Self>, context: &mut Context<'_, Self>) {
        match input {
            Input::Start => {
                if self.is_sender {
                    let size = if self.broadcast.durable { self.broadcast.values } else { 0 };
                    context.read(
                        Token(0),
                        Zone(0),
                        0,
                        u32::try_from(size).expect("notes fit a read"),
                    );
                }
            }
            Input::Read { result, .. } => {
                let notes = result.expect("this process is for disks in good health");
                self.settled = (0..)
                    .zip(notes)
                    .filter(|(_, note)| **note == 1)
                    .map(|(value, _)| value)
                    .collect();
                self.is_started = true;
                self.fill_window(now, context);
                if self.under_way_count == 0 {
                    context.event(BroadcastEvent::Finished);
                }
            }
            Input::Message { from, message: BroadcastMessage::Value(value) } => {
                context.send(from, BroadcastMessage::Acknowledge(value));
            }
            Input::Message { from, message: BroadcastMessage::Acknowledge(value) } => {
                if self.is_started {
                    self.on_acknowledge(now, from, value, context);
                }
            }
            Input::Written { token: Token(value), .. } => self.settle(now, value, context),
            Input::Deadline => self.retry(now, context),
            Input::Command(never) => match never {},
        }
    }

    fn deadline(&self) -> Option<LocalTime> {
        self.retry_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{
        Disk, Dropped, LinkRates, Moment, NodeState, Observer, Packet, PacketName, Pattern,
        RateChange, Resolution, Seed, Setup, Stop, Time, World, Write,
    };
    use std::collections::BTreeMap;

    /// What a test wants to know of a run.
    #[derive(Debug, Default)]
    struct Notes {
        /// How long each packet and copy took.
        arrivals: BTreeMap<(PacketName, u8), Span>,
        delivered: Vec<(Time, NodeIndex, NodeIndex)>,
        dropped: Vec<Dropped>,
        settled: Vec<u64>,
        resolved: Vec<Resolution>,
    }

    impl Observer<BroadcastNode> for Notes {
        fn packet_delivered(&mut self, now: Time, packet: &Packet<BroadcastMessage>) {
            self.arrivals.insert((packet.name, packet.copy), now.since(packet.sent));
            self.delivered.push((now, packet.name.from, packet.name.to));
        }

        fn packet_dropped(&mut self, _: Time, _: &Packet<BroadcastMessage>, reason: Dropped) {
            self.dropped.push(reason);
        }

        fn event(&mut self, _: Time, _: NodeIndex, event: &BroadcastEvent) {
            if let BroadcastEvent::Settled(value) = event {
                self.settled.push(*value);
            }
        }

        fn write_resolved(&mut self, _: Time, _: &Write, resolution: Resolution, _: &Disk) {
            self.resolved.push(resolution);
        }
    }

    const SENDER: NodeIndex = NodeIndex::new(0);
    const FINISHED: Pattern = Pattern {
        moment: Moment::Event,
        kind: 1,
        nodes: NodeSet::only(SENDER),
        peers: NodeSet::EMPTY,
        identity: None,
    };

    fn harsh() -> Setup {
        let links = LinkRates {
            loss_ppm: 100_000,
            duplicate_ppm: 50_000,
            tail_ppm: 10_000,
            tail: Span::from_secs(2),
            ..LinkRates::default()
        };
        Setup { links, ..Setup::of(5) }
    }

    fn world(setup: Setup, values: u64, seed: u64) -> World<BroadcastNode, Notes> {
        World::new(Broadcast::of(values), setup, Seed::new(seed), Notes::default())
    }

    /// Runs until the sender says that it has finished, which it must before `limit`.
    fn finish(world: &mut World<BroadcastNode, Notes>) {
        world.watch(FINISHED, 1);
        assert_eq!(world.run_until(world.now().plus(Span::from_secs(60))), Stop::Hit);
        assert!(world.take_hit().is_some());
    }

    #[test]
    fn every_value_is_settled_over_a_bad_network() {
        let mut world = world(harsh(), 300, 1);
        finish(&mut world);
        let mut settled = std::mem::take(&mut world.observer_mut().settled);
        settled.sort_unstable();
        assert_eq!(settled, (0..300).collect::<Vec<_>>());
        let counters = *world.counters();
        assert!(counters.dropped[Dropped::Lost.index()] > 100, "{counters:?}");
        assert!(counters.duplicated > 50, "{counters:?}");
        // The stragglers of the tail arrive long after, then nothing is left.
        assert_eq!(world.run_until(Time::MAX), Stop::Idle);
        let counters = *world.counters();
        let gone: u64 = counters.dropped.iter().sum();
        assert_eq!(counters.sent + counters.duplicated, counters.delivered + gone);
    }

    #[test]
    fn the_same_seed_gives_the_same_hash_in_fresh_memory_or_used() {
        let run = |world: &mut World<BroadcastNode, Notes>| {
            world.run_until(Time::from_ns(30_000_000));
            world.crash(SENDER);
            world.restart(SENDER);
            assert_eq!(world.run_until(Time::MAX), Stop::Idle);
            (world.trace_hash(), *world.counters())
        };
        let first = run(&mut world(harsh(), 100, 7));
        assert_eq!(run(&mut world(harsh(), 100, 7)), first);
        let mut used = world(harsh(), 100, 8);
        assert_ne!(run(&mut used), first);
        used.reset(harsh(), Seed::new(7));
        assert_eq!(run(&mut used), first);
        // Were this value to move, a hash told by one machine or build would mean nothing on another.
        assert_eq!(first.0, 329577624294330992545200778142342468790);
    }

    /// Two runs of one seed, one of them with a node cut off, lossy links elsewhere and a slow disk. Packets whose own link
    /// has no fault and that are sent in both runs take exactly as long in both.
    #[test]
    fn a_fault_leaves_the_fate_of_all_other_packets_alone() {
        let arrivals = |with_faults: bool| {
            let mut world = world(harsh(), 50, 3);
            if with_faults {
                let [one, two] = [NodeIndex::new(1), NodeIndex::new(2)];
                world.network_mut().cut([(SENDER, one)]);
                let change = RateChange { loss_ppm: Some(500_000), ..RateChange::default() };
                world.network_mut().change_rates([(two, SENDER)], change);
                world.disk_mut().set_slowness(SENDER, None, 5_000);
            }
            world.run_until(Time::MAX);
            std::mem::take(&mut world.observer_mut().arrivals)
        };
        let untouched = |arrivals: BTreeMap<(PacketName, u8), Span>| {
            let untouched = arrivals.into_iter().filter(|((name, _), _)| name.to.number() > 2);
            untouched.filter(|((name, _), _)| name.nth == 0).collect::<Vec<_>>()
        };
        let (calm, troubled) = (untouched(arrivals(false)), untouched(arrivals(true)));
        assert!(calm.len() > 80);
        assert_eq!(calm, troubled);
    }

    #[test]
    fn nothing_is_delivered_across_a_cut_not_even_what_was_under_way() {
        let mut world = world(harsh(), 1_000, 4);
        world.run_until(Time::from_ns(100_000));
        let two = NodeIndex::new(2);
        let (ways, back) = ([(SENDER, two), (two, SENDER)], [(two, SENDER)]);
        assert!(world.network().in_flight().any(|packet| packet.name.to == two));
        let both = world.network_mut().cut(ways);
        let overlapping = world.network_mut().cut(back);
        let cut_at = world.now();
        world.run_until(Time::from_ns(50_000_000));
        world.lift(both);
        world.run_until(Time::from_ns(100_000_000));
        let crossed = |world: &World<BroadcastNode, Notes>, from, to| {
            let delivered = &world.observer().delivered;
            delivered
                .iter()
                .filter(|(time, ..)| *time > cut_at)
                .any(|(_, a, b)| (*a, *b) == (from, to))
        };
        // The one way that both faults cut is still shut; the other one is open again.
        assert!(!crossed(&world, two, SENDER));
        assert!(crossed(&world, SENDER, two));
        assert!(world.lift(overlapping) && !world.lift(overlapping));
        world.run_until(Time::from_ns(200_000_000));
        assert!(crossed(&world, two, SENDER));
    }

    /// The sender crashes at the very moment at which a write begins; the write is resolved, and the next process reads
    /// what is there and carries on.
    #[test]
    fn a_sender_that_crashes_while_it_writes_reads_its_notes_and_finishes() {
        for seed in 0..40 {
            let mut world = world(harsh(), 60, seed);
            for nth in 1..6 {
                let start = Pattern {
                    moment: Moment::WriteStarted,
                    kind: 0,
                    nodes: NodeSet::first(5),
                    peers: NodeSet::EMPTY,
                    identity: None,
                };
                world.watch(start, nth);
                assert_eq!(world.run_until(Time::MAX), Stop::Hit);
                let hit = world.take_hit().expect("the run stopped for it");
                assert_eq!(hit.sight.node, SENDER);
                assert!(world.disk().writes_under_way(SENDER).len() > 0);
                assert!(world.crash(SENDER) && !world.crash(SENDER));
                assert_eq!(world.state(SENDER), NodeState::Down);
                assert_eq!(world.disk().writes_under_way(SENDER).len(), 0);
                world.run_until(world.now().plus(Span::from_ms(3)));
                assert!(world.restart(SENDER));
            }
            finish(&mut world);
            let mut notes = vec![0; 60];
            world.disk().read(SENDER, Zone(0), 0, &mut notes);
            assert!(notes.iter().all(|note| *note == 1));
            assert_eq!(world.incarnation(SENDER).number(), 5);
            assert!(world.observer().resolved.len() >= 5);
        }
    }

    /// A packet that the sender sent before a node crashed reaches the node's next process.
    #[test]
    fn an_old_packet_outlives_a_restart() {
        let mut world = world(Setup::of(5), 1, 5);
        world.run_until(Time::from_ns(100_000));
        let one = NodeIndex::new(1);
        assert!(world.network().in_flight().any(|packet| packet.name.to == one));
        world.crash(one);
        world.run_until(world.now().plus(Span::from_us(10)));
        world.restart(one);
        finish(&mut world);
        assert_eq!(world.incarnation(one).number(), 1);
        let arrivals = &world.observer().arrivals;
        assert!(arrivals.keys().any(|(name, _)| name.to == one && name.nth == 0));
    }

    #[test]
    fn a_crash_between_two_sends_lets_the_first_go_and_not_the_second() {
        let mut world = world(Setup::of(5), 1, 6);
        let pattern = Pattern {
            moment: Moment::Sent,
            kind: 0,
            nodes: NodeSet::only(SENDER),
            peers: NodeSet::first(5),
            identity: None,
        };
        world.watch(pattern, 2);
        assert_eq!(world.run_until(Time::MAX), Stop::Hit);
        let hit = world.take_hit().expect("the run stopped for it");
        assert_eq!(hit.sight.peer, Some(NodeIndex::new(2)));
        world.crash(SENDER);
        assert_eq!(world.run_until(Time::MAX), Stop::Idle);
        assert_eq!(world.counters().sent, 4, "two values and an acknowledgement for each");
        assert_eq!(world.counters().dropped[Dropped::NodeDown.index()], 2);
    }

    #[test]
    fn a_paused_node_takes_all_that_waited_once_it_is_resumed() {
        let mut world = world(Setup::of(5), 30, 7);
        world.run_until(Time::from_ns(100_000));
        world.pause(SENDER);
        world.run_until(Time::from_ns(900_000_000));
        let steps = world.counters().steps;
        assert!(world.observer().settled.is_empty());
        world.run_until(Time::from_ns(1_000_000_000));
        assert_eq!(world.counters().steps, steps, "without its sender a broadcast stands still");
        assert!(world.resume(SENDER) && !world.resume(SENDER));
        finish(&mut world);
        // One that crashes while it is paused takes what waited with it.
        world.pause(SENDER);
        world.crash(SENDER);
        world.restart(SENDER);
        world.run_until(Time::from_ns(2_000_000_000));
        assert_eq!(world.state(SENDER), NodeState::Booting);
        world.resume(SENDER);
        world.run_until(Time::from_ns(3_000_000_000));
        assert_eq!(world.state(SENDER), NodeState::Up);
    }

    #[test]
    fn packets_held_back_arrive_after_their_release_and_in_order() {
        let mut world = world(Setup::of(5), 4, 8);
        let links = NodeIndex::first(5).map(|to| (SENDER, to));
        let hold = world.network_mut().hold_back(links, 0b01);
        world.run_until(Time::from_ns(1_000_000_000));
        assert!(world.observer().delivered.is_empty());
        assert!(world.network().in_flight_count() > 100, "all retries wait");
        world.lift(hold);
        finish(&mut world);
    }

    #[test]
    fn a_listed_packet_is_lost_and_only_that_one() {
        let mut world = world(Setup::of(5), 10, 9);
        let lost = PacketName { from: SENDER, to: NodeIndex::new(3), kind: 0, identity: 4, nth: 0 };
        world.network_mut().lose(lost);
        assert_eq!(world.run_until(Time::MAX), Stop::Idle);
        assert_eq!(world.observer().dropped, [Dropped::Listed]);
        assert!(!world.observer().arrivals.contains_key(&(lost, 0)));
    }

    /// A sender with a clock that runs at double speed retries twice as often; nobody's packets take longer for it.
    #[test]
    fn deadlines_follow_the_clock_of_the_node() {
        let retries = |skew_ppm| {
            let mut world = world(Setup::of(5), 1, 10);
            world.set_skew(SENDER, skew_ppm);
            let links = NodeIndex::first(5).map(|to| (SENDER, to));
            world.network_mut().cut(links);
            world.run_until(Time::from_ns(2_000_000_000));
            world.counters().sent / 4
        };
        let [slow, exact, fast] = [-500_000, 0, 500_000].map(retries);
        assert_eq!(exact, 100);
        assert!((49..=51).contains(&slow), "{slow}");
        assert!((148..=151).contains(&fast), "{fast}");
    }
}
