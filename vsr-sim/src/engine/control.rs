//! What may be done to a world, and asked of it, while it stands still.

use super::disk::{Disk, Doom, Resolution, Rot, Spot};
use super::happen::node_words;
use super::network::{Dropped, Network, NetworkFaultId};
use super::node::{Incarnation, NodeIndex, NodeSet};
use super::observer::Observer;
use super::process::{Process, Zone};
use super::random::{Fate, Seed};
use super::time::{LocalTime, Span, Time, WallTime};
use super::watch::Moment;
use super::world::{Counters, NodeState, Scheduled, Setup, World};

/// The words that begin the records of the trace that are made here.
mod tag {
    pub(super) const RELEASED: u8 = 4;
    pub(super) const CRASHED: u8 = 20;
    pub(super) const RESOLVED: u8 = 21;
}

impl<P: Process, O: Observer<P>> World<P, O> {
    /// Ends the process of a node at this moment, its effects that are not yet carried out included. Each of its writes
    /// under way is kept, lost or torn. False, and nothing changes, if there is none; so too for a node about to boot.
    pub fn crash(&mut self, index: NodeIndex) -> bool {
        let node = &mut self.nodes[index.index()];
        if node.state != NodeState::Up {
            return false;
        }
        node.state = NodeState::Down;
        (node.wake, node.deadline) = (None, None);
        let backlog = std::mem::take(&mut node.backlog);
        let process = node.process.as_ref().expect("a node that is up has a process");
        self.counters.crashes += 1;
        self.trace.add(node_words(tag::CRASHED, index, 0, [self.now.as_ns(), 0]));
        self.observer.node_crashed(self.now, index, process);
        if self.acting == Some(index) {
            self.acting = None;
            self.effects.clear();
        }
        self.resolve_writes(index);
        for scheduled in backlog {
            self.forget(scheduled);
        }
        self.see(Moment::Crashed, 0, (index, None), None);
        true
    }

    fn resolve_writes(&mut self, node: NodeIndex) {
        if self.disk.writes_under_way(node).len() > 0 {
            self.counters.crashes_while_writing += 1;
        }
        while let Some((slot, resolution)) = self.disk.resolve_next(self.now, node) {
            self.counters.writes_resolved += 1;
            let write = self.disk.writes.get(slot);
            let (new, old) = match resolution {
                Resolution::Kept => (1, 0),
                Resolution::Lost | Resolution::Late => (0, 1),
                Resolution::Torn { new, old } => {
                    self.counters.writes_torn += 1;
                    (new, old)
                }
            };
            let words = [write.offset, u64::from(new) << 32 | u64::from(old)];
            self.trace.add(node_words(tag::RESOLVED, node, write.zone.0, words));
            self.observer.write_resolved(self.now, write, resolution, &self.disk);
        }
    }

    /// What waited for a paused process that is gone.
    fn forget(&mut self, scheduled: Scheduled) {
        match scheduled {
            Scheduled::Arrive { packet } | Scheduled::Deliver { packet } => {
                self.drop_packet(packet, Dropped::NodeDown);
            }
            Scheduled::Written { write } => {
                let write = self.disk.writes.take(write);
                self.effects.recycle(write.bytes);
            }
            Scheduled::Read { read } => drop(self.disk.reads.take(read)),
            Scheduled::Command { command, .. } => {
                self.commands.take(command);
                self.counters.commands_dropped += 1;
            }
            Scheduled::Wake { .. } | Scheduled::Boot { .. } => {}
        }
    }

    /// Boots a node that is down, as the next thing that happens at this moment. False if it is not down.
    pub fn restart(&mut self, index: NodeIndex) -> bool {
        let node = &mut self.nodes[index.index()];
        if node.state != NodeState::Down {
            return false;
        }
        node.state = NodeState::Booting;
        self.queue.push(self.now, Scheduled::Boot { node: index });
        true
    }

    /// Stops a node's process without its knowing: what happens to it waits. Pauses are counted.
    pub fn pause(&mut self, index: NodeIndex) {
        self.nodes[index.index()].pauses += 1;
    }

    /// Takes one pause back. After the last one, all that waited happens, in order. False if the node was not paused.
    pub fn resume(&mut self, index: NodeIndex) -> bool {
        let node = &mut self.nodes[index.index()];
        if node.pauses == 0 {
            return false;
        }
        node.pauses -= 1;
        if node.pauses == 0 {
            for scheduled in node.backlog.drain(..) {
                self.queue.push(self.now, scheduled);
            }
            if self.nodes[index.index()].state == NodeState::Up {
                self.set_wake(index);
            }
        }
        true
    }

    /// Lets a node's clock run too fast by `skew_ppm`, or too slow if it is negative; see
    /// [`SKEW_PPM_MAX`](super::clock::SKEW_PPM_MAX).
    pub fn set_skew(&mut self, index: NodeIndex, skew_ppm: i32) {
        let node = &mut self.nodes[index.index()];
        node.clock.set_skew(self.now, skew_ppm);
        node.deadline = None;
        if node.state == NodeState::Up {
            self.set_wake(index);
        }
    }

    /// By how many parts per million a node's clock runs too fast.
    #[must_use]
    pub fn skew_ppm(&self, node: NodeIndex) -> i32 {
        self.nodes[node.index()].clock.skew_ppm()
    }

