//! A world: nodes, the network between them, their disks and clocks, and what is to happen next.
//!
//! One event at a time, in exact order; nothing else moves. Whoever drives the world runs it up to a moment, and may do
//! things to it whenever it stands still: see [`super::control`].

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use serde::Serialize;

use super::clock::Clock;
use super::disk::{Disk, DiskRates, Read, Write, WriteState};
use super::network::{Dropped, LinkRates, Network, Packet, Route};
use super::node::{Incarnation, NodeIndex};
use super::observer::Observer;
use super::process::{
    Boot, Context, DiskError, Effect, Effects, Event as _, Input, Message as _, Process, Token,
    Zone,
};
use super::queue::Queue;
use super::random::Seed;
use super::slab::Slab;
use super::time::{LocalTime, Time};
use super::trace::{Trace, digest};
use super::watch::{Hit, Moment, Pattern, Sight, WatchId, Watches};

/// What a world is built with, besides its seed.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How many nodes there are.
    pub nodes: u8,
    /// What links are like while no fault is on.
    pub links: LinkRates,
    /// What disks are like.
    pub disks: DiskRates,
    /// After how many events a run stops with [`Stop::Budget`].
    pub events_max: u64,
}

impl Setup {
    /// `nodes` nodes, links and disks in good health, no limit.
    #[must_use]
    pub fn of(nodes: u8) -> Self {
        Self {
            nodes,
            links: LinkRates::default(),
            disks: DiskRates::default(),
            events_max: u64::MAX,
        }
    }
}

/// Why a run stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All that was to happen up to the limit has happened.
    Reached,
    /// Nothing is left to happen at all.
    Idle,
    /// Something that was watched for was seen: see [`World::take_hit`].
    Hit,
    /// An observer said so.
    Observer,
    /// [`Setup::events_max`] events have happened.
    Budget,
    /// A process panicked. Such a world never runs on.
    Panicked(Panicked),
}

/// A panic of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// Where.
    pub node: NodeIndex,
    /// With which words.
    pub message: String,
}

/// How often things happened since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Events of the world.
    pub events: u64,
    /// Inputs taken by processes.
    pub steps: u64,
    /// Packets handed to the network.
    pub sent: u64,
    /// The bytes that those packets would have on the wire.
    pub sent_bytes: u64,
    /// Packets, copies included, that arrived.
    pub delivered: u64,
    /// Packets that the network copied.
    pub duplicated: u64,
    /// Packets, copies included, that were dropped, by [`Dropped::index`].
    pub dropped: [u64; Dropped::COUNT],
    /// Writes handed to disks.
    pub writes: u64,
    /// Reads handed to disks.
    pub reads: u64,
    /// Processes that crashed.
    pub crashes: u64,
    /// Those of them that had a write under way.
    pub crashes_while_writing: u64,
    /// Processes booted, the first ones included.
    pub boots: u64,
    /// Writes that a crash met.
    pub writes_resolved: u64,
    /// Those of them that were torn.
    pub writes_torn: u64,
    /// Commands for nodes that were down.
    pub commands_dropped: u64,
}

/// What is to happen. It holds numbers only, so that the queue stays small.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scheduled {
    /// A packet reaches its node.
    Arrive { packet: u32 },
    /// A packet that has reached its node is given to the process.
    Deliver { packet: u32 },
    /// A write completes.
    Written { write: u32 },
    /// A read completes.
    Read { read: u32 },
    /// A deadline may have come.
    Wake { node: NodeIndex },
    /// The driver's work reaches its node.
    Command { node: NodeIndex, command: u32 },
    /// A process begins.
    Boot { node: NodeIndex },
}

/// Whether a node has a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// A process runs.
    Up,
    /// A process is about to begin.
    Booting,
    /// There is none.
    Down,
}

#[derive(Debug)]
pub(super) struct Node<P> {
    pub(super) state: NodeState,
    /// While the node is up, its process; else the remains of the last one.
    pub(super) process: Option<P>,
    pub(super) incarnation: Incarnation,
    pub(super) boots: u32,
    pub(super) clock: Clock,
    /// When the earliest wake in the queue that still counts comes up.
    pub(super) wake: Option<Time>,
    /// The deadline that `wake` is early enough for.
    pub(super) deadline: Option<LocalTime>,
    /// How many faults pause it.
    pub(super) pauses: u32,
    /// What happened to it while it was paused.
    pub(super) backlog: VecDeque<Scheduled>,
}

