//! Watches a cluster: lets the oracles see it, writes down what clients see, and samples the wire.

use std::sync::Arc;

use vsr_core::configuration::Configuration;
use vsr_core::header::Operation;
use vsr_core::io::{Event as ReplicaEvent, Halt, Status, Zone};
use vsr_core::message::Request;
use vsr_core::number::{ClientId, OpNumber, ReplicaIndex, RequestNumber, ViewNumber};
use vsr_core::wire::{self, Frame};

use super::event::{ClientEvent, Event};
use super::following::Following;
use super::node::{Node, replica_at};
use super::service::{AnyService, Chronicle, ChronicleError, Machine};
use super::trouble::DiskTrouble;
use super::words;
use crate::engine::disk::{Disk, Mishap, Resolution, Write};
use crate::engine::network::Packet;
use crate::engine::node::{Incarnation, NodeIndex};
use crate::engine::observer::Observer;
use crate::engine::process::Input;
use crate::engine::time::Time;
use crate::oracles::{DiskBytes, Finding, FindingKind, Kind, Oracles, Violation, Witness};

/// Of so many packets, one is put on a wire and taken off again.
const WIRE_SAMPLE: u64 = 64;

/// The first so many packets all are.
const WIRE_FIRST: u64 = 32;

/// What is known of a client.
#[derive(Clone, Debug, Default)]
struct ClientSeen {
    /// The number of its process in the history: another after each crash and each lost session.
    process: u64,
    /// The number of its next operation of the script.
    next: u32,
    /// The place in the history of the last question.
    question: usize,
    /// Whether it was not sent yet.
    is_unsent: bool,
    /// The last request that it sent for the first time.
    sent: Option<(ClientId, RequestNumber)>,
    /// How often it was answered.
    answered: u64,
    /// The bytes of its last answer.
    answer: Option<Arc<[u8]>>,
}

/// The observer of every run.
#[derive(Debug)]
pub struct Monitor {
    configuration: Configuration,
    service: AnyService,
    witness: Witness,
    clients: Vec<ClientSeen>,
    processes: u64,
    chronicle: Box<dyn Chronicle>,
    /// Which request carries which question of the history.
    questions: Vec<((ClientId, RequestNumber), usize)>,
    /// In a run that is to be forgotten, its judge: then there is nothing in the chronicle, nor among the questions.
    following: Option<Following>,
    /// Whether that judge was not sure in the end.
    is_unsure: bool,
    finding: Option<Box<Finding>>,
    /// Replicas that have halted since they were last asked for.
    halted: Vec<(NodeIndex, Halt)>,
    trouble: DiskTrouble,
    view_max: ViewNumber,
    view_changes: u64,
    requests: u64,
    /// The greatest operation that any replica said it has committed, and when it first was.
    committed: (OpNumber, Time),
    /// When a replica last changed, as far as replicas say.
    changed: Time,
    sent: u64,
    bytes: Vec<u8>,
}

impl Monitor {
    /// The monitor of a run that has not begun.
    #[must_use]
    pub fn new(configuration: &Configuration, service: &AnyService, client_count: u8) -> Self {
        let mut monitor = Self {
            configuration: *configuration,
            service: service.clone(),
            witness: Witness::new(configuration, service),
            clients: Vec::new(),
            processes: 0,
            chronicle: service.chronicle(),
            questions: Vec::new(),
            following: None,
            is_unsure: false,
            finding: None,
            halted: Vec::new(),
            trouble: DiskTrouble::default(),
            view_max: ViewNumber::ZERO,
            view_changes: 0,
            requests: 0,
            committed: (OpNumber::ZERO, Time::ZERO),
            changed: Time::ZERO,
            sent: 0,
            bytes: Vec::new(),
        };
        monitor.reset(configuration, service, client_count);
        monitor
    }

    /// As [`Self::new`], with the memory of a run that is over.
    pub fn reset(&mut self, configuration: &Configuration, service: &AnyService, client_count: u8) {
        self.configuration = *configuration;
        self.service = service.clone();
        self.witness.reset(configuration, service);
        self.clients.clear();
        self.clients.resize(client_count.into(), ClientSeen::default());
        self.processes = 0;
        self.chronicle = service.chronicle();
        self.questions.clear();
        self.following = None;
        self.is_unsure = false;
        self.finding = None;
        self.halted.clear();
        self.trouble = DiskTrouble::default();
        self.view_max = ViewNumber::ZERO;
        self.view_changes = 0;
        self.requests = 0;
        self.committed = (OpNumber::ZERO, Time::ZERO);
        self.changed = Time::ZERO;
        self.sent = 0;
    }

