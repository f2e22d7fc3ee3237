//! The contract of what is simulated: a process that is handed inputs and answers with effects.
//!
//! A process does no input or output of its own. It is told what happened ([`Input`]), changes its state, and says
//! through its [`Context`] what should be done. The world does it, in that order. Another protocol joins the
//! simulator by implementing [`Process`].

use std::collections::VecDeque;
use std::fmt;

use super::node::{Incarnation, NodeIndex};
use super::random::Seed;
use super::time::{LocalTime, WallTime};

/// What the world wants to know of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// The kind, an index into [`Process::MESSAGE_KINDS`].
    pub kind: u8,
    /// What the message is about: an operation, a view, a request. With its link and kind it names the packet, so a
    /// message that is sent again must have the same identity, and one about another thing another.
    pub identity: u64,
    /// A hash of all that the message says, its identity included, for the trace hash. It must be the same on every machine.
    pub digest: u64,
    /// The length in bytes that the message would have on the wire.
    pub size: u32,
}

/// What processes send each other. It crosses the simulated network as a value.
pub trait Message: Clone + fmt::Debug {
    /// All that the world wants to know of it: asked for once for each packet, and at once, for to tell one kind of message from the
    /// others is what costs most.
    fn describe(&self) -> Described;
}

/// What a process says about itself, as it happens. Observers and triggers listen; nothing else depends on it.
pub trait Event: fmt::Debug {
    /// The kind, an index into [`Process::EVENT_KINDS`], and a hash of all that the event says, for the trace hash. It must be the same
    /// on every machine.
    fn describe(&self) -> (u8, u64);

    /// What it is about, for triggers: a number as in [`Described::identity`], where the kind has one.
    fn identity(&self) -> Option<u64> {
        None
    }
}

/// What a node runs.
pub trait Process: Sized {
    /// What nodes send each other.
    type Message: Message;
    /// What a process says about itself.
    type Event: Event;
    /// Work that whoever drives the world gives a node, such as a client's next request.
    type Command: fmt::Debug;
    /// What processes are built from; one for the whole world.
    type Blueprint;

    /// The names of the kinds of messages, for people and for triggers; at most 64.
    const MESSAGE_KINDS: &'static [&'static str];
    /// The names of the kinds of events, for people and for triggers; at most 64.
    const EVENT_KINDS: &'static [&'static str];
    /// The names of the zones of the node's disk; at most 64.
    const ZONES: &'static [&'static str];

    /// The process that a node begins with, or comes back with after a crash.
    ///
    /// It knows nothing of the process before it: what it wants to know it must read from its disk, and its first
    /// input, [`Input::Start`], is the moment to ask.
    fn boot(blueprint: &Self::Blueprint, boot: &Boot) -> Self;

    /// As [`Self::boot`], but may use again the memory of a process that is gone. It must behave as a booted one.
    fn reboot(&mut self, blueprint: &Self::Blueprint, boot: &Boot) {
        *self = Self::boot(blueprint, boot);
    }

    /// Takes one input at the local time `now` and answers with effects. `now` never decreases.
    ///
    /// It must be a function of the process and the arguments: no clock, entropy or address of its own.
    fn step(&mut self, now: LocalTime, input: Input<'_, Self>, context: &mut Context<'_, Self>);

    /// When the process wants an [`Input::Deadline`], if nothing else happens before. Asked for after each step.
    ///
    /// One that is already past is served at once, so a step that is given a deadline must move it on.
    fn deadline(&self) -> Option<LocalTime>;
}

/// What a process is told when it is booted.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// The node that it runs on.
    pub node: NodeIndex,
    /// How many processes ran on the node before.
    pub incarnation: Incarnation,
    /// For randomness of its own; another for each node and each incarnation.
    pub seed: Seed,
    /// The node's clock at this moment.
    pub now: LocalTime,
}

/// A number by which a process knows the completion of a read or write that it asked for.
///
/// The world hands it back as it is. It may be used again, even while it is in use, if the process can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A zone of a node's disk: an index into [`Process::ZONES`]. Zones have their own addresses, from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone(pub u8);

impl Zone {
    /// The number, to look something up in a table of zones.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Why a disk did not do as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// The device reported a failure. Nothing may be assumed of the bytes that a failed write was meant for.
    Failed,
    /// There is no room: a write of which nothing is on the disk.
    Full,
}

/// What happens to a process.
#[derive(Debug)]
pub enum Input<'a, P: Process> {
    /// The process was just booted: the first input of each.
    Start,
    /// A message arrived. It may be old, repeated, out of order, or meant for an earlier process of this node.
    Message {
        /// The node that sent it.
        from: NodeIndex,
        /// What it sent.
        message: P::Message,
    },
    /// Work from whoever drives the world.
    Command(P::Command),
    /// A write is done: durable if `Ok`.
    Written {
        /// The token that it was asked for with.
        token: Token,
        /// Whether the device took it.
        result: Result<(), DiskError>,
    },
    /// A read is done.
    Read {
        /// The token that it was asked for with.
        token: Token,
        /// The bytes, as many as were asked for; those never written are zero.
        result: Result<&'a [u8], DiskError>,
    },
    /// The process's [`Process::deadline`] has come.
    Deadline,
}

