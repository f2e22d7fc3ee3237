//! The text of a story's run: what its steps did, and what came of it; short enough to be read, and kept with the story.
//!
//! Of the set-up only where it led is told, and nothing of what happens once the faults have stopped. A replica's column is written
//! only when it has changed. A packet that was lost, held or much delayed is told once, and so is why a node drops what another sends:
//! what comes again, as heartbeats do, is in no later line.

use std::collections::BTreeSet;

use vsr_core::io::{Event as ReplicaEvent, Ignored, Status};
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
use crate::faults::Fault;
use crate::scenario::Scenario;
use crate::scenario::listener::Listener;

/// The width of what happens, and of a replica's column, in letters.
const WHAT_WIDTH: usize = 60;
const COLUMN_WIDTH: usize = 12;

/// Writes down a run of a scenario.
///
/// A column shows a replica's status and role, its view, the head of its log and what it has executed: `N* v3 17/15`. The star is the
/// primary's; `V` is a view change, `R` reading the disk, and a dash a replica that is down.
#[derive(Debug, Default)]
pub struct Transcript {
    service: AnyService,
    replica_count: u8,
    /// By step: why it is there.
    whys: Vec<String>,
    lines: Vec<String>,
    /// The columns, as they are and as they were last written.
    columns: Vec<String>,
    written: Vec<String>,
    /// What happened in the step under way: the columns show the state after it.
    pending: Vec<(Time, String)>,
    /// What was last noted.
    last: String,
    /// Why the step under way is there.
    why: String,
    /// The operations that were last said to be committed, while others may join them: by whom, the first and the last.
    committing: Option<(NodeIndex, u64, u64)>,
    /// Packets and droppings that were told already.
    packets: BTreeSet<(&'static str, NodeIndex, u8, u64)>,
    droppings: BTreeSet<(NodeIndex, Ignored)>,
    /// The packet that was last told, while others like it may join it: who sent it, to whom, and what became of it.
    joined: Option<(NodeIndex, Vec<String>, String)>,
    progress: Progress,
}

/// How far the run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    /// No step has had its time.
    #[default]
    SetUp,
    /// The story is on.
    Story,
    /// The faults have stopped.
    Over,
}

