//! Runs scenarios: safety, liveness, idle, and the final checks.

use vsr_core::io::{Effect, Effects, Halt, Status};
use vsr_core::number::ViewNumber;

use super::Scenario;
use super::bounds::Bounds;
use super::draw::LATE_REQUESTS;
use super::outcome::{Finding, FindingKind, Outcome, Verdict};
use crate::campaign::panics;
use crate::cluster::client::Work;
use crate::cluster::history::Judgement;
use crate::cluster::monitor::Monitor;
use crate::cluster::node::{Blueprint, Node, node_of};
use crate::cluster::replica::{ReplicaNode, zone_of};
use crate::cluster::selector::Words;
use crate::cluster::workload::Workload;
use crate::engine::node::{Incarnation, NodeIndex, NodeSet};
use crate::engine::observer::Observer;
use crate::engine::random::Keyed;
use crate::engine::time::{Span, Time};
use crate::engine::world::{NodeState, Setup, Stop, World};
use crate::faults::{Director, Limits, Plan};
use crate::report::words;

/// After so many events a run is given up as unknown.
const EVENTS_MAX: u64 = 20_000_000;

/// The steps that the checker may take for each key before a history is given up as unknown.
const CHECK_STEPS: u64 = 5_000_000;

/// How often the driver looks whether a phase is over, in hundredths of the time until a backup suspects.
const LOOK_PERCENT: u64 = 20;

/// Runs one scenario after the other in the same memory.
#[derive(Debug, Default)]
pub struct Runner<T: Observer<Node> = ()> {
    world: Option<World<Node, (Monitor, T)>>,
    effects: Effects,
}

/// Why a phase ended before its time.
enum Ended {
    /// An observer found something, or a process panicked.
    Broken,
    /// A budget ran out.
    Budget(String),
}

impl<T: Observer<Node> + Default> Runner<T> {
    /// Runs `scenario` to its end.
    pub fn run(&mut self, scenario: &Scenario) -> Outcome {
        self.run_watched(scenario, T::default()).0
    }

    /// As [`Self::run`], watched by `listener` too, which is given back.
    pub fn run_watched(&mut self, scenario: &Scenario, listener: T) -> (Outcome, T) {
        let mut world = self.begin(scenario, listener);
        let mut run = Run::new(scenario, &mut world);
        let ended = run.phases();
        let verdict = run.judge(ended);
        let monitor = &world.observer().0;
        let outcome = Outcome {
            seed: scenario.seed,
            verdict,
            trace_hash: world.trace_hash(),
            counters: *world.counters(),
            requests: monitor.requests(),
            view_changes: monitor.view_changes(),
            virtual_time: world.now().since(Time::ZERO),
            replicas: scenario.cluster.replicas,
            clients: scenario.cluster.clients,
        };
        let listener = std::mem::take(&mut world.observer_mut().1);
        self.world = Some(world);
        (outcome, listener)
    }

    /// A world at time zero, its disks formatted and its clocks set.
    fn begin(&mut self, scenario: &Scenario, listener: T) -> World<Node, (Monitor, T)> {
        let blueprint = Blueprint {
            configuration: scenario.cluster.configuration(),
            workload: scenario.workload.unwrap_or_default(),
            seed: scenario.seed,
        };
        let (replicas, clients) = (scenario.cluster.replicas, scenario.cluster.clients);
        let setup = Setup {
            nodes: replicas + clients,
            links: scenario.network,
            disks: scenario.disk,
            events_max: EVENTS_MAX,
        };
        let mut world = match self.world.take() {
            Some(mut world) => {
                *world.blueprint_mut() = blueprint;
                world.reset(setup, scenario.seed);
                world
            }
            None => World::new(blueprint, setup, scenario.seed, (Monitor::default(), listener)),
        };
        world.observer_mut().0.reset(replicas, clients);
        self.format_disks(&mut world);
        set_clocks(scenario, &mut world);
        world
    }

    fn format_disks(&mut self, world: &mut World<Node, (Monitor, T)>) {
        let configuration = world.blueprint().configuration;
        for replica in configuration.replicas() {
            vsr_core::format(&configuration, replica, &mut self.effects);
            let (effects, bytes) = self.effects.drain();
            for effect in effects {
                if let Effect::Write { zone, offset, bytes: range, .. } = effect {
                    let node = node_of(replica);
                    world.disk_mut().overwrite(node, zone_of(zone), offset, &bytes[range]);
                }
            }
        }
    }
}