/// The words that begin the records of the trace.
mod tag {
    pub(super) const CARRIED: u8 = 1;
    pub(super) const HELD: u8 = 2;
    pub(super) const DROPPED: u8 = 3;
    pub(super) const DELIVERED: u8 = 5;
    pub(super) const WRITE_STARTED: u8 = 6;
    pub(super) const WRITE_ENDED: u8 = 7;
    pub(super) const READ_STARTED: u8 = 8;
    pub(super) const READ_ENDED: u8 = 9;
    pub(super) const EVENT: u8 = 10;
    pub(super) const BOOTED: u8 = 11;
    pub(super) const DEADLINE: u8 = 12;
    pub(super) const COMMAND: u8 = 13;
}

/// A whole simulated world.
///
/// The same blueprint, setup, seed and sequence of calls give the same run and the same [`World::trace_hash`].
#[derive(Debug)]
pub struct World<P: Process, O: Observer<P> = ()> {
    pub(super) blueprint: P::Blueprint,
    pub(super) seed: Seed,
    pub(super) setup: Setup,
    pub(super) now: Time,
    pub(super) queue: Queue<Scheduled>,
    pub(super) nodes: Vec<Node<P>>,
    pub(super) network: Network<P::Message>,
    pub(super) disk: Disk,
    pub(super) commands: Slab<P::Command>,
    pub(super) effects: Effects<P>,
    /// The node whose effects are being carried out: still set when a hit came in between.
    pub(super) acting: Option<NodeIndex>,
    /// The node whose process is being called: how a panic is told from one of our own.
    stepping: Option<NodeIndex>,
    pub(super) watches: Watches,
    pub(super) trace: Trace,
    pub(super) counters: Counters,
    pub(super) observer: O,
    panicked: Option<Panicked>,
    read_buffer: Vec<u8>,
}

impl<P: Process, O: Observer<P>> World<P, O> {
    /// A world at time zero, each node about to boot.
    ///
    /// # Panics
    /// When there are no nodes or too many, or when `P` has more than 64 kinds of anything.
    #[must_use]
    pub fn new(blueprint: P::Blueprint, setup: Setup, seed: Seed, observer: O) -> Self {
        for names in [P::MESSAGE_KINDS, P::EVENT_KINDS, P::ZONES] {
            assert!(names.len() <= 64);
        }
        let mut world = Self {
            blueprint,
            seed,
            setup,
            now: Time::ZERO,
            queue: Queue::new(),
            nodes: Vec::new(),
            network: Network::new(),
            disk: Disk::new(),
            commands: Slab::new(),
            effects: Effects::default(),
            acting: None,
            stepping: None,
            watches: Watches::default(),
            trace: Trace::default(),
            counters: Counters::default(),
            observer,
            panicked: None,
            read_buffer: Vec::new(),
        };
        world.reset(setup, seed);
        world
    }

    /// Begins anew, as [`Self::new`] does, in the memory of the run before. Blueprint and observer stay as they are.
    pub fn reset(&mut self, setup: Setup, seed: Seed) {
        assert!(setup.nodes > 0 && setup.nodes <= NodeIndex::COUNT_MAX);
        self.seed = seed;
        self.setup = setup;
        self.now = Time::ZERO;
        self.queue.clear();
        self.effects.clear();
        self.network.reset(seed, setup.nodes, setup.links);
        let effects = &mut self.effects;
        let zones = (setup.nodes, P::ZONES.len());
        self.disk.reset(seed, zones, setup.disks, |bytes| effects.recycle(bytes));
        self.commands.drain().for_each(drop);
        self.acting = None;
        self.stepping = None;
        self.watches.clear();
        self.trace.clear();
        self.counters = Counters::default();
        if self.panicked.take().is_some() {
            // Nothing is known of a process that a panic went through, so its memory is not used again.
            self.nodes.clear();
        }
        self.nodes.resize_with(setup.nodes.into(), Node::new);
        for (node, index) in self.nodes.iter_mut().zip(NodeIndex::first(setup.nodes)) {
            node.begin();
            self.queue.push(Time::ZERO, Scheduled::Boot { node: index });
        }
        self.trace.add([seed.number(), setup.nodes.into()]);
    }

