//! What goes wrong with disks: what spoils sectors, and writes and reads that do otherwise than they say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blemish::Target;
use super::pages::{ReadBuffer, SECTOR_SIZE, in_sector, sector_number, sector_offset, sectors};
use super::{Disk, Doom, Late, Mischief, Mishap, MishapKind, Read, Resolution, WriteState, lane};
use crate::engine::node::NodeIndex;
use crate::engine::process::{DiskError, Zone};
use crate::engine::random::Fate;

/// Which sector is meant, of those that may be spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Spot {
    /// One of the last write that is durable.
    LastWritten,
    /// Any that was ever written.
    Anywhere,
    /// All of these bytes.
    At {
        /// The first byte's address within the zone.
        offset: u64,
        /// How many bytes.
        size: u64,
    },
}

/// How a sector goes bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rot {
    /// One bit is turned around.
    Bit,
    /// All of it is nonsense.
    Sector,
    /// Reads of it fail, until it is written again.
    Unreadable,
}

/// What all reads or writes of a disk do at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failing {
    /// Writes fail so.
    pub writes: Option<Doom>,
    /// Reads of what may be spoiled fail.
    pub reads: bool,
    /// Reads of what may be spoiled get one sector from another place.
    pub misreads: bool,
}

impl Failing {
    /// Both; of two ways in which writes fail, the other one's.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            writes: other.writes.or(self.writes),
            reads: self.reads || other.reads,
            misreads: self.misreads || other.misreads,
        }
    }
}

/// How many writes of a zone are remembered as the last ones.
const LAST_WRITES: usize = 8;

/// The last writes of a zone that were reported as durable.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastWrites {
    ring: [(u64, u32); LAST_WRITES],
    count: usize,
}

impl LastWrites {
    pub(super) fn add(&mut self, offset: u64, size: usize) {
        let size = u32::try_from(size).expect("writes are small");
        self.ring[self.count % LAST_WRITES] = (offset, size);
        self.count += 1;
    }

    /// The newest first.
    fn iter(&self) -> impl Iterator<Item = (u64, usize)> + '_ {
        let kept = self.count.min(LAST_WRITES);
        (0..kept).map(|back| {
            let (offset, size) = self.ring[(self.count - 1 - back) % LAST_WRITES];
            (offset, size as usize)
        })
    }
}

impl Disk {
    /// From now on only sectors that are permitted may be spoiled, by [`Self::permit`].
    pub fn limit(&mut self) {
        self.is_limited = true;
        self.wipeable = crate::engine::NodeSet::EMPTY;
        self.permits.iter_mut().for_each(super::permits::Permits::clear);
    }

    /// These bytes of a disk may be spoiled, in whole sectors.
    pub fn permit(
        &mut self,
        node: NodeIndex,
        zone: Zone,
        mischief: Mischief,
        bytes: std::ops::Range<u64>,
    ) {
        let place = self.place(node, zone);
        let end = sector_number(bytes.end + SECTOR_SIZE as u64 - 1);
        self.permits[place].permit(mischief, sector_number(bytes.start)..end);
    }

    /// The whole disk may be lost.
    pub fn permit_wiping(&mut self, node: NodeIndex) {
        self.wipeable.insert(node);
    }

    /// Whether the byte at `offset` may be spoiled so.
    #[must_use]
    pub fn permits(&self, node: NodeIndex, zone: Zone, mischief: Mischief, offset: u64) -> bool {
        self.allows(mischief, self.place(node, zone), offset, 1)
    }

    /// Whether all sectors of these bytes may be spoiled so.
    pub(super) fn allows(
        &self,
        mischief: Mischief,
        place: usize,
        offset: u64,
        size: usize,
    ) -> bool {
        !self.is_limited
            || sectors(offset, size).all(|part| {
                let sector = sector_number(offset + part.start as u64);
                self.permits[place].allows(mischief, sector)
            })
    }

    fn allows_sector(&self, mischief: Mischief, place: usize, sector: usize) -> bool {
        !self.is_limited || self.permits[place].allows(mischief, sector)
    }