    /// Lets a node's wall clock jump.
    pub fn jump_wall_clock(&mut self, node: NodeIndex, by_ns: i64) {
        self.nodes[node.index()].clock.jump(by_ns);
    }

    /// Gives a node work, as the next thing that happens at this moment. It is lost if the node is down by then.
    pub fn command(&mut self, node: NodeIndex, command: P::Command) {
        let command = self.commands.insert(command);
        self.queue.push(self.now, Scheduled::Command { node, command });
    }

    /// Spoils a sector of a disk; false if there is none such that may be spoiled. The fate decides what is left open.
    pub fn spoil(
        &mut self,
        (node, zone): (NodeIndex, Zone),
        spot: Spot,
        rot: Rot,
        fate: Fate,
    ) -> bool {
        let is_done = self.disk.spoil((node, zone), spot, rot, fate);
        self.tell_mishaps();
        is_done
    }

    /// Decides what becomes of the newest write under way in a zone; false if there is none, or none of which that may become.
    pub fn doom_write(&mut self, node: NodeIndex, zone: Zone, doom: Doom) -> bool {
        self.disk.doom_newest(node, zone, doom)
    }

    /// Lets all that is being written to a disk fail at once, when the first of it is due. False if nothing is being written.
    pub fn fail_flush(&mut self, node: NodeIndex) -> bool {
        self.disk.doom_all(node)
    }

    /// Makes the disk of a node that is down a new one. False, and nothing changes, if the node is not down, or if that may not be.
    pub fn wipe(&mut self, node: NodeIndex) -> bool {
        let is_done = self.state(node) == NodeState::Down && self.disk.wipe(node);
        self.tell_mishaps();
        is_done
    }

    /// Takes back a fault of the network; packets that nothing holds any longer set out. False if it was over already.
    pub fn lift(&mut self, fault: NetworkFaultId) -> bool {
        let (queue, trace, now) = (&mut self.queue, &mut self.trace, self.now);
        // A little apart, so that they arrive in the order in which they were sent.
        let mut place = 0;
        self.network.lift(fault, |packet, latency| {
            let time = now.plus(latency).plus(Span::from_ns(place));
            place += 1;
            trace.add([tag::RELEASED.into(), packet.into(), time.as_ns()]);
            queue.push(time, Scheduled::Arrive { packet });
        })
    }

    /// Takes back every fault of the network.
    pub fn heal_network(&mut self) {
        for fault in self.network.faults_on() {
            self.lift(fault);
        }
    }

    /// This moment.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// When the next thing happens, if anything does.
    #[must_use]
    pub fn next_time(&self) -> Option<Time> {
        self.queue.next_time()
    }

    /// The seed of the run.
    #[must_use]
    pub const fn seed(&self) -> Seed {
        self.seed
    }

    /// What the world was built with.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The hash of all that has happened.
    #[must_use]
    pub fn trace_hash(&self) -> u128 {
        self.trace.hash()
    }

    /// How often things have happened.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What processes are built from.
    #[must_use]
    pub const fn blueprint(&self) -> &P::Blueprint {
        &self.blueprint
    }

    /// As [`Self::blueprint`]; a change counts from the next boot on.
    pub const fn blueprint_mut(&mut self) -> &mut P::Blueprint {
        &mut self.blueprint
    }

    /// Who watches.
    #[must_use]
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// Who watches.
    pub const fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// The network: what is cut and what is under way.
    #[must_use]
    pub const fn network(&self) -> &Network<P::Message> {
        &self.network
    }

    /// The network, to put faults on it.
    pub const fn network_mut(&mut self) -> &mut Network<P::Message> {
        &mut self.network
    }

    /// The disks: what is durable and what is under way.
    #[must_use]
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The disks, to put faults on them.
    pub const fn disk_mut(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// All nodes.
    pub fn nodes(
        &self,
    ) -> impl DoubleEndedIterator<Item = NodeIndex> + ExactSizeIterator + Clone + use<P, O> {
        NodeIndex::first(self.setup.nodes)
    }

    /// The process of a node, if it is up.
    #[must_use]
    pub fn process(&self, node: NodeIndex) -> Option<&P> {
        let node = &self.nodes[node.index()];
        node.process.as_ref().filter(|_| node.state == NodeState::Up)
    }

    /// Whether a node has a process.
    #[must_use]
    pub fn state(&self, node: NodeIndex) -> NodeState {
        self.nodes[node.index()].state
    }

    /// The nodes that are up or about to be.
    #[must_use]
    pub fn alive(&self) -> NodeSet {
        self.nodes().filter(|node| self.state(*node) != NodeState::Down).collect()
    }

    /// Whether a node is paused.
    #[must_use]
    pub fn is_paused(&self, node: NodeIndex) -> bool {
        self.nodes[node.index()].pauses > 0
    }

    /// The incarnation of a node's process, or of its last one.
    #[must_use]
    pub fn incarnation(&self, node: NodeIndex) -> Incarnation {
        self.nodes[node.index()].incarnation
    }

    /// What a node's monotonic clock shows.
    #[must_use]
    pub fn local_time(&self, node: NodeIndex) -> LocalTime {
        self.nodes[node.index()].clock.local(self.now)
    }

    /// What a node's wall clock shows.
    #[must_use]
    pub fn wall_time(&self, node: NodeIndex) -> WallTime {
        self.nodes[node.index()].clock.wall(self.now)
    }
}
