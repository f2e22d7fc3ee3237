//! What travels through the simulated network: frames, as values, by the kinds and names that faults know them by.

use vsr_core::checksum::Checksum;
use vsr_core::header::{HEADER_SIZE, Header};
use vsr_core::message::{ClientMessage, Command, Message, Request};
use vsr_core::wire::{Frame, PREFIX_SIZE};

use crate::engine::process;

/// The names of the kinds of packets, in the order of [`process::Message::kind`].
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

    pub(super) fn wide(self, number: u128) -> Self {
        let bytes = number.to_le_bytes();
        let (low, high) = bytes.split_at(8);
        let half =
            |half: &[u8]| u64::from_le_bytes(half.try_into().expect("half of sixteen bytes"));
        self.with(half(low)).with(half(high))
    }

    fn checksum(self, checksum: Checksum) -> Self {
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

fn fold_command(fold: Fold, command: &Command) -> Fold {
    match command {
        Command::Prepare(prepare) => {
            fold.checksum(prepare.entry.header().checksum).with(prepare.commit.get())
        }
        Command::PrepareOk(ok) => {
            fold.with(ok.op.get()).checksum(ok.checksum).with(ok.checkpoint.get())
        }
        Command::Commit(commit) => {
            fold.with(commit.commit.get()).checksum(commit.checksum).with(commit.sent_at.as_ns())
        }
        Command::CommitOk(ok) => fold.with(ok.sent_at.as_ns()).with(ok.checkpoint.get()),
        Command::StartViewChange => fold,
        Command::DoViewChange(promise) => fold
            .with(promise.log_view.get())
            .with(promise.op.get())
            .with(promise.commit.get())
            .with(promise.checkpoint.get())
            .headers(&promise.headers),
        Command::StartView(start) => fold
            .with(start.op.get())
            .with(start.commit.get())
            .with(start.nonce.map_or(0, |nonce| nonce.get().wrapping_add(1)))
            .headers(&start.headers),
        Command::GetView(get) => fold.with(get.view.get()).with(get.nonce.get()),
        Command::GetState(get) => fold.with(get.op.get()),
        Command::NewState(state) => {
            state.entries.iter().fold(
                fold.with(state.commit.get()).with(state.entries.len() as u64),
                |fold, entry| fold.checksum(entry.header().checksum),
            )
        }
        Command::GetHeaders(get) => {
            fold.with(get.op_min.get()).with(get.op_max.get()).checksum(get.checksum)
        }
        Command::Headers(headers) => fold.headers(headers),
        Command::GetPrepare(get) => fold.with(get.op.get()).checksum(get.checksum),
        Command::Repaired(entry) => fold.checksum(entry.header().checksum),
        Command::GetCheckpoint(get) => {
            fold.with(get.op.get()).checksum(get.checksum).with(get.offset.into())
        }
        Command::Checkpoint(part) => fold
            .checksum(part.header.checksum)
            .checksum(part.checksum)
            .with(part.size.into())
            .with(part.offset.into())
            .checksum(Checksum::of(&part.bytes)),
        Command::Forward(request) => fold.checksum(request.checksum).with(request.view.get()),
    }
}

const fn command_kind(command: &Command) -> u8 {
    match command {
        Command::Prepare(_) => kind::PREPARE,
        Command::PrepareOk(_) => kind::PREPARE_OK,
        Command::Commit(_) => kind::COMMIT,
        Command::CommitOk(_) => kind::COMMIT_OK,
        Command::StartViewChange => kind::START_VIEW_CHANGE,
        Command::DoViewChange(_) => kind::DO_VIEW_CHANGE,
        Command::StartView(_) => kind::START_VIEW,
        Command::GetView(_) => kind::GET_VIEW,
        Command::GetState(_) => kind::GET_STATE,
        Command::NewState(_) => kind::NEW_STATE,
        Command::GetHeaders(_) => kind::GET_HEADERS,
        Command::Headers(_) => kind::HEADERS,
        Command::GetPrepare(_) => kind::GET_PREPARE,
        Command::Repaired(_) => kind::REPAIRED,
        Command::GetCheckpoint(_) => kind::GET_CHECKPOINT,
        Command::Checkpoint(_) => kind::CHECKPOINT,
        Command::Forward(_) => kind::FORWARD,
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

/// What a replica's message is about: an operation where it names one, and its view otherwise.
fn message_identity(message: &Message) -> u64 {
    match &message.command {
        Command::Prepare(prepare) => prepare.entry.header().op.get(),
        Command::PrepareOk(ok) => ok.op.get(),
        Command::Commit(commit) => commit.commit.get(),
        Command::CommitOk(_)
        | Command::StartViewChange
        | Command::DoViewChange(_)
        | Command::StartView(_) => message.view.get(),
        Command::GetView(get) => get.view.get(),
        Command::GetState(get) => get.op.get(),
        Command::NewState(state) => {
            state.entries.first().map_or(0, |entry| entry.header().op.get())
        }
        Command::GetHeaders(get) => get.op_max.get(),
        Command::Headers(headers) => headers.last().map_or(0, |header| header.op.get()),
        Command::GetPrepare(get) => get.op.get(),
        Command::Repaired(entry) => entry.header().op.get(),
        Command::GetCheckpoint(get) => get.op.get(),
        Command::Checkpoint(part) => part.header.op.get(),
        Command::Forward(request) => request.request.get(),
    }
}

fn command_size(command: &Command) -> usize {
    match command {
        Command::Prepare(prepare) => HEADER_SIZE + prepare.entry.body().len() + 8,
        Command::GetPrepare(_) => 24,
        Command::PrepareOk(_)
        | Command::Commit(_)
        | Command::GetHeaders(_)
        | Command::GetCheckpoint(_) => 32,
        Command::GetState(_) => 8,
        Command::StartViewChange => 0,
        Command::Checkpoint(part) => HEADER_SIZE + 32 + part.bytes.len(),
        Command::DoViewChange(promise) => 36 + HEADER_SIZE * promise.headers.len(),
        Command::StartView(start) => 29 + HEADER_SIZE * start.headers.len(),
        Command::CommitOk(_) | Command::GetView(_) => 16,
        Command::NewState(state) => {
            state.entries.iter().map(|entry| HEADER_SIZE + entry.body().len()).sum::<usize>() + 12
        }
        Command::Headers(headers) => 4 + HEADER_SIZE * headers.len(),
        Command::Repaired(entry) => HEADER_SIZE + entry.body().len(),
        Command::Forward(request) => request_size(request),
    }
}

fn request_size(request: &Request) -> usize {
    96 + request.body.len()
}

impl process::Message for Frame {
    fn kind(&self) -> u8 {
        match self {
            Self::Message(message) => command_kind(&message.command),
            Self::Request(_) => kind::REQUEST,
            Self::ClientMessage(ClientMessage::Reply(_)) => kind::REPLY,
            Self::ClientMessage(ClientMessage::Eviction(_)) => kind::EVICTION,
        }
    }

    fn identity(&self) -> u64 {
        match self {
            Self::Message(message) => message_identity(message),
            Self::Request(request) => request.request.get(),
            Self::ClientMessage(ClientMessage::Reply(reply)) => reply.request.get(),
            Self::ClientMessage(ClientMessage::Eviction(eviction)) => eviction.session.get(),
        }
    }

    fn digest(&self) -> u64 {
        match self {
            Self::Message(message) => {
                let fold = Fold::new(u64::from(command_kind(&message.command)))
                    .with(message.cluster.get())
                    .with(u64::from(message.from.get()))
                    .with(message.view.get());
                fold_command(fold, &message.command).end()
            }
            Self::Request(request) => Fold::new(u64::from(kind::REQUEST))
                .with(request.cluster.get())
                .checksum(request.checksum)
                .with(request.view.get())
                .end(),
            Self::ClientMessage(ClientMessage::Reply(reply)) => Fold::new(u64::from(kind::REPLY))
                .with(reply.cluster.get())
                .with(u64::from(reply.from.get()))
                .with(reply.view.get())
                .checksum(reply.request_checksum)
                .checksum(reply.checksum)
                .end(),
            Self::ClientMessage(ClientMessage::Eviction(eviction)) => {
                Fold::new(u64::from(kind::EVICTION))
                    .with(eviction.cluster.get())
                    .with(u64::from(eviction.from.get()))
                    .with(eviction.view.get())
                    .wide(eviction.client.get())
                    .with(eviction.session.get())
                    .end()
            }
        }
    }

    fn size(&self) -> u32 {
        let size = match self {
            Self::Message(message) => command_size(&message.command),
            Self::Request(request) => request_size(request),
            Self::ClientMessage(ClientMessage::Reply(reply)) => 96 + reply.result.len(),
            Self::ClientMessage(ClientMessage::Eviction(_)) => 24,
        };
        u32::try_from(PREFIX_SIZE + 16 + size).expect("a message is smaller than four gigabytes")
    }
}