    /// From now on the disk of `node` fails so.
    pub fn set_failing(&mut self, node: NodeIndex, failing: Failing) {
        self.failing[node.index()] = failing;
    }

    /// From now on the disk of `node` neither fails nor lies by itself. What is spoiled stays so.
    pub fn set_honest(&mut self, node: NodeIndex) {
        self.honest.insert(node);
    }

    /// Spoils a sector; false, and nothing changes, if there is none of that kind that may be spoiled.
    pub(crate) fn spoil(
        &mut self,
        (node, zone): (NodeIndex, Zone),
        spot: Spot,
        rot: Rot,
        fate: Fate,
    ) -> bool {
        let place = self.place(node, zone);
        match spot {
            Spot::LastWritten => {
                let last = self.last[place];
                let found = last.iter().find_map(|(offset, size)| {
                    self.pick_sector(
                        place,
                        sector_number(offset)..sector_number(offset + size.max(1) as u64 - 1) + 1,
                        fate,
                    )
                    .map(|sector| (sector, offset, size))
                });
                let Some((sector, offset, size)) = found else { return false };
                let first = offset.max(sector_offset(sector)) - sector_offset(sector);
                let end =
                    (offset + size as u64).min(sector_offset(sector + 1)) - sector_offset(sector);
                let (first, end) = (in_sector(first), end_in_sector(end));
                self.spoil_sector((node, zone), sector, rot, fate, first..end);
            }
            Spot::Anywhere => {
                let Some(sector) = self.pick_sector(place, 0..self.zones[place].end(), fate) else {
                    return false;
                };
                let bytes = self.written_bytes(place, sector, fate);
                self.spoil_sector((node, zone), sector, rot, fate, bytes);
            }
            Spot::At { offset, size } => {
                let size = usize::try_from(size).unwrap_or(usize::MAX).min(ZONE_BYTES_MAX);
                if size == 0 || !self.allows(Mischief::Rot, place, offset, size) {
                    return false;
                }
                for part in sectors(offset, size) {
                    let at = offset + part.start as u64;
                    let bytes = in_sector(at)..in_sector(at) + part.len();
                    self.spoil_sector((node, zone), sector_number(at), rot, fate, bytes);
                }
            }
        }
        true
    }

    /// One of these sectors that was written and may be spoiled.
    fn pick_sector(
        &self,
        place: usize,
        among: std::ops::Range<usize>,
        fate: Fate,
    ) -> Option<usize> {
        let may = |sector: &usize| {
            self.zones[place].is_written(*sector)
                && self.allows_sector(Mischief::Rot, place, *sector)
        };
        let most = among.clone().filter(may).count().checked_sub(1)?;
        let nth =
            usize::try_from(fate.up_to(lane::ROT_SECTOR, most as u64)).expect("below a count");
        among.filter(may).nth(nth)
    }

    /// A stretch of the sector that is not all zeros, so that spoiling it spoils something.
    fn written_bytes(&self, place: usize, sector: usize, fate: Fate) -> std::ops::Range<usize> {
        let mut bytes = [0; SECTOR_SIZE];
        self.read_place(place, sector_offset(sector), &mut bytes);
        let from = in_sector(fate.lane(lane::ROT_BYTE));
        let byte = (from..SECTOR_SIZE).chain(0..from).find(|byte| bytes[*byte] != 0);
        let byte = byte.unwrap_or(from);
        byte..byte + 1
    }