impl Transcript {
    /// Of a run of `scenario`, which has not begun.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let replica_count = scenario.cluster.replicas;
        let names = (0..replica_count).map(|replica| format!("r{replica}"));
        Self {
            replica_count,
            whys: scenario.steps.iter().map(|step| step.why.clone()).collect(),
            lines: vec![line("time", "what", names)],
            columns: vec!["-".to_owned(); replica_count.into()],
            ..Self::default()
        }
    }

    /// The lines so far, without ends of lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    fn note(&mut self, now: Time, what: String) {
        (self.joined, self.committing) = (None, None);
        // What clients are told to do is told by the step already.
        if self.last != what {
            self.last.clone_from(&what);
            self.pending.push((now, what));
        }
    }

    fn note_of(&mut self, now: Time, node: NodeIndex, what: &str) {
        let name = words::node(node, self.replica_count);
        self.note(now, format!("{name} {what}"));
    }

    /// A replica commits an operation: of several one after the other, the first and the last are told.
    fn note_commit(&mut self, now: Time, node: NodeIndex, op: u64) {
        let name = words::node(node, self.replica_count);
        let first = match self.committing.filter(|(before, ..)| *before == node) {
            Some((_, first, last)) if last + 1 == op && !self.pending.is_empty() => first,
            Some(_) | None => op,
        };
        if first < op {
            self.pending.pop();
            self.note(now, format!("{name} commits op{first}..{op}"));
        } else {
            self.note(now, format!("{name} commits op{op}"));
        }
        self.committing = Some((node, first, op));
    }

    /// What a step does, and why.
    fn note_step(&mut self, now: Time, words: &str) {
        let why = std::mem::take(&mut self.why);
        let apart = if why.is_empty() { "" } else { ": " };
        self.note(now, format!("{words}{apart}{why}"));
        self.flush();
    }

    fn note_packet(&mut self, now: Time, packet: &Packet<Frame>, how: &'static str) {
        let name = packet.name;
        let words = words::frame(&*self.service, &packet.message);
        let what = format!("{words}: {how}");
        let to = words::node(name.to, self.replica_count);
        let from = words::node(name.from, self.replica_count);
        match &mut self.joined {
            Some((sender, receivers, before)) if (*sender, &*before) == (name.from, &what) => {
                receivers.push(to);
                let text = format!("{from} → {} {what}", receivers.join(" "));
                self.last.clone_from(&text);
                let line = self.pending.last_mut().expect("noted just now");
                line.1 = text;
            }
            Some(_) | None => {
                if self.packets.insert((how, name.from, name.kind, name.identity)) {
                    self.note(now, format!("{from} → {to} {what}"));
                    self.joined = Some((name.from, vec![to], what));
                }
            }
        }
    }

    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        (self.joined, self.committing) = (None, None);
        match self.progress {
            Progress::SetUp | Progress::Over => return,
            Progress::Story => {}
        }
        let last = pending.len().saturating_sub(1);
        for (place, (now, what)) in pending.iter().enumerate() {
            let columns = if place == last { self.changed() } else { Vec::new() };
            self.lines.push(line(&words::time(*now), what, columns));
        }
    }

    /// The columns that are not as they were last written.
    fn changed(&mut self) -> Vec<String> {
        let before = std::mem::replace(&mut self.written, self.columns.clone());
        let same = |(place, column): (usize, &String)| before.get(place) == Some(column);
        let columns = self.columns.iter().enumerate();
        columns
            .map(
                |(place, column)| {
                    if same((place, column)) { String::new() } else { column.clone() }
                },
            )
            .collect()
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
        self.columns[node.index()] = format!("{status}{role} {view} {op}/{commit}");
    }

    /// Begins the story, if it has not begun, with where the set-up led.
    fn begin(&mut self, now: Time) {
        if self.progress == Progress::SetUp {
            self.pending.clear();
            self.progress = Progress::Story;
            self.note(now, "⋮".to_owned());
            self.flush();
        }
    }
}

