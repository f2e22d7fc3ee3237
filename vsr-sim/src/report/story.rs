//! What led to a failure: the few events that turned the run, remembered while it is run again.

use std::collections::{BTreeSet, VecDeque};

use vsr_core::io::{Event as ReplicaEvent, Status};
use vsr_core::message::{ClientMessage, Command};
use vsr_core::wire::Frame;

use crate::cluster::event::Event;
use crate::cluster::node::Node;
use crate::cluster::service::AnyService;
use crate::cluster::words;
use crate::engine::node::{Incarnation, NodeIndex, NodeSet};
use crate::engine::observer::Observer;
use crate::engine::time::Time;
use crate::engine::{Dropped, Packet};
use crate::faults::Fault;
use crate::oracles::{Finding, Property};
use crate::scenario::listener::Listener;

/// How many events a story has at most, and how many of each sort.
const LINES: usize = 8;
const ENTRIES: usize = 3;
const STEPS: usize = 3;
const TURNS: usize = 4;

/// How many events are remembered.
const REMEMBERED: usize = 1_024;

/// With more bad luck than this, single packets are not what the story is about.
const LUCK: usize = 8;

/// Remembers what may have led to a finding, and walks back from it: to what became of the operations that it speaks of, to what
/// befell the nodes that it names, and only then to whatever else happened.
#[derive(Debug, Default)]
pub struct Story {
    service: AnyService,
    replica_count: u8,
    finding: Option<Finding>,
    /// The operations that the finding speaks of.
    about: BTreeSet<u64>,
    /// The nodes that it names.
    named: NodeSet,
    told: u64,
    luck: usize,
    lines: VecDeque<Line>,
    /// What was told already and need not be again.
    known: BTreeSet<Known>,
}

/// What is told once.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    /// An entry, by operation and checksum.
    Entry(u64, u128),
    /// An answer about an operation, by who gave it.
    Answer(u64, NodeIndex),
    /// A promise to a view, by who gave it.
    Promise(u64, NodeIndex),
    /// That a session is gone, by who said so.
    Eviction(u64, NodeIndex),
}

/// An event.
#[derive(Clone, Debug)]
struct Line {
    /// Its place among all.
    place: u64,
    time: Time,
    words: String,
    sort: Sort,
}

/// What an event is to the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// An operation that the finding speaks of comes into being: a side of the contradiction.
    Entry,
    /// Something becomes of such an operation.
    Step,
    /// A fault, or what befalls a node that the finding names.
    Turn,
    /// A single packet is lost, comes late or comes twice.
    Luck,
    /// What befalls anybody else.
    Elsewhere,
}

impl Story {
    /// A story of a cluster of so many replicas, which led to this finding.
    #[must_use]
    pub fn new(replica_count: u8, finding: &Finding) -> Self {
        let message = words::with_client_names(&finding.message, replica_count);
        let mut about: BTreeSet<u64> = numbers_in(&message, "op").collect();
        if finding.property == Property::EvictionTruthful.name() {
            // A session has the number of the operation that opened it.
            about.extend(numbers_in(&message, "s"));
        }
        Self {
            replica_count,
            about,
            named: nodes_in(&message, replica_count),
            finding: Some(finding.clone()),
            ..Self::default()
        }
    }

    fn tell(&mut self, now: Time, sort: Sort, words: String) {
        self.told += 1;
        if self.lines.len() == REMEMBERED {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { place: self.told, time: now, words, sort });
    }

    /// Adds what befalls a node.
    fn tell_of(&mut self, now: Time, node: NodeIndex, what: &str) {
        let sort = if self.named.contains(node) { Sort::Turn } else { Sort::Elsewhere };
        let words = format!("{} {what}", self.name(node));
        self.tell(now, sort, words);
    }

