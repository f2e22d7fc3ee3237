//! A replica on its node: hands it what the world brings, and carries its effects to the world.

use vsr_core::Replica;
use vsr_core::io::{self, DiskError, Effect, Effects, Token};
use vsr_core::number::ReplicaIndex;
use vsr_core::time::Instant;
use vsr_core::wire::Frame;

use super::event::Event;
use super::node::{Blueprint, Node, instant, node_of, node_of_client};
use super::recorded::Recorded;
use super::service::Machine;
use crate::engine::process::{self, Boot, Context, Input, Zone};
use crate::engine::time::LocalTime;

/// A replica, with its service.
#[derive(Debug)]
pub struct ReplicaNode {
    replica: Replica<Recorded<Machine>>,
    effects: Effects,
    /// What its wall clock showed when it last looked, in nanoseconds.
    wall: Option<u64>,
}

impl ReplicaNode {
    pub(super) fn boot(blueprint: &Blueprint, me: ReplicaIndex, boot: &Boot) -> Self {
        let service = Recorded::new(blueprint.service.machine());
        let replica = Replica::new(blueprint.configuration, me, boot.seed.number(), service);
        Self { replica, effects: Effects::new(), wall: None }
    }

    /// The replica itself: what it says of itself is for people, not for oracles.
    #[must_use]
    pub const fn replica(&self) -> &Replica<Recorded<Machine>> {
        &self.replica
    }

    /// What its wall clock showed when it last looked, in nanoseconds.
    #[must_use]
    pub const fn wall(&self) -> Option<u64> {
        self.wall
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.replica.deadline()
    }

    pub(super) fn step(
        &mut self,
        now: LocalTime,
        input: Input<'_, Node>,
        context: &mut Context<'_, Node>,
    ) {
        let now = instant(now);
        match input {
            Input::Start => {
                self.replica.step(now, io::Input::Start, &mut self.effects);
                self.sample_clock(now, context);
            }
            Input::Message { message: Frame::Message(message), .. } => {
                self.replica.step(now, io::Input::Message(message), &mut self.effects);
            }
            Input::Message { message: Frame::Request(request), .. } => {
                self.sample_clock(now, context);
                self.replica.step(now, io::Input::Request(request), &mut self.effects);
            }
            Input::Written { token, result } => {
                let result = result.map_err(|_| DiskError);
                let input = io::Input::Written { token: Token(token.0), result };
                self.replica.step(now, input, &mut self.effects);
            }
            Input::Read { token, result } => {
                let result = result.map_err(|_| DiskError);
                let input = io::Input::Read { token: Token(token.0), result };
                self.replica.step(now, input, &mut self.effects);
            }
            Input::Deadline => self.replica.step(now, io::Input::Deadline, &mut self.effects),
            // Nobody sends a replica what only clients are sent, and nobody gives it work.
            Input::Message { message: Frame::ClientMessage(_), .. } | Input::Command(_) => {}
        }
        self.carry_out(context);
    }

    /// Requests are what needs the date: the primary's timestamps come from it.
    fn sample_clock(&mut self, now: Instant, context: &Context<'_, Node>) {
        let wall = context.wall().as_ns();
        self.wall = Some(wall);
        let sample = io::Input::ClockSample(wall);
        self.replica.step(now, sample, &mut self.effects);
    }

    fn carry_out(&mut self, context: &mut Context<'_, Node>) {
        let (effects, bytes) = self.effects.drain();
        for effect in effects {
            match effect {
                Effect::Send { to, message } => context.send(node_of(to), Frame::Message(message)),
                Effect::Reply { to, message } => {
                    context.send(node_of_client(to), Frame::ClientMessage(message));
                }
                Effect::Write { token, zone, offset, bytes: range } => {
                    context.write(process::Token(token.0), zone_of(zone), offset, &bytes[range]);
                }
                Effect::Read { token, zone, offset, size } => {
                    context.read(process::Token(token.0), zone_of(zone), offset, size);
                }
                Effect::Event(event) => context.event(Event::Replica(event)),
            }
        }
    }
}

/// The world's zone for the replica's.
#[must_use]
pub const fn zone_of(zone: io::Zone) -> Zone {
    match zone {
        io::Zone::Superblock => Zone(0),
        io::Zone::Headers => Zone(1),
        io::Zone::Prepares => Zone(2),
        io::Zone::Snapshots => Zone(3),
    }
}

/// The replica's zone for the world's.
///
/// # Panics
///
/// When a replica has no such zone.
#[must_use]
pub fn zone_at(zone: Zone) -> io::Zone {
    match zone.0 {
        0 => io::Zone::Superblock,
        1 => io::Zone::Headers,
        2 => io::Zone::Prepares,
        3 => io::Zone::Snapshots,
        other => unreachable!("a replica's disk has four zones, not {other}"),
    }
}
