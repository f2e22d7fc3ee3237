//! Sectors that do not hold what was written to them: overlays on what a good disk would hold.

use std::collections::BTreeMap;

use super::pages::{Pages, Pool, SECTOR_SIZE, in_sector, sector_number, sector_offset, sectors};
use crate::engine::random::Fate;

/// What reads of a sector really find.
#[derive(Debug)]
struct Blemish {
    bytes: Box<[u8; SECTOR_SIZE]>,
    /// Reads fail, until something is written there.
    is_unreadable: bool,
}

/// All blemishes of all disks, by the place of the zone and the number of the sector.
#[derive(Debug, Default)]
pub(super) struct Blemishes {
    sectors: BTreeMap<(usize, usize), Blemish>,
}

/// Bytes that were meant for a zone: which one, its pages, and where.
pub(super) struct Target<'a> {
    pub(super) place: usize,
    pub(super) pages: &'a Pages,
    pub(super) pool: &'a Pool,
}

impl Target<'_> {
    fn sector(&self, sector: usize) -> Box<[u8; SECTOR_SIZE]> {
        let mut bytes = Box::new([0; SECTOR_SIZE]);
        self.pages.read(self.pool, sector_offset(sector), &mut bytes[..]);
        bytes
    }
}

impl Blemishes {
    pub(super) fn clear(&mut self) {
        self.sectors.clear();
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.sectors.is_empty()
    }

    /// Whether a read of these bytes fails.
    pub(super) fn is_unreadable(&self, place: usize, offset: u64, size: usize) -> bool {
        self.within(place, offset, size).any(|(_, blemish)| blemish.is_unreadable)
    }

    /// Whether any of these bytes are in a sector that does not hold what was written there.
    pub(super) fn touches(&self, place: usize, offset: u64, size: usize) -> bool {
        self.within(place, offset, size).next().is_some()
    }

    fn within(
        &self,
        place: usize,
        offset: u64,
        size: usize,
    ) -> impl Iterator<Item = (usize, &Blemish)> {
        let first = sector_number(offset);
        let last = sector_number(offset + size.max(1) as u64 - 1);
        self.sectors
            .range((place, first)..=(place, last))
            .map(|((_, sector), blemish)| (*sector, blemish))
    }

    /// Puts what is really there over `bytes`, which are what should be.
    pub(super) fn read(&self, place: usize, offset: u64, bytes: &mut [u8]) {
        for part in sectors(offset, bytes.len()) {
            let at = offset + part.start as u64;
            if let Some(blemish) = self.sectors.get(&(place, sector_number(at))) {
                let length = part.len();
                bytes[part].copy_from_slice(&blemish.bytes[in_sector(at)..][..length]);
            }
        }
    }

    /// Bytes have been written there, to the pages too: they are as they should be, and the rest of their sectors as it was.
    pub(super) fn written(&mut self, target: &Target<'_>, offset: u64, bytes: &[u8]) {
        for part in sectors(offset, bytes.len()) {
            let at = offset + part.start as u64;
            let sector = sector_number(at);
            let Some(blemish) = self.sectors.get_mut(&(target.place, sector)) else { continue };
            blemish.is_unreadable = false;
            let length = part.len();
            blemish.bytes[in_sector(at)..][..length].copy_from_slice(&bytes[part]);
            if blemish.bytes == target.sector(sector) {
                self.sectors.remove(&(target.place, sector));
            }
        }
    }

    /// From now on the sectors of these bytes are what they are, whatever becomes of the pages: to be called before a write that is
    /// lost, and followed by [`Self::forget_equal`].
    pub(super) fn keep(&mut self, target: &Target<'_>, offset: u64, size: usize) {
        for part in sectors(offset, size) {
            self.blemish(target, sector_number(offset + part.start as u64));
        }
    }

    /// Takes back overlays of these bytes that hide nothing.
    pub(super) fn forget_equal(&mut self, target: &Target<'_>, offset: u64, size: usize) {
        for part in sectors(offset, size) {
            let sector = sector_number(offset + part.start as u64);
            let is_equal = self
                .sectors
                .get(&(target.place, sector))
                .is_some_and(|one| !one.is_unreadable && one.bytes == target.sector(sector));
            if is_equal {
                self.sectors.remove(&(target.place, sector));
            }
        }
    }

    /// Bytes that were meant for another place are here now.
    pub(super) fn overlay(&mut self, target: &Target<'_>, offset: u64, bytes: &[u8]) {
        for part in sectors(offset, bytes.len()) {
            let at = offset + part.start as u64;
            let blemish = self.blemish(target, sector_number(at));
            blemish.is_unreadable = false;
            let length = part.len();
            blemish.bytes[in_sector(at)..][..length].copy_from_slice(&bytes[part]);
        }
    }

    /// Turns one bit of the sector around, `bit` counted from its beginning.
    pub(super) fn flip(&mut self, target: &Target<'_>, sector: usize, bit: usize) {
        let blemish = self.blemish(target, sector);
        blemish.bytes[bit / 8] ^= 1 << (bit % 8);
    }

    /// Fills the sector with nonsense.
    pub(super) fn garble(
        &mut self,
        target: &Target<'_>,
        sector: usize,
        fate: Fate,
        is_unreadable: bool,
    ) {
        let blemish = self.blemish(target, sector);
        for (lane, word) in (0..).zip(blemish.bytes.chunks_exact_mut(8)) {
            word.copy_from_slice(&fate.lane(lane).to_le_bytes());
        }
        blemish.is_unreadable = is_unreadable;
    }

    /// Forgets what lies over a zone: its pages are gone too.
    pub(super) fn drop_zone(&mut self, place: usize) {
        self.sectors.retain(|(other, _), _| *other != place);
    }

    fn blemish(&mut self, target: &Target<'_>, sector: usize) -> &mut Blemish {
        self.sectors
            .entry((target.place, sector))
            .or_insert_with(|| Blemish { bytes: target.sector(sector), is_unreadable: false })
    }
}
