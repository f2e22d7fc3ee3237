//! The messages, by the paper's names (VR Revisited 4 and 5); bodies are shared, so a clone is cheap.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::checksum::Checksum;
use crate::header::{Entry, Header, Operation};
use crate::number::{
    ClientId, ClusterId, Nonce, OpNumber, ReplicaIndex, RequestNumber, Session, ViewNumber,
};
use crate::time::Instant;

/// A message from one replica to another: the envelope, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The cluster of the sender: others drop it.
    pub cluster: ClusterId,
    /// The sender.
    pub from: ReplicaIndex,
    /// The sender's view, which is durable at the sender: it will never again speak for an older one.
    pub view: ViewNumber,
    /// What the sender says.
    pub command: Command,
}

/// What one replica says to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// "Put this at the end of your log" (4.1, step 3).
    Prepare(Prepare),
    /// "It is in my log, durably, and so is all before it" (4.1, step 4).
    PrepareOk(PrepareOk),
    /// The primary's heartbeat: "so much is committed" (4.1, step 6).
    Commit(Commit),
    /// A backup's answer to the heartbeat, by which a primary knows that it still has a quorum.
    CommitOk(CommitOk),
    /// A vote to leave the view that the envelope names (4.2, step 1).
    StartViewChange,
    /// "This is my log, and I shall acknowledge nothing of older views" (4.2, step 2).
    DoViewChange(Arc<DoViewChange>),
    /// "This is the log of the new view" (4.2, step 4).
    StartView(Arc<StartView>),
    /// "What is the log of this view?"
    GetView(GetView),
    /// "Which operations come after this one in our view?" (5.2)
    GetState(GetState),
    /// The answer to [`Command::GetState`] (5.2).
    NewState(NewState),
    /// "Which headers lead up to this one?"
    GetHeaders(GetHeaders),
    /// The answer to [`Command::GetHeaders`].
    Headers(Arc<[Header]>),
    /// "Send me the one entry that has this checksum."
    GetPrepare(GetPrepare),
    /// The answer to [`Command::GetPrepare`]: never taken for a [`Command::Prepare`], whatever its view.
    Repaired(Arc<Entry>),
    /// "Send me this piece of that checkpoint."
    GetCheckpoint(GetCheckpoint),
    /// The answer to [`Command::GetCheckpoint`]; and to any question for what only a checkpoint still holds.
    Checkpoint(Arc<CheckpointPart>),
    /// A client's request that reached a backup, passed on to the primary: at most once.
    Forward(Arc<Request>),
}

/// An entry to append, from the primary of the envelope's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepare {
    /// The entry; its own view may be older than the envelope's, when it survived a view change.
    pub entry: Arc<Entry>,
    /// k: so much the primary knows to be committed.
    pub commit: OpNumber,
}

/// An acknowledgement: it counts only in the envelope's view, and only for the entry of this checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareOk {
    /// Which operation.
    pub op: OpNumber,
    /// Which entry at that operation.
    pub checksum: Checksum,
    /// The operation of the newest checkpoint that is durable at the sender; 0 if there is none.
    pub checkpoint: OpNumber,
}

/// The heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// k: so much is committed.
    pub commit: OpNumber,
    /// The checksum of the entry at `commit`.
    pub checksum: Checksum,
    /// When it was sent, by the primary's own clock: an older one than the last seen proves nothing.
    pub sent_at: Instant,
}

/// The answer to a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitOk {
    /// The heartbeat's own time, handed back.
    pub sent_at: Instant,
    /// As in [`PrepareOk::checkpoint`].
    pub checkpoint: OpNumber,
}

/// A promise, and the log that it binds. Sent only once the promise is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoViewChange {
    /// v': the last view in which the sender was normal, and whose log it therefore holds.
    pub log_view: ViewNumber,
    /// n: the sender's head. All up to it is durable there, or was.
    pub op: OpNumber,
    /// k: the greatest operation that the sender knows to be committed; may exceed `op`.
    pub commit: OpNumber,
    /// As in [`PrepareOk::checkpoint`].
    pub checkpoint: OpNumber,
    /// A bit for each of `headers`, the lowest for the first: set where the entry is not whole at the sender any more. It may have
    /// acknowledged it, and so does not deny it; but it cannot give it to anybody.
    pub spoiled: u64,
    /// The sender may have acknowledged entries up to here, in the view of its log: those after `op` its disk has lost, and it does not
    /// deny them. Just `op` unless it cannot tell where its log ended.
    pub reach: OpNumber,
    /// l: the headers of the last entries up to `op`, oldest first, at most a pipeline of them: what is older is committed.
    pub headers: Box<[Header]>,
}

/// The log of a view, from a replica that is normal in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartView {
    /// n: the head.
    pub op: OpNumber,
    /// k: so much is committed.
    pub commit: OpNumber,
    /// l: the headers of the last entries up to `op`, oldest first, at most a pipeline of them.
    pub headers: Box<[Header]>,
    /// The nonce of the question that this answers, if any.
    pub nonce: Option<Nonce>,
}

