#![no_main]
//! A copy of a superblock: no panic, and what is believed has its checksum and is what would be written.

mod common;

use libfuzzer_sys::fuzz_target;
use vsr_core::superblock::Superblock;

/// Where the count of headers stands, and what comes before the headers.
const COUNT_AT: usize = 108;
const FIXED_SIZE: usize = 512;
const HEADER_SIZE: usize = 256;

fn size(bytes: &[u8]) -> usize {
    let count = bytes
        .get(COUNT_AT..COUNT_AT + 4)
        .map_or(0, |count| u32::from_le_bytes(count.try_into().expect("four bytes")));
    FIXED_SIZE.saturating_add((count as usize).saturating_mul(HEADER_SIZE))
}

/// The number of the copy stands behind the headers.
fn copy(bytes: &[u8]) -> u32 {
    let at = size(bytes);
    let copy = bytes.get(at..at.saturating_add(8)).unwrap_or(&[0; 8]);
    u32::try_from(u64::from_le_bytes(copy.try_into().expect("eight bytes"))).unwrap_or(0)
}

fuzz_target!(|input: &[u8]| {
    for bytes in common::raw_and_sealed(input, size) {
        let copy = copy(&bytes);
        let Some(superblock) = Superblock::decode(copy, &bytes) else { continue };
        assert_eq!(Superblock::decode(copy.wrapping_add(1), &bytes), None);
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
