//! The one encoding of what travels: between replicas, from clients and to clients. All numbers are little-endian.
//!
//! ```text
//!  0  checksum  16   over every byte that follows
//! 16  magic      4   "VSRw"
//! 20  version    2   of this encoding
//! 22  kind       1   which message it is
//! 23  from       1   the replica that sends, or 255 for a client
//! 24  size       4   bytes of the whole frame, these included
//! 28  zero       4
//! 32  cluster    8   the sender's
//! 40  view       8   the sender's
//! 48  ...            what the kind says
//! ```
//!
//! Every message has exactly one encoding: what [`decode`] accepts, [`encode`] gives back byte for byte. Decoding judges form
//! (checksums, bounds, counts); whether a message makes sense where it arrives is judged by the receiver.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::checksum::Checksum;
use crate::header::{Entry, Header};
use crate::message::{
    CheckpointPart, ClientMessage, Command, Commit, CommitOk, DoViewChange, Eviction,
    GetCheckpoint, GetHeaders, GetPrepare, GetState, GetView, Message, NewState, Prepare,
    PrepareOk, Reply, Request, StartView,
};
use crate::number::{ClientId, ClusterId, Nonce, ReplicaIndex, Session, ViewNumber};
use crate::time::Instant;

mod reader;
#[cfg(test)]
mod tests;

use reader::Reader;

/// Bytes that every frame begins with, whatever it carries.
pub const PREFIX_SIZE: usize = 48;

/// Bytes after which [`frame_size`] can tell how long a frame is.
const SIZE_KNOWN_AFTER: usize = 28;

const MAGIC: [u8; 4] = *b"VSRw";
const VERSION: u16 = 2;

/// Stands where a replica's index stands in what replicas send.
const FROM_CLIENT: u8 = 255;

/// Whatever can be put on a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// From a replica to a replica.
    Message(Message),
    /// From a client to a replica.
    Request(Arc<Request>),
    /// From a replica to a client.
    ClientMessage(ClientMessage),
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They end before the fixed part of a frame does.
    Short,
    /// They do not begin like a frame.
    Magic,
    /// They are of another version of this encoding.
    Version(u16),
    /// The frame says that it has another number of bytes than there are.
    Size {
        /// What it says.
        stated: u32,
        /// What there is.
        actual: usize,
    },
    /// The checksum is not that of the bytes.
    Checksum,
    /// A field is missing, or bytes are left over: a count and the size contradict each other.
    Length,
    /// No message has this kind.
    Kind(u8),
    /// No replica has this index, or a client speaks where only replicas do, or the other way round.
    From(u8),
    /// An operation that cannot be asked for.
    Operation(u8),
    /// Bytes that must be zero are not, or a flag is neither 0 nor 1.
    Padding,
    /// A header's own checksum or format is wrong.
    Header,
    /// An entry's body is not the one that its header speaks of.
    Body,
    /// A request's own checksum is not that of its fields.
    Request,
    /// A reply's own checksum is not that of its fields.
    Reply,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(formatter, "fewer than {PREFIX_SIZE} bytes"),
            Self::Magic => write!(formatter, "not the beginning of a frame"),
            Self::Version(version) => {
                write!(formatter, "version {version} of the encoding, where {VERSION} is known")
            }
            Self::Size { stated, actual } => {
                write!(formatter, "a frame of {stated} bytes in {actual} bytes")
            }
            Self::Checksum => write!(formatter, "a frame whose checksum is wrong"),
            Self::Length => write!(formatter, "a frame whose counts and size disagree"),
            Self::Kind(kind) => write!(formatter, "an unknown kind of message, {kind}"),
            Self::From(from) => write!(formatter, "an impossible sender, {from}"),
            Self::Operation(code) => write!(formatter, "an operation nobody asks for, {code}"),
            Self::Padding => write!(formatter, "set bits where none may be"),
            Self::Header => write!(formatter, "a header that is none"),
            Self::Body => write!(formatter, "a body that is not its header's"),
            Self::Request => write!(formatter, "a request whose own checksum is wrong"),
            Self::Reply => write!(formatter, "a reply whose own checksum is wrong"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// How many bytes the frame that begins here has, as it says itself; `None` while too few are there to tell.
///
/// For streams. Nothing vouches for the number yet: bound it before waiting for as many bytes, and let [`decode`] judge them.
///
/// # Errors
///
/// When this is no beginning of a frame: a stream cannot be followed any further.
pub fn frame_size(bytes: &[u8]) -> Result<Option<u32>, DecodeError> {
    let Some(bytes) = bytes.get(..SIZE_KNOWN_AFTER) else { return Ok(None) };
    let mut reader = Reader::new(&bytes[16..]);
    if reader.array()? != MAGIC {
        return Err(DecodeError::Magic);
    }
    let version = u16::from_le_bytes(reader.array()?);
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let [_kind, _from] = reader.array()?;
    reader.word().map(Some)
}

/// Appends the bytes of `frame` to `bytes`.
///
/// # Panics
///
/// When the frame has 4 GiB or more.
pub fn encode(frame: &Frame, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    let (kind, from, cluster, view) = envelope(frame);
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[kind as u8, from]);
    bytes.extend_from_slice(&[0; 8]);
    put_long(bytes, cluster.get());
    put_long(bytes, view.get());
    match frame {
        Frame::Message(message) => put_command(bytes, &message.command),
        Frame::Request(request) => put_request(bytes, request),
        Frame::ClientMessage(ClientMessage::Reply(reply)) => put_reply(bytes, reply),
        Frame::ClientMessage(ClientMessage::Eviction(eviction)) => put_eviction(bytes, eviction),
    }
    let size = u32::try_from(bytes.len() - start).expect("a frame is smaller than 4 GiB");
    bytes[start + 24..start + 28].copy_from_slice(&size.to_le_bytes());
    let checksum = Checksum::of(&bytes[start + 16..]);
    bytes[start..start + 16].copy_from_slice(&checksum.get().to_le_bytes());
}