    /// The run is a long one: forgets what lies so many operations before all checkpoints, and what is judged of the history. Does
    /// nothing where the service has no judge for that. Answers whether it forgets.
    pub fn forget(&mut self, keep: u64) -> bool {
        self.following = self.service.follower().map(Following::new);
        if self.following.is_some() {
            self.oracles_mut().forget(keep);
        }
        self.following.is_some()
    }

    /// Whether anything could not be judged for what was forgotten: the run is to be judged by a monitor that remembers it all.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        match &self.following {
            Some(following) => following.is_in_doubt() || self.oracles().is_in_doubt(),
            None => self.is_unsure,
        }
    }

    /// In a run that is forgotten, judges what is left of the history: answers whether all of it is linearizable for certain.
    pub fn finish_following(&mut self) -> Option<bool> {
        let following = self.following.take()?;
        let is_sure = following.finish(self.oracles()) && !self.oracles().is_in_doubt();
        self.is_unsure = !is_sure;
        Some(is_sure)
    }

    /// These bytes were on a disk before the run began.
    pub fn formatted(&mut self, replica: ReplicaIndex, zone: Zone, offset: u64, bytes: &[u8]) {
        let written = DiskBytes { replica, zone, offset, bytes };
        self.witness.oracles_mut().write_completed(Time::ZERO, &written);
    }

    /// The first violation.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        self.oracles().violation().map(finding_of).or_else(|| self.finding.as_deref().cloned())
    }

    /// Says what is violated, unless something was before.
    pub fn found(&mut self, finding: Finding) {
        self.finding.get_or_insert_with(|| Box::new(finding));
    }

    /// The oracles.
    #[must_use]
    pub const fn oracles(&self) -> &Oracles<Machine> {
        self.witness.oracles()
    }

    /// The oracles, to be told what only the driver knows.
    pub const fn oracles_mut(&mut self) -> &mut Oracles<Machine> {
        self.witness.oracles_mut()
    }

    /// Takes a replica that has halted and was not looked after yet, and why it did.
    pub fn take_halted(&mut self) -> Option<(NodeIndex, Halt)> {
        self.halted.pop()
    }

    /// What disks did to the processes on them.
    #[must_use]
    pub const fn trouble(&self) -> &DiskTrouble {
        &self.trouble
    }

    /// How many requests were answered.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// The last operation that is committed, and when it was first known to be.
    #[must_use]
    pub const fn committed(&self) -> (OpNumber, Time) {
        self.committed
    }

    /// How many views were entered after the first.
    #[must_use]
    pub const fn view_changes(&self) -> u64 {
        self.view_changes
    }

    /// The number of the script's operation that client `client` comes to next.
    #[must_use]
    pub fn next_operation(&self, client: u8) -> u32 {
        self.clients[usize::from(client)].next
    }

    /// How often client `client` was answered, in all its lives, and the bytes of the last answer.
    #[must_use]
    pub fn answers(&self, client: u8) -> (u64, Option<&[u8]>) {
        let ClientSeen { answered, answer, .. } = &self.clients[usize::from(client)];
        (*answered, answer.as_deref())
    }

    /// When a replica last started, crashed, or changed its status, its view, its log, or what it has executed.
    #[must_use]
    pub const fn changed(&self) -> Time {
        self.changed
    }

    /// The questions of the history in the order of the log that was committed.
    #[must_use]
    pub fn commit_order(&mut self) -> Vec<usize> {
        self.questions.sort_unstable();
        let place = |asked| self.questions.binary_search_by_key(&asked, |(asked, _)| *asked).ok();
        let places = self.oracles().commit_order().filter_map(place);
        places.map(|place| self.questions[place].1).collect()
    }

    /// A client sends a request: if for the first time, it carries the last question.
    fn request_sent(&mut self, node: NodeIndex, request: &Request) {
        let name = (request.client, request.request);
        let client = self.client(node);
        if request.operation != Operation::Apply || client.sent == Some(name) {
            return;
        }
        client.sent = Some(name);
        client.is_unsent = false;
        let question = client.question;
        match &mut self.following {
            Some(following) => following.carries(name, question),
            None => self.questions.push((name, question)),
        }
    }

    /// Takes the history out.
    pub fn take_chronicle(&mut self) -> Box<dyn Chronicle> {
        std::mem::replace(&mut self.chronicle, self.service.chronicle())
    }

    fn client(&mut self, node: NodeIndex) -> &mut ClientSeen {
        &mut self.clients[usize::from(node.number() - self.configuration.replica_count)]
    }

    /// What was open stays open; whoever asks next is another process.
    fn next_process(&mut self, node: NodeIndex) {
        self.processes += 1;
        let process = self.processes;
        let client = self.client(node);
        let before = std::mem::replace(&mut client.process, process);
        let unsent = std::mem::take(&mut client.is_unsent).then_some(client.question);
        if let Some(following) = &mut self.following {
            following.abandon(before, unsent);
        }
    }

    fn invoke(
        &mut self,
        process: u64,
        now: Time,
        operation: &[u8],
    ) -> Result<usize, ChronicleError> {
        match &mut self.following {
            Some(following) => following.invoke(process, now, operation),
            None => self.chronicle.invoke(process, now, operation),
        }
    }

    fn complete(
        &mut self,
        process: u64,
        now: Time,
        answer: &[u8],
    ) -> Result<usize, ChronicleError> {
        match &mut self.following {
            Some(following) => following.complete(process, now, answer),
            None => self.chronicle.complete(process, now, answer),
        }
    }

    fn client_event(&mut self, now: Time, node: NodeIndex, event: &ClientEvent) {
        let client = self.client(node);
        let process = client.process;
        let written = match event {
            ClientEvent::Invoked { number, operation } => {
                client.next = number + 1;
                let invoked = self.invoke(process, now, operation);
                if let Ok(question) = invoked {
                    let client = self.client(node);
                    client.question = question;
                    client.is_unsent = true;
                }
                invoked
            }
            ClientEvent::Returned { result } => {
                client.answered += 1;
                client.answer = Some(Arc::clone(result));
                self.requests += 1;
                self.complete(process, now, result)
            }
            ClientEvent::Evicted => return self.next_process(node),
            ClientEvent::Registered { .. } | ClientEvent::Ignored(_) => return,
        };
        if let Err(error) = written {
            let who = words::node(node, self.configuration.replica_count);
            self.found(chronicle_finding(now, &who, &error));
        }
    }

    fn replica_event(&mut self, now: Time, node: NodeIndex, event: &ReplicaEvent) {
        if is_change(event) {
            self.changed = now;
        }
        match event {
            ReplicaEvent::StatusChanged { status: Status::Normal, view, .. }
                if *view > self.view_max =>
            {
                self.view_max = *view;
                self.view_changes += 1;
            }
            ReplicaEvent::Committed { op } if *op > self.committed.0 => {
                self.committed = (*op, now);
            }
            ReplicaEvent::Halted(halt) => {
                self.halted.push((node, *halt));
            }
            ReplicaEvent::StatusChanged { .. }
            | ReplicaEvent::Started { .. }
            | ReplicaEvent::Prepared { .. }
            | ReplicaEvent::Durable { .. }
            | ReplicaEvent::Committed { .. }
            | ReplicaEvent::Truncated { .. }
            | ReplicaEvent::GapFound { .. }
            | ReplicaEvent::GapFilled { .. }
            | ReplicaEvent::Voted { .. }
            | ReplicaEvent::SteppedDown { .. }
            | ReplicaEvent::LogChosen { .. }
            | ReplicaEvent::Checkpointed { .. }
            | ReplicaEvent::StateTransferBegun { .. }
            | ReplicaEvent::StateRestored { .. }
            | ReplicaEvent::SpoiledFound { .. }
            | ReplicaEvent::SpoiledRepaired { .. }
            | ReplicaEvent::HeadUncertain { .. }
            | ReplicaEvent::HeadCertain { .. }
            | ReplicaEvent::CheckpointSpoiled { .. }
            | ReplicaEvent::SessionEvicted { .. }
            | ReplicaEvent::Ignored { .. } => {}
        }
    }

    /// Puts a packet on the wire and takes it off again: what comes must be what went.
    #[inline(never)]
    fn sample_wire(&mut self, now: Time, packet: &Packet<Frame>) {
        self.bytes.clear();
        wire::encode(&packet.message, &mut self.bytes);
        let words = match wire::decode(&self.bytes) {
            Ok(frame) if frame == packet.message => return,
            Ok(frame) => format!("it came back as {frame:?}"),
            Err(error) => format!("it was refused as {error}"),
        };
        self.found(Finding {
            kind: FindingKind::Safety,
            property: "wire",
            place: super::packet::PACKET_KINDS[usize::from(packet.name.kind)].to_owned(),
            message: format!("{:?} was put on the wire, and {words}", packet.message),
            at: now,
        });
    }
}

