//! The replica: what it knows, and where each input goes. The protocol itself is in the files of the folder, a section each.

mod checkpoint;
mod choice;
mod execution;
mod install;
mod normal;
mod reading;
mod recovery;
mod repair;
mod request;
mod spoiled;
mod state_transfer;
mod timers;
mod view_change;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client_table::ClientTable;
use crate::configuration::Configuration;
use crate::header::Entry;
use crate::io::{Effect, Effects, Event, Halt, Ignored, Input, Status};
use crate::jitter::Jitter;
use crate::journal::Journal;
use crate::message::{Command, Message, Request};
use crate::number::{Nonce, OpNumber, REPLICA_COUNT_MAX, ReplicaIndex, ViewNumber};
use crate::quorum::{Quorums, ReplicaSet};
use crate::state_machine::StateMachine;
use crate::superblock::{Superblock, SuperblockWriter};
use crate::time::Instant;
use crate::timeout::Timers;
use crate::token::{Subject, Tokens};
use crate::view_state::ViewState;

use checkpoint::Checkpoints;
use install::Install;
use recovery::Opening;
pub use recovery::format;
use spoiled::Doubt;
use state_transfer::Transfer;
use view_change::{Promises, Votes};

/// One replica of a cluster: a function from inputs to effects (VR Revisited 4).
///
/// Give it [`Input::Start`] first, then whatever happens; carry out its effects in order; and come back with [`Input::Deadline`] when
/// the time of [`Replica::deadline`] has come. After a crash make a new one over the same disk.
#[derive(Debug)]
pub struct Replica<S> {
    configuration: Configuration,
    quorums: Quorums,
    /// i.
    me: ReplicaIndex,
    /// The time of the last step: it never runs backwards.
    now: Instant,
    /// status, v and v'.
    views: ViewState,
    /// Why the replica takes part in nothing any more.
    halted: Option<Halt>,
    /// What is being read back after a start; gone once the replica takes part.
    opening: Option<Opening>,
    /// The durable promise; `None` until it has been read.
    superblock: Option<SuperblockWriter>,
    /// The log, without a gap, from where it begins.
    journal: Journal,
    /// What may have been acknowledged beyond the log, and is lost; `None` mostly.
    doubt: Option<Doubt>,
    /// The last operation that was executed here. At most `commit_max`, and at most what is durable in the journal: so what was
    /// executed is never ahead of the disk, and a view change never takes it back.
    commit_min: OpNumber,
    /// k: the last operation that is known to be committed, in the log of `log_view`. May exceed the head.
    commit_max: OpNumber,
    client_table: ClientTable,
    state_machine: S,
    /// The newest checkpoint, and the one that is being written.
    checkpoints: Checkpoints,
    /// The checkpoint of another replica that is being fetched.
    transfer: Option<Transfer>,
    /// What only a primary needs; empty otherwise.
    primary: Primary,
    /// What only a backup needs; empty otherwise.
    backup: Backup,
    /// Promises that the primary of the next view collects; empty while normal.
    promises: Promises,
    /// The log of the new view, while it is being brought here.
    install: Option<Install>,
    /// Who wants to leave the view.
    votes: Votes,
    /// A view that others are in already, greater than ours.
    newer_view: Option<ViewNumber>,
    timers: Timers,
    tokens: Tokens,
    /// Counts questions; see [`Replica::next_nonce`].
    nonce_count: u32,
    /// The wall clock when it was last looked at, and when that was.
    wall_clock: (u64, Instant),
    /// Reused for every answer of the state machine.
    reply_buffer: Vec<u8>,
}

