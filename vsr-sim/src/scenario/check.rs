//! What makes no sense in a scenario although it reads well, and where that stands.

use std::collections::BTreeMap;

use serde_json::Value;
use vsr_core::configuration::ConfigurationError;
use vsr_core::number::REPLICA_COUNT_MAX;

use super::action::{Action, Request};
use super::expectation::Expectation;
use super::fates::NamedFate;
use super::place::{Part, Path};
use super::{CLIENT_COUNT_MAX, Cluster, Scenario};
use crate::cluster::event::{is_about_something, is_of_replica};
use crate::cluster::node::Node;
use crate::cluster::packet::{ends_of, number_of_kind};
use crate::cluster::selector::Words;
use crate::cluster::service::Service;
use crate::cluster::workload::WorkloadError;
use crate::engine::clock::SKEW_PPM_MAX;
use crate::engine::random::MILLION;
use crate::engine::{NodeSet, Process as _, Span};
use crate::faults::{Fault, Gate, Lasts, MomentName, On, PlanError, Selector, Step};

/// The longest wait that makes sense: one that is longer is a slip of the pen, and may be too long to reckon with.
const WAIT_MAX: Span = Span::from_secs(3_600);

/// The same for a whole run, which may have millions of operations before it.
pub(super) const DURATION_MAX: Span = Span::from_secs(10_000_000);

/// The most slots of a log: they are all kept in memory.
const SLOTS_MAX: u32 = 1 << 20;

/// One thing that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) path: Path,
    pub(super) part: Part,
    pub(super) words: String,
}

/// All that makes no sense in `scenario`, if its clients ask `service`.
pub(super) fn problems(scenario: &Scenario, service: &dyn Service) -> Vec<Problem> {
    let mut check = Check { scenario, service, words: scenario.words(), problems: Vec::new() };
    let whole = Path::default();
    check.cluster(&whole.field("cluster"));
    check.rates(&whole);
    check.workload(&whole.field("workload"));
    for (place, fate) in scenario.fates.iter().enumerate() {
        check.fate(&whole.field("fates").item(place), fate);
    }
    for (place, step) in scenario.steps.iter().enumerate() {
        check.step(&whole.field("steps").item(place), step);
    }
    check.expect(&whole.field("expect"));
    check.problems
}

