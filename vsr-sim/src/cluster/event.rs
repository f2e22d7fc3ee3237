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

/// The names of the kinds of events, in the order of [`process::Event::kind`].
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

fn replica_kind(event: &ReplicaEvent) -> u8 {
    match event {
        ReplicaEvent::Started { .. } => 0,
        ReplicaEvent::StatusChanged { status: Status::Recovering, .. } => 1,
        ReplicaEvent::StatusChanged { status: Status::Normal, .. } => 2,
        ReplicaEvent::StatusChanged { status: Status::ViewChange, .. } => 3,
        ReplicaEvent::Prepared { .. } => 4,
        ReplicaEvent::Durable { .. } => 5,
        ReplicaEvent::Committed { .. } => 6,
        ReplicaEvent::Truncated { .. } => 7,
        ReplicaEvent::GapFound { .. } => 8,
        ReplicaEvent::GapFilled { .. } => 9,
        ReplicaEvent::Voted { .. } => 10,
        ReplicaEvent::SteppedDown { .. } => 11,
        ReplicaEvent::LogChosen { .. } => 12,
        ReplicaEvent::SessionEvicted { .. } => 13,
        ReplicaEvent::Halted(_) => 14,
        ReplicaEvent::Ignored { .. } => 15,
        ReplicaEvent::Checkpointed { .. } => 21,
        ReplicaEvent::StateTransferBegun { .. } => 22,
        ReplicaEvent::StateRestored { .. } => 23,
        ReplicaEvent::SpoiledFound { .. } => 24,
        ReplicaEvent::SpoiledRepaired { .. } => 25,
        ReplicaEvent::HeadUncertain { .. } => 26,
        ReplicaEvent::HeadCertain { .. } => 27,
        ReplicaEvent::CheckpointSpoiled { .. } => 28,
    }
}

const fn client_kind(event: &ClientEvent) -> u8 {
    match event {
        ClientEvent::Registered { .. } => 16,
        ClientEvent::Invoked { .. } => 17,
        ClientEvent::Returned { .. } => 18,
        ClientEvent::Evicted => 19,
        ClientEvent::Ignored(_) => 20,
    }
}

fn fold_replica(fold: Fold, event: &ReplicaEvent) -> Fold {
    match *event {
        ReplicaEvent::Started { incarnation, op } => fold.with(incarnation.get()).with(op.get()),
        ReplicaEvent::StatusChanged { view, log_view, .. } => {
            fold.with(view.get()).with(log_view.get())
        }
        ReplicaEvent::Prepared { op }
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
        | ReplicaEvent::CheckpointSpoiled { op } => fold.with(op.get()),
        ReplicaEvent::Voted { view } | ReplicaEvent::SteppedDown { view } => fold.with(view.get()),
        ReplicaEvent::LogChosen { view, from, op } => {
            fold.with(view.get()).with(u64::from(from.get())).with(op.get())
        }
        ReplicaEvent::SessionEvicted { session } => fold.with(session.get()),
        ReplicaEvent::Halted(halt) => fold.with(halt as u64),
        ReplicaEvent::Ignored { from, reason } => {
            fold.with(from.map_or(255, |from| u64::from(from.get()))).with(reason as u64)
        }
    }
}

impl process::Event for Event {
    fn kind(&self) -> u8 {
        match self {
            Self::Replica(event) => replica_kind(event),
            Self::Client(event) => client_kind(event),
        }
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

    fn digest(&self) -> u64 {
        let fold = Fold::new(u64::from(self.kind()));
        let fold = match self {
            Self::Replica(event) => fold_replica(fold, event),
            Self::Client(ClientEvent::Registered { session }) => fold.with(session.get()),
            Self::Client(ClientEvent::Invoked { number, operation }) => {
                fold.with(u64::from(*number)).with(digest(operation))
            }
            Self::Client(ClientEvent::Returned { result }) => fold.with(digest(result)),
            Self::Client(ClientEvent::Evicted) => fold,
            Self::Client(ClientEvent::Ignored(reason)) => fold.with(*reason as u64),
        };
        fold.end()
    }
}