    /// The events that the story is made of, oldest first.
    fn chosen(&self) -> Vec<&Line> {
        let of = |sort: Sort, most: usize| {
            self.lines.iter().rev().filter(move |line| line.sort == sort).take(most)
        };
        let mut chosen: Vec<&Line> =
            of(Sort::Entry, ENTRIES).chain(of(Sort::Step, STEPS)).collect();
        chosen.extend(of(Sort::Turn, TURNS));
        let luck = if self.luck > LUCK { 0 } else { LUCK };
        for line in of(Sort::Luck, luck).chain(of(Sort::Elsewhere, LINES)) {
            if chosen.len() >= LINES {
                break;
            }
            chosen.push(line);
        }
        chosen.sort_by_key(|line| line.place);
        chosen
    }

    /// The events, oldest first, one a line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |line: &Line| format!("{:>12}  {}", words::time(line.time), line.words);
        self.chosen().into_iter().map(line).collect()
    }

    /// What was found, in one sentence.
    #[must_use]
    pub fn title(&self) -> String {
        let message = self.finding.as_ref().map_or("", |finding| finding.message.as_str());
        let first = message.lines().find(|line| !line.is_empty()).unwrap_or_default();
        words::with_client_names(first, self.replica_count)
    }

    /// The story in sentences: the events, and the contradiction that they end in.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let told = |line: &Line| format!("{}: {}.", words::time(line.time), line.words);
        let mut sentences: Vec<String> = self.chosen().into_iter().map(told).collect();
        let Some(finding) = &self.finding else { return sentences };
        let message = words::with_client_names(&finding.message, self.replica_count);
        let sides: Vec<&str> = message.lines().filter(|line| !line.is_empty()).collect();
        let at = words::time(finding.at);
        sentences.push(format!("{at}: {} is violated: {}", finding.property, sides.join("; ")));
        sentences
    }

    fn name(&self, node: NodeIndex) -> String {
        words::node(node, self.replica_count)
    }

    /// Which operation of those that the finding speaks of an event is about.
    fn step(&self, event: &Event) -> bool {
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
                | ReplicaEvent::Checkpointed { .. }
                | ReplicaEvent::StateTransferBegun { .. }
                | ReplicaEvent::StateRestored { .. }
                | ReplicaEvent::SpoiledFound { .. }
                | ReplicaEvent::SpoiledRepaired { .. }
                | ReplicaEvent::HeadUncertain { .. }
                | ReplicaEvent::HeadCertain { .. }
                | ReplicaEvent::CheckpointSpoiled { .. }
                | ReplicaEvent::SessionEvicted { .. }
                | ReplicaEvent::Halted(_)
                | ReplicaEvent::Ignored { .. },
            )
            | Event::Client(_) => false,
        }
    }

    /// What a packet is to the story when it is sent.
    fn packet(&mut self, now: Time, packet: &Packet<Frame>) {
        let (from, to) = (packet.name.from, packet.name.to);
        let (sort, known) = match &packet.message {
            Frame::Message(message) => match &message.command {
                Command::Prepare(prepare) => {
                    let header = prepare.entry.header();
                    if !self.about.contains(&header.op.get()) {
                        return;
                    }
                    (Sort::Entry, Known::Entry(header.op.get(), header.checksum.get()))
                }
                Command::DoViewChange(_) => {
                    let sort = if self.named.contains(from) { Sort::Turn } else { Sort::Elsewhere };
                    (sort, Known::Promise(message.view.get(), from))
                }
                Command::PrepareOk(_)
                | Command::Commit(_)
                | Command::CommitOk(_)
                | Command::StartViewChange
                | Command::StartView(_)
                | Command::GetView(_)
                | Command::GetState(_)
                | Command::NewState(_)
                | Command::GetHeaders(_)
                | Command::Headers(_)
                | Command::GetPrepare(_)
                | Command::Repaired(_)
                | Command::GetCheckpoint(_)
                | Command::Checkpoint(_)
                | Command::Forward(_) => return,
            },
            Frame::ClientMessage(ClientMessage::Reply(reply)) => {
                if !self.about.contains(&reply.op.get()) {
                    return;
                }
                (Sort::Step, Known::Answer(reply.op.get(), from))
            }
            Frame::ClientMessage(ClientMessage::Eviction(eviction)) => {
                if !self.named.contains(to) {
                    return;
                }
                (Sort::Turn, Known::Eviction(eviction.session.get(), from))
            }
            Frame::Request(_) => return,
        };
        if self.known.insert(known) {
            let words = format!("{} → {} {}", self.name(from), self.name(to), self.frame(packet));
            self.tell(now, sort, words);
        }
    }

    /// A packet in words; a prepare with the operation that it carries.
    fn frame(&self, packet: &Packet<Frame>) -> String {
        let words = words::frame(&*self.service, &packet.message);
        let Frame::Message(message) = &packet.message else { return words };
        let Command::Prepare(prepare) = &message.command else { return words };
        let header = prepare.entry.header();
        let client = words::with_client_names(&header.client.to_string(), self.replica_count);
        let asked = match prepare.entry.body() {
            [] => format!("{client} registers"),
            body => {
                let operation = self.service.operation_in_words(body);
                format!("{client} {}: {operation}", header.request)
            }
        };
        format!("{words}, {asked}, checksum {}", header.checksum)
    }
}

