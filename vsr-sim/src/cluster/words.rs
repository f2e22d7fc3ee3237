//! Packets, events and operations in words: the only place that makes text of them.

use std::fmt::Write as _;

use vsr_core::io::{Event as ReplicaEvent, Ignored};
use vsr_core::message::{ClientMessage, Command, Message};
use vsr_core::wire::Frame;

use crate::cluster::event::{ClientEvent, Event};
use crate::cluster::key_value::{Answer, Operation};
use crate::cluster::service::Service;
use crate::engine::node::{NodeIndex, NodeSet};
use crate::engine::time::Time;
use crate::faults::{Fault, Selector};

/// The most letters of a value that are shown.
const VALUE_SHOWN: usize = 16;

/// A node as people call it: `r0`, `c3`.
#[must_use]
pub fn node(node: NodeIndex, replica_count: u8) -> String {
    match node.number().checked_sub(replica_count) {
        None => format!("r{}", node.number()),
        Some(client) => format!("c{client}"),
    }
}

/// Some nodes: `{r0 r2 c1}`.
#[must_use]
pub fn nodes(set: NodeSet, replica_count: u8) -> String {
    let names: Vec<String> = set.iter().map(|one| node(one, replica_count)).collect();
    format!("{{{}}}", names.join(" "))
}

/// A fault that was done to these nodes.
#[must_use]
pub fn fault(fault: &Fault, struck: NodeSet, replica_count: u8) -> String {
    let struck = nodes(struck, replica_count);
    match fault {
        Fault::Partition { sides } => {
            let side = |side: &Vec<Selector>| {
                let names: Vec<&str> = side.iter().map(Selector::word).collect();
                format!("{{{}}}", names.join(" "))
            };
            let sides: Vec<String> = sides.iter().map(side).collect();
            format!("partition {}", sides.join(" | "))
        }
        Fault::Cut { from, to } => format!("cut from {from} to {to}, {struck}"),
        Fault::Hold { from, to, kinds } => {
            let kinds = if kinds.is_empty() { "all".to_owned() } else { kinds.join(" ") };
            format!("hold {kinds} from {from} to {to}, {struck}")
        }
        Fault::Isolate { .. } => format!("isolate {struck}"),
        Fault::Lose { from, to, kind, identity, .. } => {
            format!("lose {kind} {identity} from {from} to {to}, {struck}")
        }
        Fault::Crash { .. }
        | Fault::Restart { .. }
        | Fault::PowerLoss { .. }
        | Fault::Heal {}
        | Fault::Rates { .. }
        | Fault::SlowDisk { zone: None, .. }
        | Fault::Skew { .. }
        | Fault::WallAhead { .. }
        | Fault::WallBack { .. }
        | Fault::Pause { .. }
        | Fault::FailFlush { .. }
        | Fault::WriteError { .. }
        | Fault::ReadError { .. }
        | Fault::Misread { .. }
        | Fault::FullDisk { .. }
        | Fault::WipeDisk { .. } => format!("{} {struck}", fault.name()),
        Fault::SlowDisk { zone: Some(zone), .. }
        | Fault::Rot { zone, .. }
        | Fault::LoseWrite { zone, .. }
        | Fault::MisdirectWrite { zone, .. } => {
            format!("{} in {zone}, {struck}", fault.name())
        }
    }
}

/// The text, with every client's identity (`c` and 32 hexadecimal digits, the last two its node) made its name.
#[must_use]
pub fn with_client_names(text: &str, replica_count: u8) -> String {
    let name_of = |word: &str| {
        let digits =
            word.strip_prefix('c').filter(|digits| digits.len() == 31 || digits.len() == 32)?;
        let index = u8::from_str_radix(digits.get(digits.len() - 2..)?, 16).ok()?;
        u128::from_str_radix(digits, 16).ok()?;
        (index < NodeIndex::COUNT_MAX).then(|| node(NodeIndex::new(index), replica_count))
    };
    text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric())
        .map(|word| {
            let end = word.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric()).len();
            let (name, rest) = word.split_at(end);
            name_of(name).map_or_else(|| word.to_owned(), |name| name + rest)
        })
        .collect()
}

/// A moment in seconds, to the microsecond.
#[must_use]
pub fn time(time: Time) -> String {
    let us = time.as_ns() / 1_000;
    format!("{}.{:06}s", us / 1_000_000, us % 1_000_000)
}

/// A number with its thousands apart.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A key or a value: as text where it is text, cut short where it is long, as a JSON string where it would not be one word.
#[must_use]
pub fn value(bytes: &[u8]) -> String {
    value_up_to(VALUE_SHOWN, bytes)
}