/// Reads one frame, which must be all of `bytes`.
///
/// Nothing is believed before the checksum agrees, nothing is allocated that the input does not pay for with as many bytes, and
/// what it answers is whole: every entry has its body, every request and reply the checksum of its own fields.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn decode(bytes: &[u8]) -> Result<Frame, DecodeError> {
    if bytes.len() < PREFIX_SIZE {
        return Err(DecodeError::Short);
    }
    let stated = frame_size(bytes)?.ok_or(DecodeError::Short)?;
    if usize::try_from(stated) != Ok(bytes.len()) {
        return Err(DecodeError::Size { stated, actual: bytes.len() });
    }
    if Checksum::of(&bytes[16..]).get().to_le_bytes() != bytes[..16] {
        return Err(DecodeError::Checksum);
    }
    let mut reader = Reader::new(&bytes[SIZE_KNOWN_AFTER..]);
    if reader.word()? != 0 {
        return Err(DecodeError::Padding);
    }
    let envelope = Envelope {
        kind: Kind::from_code(bytes[22]).ok_or(DecodeError::Kind(bytes[22]))?,
        from: bytes[23],
        cluster: ClusterId::new(reader.long()?),
        view: ViewNumber::new(reader.long()?),
    };
    let frame = frame_of(&envelope, &mut reader)?;
    reader.end()?;
    Ok(frame)
}

