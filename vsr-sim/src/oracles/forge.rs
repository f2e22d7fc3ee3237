//! Forged histories of a world: an honest beginning, and then whatever a test wants to have seen.

use std::sync::Arc;

use vsr_core::checkpoint::Checkpoint;
use vsr_core::checksum::Checksum;
use vsr_core::client_table::{ClientTable, SessionRecord};
use vsr_core::configuration::Configuration;
use vsr_core::header::{Entry, Header, Operation};
use vsr_core::io::Zone;
use vsr_core::message::{
    ClientMessage, Command, Commit, DoViewChange, Eviction, Message, Prepare, PrepareOk, Reply,
    Request, StartView,
};
use vsr_core::number::{ClientId, OpNumber, ReplicaIndex, RequestNumber, Session, ViewNumber};
use vsr_core::state_machine::StateMachine;
use vsr_core::superblock::{Area, Superblock};
use vsr_core::time::Instant;
use vsr_core::wire::Frame;

use super::judge::{Delivery, DiskBytes, Oracles};
use super::violation::Property;
use crate::engine::disk::{MishapKind, Resolution};
use crate::engine::time::{Span, Time};

/// A service that answers with what it was asked, and counts.
#[derive(Debug, Default)]
pub(super) struct Echo(u128);

impl Echo {
    /// One that was asked so often.
    pub(super) const fn of(count: u128) -> Self {
        Self(count)
    }
}

impl StateMachine for Echo {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        self.0 += 1;
        reply.extend_from_slice(operation);
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        snapshot.extend_from_slice(self.0.to_string().as_bytes());
    }

    fn restore(&mut self, _: &[u8]) {}

    fn digest(&self) -> Option<u128> {
        Some(self.0)
    }
}

/// A world that is made up. Replica 0 leads view 0; one client has a session from op 1 on.
pub(super) struct Forge {
    pub(super) oracles: Oracles<Echo>,
    pub(super) configuration: Configuration,
    pub(super) now: Time,
    /// The honest log; the first is of op 1.
    pub(super) log: Vec<Arc<Entry>>,
    sequence: u64,
    applied: [u128; 7],
}

pub(super) const CLIENT: ClientId = ClientId::new(0xc1);

pub(super) const fn r(index: u8) -> ReplicaIndex {
    ReplicaIndex::new(index)
}

pub(super) const fn v(number: u64) -> ViewNumber {
    ViewNumber::new(number)
}

impl Forge {
    /// A cluster in which the client has registered: op 1 is on all disks, and answered.
    pub(super) fn of(replica_count: u8) -> Self {
        let mut forge = Self::silent(replica_count);
        let register = forge.request_of(CLIENT, 0, b"");
        let entry = forge.append(0, &register);
        forge.reply(0, 0, &entry, b"");
        assert_eq!(forge.fired(), []);
        forge
    }

    /// A cluster that nothing has happened in.
    pub(super) fn silent(replica_count: u8) -> Self {
        let configuration = Configuration::of(replica_count);
        Self {
            oracles: Oracles::new(&configuration, Echo::default()),
            configuration,
            now: Time::from_ns(1_000_000),
            log: Vec::new(),
            sequence: 1,
            applied: [0; 7],
        }
    }

    /// What was found broken.
    pub(super) fn fired(&self) -> Vec<Property> {
        self.oracles.violations().iter().map(|violation| violation.property).collect()
    }

    pub(super) fn wait(&mut self, span: Span) {
        self.now = self.now.plus(span);
    }

    /// A client asks; the body is what tells requests apart. The session is that of op 1.
    pub(super) fn request_of(&mut self, client: ClientId, number: u64, body: &[u8]) -> Request {
        self.request_in(u64::from(number > 0), client, number, body)
    }

    pub(super) fn request_in(
        &mut self,
        session: u64,
        client: ClientId,
        number: u64,
        body: &[u8],
    ) -> Request {
        let operation = if number == 0 { Operation::Register } else { Operation::Apply };
        let session = Session::new(session);
        let number = RequestNumber::new(number);
        let parent = Checksum::ZERO;
        let checksum = Request::checksum_of(client, session, number, parent, operation, body);
        let request = Request {
            cluster: self.configuration.cluster,
            client,
            session,
            request: number,
            parent,
            view: v(0),
            checksum,
            operation,
            body: body.into(),
        };
        self.oracles.frame_sent(self.now, &Frame::Request(Arc::new(request.clone())));
        request
    }

    pub(super) fn request(&mut self, number: u64, body: &[u8]) -> Request {
        self.request_of(CLIENT, number, body)
    }

