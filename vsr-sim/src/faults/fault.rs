//! What may go wrong, as it is written in a scenario.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::Selector;
use crate::engine::{RateChange, Rot, Span, Spot};

/// One thing that goes wrong.
///
/// Those that last are taken back when their step ends: a crashed node restarts, a cut link carries again. Those that
/// do not last are marked so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// A process is gone at once; what it was writing is kept, lost or torn. It is skipped where too many servers would
    /// be down, see [`Limits`](super::Limits).
    Crash {
        /// Whose.
        node: Selector,
    },
    /// Nodes that are down boot, whoever crashed them. Does not last.
    Restart {
        /// Which.
        node: Selector,
    },
    /// Many processes are gone at the same moment, however many may be down.
    PowerLoss {
        /// Whose.
        nodes: Selector,
    },
    /// Nodes of different sides cannot reach each other; nodes of no side reach all.
    Partition {
        /// The sides.
        sides: Vec<Vec<Selector>>,
    },
    /// One direction of some links is cut.
    Cut {
        /// The nodes that are not heard.
        from: Selector,
        /// The nodes that do not hear.
        to: Selector,
    },
    /// Some nodes reach nobody and nobody reaches them.
    Isolate {
        /// Which.
        node: Selector,
    },
    /// Every fault of the network is over. Does not last.
    Heal {},
    /// Some links carry worse, or better, than they did.
    Rates {
        /// The nodes that send.
        from: Selector,
        /// The nodes that receive.
        to: Selector,
        /// What changes.
        change: RateChange,
    },
    /// Packets of some kinds are held back, and set out only when the step ends.
    Hold {
        /// The nodes that send.
        from: Selector,
        /// The nodes that receive.
        to: Selector,
        /// The names of the kinds; all if there are none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kinds: Vec<String>,
    },
    /// One packet, by name, is lost if it is ever sent. Does not last.
    Lose {
        /// The node that sends it.
        from: Selector,
        /// The node that it is for.
        to: Selector,
        /// The name of its kind.
        kind: String,
        /// What it is about.
        identity: u64,
        /// How many of this link, kind and identity come before it.
        #[serde(default)]
        nth: u32,
    },
    /// A disk takes its time.
    SlowDisk {
        /// Whose.
        node: Selector,
        /// Hundredths of the ordinary time.
        percent: u32,
        /// The name of the only zone that is slow; all are if it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
    /// A clock runs too fast, or too slow.
    Skew {
        /// Whose.
        node: Selector,
        /// By how many parts in a million; negative for too slow.
        ppm: i32,
    },
    /// A wall clock jumps ahead. Does not last.
    WallAhead {
        /// Whose.
        node: Selector,
        /// By how much.
        by: Span,
    },
    /// A wall clock jumps back. Does not last.
    WallBack {
        /// Whose.
        node: Selector,
        /// By how much.
        by: Span,
    },
    /// A process stands still without knowing it.
    Pause {
        /// Whose.
        node: Selector,
    },
    /// Sectors of a disk go bad. Does not last: they stay so until they are written again.
    Rot {
        /// Whose disk.
        node: Selector,
        /// The name of the zone.
        zone: String,
        /// Which sectors.
        spot: Spot,
        /// How.
        how: Rot,
    },
    /// The newest write under way in a zone is reported as durable, and nothing is written. Does not last.
    LoseWrite {
        /// Whose disk.
        node: Selector,
        /// The name of the zone.
        zone: String,
    },
    /// The newest write under way in a zone is reported as durable, and goes to another place of it. Does not last.
    MisdirectWrite {
        /// Whose disk.
        node: Selector,
        /// The name of the zone.
        zone: String,
    },
    /// All that is being written to a disk fails, each sector of it old or new. Does not last.
    FailFlush {
        /// Whose disk.
        node: Selector,
    },
    /// All writes to a disk that come to their end fail, each sector of them old or new.
    WriteError {
        /// Whose disk.
        node: Selector,
    },
    /// All reads of a disk fail.
    ReadError {
        /// Whose disk.
        node: Selector,
    },
    /// All reads of a disk get one sector from another place of their zone.
    Misread {
        /// Whose disk.
        node: Selector,
    },
    /// A disk has no room: all writes that come to their end fail, and nothing is written.
    FullDisk {
        /// Whose disk.
        node: Selector,
    },
    /// The disk of a node that is down is replaced by an empty one. Does not last.
    WipeDisk {
        /// Whose disk.
        node: Selector,
    },
}

impl Fault {
    /// The names of all faults, in the order of [`Self::index`].
    pub const NAMES: [&'static str; 24] = [
        "crash",
        "restart",
        "power-loss",
        "partition",
        "cut",
        "isolate",
        "heal",
        "rates",
        "hold",
        "lose",
        "slow-disk",
        "skew",
        "wall-ahead",
        "wall-back",
        "pause",
        "rot",
        "lose-write",
        "misdirect-write",
        "fail-flush",
        "write-error",
        "read-error",
        "misread",
        "full-disk",
        "wipe-disk",
    ];

