//! The simulated disks: bytes that survive a crash, and writes that may not.
//!
//! Each node has zones of bytes, zero until written. What they hold is durable. A write is nowhere to be seen until it
//! completes, then all of it is, at once; a read returns the bytes as they are when it completes. So a read never
//! sees half a write, and sees a write or not by which of the two completes first. Several writes may be under way and
//! complete in any order: where two overlap, the one that completes last wins.
//!
//! A crash resolves each write under way by its fate, oldest first: all of it is kept, all of it is lost, or it is torn:
//! of the sectors of 4 KiB that it touches, each is then either as before or as after. A sector is never half written.

use serde::{Deserialize, Serialize};

use super::node::{Incarnation, NodeIndex};
use super::process::{DiskError, Token, Zone};
use super::random::{Fate, Keyed, MILLION, Seed};
use super::recent::Recent;
use super::slab::Slab;
use super::time::{Span, Time};

/// The bytes of a sector, the unit that a crash leaves whole.
pub const SECTOR_SIZE: usize = 4096;

/// How fast disks are, and what a crash does to what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskRates {
    /// How long the quickest write takes.
    pub write_latency: Span,
    /// How long the quickest read takes.
    pub read_latency: Span,
    /// Up to how much longer others take, evenly spread.
    pub jitter: Span,
    /// How much longer each sector makes it.
    pub sector_latency: Span,
    /// How many in a million take much longer than that.
    pub tail_ppm: u32,
    /// Up to how much longer those take.
    pub tail: Span,
    /// How many in a million fail with [`DiskError::Failed`]; a write that failed left no byte.
    pub error_ppm: u32,
    /// Of a million writes that a crash meets, how many are kept whole.
    pub crash_kept_ppm: u32,
    /// Of a million writes that a crash meets, how many are lost whole; the rest is torn.
    pub crash_lost_ppm: u32,
}

impl Default for DiskRates {
    /// A flash disk in good health; crashes keep, lose and tear in equal parts.
    fn default() -> Self {
        Self {
            write_latency: Span::from_us(60),
            read_latency: Span::from_us(40),
            jitter: Span::from_us(40),
            sector_latency: Span::from_us(2),
            tail_ppm: 0,
            tail: Span::ZERO,
            error_ppm: 0,
            crash_kept_ppm: MILLION / 3,
            crash_lost_ppm: MILLION / 3,
        }
    }
}

/// A write under way.
#[derive(Debug)]
pub struct Write {
    /// The node whose disk it is.
    pub node: NodeIndex,
    /// The process that asked for it.
    pub incarnation: Incarnation,
    /// By what the process knows it.
    pub token: Token,
    /// Where.
    pub zone: Zone,
    /// The first byte's address within the zone.
    pub offset: u64,
    /// What.
    pub bytes: Vec<u8>,
    /// When it was handed to the disk.
    pub started: Time,
    /// How many writes to the same place of the same disk there were before.
    pub nth: u32,
    fate: Fate,
    state: WriteState,
}

/// How far a write has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteState {
    UnderWay,
    /// It completed, and its process is yet to be told.
    Done(Result<(), DiskError>),
    /// A crash resolved it, or its process is gone: its completion means nothing.
    Over,
}

/// A read under way.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) node: NodeIndex,
    pub(crate) incarnation: Incarnation,
    pub(crate) token: Token,
    pub(crate) zone: Zone,
    pub(crate) offset: u64,
    pub(crate) size: u32,
    pub(crate) fails: bool,
}

/// What became of a write that a crash met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// All of it is durable.
    Kept,
    /// None of it is.
    Lost,
    /// Some of the sectors that it touches are as it wanted them, the others are as they were.
    Torn {
        /// How many sectors are new; at least one.
        new: u32,
        /// How many are old; at least one.
        old: u32,
    },
}

/// The disks of all nodes.
#[derive(Debug)]
pub struct Disk {
    rates: DiskRates,
    /// By node, then by zone.
    zones: Vec<Pages>,
    zone_count: usize,
    pool: Pool,
    /// Hundredths of the ordinary latency, by node.
    slowness: Vec<u64>,
    keyed: Keyed,
    recent: Recent,
    pub(crate) writes: Slab<Write>,
    pub(crate) reads: Slab<Read>,
    /// The writes under way by node, oldest first.
    under_way: Vec<Vec<u32>>,
}

