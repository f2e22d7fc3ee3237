//! The text of a run, a line an event and a column a replica.

use std::fmt;
use std::io::Write;

use vsr_core::io::{Event as ReplicaEvent, Status};
use vsr_core::wire::Frame;

use crate::cluster::event::{ClientEvent, Event};
use crate::cluster::node::Node;
use crate::cluster::service::AnyService;
use crate::cluster::words;
use crate::engine::disk::{Disk, Resolution, Write as DiskWrite};
use crate::engine::network::{Dropped, Packet};
use crate::engine::node::{Incarnation, NodeIndex, NodeSet};
use crate::engine::observer::Observer;
use crate::engine::process::Process as _;
use crate::engine::time::Time;
use crate::engine::trace::Trace;
use crate::faults::Fault;
use crate::scenario::listener::Listener;

/// How much a trace tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// What nodes do.
    #[default]
    Grid,
    /// That, and every packet and write.
    Full,
}

/// The width of what happens, and of a replica's column, in letters.
const WHAT_WIDTH: usize = 48;
const COLUMN_WIDTH: usize = 22;

/// Writes a run down as it happens.
///
/// A column shows a replica's status and role, its view, the head of its log and what it has executed: `N* v3 log=17/15`. The star is
/// the primary's; `V` is a view change, `R` reading the disk, and a dash a replica that is down.
#[derive(Default)]
pub struct Grid {
    out: Option<Box<dyn Write>>,
    detail: Detail,
    columns: Vec<String>,
    /// What happened in the step under way: the columns show the state after it.
    pending: Vec<(Time, String)>,
    replica_count: u8,
    service: AnyService,
}

impl fmt::Debug for Grid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Grid").field("detail", &self.detail).finish_non_exhaustive()
    }
}

impl Grid {
    /// A trace of a cluster of so many replicas, written to `out`.
    #[must_use]
    pub fn new(out: Box<dyn Write>, detail: Detail, replica_count: u8) -> Self {
        let mut grid = Self {
            out: Some(out),
            detail,
            columns: vec!["-".to_owned(); replica_count.into()],
            pending: Vec::new(),
            replica_count,
            service: AnyService::default(),
        };
        let names = (0..replica_count).map(|replica| format!("r{replica}"));
        let header = line("time", "what", names);
        grid.write(&header);
        grid
    }

    /// Writes out what is left.
    pub fn finish(&mut self) {
        self.flush();
        if let Some(out) = &mut self.out {
            // Whoever closed the other end has seen enough.
            out.flush().ok();
        }
    }

    fn write(&mut self, text: &str) {
        if let Some(out) = &mut self.out
            && writeln!(out, "{text}").is_err()
        {
            self.out = None;
        }
    }

    fn note(&mut self, now: Time, node: NodeIndex, what: &str) {
        let name = words::node(node, self.replica_count);
        self.pending.push((now, format!("{name} {what}")));
    }

    /// Something about a link, which changes no replica: written at once unless a step is under way.
    fn note_packet(&mut self, now: Time, packet: &Packet<Frame>, how: &str) {
        let name = &packet.name;
        let (from, to) =
            (words::node(name.from, self.replica_count), words::node(name.to, self.replica_count));
        let copy = if packet.copy > 0 { " (copy)" } else { "" };
        let words = words::frame(&*self.service, &packet.message);
        self.pending.push((now, format!("{from} → {to} {how}{words}{copy}")));
    }

    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let last = pending.len().saturating_sub(1);
        for (place, (now, what)) in pending.iter().enumerate() {
            let time = words::time(*now);
            let text = if place == last {
                line(&time, what, self.columns.iter().cloned())
            } else {
                line(&time, what, [])
            };
            self.write(&text);
        }
    }

    fn show(&mut self, node: NodeIndex, process: &Node) {
        let Some(replica) = process.replica() else { return };
        let replica = replica.replica();
        let status = match replica.status() {
            Status::Recovering => "R",
            Status::Normal => "N",
            Status::ViewChange => "V",
        };
        let role = if replica.is_primary() { "*" } else { " " };
        let (view, op, commit) = (replica.view(), replica.op().get(), replica.commit().get());
        self.columns[node.index()] = format!("{status}{role} {view} log={op}/{commit}");
    }
}

