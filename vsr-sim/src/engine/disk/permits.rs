//! Which sectors may come to hold what was not written to them: the budget of a run, decided before it begins.
//!
//! The engine does not know what a sector is for. Whoever builds a world does, and marks those sectors whose loss the rest of the
//! cluster can bear. Where nothing is marked nothing is spoiled.

use std::ops::Range;

/// In which way a disk goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// Bytes change or cannot be read: whoever checks a checksum can tell.
    Rot,
    /// Old bytes stay where newer ones are said to be, or a read brings those of another place: nobody can tell from the sector alone.
    Lie,
}

/// The permits for one zone of one disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Permits {
    /// By mischief.
    sectors: [Vec<u64>; 2],
}

impl Permits {
    pub(super) fn clear(&mut self) {
        self.sectors.iter_mut().for_each(Vec::clear);
    }

    pub(super) fn permit(&mut self, mischief: Mischief, sectors: Range<usize>) {
        let bits = &mut self.sectors[mischief as usize];
        for sector in sectors {
            let word = sector / 64;
            if word >= bits.len() {
                bits.resize(word + 1, 0);
            }
            bits[word] |= 1 << (sector % 64);
        }
    }

    pub(super) fn allows(&self, mischief: Mischief, sector: usize) -> bool {
        let bits = &self.sectors[mischief as usize];
        bits.get(sector / 64).is_some_and(|word| word >> (sector % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_permitted_is_forbidden_and_each_mischief_has_permits_of_its_own() {
        let mut permits = Permits::default();
        assert!(!permits.allows(Mischief::Rot, 0));
        permits.permit(Mischief::Rot, 62..67);
        permits.permit(Mischief::Lie, 3..4);
        let allowed = |permits: &Permits, mischief| {
            (0..200).filter(|sector| permits.allows(mischief, *sector)).collect::<Vec<_>>()
        };
        assert_eq!(allowed(&permits, Mischief::Rot), [62, 63, 64, 65, 66]);
        assert_eq!(allowed(&permits, Mischief::Lie), [3]);
        permits.clear();
        assert!(allowed(&permits, Mischief::Rot).is_empty());
    }
}