    /// The entry that a request becomes at `op` after `parent`.
    pub(super) fn entry_after(
        &self,
        view: u64,
        op: u64,
        parent: Checksum,
        request: &Request,
    ) -> Arc<Entry> {
        let mut header = Header::root(self.configuration.cluster);
        header.view = v(view);
        header.op = OpNumber::new(op);
        header.parent = parent;
        header.client = request.client;
        header.session = request.session;
        header.request = request.request;
        header.request_checksum = request.checksum;
        header.operation = request.operation;
        header.checksum_body = Checksum::of(&request.body);
        header.size = u32::try_from(request.body.len()).unwrap();
        header.timestamp = op;
        header.seal();
        Arc::new(Entry::new(header, &request.body).unwrap())
    }

    pub(super) fn head(&self) -> Checksum {
        let root = Header::root(self.configuration.cluster).checksum;
        self.log.last().map_or(root, |entry| entry.header().checksum)
    }

    /// The next entry of the honest log: nobody knows of it yet.
    pub(super) fn next(&mut self, view: u64, request: &Request) -> Arc<Entry> {
        let op = self.log.len() as u64 + 1;
        let entry = self.entry_after(view, op, self.head(), request);
        self.log.push(Arc::clone(&entry));
        entry
    }

    /// The next entry of the honest log: prepared, and on all disks. Not yet committed; acknowledgements are for tests that need them.
    pub(super) fn append(&mut self, view: u64, request: &Request) -> Arc<Entry> {
        let entry = self.next(view, request);
        self.prepare(view, &entry, entry.header().op.get() - 1);
        for replica in self.configuration.replicas() {
            self.store(replica.get(), &entry);
        }
        entry
    }

    pub(super) fn say(&mut self, from: u8, view: u64, command: Command) {
        let cluster = self.configuration.cluster;
        let message = Message { cluster, from: r(from), view: v(view), command };
        self.oracles.frame_sent(self.now, &Frame::Message(message));
    }

    /// A replica tells the client that its session is gone, or one `later` that it never had.
    pub(super) fn evict(&mut self, from: u8, later: u64) {
        let eviction = Eviction {
            cluster: self.configuration.cluster,
            from: r(from),
            view: v(0),
            client: CLIENT,
            session: Session::new(1 + later),
        };
        self.oracles.frame_sent(self.now, &Frame::ClientMessage(ClientMessage::Eviction(eviction)));
    }

    /// A replica passes a request on, and it arrives.
    pub(super) fn forward(&mut self, from: u8, to: u8, request: &Request) {
        let cluster = self.configuration.cluster;
        let command = Command::Forward(Arc::new(request.clone()));
        let frame = Frame::Message(Message { cluster, from: r(from), view: v(0), command });
        self.oracles.frame_sent(self.now, &frame);
        let delivery = Delivery { to: Some(r(to)), sent: self.now, is_copy: false };
        self.oracles.frame_delivered(self.now, &frame, &delivery);
    }

    /// The primary of the view prepares, and says how much is committed.
    pub(super) fn prepare(&mut self, view: u64, entry: &Arc<Entry>, commit: u64) {
        let primary = self.configuration.primary(v(view)).get();
        let prepare = Prepare { entry: Arc::clone(entry), commit: OpNumber::new(commit) };
        self.say(primary, view, Command::Prepare(prepare));
    }

    /// The replica ends a step, having last seen its wall clock show `wall`.
    pub(super) fn clock(&mut self, replica: u8, wall: u64) {
        self.oracles.step_ends(ReplicaIndex::new(replica), Some(wall));
    }

    pub(super) fn ack(&mut self, from: u8, view: u64, entry: &Entry) {
        self.ack_with(from, view, entry, 0);
    }

    /// As [`Self::ack`], by a replica that says it has a checkpoint of this operation.
    pub(super) fn ack_with(&mut self, from: u8, view: u64, entry: &Entry, checkpoint: u64) {
        let Header { op, checksum, .. } = *entry.header();
        let checkpoint = OpNumber::new(checkpoint);
        self.say(from, view, Command::PrepareOk(PrepareOk { op, checksum, checkpoint }));
    }

    /// The primary of the view says that everything up to the entry is committed.
    pub(super) fn commit(&mut self, view: u64, entry: &Entry) {
        let primary = self.configuration.primary(v(view)).get();
        let Header { op, checksum, .. } = *entry.header();
        let sent_at = Instant::from_ns(self.now.as_ns());
        self.say(primary, view, Command::Commit(Commit { commit: op, checksum, sent_at }));
    }

    pub(super) fn start_view(&mut self, from: u8, view: u64, log: &[&Arc<Entry>], commit: u64) {
        let headers: Vec<Header> = log.iter().map(|entry| *entry.header()).collect();
        let start = StartView {
            op: headers.last().map_or(OpNumber::ZERO, |header| header.op),
            commit: OpNumber::new(commit),
            headers: headers.into(),
            nonce: None,
        };
        self.say(from, view, Command::StartView(Arc::new(start)));
    }