fn set_clocks<O: Observer<Node>>(scenario: &Scenario, world: &mut World<Node, O>) {
    let keyed = Keyed::new(scenario.seed, "clock");
    for node in world.nodes() {
        let fate = keyed.fate(u64::from(node.number()), 0);
        let either_way = |lane, most: u64| {
            let drawn = fate.up_to(lane, 2 * most);
            let drawn = i64::try_from(drawn).expect("twice a span of a minute fits");
            drawn - i64::try_from(most).expect("a span of a minute fits")
        };
        let skew = either_way(0, scenario.clock.skew_ppm.into());
        if skew != 0 {
            world.set_skew(node, i32::try_from(skew).expect("a skew is below a million"));
        }
        world.jump_wall_clock(node, either_way(1, scenario.clock.wall_offset.as_ns()));
    }
}

/// The director of the scenario's steps.
fn director_of(scenario: &Scenario) -> Director {
    let servers = NodeSet::first(scenario.cluster.replicas);
    let quorums = scenario.cluster.configuration().quorums();
    let tolerated = u32::from(scenario.cluster.replicas) - u32::from(quorums.replication());
    // One that tolerates nothing stands still while somebody is down, and goes on afterwards.
    let limits = Limits { servers, down_max: tolerated.max(1) };
    let plan = Plan { steps: scenario.steps.clone() };
    Director::new::<Node>(plan, limits, scenario.seed)
        .expect("steps were checked when they were drawn or read")
}

/// One run under way.
struct Run<'a, O: Observer<Node>> {
    scenario: &'a Scenario,
    world: &'a mut World<Node, O>,
    workload: Workload,
    bounds: Bounds,
    /// The replicas that must make progress once the faults have stopped.
    core: NodeSet,
    /// By client: up to which operation of the script it was told to go, and the incarnation that was told.
    told: Vec<Option<(u32, Incarnation)>>,
    director: Director,
    words: Words,
    look: Span,
}

impl<'a, T: Observer<Node>> Run<'a, (Monitor, T)> {
    fn new(scenario: &'a Scenario, world: &'a mut World<Node, (Monitor, T)>) -> Self {
        Self {
            scenario,
            world,
            workload: scenario
                .workload
                .unwrap_or_else(|| Workload { requests: 0, ..Workload::default() }),
            bounds: Bounds::of(scenario, LATE_REQUESTS),
            core: NodeSet::first(scenario.cluster.replicas),
            told: vec![None; usize::from(scenario.cluster.clients)],
            director: director_of(scenario),
            words: Words { replicas: scenario.cluster.replicas, clients: scenario.cluster.clients },
            look: scenario.cluster.timeouts.suspect_primary.percent(LOOK_PERCENT),
        }
    }

    fn phases(&mut self) -> Result<(), Ended> {
        self.safety()?;
        self.heal();
        self.liveness()?;
        self.idle()
    }

    const fn monitor(&self) -> &Monitor {
        &self.world.observer().0
    }

    fn clients(&self) -> impl Iterator<Item = (u8, NodeIndex)> + use<T> {
        let replicas = self.scenario.cluster.replicas;
        (0..self.scenario.cluster.clients)
            .map(move |client| (client, NodeIndex::new(replicas + client)))
    }

    fn replica(&self, node: NodeIndex) -> Option<&ReplicaNode> {
        self.world.process(node).and_then(Node::replica)
    }

    /// Tells every client that has not been told, or has come back since, how far to go.
    fn tell_clients(&mut self, until: impl Fn(u8, u32) -> u32) {
        for (client, node) in self.clients() {
            if self.world.state(node) != NodeState::Up {
                continue;
            }
            let first = self.monitor().next_operation(client);
            let incarnation = self.world.incarnation(node);
            let until = until(client, first);
            let told = &mut self.told[usize::from(client)];
            if *told != Some((until, incarnation)) {
                *told = Some((until, incarnation));
                self.world.command(node, Work::Script { first, until });
            }
        }
    }