/// As [`value`], with so many letters at most.
fn value_up_to(most: usize, bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(most)];
    let mut text = String::from_utf8_lossy(shown).into_owned();
    let is_odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '…';
    if text.is_empty() || text.starts_with('"') || text.contains(is_odd) {
        text = serde_json::Value::from(text).to_string();
    }
    if bytes.len() > most {
        // Writing to a string never fails.
        write!(text, "…({} bytes)", bytes.len()).ok();
    }
    text
}

/// An operation of the key-value store.
#[must_use]
pub fn operation(bytes: &[u8]) -> String {
    operation_up_to(VALUE_SHOWN, bytes)
}

/// As [`operation`], with every value in full, however long.
#[must_use]
pub fn operation_in_full(bytes: &[u8]) -> String {
    operation_up_to(usize::MAX, bytes)
}

fn operation_up_to(most: usize, bytes: &[u8]) -> String {
    let value = |bytes: &[u8]| value_up_to(most, bytes);
    match Operation::decode(bytes) {
        Ok(Operation::Get { key }) => format!("get {}", value(key)),
        Ok(Operation::Put { key, value: new }) => format!("put {} {}", value(key), value(new)),
        Ok(Operation::Append { key, suffix }) => {
            format!("append {} {}", value(key), value(suffix))
        }
        Ok(Operation::Delete { key }) => format!("delete {}", value(key)),
        Ok(Operation::Swap { key, expected, new }) => {
            format!("swap {} {} for {}", value(key), value(expected), value(new))
        }
        Err(_) => format!("{} bytes", bytes.len()),
    }
}

/// An answer of the key-value store.
#[must_use]
pub fn answer(bytes: &[u8]) -> String {
    match Answer::decode(bytes) {
        Ok(Answer::Done) => "done".to_owned(),
        Ok(Answer::Value(None)) => "absent".to_owned(),
        Ok(Answer::Value(Some(was))) => value(was),
        Ok(Answer::Swapped) => "swapped".to_owned(),
        Ok(Answer::NotSwapped(None)) => "not swapped, it is absent".to_owned(),
        Ok(Answer::NotSwapped(Some(was))) => format!("not swapped, it is {}", value(was)),
        Ok(Answer::Refused(why)) => format!("refused: {why:?}"),
        Err(_) => format!("{} bytes", bytes.len()),
    }
}

fn message(message: &Message) -> String {
    let view = message.view;
    match &message.command {
        Command::Prepare(prepare) => {
            format!("Prepare {view} {} commit={}", prepare.entry.header().op, prepare.commit.get())
        }
        Command::PrepareOk(ok) => format!("PrepareOk {view} {}", ok.op),
        Command::Commit(commit) => format!("Commit {view} commit={}", commit.commit.get()),
        Command::CommitOk(_) => format!("CommitOk {view}"),
        Command::StartViewChange => format!("StartViewChange leave {view}"),
        Command::DoViewChange(promise) => format!(
            "DoViewChange {view} log_view={} {} commit={}{}{}",
            promise.log_view,
            promise.op,
            promise.commit.get(),
            match promise.spoiled.count_ones() {
                0 => String::new(),
                spoiled => format!(" spoiled={spoiled}"),
            },
            match promise.reach.get() {
                reach if reach == promise.op.get() => String::new(),
                reach => format!(" reach={reach}"),
            }
        ),
        Command::StartView(start) => {
            format!("StartView {view} {} commit={}", start.op, start.commit.get())
        }
        Command::GetView(get) => format!("GetView {view} about {}", get.view),
        Command::GetState(get) => format!("GetState {view} after {}", get.op),
        Command::NewState(state) => match (state.entries.first(), state.entries.last()) {
            (Some(first), Some(last)) => {
                format!("NewState {view} {}..{}", first.header().op, last.header().op.get())
            }
            (None, _) | (_, None) => format!("NewState {view} empty"),
        },
        Command::GetHeaders(get) => {
            format!("GetHeaders {view} {}..{}", get.op_min, get.op_max.get())
        }
        Command::Headers(headers) => format!("Headers {view} {} of them", headers.len()),
        Command::GetPrepare(get) => format!("GetPrepare {view} {}", get.op),
        Command::Repaired(entry) => format!("Repaired {view} {}", entry.header().op),
        Command::GetCheckpoint(get) => {
            format!("GetCheckpoint {view} {} from byte {}", get.op, get.offset)
        }
        Command::Checkpoint(part) => {
            let end = part.offset as usize + part.bytes.len();
            format!("Checkpoint {view} {} {}..{end} of {}", part.header.op, part.offset, part.size)
        }
        Command::Forward(request) => format!("Forward {view} {}", request.request),
    }
}

