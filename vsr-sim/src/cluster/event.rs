//! What replicas and clients say about themselves: for triggers, counters and people. No oracle believes it.

use std::sync::Arc;

use vsr_core::client::ClientIgnored;
use vsr_core::io::{Event as ReplicaEvent, Status};
use vsr_core::number::Session;

use super::packet::Fold;
use crate::engine::process;
use crate::engine::trace::digest;

/// What a node says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A replica speaks.
    Replica(ReplicaEvent),
    /// A client speaks.
    Client(ClientEvent),
}

/// What a client says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// It has a session.
    Registered {
        /// Which one.
        session: Session,
    },
    /// It asks.
    Invoked {
        /// The number of the operation among those of its script.
        number: u32,
        /// The operation's bytes.
        operation: Arc<[u8]>,
    },
    /// It is answered.
    Returned {
        /// The answer's bytes.
        result: Arc<[u8]>,
    },
    /// Its session is gone; what it asked for, if anything, will never be answered, and it begins anew.
    Evicted,
    /// It dropped what a replica sent.
    Ignored(ClientIgnored),
}

/// The names of the kinds of events, in the order of [`process::Event::describe`].
pub const EVENT_KINDS: &[&str] = &[
    "Started",
    "Recovering",
    "Normal",
    "ViewChange",
    "Prepared",
    "Durable",
    "Committed",
    "Truncated",
    "GapFound",
    "GapFilled",
    "Voted",
    "SteppedDown",
    "LogChosen",
    "SessionEvicted",
    "Halted",
    "Ignored",
    "Registered",
    "Invoked",
    "Returned",
    "Evicted",
    "ClientIgnored",
    "Checkpointed",
    "StateTransferBegun",
    "StateRestored",
    "SpoiledFound",
    "SpoiledRepaired",
    "HeadUncertain",
    "HeadCertain",
    "CheckpointSpoiled",
];

/// Whether replicas speak of events of this kind, by its place in [`EVENT_KINDS`]; if not, clients do.
#[must_use]
pub const fn is_of_replica(kind: usize) -> bool {
    kind < CLIENT_KINDS.start || kind >= CLIENT_KINDS.end
}

/// The kinds of events of which clients speak.
const CLIENT_KINDS: std::ops::Range<usize> = 16..21;

/// Whether events of this kind, by its place in [`EVENT_KINDS`], are about an operation, a view or a session.
#[must_use]
pub fn is_about_something(kind: usize) -> bool {
    const ABOUT_NOTHING: [&str; 6] =
        ["Halted", "Ignored", "Invoked", "Returned", "Evicted", "ClientIgnored"];
    EVENT_KINDS.get(kind).is_some_and(|name| !ABOUT_NOTHING.contains(name))
}

/// Whether events of the kind called `name` are about an operation, or about a session, which is named by one.
#[must_use]
pub fn is_about_operation(name: &str) -> bool {
    const ABOUT_VIEWS: [&str; 6] =
        ["Recovering", "Normal", "ViewChange", "Voted", "SteppedDown", "LogChosen"];
    let kind = EVENT_KINDS.iter().position(|kind| *kind == name);
    kind.is_some_and(is_about_something) && !ABOUT_VIEWS.contains(&name)
}

/// What a replica's event is about: an operation where it names one, else a view, or a session.
const fn replica_identity(event: &ReplicaEvent) -> Option<u64> {
    match event {
        ReplicaEvent::Started { op, .. }
        | ReplicaEvent::Prepared { op }
        | ReplicaEvent::Durable { op }
        | ReplicaEvent::Committed { op }
        | ReplicaEvent::Truncated { op }
        | ReplicaEvent::GapFound { op }
        | ReplicaEvent::GapFilled { op }
        | ReplicaEvent::Checkpointed { op }
        | ReplicaEvent::StateTransferBegun { op }
        | ReplicaEvent::StateRestored { op }
        | ReplicaEvent::SpoiledFound { op }
        | ReplicaEvent::SpoiledRepaired { op }
        | ReplicaEvent::HeadUncertain { op }
        | ReplicaEvent::HeadCertain { op }
        | ReplicaEvent::CheckpointSpoiled { op } => Some(op.get()),
        ReplicaEvent::StatusChanged { view, .. }
        | ReplicaEvent::Voted { view }
        | ReplicaEvent::SteppedDown { view }
        | ReplicaEvent::LogChosen { view, .. } => Some(view.get()),
        ReplicaEvent::SessionEvicted { session } => Some(session.get()),
        ReplicaEvent::Halted(_) | ReplicaEvent::Ignored { .. } => None,
    }
}