macro_rules! kinds {
    ($($name:ident = $code:literal),* $(,)?) => {
        /// Which message a frame carries. A code is never given a new meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        enum Kind {
            $($name = $code),*
        }

        impl Kind {
            const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    Prepare = 1,
    PrepareOk = 2,
    Commit = 3,
    CommitOk = 4,
    StartViewChange = 5,
    DoViewChange = 6,
    StartView = 7,
    GetView = 8,
    GetState = 9,
    NewState = 10,
    GetHeaders = 11,
    Headers = 12,
    GetPrepare = 13,
    Repaired = 14,
    Forward = 15,
    GetCheckpoint = 16,
    Checkpoint = 17,
    Request = 32,
    Reply = 33,
    Eviction = 34,
}

/// The part of the prefix that means something to the receiver.
struct Envelope {
    kind: Kind,
    from: u8,
    cluster: ClusterId,
    view: ViewNumber,
}

impl Envelope {
    fn replica(&self) -> Result<ReplicaIndex, DecodeError> {
        ReplicaIndex::checked(self.from).ok_or(DecodeError::From(self.from))
    }
}

fn envelope(frame: &Frame) -> (Kind, u8, ClusterId, ViewNumber) {
    match frame {
        Frame::Message(message) => {
            let kind = match message.command {
                Command::Prepare(_) => Kind::Prepare,
                Command::PrepareOk(_) => Kind::PrepareOk,
                Command::Commit(_) => Kind::Commit,
                Command::CommitOk(_) => Kind::CommitOk,
                Command::StartViewChange => Kind::StartViewChange,
                Command::DoViewChange(_) => Kind::DoViewChange,
                Command::StartView(_) => Kind::StartView,
                Command::GetView(_) => Kind::GetView,
                Command::GetState(_) => Kind::GetState,
                Command::NewState(_) => Kind::NewState,
                Command::GetHeaders(_) => Kind::GetHeaders,
                Command::Headers(_) => Kind::Headers,
                Command::GetPrepare(_) => Kind::GetPrepare,
                Command::Repaired(_) => Kind::Repaired,
                Command::Forward(_) => Kind::Forward,
                Command::GetCheckpoint(_) => Kind::GetCheckpoint,
                Command::Checkpoint(_) => Kind::Checkpoint,
            };
            (kind, message.from.get(), message.cluster, message.view)
        }
        Frame::Request(request) => (Kind::Request, FROM_CLIENT, request.cluster, request.view),
        Frame::ClientMessage(ClientMessage::Reply(reply)) => {
            (Kind::Reply, reply.from.get(), reply.cluster, reply.view)
        }
        Frame::ClientMessage(ClientMessage::Eviction(eviction)) => {
            (Kind::Eviction, eviction.from.get(), eviction.cluster, eviction.view)
        }
    }
}

fn put_long(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_wide(bytes: &mut Vec<u8>, number: u128) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_headers(bytes: &mut Vec<u8>, headers: &[Header]) {
    for header in headers {
        bytes.extend_from_slice(&header.encode());
    }
}

fn put_entry(bytes: &mut Vec<u8>, entry: &Entry) {
    bytes.extend_from_slice(&entry.header().encode());
    bytes.extend_from_slice(entry.body());
}

fn put_command(bytes: &mut Vec<u8>, command: &Command) {
    match command {
        Command::Prepare(prepare) => {
            put_long(bytes, prepare.commit.get());
            put_entry(bytes, &prepare.entry);
        }
        Command::PrepareOk(ok) => {
            put_long(bytes, ok.op.get());
            put_wide(bytes, ok.checksum.get());
            put_long(bytes, ok.checkpoint.get());
        }
        Command::Commit(commit) => {
            put_long(bytes, commit.commit.get());
            put_wide(bytes, commit.checksum.get());
            put_long(bytes, commit.sent_at.as_ns());
        }
        Command::CommitOk(ok) => {
            put_long(bytes, ok.sent_at.as_ns());
            put_long(bytes, ok.checkpoint.get());
        }
        Command::StartViewChange => {}
        Command::DoViewChange(promise) => {
            put_long(bytes, promise.log_view.get());
            put_long(bytes, promise.op.get());
            put_long(bytes, promise.commit.get());
            put_long(bytes, promise.checkpoint.get());
            put_long(bytes, promise.spoiled);
            put_long(bytes, promise.reach.get());
            put_headers(bytes, &promise.headers);
        }
        Command::StartView(start) => {
            put_long(bytes, start.op.get());
            put_long(bytes, start.commit.get());
            put_long(bytes, u64::from(start.nonce.is_some()));
            put_long(bytes, start.nonce.unwrap_or(Nonce::ZERO).get());
            put_headers(bytes, &start.headers);
        }
        Command::GetView(get) => {
            put_long(bytes, get.view.get());
            put_long(bytes, get.nonce.get());
        }
        Command::GetState(get) => put_long(bytes, get.op.get()),
        Command::NewState(state) => {
            put_long(bytes, state.commit.get());
            state.entries.iter().for_each(|entry| put_entry(bytes, entry));
        }
        Command::GetHeaders(get) => {
            put_long(bytes, get.op_min.get());
            put_long(bytes, get.op_max.get());
            put_wide(bytes, get.checksum.get());
        }
        Command::Headers(headers) => put_headers(bytes, headers),
        Command::GetPrepare(get) => {
            put_long(bytes, get.op.get());
            put_wide(bytes, get.checksum.get());
        }
        Command::Repaired(entry) => put_entry(bytes, entry),
        Command::GetCheckpoint(get) => put_get_checkpoint(bytes, *get),
        Command::Checkpoint(part) => put_checkpoint(bytes, part),
        Command::Forward(request) => {
            put_long(bytes, request.cluster.get());
            put_long(bytes, request.view.get());
            put_request(bytes, request);
        }
    }
}

fn put_get_checkpoint(bytes: &mut Vec<u8>, get: GetCheckpoint) {
    put_long(bytes, get.op.get());
    put_wide(bytes, get.checksum.get());
    put_long(bytes, get.offset.into());
}

fn put_checkpoint(bytes: &mut Vec<u8>, part: &CheckpointPart) {
    put_wide(bytes, part.checksum.get());
    put_long(bytes, part.size.into());
    put_long(bytes, part.offset.into());
    bytes.extend_from_slice(&part.header.encode());
    bytes.extend_from_slice(&part.bytes);
}

fn put_request(bytes: &mut Vec<u8>, request: &Request) {
    put_wide(bytes, request.checksum.get());
    put_wide(bytes, request.parent.get());
    put_wide(bytes, request.client.get());
    put_long(bytes, request.session.get());
    put_long(bytes, request.request.get());
    bytes.push(request.operation.code());
    bytes.extend_from_slice(&request.body);
}

fn put_reply(bytes: &mut Vec<u8>, reply: &Reply) {
    put_wide(bytes, reply.checksum.get());
    put_wide(bytes, reply.request_checksum.get());
    put_wide(bytes, reply.client.get());
    put_long(bytes, reply.session.get());
    put_long(bytes, reply.request.get());
    put_long(bytes, reply.op.get());
    bytes.extend_from_slice(&reply.result);
}

fn put_eviction(bytes: &mut Vec<u8>, eviction: &Eviction) {
    put_wide(bytes, eviction.client.get());
    put_long(bytes, eviction.session.get());
}

fn frame_of(envelope: &Envelope, reader: &mut Reader<'_>) -> Result<Frame, DecodeError> {
    let command = match envelope.kind {
        Kind::Prepare => {
            let commit = reader.op()?;
            Command::Prepare(Prepare { entry: reader.entry()?, commit })
        }
        Kind::PrepareOk => Command::PrepareOk(PrepareOk {
            op: reader.op()?,
            checksum: reader.checksum()?,
            checkpoint: reader.op()?,
        }),
        Kind::Commit => Command::Commit(Commit {
            commit: reader.op()?,
            checksum: reader.checksum()?,
            sent_at: Instant::from_ns(reader.long()?),
        }),
        Kind::CommitOk => Command::CommitOk(CommitOk {
            sent_at: Instant::from_ns(reader.long()?),
            checkpoint: reader.op()?,
        }),
        Kind::StartViewChange => Command::StartViewChange,
        Kind::DoViewChange => Command::DoViewChange(Arc::new(do_view_change_of(reader)?)),
        Kind::StartView => Command::StartView(Arc::new(StartView {
            op: reader.op()?,
            commit: reader.op()?,
            nonce: reader.nonce()?,
            headers: reader.headers()?.into(),
        })),
        Kind::GetView => {
            Command::GetView(GetView { view: reader.view()?, nonce: Nonce::new(reader.long()?) })
        }
        Kind::GetState => Command::GetState(GetState { op: reader.op()? }),
        Kind::NewState => {
            let commit = reader.op()?;
            Command::NewState(NewState { entries: reader.entries()?, commit })
        }
        Kind::GetHeaders => Command::GetHeaders(GetHeaders {
            op_min: reader.op()?,
            op_max: reader.op()?,
            checksum: reader.checksum()?,
        }),
        Kind::Headers => Command::Headers(reader.headers()?.into()),
        Kind::GetPrepare => {
            Command::GetPrepare(GetPrepare { op: reader.op()?, checksum: reader.checksum()? })
        }
        Kind::Repaired => Command::Repaired(reader.entry()?),
        Kind::GetCheckpoint => Command::GetCheckpoint(GetCheckpoint {
            op: reader.op()?,
            checksum: reader.checksum()?,
            offset: reader.narrow()?,
        }),
        Kind::Checkpoint => Command::Checkpoint(Arc::new(checkpoint_of(reader)?)),
        Kind::Forward => {
            let cluster = ClusterId::new(reader.long()?);
            let view = reader.view()?;
            Command::Forward(reader.request(cluster, view)?)
        }
        Kind::Request if envelope.from == FROM_CLIENT => {
            return reader.request(envelope.cluster, envelope.view).map(Frame::Request);
        }
        Kind::Request => return Err(DecodeError::From(envelope.from)),
        Kind::Reply => {
            let reply = reader.reply(envelope.cluster, envelope.replica()?, envelope.view)?;
            return Ok(Frame::ClientMessage(ClientMessage::Reply(Arc::new(reply))));
        }
        Kind::Eviction => return eviction_of(envelope, reader),
    };
    let from = envelope.replica()?;
    Ok(Frame::Message(Message { cluster: envelope.cluster, from, view: envelope.view, command }))
}

fn do_view_change_of(reader: &mut Reader<'_>) -> Result<DoViewChange, DecodeError> {
    Ok(DoViewChange {
        log_view: reader.view()?,
        op: reader.op()?,
        commit: reader.op()?,
        checkpoint: reader.op()?,
        spoiled: reader.long()?,
        reach: reader.op()?,
        headers: reader.headers()?.into(),
    })
}

fn checkpoint_of(reader: &mut Reader<'_>) -> Result<CheckpointPart, DecodeError> {
    Ok(CheckpointPart {
        checksum: reader.checksum()?,
        size: reader.narrow()?,
        offset: reader.narrow()?,
        header: reader.header()?,
        bytes: reader.rest().into(),
    })
}

fn eviction_of(envelope: &Envelope, reader: &mut Reader<'_>) -> Result<Frame, DecodeError> {
    Ok(Frame::ClientMessage(ClientMessage::Eviction(Eviction {
        cluster: envelope.cluster,
        from: envelope.replica()?,
        view: envelope.view,
        client: ClientId::new(reader.wide()?),
        session: Session::new(reader.long()?),
    })))
}