fn line(time: &str, what: &str, columns: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{time:>10}  {what:<WHAT_WIDTH$}");
    for column in columns {
        text.push_str(&format!("  {column:<COLUMN_WIDTH$}"));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Whether it says what a column does not, or what clients see.
const fn is_told(event: &Event) -> bool {
    match event {
        Event::Replica(ReplicaEvent::Durable { .. }) | Event::Client(ClientEvent::Ignored(_)) => {
            false
        }
        Event::Replica(_) | Event::Client(_) => true,
    }
}

impl Observer<Node> for Transcript {
    fn packet_dropped(&mut self, now: Time, packet: &Packet<Frame>, reason: Dropped) {
        match reason {
            Dropped::Lost | Dropped::Listed => self.note_packet(now, packet, "lost"),
            Dropped::Cut => self.note_packet(now, packet, "cut off"),
            Dropped::NodeDown => {}
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
        self.note_of(now, write.node, &what);
    }

    fn node_crashed(&mut self, now: Time, node: NodeIndex, _: &Node) {
        self.note_of(now, node, "crashes");
        if node.number() < self.replica_count {
            "-".clone_into(&mut self.columns[node.index()]);
        }
    }

    fn node_booted(&mut self, now: Time, node: NodeIndex, incarnation: Incarnation) {
        if incarnation != Incarnation::FIRST {
            self.note_of(now, node, "starts again");
        }
    }

    fn event(&mut self, now: Time, node: NodeIndex, event: &Event) {
        if let Event::Replica(ReplicaEvent::Ignored { reason, .. }) = event
            && !self.droppings.insert((node, *reason))
        {
            return;
        }
        if let Event::Replica(ReplicaEvent::Committed { op }) = event {
            return self.note_commit(now, node, op.get());
        }
        if is_told(event) {
            let what = words::event(&*self.service, event);
            self.note_of(now, node, &what);
        }
    }

    fn after_step(&mut self, _: Time, node: NodeIndex, process: &Node) {
        self.show(node, process);
        self.flush();
    }

    fn panicked(&mut self, now: Time, node: NodeIndex, message: &str) {
        self.note_of(now, node, &format!("PANICS: {message}"));
        self.flush();
    }
}

impl Listener for Transcript {
    fn run_begins(&mut self, service: &AnyService) {
        self.service = service.clone();
    }

    fn step_begins(&mut self, now: Time, step: usize, _: NodeSet) {
        self.begin(now);
        self.flush();
        self.why = self.whys.get(step).cloned().unwrap_or_default();
    }

    fn fault_begins(&mut self, now: Time, fault: &Fault, nodes: NodeSet) {
        let words = words::fault(fault, nodes, self.replica_count);
        self.note_step(now, &words);
    }

    fn fault_ends(&mut self, now: Time, fault: &Fault) {
        self.note(now, format!("{} is over", fault.name()));
        self.flush();
    }

    fn step_told(&mut self, now: Time, words: &str) {
        self.note_step(now, words);
    }

    fn phase_begins(&mut self, _: Time, _: &str) {
        self.begin(Time::ZERO);
        self.flush();
        self.progress = Progress::Over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::file;
    use crate::scenario::run::Runner;

    fn lines(steps: &str) -> Vec<String> {
        let text = format!(
            r#"{{"format":1,"cluster":{{"clients":1}},"network":{{"jitter":"0ns"}},"steps":[{steps}]}}"#
        );
        let scenario = file::parse(&text).unwrap();
        let (_, transcript) =
            Runner::<Transcript>::default().run_watched(&scenario, Transcript::of(&scenario));
        transcript.lines().to_vec()
    }

    /// Heartbeats are cut off for half a second, and the two links of one of them told once; the set-up is a line.
    #[test]
    fn what_repeats_itself_is_told_once_and_the_set_up_not_at_all() {
        let lines = lines(
            r#"{"at":"20ms","do":{"cut":{"from":"r0","to":"replicas"}},"for":"500ms","why":"r0 is mute"}"#,
        );
        assert!(lines[0].ends_with("what                                                          r0            r1            r2"));
        assert!(lines[1].ends_with("⋮                                                             N* v0 1/1     N  v0 1/1     N  v0 1/1"));
        assert!(
            lines[2].ends_with("cut from r0 to replicas, {r0 r1 r2}: r0 is mute"),
            "{}",
            lines[2]
        );
        let heartbeats: Vec<&String> =
            lines.iter().filter(|line| line.contains(" Commit v0 ")).collect();
        assert_eq!(heartbeats.len(), 1, "{heartbeats:?}");
        assert!(
            heartbeats[0].ends_with("r0 → r1 r2 Commit v0 commit=1: cut off"),
            "{heartbeats:?}"
        );
        assert!(!lines.iter().any(|line| line.contains("faults have stopped")));
        // A trace that repeats itself is not read.
    }

    /// Each replica says of its own column that it has changed, and of no other.
    #[test]
    fn a_column_is_written_when_it_has_changed() {
        let lines = lines(r#"{"at":"20ms","do":{"request":{"from":"c0","operation":"put k 1"}}}"#);
        let prepares = lines.iter().find(|line| line.contains("r0 prepares op2")).unwrap();
        assert!(prepares.ends_with("N* v0 2/1"), "{prepares}");
        let commits = lines.iter().find(|line| line.contains("r2 commits op2")).unwrap();
        assert_eq!(commits.matches(" v0 ").count(), 1, "{commits}");
        assert_eq!(lines.iter().filter(|line| line.contains("c0 asks put k 1")).count(), 1);
    }
}