    /// Lets the world run until `limit`.
    fn advance(&mut self, limit: Time) -> Result<(), Ended> {
        match self.director.run_until(self.world, limit, &mut self.words) {
            Stop::Reached | Stop::Idle | Stop::Hit => Ok(()),
            Stop::Observer | Stop::Panicked(_) => Err(Ended::Broken),
            Stop::Budget => Err(Ended::Budget(format!("{EVENTS_MAX} events"))),
        }
    }

    fn safety(&mut self) -> Result<(), Ended> {
        // Nodes boot before they can be given work.
        self.advance(Time::ZERO)?;
        let end = Time::ZERO.plus(self.scenario.duration);
        let clients = self.scenario.cluster.clients;
        while self.world.now() < end {
            let workload = self.workload;
            self.tell_clients(|client, _| workload.share(client, clients));
            let limit = self.world.now().plus(self.look).min(end);
            self.advance(limit)?;
            if self.clients_are_done() {
                break;
            }
        }
        Ok(())
    }

    /// Whether every client that is up has gone as far as it was told.
    fn clients_are_done(&self) -> bool {
        self.clients().all(|(_, node)| {
            let process = self.world.process(node).and_then(Node::client);
            process.is_none_or(crate::cluster::client::ClientNode::is_done)
        })
    }

    /// Faults stop. A random quorum of replicas is healed, and everything outside it stays broken for good: as it is, or
    /// up but deaf, or up but mute.
    fn heal(&mut self) {
        self.choose_core();
        let all = NodeSet::first(self.world.setup().nodes);
        let outside = NodeSet::first(self.scenario.cluster.replicas).difference(self.core);
        let keyed = Keyed::new(self.scenario.seed, "outside");
        let mut healed = all.difference(outside);
        let (mut deaf, mut mute) = (NodeSet::EMPTY, NodeSet::EMPTY);
        for node in outside.iter() {
            match keyed.fate(u64::from(node.number()), 0).up_to(0, 3) {
                0 => deaf.insert(node),
                1 => mute.insert(node),
                _ => {}
            }
        }
        healed = healed.union(deaf).union(mute);
        self.director.heal(self.world, healed);
        let network = self.world.network_mut();
        for node in deaf.iter() {
            network.cut(all.iter().map(|other| (other, node)));
        }
        for node in mute.iter() {
            network.cut(all.iter().map(|other| (node, other)));
        }
    }

    fn choose_core(&mut self) {
        let replicas = self.scenario.cluster.replicas;
        let mut stream = self.scenario.seed.stream("core");
        let mut order: Vec<NodeIndex> = NodeIndex::first(replicas).collect();
        stream.shuffle(&mut order);
        let quorum = self.scenario.cluster.configuration().quorums();
        let least = usize::from(quorum.view_change().max(quorum.replication()));
        let size = if stream.chance(500_000) {
            least
        } else {
            least + stream.place(order.len() - least + 1)
        };
        self.core = order.into_iter().take(size).collect();
    }

    /// Outstanding requests and some new ones must be answered, and the core agree on a view.
    fn liveness(&mut self) -> Result<(), Ended> {
        let begin = self.world.now();
        let late: Vec<u32> = (0..self.scenario.cluster.clients)
            .map(|client| self.monitor().next_operation(client) + LATE_REQUESTS)
            .collect();
        let requests = if self.scenario.workload.is_some() { late } else { Vec::new() };
        loop {
            self.tell_clients(|client, first| {
                requests.get(usize::from(client)).copied().unwrap_or(first)
            });
            let limit = self.world.now().plus(self.look);
            self.advance(limit)?;
            self.refuse_halted()?;
            let (done, agreed) = (self.clients_are_done(), self.core_view().is_ok());
            if done && agreed {
                return Ok(());
            }
            let waited = self.world.now().since(begin);
            if !agreed && waited > self.bounds.view_converges {
                let words = self.core_view().expect_err("the core does not agree");
                return self.stuck("view-converges", waited, words);
            }
            if !done && waited > self.bounds.request_completes {
                let words = self.waiting_clients();
                return self.stuck("request-completes", waited, words);
            }
        }
    }