    /// Runs until `limit`, or until there is another reason to stop.
    ///
    /// Unless it stopped early, the time is `limit` afterwards (but for [`Time::MAX`], which only means "on").
    pub fn run_until(&mut self, limit: Time) -> Stop {
        self.run_events(limit, u64::MAX)
    }

    /// As [`Self::run_until`], but at most `count` events, after which it stops with [`Stop::Budget`].
    pub fn run_events(&mut self, limit: Time, count: u64) -> Stop {
        if let Some(panicked) = &self.panicked {
            return Stop::Panicked(panicked.clone());
        }
        let events_max = self.setup.events_max.min(self.counters.events.saturating_add(count));
        match catch_unwind(AssertUnwindSafe(|| self.run(limit, events_max))) {
            Ok(stop) => stop,
            Err(payload) => self.on_panic(payload),
        }
    }

    /// Does what happens next.
    pub fn step_one(&mut self) -> Stop {
        self.run_events(Time::MAX, 1)
    }

    fn run(&mut self, limit: Time, events_max: u64) -> Stop {
        loop {
            if self.acting.is_some() {
                self.act();
            }
            if self.watches.is_hit() {
                return Stop::Hit;
            }
            if self.observer.stops() {
                return Stop::Observer;
            }
            if self.counters.events >= events_max {
                return Stop::Budget;
            }
            let Some((time, scheduled)) = self.queue.pop_until(limit) else {
                self.now = if limit == Time::MAX { self.now } else { limit.max(self.now) };
                return if self.queue.is_empty() { Stop::Idle } else { Stop::Reached };
            };
            self.now = time;
            self.counters.events += 1;
            self.happen(scheduled);
        }
    }

    fn on_panic(&mut self, payload: Box<dyn Any + Send>) -> Stop {
        let Some(node) = self.stepping else { resume_unwind(payload) };
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without words".to_owned());
        self.observer.panicked(self.now, node, &message);
        let panicked = Panicked { node, message };
        self.panicked = Some(panicked.clone());
        Stop::Panicked(panicked)
    }

    fn happen(&mut self, scheduled: Scheduled) {
        match scheduled {
            Scheduled::Arrive { packet } => self.arrive(packet),
            Scheduled::Deliver { packet } => self.deliver(packet),
            Scheduled::Written { write } => self.written(write),
            Scheduled::Read { read } => self.read(read),
            Scheduled::Wake { node } => self.wake(node),
            Scheduled::Command { node, command } => self.command_arrives(node, command),
            Scheduled::Boot { node } => self.boot(node),
        }
    }

    /// Puts `scheduled` off until the node is resumed, if it is paused.
    fn is_put_off(&mut self, node: NodeIndex, scheduled: Scheduled) -> bool {
        let node = &mut self.nodes[node.index()];
        if node.pauses > 0 {
            node.backlog.push_back(scheduled);
        }
        node.pauses > 0
    }

    fn arrive(&mut self, slot: u32) {
        let name = self.network.packets.get(slot).name;
        if name.from != name.to && self.network.is_cut(name.from, name.to) {
            self.drop_packet(slot, Dropped::Cut);
        } else {
            self.deliver(slot);
        }
    }

    pub(super) fn drop_packet(&mut self, slot: u32, reason: Dropped) {
        let packet = self.network.packets.take(slot);
        self.note_dropped(&packet, reason);
    }

    fn note_dropped(&mut self, packet: &Packet<P::Message>, reason: Dropped) {
        self.counters.dropped[reason.index()] += 1;
        self.trace_packet(tag::DROPPED, packet, reason.index() as u64);
        self.observer.packet_dropped(self.now, packet, reason);
    }

    fn trace_packet(&mut self, tag: u8, packet: &Packet<P::Message>, more: u64) {
        let name = &packet.name;
        let [a, b, c, d] = name.nth.to_le_bytes();
        let head = [tag, name.from.number(), name.to.number(), name.kind, a, b, c, d];
        let copied = u64::from(packet.copy) << 63;
        self.trace.add([u64::from_le_bytes(head), name.identity, packet.digest, more ^ copied]);
    }

