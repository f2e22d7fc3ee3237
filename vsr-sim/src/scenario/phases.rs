//! The phases of a run: safety, while faults happen; liveness, when they have stopped; idle, when the clients have too.

use std::sync::Arc;

use vsr_core::io::Status;
use vsr_core::number::ViewNumber;
use vsr_core::quorum::ReplicaSet;

use super::Scenario;
use super::action::Action;
use super::draw::LATE_REQUESTS;
use super::listener::Listener;
use super::outcome::{FaultCounts, Finding, FindingKind};
use super::run::Watched;
use super::steps::StepFate;
use crate::cluster::client::Work;
use crate::cluster::monitor::Monitor;
use crate::cluster::node::{Node, replica_at};
use crate::cluster::replica::ReplicaNode;
use crate::cluster::selector::Words;
use crate::cluster::workload::Workload;
use crate::engine::node::{Incarnation, NodeIndex, NodeSet};
use crate::engine::random::Keyed;
use crate::engine::time::{Span, Time};
use crate::engine::world::NodeState;
use crate::faults::{Conductor, FaultId, Injector, Limits, Plan};
use crate::oracles::Environment;

/// How often the driver looks whether a phase is over, in hundredths of the time until a backup suspects.
const LOOK_PERCENT: u64 = 20;

/// How long nothing may change for a cluster to count as quiet, in times until a backup suspects.
pub(super) const QUIET_TIMEOUTS: u64 = 3;

/// Why a run ended before its time.
pub(super) enum Ended {
    /// An observer found something, or a process panicked.
    Broken,
    /// A budget ran out.
    Budget(String),
}

/// One run under way.
pub(super) struct Run<'a, T: Listener> {
    pub(super) scenario: &'a Scenario,
    pub(super) world: &'a mut Watched<T>,
    workload: Workload,
    /// The replicas that must make progress once the faults have stopped.
    pub(super) core: NodeSet,
    /// By client: up to which operation of the script it was told to go, and the incarnation that was told.
    pub(super) told: Vec<Option<(u32, Incarnation)>>,
    /// By client: up to which operation it is to go. After its share of the workload come the requests of steps.
    pub(super) goals: Vec<u32>,
    /// By client: what steps have asked for so far.
    pub(super) requests: Vec<Vec<Arc<[u8]>>>,
    pub(super) conductor: Conductor,
    pub(super) injector: Injector,
    /// Whoever halted because of its disk, and when its host starts it again.
    pub(super) hosted: Vec<(Time, NodeIndex)>,
    /// By step: the fault that is on because of it.
    pub(super) on: Vec<Option<FaultId>>,
    /// By step: what has become of it.
    pub(super) fates: Vec<StepFate>,
    pub(super) faults: FaultCounts,
    pub(super) words: Words,
    pub(super) look: Span,
    /// When the run is left, if that is before its end.
    pub(super) until: Option<Time>,
}

impl<'a, T: Listener> Run<'a, T> {
    pub(super) fn new(
        scenario: &'a Scenario,
        world: &'a mut Watched<T>,
        until: Option<Time>,
    ) -> Self {
        let cluster = &scenario.cluster;
        let plan = Plan { steps: scenario.steps.clone() };
        let conductor = Conductor::new::<Node, Action>(&plan, scenario.seed)
            .expect("steps are checked when they are drawn or read");
        let workload =
            scenario.workload.unwrap_or_else(|| Workload { requests: 0, ..Workload::default() });
        let share = |client| workload.share(client, cluster.clients);
        Self {
            scenario,
            world,
            workload,
            core: NodeSet::first(cluster.replicas),
            told: vec![None; usize::from(cluster.clients)],
            goals: (0..cluster.clients).map(share).collect(),
            requests: vec![Vec::new(); usize::from(cluster.clients)],
            conductor,
            injector: Injector::new(limits_of(scenario)),
            hosted: Vec::new(),
            on: vec![None; scenario.steps.len()],
            fates: vec![StepFate::Waiting; scenario.steps.len()],
            faults: FaultCounts::default(),
            words: scenario.words(),
            look: cluster.timeouts.suspect_primary.percent(LOOK_PERCENT),
            until,
        }
    }

    /// Runs all phases.
    pub(super) fn phases(&mut self) -> Result<(), Ended> {
        self.safety()?;
        self.heal();
        if !self.scenario.budget.is_within() {
            return self.watch_on();
        }
        self.liveness()?;
        self.idle()
    }

    /// How often each fault was done.
    pub(super) const fn faults(&self) -> FaultCounts {
        self.faults
    }

    pub(super) const fn monitor(&self) -> &Monitor {
        &self.world.observer().0
    }

    pub(super) const fn monitor_mut(&mut self) -> &mut Monitor {
        &mut self.world.observer_mut().0
    }

