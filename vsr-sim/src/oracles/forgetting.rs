//! What oracles forget in a long run, and what they judge all the same.

use std::sync::Arc;

use vsr_core::checkpoint::Checkpoint;
use vsr_core::checksum::Checksum;
use vsr_core::client_table::{ClientTable, SessionRecord};
use vsr_core::configuration::Configuration;
use vsr_core::header::{Entry, Header, Operation};
use vsr_core::io::Zone;
use vsr_core::message::Request;
use vsr_core::number::{ClientId, OpNumber, Session};
use vsr_core::wire::Frame;

use super::forge::{CLIENT, Echo, Forge, r};
use super::judge::{DiskBytes, Oracles};
use super::violation::Property;
use crate::engine::disk::MishapKind;

/// It asks for one thing, as op 3, and is not heard of again.
const QUIET: ClientId = ClientId::new(0xc2);

/// A cluster of three whose log has eight slots, with a checkpoint after every third operation, whose oracles forget all they can.
///
/// Op 1 registers [`CLIENT`], op 2 [`QUIET`].
struct Long {
    forge: Forge,
    /// Those that take no part.
    asleep: Vec<u8>,
    /// The table of all replicas, and how often their service was called.
    table: ClientTable,
    executed: u128,
    /// The next request of [`CLIENT`].
    next: u64,
}

impl Long {
    fn begin() -> Self {
        let mut configuration = Configuration::of(3);
        configuration.checkpoint_interval = 3;
        configuration.pipeline_max = 1;
        configuration.slots = 8;
        let mut forge = Forge::silent(3);
        forge.configuration = configuration;
        forge.oracles = Oracles::new(&configuration, Echo::default());
        forge.oracles.forget(0);
        let table = ClientTable::new(configuration.clients_max);
        let mut long = Self { forge, asleep: Vec::new(), table, executed: 0, next: 1 };
        let register = long.forge.request_of(CLIENT, 0, b"");
        long.complete(&register);
        let register = long.forge.request_of(QUIET, 0, b"");
        long.complete(&register);
        let once = long.forge.request_in(2, QUIET, 1, b"once");
        long.complete(&once);
        long
    }

    fn awake(&self) -> Vec<u8> {
        (0..3).filter(|replica| !self.asleep.contains(replica)).collect()
    }

    /// All goes as it should, for those who are awake.
    fn complete(&mut self, request: &Request) -> Arc<Entry> {
        let entry = self.forge.next(0, request);
        let Header { op, session, .. } = *entry.header();
        self.forge.prepare(0, &entry, op.get() - 1);
        for replica in self.awake() {
            self.forge.store(replica, &entry);
        }
        if request.operation == Operation::Apply {
            self.executed += 1;
            for replica in self.awake() {
                self.forge.apply_with(replica, &request.body, &request.body, self.executed);
            }
        }
        self.forge.reply(0, 0, &entry, &request.body);
        self.forge.commit(0, &entry);
        let is_first = request.operation == Operation::Register;
        let record = SessionRecord {
            session: if is_first { Session::new(op.get()) } else { session },
            request: request.request,
            request_checksum: request.checksum,
            op,
            reply_checksum: Checksum::ZERO,
            result: Arc::clone(&request.body),
        };
        self.table.record(request.client, record);
        if self.forge.configuration.is_checkpoint(op) {
            let checkpoint = self.checkpoint();
            for replica in self.awake() {
                self.forge.store_checkpoint(replica, &checkpoint);
            }
        }
        entry
    }

    /// The checkpoint of the last operation.
    fn checkpoint(&self) -> Checkpoint {
        let header = self.forge.log.last().expect("there is one").header();
        Checkpoint::take(header, &self.table, &Echo::of(self.executed))
    }

    /// [`CLIENT`] asks and is answered so many times.
    fn go_on(&mut self, count: u64) {
        for _ in 0..count {
            let request = self.forge.request(self.next, &self.next.to_le_bytes());
            self.next += 1;
            self.complete(&request);
        }
    }

    fn entry(&self, op: usize) -> Arc<Entry> {
        Arc::clone(&self.forge.log[op - 1])
    }

    fn remembered_from(&self) -> u64 {
        self.forge.oracles.remembered_from().get()
    }

    /// Asserts that nothing is wrong, and that nobody had to remember anything.
    fn assert_sure(&self) {
        assert_eq!(self.forge.fired(), []);
        assert!(!self.forge.oracles.is_in_doubt());
    }
}

#[test]
fn what_lies_two_laps_before_all_checkpoints_is_forgotten() {
    let mut long = Long::begin();
    long.go_on(16);
    assert_eq!(long.remembered_from(), 0);
    for _ in 0..40 {
        long.go_on(3);
        let checkpoint = long.forge.log.len() as u64 / 3 * 3;
        let remembered = checkpoint - long.remembered_from();
        assert!((16..=22).contains(&remembered), "{remembered} are remembered");
    }
    assert_eq!(long.forge.oracles.committed(), OpNumber::new(139));
    assert_eq!(long.forge.oracles.executed(), 137, "it counts what it has forgotten");
    long.assert_sure();
}