    fn deliver(&mut self, slot: u32) {
        let to = self.network.packets.get(slot).name.to;
        if self.nodes[to.index()].state != NodeState::Up {
            return self.drop_packet(slot, Dropped::NodeDown);
        }
        if self.is_put_off(to, Scheduled::Deliver { packet: slot }) {
            return;
        }
        let packet = self.network.packets.take(slot);
        self.counters.delivered += 1;
        self.trace_packet(tag::DELIVERED, &packet, self.now.as_ns());
        self.observer.packet_delivered(self.now, &packet);
        let name = packet.name;
        self.see(Moment::Delivered, name.kind, (name.to, Some(name.from)), Some(&packet));
        self.step(name.to, Input::Message { from: name.from, message: packet.message });
    }

    /// Tells the watches, if any cares.
    #[inline]
    pub(super) fn see(
        &mut self,
        moment: Moment,
        kind: u8,
        (node, peer): (NodeIndex, Option<NodeIndex>),
        packet: Option<&Packet<P::Message>>,
    ) {
        if self.watches.wants(moment, kind) {
            let packet = packet.map(|packet| packet.name);
            self.watches.see(self.now, Sight { moment, kind, node, peer, packet });
        }
    }

    fn written(&mut self, slot: u32) {
        if self.disk.finish_write(slot) {
            let write = self.disk.writes.get(slot);
            let (node, zone) = (write.node, write.zone);
            self.trace.add(node_words(
                tag::WRITE_ENDED,
                node,
                zone.0,
                [self.now.as_ns(), write.offset],
            ));
            self.observer.write_completed(self.now, write, &self.disk);
            self.see(Moment::WriteEnded, zone.0, (node, None), None);
        }
        let write = self.disk.writes.get(slot);
        let (node, incarnation) = (write.node, write.incarnation);
        let state = write.state();
        if self.is_live(node, incarnation)
            && self.is_put_off(node, Scheduled::Written { write: slot })
        {
            return;
        }
        let write = self.disk.writes.take(slot);
        self.effects.recycle(write.bytes);
        if let WriteState::Done(result) = state
            && self.is_live(node, incarnation)
        {
            self.step(node, Input::Written { token: write.token, result });
        }
    }

    /// Whether this very process still runs.
    fn is_live(&self, node: NodeIndex, incarnation: Incarnation) -> bool {
        let node = &self.nodes[node.index()];
        node.state == NodeState::Up && node.incarnation == incarnation
    }

    fn read(&mut self, slot: u32) {
        let read = self.disk.reads.get(slot);
        let node = read.node;
        if !self.is_live(node, read.incarnation) {
            self.disk.reads.take(slot);
            return;
        }
        if self.is_put_off(node, Scheduled::Read { read: slot }) {
            return;
        }
        let read = self.disk.reads.take(slot);
        let mut bytes = std::mem::take(&mut self.read_buffer);
        bytes.resize(read.size as usize, 0);
        self.disk.read(node, read.zone, read.offset, &mut bytes);
        let words = [self.now.as_ns(), digest(&bytes)];
        self.trace.add(node_words(tag::READ_ENDED, node, read.zone.0, words));
        let result = if read.fails { Err(DiskError::Failed) } else { Ok(&bytes[..]) };
        self.step(node, Input::Read { token: read.token, result });
        self.read_buffer = bytes;
    }

    fn wake(&mut self, index: NodeIndex) {
        let node = &mut self.nodes[index.index()];
        if node.wake != Some(self.now) {
            return;
        }
        node.wake = None;
        node.deadline = None;
        if node.state != NodeState::Up || node.pauses > 0 {
            return;
        }
        let process = node.process.as_ref().expect("a node that is up has a process");
        if process.deadline().is_some_and(|deadline| deadline <= node.clock.local(self.now)) {
            self.trace.add(node_words(tag::DEADLINE, index, 0, [self.now.as_ns(), 0]));
            self.step(index, Input::Deadline);
        } else {
            self.set_wake(index);
        }
    }

    fn command_arrives(&mut self, node: NodeIndex, slot: u32) {
        if self.is_put_off(node, Scheduled::Command { node, command: slot }) {
            return;
        }
        let command = self.commands.take(slot);
        if self.nodes[node.index()].state == NodeState::Up {
            self.trace.add(node_words(tag::COMMAND, node, 0, [self.now.as_ns(), 0]));
            self.step(node, Input::Command(command));
        } else {
            self.counters.commands_dropped += 1;
        }
    }