/// What a process wants done. Effects are carried out in the order in which they were asked for.
#[derive(Debug)]
pub enum Effect<P: Process> {
    /// Send `message` to the node `to`.
    Send {
        /// Who is to get it.
        to: NodeIndex,
        /// What to send.
        message: P::Message,
    },
    /// Write `bytes` to the disk; [`Input::Written`] tells when they are durable.
    Write {
        /// To be given back at completion.
        token: Token,
        /// Where.
        zone: Zone,
        /// The first byte's address within the zone.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// Read from the disk; [`Input::Read`] brings the bytes.
    Read {
        /// To be given back at completion.
        token: Token,
        /// Where.
        zone: Zone,
        /// The first byte's address within the zone.
        offset: u64,
        /// How many bytes.
        size: u32,
    },
    /// Tell observers.
    Event(P::Event),
}

/// The ordered list of effects of one step, and the memory that lists use again.
#[derive(Debug)]
pub struct Effects<P: Process> {
    list: VecDeque<Effect<P>>,
    /// By size, apart: were a small write given any of them, all would be as large as the largest in the end, and none in the cache.
    buffers: [Vec<Vec<u8>>; 3],
}

/// The most bytes that a small buffer has room for, and one for a sector. Both have room for so many from the beginning.
const SMALL_BUFFER: usize = 1024;
const SECTOR_BUFFER: usize = 4096;

/// How much memory of buffers for larger writes, of either kind, is kept for the next run.
const BUFFERS_KEPT: usize = 1 << 18;

/// Which of the buffers are for so many bytes.
fn buffers_for(size: usize) -> usize {
    usize::from(size > SMALL_BUFFER) + usize::from(size > SECTOR_BUFFER)
}

impl<P: Process> Default for Effects<P> {
    fn default() -> Self {
        Self { list: VecDeque::new(), buffers: [const { Vec::new() }; 3] }
    }
}

impl<P: Process> Effects<P> {
    /// Takes out the first effect that is left.
    pub fn pop(&mut self) -> Option<Effect<P>> {
        self.list.pop_front()
    }

    /// Whether none are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Drops what is left, but not the memory.
    pub fn clear(&mut self) {
        while let Some(effect) = self.list.pop_front() {
            if let Effect::Write { bytes, .. } = effect {
                self.recycle(bytes);
            }
        }
    }

    /// Gives back the memory of buffers that most runs do not need.
    pub(super) fn trim(&mut self) {
        for buffers in &mut self.buffers[1..] {
            let mut kept = 0;
            buffers.retain(|buffer| {
                kept += buffer.capacity();
                kept <= BUFFERS_KEPT
            });
        }
    }

    /// An empty buffer, from those given back if there is one.
    pub(super) fn buffer(&mut self, size: usize) -> Vec<u8> {
        let class = buffers_for(size);
        let room = [SMALL_BUFFER, SECTOR_BUFFER, size][class];
        self.buffers[class].pop().unwrap_or_else(|| Vec::with_capacity(room))
    }

    /// Gives back a buffer that is no longer needed.
    pub(super) fn recycle(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.buffers[buffers_for(bytes.capacity())].push(bytes);
    }
}

/// A process's way to the world during one step.
#[derive(Debug)]
pub struct Context<'a, P: Process> {
    effects: &'a mut Effects<P>,
    node: NodeIndex,
    wall: WallTime,
}

impl<'a, P: Process> Context<'a, P> {
    /// A context that appends to `effects`, on a `node` whose wall clock shows `wall`.
    pub const fn new(effects: &'a mut Effects<P>, node: NodeIndex, wall: WallTime) -> Self {
        Self { effects, node, wall }
    }

    /// The node that the process runs on.
    #[must_use]
    pub const fn node(&self) -> NodeIndex {
        self.node
    }

    /// What the node's wall clock shows; unlike `now` it may be wrong, and may jump.
    #[must_use]
    pub const fn wall(&self) -> WallTime {
        self.wall
    }

    /// Sends `message` to the node `to`. It may get lost, come late or come twice.
    pub fn send(&mut self, to: NodeIndex, message: P::Message) {
        self.effects.list.push_back(Effect::Send { to, message });
    }

    /// Starts to write `bytes`. Several writes may be under way and may end in any order; only what an
    /// [`Input::Written`] was seen for is sure to survive a crash.
    pub fn write(&mut self, token: Token, zone: Zone, offset: u64, bytes: &[u8]) {
        let mut buffer = self.effects.buffer(bytes.len());
        buffer.extend_from_slice(bytes);
        self.effects.list.push_back(Effect::Write { token, zone, offset, bytes: buffer });
    }

    /// As [`Self::write`], for a caller that builds the bytes in place: `fill` is given an empty buffer.
    pub fn write_with(
        &mut self,
        token: Token,
        zone: Zone,
        offset: u64,
        fill: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut bytes = self.effects.buffer(0);
        fill(&mut bytes);
        self.effects.list.push_back(Effect::Write { token, zone, offset, bytes });
    }

    /// Starts to read `size` bytes.
    pub fn read(&mut self, token: Token, zone: Zone, offset: u64, size: u32) {
        self.effects.list.push_back(Effect::Read { token, zone, offset, size });
    }

    /// Says something about the process.
    pub fn event(&mut self, event: P::Event) {
        self.effects.list.push_back(Effect::Event(event));
    }
}
