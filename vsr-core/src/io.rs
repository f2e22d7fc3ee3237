//! The whole contract of a replica with the outside: what goes in, what comes out.
//!
//! Effects come in one ordered list, and their order is meant: a caller that carries them out one after the other does right.
//! A write may be carried out asynchronously; what must not be said before it is durable is not in the list yet, but waits
//! inside the replica for the write's completion.

use alloc::sync::Arc;
use alloc::vec::{Drain, Vec};
use core::ops::Range;

use crate::message::{ClientMessage, Message, Request};
use crate::number::{ClientId, Incarnation, OpNumber, ReplicaIndex, Session, ViewNumber};

/// What a replica may be told.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Begin: the first input of every incarnation, and only that.
    Start,
    /// Another replica has sent something.
    Message(Message),
    /// A client has sent something.
    Request(Arc<Request>),
    /// A write has ended: what it wrote is durable, or it has failed.
    Written {
        /// The write's own name.
        token: Token,
        /// Whether it is durable.
        result: Result<(), DiskError>,
    },
    /// A read has ended.
    Read {
        /// The read's own name.
        token: Token,
        /// The bytes, as many as were asked for; those never written are zero.
        result: Result<&'a [u8], DiskError>,
    },
    /// The wall clock shows this many nanoseconds since an epoch of the caller's choosing.
    ClockSample(u64),
    /// The time that [`crate::Replica::deadline`] named has come.
    Deadline,
}

/// What a replica wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a message to another replica. It may be lost, late, twice or out of order.
    Send {
        /// The receiver: never the sender itself.
        to: ReplicaIndex,
        /// What to send.
        message: Message,
    },
    /// Send a message to a client.
    Reply {
        /// The receiver.
        to: ClientId,
        /// What to send.
        message: ClientMessage,
    },
    /// Write to the disk, and say when it is durable.
    Write {
        /// The write's own name, unique in this incarnation.
        token: Token,
        /// Where.
        zone: Zone,
        /// From which byte of the zone.
        offset: u64,
        /// Which bytes: see [`Effects::drain`].
        bytes: Range<usize>,
    },
    /// Read from the disk.
    Read {
        /// The read's own name, unique in this incarnation.
        token: Token,
        /// Where.
        zone: Zone,
        /// From which byte of the zone.
        offset: u64,
        /// How many bytes.
        size: u32,
    },
    /// Something happened that a person, a trigger or a counter may care for. Nothing depends on it.
    Event(Event),
}

/// The name of a read or write in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// The parts of a replica's disk: byte ranges of their own, or files of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Zone {
    /// Copies of the superblock, one after the other.
    Superblock,
    /// The ring of redundant headers of the write-ahead log.
    Headers,
    /// The ring of prepares of the write-ahead log.
    Prepares,
    /// Two areas for checkpoints, used in turn.
    Snapshots,
}

/// A read or write that did not happen as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskError;

/// Where a replica stands (VR Revisited 4, "status").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Reading its disk after a start: takes part in nothing.
    Recovering,
    /// Processing requests.
    Normal,
    /// Moving to another view.
    ViewChange,
}

/// What a replica says about itself: for triggers, counters and traces. No oracle believes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The disk is read, and the replica takes part.
    Started {
        /// Which start this is.
        incarnation: Incarnation,
        /// The head of the log that was found.
        op: OpNumber,
    },
    /// The status or the view is another.
    StatusChanged {
        /// The new status.
        status: Status,
        /// The view it is in.
        view: ViewNumber,
        /// The view whose log it holds.
        log_view: ViewNumber,
    },
    /// A primary has put an operation at the end of its log.
    Prepared {
        /// Which operation.
        op: OpNumber,
    },
    /// An entry has become durable here, and all before it.
    Durable {
        /// Which operation.
        op: OpNumber,
    },
    /// An operation is committed and executed here.
    Committed {
        /// Which operation.
        op: OpNumber,
    },
    /// The log has been cut: all after this is gone.
    Truncated {
        /// The last operation that stays.
        op: OpNumber,
    },
    /// An operation is known to be missing here.
    GapFound {
        /// The first one that is missing.
        op: OpNumber,
    },
    /// A missing operation has come from a peer.
    GapFilled {
        /// Which operation.
        op: OpNumber,
    },
    /// A backup hears no primary, or a primary no quorum: it votes to leave the view.
    Voted {
        /// The view to leave.
        view: ViewNumber,
    },
    /// A primary hears no quorum and has stopped.
    SteppedDown {
        /// The view that it leads no more.
        view: ViewNumber,
    },
    /// A new primary has chosen the log of its view.
    LogChosen {
        /// The view.
        view: ViewNumber,
        /// Whose log it is.
        from: ReplicaIndex,
        /// The head of the log.
        op: OpNumber,
    },
    /// A checkpoint is durable here, and the superblock names it.
    Checkpointed {
        /// The operation after which the state was taken.
        op: OpNumber,
    },
    /// What comes next is in nobody's log any more: a checkpoint is being fetched.
    StateTransferBegun {
        /// The operation of the checkpoint.
        op: OpNumber,
    },
    /// The state, as it was found on disk at a start or fetched from another replica, is that of this checkpoint.
    StateRestored {
        /// The operation of the checkpoint.
        op: OpNumber,
    },
    /// At a start: an entry that was durable is not whole on the disk any more. It will be asked for.
    SpoiledFound {
        /// Which operation.
        op: OpNumber,
    },
    /// A spoiled entry has come from a peer.
    SpoiledRepaired {
        /// Which operation.
        op: OpNumber,
    },
    /// At a start: the disk does not tell whether entries after the head were acknowledged.
    HeadUncertain {
        /// None can have been after this one.
        op: OpNumber,
    },
    /// All that can have been acknowledged is here again.
    HeadCertain {
        /// The head.
        op: OpNumber,
    },
    /// At a start: the checkpoint that the superblock names cannot be read back. The state will be asked for.
    CheckpointSpoiled {
        /// The operation of the checkpoint.
        op: OpNumber,
    },
    /// A session has been evicted to make room.
    SessionEvicted {
        /// Which session.
        session: Session,
    },
    /// The replica cannot go on: it takes part in nothing any more.
    Halted(Halt),
    /// A message was dropped, and this is why.
    Ignored {
        /// Who sent it; `None` for a client.
        from: Option<ReplicaIndex>,
        /// Why.
        reason: Ignored,
    },
}