    pub(super) fn do_view_change(
        &mut self,
        from: u8,
        view: u64,
        log_view: u64,
        log: &[&Arc<Entry>],
    ) {
        let headers: Vec<Header> = log.iter().map(|entry| *entry.header()).collect();
        let promise = DoViewChange {
            log_view: v(log_view),
            op: headers.last().map_or(OpNumber::ZERO, |header| header.op),
            commit: OpNumber::ZERO,
            checkpoint: OpNumber::ZERO,
            spoiled: 0,
            reach: headers.last().map_or(OpNumber::ZERO, |header| header.op),
            headers: headers.into(),
        };
        self.say(from, view, Command::DoViewChange(Arc::new(promise)));
    }

    /// The entry is on the disk.
    pub(super) fn store(&mut self, replica: u8, entry: &Entry) {
        let mut bytes = entry.header().encode().to_vec();
        bytes.extend_from_slice(entry.body());
        let slot = entry.header().op.get() % u64::from(self.configuration.slots);
        let offset = slot * self.configuration.prepare_slot_size();
        self.write(replica, Zone::Prepares, offset, &bytes);
    }

    /// A crash has met a write to the slot of `op`; the entry is what is there now.
    pub(super) fn tear(&mut self, replica: u8, op: u64, entry: &Entry) {
        let mut bytes = entry.header().encode().to_vec();
        bytes.extend_from_slice(entry.body());
        let slot = op % u64::from(self.configuration.slots);
        let offset = slot * self.configuration.prepare_slot_size();
        let found = DiskBytes { replica: r(replica), zone: Zone::Prepares, offset, bytes: &bytes };
        let resolution = Resolution::Torn { new: 1, old: 1 };
        self.oracles.write_resolved(self.now, &found, resolution);
    }

    /// The entry is not on the disk any more, and nobody was told.
    pub(super) fn spoil(&mut self, replica: u8, entry: &Entry) {
        let offset = entry.header().op.get() * self.configuration.prepare_slot_size();
        self.show(replica, Zone::Prepares, offset);
    }

    /// The first copy of the superblock is not there any more, and nobody was told.
    pub(super) fn spoil_promise(&mut self, replica: u8) {
        self.show(replica, Zone::Superblock, 0);
    }

    fn show(&mut self, replica: u8, zone: Zone, offset: u64) {
        let found = DiskBytes { replica: r(replica), zone, offset, bytes: &[0xaa; 512] };
        self.oracles.mishap(self.now, MishapKind::Garbled);
        self.oracles.record_shows(self.now, &found, MishapKind::Garbled);
    }

    pub(super) fn write(&mut self, replica: u8, zone: Zone, offset: u64, bytes: &[u8]) {
        let written = DiskBytes { replica: r(replica), zone, offset, bytes };
        self.oracles.write_completed(self.now, &written);
    }

    /// The first copy of the superblock names this view and log view.
    pub(super) fn promise(&mut self, replica: u8, view: u64, log_view: u64) {
        self.promise_on(&[0], replica, view, log_view);
    }

    /// So does this, on these copies of the superblock.
    pub(super) fn promise_on(&mut self, copies: &[u32], replica: u8, view: u64, log_view: u64) {
        self.sequence += 1;
        let superblock = Superblock {
            sequence: self.sequence,
            view: v(view),
            log_view: v(log_view),
            ..Superblock::first(&self.configuration, r(replica))
        };
        for copy in copies {
            let mut bytes = Vec::new();
            superblock.encode(*copy, &mut bytes);
            let offset = u64::from(*copy) * Superblock::copy_size(&self.configuration);
            self.write(replica, Zone::Superblock, offset, &bytes);
        }
    }

    /// A cluster of three with a log of eight slots, in which op 3 makes a checkpoint due; and that checkpoint.
    pub(super) fn at_checkpoint() -> (Self, Checkpoint) {
        let mut configuration = Configuration::of(3);
        configuration.checkpoint_interval = 3;
        configuration.pipeline_max = 1;
        configuration.slots = 8;
        let mut forge = Self::silent(3);
        forge.configuration = configuration;
        forge.oracles = Oracles::new(&configuration, Echo::default());
        let register = forge.request_of(CLIENT, 0, b"");
        let entry = forge.append(0, &register);
        forge.reply(0, 0, &entry, b"");
        forge.complete(1, b"one");
        forge.complete(2, b"two");
        assert_eq!(forge.fired(), []);
        let checkpoint = forge.checkpoint_with(b"two", b"2");
        (forge, checkpoint)
    }