    /// No traffic of clients at all: the core must come to one log, executed to its end, and stay in its view.
    fn idle(&mut self) -> Result<(), Ended> {
        let begin = self.world.now();
        let mut quiet_since: Option<(Time, ViewNumber)> = None;
        let mut views = 0;
        loop {
            let limit = self.world.now().plus(self.look);
            self.advance(limit)?;
            self.refuse_halted()?;
            let now = self.world.now();
            match (self.converged(), quiet_since) {
                (Ok(view), Some((since, before))) if view == before => {
                    if now.since(since) >= self.bounds.quiet {
                        return Ok(());
                    }
                }
                (Ok(view), _) => {
                    quiet_since = Some((now, view));
                    views += 1;
                }
                (Err(words), _) => {
                    quiet_since = None;
                    if now.since(begin) > self.bounds.catch_up {
                        return self.stuck("idle-converges", now.since(begin), words);
                    }
                }
            }
            if views > u32::from(self.scenario.cluster.replicas) + 2 {
                let words = format!("{views} views came and went with nothing to do");
                return self.stuck("no-churn", now.since(begin), words);
            }
        }
    }

    /// A log that is full is a run that was sized too small; any other halt is a bug.
    fn refuse_halted(&mut self) -> Result<(), Ended> {
        let Some((node, halt)) = self.monitor().halted() else { return Ok(()) };
        match halt {
            Halt::LogFull => Err(Ended::Budget(format!("the log of r{} is full", node.number()))),
            Halt::WrongDisk | Halt::DiskFailed | Halt::LogDamaged => {
                let at = self.world.now();
                self.world.observer_mut().0.found(Finding {
                    kind: FindingKind::Safety,
                    property: "halt",
                    place: format!("{halt:?}"),
                    message: format!(
                        "r{} halted ({halt:?}), though no disk lost or spoiled anything durable",
                        node.number()
                    ),
                    at,
                });
                Err(Ended::Broken)
            }
        }
    }

    fn stuck(&mut self, property: &'static str, waited: Span, words: String) -> Result<(), Ended> {
        let at = self.world.now();
        let message =
            format!("{words}, {} ms after the faults stopped", waited.as_ns() / 1_000_000);
        let kind = FindingKind::NoProgress;
        let place = String::new();
        self.world.observer_mut().0.found(Finding { kind, property, place, message, at });
        Err(Ended::Broken)
    }