struct Check<'a> {
    scenario: &'a Scenario,
    service: &'a dyn Service,
    words: Words,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn refuse(&mut self, path: &Path, words: impl Into<String>) {
        self.problems.push(Problem { path: path.clone(), part: Part::Value, words: words.into() });
    }

    /// Refuses what should not be told at all: where it begins, with its name.
    fn refuse_field(&mut self, path: &Path, words: impl Into<String>) {
        self.problems.push(Problem { path: path.clone(), part: Part::Name, words: words.into() });
    }

    fn cluster(&mut self, path: &Path) {
        let Cluster { replicas, clients, pipeline, slots, timeouts, .. } = self.scenario.cluster;
        if !(1..=REPLICA_COUNT_MAX).contains(&replicas) {
            let words = format!("{replicas} replicas: there are 1 to {REPLICA_COUNT_MAX}");
            return self.refuse(&path.field("replicas"), words);
        }
        if !(1..=CLIENT_COUNT_MAX).contains(&clients) {
            let words = format!("{clients} clients: there are 1 to {CLIENT_COUNT_MAX}");
            self.refuse(&path.field("clients"), words);
        }
        if slots > SLOTS_MAX || pipeline > SLOTS_MAX {
            let words = format!("{slots} slots: a log has {SLOTS_MAX} at most");
            return self.refuse(&path.field("slots"), words);
        }
        if let Err(error) = self.scenario.cluster.configuration().validate() {
            let field = match error {
                ConfigurationError::ReplicaCount(_) => "replicas",
                ConfigurationError::Pipeline(_) => "pipeline",
                ConfigurationError::Slots { .. } => "slots",
                ConfigurationError::ZeroInterval | ConfigurationError::SnapshotSize(_) => {
                    "checkpoint_interval"
                }
                ConfigurationError::Clients(_) => "sessions",
                ConfigurationError::ZeroTimeout => "timeouts",
            };
            let path = path.field(field);
            match timeouts.iter().find(|(_, span)| *span == Span::ZERO) {
                Some((name, _)) if field == "timeouts" => {
                    self.refuse(&path.field(name), error.to_string());
                }
                Some(_) | None => self.refuse(&path, error.to_string()),
            }
        }
        for (name, span) in timeouts.iter() {
            self.wait(&path.field("timeouts").field(name), span);
        }
    }

    fn wait(&mut self, path: &Path, span: Span) {
        self.wait_most(path, span, WAIT_MAX);
    }

    fn wait_most(&mut self, path: &Path, span: Span, most: Span) {
        if span > most {
            self.refuse(path, format!("{span} is longer than anybody waits: {most} at most"));
        }
    }

    /// All rates are parts of a million, whatever they are rates of.
    fn rates(&mut self, path: &Path) {
        let Scenario { network, disk, clock, .. } = self.scenario;
        let whole = serde_json::to_value(self.scenario).expect("a scenario can be written");
        self.rates_in(path, &whole);
        if disk.crash_kept_ppm.saturating_add(disk.crash_lost_ppm) > MILLION {
            let words = "kept and lost are more than all of a million writes together";
            self.refuse(&path.field("disk").field("crash_lost_ppm"), words);
        }
        let most = SKEW_PPM_MAX.unsigned_abs();
        if clock.skew_ppm > most {
            let words = format!("a clock may be off by {most} parts in a million at most");
            self.refuse(&path.field("clock").field("skew_ppm"), words);
        }
        let spans = [
            ("network", "latency", network.latency),
            ("network", "jitter", network.jitter),
            ("network", "tail", network.tail),
            ("disk", "write_latency", disk.write_latency),
            ("disk", "read_latency", disk.read_latency),
            ("disk", "jitter", disk.jitter),
            ("disk", "sector_latency", disk.sector_latency),
            ("disk", "tail", disk.tail),
            ("disk", "crash_late", disk.crash_late),
        ];
        for (part, field, span) in spans {
            self.wait(&path.field(part).field(field), span);
        }
        self.wait_most(&path.field("duration"), self.scenario.duration, DURATION_MAX);
    }

    fn rates_in(&mut self, path: &Path, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let path = path.field(name);
                    let is_rate = name.ends_with("_ppm") && name != "skew_ppm";
                    if is_rate && value.as_u64().is_some_and(|rate| rate > MILLION.into()) {
                        self.refuse(&path, format!("{value} of a million"));
                    }
                    self.rates_in(&path, value);
                }
            }
            Value::Array(items) => {
                for (place, value) in items.iter().enumerate() {
                    self.rates_in(&path.item(place), value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn workload(&mut self, path: &Path) {
        let Some(workload) = self.scenario.workload else { return };
        if let Err(error) = workload.validate() {
            let field = match error {
                WorkloadError::Keys(_) => "keys",
                WorkloadError::Mix => "mix",
                WorkloadError::Think => "think_max",
            };
            self.refuse(&path.field(field), error.to_string());
        }
        self.wait(&path.field("think_max"), workload.think_max);
    }

    /// The nodes that a word may ever mean, or nobody and a problem.
    fn nodes(&mut self, path: &Path, selector: &Selector) -> Option<NodeSet> {
        let Words { replicas, clients } = self.words;
        match self.words.possible(selector) {
            None => {
                self.refuse(path, format!("no nodes are called `{selector}`"));
                None
            }
            Some(nodes) if nodes.is_empty() => {
                let words = format!(
                    "the cluster has no `{selector}`: {replicas} replicas, {clients} clients"
                );
                self.refuse(path, words);
                None
            }
            Some(nodes) => Some(nodes),
        }
    }

    fn of_sort(&self, is_replica: bool) -> NodeSet {
        let (all, replicas) =
            (self.words.replicas + self.words.clients, NodeSet::first(self.words.replicas));
        if is_replica { replicas } else { NodeSet::first(all).difference(replicas) }
    }

    /// Refuses a word that can never mean who it must.
    fn must_be(&mut self, path: &Path, selector: &Selector, is_replica: bool, what: &str) {
        let Some(nodes) = self.nodes(path, selector) else { return };
        if nodes.intersection(self.of_sort(is_replica)).is_empty() {
            let who = if is_replica { "replicas" } else { "clients" };
            self.refuse(path, format!("`{selector}` never {what}: only {who} do"));
        }
    }

    fn fate(&mut self, path: &Path, fate: &NamedFate) {
        for (field, node) in [("from", &fate.from), ("to", &fate.to)] {
            if !Words::is_numbered(node) {
                let words = format!("`{node}` is no single node such as `r0` or `c1`");
                return self.refuse(&path.field(field), words);
            }
        }
        self.packet(path, (&fate.from, &fate.to), &fate.kind);
    }

    /// A packet that is named: by its sender, its receiver and its kind.
    fn packet(&mut self, path: &Path, (from, to): (&Selector, &Selector), kind: &str) {
        let Some(number) = number_of_kind(kind) else {
            return self.refuse(&path.field("kind"), format!("no kind is called `{kind}`"));
        };
        let (from_replica, to_replica) = ends_of(number);
        self.must_be(&path.field("from"), from, from_replica, &format!("sends a {kind}"));
        self.must_be(&path.field("to"), to, to_replica, &format!("gets a {kind}"));
    }

    fn step(&mut self, path: &Path, step: &Step<Action>) {
        let duration = self.scenario.duration;
        match step.gate {
            Gate::At(time) if time.as_ns() > duration.as_ns() => {
                self.refuse(
                    &path.field("at"),
                    format!("never: the steps are over after {duration}"),
                );
            }
            Gate::After(span) if span > duration => {
                self.refuse(
                    &path.field("after"),
                    format!("never: the steps are over after {duration}"),
                );
            }
            Gate::Start | Gate::At(_) | Gate::After(_) | Gate::Settled(_) => {}
        }
        if let Some(on) = &step.on {
            self.on(&path.field("on"), on);
        }
        if let Lasts::Until(until) = &step.lasts {
            self.on(&path.field("until"), until);
        }
        let field = match &step.lasts {
            Lasts::On => None,
            Lasts::For(_) => Some("for"),
            Lasts::Until(_) => Some("until"),
        };
        let path_of_action = path.field("do").field(step.action.name());
        match (&step.action, field) {
            (Action::Request(_) | Action::Expect(_), Some(field)) => {
                let name = step.action.name();
                self.refuse_field(&path.field(field), format!("`{name}` does not last"));
            }
            (Action::Fault(_), _) | (Action::Request(_) | Action::Expect(_), None) => {}
        }
        match &step.action {
            Action::Fault(fault) => self.fault(&path_of_action, fault),
            Action::Request(request) => self.request(&path_of_action, request),
            Action::Expect(expectation) => self.expectation(&path_of_action, expectation),
        }
    }

    fn on(&mut self, path: &Path, on: &On) {
        // Words are looked at below, against this cluster.
        if let Err(error) = on.check::<Node>(&|_| true) {
            let field = match error {
                PlanError::UnknownKind(_) => path.field("kind"),
                PlanError::NeverComes => path.field("nth"),
                PlanError::NoKind(_)
                | PlanError::When
                | PlanError::HowLong
                | PlanError::UnknownWord(_) => path.clone(),
            };
            return self.refuse(&field, error.to_string());
        }
        let kind = on.kind.as_deref().unwrap_or_default();
        if on.identity.is_some() && !has_identity(on.moment, kind) {
            self.refuse_field(&path.field("identity"), "it is about nothing that has a number");
        }
        let (node, peer) = parties(on.moment, kind);
        let (does, is_done) = match on.moment {
            MomentName::Sent => (format!("sends a {kind}"), format!("gets a {kind}")),
            MomentName::Delivered => (format!("gets a {kind}"), format!("sends a {kind}")),
            MomentName::WriteStarted | MomentName::WriteEnded => {
                (format!("writes {kind}"), String::new())
            }
            MomentName::Event | MomentName::Booted | MomentName::Crashed => {
                (format!("says {kind}"), String::new())
            }
        };
        for (field, selector, party, what) in
            [("node", &on.node, node, does), ("peer", &on.peer, peer, is_done)]
        {
            let Some(selector) = selector else { continue };
            let path = path.field(field);
            match party {
                Party::Replica => self.must_be(&path, selector, true, &what),
                Party::Client => self.must_be(&path, selector, false, &what),
                Party::Any => drop(self.nodes(&path, selector)),
                Party::Nobody => {
                    self.refuse_field(&path, "only packets have somebody at the other end");
                }
            }
        }
    }

    fn fault(&mut self, path: &Path, fault: &Fault) {
        let words: Vec<(Path, Selector)> = self.words_in(path, fault);
        for (path, selector) in &words {
            self.nodes(path, selector);
        }
        match fault {
            Fault::Lose { from, to, kind, .. } => self.packet_of_words(path, (from, to), kind),
            Fault::Skew { ppm, .. } if ppm.unsigned_abs() > SKEW_PPM_MAX.unsigned_abs() => {
                let words =
                    format!("a clock may be off by {SKEW_PPM_MAX} parts in a million at most");
                self.refuse(&path.field("ppm"), words);
            }
            Fault::Skew { .. }
            | Fault::Hold { .. }
            | Fault::Crash { .. }
            | Fault::Restart { .. }
            | Fault::PowerLoss { .. }
            | Fault::Partition { .. }
            | Fault::Cut { .. }
            | Fault::Isolate { .. }
            | Fault::Heal {}
            | Fault::Rates { .. }
            | Fault::SlowDisk { .. }
            | Fault::WallAhead { .. }
            | Fault::WallBack { .. }
            | Fault::Pause { .. }
            | Fault::Rot { .. }
            | Fault::LoseWrite { .. }
            | Fault::MisdirectWrite { .. }
            | Fault::FailFlush { .. }
            | Fault::WriteError { .. }
            | Fault::ReadError { .. }
            | Fault::Misread { .. }
            | Fault::FullDisk { .. }
            | Fault::WipeDisk { .. } => {}
        }
        if let Err(PlanError::UnknownKind(name)) = fault.check::<Node>(&|_| true) {
            let field = if fault.zone() == Some(&name) { "zone" } else { "kind" };
            let kinds = path.field("kinds");
            let place = fault.message_kinds().iter().position(|kind| *kind == name);
            let path = match (fault, place) {
                (Fault::Hold { .. }, Some(place)) => kinds.item(place),
                (_, _) => path.field(field),
            };
            self.refuse(&path, format!("no kind is called `{name}`"));
        }
    }

    /// As [`Self::packet`], where words are looked at already.
    fn packet_of_words(&mut self, path: &Path, (from, to): (&Selector, &Selector), kind: &str) {
        let is_known = |selector| self.words.possible(selector).is_some_and(|set| !set.is_empty());
        if is_known(from) && is_known(to) && number_of_kind(kind).is_some() {
            self.packet(path, (from, to), kind);
        }
    }

    /// All words for nodes in a fault, and where each stands: by what the fault says when it is written.
    fn words_in(&self, path: &Path, fault: &Fault) -> Vec<(Path, Selector)> {
        let mut places: BTreeMap<String, Vec<Path>> = BTreeMap::new();
        let written = serde_json::to_value(fault).expect("a fault can be written");
        for content in written.as_object().into_iter().flat_map(serde_json::Map::values) {
            strings_in(path, content, &mut places);
        }
        let mut words: Vec<Selector> = fault.selectors().into_iter().cloned().collect();
        words.sort();
        words.dedup();
        let place = |word: &Selector| {
            let places = places.get(word.word()).cloned().unwrap_or_default();
            places.into_iter().map(|path| (path, word.clone())).collect::<Vec<_>>()
        };
        words.iter().flat_map(place).collect()
    }

    fn request(&mut self, path: &Path, request: &Request) {
        self.must_be(&path.field("from"), &request.from, false, "asks for anything");
        let body_size_max = self.scenario.cluster.configuration().body_size_max;
        match self.service.operation_from_words(&request.operation) {
            Err(error) => self.refuse(&path.field("operation"), error),
            Ok(bytes)
                if u64::try_from(bytes.len()).is_ok_and(|size| size > body_size_max.into()) =>
            {
                let size = bytes.len();
                let words = format!("an operation of {size} bytes: it has {body_size_max} at most");
                self.refuse(&path.field("operation"), words);
            }
            Ok(_) => {}
        }
    }

    fn expectation(&mut self, path: &Path, expectation: &Expectation) {
        if let Err(error) = expectation.check() {
            self.refuse(path, error);
        }
        if let Some(nodes) = &expectation.nodes {
            let path = path.field("nodes");
            if expectation.is_about_replicas() {
                self.must_be(&path, nodes, true, "has what is expected");
            } else if expectation.is_about_clients() {
                self.must_be(&path, nodes, false, "has what is expected");
            } else {
                self.nodes(&path, nodes);
            }
        }
        for selector in expectation.commits.keys() {
            let path = path.field("commits").field(selector.word());
            let before = self.problems.len();
            self.must_be(&path, selector, true, "commits anything");
            for problem in &mut self.problems[before..] {
                problem.part = Part::Name;
            }
        }
    }

    fn expect(&mut self, path: &Path) {
        let expect = &self.scenario.expect;
        for (field, error) in expect.check() {
            self.refuse(&path.field(field), error);
        }
        for (place, state) in expect.states.iter().enumerate() {
            self.expectation(&path.field("states").item(place), state);
        }
    }
}

/// Who may be at one end of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Party {
    Replica,
    Client,
    Any,
    Nobody,
}

/// To whom a moment of this kind may happen, and who is at the other end.
fn parties(moment: MomentName, kind: &str) -> (Party, Party) {
    let sort = |is_replica| if is_replica { Party::Replica } else { Party::Client };
    let ends = number_of_kind(kind).map(ends_of);
    match (moment, ends) {
        (MomentName::Sent, Some((from, to))) => (sort(from), sort(to)),
        (MomentName::Delivered, Some((from, to))) => (sort(to), sort(from)),
        (MomentName::Sent | MomentName::Delivered, None) => (Party::Any, Party::Any),
        (MomentName::WriteStarted | MomentName::WriteEnded, _) => (Party::Replica, Party::Nobody),
        (MomentName::Event, _) => {
            let number = Node::EVENT_KINDS.iter().position(|name| *name == kind);
            (number.map_or(Party::Any, |number| sort(is_of_replica(number))), Party::Nobody)
        }
        (MomentName::Booted | MomentName::Crashed, _) => (Party::Any, Party::Nobody),
    }
}

/// Whether what is seen is about an operation, a view or a session.
fn has_identity(moment: MomentName, kind: &str) -> bool {
    match moment {
        MomentName::Sent | MomentName::Delivered => true,
        MomentName::Event => {
            let place = Node::EVENT_KINDS.iter().position(|name| *name == kind);
            place.is_some_and(is_about_something)
        }
        MomentName::WriteStarted
        | MomentName::WriteEnded
        | MomentName::Booted
        | MomentName::Crashed => false,
    }
}

/// Where in a value each string stands.
fn strings_in(path: &Path, value: &Value, places: &mut BTreeMap<String, Vec<Path>>) {
    match value {
        Value::String(text) => places.entry(text.clone()).or_default().push(path.clone()),
        Value::Object(fields) => {
            for (name, value) in fields {
                strings_in(&path.field(name), value, places);
            }
        }
        Value::Array(items) => {
            for (place, value) in items.iter().enumerate() {
                strings_in(&path.item(place), value, places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