    /// A checkpoint of op 3 in which the client was last answered so, and the service's state is this.
    pub(super) fn checkpoint_with(&self, result: &[u8], state: &[u8]) -> Checkpoint {
        let header = self.log[2].header();
        let mut table = ClientTable::new(4);
        let record = SessionRecord {
            session: Session::new(1),
            request: header.request,
            request_checksum: header.request_checksum,
            op: header.op,
            reply_checksum: Checksum::ZERO,
            result: result.into(),
        };
        table.record(CLIENT, record);
        self.checkpoint_of(&table, state)
    }

    pub(super) fn checkpoint_of(&self, table: &ClientTable, state: &[u8]) -> Checkpoint {
        let count = std::str::from_utf8(state).unwrap().parse().unwrap();
        Checkpoint::take(self.log[2].header(), table, &Echo(count))
    }

    /// The checkpoint is on the disk, and then the superblock names it.
    pub(super) fn store_checkpoint(&mut self, replica: u8, checkpoint: &Checkpoint) {
        self.write(replica, Zone::Snapshots, 0, checkpoint.bytes());
        self.name_checkpoint(replica, checkpoint);
    }

    /// The first copy of the superblock names the checkpoint.
    pub(super) fn name_checkpoint(&mut self, replica: u8, checkpoint: &Checkpoint) {
        self.sequence += 1;
        let superblock = Superblock {
            sequence: self.sequence,
            checkpoint: Some(checkpoint.record(Area::First)),
            ..Superblock::first(&self.configuration, r(replica))
        };
        let mut bytes = Vec::new();
        superblock.encode(0, &mut bytes);
        self.write(replica, Zone::Superblock, 0, &bytes);
    }

    /// r1 and r2 promise this log of view 0 to `view`, and r1, which leads it, has it durably.
    pub(super) fn join(&mut self, view: u64, log: &[&Arc<Entry>]) {
        for replica in [1, 2] {
            self.promise(replica, view, 0);
            self.do_view_change(replica, view, 0, log);
        }
        self.promise(1, view, view);
    }

    /// A replica executes, and its service does as it should.
    pub(super) fn apply(&mut self, replica: u8, body: &[u8]) {
        let digest = self.applied[usize::from(replica)] + 1;
        self.apply_with(replica, body, body, digest);
    }

    pub(super) fn apply_with(&mut self, replica: u8, body: &[u8], reply: &[u8], digest: u128) {
        self.applied[usize::from(replica)] += 1;
        self.oracles.applied(self.now, r(replica), body, reply, Some(digest));
    }

    /// A replica answers the request of an entry.
    pub(super) fn reply(&mut self, from: u8, view: u64, entry: &Entry, result: &[u8]) {
        let reply = self.reply_to(from, view, entry, result);
        self.send_reply(reply);
    }

    pub(super) fn reply_to(&self, from: u8, view: u64, entry: &Entry, result: &[u8]) -> Reply {
        let Header { client, request, request_checksum, op, .. } = *entry.header();
        let session = match entry.header().operation {
            Operation::Register => Session::new(op.get()),
            Operation::Apply | Operation::Root => entry.header().session,
        };
        Reply {
            cluster: self.configuration.cluster,
            from: r(from),
            view: v(view),
            client,
            session,
            request,
            request_checksum,
            op,
            checksum: Reply::checksum_of(client, session, request, op, result),
            result: result.into(),
        }
    }

    pub(super) fn send_reply(&mut self, reply: Reply) {
        let frame = Frame::ClientMessage(ClientMessage::Reply(Arc::new(reply)));
        self.oracles.frame_sent(self.now, &frame);
        let delivery = Delivery { to: None, sent: self.now, is_copy: false };
        self.oracles.frame_delivered(self.now, &frame, &delivery);
    }

    /// Everything about a request goes as it should: it is prepared, stored, acknowledged, executed by all, and answered.
    pub(super) fn complete(&mut self, number: u64, body: &[u8]) -> Arc<Entry> {
        let request = self.request(number, body);
        let entry = self.append(0, &request);
        for replica in 0..self.configuration.replica_count {
            self.apply(replica, body);
        }
        self.reply(0, 0, &entry, body);
        self.commit(0, &entry);
        entry
    }

    /// The process of a replica is gone, and comes back over the same disk.
    pub(super) fn restart(&mut self, replica: u8) {
        self.oracles.crashed(self.now, r(replica), 0);
        self.oracles.booted(self.now, r(replica));
        self.applied[usize::from(replica)] = 0;
    }
}

#[test]
fn the_honest_beginning_accuses_nobody() {
    for count in 1..=7 {
        let mut forge = Forge::of(count);
        forge.complete(1, b"one");
        forge.complete(2, b"two");
        assert_eq!(forge.fired(), []);
        assert_eq!(forge.oracles.committed(), OpNumber::new(3));
        assert_eq!(forge.oracles.executed(), 2);
    }
}
