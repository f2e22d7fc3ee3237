//! One hash for all tables: fast, and the same on every machine and in every run.

use std::hash::{BuildHasherDefault, Hasher};

/// Folds one more word into a hash.
pub(crate) fn mix(hash: u64, word: u64) -> u64 {
    let (low, high) = (hash ^ word).carrying_mul(0x9e37_79b9_7f4a_7c15, 0x2545_f491_4f6c_dd1d);
    low ^ high.rotate_left(32)
}

/// [`mix`] behind the standard trait, for values whose `Hash` is somebody else's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in words.by_ref() {
            let word = word.try_into().expect("chunks are of eight bytes");
            self.0 = mix(self.0, u64::from_le_bytes(word));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.0 = mix(self.0, u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    fn write_u8(&mut self, value: u8) {
        self.0 = mix(self.0, u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = mix(self.0, u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0, value);
    }

    fn write_usize(&mut self, value: usize) {
        self.0 = mix(self.0, value as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The hash of anything that can be hashed.
pub(crate) fn hash_of<T: std::hash::Hash + ?Sized>(value: &T) -> u64 {
    let mut mixer = Mixer::default();
    value.hash(&mut mixer);
    mixer.finish()
}

/// A hash map whose order is a function of its contents and their history, nothing else.
pub(crate) type Map<K, V> = hashbrown::HashMap<K, V, BuildHasherDefault<Mixer>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_orders_are_told_apart() {
        assert_ne!(hash_of(&[0_u8; 3][..]), hash_of(&[0_u8; 4][..]));
        assert_ne!(mix(mix(1, 2), 3), mix(mix(1, 3), 2));
        assert_ne!(hash_of("ab"), hash_of("ba"));
    }
}