    /// Spoils one sector; a single bit is one of `bytes`.
    fn spoil_sector(
        &mut self,
        (node, zone): (NodeIndex, Zone),
        sector: usize,
        rot: Rot,
        fate: Fate,
        bytes: std::ops::Range<usize>,
    ) {
        let place = self.place(node, zone);
        let target = Target { place, pages: &self.zones[place], pool: &self.pool };
        let kind = match rot {
            Rot::Bit => {
                let most = (bytes.len() * 8 - 1) as u64;
                let bit =
                    usize::try_from(fate.up_to(lane::ROT_BIT, most)).expect("a bit of a sector");
                self.blemishes.flip(&target, sector, bytes.start * 8 + bit);
                MishapKind::Flipped
            }
            Rot::Sector => {
                self.blemishes.garble(&target, sector, fate, false);
                MishapKind::Garbled
            }
            Rot::Unreadable => {
                self.blemishes.garble(&target, sector, fate, true);
                MishapKind::Unreadable
            }
        };
        let (offset, size) = (sector_offset(sector), SECTOR_SIZE as u64);
        self.mishaps.push_back(Mishap { node, zone, offset, size, kind });
    }

    /// Decides what becomes of the newest write under way in a zone. False if there is none, or none of which that may become.
    pub(crate) fn doom_newest(&mut self, node: NodeIndex, zone: Zone, doom: Doom) -> bool {
        let place = self.place(node, zone);
        let may = |slot: &&u32| {
            let write = self.writes.get(**slot);
            write.zone == zone
                && write.doom.is_none()
                && (!doom.is_lie()
                    || self.allows(Mischief::Lie, place, write.offset, write.bytes.len()))
        };
        let Some(slot) = self.under_way[node.index()].iter().rev().find(may).copied() else {
            return false;
        };
        self.writes.get_mut(slot).doom = Some(doom);
        true
    }

    /// All writes under way will fail. False if there is none.
    pub(crate) fn doom_all(&mut self, node: NodeIndex) -> bool {
        for slot in &self.under_way[node.index()] {
            self.writes.get_mut(*slot).doom = Some(Doom::Failed);
        }
        !self.under_way[node.index()].is_empty()
    }

    /// Makes a disk a new one, all zero. False, and nothing changes, if that may not be.
    pub(crate) fn wipe(&mut self, node: NodeIndex) -> bool {
        if self.is_limited && !self.wipeable.contains(node) {
            return false;
        }
        for place in node.index() * self.zone_count..(node.index() + 1) * self.zone_count {
            let size = sector_offset(self.zones[place].end());
            self.zones[place].give_back(&mut self.pool);
            self.blemishes.drop_zone(place);
            self.last[place] = LastWrites::default();
            let number = u8::try_from(place % self.zone_count).expect("zones are few");
            let (zone, kind) = (Zone(number), MishapKind::Wiped);
            self.mishaps.push_back(Mishap { node, zone, offset: 0, size, kind });
        }
        for late in self.late.iter_mut().filter(|late| late.node == node) {
            late.superseded.fill(true);
        }
        true
    }

    /// What becomes of a write whose time is up, by what was decided for it, by the state of its disk, and by its own fate.
    pub(super) fn doom_of(&self, slot: u32) -> Option<Doom> {
        let write = self.writes.get(slot);
        if write.doom.is_some() {
            return write.doom;
        }
        if let Some(doom) = self.failing[write.node.index()].writes {
            return Some(doom);
        }
        if self.honest.contains(write.node) {
            return None;
        }
        let (rates, fate) = (&self.rates, write.fate);
        if rates.error_ppm > 0 && fate.chance(lane::ERROR, rates.error_ppm) {
            return Some(Doom::Failed);
        }
        if rates.is_honest() {
            return None;
        }
        let place = self.place(write.node, write.zone);
        let doom = if fate.chance(lane::LOST, rates.lost_ppm) {
            Doom::Lost
        } else if fate.chance(lane::MISDIRECTED, rates.misdirected_ppm) {
            Doom::Misdirected
        } else {
            return None;
        };
        self.allows(Mischief::Lie, place, write.offset, write.bytes.len()).then_some(doom)
    }

