//! Runs scenarios, one after the other in the same memory.

use vsr_core::io::{Effect, Effects};

use super::Scenario;
use super::listener::Listener;
use super::outcome::{Outcome, Verdict};
use super::panics::Running;
use super::phases::Run;
use crate::cluster::budget;
use crate::cluster::monitor::Monitor;
use crate::cluster::node::{Blueprint, Node, node_of};
use crate::cluster::replica::zone_of;
use crate::cluster::selector::Words;
use crate::cluster::service::AnyService;
use crate::engine::observer::Observer;
use crate::engine::random::Keyed;
use crate::engine::time::Time;
use crate::engine::world::{Setup, World};
use crate::engine::{PacketFate, PacketName};

/// After so many events a run is given up as unknown: or after so many for each request, where it has many of them.
const EVENTS_MAX: u64 = 20_000_000;
const EVENTS_PER_REQUEST_MAX: u64 = 200;

/// A run of so many requests is a long one: what was judged of it is forgotten while it goes on.
const REQUESTS_LONG: u32 = 20_000;

/// So many operations of a long run are remembered before those that every disk has a checkpoint of.
const OPERATIONS_KEPT: u64 = 4_096;

/// From how many requests on a run is forgotten, and how much of it is not.
#[derive(Clone, Copy, Debug)]
struct Forgetting {
    requests: u32,
    operations_kept: u64,
}

impl Default for Forgetting {
    fn default() -> Self {
        Self { requests: REQUESTS_LONG, operations_kept: OPERATIONS_KEPT }
    }
}

/// A world that is watched by the monitor, and by a listener.
pub(super) type Watched<T> = World<Node, (Monitor, T)>;

/// Runs one scenario after the other in the same memory; clusters of the key-value store, unless it is made with [`Runner::of`].
#[derive(Debug, Default)]
pub struct Runner<T: Observer<Node> = ()> {
    service: AnyService,
    world: Option<Watched<T>>,
    effects: Effects,
    /// After how many events a run is given up, if before [`EVENTS_MAX`].
    events_max: Option<u64>,
    /// When a run is to be left, if that is before its end.
    until: Option<Time>,
    /// Whether the bad luck of packets is written down.
    is_recording: bool,
    forgetting: Forgetting,
    /// How many runs had to be run again, since what was forgotten was needed to judge them.
    again_count: u64,
}

impl<T: Listener + Default> Runner<T> {
    /// Runs clusters of this service.
    #[must_use]
    pub fn of(service: AnyService) -> Self {
        Self { service, ..Self::default() }
    }

    /// Runs `scenario` to its end.
    pub fn run(&mut self, scenario: &Scenario) -> Outcome {
        self.run_watched(scenario, T::default()).0
    }

    /// From now on gives a run up as unknown after so many events.
    pub const fn limit_events(&mut self, most: u64) {
        self.events_max = Some(most);
    }

    /// From now on leaves a run at this moment, if any: what was not found by then is unknown.
    pub const fn stop_at(&mut self, until: Option<Time>) {
        self.until = until;
    }

    /// From now on forgets runs of so many requests while they go on, instead of those of 20,000; but for as many operations, and two
    /// laps of the log, before those that every disk has a checkpoint of.
    ///
    /// Verdicts are the same: where what is forgotten turns out to be needed, and where anything is found, the run is run again and
    /// remembered.
    pub const fn forget_from(&mut self, requests: u32, operations_kept: u64) {
        self.forgetting = Forgetting { requests, operations_kept };
    }

    /// How many runs had to be run again, since what was forgotten was needed to judge them.
    #[must_use]
    pub const fn again_count(&self) -> u64 {
        self.again_count
    }

    /// As [`Self::run`]; gives too which packets met bad luck, and which.
    pub fn run_recorded(
        &mut self,
        scenario: &Scenario,
    ) -> (Outcome, Vec<(PacketName, PacketFate)>) {
        self.is_recording = true;
        let outcome = self.run(scenario);
        self.is_recording = false;
        let world = self.world.as_mut().expect("a run leaves its world behind");
        (outcome, world.network_mut().take_recorded())
    }