/// What a primary keeps about its view.
#[derive(Debug, Default)]
struct Primary {
    /// For each operation after `commit_max`, oldest first: who holds it durably.
    pipeline: VecDeque<ReplicaSet>,
    /// Requests that wait for room in the pipeline: at most one a client.
    queue: VecDeque<Arc<Request>>,
    /// For each replica: when the newest heartbeat that it has answered was sent.
    heard: [Instant; REPLICA_COUNT_MAX as usize],
    /// For each replica: the operation of the newest checkpoint that it is known to have durably.
    checkpoints: [OpNumber; REPLICA_COUNT_MAX as usize],
    /// The head when the view began: until it is executed, the client table is not that of the log.
    op_at_start: OpNumber,
    /// No quorum answers: it has stopped, and waits to be voted out.
    has_stepped_down: bool,
}

/// What a backup keeps about its view.
#[derive(Debug, Default)]
struct Backup {
    /// Prepares that came before those that precede them: the first place is for the operation after the head.
    ahead: VecDeque<Option<Arc<Entry>>>,
    /// When the newest heartbeat seen in this view was sent, by the primary's clock.
    heartbeat: Option<Instant>,
    /// What the primary has said to be committed: it needs no acknowledgement of that any more.
    primary_commit: OpNumber,
}

impl<S: StateMachine> Replica<S> {
    /// A replica that has not been started yet: its first input must be [`Input::Start`].
    ///
    /// `seed` is all its randomness; callers draw it anew for every incarnation.
    ///
    /// # Panics
    ///
    /// When the configuration is not valid, or has no replica `me`.
    #[must_use]
    pub fn new(
        configuration: Configuration,
        me: ReplicaIndex,
        seed: u64,
        state_machine: S,
    ) -> Self {
        assert_eq!(configuration.validate(), Ok(()));
        assert!(me.get() < configuration.replica_count);
        Self {
            quorums: configuration.quorums(),
            me,
            now: Instant::ZERO,
            views: ViewState::unknown(),
            halted: None,
            opening: None,
            superblock: None,
            journal: Journal::new(&configuration),
            doubt: None,
            commit_min: OpNumber::ZERO,
            commit_max: OpNumber::ZERO,
            client_table: ClientTable::new(configuration.clients_max),
            state_machine,
            checkpoints: Checkpoints::default(),
            transfer: None,
            primary: Primary::default(),
            backup: Backup::default(),
            promises: Promises::default(),
            install: None,
            votes: Votes::default(),
            newer_view: None,
            timers: Timers::new(configuration.timeouts, Jitter::new(seed)),
            tokens: Tokens::default(),
            nonce_count: 0,
            wall_clock: (0, Instant::ZERO),
            reply_buffer: Vec::new(),
            configuration,
        }
    }