    fn boot(&mut self, index: NodeIndex) {
        if self.nodes[index.index()].state != NodeState::Booting
            || self.is_put_off(index, Scheduled::Boot { node: index })
        {
            return;
        }
        let node = &mut self.nodes[index.index()];
        node.incarnation = match node.boots {
            0 => Incarnation::FIRST,
            _ => node.incarnation.next(),
        };
        node.boots += 1;
        node.state = NodeState::Up;
        let number = u64::from(index.number()) << 32 | u64::from(node.incarnation.number());
        let seed = self.seed.derive("process", number);
        let boot = Boot {
            node: index,
            incarnation: node.incarnation,
            seed,
            now: node.clock.local(self.now),
        };
        self.stepping = Some(index);
        match &mut node.process {
            Some(process) => process.reboot(&self.blueprint, &boot),
            none => *none = Some(P::boot(&self.blueprint, &boot)),
        }
        self.stepping = None;
        self.counters.boots += 1;
        self.trace.add(node_words(tag::BOOTED, index, 0, [self.now.as_ns(), number]));
        self.observer.node_booted(self.now, index, boot.incarnation);
        self.see(Moment::Booted, 0, (index, None), None);
        self.step(index, Input::Start);
    }

    /// Lets a process take an input, and carries out what it answers.
    fn step(&mut self, index: NodeIndex, input: Input<'_, P>) {
        let node = &mut self.nodes[index.index()];
        let process = node.process.as_mut().expect("a node that is up has a process");
        self.observer.before_step(self.now, index, process, &input);
        let mut context = Context::new(&mut self.effects, index, node.clock.wall(self.now));
        self.stepping = Some(index);
        process.step(node.clock.local(self.now), input, &mut context);
        self.stepping = None;
        self.counters.steps += 1;
        self.acting = Some(index);
        self.act();
    }

    /// Carries out effects until none are left, or until a watch was hit: then the driver has its turn first.
    fn act(&mut self) {
        let node = self.acting.expect("effects are those of a node");
        loop {
            if self.watches.is_hit() {
                return;
            }
            match self.effects.pop() {
                Some(Effect::Send { to, message }) => self.send(node, to, message),
                Some(Effect::Write { token, zone, offset, bytes }) => {
                    self.start_write(node, token, (zone, offset), bytes);
                }
                Some(Effect::Read { token, zone, offset, size }) => {
                    self.start_read(node, token, (zone, offset), size);
                }
                Some(Effect::Event(event)) => self.tell(node, &event),
                None => break,
            }
        }
        self.acting = None;
        let process = self.nodes[node.index()].process.as_ref();
        let process = process.expect("a node that acts has a process");
        self.observer.after_step(self.now, node, process);
        self.set_wake(node);
    }

    fn send(&mut self, from: NodeIndex, to: NodeIndex, message: P::Message) {
        assert!(to.number() < self.setup.nodes);
        assert!(usize::from(message.kind()) < P::MESSAGE_KINDS.len());
        let (packet, fate) = self.network.pack(self.now, (from, to), message);
        let name = packet.name;
        self.counters.sent += 1;
        self.counters.sent_bytes += u64::from(packet.message.size());
        self.observer.packet_sent(self.now, &packet);
        self.see(Moment::Sent, name.kind, (from, Some(to)), Some(&packet));
        match self.network.route(self.now, &name, fate) {
            Route::Drop(reason) => self.note_dropped(&packet, reason),
            Route::Hold => {
                self.trace_packet(tag::HELD, &packet, 0);
                let slot = self.network.packets.insert(packet);
                self.network.hold(slot);
            }
            Route::Carry { arrives, copy_arrives } => {
                self.trace_packet(tag::CARRIED, &packet, arrives.as_ns());
                if let Some(arrives) = copy_arrives {
                    let mut copy = packet.clone();
                    copy.copy = 1;
                    self.counters.duplicated += 1;
                    self.observer.packet_duplicated(self.now, &copy);
                    let packet = self.network.packets.insert(copy);
                    self.queue.push(arrives, Scheduled::Arrive { packet });
                }
                let packet = self.network.packets.insert(packet);
                self.queue.push(arrives, Scheduled::Arrive { packet });
            }
        }
    }