/// Why a replica has stopped for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A checkpoint is larger than the configuration has room for.
    OutOfSpace,
    /// The disk belongs to another cluster or replica.
    WrongDisk,
    /// An entry that was durable, and may have been acknowledged, cannot be read back, and there is nobody who could send it.
    LogDamaged,
    /// The checkpoint that the superblock names cannot be read back, and there is nobody who could send it.
    CheckpointDamaged,
    /// A write has failed, or a flush, or no copy of the superblock could be read: nobody knows what the disk holds now. Another
    /// start may find out.
    DiskFailed,
    /// Everybody has promised to join the view, and what may have been committed is whole nowhere: more is lost than can be brought
    /// back. To go on without it would be to forget what clients were told.
    LogLost,
    /// The disk was written by later code, in a format that this code does not know. Nothing was changed on it.
    LaterFormat,
    /// All copies of the superblock were read, and none is one: the disk was wiped, or replaced.
    /// Nobody can tell what the replica has promised and acknowledged, so it must not vote.
    DiskLost,
}

/// Why something that arrived was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// It is from another cluster, from a replica that does not exist, from the receiver itself, or forged.
    Misdirected,
    /// The replica is still reading its disk, or has halted.
    Recovering,
    /// It speaks for a view that is over.
    OlderView,
    /// It speaks for a view that this replica is not in yet.
    NewerView,
    /// Its sender has no right to say it: only the primary of its view has.
    NotFromPrimary,
    /// Only the primary can use it.
    NotPrimary,
    /// A view change is on.
    ViewChange,
    /// No view change is on.
    NotViewChange,
    /// It was counted already.
    AlreadyCounted,
    /// The operation is in the log already, and acknowledged again if it is durable.
    AlreadyPrepared,
    /// An operation before it is missing; it is asked for.
    Gap,
    /// It is too far ahead to be kept.
    TooFarAhead,
    /// It is not what was asked for, or not any more.
    NotAskedFor,
    /// It does not continue the log that this replica has.
    BrokenChain,
    /// What it asks for is not here.
    NotHere,
    /// It is an old heartbeat, sent again or late.
    OldHeartbeat,
    /// The primary has stepped down.
    SteppedDown,
    /// The pipeline and the queue are full: the client will try again.
    Busy,
    /// The same request is on its way already.
    InProgress,
    /// The request, or its session, is older than one that has been executed.
    OldRequest,
    /// The request skips one, contradicts one, or shows no receipt of the reply before it.
    NotNext,
    /// The operation, or a checkpoint, is larger than the configuration allows.
    TooLarge,
    /// The log has no room for it before the next checkpoint is durable.
    LogFull,
    /// A checkpoint that was fetched is being made durable.
    StateTransfer,
}

/// How much memory for bytes an [`Effects`] keeps from step to step: few steps write as much.
const BYTES_KEPT: usize = 1 << 16;

/// The ordered list of what a step wants done; the caller owns it, and uses it again and again.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
    bytes: Vec<u8>,
}

impl Effects {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: Vec::new(), bytes: Vec::new() }
    }

    /// Takes the effects out, in order, together with the bytes that [`Effect::Write`] points into.
    pub fn drain(&mut self) -> (Drain<'_, Effect>, &[u8]) {
        (self.list.drain(..), &self.bytes)
    }

    /// The effects, in order, left where they are.
    #[must_use]
    pub fn as_slice(&self) -> &[Effect] {
        &self.list
    }

    /// The bytes of a write.
    #[must_use]
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Forgets the bytes of writes that have been taken out, and the memory of those that were unusually many.
    pub(crate) fn begin(&mut self) {
        if self.list.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(BYTES_KEPT);
        }
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.list.push(Effect::Event(event));
    }

    /// Adds a write of what `fill` appends.
    pub(crate) fn write(
        &mut self,
        token: Token,
        zone: Zone,
        offset: u64,
        fill: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        fill(&mut self.bytes);
        let bytes = start..self.bytes.len();
        self.list.push(Effect::Write { token, zone, offset, bytes });
    }
}
