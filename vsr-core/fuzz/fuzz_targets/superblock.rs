#![no_main]
//! A copy of a superblock: no panic, and what is believed has its checksum and is what would be written.

mod common;

use libfuzzer_sys::fuzz_target;
use vsr_core::superblock::Superblock;

/// Where the count of headers stands, and what comes before the headers.
const COUNT_AT: usize = 108;
const FIXED_SIZE: usize = 512;
const HEADER_SIZE: usize = 256;

/// Where the number of the copy stands.
const COPY_AT: usize = 124;

fn size(bytes: &[u8]) -> usize {
    let count = bytes
        .get(COUNT_AT..COUNT_AT + 4)
        .map_or(0, |count| u32::from_le_bytes(count.try_into().expect("four bytes")));
    FIXED_SIZE.saturating_add((count as usize).saturating_mul(HEADER_SIZE))
}

fuzz_target!(|input: &[u8]| {
    for bytes in common::raw_and_sealed(input, size) {
        let copy = bytes.get(COPY_AT).map_or(0, |copy| u32::from(*copy));
        let Some(superblock) = Superblock::decode(copy, &bytes) else { continue };
        assert_eq!(Superblock::decode(copy + 1, &bytes), None);
        let whole = &bytes[..size(&bytes)];
        assert!(common::is_sealed(whole));
        for header in whole[FIXED_SIZE..].chunks_exact(HEADER_SIZE) {
            assert!(common::is_sealed(header));
        }
        let mut again = Vec::new();
        superblock.encode(copy, &mut again);
        assert_eq!(Superblock::decode(copy, &again), Some(superblock));
    }
});