    /// As [`Self::run`], watched by `listener` too, which is given back.
    pub fn run_watched(&mut self, scenario: &Scenario, listener: T) -> (Outcome, T) {
        let requests = scenario.workload.map_or(0, |workload| workload.requests);
        let is_long = requests >= self.forgetting.requests;
        let Some(anew) = is_long.then(|| listener.anew()).flatten() else {
            return self.run_once(scenario, listener, None);
        };
        let kept = self.forgetting.operations_kept;
        let (outcome, listener) = self.run_once(scenario, listener, Some(kept));
        let world = self.world.as_ref().expect("a run leaves its world behind");
        let is_final = match outcome.verdict {
            Verdict::Pass => true,
            Verdict::Unknown(_) => !world.observer().0.is_in_doubt(),
            // Told in full by who remembers everything.
            Verdict::Fail(_) => false,
        };
        if is_final {
            return (outcome, listener);
        }
        self.again_count += 1;
        self.run_once(scenario, anew, None)
    }

    /// One run, of which all is remembered, unless it is said how much.
    fn run_once(
        &mut self,
        scenario: &Scenario,
        mut listener: T,
        operations_kept: Option<u64>,
    ) -> (Outcome, T) {
        let running = Running::begin();
        listener.run_begins(&self.service);
        let mut world = self.begin(scenario, listener, operations_kept);
        let mut run = Run::new(scenario, &mut world, self.until);
        let ended = run.phases();
        let verdict = run.judge(ended);
        let (faults, unfired) = (run.faults(), run.unfired());
        let monitor = &world.observer().0;
        let outcome = Outcome {
            seed: scenario.seed,
            verdict,
            trace_hash: world.trace_hash(),
            counters: *world.counters(),
            requests: monitor.requests(),
            view_changes: monitor.view_changes(),
            virtual_time: world.now().since(Time::ZERO),
            faults,
            unfired,
            exposure: *monitor.oracles().exposure(),
            replicas: scenario.cluster.replicas,
            clients: scenario.cluster.clients,
        };
        let listener = std::mem::take(&mut world.observer_mut().1);
        self.world = Some(world);
        drop(running);
        (outcome, listener)
    }

    /// A world at time zero, its disks formatted and its clocks set.
    fn begin(
        &mut self,
        scenario: &Scenario,
        listener: T,
        operations_kept: Option<u64>,
    ) -> Watched<T> {
        let configuration = scenario.cluster.configuration();
        let blueprint = Blueprint {
            configuration,
            service: self.service.clone(),
            workload: scenario.workload.unwrap_or_default(),
            seed: scenario.seed,
        };
        let (replicas, clients) = (scenario.cluster.replicas, scenario.cluster.clients);
        let requests = scenario.workload.map_or(0, |workload| u64::from(workload.requests));
        let events_max = EVENTS_MAX.max(requests * EVENTS_PER_REQUEST_MAX);
        let setup = Setup {
            nodes: replicas + clients,
            links: scenario.network,
            disks: scenario.disk,
            events_max: self.events_max.map_or(events_max, |most| most.min(events_max)),
        };
        let mut world = match self.world.take() {
            Some(mut world) => {
                *world.blueprint_mut() = blueprint;
                let (monitor, before) = world.observer_mut();
                monitor.reset(&configuration, &self.service, clients);
                *before = listener;
                world.reset(setup, scenario.seed);
                world
            }
            None => {
                let monitor = Monitor::new(&configuration, &self.service, clients);
                World::new(blueprint, setup, scenario.seed, (monitor, listener))
            }
        };
        let words = Words { replicas, clients };
        for fate in &scenario.fates {
            // Fates of nodes that there are not happen to nobody.
            if let Some(packet) = fate.packet(words) {
                world.network_mut().decide(packet, fate.fate);
            }
        }
        if self.is_recording {
            world.network_mut().record();
        }
        if let Some(kept) = operations_kept {
            world.observer_mut().0.forget(kept);
        }
        self.format_disks(&mut world);
        budget::mark(world.disk_mut(), scenario.budget, &configuration, scenario.seed);
        if !scenario.budget.is_within() {
            world.observer_mut().0.oracles_mut().bear_losses();
        }
        set_clocks(scenario, &mut world);
        world
    }