#[test]
fn a_sleeper_holds_back_what_it_may_come_to_execute() {
    let mut long = Long::begin();
    long.go_on(9);
    long.forge.oracles.crashed(long.forge.now, r(2), 0);
    long.asleep.push(2);
    long.go_on(100);
    assert_eq!(long.remembered_from(), 0, "its checkpoint is of op 12");
    // It comes back where it was, executes what its log holds, and takes over what it has missed.
    long.forge.oracles.booted(long.forge.now, r(2));
    long.forge.oracles.restored(long.forge.now, r(2), Some(10));
    long.go_on(2);
    let checkpoint = long.checkpoint();
    assert_eq!(checkpoint.op(), OpNumber::new(114));
    long.forge.store_checkpoint(2, &checkpoint);
    long.forge.oracles.restored(long.forge.now, r(2), Some(112));
    assert_eq!(long.remembered_from(), 114 - 16);
    long.asleep.clear();
    long.go_on(30);
    long.assert_sure();
}

#[test]
fn an_answer_may_be_given_again_however_late() {
    let mut long = Long::begin();
    let once = long.entry(3);
    long.go_on(100);
    long.forge.reply(0, 0, &once, b"once");
    long.assert_sure();
    long.forge.reply(0, 0, &once, b"twice");
    assert_eq!(long.forge.fired(), [Property::ReplyMatch]);
}

#[test]
fn an_answer_that_nobody_can_have_any_more_is_for_those_who_remember_it() {
    let mut long = Long::begin();
    long.go_on(100);
    // Its client has been answered something else since, by all replicas.
    let old = long.entry(7);
    let body: Vec<u8> = old.body().to_vec();
    long.forge.reply(0, 0, &old, &body);
    assert_eq!(long.forge.fired(), []);
    assert!(long.forge.oracles.is_in_doubt());
}

#[test]
fn a_request_may_come_again_however_late_but_not_into_the_log() {
    let mut long = Long::begin();
    long.go_on(100);
    let old = long.entry(3);
    let request = Request {
        cluster: long.forge.configuration.cluster,
        client: QUIET,
        session: old.header().session,
        request: old.header().request,
        parent: Checksum::ZERO,
        view: old.header().view,
        checksum: old.header().request_checksum,
        operation: Operation::Apply,
        body: old.body().into(),
    };
    long.forge.oracles.frame_sent(long.forge.now, &Frame::Request(Arc::new(request.clone())));
    long.assert_sure();
    let again = long.forge.append(0, &request);
    long.forge.commit(0, &again);
    assert!(
        long.forge.oracles.is_in_doubt(),
        "it was executed before: only who remembers knows where"
    );
}

#[test]
fn what_nobody_has_asked_for_is_found_by_those_who_forget() {
    let mut long = Long::begin();
    long.go_on(100);
    let mut invented = long.forge.request(long.next, b"asked for");
    invented.body = b"invented".as_slice().into();
    let entry = long.forge.append(0, &invented);
    long.forge.commit(0, &entry);
    assert_eq!(long.forge.fired(), [Property::NoFabrication]);
    assert!(!long.forge.oracles.is_in_doubt());
}

#[test]
fn something_stale_in_a_slot_is_nothing() {
    let mut long = Long::begin();
    long.go_on(100);
    let stale = long.entry(4);
    let mut bytes = stale.header().encode().to_vec();
    bytes.extend_from_slice(stale.body());
    let offset = 4 * long.forge.configuration.prepare_slot_size();
    let found = DiskBytes { replica: r(1), zone: Zone::Prepares, offset, bytes: &bytes };
    long.forge.oracles.record_shows(long.forge.now, &found, MishapKind::WriteLost);
    long.assert_sure();
    // It is believed after a start, and then written over.
    long.forge.restart(1);
    long.forge.oracles.restored(long.forge.now, r(1), Some(100));
    long.assert_sure();
    long.forge.store(1, &long.entry(100));
    long.assert_sure();
}

#[test]
fn who_executes_what_is_forgotten_is_judged_by_those_who_remember() {
    let mut long = Long::begin();
    long.go_on(100);
    // It starts without the checkpoint that its disk names.
    long.forge.restart(1);
    long.forge.apply_with(1, b"once", b"once", 1);
    assert!(long.forge.oracles.is_in_doubt());
}

#[test]
fn a_client_that_has_left_is_forgotten_once_its_session_is_gone() {
    let mut long = Long::begin();
    long.forge.oracles.client_gone(long.forge.now, QUIET);
    long.go_on(100);
    assert!(long.forge.oracles.knows_client(QUIET), "its session is still open");
    // So many others come that it is evicted.
    for number in 0..long.forge.configuration.clients_max {
        let client = ClientId::new(0x1000 + u128::from(number));
        let request = long.forge.request_of(client, 0, b"");
        long.complete(&request);
    }
    assert!(long.forge.oracles.knows_client(QUIET), "that was not long ago");
    long.asleep.clear();
    let client = ClientId::new(0x1000);
    let session = u64::try_from(long.forge.log.len()).unwrap() + 1
        - u64::from(long.forge.configuration.clients_max);
    for number in 1..100 {
        let request = long.forge.request_in(session, client, number, b"more");
        long.complete(&request);
    }
    assert!(!long.forge.oracles.knows_client(QUIET));
    long.assert_sure();
    // Whatever is committed of it now is for those who remember it.
    let late = long.forge.request_in(2, QUIET, 2, b"late");
    let entry = long.forge.append(0, &late);
    long.forge.commit(0, &entry);
    assert!(long.forge.oracles.is_in_doubt());
}
