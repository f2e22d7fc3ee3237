#![no_main]
//! A checkpoint that was read or fetched: no panic, nothing believed under another checksum, and what is believed goes
//! back to the same bytes.

use libfuzzer_sys::fuzz_target;
use vsr_core::checkpoint::Checkpoint;
use vsr_core::checksum::Checksum;
use vsr_core::client_table::ClientTable;
use vsr_core::state_machine::StateMachine;

struct Bytes(Vec<u8>);

impl StateMachine for Bytes {
    fn apply(&mut self, _: &[u8], _: &mut Vec<u8>) {}

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        snapshot.extend_from_slice(&self.0);
    }

    fn restore(&mut self, snapshot: &[u8]) {
        self.0 = snapshot.to_vec();
    }
}

/// Where the header of a checkpoint stands, and how long it is.
const HEADER_AT: usize = 16;
const HEADER_SIZE: usize = 256;

fuzz_target!(|input: &[u8]| {
    let mut bytes = input.to_vec();
    assert_eq!(Checkpoint::read(Checksum::ZERO, &bytes), None);
    // The header inside has a checksum of its own; with that right, the sessions behind it are reached.
    if let Some(header) = bytes.get_mut(HEADER_AT..HEADER_AT + HEADER_SIZE) {
        let checksum = Checksum::of(&header[16..]);
        header[..16].copy_from_slice(&checksum.get().to_le_bytes());
    }
    for bytes in [input, &bytes] {
        let Some(checkpoint) = Checkpoint::read(Checksum::of(bytes), bytes) else { continue };
        let mut clients = ClientTable::new(u32::MAX);
        let mut service = Bytes(Vec::new());
        checkpoint.restore(&mut clients, &mut service);
        assert_eq!(Checkpoint::take(checkpoint.header(), &clients, &service), checkpoint);
    }
});
