//! What led to a failure: the few events that turned the run, remembered while it is run again.

use std::collections::{BTreeSet, VecDeque};

use vsr_core::io::Event as ReplicaEvent;

use crate::cluster::event::Event;
use crate::cluster::node::Node;
use crate::cluster::service::AnyService;
use crate::cluster::words;
use crate::engine::node::{Incarnation, NodeIndex, NodeSet};
use crate::engine::observer::Observer;
use crate::engine::time::Time;
use crate::faults::Fault;
use crate::scenario::listener::Listener;

/// How many events that turned the run a story has, and how many about the operation that it is about.
const TURNS: usize = 6;
const STEPS: usize = 4;

/// Remembers the last events that matter: crashes, starts, view changes, cuts, what the faults do; and what became of the
/// operations that the finding speaks of.
#[derive(Debug, Default)]
pub struct Story {
    service: AnyService,
    replica_count: u8,
    /// The operations that the finding speaks of.
    about: BTreeSet<u64>,
    told: u64,
    turns: VecDeque<Line>,
    steps: VecDeque<Line>,
}

/// An event, and its place among all that were told.
type Line = (u64, Time, String);

impl Story {
    /// A story of a cluster of so many replicas, which led to a finding with this message.
    #[must_use]
    pub fn new(replica_count: u8, message: &str) -> Self {
        Self { replica_count, about: operations_in(message), ..Self::default() }
    }

    /// Adds an event that turned the run.
    fn tell(&mut self, now: Time, words: String) {
        self.told += 1;
        push(&mut self.turns, TURNS, (self.told, now, words));
    }

    /// Adds an event about one of the operations.
    fn tell_step(&mut self, now: Time, words: String) {
        self.told += 1;
        push(&mut self.steps, STEPS, (self.told, now, words));
    }

    /// The events, oldest first, one a line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<&Line> = self.turns.iter().chain(&self.steps).collect();
        lines.sort_by_key(|(place, ..)| *place);
        lines
            .into_iter()
            .map(|(_, now, words)| format!("{:>12}  {words}", words::time(*now)))
            .collect()
    }

    fn name(&self, node: NodeIndex) -> String {
        words::node(node, self.replica_count)
    }

    /// Whether an event is about one of the operations that the finding speaks of.
    fn is_step(&self, event: &Event) -> bool {
        match event {
            Event::Replica(
                ReplicaEvent::Prepared { op }
                | ReplicaEvent::Committed { op }
                | ReplicaEvent::GapFilled { op },
            ) => self.about.contains(&op.get()),
            Event::Replica(
                ReplicaEvent::Started { .. }
                | ReplicaEvent::StatusChanged { .. }
                | ReplicaEvent::Durable { .. }
                | ReplicaEvent::Truncated { .. }
                | ReplicaEvent::GapFound { .. }
                | ReplicaEvent::Voted { .. }
                | ReplicaEvent::SteppedDown { .. }
                | ReplicaEvent::LogChosen { .. }
                | ReplicaEvent::SessionEvicted { .. }
                | ReplicaEvent::Halted(_)
                | ReplicaEvent::Ignored { .. },
            )
            | Event::Client(_) => false,
        }
    }
}

fn push(lines: &mut VecDeque<Line>, most: usize, line: Line) {
    if lines.len() == most {
        lines.pop_front();
    }
    lines.push_back(line);
}

/// The numbers of all operations that a message speaks of, as `op12`.
fn operations_in(message: &str) -> BTreeSet<u64> {
    message
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter_map(|word| word.strip_prefix("op")?.parse().ok())
        .collect()
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
            let words = format!("{} {}", self.name(node), words::event(&*self.service, event));
            self.tell(now, words);
        } else if self.is_step(event) {
            let words = format!("{} {}", self.name(node), words::event(&*self.service, event));
            self.tell_step(now, words);
        }
    }
}

impl Listener for Story {
    fn run_begins(&mut self, service: &AnyService) {
        self.service = service.clone();
    }

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

    fn step_told(&mut self, now: Time, words: &str) {
        self.tell(now, words.to_owned());
    }

    fn phase_begins(&mut self, now: Time, words: &str) {
        self.tell(now, words.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_is_short_in_order_and_about_what_was_found() {
        let mut story = Story::new(3, "r1 executed op12 (of op7), not stop3");
        assert_eq!(story.about, [7, 12].into());
        for number in 0..20 {
            story.tell(Time::from_ns(number), format!("turn {number}"));
            story.tell_step(Time::from_ns(number), format!("step {number}"));
        }
        let lines = story.lines();
        assert_eq!(lines.len(), TURNS + STEPS);
        assert!(lines[TURNS + STEPS - 1].ends_with("step 19"));
        assert!(lines[TURNS + STEPS - 2].ends_with("turn 19"));
        assert!(lines[0].ends_with("turn 14"));
    }
}