    /// A write is reported as durable, and is not.
    #[cold]
    pub(super) fn lie(&mut self, slot: u32, doom: Doom) {
        let write = self.writes.get_mut(slot);
        let (node, zone, offset, fate) = (write.node, write.zone, write.offset, write.fate);
        let bytes = std::mem::take(&mut write.bytes);
        let place = self.place(node, zone);
        let target = Target { place, pages: &self.zones[place], pool: &self.pool };
        self.blemishes.keep(&target, offset, bytes.len());
        self.zones[place].write(&mut self.pool, offset, &bytes);
        let target = Target { place, pages: &self.zones[place], pool: &self.pool };
        self.blemishes.forget_equal(&target, offset, bytes.len());
        let elsewhere = match doom {
            Doom::Misdirected => self.elsewhere(place, offset, bytes.len(), fate),
            Doom::Lost | Doom::Failed | Doom::Full => None,
        };
        let mut tell = |offset, kind| {
            let size = bytes.len() as u64;
            self.mishaps.push_back(Mishap { node, zone, offset, size, kind });
        };
        match elsewhere {
            None => tell(offset, MishapKind::WriteLost),
            Some(there) => {
                let target = Target { place, pages: &self.zones[place], pool: &self.pool };
                self.blemishes.overlay(&target, there, &bytes);
                tell(offset, MishapKind::WriteMisdirected);
                tell(there, MishapKind::Overwritten);
            }
        }
        self.writes.get_mut(slot).bytes = bytes;
    }

    /// Where a write of these bytes may go astray: other sectors of the zone that may be spoiled, at the same place within a sector.
    fn elsewhere(&self, place: usize, offset: u64, size: usize, fate: Fate) -> Option<u64> {
        let count = sectors(offset, size).count();
        let own = sector_number(offset);
        let may = |first: &usize| {
            first.abs_diff(own) >= count
                && (*first..*first + count)
                    .all(|sector| self.allows_sector(Mischief::Rot, place, sector))
        };
        let among = 0..self.zones[place].end().saturating_sub(count - 1);
        let most = among.clone().filter(may).count().checked_sub(1)?;
        let nth = usize::try_from(fate.up_to(lane::ELSEWHERE, most as u64)).expect("below a count");
        let first = among.filter(may).nth(nth)?;
        Some(sector_offset(first) + in_sector(offset) as u64)
    }

    /// A write fails: each of its sectors is old or new, or all are old if the disk is full.
    #[cold]
    pub(super) fn fail(&mut self, slot: u32, doom: Doom) -> Resolution {
        let write = self.writes.get_mut(slot);
        let error = if doom == Doom::Full { DiskError::Full } else { DiskError::Failed };
        write.state = WriteState::Done(Err(error));
        let (node, zone, offset, fate) = (write.node, write.zone, write.offset, write.fate);
        let size = write.bytes.len() as u64;
        let is_new =
            |number| doom != Doom::Full && fate.lane(lane::FAILED_SECTOR + number) & 1 == 1;
        let resolution = self.put_sectors(slot, is_new);
        self.mishaps.push_back(Mishap { node, zone, offset, size, kind: MishapKind::WriteFailed });
        resolution
    }

    /// A write that has just become durable may rot.
    pub(super) fn rot_written(&mut self, slot: u32) {
        let write = self.writes.get(slot);
        if self.rates.rot_ppm == 0
            || self.honest.contains(write.node)
            || !write.fate.chance(lane::ROT, self.rates.rot_ppm)
        {
            return;
        }
        let rot = match write.fate.up_to(lane::ROT_HOW, 3) {
            0 | 1 => Rot::Bit,
            2 => Rot::Sector,
            _ => Rot::Unreadable,
        };
        let (node, zone, fate) = (write.node, write.zone, write.fate);
        let size = write.bytes.len() as u64;
        let place = self.place(node, zone);
        if self.allows(Mischief::Rot, place, write.offset, write.bytes.len()) {
            let spot = if rot == Rot::Bit {
                Spot::LastWritten
            } else {
                Spot::At { offset: write.offset, size }
            };
            self.spoil((node, zone), spot, rot, fate);
        }
    }

