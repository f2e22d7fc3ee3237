//! The simulated disks: bytes that survive a crash, and writes that may not.
//!
//! Each node has zones of bytes, zero until written. What they hold is durable. A write is nowhere to be seen until it
//! completes, then all of it is, at once; a read returns the bytes as they are when it completes. So a read never
//! sees half a write, and sees a write or not by which of the two completes first. Several writes may be under way and
//! complete in any order: where two overlap, the one that completes last wins.
//!
//! A crash resolves each write under way by its fate, oldest first: all of it is kept, all of it is lost, or it is torn:
//! of the sectors of 4 KiB that it touches, each is then either as before or as after. A sector is never half written. One that
//! was lost may be carried out after all, later, under the next process.
//!
//! Disks also fail and lie. What they should hold is kept apart from what they do: a sector that is spoiled is an overlay on
//! pristine bytes, and is as it should be again once it is written over. Which sectors may be spoiled at all may be limited
//! beforehand, see [`Disk::limit`].

mod blemish;
mod mischief;
mod pages;
mod permits;
mod rates;
mod request;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use mischief::{Failing, Rot, Spot};
pub(crate) use pages::ReadBuffer;
pub use pages::SECTOR_SIZE;
pub use permits::Mischief;
pub use rates::DiskRates;
pub use request::{Doom, Mishap, MishapKind, Resolution, Write};
pub(crate) use request::{Finish, Read, WriteState};

use blemish::{Blemishes, Target};
use mischief::LastWrites;
use pages::{Pages, Pool, sector_count, sectors};
use permits::Permits;

use super::node::{NodeIndex, NodeSet};
use super::process::Zone;
use super::random::{Fate, Keyed, MILLION, Seed};
use super::recent::Recent;
use super::slab::Slab;
use super::time::{Span, Time};

/// The disks of all nodes.
#[derive(Debug)]
pub struct Disk {
    rates: DiskRates,
    /// By node, then by zone: what they should hold.
    zones: Vec<Pages>,
    zone_count: usize,
    pool: Pool,
    /// What they hold instead, where that is something else.
    blemishes: Blemishes,
    /// By node, then by zone.
    last: Vec<LastWrites>,
    permits: Vec<Permits>,
    is_limited: bool,
    wipeable: NodeSet,
    /// Hundredths of the ordinary latency, by node and zone, as [`Self::place`] counts.
    slowness: Vec<u64>,
    failing: Vec<Failing>,
    /// The nodes whose disks neither fail nor lie by themselves.
    honest: NodeSet,
    keyed: Keyed,
    recent: Recent,
    pub(crate) writes: Slab<Write>,
    pub(crate) reads: Slab<Read>,
    /// The writes under way by node, oldest first.
    under_way: Vec<Vec<u32>>,
    /// Writes that a crash has lost and that will be carried out later.
    late: Vec<Late>,
    /// What has gone wrong and was not told yet.
    mishaps: VecDeque<Mishap>,
}

/// A write that is carried out when its process is long gone.
#[derive(Debug)]
struct Late {
    slot: u32,
    node: NodeIndex,
    place: usize,
    offset: u64,
    size: usize,
    /// By sector: whether something newer was written there.
    superseded: Vec<bool>,
}

/// How long a slow disk takes for a write or read at most, so that those under way are soon over when it is slow no longer.
pub const SLOWEST: Span = Span::from_secs(2);