    pub(super) fn replica(&self, node: NodeIndex) -> Option<&ReplicaNode> {
        self.world.process(node).and_then(Node::replica)
    }

    /// Tells every client that has not been told, or has come back since, how far to go.
    pub(super) fn tell_clients(&mut self) {
        for (client, node) in self.clients() {
            if self.world.state(node) != NodeState::Up {
                continue;
            }
            let place = usize::from(client);
            let (first, until) = (self.monitor().next_operation(client), self.goals[place]);
            let incarnation = self.world.incarnation(node);
            if self.told[place] == Some((until, incarnation)) {
                continue;
            }
            self.told[place] = Some((until, incarnation));
            if !self.requests[place].is_empty() {
                let (first, operations) = (self.share(client), self.requests[place].clone());
                self.world.command(node, Work::Requests { first, operations });
            }
            self.world.command(node, Work::Script { first, until });
        }
    }

    /// How much of the workload is the client's.
    fn share(&self, client: u8) -> u32 {
        self.workload.share(client, self.scenario.cluster.clients)
    }

    fn begin_phase(&mut self, words: &str) {
        let now = self.world.now();
        self.world.observer_mut().1.phase_begins(now, words);
    }

    /// Clients ask and steps happen, until all that must be done is, or the time is up.
    fn safety(&mut self) -> Result<(), Ended> {
        // Nodes boot before they can be given work.
        self.advance(Time::ZERO)?;
        let end = Time::ZERO.plus(self.scenario.duration);
        while self.world.now() < end {
            self.tell_clients();
            let limit = self.world.now().plus(self.until_next_look()).min(end);
            self.advance(limit)?;
            self.settle();
            self.look_after_halted()?;
            if self.clients_are_done() && self.steps_are_done() {
                break;
            }
        }
        self.refuse_unfired()
    }

    /// Faults stop. A random quorum of replicas is healed, and everything outside it stays broken for good: as it is and cut off,
    /// or up but deaf, or up but mute.
    fn heal(&mut self) {
        self.choose_core();
        let all = NodeSet::first(self.world.setup().nodes);
        let outside = NodeSet::first(self.scenario.cluster.replicas).difference(self.core);
        let keyed = Keyed::new(self.scenario.seed, "outside");
        let (mut deaf, mut mute) = (NodeSet::EMPTY, NodeSet::EMPTY);
        for node in outside.iter() {
            match keyed.fate(u64::from(node.number()), 0).up_to(0, 3) {
                0 => deaf.insert(node),
                1 => mute.insert(node),
                _ => {}
            }
        }
        let healed = all.difference(outside).union(deaf).union(mute);
        self.conductor.disarm(self.world);
        self.on.fill(None);
        self.injector.heal(self.world, healed);
        let network = self.world.network_mut();
        for node in deaf.iter() {
            network.cut(all.iter().map(|other| (other, node)));
        }
        for node in mute.iter() {
            network.cut(all.iter().map(|other| (node, other)));
        }
    }

    fn choose_core(&mut self) {
        let mut stream = self.scenario.seed.stream("core");
        let mut order: Vec<NodeIndex> = NodeIndex::first(self.scenario.cluster.replicas).collect();
        stream.shuffle(&mut order);
        let quorums = self.scenario.cluster.configuration().quorums();
        let least = usize::from(quorums.view_change().max(quorums.replication()));
        let size = if stream.chance(500_000) {
            least
        } else {
            least + stream.place(order.len() - least + 1)
        };
        self.core = self.core_of(&order, size);
    }

    fn core_replicas(&self) -> ReplicaSet {
        let configuration = self.scenario.cluster.configuration();
        let mut set = ReplicaSet::EMPTY;
        for replica in self.core.iter().filter_map(|node| replica_at(&configuration, node)) {
            set.insert(replica);
        }
        set
    }

    /// How slow the world is at worst from now on.
    fn environment(&self) -> Environment {
        let Scenario { network, disk, cluster, clock, .. } = self.scenario;
        let sectors = cluster.configuration().prepare_slot_size().div_ceil(4_096) + 1;
        let disk_delay = disk.jitter.plus(disk.sector_latency.times(sectors)).plus(disk.tail);
        Environment {
            packet_delay: network.latency.plus(network.jitter),
            write_latency: disk.write_latency.plus(disk_delay),
            read_latency: disk.read_latency.plus(disk_delay),
            clock_slow_ppm: clock.skew_ppm.into(),
            clients: cluster.clients.into(),
            // A log full of entries, and the pieces of a checkpoint.
            operations: u64::from(cluster.slots) + 64,
        }
    }

