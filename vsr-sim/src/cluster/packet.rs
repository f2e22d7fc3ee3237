//! What travels through the simulated network: frames, as values, by the kinds and names that faults know them by.

use vsr_core::checksum::Checksum;
use vsr_core::header::{Entry, HEADER_SIZE, Header};
use vsr_core::message::{
    CheckpointPart, ClientMessage, Command, Commit, DoViewChange, GetCheckpoint, GetHeaders,
    Message, NewState, Prepare, PrepareOk, Request, StartView,
};
use vsr_core::number::ViewNumber;
use vsr_core::wire::{Frame, PREFIX_SIZE};

use crate::engine::process::{self, Described};

/// The names of the kinds of packets, in the order of [`process::Message::describe`].
pub const PACKET_KINDS: &[&str] = &[
    "Prepare",
    "PrepareOk",
    "Commit",
    "CommitOk",
    "StartViewChange",
    "DoViewChange",
    "StartView",
    "GetView",
    "GetState",
    "NewState",
    "GetHeaders",
    "Headers",
    "GetPrepare",
    "Repaired",
    "Forward",
    "Request",
    "Reply",
    "Eviction",
    "GetCheckpoint",
    "Checkpoint",
];

/// The kinds of packets, as indices into [`PACKET_KINDS`].
pub mod kind {
    /// An entry to append.
    pub const PREPARE: u8 = 0;
    /// The acknowledgement of an entry.
    pub const PREPARE_OK: u8 = 1;
    /// A heartbeat.
    pub const COMMIT: u8 = 2;
    /// The answer to a heartbeat.
    pub const COMMIT_OK: u8 = 3;
    /// A vote to leave a view.
    pub const START_VIEW_CHANGE: u8 = 4;
    /// A promise, and the log that it binds.
    pub const DO_VIEW_CHANGE: u8 = 5;
    /// The log of a new view.
    pub const START_VIEW: u8 = 6;
    /// A question for the log of a view.
    pub const GET_VIEW: u8 = 7;
    /// A question for what follows in the log.
    pub const GET_STATE: u8 = 8;
    /// What follows in the log.
    pub const NEW_STATE: u8 = 9;
    /// A question for headers.
    pub const GET_HEADERS: u8 = 10;
    /// Headers that were asked for.
    pub const HEADERS: u8 = 11;
    /// A question for one entry.
    pub const GET_PREPARE: u8 = 12;
    /// The entry that was asked for.
    pub const REPAIRED: u8 = 13;
    /// A request that reached a backup.
    pub const FORWARD: u8 = 14;
    /// A client's request.
    pub const REQUEST: u8 = 15;
    /// The answer to a client.
    pub const REPLY: u8 = 16;
    /// The end of a session.
    pub const EVICTION: u8 = 17;
    /// A question for a piece of a checkpoint.
    pub const GET_CHECKPOINT: u8 = 18;
    /// A piece of a checkpoint.
    pub const CHECKPOINT: u8 = 19;
}

/// The kind called `name`.
#[must_use]
pub fn number_of_kind(name: &str) -> Option<u8> {
    let place = PACKET_KINDS.iter().position(|kind| *kind == name)?;
    u8::try_from(place).ok()
}

/// Whether replicas send packets of a kind, and whether replicas get them; if not, clients do.
#[must_use]
pub const fn ends_of(kind: u8) -> (bool, bool) {
    match kind {
        kind::REQUEST => (false, true),
        kind::REPLY | kind::EVICTION => (true, false),
        _ => (true, true),
    }
}

/// Folds numbers into one: quick, the same everywhere, and every bit counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold(u64);