    /// A write of a process that is gone is carried out, but for what was written there since.
    #[cold]
    pub(super) fn land(&mut self, slot: u32) {
        let place = self.late.iter().position(|late| late.slot == slot);
        let late = self.late.remove(place.expect("a late write is on the list"));
        let write = self.writes.get_mut(slot);
        write.state = WriteState::Over;
        let (node, zone, offset) = (write.node, write.zone, write.offset);
        let size = write.bytes.len() as u64;
        let is_new = |number: u64| {
            !late.superseded[usize::try_from(number).expect("a write has few sectors")]
        };
        if self.put_sectors(slot, is_new) != Resolution::Lost {
            self.mishaps.push_back(Mishap {
                node,
                zone,
                offset,
                size,
                kind: MishapKind::WriteLate,
            });
        }
    }

    /// These bytes are written now: no older write may come over them any more.
    #[cold]
    pub(super) fn supersede(&mut self, place: usize, offset: u64, size: usize) {
        for Late { place: other, offset: start, size: length, superseded, .. } in &mut self.late {
            if *other != place {
                continue;
            }
            for (part, is_over) in sectors(*start, *length).zip(superseded) {
                let sector = sector_number(*start + part.start as u64);
                let first = sector_number(offset);
                let last = sector_number(offset + size.max(1) as u64 - 1);
                *is_over |= (first..=last).contains(&sector);
            }
        }
    }

    /// Ends a read: what it finds is put into `bytes`, unless it fails.
    pub(crate) fn finish_read(
        &mut self,
        read: &Read,
        buffer: &mut ReadBuffer,
    ) -> Result<(), DiskError> {
        let (place, size) = (self.place(read.node, read.zone), read.size as usize);
        buffer.begin(size);
        self.zones[place].read_into(&self.pool, read.offset, buffer);
        if !self.blemishes.is_empty() {
            self.blemishes.read(place, read.offset, buffer.bytes_mut());
        }
        let is_honest = self.honest.contains(read.node);
        let may = self.allows(Mischief::Rot, place, read.offset, size);
        // Old or blank bytes where newer ones are: nobody can tell that from the read alone, so it is a lie.
        let may_lie = self.allows(Mischief::Lie, place, read.offset, size);
        let failing = self.failing[read.node.index()];
        let fails = may
            && (failing.reads || !is_honest && read.fate.chance(lane::ERROR, self.rates.error_ppm));
        let mut tell = |kind| {
            let Read { node, zone, offset, .. } = *read;
            let size = u64::from(read.size);
            self.mishaps.push_back(Mishap { node, zone, offset, size, kind });
        };
        if fails || self.blemishes.is_unreadable(place, read.offset, size) {
            tell(MishapKind::ReadFailed);
            return Err(DiskError::Failed);
        }
        let is_astray = may_lie
            && (failing.misreads
                || !is_honest
                    && self.rates.misread_ppm > 0
                    && read.fate.chance(lane::MISREAD, self.rates.misread_ppm));
        if is_astray {
            tell(MishapKind::ReadMisdirected);
            self.misread(place, read, buffer.bytes_mut());
        }
        Ok(())
    }

    /// One sector of what was read comes from another place of the zone.
    fn misread(&self, place: usize, read: &Read, bytes: &mut [u8]) {
        let mut parts = sectors(read.offset, bytes.len());
        let most = (parts.clone().count().max(1) - 1) as u64;
        let nth =
            usize::try_from(read.fate.up_to(lane::MISREAD_SECTOR, most)).expect("below a count");
        let Some(part) = parts.nth(nth) else { return };
        let at = read.offset + part.start as u64;
        let end = self.zones[place].end().max(2) as u64 - 1;
        let other = usize::try_from(read.fate.up_to(lane::ELSEWHERE, end)).expect("below a count");
        let from = sector_offset(other) + in_sector(at) as u64;
        self.read_place(place, from, &mut bytes[part]);
    }
}

/// The most bytes that one step spoils.
const ZONE_BYTES_MAX: usize = 1 << 30;

/// The end of a stretch within a sector, which may be the sector's own.
fn end_in_sector(end: u64) -> usize {
    usize::try_from(end).expect("at most a sector")
}