/// The lanes of the fate of a write or read; those from `SECTOR` on are one for each sector.
mod lane {
    pub(super) const DELAY: u64 = 0;
    pub(super) const TAIL: u64 = 1;
    pub(super) const TAIL_LENGTH: u64 = 2;
    pub(super) const ERROR: u64 = 3;
    pub(super) const CRASH: u64 = 4;
    pub(super) const SECTOR: u64 = 5;
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            rates: DiskRates::default(),
            zones: Vec::new(),
            zone_count: 0,
            pool: Pool::default(),
            slowness: Vec::new(),
            keyed: Keyed::new(Seed::new(0), "disk"),
            recent: Recent::default(),
            writes: Slab::new(),
            reads: Slab::new(),
            under_way: Vec::new(),
        }
    }

    /// Begins anew with empty disks; `recycle` is given the buffers of writes that were under way.
    pub(crate) fn reset(
        &mut self,
        seed: Seed,
        (node_count, zone_count): (u8, usize),
        rates: DiskRates,
        recycle: impl FnMut(Vec<u8>),
    ) {
        assert!(rates.crash_kept_ppm.saturating_add(rates.crash_lost_ppm) <= MILLION);
        let node_count = usize::from(node_count);
        self.rates = rates;
        for pages in &mut self.zones {
            pages.give_back(&mut self.pool);
        }
        self.zones.resize_with(node_count * zone_count, Pages::default);
        self.zone_count = zone_count;
        self.slowness.clear();
        self.slowness.resize(node_count, 100);
        self.keyed = Keyed::new(seed, "disk");
        self.recent.reset(2 * node_count * zone_count);
        self.writes.drain().map(|write| write.bytes).for_each(recycle);
        self.reads.drain().for_each(drop);
        self.under_way.iter_mut().for_each(Vec::clear);
        self.under_way.resize_with(node_count, Vec::new);
    }

    /// Copies the durable bytes from `offset` on into `bytes`.
    pub fn read(&self, node: NodeIndex, zone: Zone, offset: u64, bytes: &mut [u8]) {
        self.pages(node, zone).read(&self.pool, offset, bytes);
    }

    /// Changes durable bytes, as no process did: to begin a run with a disk that is not empty, or to spoil one.
    pub fn overwrite(&mut self, node: NodeIndex, zone: Zone, offset: u64, bytes: &[u8]) {
        let place = self.place(node, zone);
        self.zones[place].write(&mut self.pool, offset, bytes);
    }

    /// The writes under way at `node`, oldest first.
    pub fn writes_under_way(&self, node: NodeIndex) -> impl ExactSizeIterator<Item = &Write> {
        self.under_way[node.index()].iter().map(|slot| self.writes.get(*slot))
    }

    /// From now on the disk of `node` takes `percent` hundredths of its ordinary time.
    pub fn set_slowness(&mut self, node: NodeIndex, percent: u64) {
        self.slowness[node.index()] = percent;
    }

    /// Hundredths of its ordinary time that the disk of `node` takes.
    #[must_use]
    pub fn slowness(&self, node: NodeIndex) -> u64 {
        self.slowness[node.index()]
    }

    fn place(&self, node: NodeIndex, zone: Zone) -> usize {
        assert!(zone.index() < self.zone_count);
        node.index() * self.zone_count + zone.index()
    }

    fn pages(&self, node: NodeIndex, zone: Zone) -> &Pages {
        &self.zones[self.place(node, zone)]
    }

    /// The fate of the next write or read of a place.
    fn fate(&mut self, way: Way, node: NodeIndex, zone: Zone, offset: u64) -> (Fate, u32) {
        let what = u64::from_le_bytes([way as u8, node.number(), zone.0, 0, 0, 0, 0, 0]);
        let name = self.keyed.name(what, offset);
        let stream = self.place(node, zone) * 2 + way as usize;
        let nth = self.recent.count(stream, offset);
        (Fate::of(name, nth), nth)
    }

    fn delay(&self, node: NodeIndex, latency: Span, sectors: u64, fate: Fate) -> Span {
        let rates = &self.rates;
        let jitter = Span::from_ns(fate.up_to(lane::DELAY, rates.jitter.as_ns()));
        let mut delay = latency.plus(rates.sector_latency.times(sectors)).plus(jitter);
        if rates.tail_ppm > 0 && fate.chance(lane::TAIL, rates.tail_ppm) {
            delay = delay.plus(Span::from_ns(fate.up_to(lane::TAIL_LENGTH, rates.tail.as_ns())));
        }
        match self.slowness[node.index()] {
            100 => delay,
            percent => delay.percent(percent),
        }
    }

    /// Takes a write; gives its number, and how long until it completes.
    pub(crate) fn start_write(&mut self, mut write: Write) -> (u32, Span) {
        let (fate, nth) = self.fate(Way::Write, write.node, write.zone, write.offset);
        (write.fate, write.nth) = (fate, nth);
        let sectors = sectors(write.offset, write.bytes.len()).count() as u64;
        let delay = self.delay(write.node, self.rates.write_latency, sectors, fate);
        let node = write.node.index();
        let slot = self.writes.insert(write);
        self.under_way[node].push(slot);
        (slot, delay)
    }

    /// Completes a write, if it is still under way: its bytes are durable if the result is `Ok`. False if it was not.
    pub(crate) fn finish_write(&mut self, slot: u32) -> bool {
        let write = self.writes.get_mut(slot);
        if write.state != WriteState::UnderWay {
            return false;
        }
        let under_way = &mut self.under_way[write.node.index()];
        let place = under_way.iter().position(|other| *other == slot);
        under_way.remove(place.expect("a write is on its node's list while it is under way"));
        if write.fate.chance(lane::ERROR, self.rates.error_ppm) {
            write.state = WriteState::Done(Err(DiskError::Failed));
        } else {
            write.state = WriteState::Done(Ok(()));
            let place = write.node.index() * self.zone_count + write.zone.index();
            self.zones[place].write(&mut self.pool, write.offset, &write.bytes);
        }
        true
    }

    /// Takes a read; gives its number, and how long until it completes.
    pub(crate) fn start_read(&mut self, mut read: Read) -> (u32, Span) {
        let (fate, _) = self.fate(Way::Read, read.node, read.zone, read.offset);
        read.fails = fate.chance(lane::ERROR, self.rates.error_ppm);
        let sectors = sectors(read.offset, read.size as usize).count() as u64;
        let delay = self.delay(read.node, self.rates.read_latency, sectors, fate);
        (self.reads.insert(read), delay)
    }

    /// A crash of `node` decides what becomes of its oldest write that is still under way. The write stays in its slot
    /// until its completion comes up.
    pub(crate) fn resolve_next(&mut self, node: NodeIndex) -> Option<(u32, Resolution)> {
        if self.under_way[node.index()].is_empty() {
            return None;
        }
        let slot = self.under_way[node.index()].remove(0);
        let place = self.place(node, self.writes.get(slot).zone);
        let write = self.writes.get_mut(slot);
        write.state = WriteState::Over;
        let draw = write.fate.up_to(lane::CRASH, u64::from(MILLION) - 1);
        let kept = u64::from(self.rates.crash_kept_ppm);
        let lost = u64::from(self.rates.crash_lost_ppm);
        let (mut new, mut old) = (0, 0);
        for (number, sector) in (0..).zip(sectors(write.offset, write.bytes.len())) {
            let torn_new = write.fate.lane(lane::SECTOR + number) & 1 == 1;
            if draw < kept || draw >= kept + lost && torn_new {
                let offset = write.offset + sector.start as u64;
                self.zones[place].write(&mut self.pool, offset, &write.bytes[sector]);
                new += 1;
            } else {
                old += 1;
            }
        }
        let resolution = match (new, old) {
            (_, 0) => Resolution::Kept,
            (0, _) => Resolution::Lost,
            (new, old) => Resolution::Torn { new, old },
        };
        Some((slot, resolution))
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Write = 0,
    Read = 1,
}