/// The lanes of the fate of a write or read; those from `SECTOR` and from `FAILED_SECTOR` on are one for each sector.
mod lane {
    pub(super) const DELAY: u64 = 0;
    pub(super) const TAIL: u64 = 1;
    pub(super) const TAIL_LENGTH: u64 = 2;
    pub(super) const ERROR: u64 = 3;
    pub(super) const CRASH: u64 = 4;
    pub(super) const SECTOR: u64 = 5;
    pub(super) const FAILED_SECTOR: u64 = 1 << 32;
    const OTHERS: u64 = 1 << 40;
    pub(super) const LATE: u64 = OTHERS;
    pub(super) const LATE_LENGTH: u64 = OTHERS + 1;
    pub(super) const LOST: u64 = OTHERS + 2;
    pub(super) const MISDIRECTED: u64 = OTHERS + 3;
    pub(super) const ELSEWHERE: u64 = OTHERS + 4;
    pub(super) const ROT: u64 = OTHERS + 5;
    pub(super) const ROT_HOW: u64 = OTHERS + 6;
    pub(super) const ROT_SECTOR: u64 = OTHERS + 7;
    pub(super) const ROT_BYTE: u64 = OTHERS + 8;
    pub(super) const ROT_BIT: u64 = OTHERS + 9;
    pub(super) const MISREAD: u64 = OTHERS + 10;
    pub(super) const MISREAD_SECTOR: u64 = OTHERS + 11;
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            rates: DiskRates::default(),
            zones: Vec::new(),
            zone_count: 0,
            pool: Pool::default(),
            blemishes: Blemishes::default(),
            last: Vec::new(),
            permits: Vec::new(),
            is_limited: false,
            wipeable: NodeSet::EMPTY,
            slowness: Vec::new(),
            failing: Vec::new(),
            honest: NodeSet::EMPTY,
            keyed: Keyed::new(Seed::new(0), "disk"),
            recent: Recent::default(),
            writes: Slab::new(),
            reads: Slab::new(),
            under_way: Vec::new(),
            late: Vec::new(),
            mishaps: VecDeque::new(),
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
        let place_count = node_count * zone_count;
        self.rates = rates;
        for pages in &mut self.zones {
            pages.give_back(&mut self.pool);
        }
        self.pool.trim();
        self.zones.resize_with(place_count, Pages::default);
        self.zone_count = zone_count;
        self.blemishes.clear();
        self.last.clear();
        self.last.resize(place_count, LastWrites::default());
        self.permits.resize_with(place_count, Permits::default);
        self.is_limited = false;
        self.slowness.clear();
        self.slowness.resize(place_count, 100);
        self.failing.clear();
        self.failing.resize(node_count, Failing::default());
        self.honest = NodeSet::EMPTY;
        self.keyed = Keyed::new(seed, "disk");
        self.recent.reset(2 * place_count);
        self.writes.drain().map(|write| write.bytes).for_each(recycle);
        self.reads.drain().for_each(drop);
        self.under_way.iter_mut().for_each(Vec::clear);
        self.under_way.resize_with(node_count, Vec::new);
        self.late.clear();
        self.mishaps.clear();
    }

    /// Copies the durable bytes from `offset` on into `bytes`: as they are, spoiled or not.
    pub fn read(&self, node: NodeIndex, zone: Zone, offset: u64, bytes: &mut [u8]) {
        self.read_place(self.place(node, zone), offset, bytes);
    }

    fn read_place(&self, place: usize, offset: u64, bytes: &mut [u8]) {
        self.zones[place].read(&self.pool, offset, bytes);
        if !self.blemishes.is_empty() {
            self.blemishes.read(place, offset, bytes);
        }
    }

    /// As [`Self::read`], but as they should be: what a disk that never lies would hold.
    pub fn read_pristine(&self, node: NodeIndex, zone: Zone, offset: u64, bytes: &mut [u8]) {
        self.zones[self.place(node, zone)].read(&self.pool, offset, bytes);
    }

    /// Whether any of these bytes is in a sector that is not as it should be.
    #[must_use]
    pub fn is_spoiled(&self, node: NodeIndex, zone: Zone, offset: u64, size: usize) -> bool {
        !self.blemishes.is_empty() && self.blemishes.touches(self.place(node, zone), offset, size)
    }

    /// Whether a read of all these bytes fails, for a sector among them that cannot be read.
    #[must_use]
    pub fn is_unreadable(&self, node: NodeIndex, zone: Zone, offset: u64, size: usize) -> bool {
        !self.blemishes.is_empty()
            && self.blemishes.is_unreadable(self.place(node, zone), offset, size)
    }

    /// Changes durable bytes, as no process did: to begin a run with a disk that is not empty.
    pub fn overwrite(&mut self, node: NodeIndex, zone: Zone, offset: u64, bytes: &[u8]) {
        let place = self.place(node, zone);
        self.put(place, offset, bytes);
    }

    /// The writes under way at `node`, oldest first.
    pub fn writes_under_way(&self, node: NodeIndex) -> impl ExactSizeIterator<Item = &Write> {
        self.under_way[node.index()].iter().map(|slot| self.writes.get(*slot))
    }

    /// From now on the disk of `node` takes `percent` hundredths of its ordinary time in this zone, or in all: [`SLOWEST`] at most,
    /// besides the tail that bad luck adds.
    pub fn set_slowness(&mut self, node: NodeIndex, zone: Option<Zone>, percent: u64) {
        let first = node.index() * self.zone_count;
        let places = match zone {
            Some(zone) => self.place(node, zone)..self.place(node, zone) + 1,
            None => first..first + self.zone_count,
        };
        self.slowness[places].fill(percent);
    }

    /// Hundredths of its ordinary time that the disk of `node` takes in this zone.
    #[must_use]
    pub fn slowness(&self, node: NodeIndex, zone: Zone) -> u64 {
        self.slowness[self.place(node, zone)]
    }

    /// Takes the oldest thing that went wrong and was not told yet.
    #[inline]
    pub(crate) fn take_mishap(&mut self) -> Option<Mishap> {
        self.mishaps.pop_front()
    }

    fn place(&self, node: NodeIndex, zone: Zone) -> usize {
        assert!(zone.index() < self.zone_count);
        node.index() * self.zone_count + zone.index()
    }

    /// Bytes become durable, as they should.
    fn put(&mut self, place: usize, offset: u64, bytes: &[u8]) {
        if !self.late.is_empty() {
            self.supersede(place, offset, bytes.len());
        }
        self.zones[place].write(&mut self.pool, offset, bytes);
        if !self.blemishes.is_empty() {
            let target = Target { place, pages: &self.zones[place], pool: &self.pool };
            self.blemishes.written(&target, offset, bytes);
        }
    }

    /// Those sectors of a write for whose number `is_new` become durable, and no others.
    #[cold]
    fn put_sectors(&mut self, slot: u32, is_new: impl Fn(u64) -> bool) -> Resolution {
        let write = self.writes.get_mut(slot);
        let (node, zone, offset) = (write.node, write.zone, write.offset);
        let bytes = std::mem::take(&mut write.bytes);
        let place = self.place(node, zone);
        let (mut new, mut old) = (0, 0);
        for (number, sector) in (0..).zip(sectors(offset, bytes.len())) {
            if is_new(number) {
                self.put(place, offset + sector.start as u64, &bytes[sector]);
                new += 1;
            } else {
                old += 1;
            }
        }
        self.writes.get_mut(slot).bytes = bytes;
        match (new, old) {
            (_, 0) => Resolution::Kept,
            (0, _) => Resolution::Lost,
            (new, old) => Resolution::Torn { new, old },
        }
    }

    /// The fate of the next write or read of a place.
    fn fate(&mut self, way: Way, node: NodeIndex, zone: Zone, offset: u64) -> (Fate, u32) {
        let what = u64::from_le_bytes([way as u8, node.number(), zone.0, 0, 0, 0, 0, 0]);
        let name = self.keyed.name(what, offset);
        let stream = self.place(node, zone) * 2 + way as usize;
        let nth = self.recent.count(stream, offset);
        (Fate::of(name, nth), nth)
    }

    fn delay(&self, place: usize, latency: Span, sectors: u64, fate: Fate) -> Span {
        let rates = &self.rates;
        let jitter = Span::from_ns(fate.up_to(lane::DELAY, rates.jitter.as_ns()));
        let ordinary = latency.plus(rates.sector_latency.times(sectors)).plus(jitter);
        let delay = match self.slowness[place] {
            100 => ordinary,
            percent => ordinary.percent(percent).min(SLOWEST.max(ordinary)),
        };
        if rates.tail_ppm == 0 || !fate.chance(lane::TAIL, rates.tail_ppm) {
            return delay;
        }
        delay.plus(Span::from_ns(fate.up_to(lane::TAIL_LENGTH, rates.tail.as_ns())))
    }

    /// Takes a write; gives its number, and how long until it completes.
    pub(crate) fn start_write(&mut self, mut write: Write) -> (u32, Span) {
        let (fate, nth) = self.fate(Way::Write, write.node, write.zone, write.offset);
        (write.fate, write.nth) = (fate, nth);
        let sectors = sector_count(write.offset, write.bytes.len());
        let place = self.place(write.node, write.zone);
        let delay = self.delay(place, self.rates.write_latency, sectors, fate);
        let node = write.node.index();
        let slot = self.writes.insert(write);
        self.under_way[node].push(slot);
        (slot, delay)
    }

    /// The time of a write is up: it becomes durable, or fails, or is only said to be durable.
    pub(crate) fn finish_write(&mut self, now: Time, slot: u32) -> Finish {
        match self.writes.get(slot).state {
            WriteState::UnderWay => {}
            WriteState::Late(time) if time > now => return Finish::NotYet(time),
            WriteState::Late(_) => {
                self.land(slot);
                return Finish::Landed;
            }
            WriteState::Done(_) | WriteState::Over => return Finish::Over,
        }
        let doom = self.doom_of(slot);
        let write = self.writes.get_mut(slot);
        let under_way = &mut self.under_way[write.node.index()];
        let place = under_way.iter().position(|other| *other == slot);
        under_way.remove(place.expect("a write is on its node's list while it is under way"));
        if let Some(doom @ (Doom::Failed | Doom::Full)) = doom {
            return Finish::Failed(self.fail(slot, doom));
        }
        write.state = WriteState::Done(Ok(()));
        let place = write.node.index() * self.zone_count + write.zone.index();
        self.last[place].add(write.offset, write.bytes.len());
        match doom {
            Some(doom) => self.lie(slot, doom),
            None => {
                self.put_whole(place, slot);
                self.rot_written(slot);
            }
        }
        Finish::Durable
    }

    fn put_whole(&mut self, place: usize, slot: u32) {
        let write = self.writes.get_mut(slot);
        let (offset, bytes) = (write.offset, std::mem::take(&mut write.bytes));
        self.put(place, offset, &bytes);
        self.writes.get_mut(slot).bytes = bytes;
    }

    /// Takes a read; gives its number, and how long until it completes.
    pub(crate) fn start_read(&mut self, mut read: Read) -> (u32, Span) {
        let (fate, _) = self.fate(Way::Read, read.node, read.zone, read.offset);
        read.fate = fate;
        let sectors = sector_count(read.offset, read.size as usize);
        let place = self.place(read.node, read.zone);
        let delay = self.delay(place, self.rates.read_latency, sectors, fate);
        (self.reads.insert(read), delay)
    }

    /// A crash of `node` decides what becomes of its oldest write that is still under way. The write stays in its slot
    /// until its completion comes up.
    pub(crate) fn resolve_next(&mut self, now: Time, node: NodeIndex) -> Option<(u32, Resolution)> {
        if self.under_way[node.index()].is_empty() {
            return None;
        }
        let slot = self.under_way[node.index()].remove(0);
        let write = self.writes.get_mut(slot);
        write.state = WriteState::Over;
        let fate = write.fate;
        let draw = fate.up_to(lane::CRASH, u64::from(MILLION) - 1);
        let kept = u64::from(self.rates.crash_kept_ppm);
        let lost = u64::from(self.rates.crash_lost_ppm);
        let is_lost = (kept..kept + lost).contains(&draw);
        if is_lost && fate.chance(lane::LATE, self.rates.crash_late_ppm) {
            self.put_off(now, slot);
            return Some((slot, Resolution::Late));
        }
        let is_torn_new = |number| fate.lane(lane::SECTOR + number) & 1 == 1;
        let is_new = |number| draw < kept || !is_lost && is_torn_new(number);
        Some((slot, self.put_sectors(slot, is_new)))
    }

    /// The disk will carry out this write later.
    #[cold]
    fn put_off(&mut self, now: Time, slot: u32) {
        let (most, place_count) = (self.rates.crash_late.as_ns(), self.zone_count);
        let write = self.writes.get_mut(slot);
        let later = Span::from_ns(write.fate.up_to(lane::LATE_LENGTH, most));
        write.state = WriteState::Late(now.plus(later));
        let place = write.node.index() * place_count + write.zone.index();
        let (node, offset, size) = (write.node, write.offset, write.bytes.len());
        let superseded = vec![false; sectors(offset, size).count()];
        self.late.push(Late { slot, node, place, offset, size, superseded });
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Write = 0,
    Read = 1,
}