/// The kind of a replica's event, and all that it says.
fn replica_event(event: &ReplicaEvent) -> (u8, Fold) {
    let none = Fold::new(0);
    let about = |number: u64| none.with(number);
    match *event {
        ReplicaEvent::Started { incarnation, op } => (0, about(incarnation.get()).with(op.get())),
        ReplicaEvent::StatusChanged { status, view, log_view } => {
            let kind = match status {
                Status::Recovering => 1,
                Status::Normal => 2,
                Status::ViewChange => 3,
            };
            (kind, about(view.get()).with(log_view.get()))
        }
        ReplicaEvent::Prepared { op } => (4, about(op.get())),
        ReplicaEvent::Durable { op } => (5, about(op.get())),
        ReplicaEvent::Committed { op } => (6, about(op.get())),
        ReplicaEvent::Truncated { op } => (7, about(op.get())),
        ReplicaEvent::GapFound { op } => (8, about(op.get())),
        ReplicaEvent::GapFilled { op } => (9, about(op.get())),
        ReplicaEvent::Voted { view } => (10, about(view.get())),
        ReplicaEvent::SteppedDown { view } => (11, about(view.get())),
        ReplicaEvent::LogChosen { view, from, op } => {
            (12, about(view.get()).with(u64::from(from.get())).with(op.get()))
        }
        ReplicaEvent::SessionEvicted { session } => (13, about(session.get())),
        ReplicaEvent::Halted(halt) => (14, about(halt as u64)),
        ReplicaEvent::Ignored { from, reason } => {
            (15, about(from.map_or(255, |from| u64::from(from.get()))).with(reason as u64))
        }
        ReplicaEvent::Checkpointed { op } => (21, about(op.get())),
        ReplicaEvent::StateTransferBegun { op } => (22, about(op.get())),
        ReplicaEvent::StateRestored { op } => (23, about(op.get())),
        ReplicaEvent::SpoiledFound { op } => (24, about(op.get())),
        ReplicaEvent::SpoiledRepaired { op } => (25, about(op.get())),
        ReplicaEvent::HeadUncertain { op } => (26, about(op.get())),
        ReplicaEvent::HeadCertain { op } => (27, about(op.get())),
        ReplicaEvent::CheckpointSpoiled { op } => (28, about(op.get())),
    }
}

/// The kind of a client's event, and all that it says.
fn client_event(event: &ClientEvent) -> (u8, Fold) {
    let none = Fold::new(0);
    match event {
        ClientEvent::Registered { session } => (16, none.with(session.get())),
        ClientEvent::Invoked { number, operation } => {
            (17, none.with(u64::from(*number)).with(digest(operation)))
        }
        ClientEvent::Returned { result } => (18, none.with(digest(result))),
        ClientEvent::Evicted => (19, none),
        ClientEvent::Ignored(reason) => (20, none.with(*reason as u64)),
    }
}

impl process::Event for Event {
    fn describe(&self) -> (u8, u64) {
        let (kind, said) = match self {
            Self::Replica(event) => replica_event(event),
            Self::Client(event) => client_event(event),
        };
        (kind, said.end())
    }

    fn identity(&self) -> Option<u64> {
        match self {
            Self::Replica(event) => replica_identity(event),
            Self::Client(ClientEvent::Registered { session }) => Some(session.get()),
            Self::Client(
                ClientEvent::Invoked { .. }
                | ClientEvent::Returned { .. }
                | ClientEvent::Evicted
                | ClientEvent::Ignored(_),
            ) => None,
        }
    }
}
