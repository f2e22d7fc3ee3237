//! What is on disk and on the wire, byte by byte: what was written once can be read for ever, and what later code wrote is
//! refused. `FORMAT.md` says what stands where.

use std::fmt::Write as _;
use std::sync::Arc;

use vsr_core::checkpoint::Checkpoint;
use vsr_core::checksum::Checksum;
use vsr_core::client_table::{ClientTable, SessionRecord};
use vsr_core::configuration::Configuration;
use vsr_core::header::{Header, Operation};
use vsr_core::io::{Effect, Effects, Halt, Input, Zone};
use vsr_core::message::{Command, Message, PrepareOk};
use vsr_core::number::{
    ClientId, ClusterId, Incarnation, OpNumber, ReplicaIndex, RequestNumber, Session, ViewNumber,
};
use vsr_core::state_machine::StateMachine;
use vsr_core::superblock::{Area, COPIES, Superblock};
use vsr_core::time::Instant;
use vsr_core::wire::{self, DecodeError, Frame};
use vsr_core::{Replica, format};

/// A state that is one text.
struct Text(&'static [u8]);

impl StateMachine for Text {
    fn apply(&mut self, _: &[u8], _: &mut Vec<u8>) {}

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        snapshot.extend_from_slice(self.0);
    }

    fn restore(&mut self, _: &[u8]) {}
}

/// Sixteen bytes a line, each with the place of its first; lines of zeros are left out.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in bytes.chunks(16).enumerate() {
        if line.iter().any(|byte| *byte != 0) {
            write!(text, "{:04x} ", number * 16).expect("a string takes everything");
            for byte in line {
                write!(text, " {byte:02x}").expect("a string takes everything");
            }
            text.push('\n');
        }
    }
    writeln!(text, "{} bytes", bytes.len()).expect("a string takes everything");
    text
}

fn assert_golden(name: &str, golden: &str, bytes: &[u8]) {
    let dump = dump(bytes);
    assert!(dump == golden, "{name} is not what it was; it is now\n{dump}");
}