    /// Outstanding requests and some new ones must be answered, and the core come together.
    fn liveness(&mut self) -> Result<(), Ended> {
        self.begin_phase("faults have stopped");
        let (now, core, environment) = (self.world.now(), self.core_replicas(), self.environment());
        self.monitor_mut().oracles_mut().begin_liveness(now, core, &environment);
        let late = if self.scenario.workload.is_some() { LATE_REQUESTS } else { 0 };
        let answered = self.monitor().requests();
        for client in 0..self.scenario.cluster.clients {
            // What a step asked for is asked for, however long that took; of the workload, what time allowed.
            let asked = match u32::try_from(self.requests[usize::from(client)].len()) {
                Ok(0) | Err(_) => 0,
                Ok(count) => self.share(client) + count,
            };
            let next = self.monitor().next_operation(client);
            self.goals[usize::from(client)] = next.max(asked) + late;
        }
        loop {
            self.tell_clients();
            self.look_on()?;
            if self.clients_are_done() && self.monitor().oracles().is_settled() {
                if late > 0 && self.monitor().requests() == answered {
                    // Whoever gives up all that it waits for is done as well.
                    let words = "since faults have stopped no client was answered".to_owned();
                    return self.broken(FindingKind::NoProgress, "clients-answered", words);
                }
                return Ok(());
            }
            self.refuse_overdue(
                "clients-finish",
                "a client has not come to the end of its script",
            )?;
        }
    }

    /// No traffic of clients at all: the core must come to one log, executed to its end, and stay in its view.
    fn idle(&mut self) -> Result<(), Ended> {
        self.begin_phase("clients have stopped");
        let (now, core, environment) = (self.world.now(), self.core_replicas(), self.environment());
        self.monitor_mut().oracles_mut().begin_idle(now, core, &environment);
        let quiet = self.scenario.cluster.timeouts.suspect_primary.times(QUIET_TIMEOUTS);
        let mut views_before = self.monitor().view_changes();
        let mut since = now;
        let mut churns = 0;
        loop {
            self.look_on()?;
            let now = self.world.now();
            if !self.monitor().oracles().is_settled() || self.core_view().is_none() {
                since = now;
                self.refuse_overdue("idle-settles", "the core is not normal in one view")?;
            }
            let views = self.monitor().view_changes();
            if views != views_before {
                (views_before, since) = (views, now);
                churns += 1;
            }
            if churns > u32::from(self.scenario.cluster.replicas) + 2 {
                let words = format!("{churns} views came and went with nothing to do");
                return self.broken(FindingKind::NoProgress, "no-churn", words);
            }
            if now.since(since) >= quiet {
                return Ok(());
            }
        }
    }

    /// Goes on for a little, and judges what is overdue then.
    pub(super) fn look_on(&mut self) -> Result<(), Ended> {
        let limit = self.world.now().plus(self.look);
        self.advance(limit)?;
        self.look_after_halted()?;
        let now = self.world.now();
        let monitor = self.monitor_mut();
        monitor.oracles_mut().check_overdue(now);
        if monitor.finding().is_some() { Err(Ended::Broken) } else { Ok(()) }
    }

    /// Ends a phase that no oracle ends: twice as long as all that may take any time.
    fn refuse_overdue(&mut self, property: &'static str, words: &str) -> Result<(), Ended> {
        let now = self.world.now();
        match self.monitor().oracles().phase_ends() {
            Some(ends) if now > ends.plus(ends.since(Time::ZERO)) => {
                self.broken(FindingKind::NoProgress, property, words.to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn broken(
        &mut self,
        kind: FindingKind,
        property: &'static str,
        message: String,
    ) -> Result<(), Ended> {
        self.broken_at(kind, property, String::new(), message)
    }

    pub(super) fn broken_at(
        &mut self,
        kind: FindingKind,
        property: &'static str,
        place: String,
        message: String,
    ) -> Result<(), Ended> {
        let at = self.world.now();
        self.monitor_mut().found(Finding { kind, property, place, message, at });
        Err(Ended::Broken)
    }

    /// The view that all of the core is normal in, if they say so.
    fn core_view(&self) -> Option<ViewNumber> {
        let mut views = self.core.iter().map(|node| {
            let replica = self.replica(node)?.replica();
            (replica.status() == Status::Normal).then(|| replica.view())
        });
        let first = views.next()??;
        views.all(|view| view == Some(first)).then_some(first)
    }
}

/// How many replicas may be down at a time by crashes alone.
fn limits_of(scenario: &Scenario) -> Limits {
    let servers = NodeSet::first(scenario.cluster.replicas);
    let quorums = scenario.cluster.configuration().quorums();
    let tolerated = u32::from(scenario.cluster.replicas - quorums.replication());
    // One that tolerates nothing stands still while somebody is down, and goes on afterwards.
    Limits { servers, down_max: tolerated.max(1) }
}