impl Fold {
    pub(super) const fn new(start: u64) -> Self {
        Self(start ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(super) const fn with(self, number: u64) -> Self {
        let mixed = (self.0 ^ number).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((mixed ^ (mixed >> 29)).wrapping_add(self.0.rotate_left(23)))
    }

    #[expect(clippy::cast_possible_truncation, reason = "one half after the other")]
    pub(super) const fn wide(self, number: u128) -> Self {
        self.with(number as u64).with((number >> 64) as u64)
    }

    const fn checksum(self, checksum: Checksum) -> Self {
        self.wide(checksum.get())
    }

    fn headers(self, headers: &[Header]) -> Self {
        headers
            .iter()
            .fold(self.with(headers.len() as u64), |fold, header| fold.checksum(header.checksum))
    }

    pub(super) const fn end(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 29)
    }
}

/// What a command says: its kind, what it is about, all that it says folded into what was said before, and its bytes on the wire.
type Said = (u8, u64, Fold, usize);

fn prepare(fold: Fold, prepare: &Prepare) -> Said {
    let header = prepare.entry.header();
    let fold = fold.checksum(header.checksum).with(prepare.commit.get());
    (kind::PREPARE, header.op.get(), fold, HEADER_SIZE + prepare.entry.body().len() + 8)
}

const fn prepare_ok(fold: Fold, ok: &PrepareOk) -> Said {
    let fold = fold.with(ok.op.get()).checksum(ok.checksum).with(ok.checkpoint.get());
    (kind::PREPARE_OK, ok.op.get(), fold, 32)
}

const fn commit(fold: Fold, commit: &Commit) -> Said {
    let fold =
        fold.with(commit.commit.get()).checksum(commit.checksum).with(commit.sent_at.as_ns());
    (kind::COMMIT, commit.commit.get(), fold, 32)
}

fn do_view_change(fold: Fold, view: ViewNumber, promise: &DoViewChange) -> Said {
    let fold = fold
        .with(promise.log_view.get())
        .with(promise.op.get())
        .with(promise.commit.get())
        .with(promise.checkpoint.get())
        .with(promise.spoiled)
        .with(promise.reach.get())
        .headers(&promise.headers);
    (kind::DO_VIEW_CHANGE, view.get(), fold, 36 + HEADER_SIZE * promise.headers.len())
}

fn start_view(fold: Fold, view: ViewNumber, start: &StartView) -> Said {
    let fold = fold
        .with(start.op.get())
        .with(start.commit.get())
        .with(start.nonce.map_or(0, |nonce| nonce.get().wrapping_add(1)))
        .headers(&start.headers);
    (kind::START_VIEW, view.get(), fold, 29 + HEADER_SIZE * start.headers.len())
}

fn new_state(fold: Fold, state: &NewState) -> Said {
    let fold = fold.with(state.commit.get()).with(state.entries.len() as u64);
    let fold =
        state.entries.iter().fold(fold, |fold, entry| fold.checksum(entry.header().checksum));
    let first = state.entries.first().map_or(0, |entry| entry.header().op.get());
    let sizes = state.entries.iter().map(|entry| HEADER_SIZE + entry.body().len());
    (kind::NEW_STATE, first, fold, sizes.sum::<usize>() + 12)
}

const fn get_headers(fold: Fold, get: &GetHeaders) -> Said {
    let fold = fold.with(get.op_min.get()).with(get.op_max.get()).checksum(get.checksum);
    (kind::GET_HEADERS, get.op_max.get(), fold, 32)
}

fn headers(fold: Fold, headers: &[Header]) -> Said {
    let last = headers.last().map_or(0, |header| header.op.get());
    (kind::HEADERS, last, fold.headers(headers), 4 + HEADER_SIZE * headers.len())
}

fn repaired(fold: Fold, entry: &Entry) -> Said {
    let header = entry.header();
    let size = HEADER_SIZE + entry.body().len();
    (kind::REPAIRED, header.op.get(), fold.checksum(header.checksum), size)
}

const fn get_checkpoint(fold: Fold, get: &GetCheckpoint) -> Said {
    let fold = fold.with(get.op.get()).checksum(get.checksum).with(get.offset as u64);
    (kind::GET_CHECKPOINT, get.op.get(), fold, 32)
}

fn checkpoint(fold: Fold, part: &CheckpointPart) -> Said {
    let fold = fold
        .checksum(part.header.checksum)
        .checksum(part.checksum)
        .with(part.size.into())
        .with(part.offset.into())
        .checksum(Checksum::of(&part.bytes));
    (kind::CHECKPOINT, part.header.op.get(), fold, HEADER_SIZE + 32 + part.bytes.len())
}

fn forward(fold: Fold, request: &Request) -> Said {
    let fold = fold.checksum(request.checksum).with(request.view.get());
    (kind::FORWARD, request.request.get(), fold, request_size(request))
}

/// A replica's message is about an operation where it names one, and about its view otherwise.
fn message(message: &Message) -> Said {
    let Message { view, ref command, .. } = *message;
    let fold =
        Fold::new(message.cluster.get()).with(u64::from(message.from.get())).with(view.get());
    match command {
        Command::Prepare(said) => prepare(fold, said),
        Command::PrepareOk(said) => prepare_ok(fold, said),
        Command::Commit(said) => commit(fold, said),
        Command::CommitOk(ok) => {
            let fold = fold.with(ok.sent_at.as_ns()).with(ok.checkpoint.get());
            (kind::COMMIT_OK, view.get(), fold, 16)
        }
        Command::StartViewChange => (kind::START_VIEW_CHANGE, view.get(), fold, 0),
        Command::DoViewChange(said) => do_view_change(fold, view, said),
        Command::StartView(said) => start_view(fold, view, said),
        Command::GetView(get) => {
            let fold = fold.with(get.view.get()).with(get.nonce.get());
            (kind::GET_VIEW, get.view.get(), fold, 16)
        }
        Command::GetState(get) => (kind::GET_STATE, get.op.get(), fold.with(get.op.get()), 8),
        Command::NewState(said) => new_state(fold, said),
        Command::GetHeaders(said) => get_headers(fold, said),
        Command::Headers(said) => headers(fold, said),
        Command::GetPrepare(get) => {
            let fold = fold.with(get.op.get()).checksum(get.checksum);
            (kind::GET_PREPARE, get.op.get(), fold, 24)
        }
        Command::Repaired(said) => repaired(fold, said),
        Command::GetCheckpoint(said) => get_checkpoint(fold, said),
        Command::Checkpoint(said) => checkpoint(fold, said),
        Command::Forward(said) => forward(fold, said),
    }
}

fn client_message(message: &ClientMessage) -> Said {
    match message {
        ClientMessage::Reply(reply) => {
            let fold = Fold::new(reply.cluster.get())
                .with(u64::from(reply.from.get()))
                .with(reply.view.get())
                .checksum(reply.request_checksum)
                .checksum(reply.checksum);
            (kind::REPLY, reply.request.get(), fold, 96 + reply.result.len())
        }
        ClientMessage::Eviction(eviction) => {
            let fold = Fold::new(eviction.cluster.get())
                .with(u64::from(eviction.from.get()))
                .with(eviction.view.get())
                .wide(eviction.client.get())
                .with(eviction.session.get());
            (kind::EVICTION, eviction.session.get(), fold, 24)
        }
    }
}

fn request(request: &Request) -> Said {
    let fold = Fold::new(request.cluster.get()).checksum(request.checksum).with(request.view.get());
    (kind::REQUEST, request.request.get(), fold, request_size(request))
}

fn request_size(request: &Request) -> usize {
    96 + request.body.len()
}

impl process::Message for Frame {
    fn describe(&self) -> Described {
        let (kind, identity, fold, size) = match self {
            Self::Message(said) => message(said),
            Self::Request(said) => request(said),
            Self::ClientMessage(said) => client_message(said),
        };
        let size = u32::try_from(PREFIX_SIZE + 16 + size);
        Described {
            kind,
            identity,
            digest: fold.with(u64::from(kind)).end(),
            size: size.expect("a message is smaller than four gigabytes"),
        }
    }
}

/// What the identity of a packet counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Operations of the log.
    Operation,
    /// Requests of one client.
    Request,
    /// Views, or something else.
    View,
}

/// What the identities of packets of a kind count.
#[must_use]
pub const fn about(kind: u8) -> About {
    match kind {
        kind::PREPARE
        | kind::PREPARE_OK
        | kind::COMMIT
        | kind::GET_STATE
        | kind::NEW_STATE
        | kind::GET_HEADERS
        | kind::HEADERS
        | kind::GET_PREPARE
        | kind::REPAIRED
        | kind::GET_CHECKPOINT
        | kind::CHECKPOINT => About::Operation,
        kind::REQUEST | kind::REPLY | kind::FORWARD => About::Request,
        _ => About::View,
    }
}
