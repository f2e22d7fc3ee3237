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

/// How many sectors a buffer meant for `offset` touches.
pub(super) const fn sector_count(offset: u64, length: usize) -> u64 {
    if length == 0 { 0 } else { (in_sector(offset) + length).div_ceil(SECTOR_SIZE) as u64 }
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
    pages: Vec<Page>,
    free: Vec<u32>,
}

/// A page, up to the last byte that was written: zeros follow. Most records end long before their sector does, and what was never
/// written is neither kept, nor cleared, nor copied.
#[derive(Debug, Default)]
struct Page(Vec<u8>);

impl Page {
    /// The bytes from `start` on, as far as any were ever written.
    fn written(&self, start: usize, size: usize) -> &[u8] {
        let end = (start + size).min(self.0.len());
        self.0.get(start..end).unwrap_or_default()
    }

    fn write(&mut self, start: usize, bytes: &[u8]) {
        let end = start + bytes.len();
        assert!(end <= SECTOR_SIZE);
        if start > self.0.len() {
            self.0.resize(start, 0);
        }
        let (over, behind) = bytes.split_at((self.0.len() - start).min(bytes.len()));
        self.0[start..start + over.len()].copy_from_slice(over);
        self.0.extend_from_slice(behind);
    }
}

/// How much memory of pages is kept for the next run: what most runs need, and not what the largest did.
const POOL_KEPT: usize = 1 << 20;

impl Pool {
    /// Gives back what is more than most runs need. No page may be in use.
    pub(super) fn trim(&mut self) {
        assert_eq!(self.free.len(), self.pages.len());
        let mut kept = 0;
        for page in &mut self.pages {
            kept += page.0.capacity();
            if kept > POOL_KEPT {
                page.0 = Vec::new();
            }
        }
    }

    fn page(&mut self) -> u32 {
        if let Some(page) = self.free.pop() {
            self.pages[page as usize].0.clear();
            page
        } else {
            self.pages.push(Page::default());
            u32::try_from(self.pages.len() - 1).expect("simulated disks are small")
        }
    }
}

/// A buffer for reads, used again for each: zero wherever nothing is read into it, without being cleared as a whole every time.
#[derive(Debug, Default)]
pub(crate) struct ReadBuffer {
    bytes: Vec<u8>,
    size: usize,
    /// From here on all of `bytes` is zero.
    dirty: usize,
}

impl ReadBuffer {
    /// So many zeros.
    pub(super) fn begin(&mut self, size: usize) {
        self.bytes[..self.dirty].fill(0);
        self.dirty = 0;
        self.size = size;
        if self.bytes.len() < size {
            self.bytes.resize(size, 0);
        }
    }

    /// What was read.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }

    /// All of it, to be changed anywhere.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.dirty = self.size;
        &mut self.bytes[..self.size]
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
            let written = self.written(pool, offset + part.start as u64, part.len());
            let (target, rest) = bytes[part].split_at_mut(written.len());
            target.copy_from_slice(written);
            rest.fill(0);
        }
    }

    /// As [`Self::read`], as many bytes as the buffer was begun with, and no others than those that were ever written.
    pub(super) fn read_into(&self, pool: &Pool, offset: u64, buffer: &mut ReadBuffer) {
        for part in sectors(offset, buffer.size) {
            let written = self.written(pool, offset + part.start as u64, part.len());
            if !written.is_empty() {
                let end = part.start + written.len();
                buffer.bytes[part.start..end].copy_from_slice(written);
                buffer.dirty = end;
            }
        }
    }

    /// What was ever written of a part of one sector; zeros follow.
    fn written<'a>(&self, pool: &'a Pool, at: u64, size: usize) -> &'a [u8] {
        let page = self.pages.get(sector_number(at)).copied().flatten();
        page.map_or(&[], |page| pool.pages[page.get() as usize - 1].written(in_sector(at), size))
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
            pool.pages[page.get() as usize - 1].write(in_sector(at), source);
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
    fn a_page_that_is_used_again_shows_nothing_of_what_it_held() {
        let (mut pool, mut pages) = (Pool::default(), Pages::default());
        pages.write(&mut pool, 0, &[7; SECTOR_SIZE]);
        pages.give_back(&mut pool);
        pages.write(&mut pool, 100, &[1, 2]);
        let mut expected = [0; 2 * SECTOR_SIZE];
        expected[100..102].copy_from_slice(&[1, 2]);
        let mut read = [9; 2 * SECTOR_SIZE];
        pages.read(&pool, 0, &mut read);
        assert_eq!(read, expected);
        // A write behind what is filled leaves zeros between.
        pages.write(&mut pool, 4_000, &[3]);
        expected[4_000] = 3;
        pages.read(&pool, 0, &mut read);
        assert_eq!(read, expected);
        assert_eq!(pool.pages.len(), 1);
        // A disk that remembers another run would make a seed depend on what ran before it.
    }

    #[test]
    fn a_read_buffer_that_is_used_again_shows_nothing_of_what_it_held() {
        let (mut pool, mut pages) = (Pool::default(), Pages::default());
        pages.write(&mut pool, 5_000, &[7; 10]);
        let mut buffer = ReadBuffer::default();
        for (offset, size) in [(4_096, 4_096), (0, 8_192), (5_005, 3), (0, 100), (904, 8_192)] {
            let mut plain = vec![9; size];
            pages.read(&pool, offset, &mut plain);
            buffer.begin(size);
            pages.read_into(&pool, offset, &mut buffer);
            assert_eq!(buffer.bytes(), plain);
            if size == 100 {
                buffer.bytes_mut().fill(9);
            }
        }
        // What is left over from one read would be taken for bytes of the disk by the next.
    }

    #[test]
    fn sectors_of_a_buffer_follow_the_disk_and_not_the_buffer() {
        let parts = |offset, length| sectors(offset, length).collect::<Vec<_>>();
        assert_eq!(parts(0, 8192), [0..4096, 4096..8192]);
        assert_eq!(parts(4095, 2), [0..1, 1..2]);
        assert_eq!(parts(8191, 4098), [0..1, 1..4097, 4097..4098]);
        assert!(parts(5, 0).is_empty());
    }
}
