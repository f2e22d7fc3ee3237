//! What led to a failure: the few events that turned the run, remembered while it is run again.

use std::collections::VecDeque;

use vsr_core::io::Event as ReplicaEvent;

use super::words;
use crate::cluster::event::Event;
use crate::cluster::node::Node;
use crate::engine::node::{Incarnation, NodeIndex, NodeSet};
use crate::engine::observer::Observer;
use crate::engine::time::Time;
use crate::faults::Fault;
use crate::scenario::listener::Listener;

/// How many events a story has.
const LENGTH: usize = 8;

/// Remembers the last events that matter: crashes, starts, view changes, cuts, and what the faults do.
#[derive(Debug, Default)]
pub struct Story {
    replica_count: u8,
    told: VecDeque<(Time, String)>,
}

impl Story {
    /// A story of a cluster of so many replicas.
    #[must_use]
    pub const fn new(replica_count: u8) -> Self {
        Self { replica_count, told: VecDeque::new() }
    }

    /// Adds an event.
    pub fn tell(&mut self, now: Time, words: String) {
        if self.told.len() == LENGTH {
            self.told.pop_front();
        }
        self.told.push_back((now, words));
    }

    /// The events, oldest first, one a line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.told.iter().map(|(now, words)| format!("{:>12}  {words}", words::time(*now))).collect()
    }

    fn name(&self, node: NodeIndex) -> String {
        words::node(node, self.replica_count)
    }
}

/// Whether an event turns a run, rather than being its daily work.
const fn turns(event: &Event) -> bool {
    match event {
        Event::Replica(event) => match event {
            ReplicaEvent::StatusChanged { .. }
            | ReplicaEvent::Truncated { .. }
            | ReplicaEvent::SteppedDown { .. }
            | ReplicaEvent::LogChosen { .. }
            | ReplicaEvent::SessionEvicted { .. }
            | ReplicaEvent::Halted(_) => true,
            ReplicaEvent::Started { .. }
            | ReplicaEvent::Prepared { .. }
            | ReplicaEvent::Durable { .. }
            | ReplicaEvent::Committed { .. }
            | ReplicaEvent::GapFound { .. }
            | ReplicaEvent::GapFilled { .. }
            | ReplicaEvent::Voted { .. }
            | ReplicaEvent::Ignored { .. } => false,
        },
        Event::Client(_) => false,
    }
}

impl Observer<Node> for Story {
    fn node_crashed(&mut self, now: Time, node: NodeIndex, process: &Node) {
        let what = match process.replica().map(|replica| replica.replica()) {
            Some(replica) if replica.is_primary() => {
                format!(" (primary of {}, {} committed)", replica.view(), replica.commit())
            }
            Some(replica) => format!(" (in {}, {} committed)", replica.view(), replica.commit()),
            None => String::new(),
        };
        let words = format!("{} crashes{what}", self.name(node));
        self.tell(now, words);
    }

    fn node_booted(&mut self, now: Time, node: NodeIndex, incarnation: Incarnation) {
        if incarnation != Incarnation::FIRST {
            let words = format!("{} starts again", self.name(node));
            self.tell(now, words);
        }
    }

    fn event(&mut self, now: Time, node: NodeIndex, event: &Event) {
        if turns(event) {
            let words = format!("{} {}", self.name(node), words::event(event));
            self.tell(now, words);
        }
    }
}

impl Listener for Story {
    fn fault_begins(&mut self, now: Time, fault: &Fault, nodes: NodeSet) {
        // Crashes are told as they happen, to each node.
        if !matches!(fault, Fault::Crash { .. } | Fault::PowerLoss { .. } | Fault::Restart { .. }) {
            let words = words::fault(fault, nodes, self.replica_count);
            self.tell(now, words);
        }
    }

    fn fault_ends(&mut self, now: Time, fault: &Fault) {
        if matches!(
            fault,
            Fault::Partition { .. }
                | Fault::Isolate { .. }
                | Fault::Cut { .. }
                | Fault::Hold { .. }
        ) {
            self.tell(now, format!("{} is over", fault.name()));
        }
    }

    fn phase_begins(&mut self, now: Time, words: &str) {
        self.tell(now, words.to_owned());
    }
}
