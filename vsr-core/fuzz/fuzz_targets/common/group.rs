//! Replicas and a client over queues in memory, whose disks can be taken out and damaged in between.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use vsr_core::client::{Client, ClientEffect, ClientEffects, ClientInput};
use vsr_core::configuration::Configuration;
use vsr_core::io::{DiskError, Effect, Effects, Input, Token, Zone};
use vsr_core::message::{ClientMessage, Message, Request};
use vsr_core::number::{ClientId, ReplicaIndex};
use vsr_core::state_machine::StateMachine;
use vsr_core::time::Instant;
use vsr_core::{Replica, format};

/// Bytes of a sector.
pub const SECTOR: usize = 4096;

/// Remembers every operation, in order.
#[derive(Debug, Default)]
pub struct Diary(pub Vec<u8>);

impl StateMachine for Diary {
    fn apply(&mut self, operation: &[u8], _: &mut Vec<u8>) {
        self.0.extend_from_slice(operation);
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        snapshot.extend_from_slice(&self.0);
    }

    fn restore(&mut self, snapshot: &[u8]) {
        self.0 = snapshot.to_vec();
    }
}

/// A disk: bytes, and sectors that cannot be read.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub zones: BTreeMap<Zone, Vec<u8>>,
    pub unreadable: Vec<(Zone, usize)>,
}

impl Disk {
    fn write(&mut self, zone: Zone, start: usize, bytes: &[u8]) {
        let end = start + bytes.len();
        self.unreadable.retain(|(of, sector)| {
            *of != zone || sector * SECTOR >= end || (sector + 1) * SECTOR <= start
        });
        let zone = self.zones.entry(zone).or_default();
        zone.resize(zone.len().max(end), 0);
        zone[start..end].copy_from_slice(bytes);
    }

    fn read(&self, zone: Zone, start: usize, size: usize) -> Result<Vec<u8>, DiskError> {
        let mut sectors = start / SECTOR..=(start + size).saturating_sub(1) / SECTOR;
        if sectors.any(|sector| self.unreadable.contains(&(zone, sector))) {
            return Err(DiskError);
        }
        let bytes = self.zones.get(&zone).map_or(&[][..], Vec::as_slice);
        Ok((start..start + size).map(|at| bytes.get(at).copied().unwrap_or_default()).collect())
    }
}

#[derive(Debug)]
enum Parcel {
    Replica(ReplicaIndex, Message),
    Request(ReplicaIndex, Arc<Request>),
    Client(ClientMessage),
    Written(ReplicaIndex, Token),
    Read(ReplicaIndex, Token, Result<Vec<u8>, DiskError>),
}

pub struct Group {
    pub configuration: Configuration,
    pub replicas: Vec<Option<Replica<Diary>>>,
    pub disks: Vec<Disk>,
    client: Client,
    answered: usize,
    parcels: VecDeque<Parcel>,
    now: Instant,
}

impl Group {
    pub fn new(configuration: Configuration) -> Self {
        let mut group = Self::over(
            configuration,
            vec![Disk::default(); usize::from(configuration.replica_count)],
        );
        for replica in configuration.replicas() {
            let mut effects = Effects::new();
            format(&configuration, replica, &mut effects);
            group.carry_out(replica, &mut effects);
        }
        group.parcels.clear();
        group
    }

    /// Replicas that are down, over these disks.
    pub fn over(configuration: Configuration, disks: Vec<Disk>) -> Self {
        Self {
            configuration,
            replicas: disks.iter().map(|_| None).collect(),
            disks,
            client: Client::new(configuration, ClientId::new(7), 3),
            answered: 0,
            parcels: VecDeque::new(),
            now: Instant::ZERO,
        }
    }

    pub fn start(&mut self, replica: u8) {
        let replica = ReplicaIndex::new(replica);
        let seed = 1_000 + u64::from(replica.get());
        self.replicas[replica.index()] =
            Some(Replica::new(self.configuration, replica, seed, Diary::default()));
        self.step(replica, Input::Start);
    }

    /// Asks for one operation, and runs until it is answered; answers whether it was.
    pub fn submit(&mut self, operation: &[u8]) -> bool {
        let before = self.answered;
        self.step_client(ClientInput::Submit(Arc::from(operation)));
        self.run_until(20_000, |group| group.answered > before)
    }

    /// Delivers what is under way, and lets time pass when nothing is, until `done` or for so many steps.
    pub fn run_until(&mut self, steps: u32, done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..steps {
            if done(self) {
                return true;
            }
            match self.parcels.pop_front() {
                Some(Parcel::Replica(to, message)) => self.step(to, Input::Message(message)),
                Some(Parcel::Request(to, request)) => self.step(to, Input::Request(request)),
                Some(Parcel::Client(message)) => self.step_client(ClientInput::Message(message)),
                Some(Parcel::Written(to, token)) => {
                    self.step(to, Input::Written { token, result: Ok(()) });
                }
                Some(Parcel::Read(to, token, result)) => {
                    let result = result.as_deref().map_err(|error| *error);
                    self.step(to, Input::Read { token, result });
                }
                None => {
                    if !self.let_time_pass() {
                        return false;
                    }
                }
            }
        }
        false
    }

    fn step(&mut self, replica: ReplicaIndex, input: Input<'_>) {
        let mut effects = Effects::new();
        if let Some(running) = &mut self.replicas[replica.index()] {
            running.step(self.now, input, &mut effects);
        }
        self.carry_out(replica, &mut effects);
    }

    fn carry_out(&mut self, replica: ReplicaIndex, effects: &mut Effects) {
        let (list, arena) = effects.drain();
        let disk = &mut self.disks[replica.index()];
        for effect in list {
            match effect {
                Effect::Send { to, message } => {
                    self.parcels.push_back(Parcel::Replica(to, message));
                }
                Effect::Reply { message, .. } => self.parcels.push_back(Parcel::Client(message)),
                Effect::Write { token, zone, offset, bytes } => {
                    disk.write(zone, usize::try_from(offset).expect("fits"), &arena[bytes]);
                    self.parcels.push_back(Parcel::Written(replica, token));
                }
                Effect::Read { token, zone, offset, size } => {
                    let read =
                        disk.read(zone, usize::try_from(offset).expect("fits"), size as usize);
                    self.parcels.push_back(Parcel::Read(replica, token, read));
                }
                Effect::Event(_) => {}
            }
        }
    }

    fn step_client(&mut self, input: ClientInput) {
        let mut effects = ClientEffects::default();
        self.client.step(self.now, input, &mut effects);
        for effect in effects.drain() {
            match effect {
                ClientEffect::Send { to, request } => {
                    self.parcels.push_back(Parcel::Request(to, request));
                }
                ClientEffect::Completed { .. } => self.answered += 1,
                ClientEffect::Registered { .. }
                | ClientEffect::Evicted { .. }
                | ClientEffect::Ignored(_) => {}
            }
        }
    }

    /// Answers whether anybody waits for anything.
    fn let_time_pass(&mut self) -> bool {
        let replicas = self.replicas.iter().flatten().filter_map(Replica::deadline);
        let Some(next) = replicas.chain(self.client.deadline()).min() else { return false };
        self.now = next.max(self.now);
        for replica in self.configuration.replicas() {
            let deadline = self.replicas[replica.index()].as_ref().and_then(Replica::deadline);
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                self.step(replica, Input::Deadline);
            }
        }
        if self.client.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.step_client(ClientInput::Deadline);
        }
        true
    }
}
