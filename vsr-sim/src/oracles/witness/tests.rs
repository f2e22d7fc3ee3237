//! A correct cluster under faults: nobody is accused, and the moments that faults aim at are met.

use vsr_core::io::{Effect, Effects};
use vsr_core::quorum::ReplicaSet;

use super::*;
use crate::cluster::client::Work;
use crate::cluster::node::{Blueprint, node_of};
use crate::cluster::replica::zone_of;
use crate::cluster::service::AnyService;
use crate::cluster::workload::Workload;
use crate::engine::disk::DiskRates;
use crate::engine::network::{LinkRates, NetworkFaultId, RateChange};
use crate::engine::random::{Seed, Stream};
use crate::engine::time::Span;
use crate::engine::world::{NodeState, Setup, Stop, World};
use crate::oracles::{Environment, Exposure, Moment};

/// A cluster, somebody who breaks it, and what is broken.
struct Trial {
    world: World<Node, Witness>,
    configuration: Configuration,
    stream: Stream,
    cuts: Vec<NetworkFaultId>,
}

const CLIENTS: u8 = 3;
const REQUESTS: u32 = 20;

impl Trial {
    fn new(number: u64) -> Self {
        let seed = Seed::new(number);
        let mut stream = seed.stream("trial");
        let replicas = u8::try_from(stream.within(1, 7)).unwrap();
        let configuration = Configuration::of(replicas);
        let workload = Workload {
            requests: REQUESTS * u32::from(CLIENTS),
            large_ppm: 300_000,
            ..Workload::default()
        };
        let setup = Setup {
            links: LinkRates {
                loss_ppm: 20_000,
                duplicate_ppm: 30_000,
                jitter: Span::from_ms(2),
                tail_ppm: 20_000,
                tail: Span::from_ms(800),
                ..LinkRates::default()
            },
            disks: DiskRates {
                write_latency: Span::from_us(400),
                jitter: Span::from_ms(1),
                tail_ppm: 20_000,
                tail: Span::from_ms(30),
                ..DiskRates::default()
            },
            events_max: 3_000_000,
            ..Setup::of(replicas + CLIENTS)
        };
        let service = AnyService::default();
        let witness = Witness::new(&configuration, &service);
        let blueprint = Blueprint { configuration, service, workload, seed };
        let mut world = World::new(blueprint, setup, seed, witness);
        let mut effects = Effects::new();
        for replica in configuration.replicas() {
            vsr_core::format(&configuration, replica, &mut effects);
            let (list, bytes) = effects.drain();
            for effect in list {
                if let Effect::Write { zone, offset, bytes: range, .. } = effect {
                    let node = node_of(replica);
                    world.disk_mut().overwrite(node, zone_of(zone), offset, &bytes[range]);
                }
            }
        }
        Self { world, configuration, stream, cuts: Vec::new() }
    }

    fn run(&mut self, span: Span) -> bool {
        let limit = self.world.now().plus(span);
        match self.world.run_until(limit) {
            Stop::Reached | Stop::Idle | Stop::Hit => true,
            Stop::Observer => false,
            Stop::Panicked(panicked) => {
                let now = self.world.now();
                let who = format!("node {}", panicked.node);
                self.world.observer_mut().oracles_mut().panicked(now, &who, &panicked.message);
                false
            }
            Stop::Budget => panic!("the budget ran out"),
        }
    }

    fn ask(&mut self, until: u32) {
        let replicas = self.configuration.replica_count;
        for node in (replicas..replicas + CLIENTS).map(NodeIndex::new) {
            self.world.command(node, Work::Script { first: 0, until });
        }
    }

    fn break_something(&mut self) {
        let replicas = self.configuration.replica_count;
        let node = NodeIndex::new(u8::try_from(self.stream.below(replicas.into())).unwrap());
        match self.stream.below(6) {
            0 | 1 => {
                self.world.crash(node);
            }
            2 | 3 => {
                self.world.restart(node);
            }
            4 => {
                let others: Vec<NodeIndex> =
                    self.world.nodes().filter(|other| *other != node).collect();
                let both = self.stream.chance(500_000);
                let to = others.iter().map(|other| (*other, node));
                let from = others.iter().map(|other| (node, *other)).filter(|_| both);
                let cut = self.world.network_mut().cut(to.chain(from));
                self.cuts.push(cut);
                let now = self.world.now();
                self.world.observer_mut().oracles_mut().network_fault(now);
            }
            _ => {
                for cut in self.cuts.drain(..) {
                    self.world.lift(cut);
                }
            }
        }
    }

    fn heal(&mut self) -> Environment {
        self.world.heal_network();
        let nodes: Vec<NodeIndex> = self.world.nodes().collect();
        let links: Vec<_> =
            nodes.iter().flat_map(|from| nodes.iter().map(move |to| (*from, *to))).collect();
        let calm = RateChange { loss_ppm: Some(0), tail_ppm: Some(0), ..RateChange::default() };
        self.world.network_mut().change_rates(links, calm);
        for node in nodes {
            if self.world.state(node) != NodeState::Up {
                self.world.restart(node);
            }
        }
        Environment {
            packet_delay: Span::from_ms(803),
            write_latency: Span::from_ms(32),
            read_latency: Span::from_ms(32),
            clock_slow_ppm: 0,
            clients: CLIENTS.into(),
            operations: 150,
        }
    }

    /// The whole run; answers false as soon as somebody is accused.
    fn go(&mut self) -> bool {
        if !self.run(Span::ZERO) {
            return false;
        }
        self.ask(REQUESTS);
        for _ in 0..40 {
            let span = Span::from_ms(self.stream.within(1, 60));
            if !self.run(span) {
                return false;
            }
            self.break_something();
        }
        let environment = self.heal();
        let mut core = ReplicaSet::EMPTY;
        for replica in self.configuration.replicas() {
            core.insert(replica);
        }
        for is_idle in [false, true] {
            let now = self.world.now();
            let oracles = self.world.observer_mut().oracles_mut();
            if is_idle {
                oracles.begin_idle(now, core, &environment);
            } else {
                oracles.begin_liveness(now, core, &environment);
                self.ask(REQUESTS + 3);
            }
            let mut looks = 0;
            while looks < 3 || !self.world.observer().oracles().is_settled() {
                looks += 1;
                let is_fine = self.run(Span::from_ms(200));
                let now = self.world.now();
                self.world.observer_mut().oracles_mut().check_overdue(now);
                if !is_fine || self.world.observer().stops() {
                    return false;
                }
            }
        }
        true
    }
}

#[test]
fn a_correct_cluster_under_faults_is_accused_of_nothing() {
    let count = 80;
    let mut exposure = Exposure::default();
    let mut executed = 0;
    for number in 0..count {
        let mut trial = Trial::new(number);
        if !trial.go() {
            let violation = trial.world.observer().oracles().violation().unwrap();
            panic!("trial {number} of {}: {violation}", trial.configuration.replica_count);
        }
        exposure.merge(trial.world.observer().oracles().exposure());
        executed += trial.world.observer().oracles().executed();
    }
    assert!(executed >= count * 9, "{executed} operations in {count} trials");
    for moment in
        [Moment::CrashAtWork, Moment::WriteTorn, Moment::SuffixKept, Moment::LateDelivered]
    {
        assert!(exposure.of(moment) > 0, "{}", moment.name());
    }
    // An oracle that cries wolf is switched off, and then it does not bark either.
}