/// A question for the log of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetView {
    /// The view asked about; the envelope's is the sender's own, which may be older.
    pub view: ViewNumber,
    /// Comes back in the answer.
    pub nonce: Nonce,
}

/// A question for what follows `op` in the log of the envelope's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetState {
    /// The sender's head.
    pub op: OpNumber,
}

/// What follows in the log of the envelope's view, from a replica that is normal in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewState {
    /// Consecutive entries, oldest first.
    pub entries: Arc<[Arc<Entry>]>,
    /// k: so much is committed.
    pub commit: OpNumber,
}

/// A question for a stretch of the chain of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetHeaders {
    /// The first operation that the sender wants.
    pub op_min: OpNumber,
    /// The last one.
    pub op_max: OpNumber,
    /// The checksum of the header at `op_max`: only a log that has it can answer.
    pub checksum: Checksum,
}

/// A question for one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetPrepare {
    /// Where it stands.
    pub op: OpNumber,
    /// Which one it is.
    pub checksum: Checksum,
}

/// A question for a piece of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetCheckpoint {
    /// The operation of the checkpoint; 0 for whichever is the newest.
    pub op: OpNumber,
    /// The checksum of its bytes; 0 for whichever is the newest.
    pub checksum: Checksum,
    /// The first byte that the sender wants.
    pub offset: u32,
}

/// A piece of a checkpoint, which says itself of which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointPart {
    /// The header of the operation after which the state was taken.
    pub header: Header,
    /// The checksum of all bytes of the checkpoint.
    pub checksum: Checksum,
    /// How many those are.
    pub size: u32,
    /// Where in them the piece begins.
    pub offset: u32,
    /// The piece.
    pub bytes: Box<[u8]>,
}

/// What a client asks for (4.1, step 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The cluster that the client means.
    pub cluster: ClusterId,
    /// Who asks.
    pub client: ClientId,
    /// The session, or 0 to register.
    pub session: Session,
    /// The number within the session; a registration is 0.
    pub request: RequestNumber,
    /// The checksum of the reply before: proof that the client has it. 0 for a registration.
    pub parent: Checksum,
    /// The greatest view that the client has heard of.
    pub view: ViewNumber,
    /// Over client, session, request, parent and body: equal in every copy, whatever its view.
    pub checksum: Checksum,
    /// [`Operation::Register`] or [`Operation::Apply`].
    pub operation: Operation,
    /// The operation's bytes.
    pub body: Arc<[u8]>,
}

impl Request {
    /// The checksum that a request with these fields must carry.
    #[must_use]
    pub fn checksum_of(
        client: ClientId,
        session: Session,
        request: RequestNumber,
        parent: Checksum,
        operation: Operation,
        body: &[u8],
    ) -> Checksum {
        let mut bytes = [0; 65];
        bytes[..16].copy_from_slice(&client.get().to_le_bytes());
        bytes[16..24].copy_from_slice(&session.get().to_le_bytes());
        bytes[24..32].copy_from_slice(&request.get().to_le_bytes());
        bytes[32..48].copy_from_slice(&parent.get().to_le_bytes());
        bytes[48..64].copy_from_slice(&Checksum::of(body).get().to_le_bytes());
        bytes[64] = operation.code();
        Checksum::of(&bytes)
    }
}

/// What a replica says to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// The answer to a request (4.1, step 5).
    Reply(Arc<Reply>),
    /// The session is gone, and the client must begin anew.
    Eviction(Eviction),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which cluster answers.
    pub cluster: ClusterId,
    /// Who sends it.
    pub from: ReplicaIndex,
    /// The sender's view, so that the client learns who is primary.
    pub view: ViewNumber,
    /// Who asked.
    pub client: ClientId,
    /// The session; for a registration the one that it opened.
    pub session: Session,
    /// Which request of it.
    pub request: RequestNumber,
    /// The checksum of that request.
    pub request_checksum: Checksum,
    /// Where in the log it was executed.
    pub op: OpNumber,
    /// Over client, session, request, op and result: the same from every replica in every view.
    pub checksum: Checksum,
    /// What the state machine answered.
    pub result: Arc<[u8]>,
}

impl Reply {
    /// The checksum that a reply with these fields must carry.
    #[must_use]
    pub fn checksum_of(
        client: ClientId,
        session: Session,
        request: RequestNumber,
        op: OpNumber,
        result: &[u8],
    ) -> Checksum {
        let mut bytes = [0; 56];
        bytes[..16].copy_from_slice(&client.get().to_le_bytes());
        bytes[16..24].copy_from_slice(&session.get().to_le_bytes());
        bytes[24..32].copy_from_slice(&request.get().to_le_bytes());
        bytes[32..40].copy_from_slice(&op.get().to_le_bytes());
        bytes[40..].copy_from_slice(&Checksum::of(result).get().to_le_bytes());
        Checksum::of(&bytes)
    }
}

/// The end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// Which cluster says so.
    pub cluster: ClusterId,
    /// Who sends it.
    pub from: ReplicaIndex,
    /// The sender's view.
    pub view: ViewNumber,
    /// Whose session.
    pub client: ClientId,
    /// The session that is gone.
    pub session: Session,
}
