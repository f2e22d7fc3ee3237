#![no_main]
//! A frame from the network: no panic, and what is accepted has its checksum and exactly one encoding.

mod common;

use libfuzzer_sys::fuzz_target;
use vsr_core::wire;

fuzz_target!(|input: &[u8]| {
    let _how_long = wire::frame_size(input);
    for bytes in common::raw_and_sealed(input, <[u8]>::len) {
        let Ok(frame) = wire::decode(&bytes) else { continue };
        assert!(common::is_sealed(&bytes));
        let mut again = Vec::new();
        wire::encode(&frame, &mut again);
        assert_eq!(again, bytes);
    }
});