    /// Takes one input at `now`, which never runs backwards, and appends what is to be done to `effects`.
    ///
    /// A whole world for a cluster of one: a disk that is a few vectors, and a loop that carries effects out and reports back.
    ///
    /// ```
    /// use std::collections::{BTreeMap, VecDeque};
    /// use vsr_core::{Replica, format, configuration::Configuration, number::ReplicaIndex, time::Instant};
    /// use vsr_core::io::{Effect, Effects, Input, Zone};
    /// # use vsr_core::state_machine::StateMachine;
    /// # struct Echo;
    /// # impl StateMachine for Echo {
    /// #     fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) { reply.extend(operation) }
    /// #     fn snapshot(&self, _: &mut Vec<u8>) {}
    /// #     fn restore(&mut self, _: &[u8]) {}
    /// # }
    /// let (configuration, me) = (Configuration::of(1), ReplicaIndex::new(0));
    /// let mut disk: BTreeMap<Zone, Vec<u8>> = BTreeMap::new();
    /// let mut effects = Effects::new();
    /// format(&configuration, me, &mut effects);
    /// let mut replica = None;
    /// let mut done = VecDeque::new();
    /// loop {
    ///     let (list, bytes) = effects.drain();
    ///     for effect in list {
    ///         match effect {
    ///             Effect::Write { token, zone, offset, bytes: range } => {
    ///                 let (zone, at) = (disk.entry(zone).or_default(), offset as usize);
    ///                 zone.resize(zone.len().max(at + range.len()), 0);
    ///                 zone[at..at + range.len()].copy_from_slice(&bytes[range]);
    ///                 done.push_back((token, None));
    ///             }
    ///             Effect::Read { token, zone, offset, size } => {
    ///                 let zone = disk.entry(zone).or_default().iter().copied();
    ///                 let zeros = std::iter::repeat(0);
    ///                 let bytes = zone.chain(zeros).skip(offset as usize).take(size as usize);
    ///                 done.push_back((token, Some(bytes.collect::<Vec<u8>>())));
    ///             }
    ///             Effect::Send { .. } | Effect::Reply { .. } | Effect::Event(_) => {}
    ///         }
    ///     }
    ///     let Some(replica) = &mut replica else {
    ///         // The disk is formatted, and what it reported concerns nobody: begin.
    ///         done.clear();
    ///         let new = replica.insert(Replica::new(configuration, me, 7, Echo));
    ///         new.step(Instant::ZERO, Input::Start, &mut effects);
    ///         continue;
    ///     };
    ///     let Some((token, read)) = done.pop_front() else { break };
    ///     let input = match &read {
    ///         Some(bytes) => Input::Read { token, result: Ok(bytes) },
    ///         None => Input::Written { token, result: Ok(()) },
    ///     };
    ///     replica.step(Instant::ZERO, input, &mut effects);
    /// }
    /// assert!(replica.is_some_and(|replica| replica.is_primary()));
    /// ```
    pub fn step(&mut self, now: Instant, input: Input<'_>, effects: &mut Effects) {
        assert!(now >= self.now);
        self.now = now;
        effects.begin();
        match input {
            Input::Start => self.on_start(effects),
            Input::Message(message) => self.on_message(message, effects),
            Input::Request(request) => self.on_request(request, None, effects),
            Input::Written { token, result } => match Subject::of(token) {
                Some(subject) if result.is_ok() => self.on_written(subject, token, effects),
                Some(_) | None => self.halt(Halt::DiskFailed, effects),
            },
            Input::Read { token, result } => {
                let subject = Subject::of(token).expect("read because of one of our tokens");
                // What cannot be read is as good as damaged.
                self.on_read(subject, result.ok(), effects);
            }
            Input::ClockSample(wall) => self.wall_clock = (wall, now),
            Input::Deadline => self.on_deadline(effects),
        }
        self.assert_invariants();
    }

