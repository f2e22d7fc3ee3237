//! Watches a cluster: writes down what clients see, samples the wire, and notices what only a whole cluster can show.

use vsr_core::io::{Event as ReplicaEvent, Halt, Status};
use vsr_core::number::ViewNumber;
use vsr_core::wire::{self, Frame};

use super::event::{ClientEvent, Event};
use super::history::{Chronicle, ChronicleError};
use super::node::Node;
use crate::engine::network::Packet;
use crate::engine::node::{Incarnation, NodeIndex};
use crate::engine::observer::Observer;
use crate::engine::time::Time;
use crate::scenario::outcome::{Finding, FindingKind};

/// Of so many packets, one is put on a wire and taken off again.
const WIRE_SAMPLE: u64 = 64;

/// The first so many packets all are.
const WIRE_FIRST: u64 = 64;

/// What is known of a client.
#[derive(Clone, Copy, Debug, Default)]
struct ClientSeen {
    /// The number of its process in the history: another after each crash and each lost session.
    process: u64,
    /// The number of its next operation of the script.
    next: u32,
    /// Whether it waits for an answer.
    open: bool,
}

/// The observer of every run.
#[derive(Debug, Default)]
pub struct Monitor {
    replica_count: u8,
    clients: Vec<ClientSeen>,
    processes: u64,
    chronicle: Chronicle,
    finding: Option<Box<Finding>>,
    halted: Option<(NodeIndex, Halt)>,
    view_max: ViewNumber,
    view_changes: u64,
    requests: u64,
    sent: u64,
    bytes: Vec<u8>,
}

impl Monitor {
    /// Begins anew, for a run of so many replicas and clients.
    pub fn reset(&mut self, replica_count: u8, client_count: u8) {
        self.replica_count = replica_count;
        self.clients.clear();
        self.clients.resize(client_count.into(), ClientSeen::default());
        self.processes = 0;
        self.chronicle = Chronicle::default();
        self.finding = None;
        self.halted = None;
        self.view_max = ViewNumber::ZERO;
        self.view_changes = 0;
        self.requests = 0;
        self.sent = 0;
    }

    /// The first violation.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_deref()
    }

    /// Says what is violated, unless something was before.
    pub fn found(&mut self, finding: Finding) {
        self.finding.get_or_insert_with(|| Box::new(finding));
    }

    /// The first replica that halted, and why.
    #[must_use]
    pub const fn halted(&self) -> Option<(NodeIndex, Halt)> {
        self.halted
    }

    /// How many requests were answered.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
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

    /// Whether client `client` waits for an answer.
    #[must_use]
    pub fn is_waiting(&self, client: u8) -> bool {
        self.clients[usize::from(client)].open
    }

    /// Takes the history out.
    pub fn take_chronicle(&mut self) -> Chronicle {
        std::mem::take(&mut self.chronicle)
    }

    fn client(&mut self, node: NodeIndex) -> &mut ClientSeen {
        &mut self.clients[usize::from(node.number() - self.replica_count)]
    }

    /// What was open stays open; whoever asks next is another process.
    fn next_process(&mut self, node: NodeIndex) {
        self.processes += 1;
        let process = self.processes;
        let client = self.client(node);
        client.process = process;
        client.open = false;
    }

    fn client_event(&mut self, now: Time, node: NodeIndex, event: &ClientEvent) {
        let client = self.client(node);
        let process = client.process;
        let written = match event {
            ClientEvent::Invoked { number, operation } => {
                client.open = true;
                if let Some(number) = number {
                    client.next = number + 1;
                }
                self.chronicle.invoke(process, now, operation)
            }
            ClientEvent::Returned { result } => {
                client.open = false;
                self.requests += 1;
                self.chronicle.complete(process, now, result)
            }
            ClientEvent::Evicted => return self.next_process(node),
            ClientEvent::Registered { .. } | ClientEvent::Ignored(_) => return,
        };
        if let Err(error) = written {
            self.found(chronicle_finding(now, node, &error));
        }
    }

    fn replica_event(&mut self, node: NodeIndex, event: &ReplicaEvent) {
        match event {
            ReplicaEvent::StatusChanged { status: Status::Normal, view, .. }
                if *view > self.view_max =>
            {
                self.view_max = *view;
                self.view_changes += 1;
            }
            ReplicaEvent::Halted(halt) => {
                self.halted.get_or_insert((node, *halt));
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
            | ReplicaEvent::SessionEvicted { .. }
            | ReplicaEvent::Ignored { .. } => {}
        }
    }

    /// Puts a packet on the wire and takes it off again: what comes must be what went.
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

fn chronicle_finding(now: Time, node: NodeIndex, error: &ChronicleError) -> Finding {
    let (place, message) = match error {
        ChronicleError::Question => ("question", format!("{node} asked for what is no operation")),
        ChronicleError::Answer => {
            ("answer", format!("{node} was answered with what is no answer to its question"))
        }
        ChronicleError::Order(error) => ("order", error.to_string()),
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
        self.sent += 1;
        if self.sent <= WIRE_FIRST || self.sent.is_multiple_of(WIRE_SAMPLE) {
            self.sample_wire(now, packet);
        }
    }

    fn node_booted(&mut self, _: Time, node: NodeIndex, _: Incarnation) {
        if node.number() >= self.replica_count {
            self.next_process(node);
        }
    }

    fn event(&mut self, now: Time, node: NodeIndex, event: &Event) {
        match event {
            Event::Replica(event) => self.replica_event(node, event),
            Event::Client(event) => self.client_event(now, node, event),
        }
    }

    fn after_step(&mut self, _: Time, _: NodeIndex, process: &Node) {
        if let Some(replica) = process.replica() {
            replica.replica().state_machine().collect(|_| {});
        }
    }

    fn stops(&self) -> bool {
        self.finding.is_some()
    }
}