/// What travels between replicas and clients of `service`.
#[must_use]
pub fn frame(service: &dyn Service, frame: &Frame) -> String {
    match frame {
        Frame::Message(inner) => message(inner),
        Frame::Request(request) if request.session.get() == 0 => "Request register".to_owned(),
        Frame::Request(request) => {
            let asked = service.operation_in_words(&request.body);
            format!("Request {} {asked}", request.request)
        }
        Frame::ClientMessage(ClientMessage::Reply(reply)) => format!(
            "Reply {} {} {} {}",
            reply.view,
            reply.request,
            reply.op,
            if reply.request.get() == 0 {
                String::new()
            } else {
                service.answer_in_words(&reply.result)
            }
        )
        .trim_end()
        .to_owned(),
        Frame::ClientMessage(ClientMessage::Eviction(eviction)) => {
            format!("Eviction {}", eviction.session)
        }
    }
}

/// What a node says about itself; `service` is what clients speak of.
#[must_use]
pub fn event(service: &dyn Service, event: &Event) -> String {
    match event {
        Event::Replica(event) => replica_event(event),
        Event::Client(ClientEvent::Registered { session }) => format!("has session {session}"),
        Event::Client(ClientEvent::Invoked { operation, .. }) => {
            format!("asks {}", service.operation_in_words(operation))
        }
        Event::Client(ClientEvent::Returned { result }) => {
            format!("is answered {}", service.answer_in_words(result))
        }
        Event::Client(ClientEvent::Evicted) => "has lost its session".to_owned(),
        Event::Client(ClientEvent::Ignored(reason)) => format!("ignores: {reason:?}"),
    }
}

fn replica_event(event: &ReplicaEvent) -> String {
    match event {
        ReplicaEvent::Started { incarnation, op } => {
            format!("has read its disk: start {}, head {op}", incarnation.get())
        }
        ReplicaEvent::StatusChanged { status, view, log_view } => {
            format!("is {status:?} in {view}, its log of {log_view}")
        }
        ReplicaEvent::Prepared { op } => format!("prepares {op}"),
        ReplicaEvent::Durable { op } => format!("has {op} durable"),
        ReplicaEvent::Committed { op } => format!("commits {op}"),
        ReplicaEvent::Truncated { op } => format!("cuts its log after {op}"),
        ReplicaEvent::GapFound { op } => format!("misses {op}"),
        ReplicaEvent::GapFilled { op } => format!("got {op} from a peer"),
        ReplicaEvent::Voted { view } => format!("votes to leave {view}"),
        ReplicaEvent::SteppedDown { view } => format!("hears no quorum and stops leading {view}"),
        ReplicaEvent::LogChosen { view, from, op } => {
            format!("chooses the log of {from} for {view}, head {op}")
        }
        ReplicaEvent::Checkpointed { op } => format!("has a checkpoint of {op} durable"),
        ReplicaEvent::StateTransferBegun { op } => format!("fetches the checkpoint of {op}"),
        ReplicaEvent::StateRestored { op } => {
            format!("takes its state from the checkpoint of {op}")
        }
        ReplicaEvent::SpoiledFound { op } => format!("finds {op} spoiled"),
        ReplicaEvent::SpoiledRepaired { op } => {
            format!("got {op} again, which its disk had spoiled")
        }
        ReplicaEvent::HeadUncertain { op } => {
            format!("cannot tell where its log ended, not after {op}")
        }
        ReplicaEvent::HeadCertain { op } => format!("knows again where its log ends, at {op}"),
        ReplicaEvent::CheckpointSpoiled { op } => format!("finds its checkpoint of {op} spoiled"),
        ReplicaEvent::SessionEvicted { session } => format!("drops session {session}"),
        ReplicaEvent::Halted(halt) => format!("halts: {halt:?}"),
        ReplicaEvent::Ignored { from: Some(from), reason } => {
            format!("ignores {from}: {reason:?}")
        }
        ReplicaEvent::Ignored { from: None, reason: Ignored::LogFull } => {
            "has no room in its log".to_owned()
        }
        ReplicaEvent::Ignored { from: None, reason } => format!("ignores a client: {reason:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_values_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(31_204), "31,204");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(time(Time::from_ns(1_847_000_999)), "1.847000s");
        assert_eq!(value(b"c0.3;"), "c0.3;");
        assert_eq!((value(b""), value(b"a b")), (r#""""#.to_owned(), r#""a b""#.to_owned()));
        assert_eq!(value(&[b'x'; 40]), "xxxxxxxxxxxxxxxx…(40 bytes)");
        assert_eq!(node(NodeIndex::new(4), 3), "c1");
        assert_eq!(node(NodeIndex::new(2), 3), "r2");
        let text = "r0: c1000000000000f47383787a6b270a04, again; cafe c12";
        assert_eq!(with_client_names(text, 3), "r0: c1, again; cafe c12");
    }
}