/// Whether a replica is another one after what it says: in its status, its view, its log, or what it has executed.
const fn is_change(event: &ReplicaEvent) -> bool {
    match event {
        ReplicaEvent::Started { .. }
        | ReplicaEvent::StatusChanged { .. }
        | ReplicaEvent::Prepared { .. }
        | ReplicaEvent::Durable { .. }
        | ReplicaEvent::Committed { .. }
        | ReplicaEvent::Truncated { .. }
        | ReplicaEvent::GapFilled { .. }
        | ReplicaEvent::LogChosen { .. }
        | ReplicaEvent::Checkpointed { .. }
        | ReplicaEvent::StateTransferBegun { .. }
        | ReplicaEvent::StateRestored { .. }
        | ReplicaEvent::SpoiledFound { .. }
        | ReplicaEvent::SpoiledRepaired { .. }
        | ReplicaEvent::HeadUncertain { .. }
        | ReplicaEvent::HeadCertain { .. }
        | ReplicaEvent::CheckpointSpoiled { .. }
        | ReplicaEvent::Halted(_) => true,
        ReplicaEvent::GapFound { .. }
        | ReplicaEvent::Voted { .. }
        | ReplicaEvent::SteppedDown { .. }
        | ReplicaEvent::SessionEvicted { .. }
        | ReplicaEvent::Ignored { .. } => false,
    }
}