    /// The place of the fault's sort in a table of all.
    #[must_use]
    pub const fn index(&self) -> usize {
        match self {
            Self::Crash { .. } => 0,
            Self::Restart { .. } => 1,
            Self::PowerLoss { .. } => 2,
            Self::Partition { .. } => 3,
            Self::Cut { .. } => 4,
            Self::Isolate { .. } => 5,
            Self::Heal {} => 6,
            Self::Rates { .. } => 7,
            Self::Hold { .. } => 8,
            Self::Lose { .. } => 9,
            Self::SlowDisk { .. } => 10,
            Self::Skew { .. } => 11,
            Self::WallAhead { .. } => 12,
            Self::WallBack { .. } => 13,
            Self::Pause { .. } => 14,
            Self::Rot { .. } => 15,
            Self::LoseWrite { .. } => 16,
            Self::MisdirectWrite { .. } => 17,
            Self::FailFlush { .. } => 18,
            Self::WriteError { .. } => 19,
            Self::ReadError { .. } => 20,
            Self::Misread { .. } => 21,
            Self::FullDisk { .. } => 22,
            Self::WipeDisk { .. } => 23,
        }
    }

    /// The name of the fault's sort, as in scenarios.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// All words in it that stand for nodes.
    #[must_use]
    pub fn selectors(&self) -> Vec<&Selector> {
        match self {
            Self::Crash { node }
            | Self::Restart { node }
            | Self::PowerLoss { nodes: node }
            | Self::Isolate { node }
            | Self::SlowDisk { node, .. }
            | Self::Skew { node, .. }
            | Self::WallAhead { node, .. }
            | Self::WallBack { node, .. }
            | Self::Pause { node }
            | Self::Rot { node, .. }
            | Self::LoseWrite { node, .. }
            | Self::MisdirectWrite { node, .. }
            | Self::FailFlush { node }
            | Self::WriteError { node }
            | Self::ReadError { node }
            | Self::Misread { node }
            | Self::FullDisk { node }
            | Self::WipeDisk { node } => vec![node],
            Self::Partition { sides } => sides.iter().flatten().collect(),
            Self::Cut { from, to }
            | Self::Rates { from, to, .. }
            | Self::Hold { from, to, .. }
            | Self::Lose { from, to, .. } => vec![from, to],
            Self::Heal {} => Vec::new(),
        }
    }

    /// As [`Self::selectors`], to put others in their places.
    pub fn selectors_mut(&mut self) -> Vec<&mut Selector> {
        match self {
            Self::Crash { node }
            | Self::Restart { node }
            | Self::PowerLoss { nodes: node }
            | Self::Isolate { node }
            | Self::SlowDisk { node, .. }
            | Self::Skew { node, .. }
            | Self::WallAhead { node, .. }
            | Self::WallBack { node, .. }
            | Self::Pause { node }
            | Self::Rot { node, .. }
            | Self::LoseWrite { node, .. }
            | Self::MisdirectWrite { node, .. }
            | Self::FailFlush { node }
            | Self::WriteError { node }
            | Self::ReadError { node }
            | Self::Misread { node }
            | Self::FullDisk { node }
            | Self::WipeDisk { node } => vec![node],
            Self::Partition { sides } => sides.iter_mut().flatten().collect(),
            Self::Cut { from, to }
            | Self::Rates { from, to, .. }
            | Self::Hold { from, to, .. }
            | Self::Lose { from, to, .. } => vec![from, to],
            Self::Heal {} => Vec::new(),
        }
    }

    /// All names of kinds of messages in it.
    #[must_use]
    pub fn message_kinds(&self) -> &[String] {
        match self {
            Self::Hold { kinds, .. } => kinds,
            Self::Lose { kind, .. } => std::slice::from_ref(kind),
            Self::Crash { .. }
            | Self::Restart { .. }
            | Self::PowerLoss { .. }
            | Self::Partition { .. }
            | Self::Cut { .. }
            | Self::Isolate { .. }
            | Self::Heal {}
            | Self::Rates { .. }
            | Self::SlowDisk { .. }
            | Self::Skew { .. }
            | Self::WallAhead { .. }
            | Self::WallBack { .. }
            | Self::Pause { .. }
            | Self::Rot { .. }
            | Self::LoseWrite { .. }
            | Self::MisdirectWrite { .. }
            | Self::FailFlush { .. }
            | Self::WriteError { .. }
            | Self::ReadError { .. }
            | Self::Misread { .. }
            | Self::FullDisk { .. }
            | Self::WipeDisk { .. } => &[],
        }
    }

    /// Whether it spoils what a disk holds, or makes the disk say what is not so.
    #[must_use]
    pub const fn lies(&self) -> bool {
        matches!(self, Self::Rot { .. } | Self::LoseWrite { .. } | Self::MisdirectWrite { .. })
    }

    /// The name of the zone in it, if there is one.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        match self {
            Self::Rot { zone, .. }
            | Self::LoseWrite { zone, .. }
            | Self::MisdirectWrite { zone, .. } => Some(zone),
            Self::SlowDisk { zone, .. } => zone.as_deref(),
            Self::Crash { .. }
            | Self::Restart { .. }
            | Self::PowerLoss { .. }
            | Self::Partition { .. }
            | Self::Cut { .. }
            | Self::Isolate { .. }
            | Self::Heal {}
            | Self::Rates { .. }
            | Self::Hold { .. }
            | Self::Lose { .. }
            | Self::Skew { .. }
            | Self::WallAhead { .. }
            | Self::WallBack { .. }
            | Self::Pause { .. }
            | Self::FailFlush { .. }
            | Self::WriteError { .. }
            | Self::ReadError { .. }
            | Self::Misread { .. }
            | Self::FullDisk { .. }
            | Self::WipeDisk { .. } => None,
        }
    }
}