fn header(op: u64, parent: Checksum) -> Header {
    let mut header = Header {
        checksum: Checksum::ZERO,
        checksum_body: Checksum::of(b"body"),
        parent,
        request_checksum: Checksum::of(b"request"),
        client: ClientId::new(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
        cluster: ClusterId::new(0x1112_1314_1516_1718),
        view: ViewNumber::new(0x2122),
        op: OpNumber::new(op),
        session: Session::new(0x3132),
        request: RequestNumber::new(0x4142),
        timestamp: 0x5152_5354_5556_5758,
        epoch: 0,
        size: 4,
        operation: Operation::Apply,
    };
    header.seal();
    header
}

fn checkpoint() -> Checkpoint {
    let mut clients = ClientTable::new(4);
    let record = SessionRecord {
        session: Session::new(0x3132),
        request: RequestNumber::new(0x4142),
        request_checksum: Checksum::of(b"request"),
        op: OpNumber::new(0x6162),
        reply_checksum: Checksum::of(b"reply"),
        result: Arc::from(&b"result"[..]),
    };
    clients.record(ClientId::new(7), record);
    Checkpoint::take(&header(64, Checksum::of(b"before")), &clients, &Text(b"the state"))
}

fn superblock() -> Superblock {
    let first = header(71, Checksum::of(b"op 70"));
    let second = header(72, first.checksum);
    Superblock {
        parent: Checksum::of(b"the version before"),
        sequence: 9,
        checkpoint: Some(checkpoint().record(Area::Second)),
        incarnation: Incarnation::new(3),
        view: ViewNumber::new(0x2124),
        log_view: ViewNumber::new(0x2122),
        op: OpNumber::new(72),
        commit: OpNumber::new(70),
        reach: OpNumber::new(73),
        headers: vec![first, second],
        ..Superblock::first(&Configuration::of(3), ReplicaIndex::new(1))
    }
}

fn frame() -> Frame {
    let command = Command::PrepareOk(PrepareOk {
        op: OpNumber::new(72),
        checksum: Checksum::of(b"op 72"),
        checkpoint: OpNumber::new(64),
    });
    Frame::Message(Message {
        cluster: ClusterId::new(0x1112_1314_1516_1718),
        from: ReplicaIndex::new(2),
        view: ViewNumber::new(0x2122),
        command,
    })
}

#[test]
fn every_record_is_what_it_always_was() {
    let entry = header(72, Checksum::of(b"op 71"));
    assert_golden("a header", include_str!("golden/header.txt"), &entry.encode());
    assert_eq!(Header::decode(&entry.encode()), Some(entry));

    let mut bytes = Vec::new();
    superblock().encode(2, &mut bytes);
    assert_golden("a superblock", include_str!("golden/superblock.txt"), &bytes);
    assert_eq!(Superblock::decode(2, &bytes), Some(superblock()));
    assert_eq!(Superblock::decode(1, &bytes), None, "it is another copy");

    let taken = checkpoint();
    assert_golden("a checkpoint", include_str!("golden/checkpoint.txt"), taken.bytes());
    assert_eq!(Checkpoint::read(taken.checksum(), taken.bytes()), Some(taken));

    let mut bytes = Vec::new();
    wire::encode(&frame(), &mut bytes);
    assert_golden("a frame", include_str!("golden/frame.txt"), &bytes);
    assert_eq!(wire::decode(&bytes), Ok(frame()));
    // A byte that moves makes every disk unreadable that is in use: the version must be another one then.
}

/// Counts up the version at `at` in bytes that begin with their own checksum.
fn made_later(bytes: &mut [u8], at: usize) {
    bytes[at] += 1;
    let checksum = Checksum::of(&bytes[16..]);
    bytes[..16].copy_from_slice(&checksum.get().to_le_bytes());
}

#[test]
fn what_later_code_wrote_is_not_read_as_if_it_were_ours() {
    let mut bytes = header(72, Checksum::ZERO).encode();
    made_later(&mut bytes, 136);
    assert_eq!(Header::decode(&bytes), None);

    let mut bytes = Vec::new();
    superblock().encode(0, &mut bytes);
    assert!(!Superblock::is_of_later_format(&bytes));
    // The number of the copy stands behind what the checksum covers.
    let size = bytes.len() - 8;
    made_later(&mut bytes[..size], 112);
    assert_eq!(Superblock::decode(0, &bytes), None);
    assert!(Superblock::is_of_later_format(&bytes));
    bytes[200] ^= 1;
    assert!(!Superblock::is_of_later_format(&bytes), "it is spoiled, and nothing is known of it");

    let mut bytes = checkpoint().bytes().to_vec();
    bytes[4] += 1;
    assert_eq!(Checkpoint::read(Checksum::of(&bytes), &bytes), None);

    let mut bytes = Vec::new();
    wire::encode(&frame(), &mut bytes);
    let version = u16::from_le_bytes([bytes[20], bytes[21]]);
    made_later(&mut bytes, 20);
    assert_eq!(wire::decode(&bytes), Err(DecodeError::Version(version + 1)));
}

/// One copy of four was written by later code; the others are ours, whole, and older.
#[test]
fn a_disk_that_later_code_has_begun_to_use_is_left_as_it_is() {
    let (configuration, me) = (Configuration::of(1), ReplicaIndex::new(0));
    let mut effects = Effects::new();
    format(&configuration, me, &mut effects);
    let copy_size = usize::try_from(Superblock::copy_size(&configuration)).expect("a few sectors");
    let mut disk = vec![0; copy_size * COPIES as usize];
    let (list, arena) = effects.drain();
    for effect in list {
        if let Effect::Write { zone: Zone::Superblock, offset, bytes, .. } = effect {
            let start = usize::try_from(offset).expect("a few sectors");
            disk[start..start + bytes.len()].copy_from_slice(&arena[bytes]);
        }
    }
    made_later(&mut disk[3 * copy_size..3 * copy_size + 512], 112);

    let mut replica = Replica::new(configuration, me, 7, Text(b""));
    replica.step(Instant::ZERO, Input::Start, &mut effects);
    let reads: Vec<Effect> = effects.drain().0.collect();
    for effect in reads {
        let Effect::Read { token, offset, size, .. } = effect else { panic!("{effect:?}") };
        let start = usize::try_from(offset).expect("a few sectors");
        let bytes = &disk[start..start + size as usize];
        replica.step(Instant::ZERO, Input::Read { token, result: Ok(bytes) }, &mut effects);
    }
    assert_eq!(replica.halted(), Some(Halt::LaterFormat));
    assert!(effects.drain().0.all(|effect| !matches!(effect, Effect::Write { .. })));
    // Read as ours, three older copies would outvote what the later one has promised.
}
