//! Three replicas and a client in one thread, over a network and disks that are queues in memory: the smallest world in which
//! the protocol runs. The real exploration is the simulator's; these stories show the contract of `step`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use vsr_core::client::{Client, ClientEffect, ClientEffects, ClientInput};
use vsr_core::configuration::Configuration;
use vsr_core::io::{Effect, Effects, Input, Status, Token, Zone};
use vsr_core::message::{ClientMessage, Message, Request};
use vsr_core::number::{ClientId, ReplicaIndex};
use vsr_core::state_machine::StateMachine;
use vsr_core::time::Instant;
use vsr_core::{Replica, format};

/// Counts bytes: the answer to an operation is how many bytes all operations so far had.
#[derive(Debug, Default)]
struct Sum(u64);

impl StateMachine for Sum {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        self.0 += operation.len() as u64;
        reply.extend_from_slice(&self.0.to_le_bytes());
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        snapshot.extend_from_slice(&self.0.to_le_bytes());
    }

    fn restore(&mut self, snapshot: &[u8]) {
        self.0 = u64::from_le_bytes(snapshot.try_into().expect("one number"));
    }
}

#[derive(Debug)]
enum Parcel {
    Replica(ReplicaIndex, Message),
    Request(ReplicaIndex, Arc<Request>),
    Client(ClientMessage),
    Written(ReplicaIndex, Token),
    Read(ReplicaIndex, Token, Vec<u8>),
}

struct Group {
    configuration: Configuration,
    replicas: Vec<Option<Replica<Sum>>>,
    starts: u64,
    disks: Vec<BTreeMap<Zone, Vec<u8>>>,
    client: Client,
    answers: Vec<u64>,
    parcels: VecDeque<Parcel>,
    now: Instant,
}

impl Group {
    fn of(replica_count: u8) -> Self {
        Self::with(Configuration::of(replica_count))
    }

    /// A log of 32 operations, and a checkpoint after every eighth.
    fn of_short_logs(replica_count: u8) -> Self {
        let mut configuration = Configuration::of(replica_count);
        configuration.slots = 32;
        configuration.checkpoint_interval = 8;
        Self::with(configuration)
    }

    fn with(configuration: Configuration) -> Self {
        let replica_count = configuration.replica_count;
        let mut group = Self {
            configuration,
            replicas: (0..replica_count).map(|_| None).collect(),
            starts: 0,
            disks: vec![BTreeMap::new(); usize::from(replica_count)],
            client: Client::new(configuration, ClientId::new(7), 3),
            answers: Vec::new(),
            parcels: VecDeque::new(),
            now: Instant::ZERO,
        };
        for replica in configuration.replicas() {
            let mut effects = Effects::new();
            format(&configuration, replica, &mut effects);
            group.carry_out(replica, &mut effects);
        }
        group.parcels.clear();
        for replica in configuration.replicas() {
            group.start(replica);
        }
        group
    }

    fn start(&mut self, replica: ReplicaIndex) {
        self.starts += 1;
        let seed = self.starts * 1_000 + u64::from(replica.get());
        self.replicas[replica.index()] =
            Some(Replica::new(self.configuration, replica, seed, Sum::default()));
        self.step(replica, Input::Start);
    }

    fn crash(&mut self, replica: ReplicaIndex) {
        self.replicas[replica.index()] = None;
        self.parcels.retain(|parcel| {
            !matches!(parcel, Parcel::Written(of, ..) | Parcel::Read(of, ..) if *of == replica)
        });
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
                    let bytes = &arena[bytes];
                    let start = usize::try_from(offset).expect("fits");
                    let zone = disk.entry(zone).or_default();
                    zone.resize(zone.len().max(start + bytes.len()), 0);
                    zone[start..start + bytes.len()].copy_from_slice(bytes);
                    self.parcels.push_back(Parcel::Written(replica, token));
                }
                Effect::Read { token, zone, offset, size } => {
                    let start = usize::try_from(offset).expect("fits");
                    let zone = disk.entry(zone).or_default();
                    let bytes = (start..start + size as usize)
                        .map(|at| zone.get(at).copied().unwrap_or_default())
                        .collect();
                    self.parcels.push_back(Parcel::Read(replica, token, bytes));
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
                ClientEffect::Completed { result, .. } => {
                    self.answers.push(u64::from_le_bytes(result[..].try_into().expect("a sum")));
                }
                ClientEffect::Registered { .. }
                | ClientEffect::Evicted { .. }
                | ClientEffect::Ignored(_) => {}
            }
        }
    }

    /// Delivers what is under way, and lets time pass when nothing is, until `done`; answers whether it came to that.
    fn run_until(&mut self, done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..200_000 {
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
                Some(Parcel::Read(to, token, bytes)) => {
                    self.step(to, Input::Read { token, result: Ok(&bytes) });
                }
                None => self.let_time_pass(),
            }
        }
        false
    }

    fn let_time_pass(&mut self) {
        let replicas = self.replicas.iter().flatten().filter_map(Replica::deadline);
        let next = replicas.chain(self.client.deadline()).min();
        self.now = next.expect("somebody waits for something").max(self.now);
        for replica in self.configuration.replicas() {
            let deadline = self.replicas[replica.index()].as_ref().and_then(Replica::deadline);
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                self.step(replica, Input::Deadline);
            }
        }
        if self.client.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.step_client(ClientInput::Deadline);
        }
    }

    fn submit(&mut self, size: usize) {
        self.step_client(ClientInput::Submit(Arc::from(vec![0; size])));
        let before = self.answers.len();
        assert!(self.run_until(|group| group.answers.len() > before), "no answer");
    }

    fn primary(&self) -> Option<ReplicaIndex> {
        self.replicas.iter().flatten().find(|replica| replica.is_primary()).map(Replica::me)
    }

    fn has_converged(&self) -> bool {
        let states = self
            .replicas
            .iter()
            .flatten()
            .map(|replica| (replica.status(), replica.view(), replica.op(), replica.commit()));
        let mut states: Vec<_> = states.collect();
        states.dedup();
        states.len() == 1 && states[0].0 == Status::Normal && states[0].2 == states[0].3
    }
}