    fn start_write(&mut self, node: NodeIndex, token: Token, place: (Zone, u64), bytes: Vec<u8>) {
        let incarnation = self.nodes[node.index()].incarnation;
        self.counters.writes += 1;
        let words = [place.1, digest(&bytes)];
        self.trace.add(node_words(tag::WRITE_STARTED, node, place.0.0, words));
        let write = Write::new((node, incarnation), self.now, token, place, bytes);
        let (slot, delay) = self.disk.start_write(write);
        self.queue.push(self.now.plus(delay), Scheduled::Written { write: slot });
        self.observer.write_started(self.now, self.disk.writes.get(slot), &self.disk);
        self.see(Moment::WriteStarted, place.0.0, (node, None), None);
    }

    fn start_read(
        &mut self,
        node: NodeIndex,
        token: Token,
        (zone, offset): (Zone, u64),
        size: u32,
    ) {
        let incarnation = self.nodes[node.index()].incarnation;
        self.counters.reads += 1;
        self.trace.add(node_words(tag::READ_STARTED, node, zone.0, [offset, size.into()]));
        let (slot, delay) = self.disk.start_read(Read {
            node,
            incarnation,
            token,
            zone,
            offset,
            size,
            fails: false,
        });
        self.queue.push(self.now.plus(delay), Scheduled::Read { read: slot });
    }

    fn tell(&mut self, node: NodeIndex, event: &P::Event) {
        let kind = event.kind();
        assert!(usize::from(kind) < P::EVENT_KINDS.len());
        self.trace.add(node_words(tag::EVENT, node, kind, [self.now.as_ns(), event.digest()]));
        self.observer.event(self.now, node, event);
        self.see(Moment::Event, kind, (node, None), None);
    }

    /// Sees to it that the process's deadline is looked at in time. A wake that is too early looks again.
    pub(super) fn set_wake(&mut self, index: NodeIndex) {
        let node = &mut self.nodes[index.index()];
        let process = node.process.as_ref().expect("a node that is up has a process");
        let Some(deadline) = process.deadline() else { return };
        if node.deadline.is_some_and(|served| served <= deadline) {
            return;
        }
        node.deadline = Some(deadline);
        let time = node.clock.world(deadline).max(self.now);
        if node.wake.is_none_or(|wake| time < wake) {
            node.wake = Some(time);
            self.queue.push(time, Scheduled::Wake { node: index });
        }
    }

    /// Waits for `pattern` to be seen `nth` times from now; the run then stops at that moment with [`Stop::Hit`], in the
    /// middle of a step's effects if it must. A node that is crashed there never carries out the rest of them.
    pub fn watch(&mut self, pattern: Pattern, nth: u32) -> WatchId {
        self.watches.add(pattern, nth)
    }

    /// Waits no longer.
    pub fn unwatch(&mut self, watch: WatchId) {
        self.watches.remove(watch);
    }

    /// Takes the oldest hit. A world with hits left to take does not run.
    pub fn take_hit(&mut self) -> Option<Hit> {
        self.watches.take_hit()
    }
}

/// A record of the trace that is about a node.
pub(super) const fn node_words(tag: u8, node: NodeIndex, kind: u8, more: [u64; 2]) -> [u64; 3] {
    [u64::from_le_bytes([tag, node.number(), kind, 0, 0, 0, 0, 0]), more[0], more[1]]
}

impl<P> Node<P> {
    fn new() -> Self {
        Self {
            state: NodeState::Booting,
            process: None,
            incarnation: Incarnation::FIRST,
            boots: 0,
            clock: Clock::default(),
            wake: None,
            deadline: None,
            pauses: 0,
            backlog: VecDeque::new(),
        }
    }

    /// Begins anew; the remains of the process are kept for their memory.
    fn begin(&mut self) {
        self.state = NodeState::Booting;
        self.incarnation = Incarnation::FIRST;
        self.boots = 0;
        self.clock = Clock::default();
        self.wake = None;
        self.deadline = None;
        self.pauses = 0;
        self.backlog.clear();
    }
}
