//! A world: nodes, the network between them, their disks and clocks, and what is to happen next.
//!
//! One event at a time, in exact order; nothing else moves. Whoever drives the world runs it up to a moment, and may do
//! things to it whenever it stands still: see [`super::control`].

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use serde::Serialize;

use super::clock::Clock;
use super::disk::{Disk, DiskRates, ReadBuffer};
use super::network::{Dropped, LinkRates, Network};
use super::node::{Incarnation, NodeIndex};
use super::observer::Observer;
use super::process::{Effects, Process};
use super::queue::Queue;
use super::random::Seed;
use super::slab::Slab;
use super::time::{LocalTime, Time};
use super::trace::Trace;
use super::watch::{Hit, Pattern, WatchId, Watches};

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
    pub(super) stepping: Option<NodeIndex>,
    pub(super) watches: Watches,
    pub(super) trace: Trace,
    pub(super) counters: Counters,
    pub(super) observer: O,
    panicked: Option<Panicked>,
    pub(super) read_buffer: ReadBuffer,
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
            read_buffer: ReadBuffer::default(),
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
        let kinds = (setup.nodes, P::MESSAGE_KINDS.len());
        self.network.reset(seed, kinds, setup.links);
        let effects = &mut self.effects;
        let zones = (setup.nodes, P::ZONES.len());
        self.disk.reset(seed, zones, setup.disks, |bytes| effects.recycle(bytes));
        self.effects.trim();
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
            self.observer.event_begins(time, self.counters.events, &self.trace);
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