fn line(time: &str, what: &str, columns: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{time:>12}  {what:<WHAT_WIDTH$}");
    for column in columns {
        text.push_str(&format!("  {column:<COLUMN_WIDTH$}"));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Whether an event changes what a column shows, or is what clients see.
const fn is_shown(event: &Event) -> bool {
    match event {
        Event::Replica(ReplicaEvent::Ignored { .. } | ReplicaEvent::Durable { .. })
        | Event::Client(ClientEvent::Ignored(_)) => false,
        Event::Replica(
            ReplicaEvent::Started { .. }
            | ReplicaEvent::StatusChanged { .. }
            | ReplicaEvent::Prepared { .. }
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
            | ReplicaEvent::Halted(_),
        )
        | Event::Client(
            ClientEvent::Registered { .. }
            | ClientEvent::Invoked { .. }
            | ClientEvent::Returned { .. }
            | ClientEvent::Evicted,
        ) => true,
    }
}

impl Observer<Node> for Grid {
    /// Where everything is told, each event by itself.
    fn event_begins(&mut self, _: Time, _: u64, _: &Trace) {
        if self.detail == Detail::Full && !self.pending.is_empty() {
            self.flush();
        }
    }

    fn packet_sent(&mut self, now: Time, packet: &Packet<Frame>) {
        if self.detail == Detail::Full {
            self.note_packet(now, packet, "");
        }
    }

    fn packet_dropped(&mut self, now: Time, packet: &Packet<Frame>, reason: Dropped) {
        if self.detail == Detail::Full {
            let how = match reason {
                Dropped::Lost => "lost: ",
                Dropped::Listed => "lost as listed: ",
                Dropped::Cut => "cut: ",
                Dropped::NodeDown => "nobody there: ",
            };
            self.note_packet(now, packet, how);
        }
    }

    fn packet_delivered(&mut self, now: Time, packet: &Packet<Frame>) {
        if self.detail == Detail::Full {
            self.note_packet(now, packet, "arrives: ");
        }
    }

    fn write_completed(&mut self, now: Time, write: &DiskWrite, _: &Disk) {
        if self.detail == Detail::Full {
            let zone = Node::ZONES[write.zone.index()];
            let what = format!("has {} bytes durable in {zone}", write.bytes.len());
            self.note(now, write.node, &what);
        }
    }

    fn write_resolved(&mut self, now: Time, write: &DiskWrite, how: Resolution, _: &Disk) {
        let zone = Node::ZONES[write.zone.index()];
        let what = match how {
            Resolution::Kept => format!("kept its write to {zone}"),
            Resolution::Lost => format!("lost its write to {zone}"),
            Resolution::Late => format!("has a write to {zone} left to be carried out later"),
            Resolution::Torn { new, old } => {
                format!("tore its write to {zone}: {new} sectors new, {old} old")
            }
        };
        self.note(now, write.node, &what);
    }

    fn node_crashed(&mut self, now: Time, node: NodeIndex, _: &Node) {
        self.note(now, node, "crashes");
        if node.number() < self.replica_count {
            "-".clone_into(&mut self.columns[node.index()]);
        }
    }

    fn node_booted(&mut self, now: Time, node: NodeIndex, incarnation: Incarnation) {
        if incarnation != Incarnation::FIRST {
            self.note(now, node, "starts again");
        }
    }

    fn event(&mut self, now: Time, node: NodeIndex, event: &Event) {
        if self.detail == Detail::Full || is_shown(event) {
            let what = words::event(&*self.service, event);
            self.note(now, node, &what);
        }
    }

    fn after_step(&mut self, _: Time, node: NodeIndex, process: &Node) {
        self.show(node, process);
        self.flush();
    }

    fn panicked(&mut self, now: Time, node: NodeIndex, message: &str) {
        let what = format!("PANICS: {message}");
        self.note(now, node, &what);
        self.flush();
    }
}

impl Listener for Grid {
    fn run_begins(&mut self, service: &AnyService) {
        self.service = service.clone();
    }

    fn fault_begins(&mut self, now: Time, fault: &Fault, nodes: NodeSet) {
        self.pending.push((now, words::fault(fault, nodes, self.replica_count)));
        self.flush();
    }

    fn fault_ends(&mut self, now: Time, fault: &Fault) {
        self.pending.push((now, format!("{} is over", fault.name())));
        self.flush();
    }

    fn step_told(&mut self, now: Time, words: &str) {
        self.pending.push((now, words.to_owned()));
        self.flush();
    }

    fn phase_begins(&mut self, now: Time, words: &str) {
        self.pending.push((now, words.to_owned()));
        self.flush();
    }
}