    /// When to come back with [`Input::Deadline`] at the latest, if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// Which replica this is.
    #[must_use]
    pub const fn me(&self) -> ReplicaIndex {
        self.me
    }

    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.views.status()
    }

    /// v: the view that it is in, or is moving to.
    #[must_use]
    pub const fn view(&self) -> ViewNumber {
        self.views.view()
    }

    /// v': the view whose log it holds, whole and durable: the last in which it was normal, or could have been.
    #[must_use]
    pub const fn log_view(&self) -> ViewNumber {
        self.views.log_view()
    }

    /// n: the head of its log.
    #[must_use]
    pub const fn op(&self) -> OpNumber {
        self.journal.op()
    }

    /// The last operation that it has executed.
    #[must_use]
    pub const fn commit(&self) -> OpNumber {
        self.commit_min
    }

    /// Why it has stopped for good, if it has.
    #[must_use]
    pub const fn halted(&self) -> Option<Halt> {
        self.halted
    }

    /// The service.
    #[must_use]
    pub const fn state_machine(&self) -> &S {
        &self.state_machine
    }

    /// Whether it leads its view.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.status() == Status::Normal && self.configuration.primary(self.view()) == self.me
    }

    /// One match over all messages; each handler begins with a gate that may drop what it gets. The handlers of what seldom comes are
    /// `#[cold]`, so that those of what comes all the time lie together and stay in the processor's cache.
    fn on_message(&mut self, message: Message, effects: &mut Effects) {
        let Message { from, view, .. } = message;
        if let Some(reason) = self.ignores(&message) {
            ignore(from, reason, effects);
            return;
        }
        self.notice_newer_view(&message, effects);
        match message.command {
            Command::Prepare(prepare) => self.on_prepare(from, view, prepare, effects),
            Command::PrepareOk(prepare_ok) => self.on_prepare_ok(from, view, prepare_ok, effects),
            Command::Commit(commit) => self.on_commit(from, view, commit, effects),
            Command::CommitOk(commit_ok) => self.on_commit_ok(from, view, commit_ok, effects),
            Command::StartViewChange => self.on_start_view_change(from, view, effects),
            Command::DoViewChange(promise) => self.on_do_view_change(from, view, promise, effects),
            Command::StartView(start) => self.on_start_view(from, view, &start, effects),
            Command::GetView(get_view) => self.on_get_view(from, get_view, effects),
            Command::GetState(get_state) => self.on_get_state(from, view, get_state, effects),
            Command::NewState(new_state) => self.on_new_state(from, view, &new_state, effects),
            Command::GetHeaders(get_headers) => self.on_get_headers(from, get_headers, effects),
            Command::Headers(headers) => self.on_headers(from, &headers, effects),
            Command::GetPrepare(get_prepare) => self.on_get_prepare(from, get_prepare, effects),
            Command::Repaired(entry) => self.on_repaired(from, entry, effects),
            Command::GetCheckpoint(get) => self.on_get_checkpoint(from, get, effects),
            Command::Checkpoint(part) => self.on_checkpoint_part(from, view, &part, effects),
            Command::Forward(request) => self.on_request(request, Some(from), effects),
        }
    }

    /// What no handler needs to look at.
    fn ignores(&self, message: &Message) -> Option<Ignored> {
        if message.cluster != self.configuration.cluster
            || message.from == self.me
            || message.from.get() >= self.configuration.replica_count
        {
            return Some(Ignored::Misdirected);
        }
        if self.halted.is_some() || self.status() == Status::Recovering {
            return Some(Ignored::Recovering);
        }
        None
    }

    /// Whether a message of `view` is of no use here, because this replica is not normal in that view.
    fn ignores_unless_normal_in(&self, view: ViewNumber) -> Option<Ignored> {
        if view < self.view() {
            return Some(Ignored::OlderView);
        }
        if view > self.view() {
            return Some(Ignored::NewerView);
        }
        match self.status() {
            Status::Normal => None,
            Status::ViewChange => Some(Ignored::ViewChange),
            Status::Recovering => Some(Ignored::Recovering),
        }
    }

    fn on_written(&mut self, subject: Subject, token: crate::io::Token, effects: &mut Effects) {
        match subject {
            Subject::SuperblockCopy(copy) => {
                let writer = self.superblock.as_mut().expect("only a writer writes");
                if writer.on_written(copy, &mut self.tokens, effects) {
                    self.on_superblock_durable(effects);
                }
            }
            Subject::Prepare(slot) => {
                self.journal.on_prepare_written(slot, token, &mut self.tokens, effects);
            }
            Subject::RedundantHeader(slot) => {
                let before = self.journal.durable();
                self.journal.on_header_written(slot, token, &mut self.tokens, effects);
                self.on_durable(before, effects);
            }
            Subject::SnapshotChunk(_) => self.on_chunk_written(effects),
            Subject::HeaderRing => unreachable!("the ring is only read as a whole"),
        }
    }

    #[cold]
    fn on_read(&mut self, subject: Subject, bytes: Option<&[u8]>, effects: &mut Effects) {
        if self.halted.is_some() {
            return;
        }
        match subject {
            Subject::SuperblockCopy(copy) => self.on_superblock_read(copy, bytes, effects),
            Subject::HeaderRing => self.on_header_ring_read(bytes, effects),
            Subject::Prepare(slot) => self.on_prepare_read(slot, bytes, effects),
            Subject::SnapshotChunk(_) => self.on_chunk_read(bytes, effects),
            Subject::RedundantHeader(first) => self.on_headers_read(first, bytes, effects),
        }
    }

    /// Stops for good: a replica that cannot keep its word says nothing any more.
    #[cold]
    fn halt(&mut self, halt: Halt, effects: &mut Effects) {
        if self.halted.is_none() {
            self.halted = Some(halt);
            self.timers.stop_all();
            effects.event(Event::Halted(halt));
        }
    }

    /// Sends to one other replica. The envelope names the view that is durable here, never one that might be forgotten.
    fn send(&self, to: ReplicaIndex, command: Command, effects: &mut Effects) {
        assert_ne!(to, self.me);
        let message = Message {
            cluster: self.configuration.cluster,
            from: self.me,
            view: self.views.view_durable(),
            command,
        };
        effects.push(Effect::Send { to, message });
    }

    /// Sends to all other replicas.
    fn broadcast(&self, command: &Command, effects: &mut Effects) {
        for to in self.configuration.replicas() {
            if to != self.me {
                self.send(to, command.clone(), effects);
            }
        }
    }

    /// Another replica, picked at random: peers asked in turn could all lack the same thing, for ever.
    fn random_peer(&mut self) -> Option<ReplicaIndex> {
        let others = self.configuration.replica_count - 1;
        if others == 0 {
            return None;
        }
        let pick = self.timers.jitter().below(u64::from(others));
        let pick = u8::try_from(pick).expect("below a number that fits");
        Some(ReplicaIndex::new(if pick >= self.me.get() { pick + 1 } else { pick }))
    }

    /// A number that this replica has never used: the incarnation is durable and unique, and counts within it.
    fn next_nonce(&mut self) -> Nonce {
        self.nonce_count += 1;
        let incarnation = self.superblock_newest().incarnation.get();
        Nonce::new(incarnation << 32 | u64::from(self.nonce_count))
    }

    fn superblock_newest(&self) -> &Superblock {
        self.superblock.as_ref().expect("read before anything is said").newest()
    }

    /// Makes the present view, log view and log durable: the promise, or the log of a new view.
    fn write_superblock(&mut self, effects: &mut Effects) {
        let op = self.journal.op();
        assert!(op == self.journal.held() || op == self.journal.base());
        let version = Superblock {
            view: self.view(),
            log_view: self.log_view(),
            op,
            commit: self.commit_max,
            reach: self.reach(),
            headers: self.journal.headers_up_to(op, self.configuration.pipeline_max),
            ..self.superblock_newest().clone()
        };
        let writer = self.superblock.as_mut().expect("read before anything is said");
        writer.write(version, &mut self.tokens, effects);
    }

    fn status_changed(&self, effects: &mut Effects) {
        effects.event(Event::StatusChanged {
            status: self.status(),
            view: self.view(),
            log_view: self.log_view(),
        });
    }

    fn assert_invariants(&self) {
        assert!(self.log_view() <= self.view());
        assert!(self.views.view_durable() <= self.view());
        assert!(self.commit_min <= self.commit_max);
        assert!(self.commit_min <= self.journal.durable());
        assert!(self.journal.durable() <= self.journal.op());
        if self.status() == Status::Normal {
            assert_eq!(self.log_view(), self.view());
            assert_eq!(self.views.view_durable(), self.view());
        }
        if self.is_primary() && self.halted.is_none() {
            let uncommitted = self.journal.op().get() - self.commit_max.get();
            assert_eq!(self.primary.pipeline.len() as u64, uncommitted);
            assert!(uncommitted <= u64::from(self.configuration.pipeline_max));
        } else {
            assert!(self.primary.pipeline.is_empty() || self.halted.is_some());
        }
    }
}

/// Says why something from another replica was dropped.
fn ignore(from: ReplicaIndex, reason: Ignored, effects: &mut Effects) {
    effects.event(Event::Ignored { from: Some(from), reason });
}
