//! Reads and writes under way, and what may become of them.

use crate::engine::node::{Incarnation, NodeIndex};
use crate::engine::process::{DiskError, Token, Zone};
use crate::engine::random::Fate;
use crate::engine::time::Time;

/// A write under way.
#[derive(Debug)]
pub struct Write {
    /// The node whose disk it is.
    pub node: NodeIndex,
    /// The process that asked for it.
    pub incarnation: Incarnation,
    /// By what the process knows it.
    pub token: Token,
    /// Where.
    pub zone: Zone,
    /// The first byte's address within the zone.
    pub offset: u64,
    /// What.
    pub bytes: Vec<u8>,
    /// When it was handed to the disk.
    pub started: Time,
    /// How many writes to the same place of the same disk there were before.
    pub nth: u32,
    pub(super) fate: Fate,
    pub(super) state: WriteState,
    /// What will become of it instead of what should, if that was decided for it alone.
    pub(super) doom: Option<Doom>,
}

/// How far a write has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteState {
    UnderWay,
    /// Its process is gone, and at this time the disk carries it out after all.
    Late(Time),
    /// It completed, and its process is yet to be told.
    Done(Result<(), DiskError>),
    /// A crash resolved it, or its process is gone: its completion means nothing.
    Over,
}

/// What becomes of a write that does not do as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doom {
    /// It is reported as durable, and nothing is written.
    Lost,
    /// It is reported as durable, and has gone to another place of its zone.
    Misdirected,
    /// It fails; each of its sectors is old or new.
    Failed,
    /// It fails, for the disk is full: nothing is written.
    Full,
}

impl Doom {
    /// Whether the process is told that all is well.
    pub(super) const fn is_lie(self) -> bool {
        matches!(self, Self::Lost | Self::Misdirected)
    }
}

/// A read under way.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) node: NodeIndex,
    pub(crate) incarnation: Incarnation,
    pub(crate) token: Token,
    pub(crate) zone: Zone,
    pub(crate) offset: u64,
    pub(crate) size: u32,
    pub(super) fate: Fate,
}

/// What became of a write that a crash met, or that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// All of it is durable.
    Kept,
    /// None of it is.
    Lost,
    /// Some of the sectors that it touches are as it wanted them, the others are as they were.
    Torn {
        /// How many sectors are new; at least one.
        new: u32,
        /// How many are old; at least one.
        old: u32,
    },
    /// None of it is yet; the disk will carry it out later, but for sectors that are written again before.
    Late,
}

/// What came of a write whose time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Nothing: a crash had resolved it.
    Over,
    /// Nothing yet: it is to be looked at again at this time.
    NotYet(Time),
    /// The disk has carried it out, long after its process was gone.
    Landed,
    /// It is reported as durable.
    Durable,
    /// It has failed.
    Failed(Resolution),
}

impl Write {
    /// A write that the disk has not yet been handed.
    pub(crate) fn new(
        (node, incarnation): (NodeIndex, Incarnation),
        started: Time,
        token: Token,
        (zone, offset): (Zone, u64),
        bytes: Vec<u8>,
    ) -> Self {
        // The disk gives it its fate.
        let fate = Fate::of(0, 0);
        Self {
            node,
            incarnation,
            token,
            zone,
            offset,
            bytes,
            started,
            nth: 0,
            fate,
            state: WriteState::UnderWay,
            doom: None,
        }
    }

    pub(crate) const fn state(&self) -> WriteState {
        self.state
    }
}

impl Read {
    /// A read that the disk has not yet been handed.
    pub(crate) const fn new(
        (node, incarnation): (NodeIndex, Incarnation),
        token: Token,
        (zone, offset, size): (Zone, u64, u32),
    ) -> Self {
        let fate = Fate::of(0, 0);
        Self { node, incarnation, token, zone, offset, size, fate }
    }
}

/// Something that went wrong on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mishap {
    /// Whose disk.
    pub node: NodeIndex,
    /// Which zone of it.
    pub zone: Zone,
    /// The first byte that may not be as it was, or as it should be.
    pub offset: u64,
    /// How many there are.
    pub size: u64,
    /// What it is.
    pub kind: MishapKind,
}

/// The sorts of mishaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MishapKind {
    /// A bit was turned around.
    Flipped,
    /// A sector holds nonsense.
    Garbled,
    /// A sector cannot be read any more.
    Unreadable,
    /// A write was reported as durable, and is not.
    WriteLost,
    /// A write was reported as durable, and has gone elsewhere.
    WriteMisdirected,
    /// A write that was meant for another place has gone here.
    Overwritten,
    /// A write of a process that is gone was carried out late.
    WriteLate,
    /// A write failed.
    WriteFailed,
    /// A read failed.
    ReadFailed,
    /// A read got bytes of another place.
    ReadMisdirected,
    /// All is zero, as on a new disk.
    Wiped,
}
