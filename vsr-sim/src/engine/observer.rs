//! Who watches a world. Every method does nothing unless it is written, so what nobody watches costs nothing.

use super::disk::{Disk, Mishap, Resolution, Write};
use super::network::{Dropped, Packet};
use super::node::{Incarnation, NodeIndex};
use super::process::{Input, Process};
use super::time::Time;
use super::trace::Trace;

/// Hears all that happens in a world, in order, as it happens.
///
/// An observer cannot change the run; it may end it, by [`Observer::stops`].
pub trait Observer<P: Process> {
    /// The event of the world of this number, counted from one, is about to happen; `trace` holds all that was before it.
    fn event_begins(&mut self, now: Time, number: u64, trace: &Trace) {
        let _ = (now, number, trace);
    }

    /// A process handed a packet to the network. What became of it follows.
    fn packet_sent(&mut self, now: Time, packet: &Packet<P::Message>) {
        let _ = (now, packet);
    }

    /// The network let go of a packet, when it was sent or when it should have arrived.
    fn packet_dropped(&mut self, now: Time, packet: &Packet<P::Message>, reason: Dropped) {
        let _ = (now, packet, reason);
    }

    /// The network made a second copy of a packet.
    fn packet_duplicated(&mut self, now: Time, packet: &Packet<P::Message>) {
        let _ = (now, packet);
    }

    /// A packet arrived and is about to be given to the process.
    fn packet_delivered(&mut self, now: Time, packet: &Packet<P::Message>) {
        let _ = (now, packet);
    }

    /// A write was handed to the disk; its bytes are not yet to be seen there.
    fn write_started(&mut self, now: Time, write: &Write, disk: &Disk) {
        let _ = (now, write, disk);
    }

    /// A write is durable, or the disk says so; the process is about to be told.
    fn write_completed(&mut self, now: Time, write: &Write, disk: &Disk) {
        let _ = (now, write, disk);
    }

    /// A crash, or a failure, decided what became of a write that was under way; the disk shows it.
    fn write_resolved(&mut self, now: Time, write: &Write, resolution: Resolution, disk: &Disk) {
        let _ = (now, write, resolution, disk);
    }

    /// Something went wrong on a disk, which shows what came of it. What is written elsewhere, or not at all, was told as
    /// [`Self::write_completed`] just before.
    fn disk_mishap(&mut self, now: Time, mishap: &Mishap, disk: &Disk) {
        let _ = (now, mishap, disk);
    }

    /// A process is gone, as it is handed over; its writes under way are resolved next.
    fn node_crashed(&mut self, now: Time, node: NodeIndex, process: &P) {
        let _ = (now, node, process);
    }

    /// A process was booted and is about to get its first input.
    fn node_booted(&mut self, now: Time, node: NodeIndex, incarnation: Incarnation) {
        let _ = (now, node, incarnation);
    }

    /// A process said something about itself.
    fn event(&mut self, now: Time, node: NodeIndex, event: &P::Event) {
        let _ = (now, node, event);
    }

    /// A process is about to take an input.
    fn before_step(&mut self, now: Time, node: NodeIndex, process: &P, input: &Input<'_, P>) {
        let _ = (now, node, process, input);
    }

    /// All effects of a step were carried out. Not called for a step that a crash cut short.
    fn after_step(&mut self, now: Time, node: NodeIndex, process: &P) {
        let _ = (now, node, process);
    }

    /// A process panicked; the world has stopped for good.
    fn panicked(&mut self, now: Time, node: NodeIndex, message: &str) {
        let _ = (now, node, message);
    }

    /// Whether the run is to end here: asked after each event of the world.
    fn stops(&self) -> bool {
        false
    }
}

/// Nobody.
impl<P: Process> Observer<P> for () {}

/// Both, the first one first.
impl<P: Process, A: Observer<P>, B: Observer<P>> Observer<P> for (A, B) {
    fn event_begins(&mut self, now: Time, number: u64, trace: &Trace) {
        self.0.event_begins(now, number, trace);
        self.1.event_begins(now, number, trace);
    }

    fn packet_sent(&mut self, now: Time, packet: &Packet<P::Message>) {
        self.0.packet_sent(now, packet);
        self.1.packet_sent(now, packet);
    }

    fn packet_dropped(&mut self, now: Time, packet: &Packet<P::Message>, reason: Dropped) {
        self.0.packet_dropped(now, packet, reason);
        self.1.packet_dropped(now, packet, reason);
    }

    fn packet_duplicated(&mut self, now: Time, packet: &Packet<P::Message>) {
        self.0.packet_duplicated(now, packet);
        self.1.packet_duplicated(now, packet);
    }

    fn packet_delivered(&mut self, now: Time, packet: &Packet<P::Message>) {
        self.0.packet_delivered(now, packet);
        self.1.packet_delivered(now, packet);
    }

    fn write_started(&mut self, now: Time, write: &Write, disk: &Disk) {
        self.0.write_started(now, write, disk);
        self.1.write_started(now, write, disk);
    }

    fn write_completed(&mut self, now: Time, write: &Write, disk: &Disk) {
        self.0.write_completed(now, write, disk);
        self.1.write_completed(now, write, disk);
    }

    fn write_resolved(&mut self, now: Time, write: &Write, resolution: Resolution, disk: &Disk) {
        self.0.write_resolved(now, write, resolution, disk);
        self.1.write_resolved(now, write, resolution, disk);
    }

    fn disk_mishap(&mut self, now: Time, mishap: &Mishap, disk: &Disk) {
        self.0.disk_mishap(now, mishap, disk);
        self.1.disk_mishap(now, mishap, disk);
    }

    fn node_crashed(&mut self, now: Time, node: NodeIndex, process: &P) {
        self.0.node_crashed(now, node, process);
        self.1.node_crashed(now, node, process);
    }

    fn node_booted(&mut self, now: Time, node: NodeIndex, incarnation: Incarnation) {
        self.0.node_booted(now, node, incarnation);
        self.1.node_booted(now, node, incarnation);
    }

    fn event(&mut self, now: Time, node: NodeIndex, event: &P::Event) {
        self.0.event(now, node, event);
        self.1.event(now, node, event);
    }

    fn before_step(&mut self, now: Time, node: NodeIndex, process: &P, input: &Input<'_, P>) {
        self.0.before_step(now, node, process, input);
        self.1.before_step(now, node, process, input);
    }

    fn after_step(&mut self, now: Time, node: NodeIndex, process: &P) {
        self.0.after_step(now, node, process);
        self.1.after_step(now, node, process);
    }

    fn panicked(&mut self, now: Time, node: NodeIndex, message: &str) {
        self.0.panicked(now, node, message);
        self.1.panicked(now, node, message);
    }

    fn stops(&self) -> bool {
        self.0.stops() || self.1.stops()
    }
}