#[test]
fn a_request_is_answered_by_clusters_of_every_size() {
    for replica_count in 1..=7 {
        let mut group = Group::of(replica_count);
        group.submit(10);
        group.submit(5);
        assert_eq!(group.answers, [10, 15]);
        assert!(group.run_until(Group::has_converged));
    }
    // Quorums of the wrong size stall the even clusters first.
}

#[test]
fn a_crashed_primary_is_replaced_and_comes_back_as_a_backup() {
    for replica_count in 3..=7 {
        let mut group = Group::of(replica_count);
        group.submit(10);
        let old = group.primary().expect("it answered");
        group.crash(old);
        group.submit(5);
        let new = group.primary().expect("it answered");
        assert_ne!(old, new);
        group.start(old);
        group.submit(1);
        assert_eq!(group.answers, [10, 15, 16]);
        assert!(group.run_until(Group::has_converged));
        assert_eq!(group.replicas[old.index()].as_ref().unwrap().state_machine().0, 16);
    }
    // A request that a view change loses, or runs twice, shows in the sum.
}

#[test]
fn the_whole_cluster_restarts_with_all_that_it_answered() {
    for replica_count in 1..=7 {
        let mut group = Group::of(replica_count);
        for size in 1..30 {
            group.submit(size);
        }
        for replica in group.configuration.replicas() {
            group.crash(replica);
        }
        group.parcels.clear();
        for replica in group.configuration.replicas() {
            group.start(replica);
        }
        group.submit(0);
        assert_eq!(group.answers.last(), Some(&435));
        assert!(group.run_until(Group::has_converged));
    }
    // A recovery that asks others for the state would wait for ever: nobody has it.
}

#[test]
fn logs_are_used_again_and_again() {
    for replica_count in 1..=7 {
        let mut group = Group::of_short_logs(replica_count);
        for _ in 0..320 {
            group.submit(1);
        }
        assert_eq!(group.answers.last(), Some(&320));
        assert!(group.run_until(Group::has_converged));
        for replica in group.configuration.replicas() {
            let zones = &group.disks[replica.index()];
            let slot = group.configuration.prepare_slot_size();
            let largest = usize::try_from(slot * 32).expect("fits");
            assert!(zones[&Zone::Prepares].len() <= largest, "a ring does not grow");
        }
    }
    // A slot that is used again too early takes an operation away that somebody needs after a restart.
}

#[test]
fn a_restart_goes_on_from_the_checkpoint_and_replays_what_follows() {
    for replica_count in 1..=7 {
        let mut group = Group::of_short_logs(replica_count);
        for round in 0..6_u64 {
            for _ in 0..21 {
                group.submit(1);
            }
            for replica in group.configuration.replicas() {
                group.crash(replica);
            }
            group.parcels.clear();
            for replica in group.configuration.replicas() {
                group.start(replica);
            }
            group.submit(0);
            assert_eq!(group.answers.last(), Some(&(21 * (round + 1))));
        }
        assert!(group.run_until(Group::has_converged));
    }
    // What the checkpoint holds and the log still has is executed once: twice would show in the sum.
}

#[test]
fn a_replica_that_slept_through_many_checkpoints_gets_one() {
    for replica_count in 3..=7 {
        for sleeper in 0..replica_count {
            let sleeper = ReplicaIndex::new(sleeper);
            let mut group = Group::of_short_logs(replica_count);
            for _ in 0..20 {
                group.submit(1);
            }
            group.crash(sleeper);
            for _ in 0..200 {
                group.submit(1);
            }
            group.start(sleeper);
            for _ in 0..3 {
                group.submit(1);
            }
            assert_eq!(group.answers.last(), Some(&223));
            assert!(group.run_until(Group::has_converged));
            let replica = group.replicas[sleeper.index()].as_ref().expect("it runs");
            assert_eq!(replica.state_machine().0, 223);
            // What was fetched is durable: it is what the next start finds.
            group.crash(sleeper);
            group.start(sleeper);
            group.submit(1);
            assert!(group.run_until(Group::has_converged));
            let replica = group.replicas[sleeper.index()].as_ref().expect("it runs");
            assert_eq!(replica.state_machine().0, 224);
        }
    }
    // Nobody's log has what it missed: without the checkpoint it would ask for ever.
}