/// An oracle's violation, as a finding.
fn finding_of(violation: &Violation) -> Finding {
    let property = violation.property;
    Finding {
        kind: match property.kind() {
            Kind::Safety => FindingKind::Safety,
            Kind::Liveness => FindingKind::NoProgress,
            Kind::Panic => FindingKind::Panic,
        },
        property: property.name(),
        place: violation.place.clone(),
        message: format!("{}\n\n{}", property.sentence(), violation.message),
        at: violation.at,
    }
}

fn chronicle_finding(now: Time, who: &str, error: &ChronicleError) -> Finding {
    let (place, message) = match error {
        ChronicleError::Question => ("question", format!("{who} asked for what is no operation")),
        ChronicleError::Answer => {
            ("answer", format!("{who} was answered with what is no answer to its question"))
        }
        ChronicleError::Order(error) => ("order", format!("{who}: {error}")),
    };
    Finding {
        kind: FindingKind::Safety,
        property: "client-protocol",
        place: place.to_owned(),
        message,
        at: now,
    }
}

impl Observer<Node> for Monitor {
    fn packet_sent(&mut self, now: Time, packet: &Packet<Frame>) {
        self.witness.packet_sent(now, packet);
        if let Frame::Request(request) = &packet.message {
            self.request_sent(packet.name.from, request);
        }
        self.sent += 1;
        if self.sent <= WIRE_FIRST || self.sent.is_multiple_of(WIRE_SAMPLE) {
            self.sample_wire(now, packet);
        }
    }

    fn packet_delivered(&mut self, now: Time, packet: &Packet<Frame>) {
        self.witness.packet_delivered(now, packet);
    }

    fn write_started(&mut self, now: Time, write: &Write, disk: &Disk) {
        self.witness.write_started(now, write, disk);
    }

    fn write_completed(&mut self, now: Time, write: &Write, disk: &Disk) {
        self.witness.write_completed(now, write, disk);
    }

    fn write_resolved(&mut self, now: Time, write: &Write, how: Resolution, disk: &Disk) {
        self.witness.write_resolved(now, write, how, disk);
    }

    fn disk_mishap(&mut self, now: Time, mishap: &Mishap, disk: &Disk) {
        self.trouble.learn(mishap, &self.configuration);
        self.witness.disk_mishap(now, mishap, disk);
    }

    fn node_crashed(&mut self, now: Time, node: NodeIndex, process: &Node) {
        self.halted.retain(|(halted, _)| *halted != node);
        self.trouble.forget(node);
        self.witness.node_crashed(now, node, process);
        if replica_at(&self.configuration, node).is_some() {
            self.changed = now;
        }
    }

    fn node_booted(&mut self, now: Time, node: NodeIndex, incarnation: Incarnation) {
        self.witness.node_booted(now, node, incarnation);
        match replica_at(&self.configuration, node) {
            Some(_) => self.changed = now,
            None => self.next_process(node),
        }
    }

    fn event(&mut self, now: Time, node: NodeIndex, event: &Event) {
        match event {
            Event::Replica(event) => self.replica_event(now, node, event),
            Event::Client(event) => self.client_event(now, node, event),
        }
    }

    fn before_step(&mut self, now: Time, node: NodeIndex, process: &Node, input: &Input<'_, Node>) {
        self.witness.before_step(now, node, process, input);
    }

    fn after_step(&mut self, now: Time, node: NodeIndex, process: &Node) {
        self.witness.after_step(now, node, process);
        if let Some(following) = &mut self.following {
            following.catch_up(self.witness.oracles());
        }
    }

    fn stops(&self) -> bool {
        self.finding.is_some() || self.witness.stops() || self.is_in_doubt()
    }
}