    /// The view that all of the core is normal in, or what is in the way.
    fn core_view(&self) -> Result<ViewNumber, String> {
        let mut common = None;
        for node in self.core.iter() {
            let Some(replica) = self.replica(node) else {
                return Err(format!("r{} is down", node.number()));
            };
            let replica = replica.replica();
            if replica.status() != Status::Normal {
                return Err(format!(
                    "{} is {:?} in {}",
                    replica.me(),
                    replica.status(),
                    replica.view()
                ));
            }
            match common {
                None => common = Some((replica.me(), replica.view())),
                Some((other, view)) if view != replica.view() => {
                    return Err(format!(
                        "{other} is in {view}, {} in {}",
                        replica.me(),
                        replica.view()
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(common.expect("a core is never empty").1)
    }

    /// The view of a core that has one log, executed to its end, or what is in the way.
    fn converged(&self) -> Result<ViewNumber, String> {
        let view = self.core_view()?;
        let mut common = None;
        for node in self.core.iter() {
            let replica = self.replica(node).expect("a core with a view is up").replica();
            let (me, op, commit) = (replica.me(), replica.op(), replica.commit());
            if op != commit {
                return Err(format!("{me} has {op} and has executed only {commit}"));
            }
            match common {
                None => common = Some((me, op)),
                Some((other, first)) if first != op => {
                    return Err(format!("{other} ends at {first}, {me} at {op}"));
                }
                Some(_) => {}
            }
        }
        Ok(view)
    }

    fn waiting_clients(&self) -> String {
        let waiting: Vec<String> = self
            .clients()
            .filter(|(client, _)| self.monitor().is_waiting(*client))
            .map(|(client, _)| format!("c{client}"))
            .collect();
        format!("no answer for {}", waiting.join(" "))
    }

    /// The verdict: what was found on the way, or what the final checks say.
    fn judge(&mut self, ended: Result<(), Ended>) -> Verdict {
        if let Some(finding) = self.monitor().finding() {
            return Verdict::Fail(Box::new(finding.clone()));
        }
        if let Err(Ended::Broken) = ended {
            return Verdict::Fail(Box::new(self.panic_finding()));
        }
        let at = self.world.now();
        let finished = self.world.observer_mut().0.take_chronicle().finish();
        let judgement = finished.judge(CHECK_STEPS);
        if let Judgement::NotLinearizable(evidence) = judgement {
            return Verdict::Fail(Box::new(Finding {
                kind: FindingKind::NotLinearizable,
                property: "linearizable",
                place: String::new(),
                message: evidence.reason.clone(),
                at,
            }));
        }
        match ended {
            Err(Ended::Budget(what)) => return Verdict::Unknown(what),
            Err(Ended::Broken) | Ok(()) => {}
        }
        if let Some(finding) = self.digests_differ() {
            return Verdict::Fail(Box::new(finding));
        }
        match judgement {
            Judgement::Unknown(exhausted) => Verdict::Unknown(exhausted.to_string()),
            Judgement::Linearizable | Judgement::NotLinearizable(_) => Verdict::Pass,
        }
    }

    fn digests_differ(&self) -> Option<Finding> {
        let digest = |node: NodeIndex| {
            let replica = self.replica(node)?.replica();
            Some((replica.me(), replica.commit(), replica.state_machine().service().clone()))
        };
        let mut core = self.core.iter().filter_map(digest);
        let (first, commit, state) = core.next()?;
        let (other, ..) = core.find(|(_, _, other)| *other != state)?;
        Some(Finding {
            kind: FindingKind::Safety,
            property: "state-agreement",
            place: String::new(),
            message: format!("{first} and {other} hold different states after {commit}"),
            at: self.world.now(),
        })
    }

    fn panic_finding(&mut self) -> Finding {
        let at = self.world.now();
        match self.world.run_until(at) {
            Stop::Panicked(panicked) => {
                let who = words::node(panicked.node, self.scenario.cluster.replicas);
                let place = panics::take();
                let at_place =
                    place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
                Finding {
                    kind: FindingKind::Panic,
                    property: "no-panic",
                    place: place.unwrap_or_else(|| first_words(&panicked.message)),
                    message: format!("{who} panicked{at_place}: {}", panicked.message),
                    at,
                }
            }
            Stop::Reached | Stop::Idle | Stop::Hit | Stop::Observer | Stop::Budget => {
                unreachable!("a run breaks by a finding or by a panic")
            }
        }
    }
}

/// What does not vary with the seed in a panic's message: all up to the first digit.
fn first_words(message: &str) -> String {
    message.chars().take_while(|letter| !letter.is_ascii_digit() && *letter != '\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Seed;
    use crate::scenario::draw::Overrides;
    use crate::scenario::file;

    fn drawn(number: u64) -> Scenario {
        Scenario::draw(Seed::new(number), &Overrides::default())
    }

    /// Lossy links, slow disks and crooked clocks, but nothing breaks: all requests are answered.
    #[test]
    fn calm_runs_answer_every_request() {
        let mut runner: Runner = Runner::default();
        for number in 0..24 {
            let mut scenario = drawn(number);
            scenario.steps.clear();
            scenario.cluster.sessions = 64;
            scenario.duration = Span::from_secs(1_000);
            let outcome = runner.run(&scenario);
            let workload = scenario.workload.unwrap();
            let asked = workload.requests + u32::from(scenario.cluster.clients) * LATE_REQUESTS;
            assert_eq!(outcome.verdict, Verdict::Pass, "seed {number}");
            assert_eq!(outcome.requests, u64::from(asked), "seed {number}");
        }
    }

    /// A run is a function of its scenario, whatever ran before it in the same memory, and whether the scenario was drawn or
    /// read from a file.
    #[test]
    fn runs_can_be_repeated_from_the_seed_and_from_the_file() {
        let mut runner: Runner = Runner::default();
        let first: Vec<u128> =
            (0..40).map(|number| runner.run(&drawn(number)).trace_hash).collect();
        for (number, hash) in (0..).zip(&first).collect::<Vec<_>>().into_iter().rev() {
            assert_eq!(runner.run(&drawn(number)).trace_hash, *hash, "seed {number}");
            let text = file::text_of(&drawn(number));
            let read: Scenario = serde_json::from_str(&text).unwrap();
            assert_eq!(Runner::<()>::default().run(&read).trace_hash, *hash, "seed {number}");
        }
        // Were anything left over from one run to the next, a seed would not be enough to bring a failure back.
    }
}