    fn format_disks(&mut self, world: &mut Watched<T>) {
        let configuration = world.blueprint().configuration;
        for replica in configuration.replicas() {
            vsr_core::format(&configuration, replica, &mut self.effects);
            let (effects, bytes) = self.effects.drain();
            for effect in effects {
                if let Effect::Write { zone, offset, bytes: range, .. } = effect {
                    let bytes = &bytes[range];
                    world.disk_mut().overwrite(node_of(replica), zone_of(zone), offset, bytes);
                    world.observer_mut().0.formatted(replica, zone, offset, bytes);
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
            let most = most.min(i64::MAX.unsigned_abs() / 2);
            let drawn = fate.up_to(lane, 2 * most);
            drawn.cast_signed() - most.cast_signed()
        };
        let skew = either_way(0, scenario.clock.skew_ppm.into());
        if skew != 0 {
            world.set_skew(node, i32::try_from(skew).expect("a skew is below a million"));
        }
        world.jump_wall_clock(node, either_way(1, scenario.clock.wall_offset.as_ns()));
    }
}

#[cfg(test)]
mod tests {
    use vsr_core::number::OpNumber;

    use super::*;
    use crate::engine::random::Seed;
    use crate::engine::time::Span;
    use crate::scenario::draw::{LATE_REQUESTS, Overrides, Profile};
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

    /// Who forgets says the same as who remembers, of clusters in which everything goes wrong: and has mostly had no need to ask.
    #[test]
    fn runs_that_are_forgotten_come_out_as_those_that_are_remembered() {
        let (mut remembering, mut forgetful): (Runner, Runner) = Default::default();
        forgetful.forget_from(0, 0);
        let mut forgotten = 0;
        for profile in [Profile::Swarm, Profile::HarshDisk, Profile::HarshDiskBeyond] {
            for number in 0..100 {
                let overrides = Overrides { profile, ..Overrides::default() };
                let scenario = Scenario::draw(Seed::new(number), &overrides);
                let (one, other) = (remembering.run(&scenario), forgetful.run(&scenario));
                assert_eq!(format!("{one:?}"), format!("{other:?}"), "seed {number}, {profile:?}");
                let world = forgetful.world.as_ref().unwrap();
                let oracles = world.observer().0.oracles();
                forgotten += u64::from(oracles.remembered_from() > OpNumber::ZERO);
            }
        }
        let again = forgetful.again_count();
        assert!(forgotten > 60 && again < 30, "{forgotten} forgotten, {again} run again");
    }

    /// A run is a function of its scenario, whatever ran before it in the same memory, and whether the scenario was drawn or
    /// read from a file.
    #[test]
    fn runs_can_be_repeated_from_the_seed_and_from_the_file() {
        let mut runner: Runner = Runner::default();
        let first: Vec<u128> = (0..40).map(|seed| runner.run(&drawn(seed)).trace_hash).collect();
        for number in (0..40).rev() {
            let (seed, hash) = (u64::try_from(number).unwrap(), first[number]);
            assert_eq!(runner.run(&drawn(seed)).trace_hash, hash, "seed {number}");
            let read = file::parse(&file::text_of(&drawn(seed))).unwrap();
            assert_eq!(Runner::<()>::default().run(&read).trace_hash, hash, "seed {number}");
        }
        // Were anything left over from one run to the next, a seed would not be enough to bring a failure back.
    }
}
