//! What runs on a node of the world: a replica or a client. Replicas come first, clients after them.

use vsr_core::configuration::Configuration;
use vsr_core::number::{ClientId, ReplicaIndex};
use vsr_core::time::Instant;
use vsr_core::wire::Frame;

use super::client::{ClientNode, Work};
use super::event::{EVENT_KINDS, Event};
use super::packet::PACKET_KINDS;
use super::replica::ReplicaNode;
use super::service::AnyService;
use super::workload::Workload;
use crate::engine::node::NodeIndex;
use crate::engine::process::{Boot, Context, Input, Process};
use crate::engine::random::Seed;
use crate::engine::time::LocalTime;

/// What nodes are built from.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// What all replicas are told alike.
    pub configuration: Configuration,
    /// What is replicated.
    pub service: AnyService,
    /// How clients behave.
    pub workload: Workload,
    /// The seed of the workload.
    pub seed: Seed,
}

/// A replica or a client.
#[derive(Debug)]
pub enum Node {
    /// A replica, with its service.
    Replica(Box<ReplicaNode>),
    /// A client, with its script.
    Client(Box<ClientNode>),
}

impl Node {
    /// The replica, if it is one.
    #[must_use]
    pub const fn replica(&self) -> Option<&ReplicaNode> {
        match self {
            Self::Replica(replica) => Some(replica),
            Self::Client(_) => None,
        }
    }

    /// The client, if it is one.
    #[must_use]
    pub const fn client(&self) -> Option<&ClientNode> {
        match self {
            Self::Replica(_) => None,
            Self::Client(client) => Some(client),
        }
    }
}

impl Process for Node {
    type Message = Frame;
    type Event = Event;
    type Command = Work;
    type Blueprint = Blueprint;

    const MESSAGE_KINDS: &'static [&'static str] = PACKET_KINDS;
    const EVENT_KINDS: &'static [&'static str] = EVENT_KINDS;
    const ZONES: &'static [&'static str] = &["Superblock", "Headers", "Prepares", "Snapshots"];

    fn boot(blueprint: &Blueprint, boot: &Boot) -> Self {
        match replica_at(&blueprint.configuration, boot.node) {
            Some(me) => Self::Replica(Box::new(ReplicaNode::boot(blueprint, me, boot))),
            None => Self::Client(Box::new(ClientNode::boot(blueprint, boot))),
        }
    }

    fn step(&mut self, now: LocalTime, input: Input<'_, Self>, context: &mut Context<'_, Self>) {
        match self {
            Self::Replica(replica) => replica.step(now, input, context),
            Self::Client(client) => client.step(now, input, context),
        }
    }

    fn deadline(&self) -> Option<LocalTime> {
        let deadline = match self {
            Self::Replica(replica) => replica.deadline(),
            Self::Client(client) => client.deadline(),
        };
        deadline.map(|deadline| LocalTime::from_ns(deadline.as_ns()))
    }
}

/// The protocol's time for a node's own.
pub(super) const fn instant(now: LocalTime) -> Instant {
    Instant::from_ns(now.as_ns())
}

/// The node of a replica.
#[must_use]
pub const fn node_of(replica: ReplicaIndex) -> NodeIndex {
    NodeIndex::new(replica.get())
}

/// The replica of a node, unless it is a client's.
#[must_use]
pub const fn replica_at(configuration: &Configuration, node: NodeIndex) -> Option<ReplicaIndex> {
    if node.number() < configuration.replica_count {
        Some(ReplicaIndex::new(node.number()))
    } else {
        None
    }
}

/// The identity of a client process: its node, so that answers find it, and what nobody else has drawn.
#[must_use]
pub fn client_id(node: NodeIndex, drawn: u64) -> ClientId {
    ClientId::new((u128::from(drawn) << 8) | (1 << 120) | u128::from(node.number()))
}

/// The node of the client process with this identity.
#[must_use]
pub const fn node_of_client(client: ClientId) -> NodeIndex {
    NodeIndex::new(client.get().to_le_bytes()[0])
}
