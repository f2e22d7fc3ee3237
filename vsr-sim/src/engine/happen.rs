//! What happens, one event at a time: the rules by which a world moves.

use super::disk::{Finish, Read, Write, WriteState};
use super::network::{Dropped, Packet, Route};
use super::node::{Incarnation, NodeIndex};
use super::observer::Observer;
use super::process::{Boot, Context, Effect, Event as _, Input, Process, Token, Zone};
use super::time::Time;
use super::trace::digest;
use super::watch::{Moment, Sight};
use super::world::{NodeState, Scheduled, World};

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
    pub(super) const WRITE_FAILED: u8 = 14;
    pub(super) const MISHAP: u8 = 15;
}

impl<P: Process, O: Observer<P>> World<P, O> {
    pub(super) fn happen(&mut self, scheduled: Scheduled) {
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

    #[inline(never)]
    fn note_dropped(&mut self, packet: &Packet<P::Message>, reason: Dropped) {
        self.counters.dropped[reason.index()] += 1;
        self.trace_packet(tag::DROPPED, packet, reason.index() as u64);
        self.observer.packet_dropped(self.now, packet, reason);
    }

    /// What the packet is about is part of its digest.
    fn trace_packet(&mut self, tag: u8, packet: &Packet<P::Message>, more: u64) {
        let name = &packet.name;
        let ends =
            u64::from_le_bytes([tag, name.from.number(), name.to.number(), name.kind, 0, 0, 0, 0]);
        let copied = u64::from(packet.copy) << 63;
        self.trace.add([ends | u64::from(name.nth) << 32, packet.digest, more ^ copied]);
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
            let identity = packet.map(|packet| packet.identity);
            self.watches.see(self.now, Sight { moment, kind, node, peer, packet, identity });
        }
    }

    fn written(&mut self, slot: u32) {
        let finish = self.disk.finish_write(self.now, slot);
        if let Finish::NotYet(time) = finish {
            self.queue.push(time, Scheduled::Written { write: slot });
            return;
        }
        self.write_finished(slot, finish);
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

    /// Tells what came of a write.
    fn write_finished(&mut self, slot: u32, finish: Finish) {
        let write = self.disk.writes.get(slot);
        let (node, zone) = (write.node, write.zone);
        let words = [self.now.as_ns(), write.offset];
        match finish {
            Finish::Durable => {
                self.trace.add(node_words(tag::WRITE_ENDED, node, zone.0, words));
                self.observer.write_completed(self.now, write, &self.disk);
            }
            Finish::Failed(resolution) => {
                self.trace.add(node_words(tag::WRITE_FAILED, node, zone.0, words));
                self.observer.write_resolved(self.now, write, resolution, &self.disk);
            }
            Finish::Over | Finish::NotYet(_) | Finish::Landed => {}
        }
        self.tell_mishaps();
        if finish == Finish::Durable {
            self.see(Moment::WriteEnded, zone.0, (node, None), None);
        }
    }

    /// Tells what has gone wrong on disks.
    #[inline]
    pub(super) fn tell_mishaps(&mut self) {
        while let Some(mishap) = self.disk.take_mishap() {
            let words = [mishap.offset, mishap.size << 8 | u64::from(mishap.kind as u8)];
            self.trace.add(node_words(tag::MISHAP, mishap.node, mishap.zone.0, words));
            self.observer.disk_mishap(self.now, &mishap, &self.disk);
        }
    }

    /// Whether this very process still runs.
    fn is_live(&self, node: NodeIndex, incarnation: Incarnation) -> bool {
        let node = &self.nodes[node.index()];
        node.state == NodeState::Up && node.incarnation == incarnation
    }

    #[inline(never)]
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
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let result = self.disk.finish_read(&read, &mut buffer);
        let words = [self.now.as_ns(), digest(buffer.bytes())];
        self.trace.add(node_words(tag::READ_ENDED, node, read.zone.0, words));
        self.tell_mishaps();
        let result = result.map(|()| buffer.bytes());
        self.step(node, Input::Read { token: read.token, result });
        self.read_buffer = buffer;
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

    #[inline(never)]
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

    #[inline(never)]
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
    pub(super) fn act(&mut self) {
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
        let (packet, fate, size) = self.network.pack(self.now, (from, to), message);
        let name = packet.name;
        self.counters.sent += 1;
        self.counters.sent_bytes += u64::from(size);
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
                    self.duplicate(&packet, arrives);
                }
                let packet = self.network.packets.insert(packet);
                self.queue.push(arrives, Scheduled::Arrive { packet });
            }
        }
    }

    #[cold]
    fn duplicate(&mut self, packet: &Packet<P::Message>, arrives: Time) {
        let copy = Packet { copy: 1, ..packet.clone() };
        self.counters.duplicated += 1;
        self.observer.packet_duplicated(self.now, &copy);
        let packet = self.network.packets.insert(copy);
        self.queue.push(arrives, Scheduled::Arrive { packet });
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

    #[inline(never)]
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
        let read = Read::new((node, incarnation), token, (zone, offset, size));
        let (slot, delay) = self.disk.start_read(read);
        self.queue.push(self.now.plus(delay), Scheduled::Read { read: slot });
    }

    fn tell(&mut self, node: NodeIndex, event: &P::Event) {
        let (kind, digest) = event.describe();
        assert!(usize::from(kind) < P::EVENT_KINDS.len());
        // It is said in a step, whose record has the time.
        self.trace.add([node_word(tag::EVENT, node, kind), digest]);
        self.observer.event(self.now, node, event);
        let moment = Moment::Event;
        if self.watches.wants(moment, kind) {
            let (peer, packet, identity) = (None, None, event.identity());
            self.watches.see(self.now, Sight { moment, kind, node, peer, packet, identity });
        }
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
}

/// What a record of the trace begins with that is about a node.
const fn node_word(tag: u8, node: NodeIndex, kind: u8) -> u64 {
    u64::from_le_bytes([tag, node.number(), kind, 0, 0, 0, 0, 0])
}

/// A record of the trace that is about a node.
pub(super) const fn node_words(tag: u8, node: NodeIndex, kind: u8, more: [u64; 2]) -> [u64; 3] {
    [node_word(tag, node, kind), more[0], more[1]]
}
