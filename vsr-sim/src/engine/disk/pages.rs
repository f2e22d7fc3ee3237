//! Bytes in sectors: what a zone holds, as far as it was ever written.

/// The bytes of a sector, the unit that a crash leaves whole.
pub const SECTOR_SIZE: usize = 4096;

/// The greatest number of sectors of a zone, 4 GiB: an address beyond is taken for a mistake.
const ZONE_SECTORS_MAX: usize = 1 << 20;

/// The parts of a buffer meant for `offset` that fall into one sector each.
pub(super) fn sectors(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = std::ops::Range<usize>> + Clone {
    let first = SECTOR_SIZE - in_sector(offset);
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = if start == 0 { first } else { start + SECTOR_SIZE }.min(length);
        let part = start..end;
        start = end;
        (!part.is_empty()).then_some(part)
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder of the sector size is small")]
pub(super) const fn in_sector(offset: u64) -> usize {
    (offset % SECTOR_SIZE as u64) as usize
}

pub(super) fn sector_number(offset: u64) -> usize {
    usize::try_from(offset / SECTOR_SIZE as u64).expect("a zone's sectors can be counted")
}

/// The address of the first byte of a sector.
pub(super) const fn sector_offset(sector: usize) -> u64 {
    (sector * SECTOR_SIZE) as u64
}

/// Pages that all disks share and that are used again when a world begins anew.
#[derive(Debug, Default)]
pub(super) struct Pool {
    pages: Vec<Box<[u8; SECTOR_SIZE]>>,
    free: Vec<u32>,
}

impl Pool {
    fn page(&mut self) -> u32 {
        if let Some(page) = self.free.pop() {
            self.pages[page as usize].fill(0);
            page
        } else {
            self.pages.push(Box::new([0; SECTOR_SIZE]));
            u32::try_from(self.pages.len() - 1).expect("simulated disks are small")
        }
    }
}

/// The sectors of a zone: the number of a page, or zero for one that was never written.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Option<std::num::NonZeroU32>>,
}

impl Pages {
    pub(super) fn read(&self, pool: &Pool, offset: u64, bytes: &mut [u8]) {
        for part in sectors(offset, bytes.len()) {
            let at = offset + part.start as u64;
            let target = &mut bytes[part];
            match self.pages.get(sector_number(at)).copied().flatten() {
                Some(page) => {
                    let page = &pool.pages[page.get() as usize - 1];
                    target.copy_from_slice(&page[in_sector(at)..][..target.len()]);
                }
                None => target.fill(0),
            }
        }
    }

    pub(super) fn write(&mut self, pool: &mut Pool, offset: u64, bytes: &[u8]) {
        for part in sectors(offset, bytes.len()) {
            let at = offset + part.start as u64;
            let source = &bytes[part];
            let sector = sector_number(at);
            assert!(sector < ZONE_SECTORS_MAX);
            if sector >= self.pages.len() {
                self.pages.resize(sector + 1, None);
            }
            let page = *self.pages[sector].get_or_insert_with(|| {
                std::num::NonZeroU32::new(pool.page() + 1).expect("a number plus one is not zero")
            });
            let page = &mut pool.pages[page.get() as usize - 1];
            page[in_sector(at)..][..source.len()].copy_from_slice(source);
        }
    }

    /// One more than the last sector that was ever written.
    pub(super) const fn end(&self) -> usize {
        self.pages.len()
    }

    /// Whether the sector was ever written.
    pub(super) fn is_written(&self, sector: usize) -> bool {
        self.pages.get(sector).copied().flatten().is_some()
    }

    pub(super) fn give_back(&mut self, pool: &mut Pool) {
        pool.free.extend(self.pages.drain(..).flatten().map(|page| page.get() - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_of_a_buffer_follow_the_disk_and_not_the_buffer() {
        let parts = |offset, length| sectors(offset, length).collect::<Vec<_>>();
        assert_eq!(parts(0, 8192), [0..4096, 4096..8192]);
        assert_eq!(parts(4095, 2), [0..1, 1..2]);
        assert_eq!(parts(8191, 4098), [0..1, 1..4097, 4097..4098]);
        assert!(parts(5, 0).is_empty());
    }
}