impl Write {
    /// A write that the disk has not yet been handed.
    pub(crate) fn new(
        (node, incarnation): (NodeIndex, Incarnation),
        started: Time,
        token: Token,
        (zone, offset): (Zone, u64),
        bytes: Vec<u8>,
    ) -> Self {
        // The disk gives it its fate.
        let fate = Fate::of(0, 0);
        Self {
            node,
            incarnation,
            token,
            zone,
            offset,
            bytes,
            started,
            nth: 0,
            fate,
            state: WriteState::UnderWay,
        }
    }

    pub(crate) const fn state(&self) -> WriteState {
        self.state
    }
}

/// The parts of a buffer meant for `offset` that fall into one sector each.
fn sectors(offset: u64, length: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
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
const fn in_sector(offset: u64) -> usize {
    (offset % SECTOR_SIZE as u64) as usize
}

fn sector_number(offset: u64) -> usize {
    usize::try_from(offset / SECTOR_SIZE as u64).expect("a zone's sectors can be counted")
}

/// Pages that all disks share and that are used again when a world begins anew.
#[derive(Debug, Default)]
struct Pool {
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
struct Pages {
    pages: Vec<Option<std::num::NonZeroU32>>,
}

/// The greatest number of sectors of a zone, 4 GiB: an address beyond is taken for a mistake.
const ZONE_SECTORS_MAX: usize = 1 << 20;

impl Pages {
    fn read(&self, pool: &Pool, offset: u64, bytes: &mut [u8]) {
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

    fn write(&mut self, pool: &mut Pool, offset: u64, bytes: &[u8]) {
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

    fn give_back(&mut self, pool: &mut Pool) {
        pool.free.extend(self.pages.drain(..).flatten().map(|page| page.get() - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeIndex = NodeIndex::new(0);
    const ZONE: Zone = Zone(1);

    fn disk(seed: u64, rates: DiskRates) -> Disk {
        let mut disk = Disk::new();
        disk.reset(Seed::new(seed), (2, 2), rates, drop);
        disk
    }

    fn write(offset: u64, bytes: Vec<u8>) -> Write {
        Write::new((NODE, Incarnation::FIRST), Time::ZERO, Token(0), (ZONE, offset), bytes)
    }

    fn contents(disk: &Disk, offset: u64, size: usize) -> Vec<u8> {
        let mut bytes = vec![7; size];
        disk.read(NODE, ZONE, offset, &mut bytes);
        bytes
    }

    #[test]
    fn a_write_is_seen_whole_once_it_completes_and_not_before() {
        let mut disk = disk(1, DiskRates::default());
        let (slot, _) = disk.start_write(write(4_000, vec![1; 5_000]));
        assert!(contents(&disk, 0, 10_000).iter().all(|byte| *byte == 0));
        assert!(disk.finish_write(slot));
        assert_eq!(disk.writes.take(slot).state(), WriteState::Done(Ok(())));
        let seen = contents(&disk, 0, 10_000);
        assert!((0..10_000).all(|place| seen[place] == u8::from((4_000..9_000).contains(&place))));
        assert_eq!(disk.writes_under_way(NODE).len(), 0);
        disk.reset(Seed::new(2), (2, 2), DiskRates::default(), drop);
        assert!(contents(&disk, 0, 10_000).iter().all(|byte| *byte == 0), "pages come back clean");
    }

    /// Eight sectors are over-written and the node crashes: each sector is wholly old or wholly new, and over many seeds
    /// all three things happen to the write.
    #[test]
    fn a_crash_tears_writes_between_sectors_and_never_within() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..300 {
            let mut disk = disk(seed, DiskRates::default());
            disk.overwrite(NODE, ZONE, 0, &[1; 8 * SECTOR_SIZE]);
            let (slot, _) = disk.start_write(write(100, vec![2; 8 * SECTOR_SIZE - 200]));
            let (resolved, resolution) = disk.resolve_next(NODE).unwrap();
            assert_eq!(resolved, slot);
            assert_eq!(disk.resolve_next(NODE), None);
            let seen = contents(&disk, 100, 8 * SECTOR_SIZE - 200);
            let whole: Vec<u8> = sectors(100, seen.len())
                .map(|part| {
                    assert!(seen[part.clone()].iter().all(|byte| *byte == seen[part.start]));
                    seen[part.start]
                })
                .collect();
            let new = whole.iter().filter(|byte| **byte == 2).count();
            match resolution {
                Resolution::Kept => kept += u32::from(new == 8),
                Resolution::Lost => lost += u32::from(new == 0),
                Resolution::Torn { new: told, old } => {
                    torn += 1;
                    assert_eq!((told as usize, old as usize), (new, 8 - new));
                }
            }
            assert_eq!(contents(&disk, 0, 100), vec![1; 100], "bytes that were not written stay");
            assert!(!disk.finish_write(slot), "a resolved write never completes");
        }
        assert!([kept, lost, torn].iter().all(|count| *count > 60), "{kept} {lost} {torn}");
        assert_eq!(kept + lost + torn, 300);
    }

    /// What a write suffers is its own: other writes, before it or beside it, do not matter.
    #[test]
    fn the_fate_of_a_write_is_that_of_its_place() {
        let mut alone = disk(3, DiskRates::default());
        let mut crowded = disk(3, DiskRates::default());
        for offset in 0..50 {
            crowded.start_write(write(100_000 + offset * 8, vec![1; 8]));
        }
        let one = alone.start_write(write(64, vec![1; 8])).1;
        assert_eq!(crowded.start_write(write(64, vec![1; 8])).1, one);
        assert_ne!(
            alone.start_write(write(64, vec![1; 8])).1,
            one,
            "the second to a place is another"
        );
    }

    #[test]
    fn a_slow_disk_is_slow_and_a_failing_write_leaves_no_byte() {
        let mut disk = disk(4, DiskRates { error_ppm: MILLION, ..DiskRates::default() });
        let quick = disk.start_write(write(0, vec![9; 8]));
        disk.set_slowness(NODE, 10_000);
        assert!(disk.start_write(write(8, vec![9; 8])).1 > quick.1.times(20));
        assert!(disk.finish_write(quick.0));
        assert_eq!(disk.writes.take(quick.0).state(), WriteState::Done(Err(DiskError::Failed)));
        assert_eq!(contents(&disk, 0, 16), vec![0; 16]);
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