/// The numbers of all words of a text that are `prefix` and a number, such as `op12`.
fn numbers_in<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = u64> + 'a {
    text.split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter_map(move |word| word.strip_prefix(prefix)?.parse().ok())
}

/// The nodes that a text names, such as `r1` and `c3`.
fn nodes_in(text: &str, replica_count: u8) -> NodeSet {
    let clients = numbers_in(text, "c").map(|number| number + u64::from(replica_count));
    let replicas = numbers_in(text, "r").filter(|number| *number < u64::from(replica_count));
    replicas
        .chain(clients)
        .filter_map(|number| u8::try_from(number).ok())
        .filter(|number| *number < NodeIndex::COUNT_MAX)
        .map(NodeIndex::new)
        .collect()
}

/// Whether an event turns a run, rather than being its daily work.
const fn turns(event: &Event) -> bool {
    match event {
        Event::Replica(event) => match event {
            ReplicaEvent::StatusChanged { status: Status::Normal, view, .. } => view.get() > 0,
            ReplicaEvent::Truncated { .. }
            | ReplicaEvent::SteppedDown { .. }
            | ReplicaEvent::LogChosen { .. }
            | ReplicaEvent::SessionEvicted { .. }
            | ReplicaEvent::StateTransferBegun { .. }
            | ReplicaEvent::StateRestored { .. }
            | ReplicaEvent::SpoiledFound { .. }
            | ReplicaEvent::SpoiledRepaired { .. }
            | ReplicaEvent::HeadUncertain { .. }
            | ReplicaEvent::HeadCertain { .. }
            | ReplicaEvent::CheckpointSpoiled { .. }
            | ReplicaEvent::Halted(_) => true,
            ReplicaEvent::StatusChanged {
                status: Status::ViewChange | Status::Recovering, ..
            }
            | ReplicaEvent::Started { .. }
            | ReplicaEvent::Checkpointed { .. }
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
    fn packet_sent(&mut self, now: Time, packet: &Packet<Frame>) {
        self.packet(now, packet);
    }

    fn packet_dropped(&mut self, now: Time, packet: &Packet<Frame>, reason: Dropped) {
        if matches!(reason, Dropped::Lost | Dropped::Listed) {
            self.luck += 1;
            if self.luck <= LUCK {
                let (from, to) = (self.name(packet.name.from), self.name(packet.name.to));
                let words = format!("{from} → {to} lost: {}", self.frame(packet));
                self.tell(now, Sort::Luck, words);
            }
        }
    }

    fn packet_duplicated(&mut self, now: Time, packet: &Packet<Frame>) {
        self.luck += 1;
        if self.luck <= LUCK {
            let (from, to) = (self.name(packet.name.from), self.name(packet.name.to));
            let words = format!("{from} → {to} twice: {}", self.frame(packet));
            self.tell(now, Sort::Luck, words);
        }
    }

    fn node_crashed(&mut self, now: Time, node: NodeIndex, process: &Node) {
        let what = match process.replica().map(|replica| replica.replica()) {
            Some(replica) if replica.is_primary() => {
                format!(" (primary of {}, {} committed)", replica.view(), replica.commit())
            }
            Some(replica) => format!(" (in {}, {} committed)", replica.view(), replica.commit()),
            None => String::new(),
        };
        let words = format!("{} crashes{what}", self.name(node));
        self.tell(now, Sort::Turn, words);
    }

    fn node_booted(&mut self, now: Time, node: NodeIndex, incarnation: Incarnation) {
        if incarnation != Incarnation::FIRST {
            self.tell_of(now, node, "starts again");
        }
    }

    fn event(&mut self, now: Time, node: NodeIndex, event: &Event) {
        if turns(event) {
            self.tell_of(now, node, &words::event(&*self.service.clone(), event));
        } else if self.step(event) {
            let words = format!("{} {}", self.name(node), words::event(&*self.service, event));
            self.tell(now, Sort::Step, words);
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
            self.tell(now, Sort::Turn, words);
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
            self.tell(now, Sort::Turn, format!("{} is over", fault.name()));
        }
    }

    fn step_told(&mut self, now: Time, words: &str) {
        self.tell(now, Sort::Elsewhere, words.to_owned());
    }

    fn phase_begins(&mut self, now: Time, words: &str) {
        self.tell(now, Sort::Turn, words.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::FindingKind;

    fn story(message: &str) -> Story {
        let finding = Finding {
            kind: FindingKind::Safety,
            property: "agreement",
            place: String::new(),
            message: message.to_owned(),
            at: Time::from_ns(99_000),
        };
        Story::new(3, &finding)
    }

    #[test]
    fn a_story_is_about_what_the_finding_speaks_of() {
        let story = story("Two differ.\n\nr1 executed op12 (of op7), not stop3\nc1 was told by r9");
        assert_eq!(story.about, [7, 12].into());
        let nodes = [1, 4].map(NodeIndex::new);
        assert_eq!(story.named, nodes.into_iter().collect());
        assert_eq!(story.title(), "Two differ.");
        let sentences = story.sentences();
        let last = "0.000099s: agreement is violated: Two differ.; r1 executed op12 (of op7), not stop3; c1 was told by r9";
        assert_eq!(sentences, [last]);
    }

    #[test]
    fn a_session_that_is_said_to_be_gone_is_told_of_from_the_operation_that_opened_it() {
        let finding = Finding {
            kind: FindingKind::Safety,
            property: "eviction-truthful",
            place: String::new(),
            message: "A lie.\n\nc1 has s7, by all that is committed\nr0 tells it otherwise"
                .to_owned(),
            at: Time::ZERO,
        };
        let story = Story::new(3, &finding);
        assert_eq!(story.about, [7].into());
        assert!(story.named.contains(NodeIndex::new(4)));
    }

    #[test]
    fn it_is_short_and_in_order_and_neither_side_is_drowned_by_what_happened_elsewhere() {
        let mut story = story("r1 op12");
        story.tell(Time::from_ns(1), Sort::Entry, "one side".to_owned());
        story.tell(Time::from_ns(2), Sort::Entry, "other side".to_owned());
        for number in 0..20 {
            let now = Time::from_ns(number + 10);
            story.tell(now, Sort::Step, format!("step {number}"));
            story.tell(now, Sort::Turn, format!("turn {number}"));
            story.tell(now, Sort::Elsewhere, format!("elsewhere {number}"));
        }
        let lines = story.lines();
        assert!(lines[0].ends_with("one side") && lines[1].ends_with("other side"), "{lines:?}");
        assert_eq!(lines.len(), 2 + STEPS + TURNS);
        assert!(lines[2].ends_with("turn 16"), "{lines:?}");
        assert!(lines[lines.len() - 1].ends_with("turn 19"), "{lines:?}");
    }
}
