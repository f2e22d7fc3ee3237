//! What targets share: bytes with a checksum that is right, so that what lies behind it is reached too.

use vsr_core::checksum::Checksum;

/// The bytes as they are, and with their first sixteen made the checksum of the first `size` bytes behind those.
pub fn raw_and_sealed(input: &[u8], size: impl Fn(&[u8]) -> usize) -> Vec<Vec<u8>> {
    let mut sealed = input.to_vec();
    let end = size(&sealed).clamp(16.min(sealed.len()), sealed.len());
    if end >= 16 {
        let checksum = Checksum::of(&sealed[16..end]);
        sealed[..16].copy_from_slice(&checksum.get().to_le_bytes());
    }
    vec![input.to_vec(), sealed]
}

/// Whether the first sixteen bytes are the checksum of the rest.
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.len() >= 16 && Checksum::of(&bytes[16..]).get().to_le_bytes() == bytes[..16]
}
