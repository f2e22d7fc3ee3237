//! Reading the log back at a start. What each slot is worth is decided by a table of its own: see [`crate::decision`].

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Replica;
use crate::configuration::SECTOR_SIZE;
use crate::decision::{
    Expected, Found, Next, Verdict, judge_durable, judge_next, may_be_acknowledged,
};
use crate::header::{Entry, HEADER_SIZE, Header};
use crate::io::{Effect, Effects, Event, Halt, Zone};
use crate::journal::Missing;
use crate::number::OpNumber;
use crate::state_machine::StateMachine;
use crate::superblock::Superblock;
use crate::token::Subject;

/// How many entries are read at once.
const READ_AHEAD: u64 = 16;

/// How many headers are in one sector: as many are read at once where the ring cannot be read as a whole.
const HEADERS_PER_SECTOR: u32 = 16;

const _: () = assert!(HEADERS_PER_SECTOR as u64 * HEADER_SIZE as u64 == SECTOR_SIZE);

/// The log, as far as it has been read back.
#[derive(Debug, Default)]
pub(super) struct LogReading {
    /// The ring of headers; of what could not be read, bytes that are no header.
    ring: Vec<u8>,
    /// How many pieces of the ring are still to come.
    pieces_left: u32,
    /// The slots of the ring of prepares, from the one after the journal's head; `None` while a read is on.
    slots: VecDeque<Option<Slot>>,
    /// How many slots of what was durable have not been read yet; `None` before that is counted, and once all is judged.
    durable_left: Option<u64>,
    /// From the first slot behind the log on, so many may have held what was acknowledged: where that ends is still looked for.
    doubtful: Option<usize>,
    /// Whether the end has been found.
    is_done: bool,
}

/// What a slot of the ring of prepares holds.
#[derive(Clone, Debug)]
enum Slot {
    Whole(Arc<Entry>),
    Blank,
    Damaged,
}

impl LogReading {
    pub(super) const fn is_done(&self) -> bool {
        self.is_done
    }
}

impl Slot {
    /// What these bytes are; `None` where they could not be read.
    fn of(bytes: Option<&[u8]>) -> Self {
        let Some(bytes) = bytes else { return Self::Damaged };
        match decode_entry(bytes) {
            Some(entry) => Self::Whole(Arc::new(entry)),
            None if is_blank(bytes) => Self::Blank,
            None => Self::Damaged,
        }
    }
}

/// Whether all of it is zero, looked at by blocks: most slots that are read at a start were never written.
fn is_blank(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 256] = [0; 256];
    bytes.chunks(ZEROS.len()).all(|block| *block == ZEROS[..block.len()])
}

/// Reads an entry back; `None` unless header and body are whole and belong together.
fn decode_entry(bytes: &[u8]) -> Option<Entry> {
    let header = Header::decode(bytes)?;
    let end = HEADER_SIZE.checked_add(usize::try_from(header.size).ok()?)?;
    Entry::new(header, bytes.get(HEADER_SIZE..end)?)
}

impl<S: StateMachine> Replica<S> {
    /// The checkpoint is read, and the log begins behind it.
    pub(super) fn read_header_ring(&mut self, effects: &mut Effects) {
        effects.push(Effect::Read {
            token: self.tokens.next(Subject::HeaderRing),
            zone: Zone::Headers,
            offset: 0,
            size: self.configuration.slots * u32::try_from(HEADER_SIZE).expect("small"),
        });
    }

    /// The ring of headers has been read; if that failed, it is read again piece by piece, so that one bad sector spoils no other.
    pub(super) fn on_header_ring_read(&mut self, bytes: Option<&[u8]>, effects: &mut Effects) {
        let slots = self.configuration.slots;
        let log = &mut self.opening.as_mut().expect("only read at a start").log;
        if let Some(bytes) = bytes {
            log.ring = bytes.to_vec();
            self.read_entries(effects);
            return;
        }
        log.ring = alloc::vec![u8::MAX; slots as usize * HEADER_SIZE];
        log.pieces_left = slots.div_ceil(HEADERS_PER_SECTOR);
        for first in (0..slots).step_by(HEADERS_PER_SECTOR as usize) {
            let count = HEADERS_PER_SECTOR.min(slots - first);
            let header_size = u32::try_from(HEADER_SIZE).expect("small");
            effects.push(Effect::Read {
                token: self.tokens.next(Subject::RedundantHeader(first)),
                zone: Zone::Headers,
                offset: u64::from(first) * HEADER_SIZE as u64,
                size: count * header_size,
            });
        }
    }

    /// A piece of the ring of headers has been read, or not even that.
    pub(super) fn on_headers_read(
        &mut self,
        first: u32,
        bytes: Option<&[u8]>,
        effects: &mut Effects,
    ) {
        let log = &mut self.opening.as_mut().expect("only read at a start").log;
        if let Some(bytes) = bytes {
            let start = first as usize * HEADER_SIZE;
            log.ring[start..start + bytes.len()].copy_from_slice(bytes);
        }
        log.pieces_left -= 1;
        if log.pieces_left == 0 {
            self.read_entries(effects);
        }
    }

    /// Reads the entries behind the checkpoint, oldest first.
    fn read_entries(&mut self, effects: &mut Effects) {
        let opening = self.opening.as_mut().expect("only read at a start");
        let found = opening.found.as_ref().expect("read before the log");
        opening.log.durable_left = Some(found.op.get().saturating_sub(self.journal.op().get()));
        for _ in 0..READ_AHEAD {
            self.read_next_entry(effects);
        }
        self.restore_log(effects);
    }

    fn read_next_entry(&mut self, effects: &mut Effects) {
        let log = &mut self.opening.as_mut().expect("only read at a start").log;
        let op = self.journal.op().plus(log.slots.len() as u64 + 1);
        if op > self.journal.room() {
            return;
        }
        let slot = op.get() % u64::from(self.configuration.slots);
        let slot_size = self.configuration.prepare_slot_size();
        log.slots.push_back(None);
        effects.push(Effect::Read {
            token: self.tokens.next(Subject::Prepare(u32::try_from(slot).expect("a slot"))),
            zone: Zone::Prepares,
            offset: slot * slot_size,
            size: u32::try_from(slot_size).expect("a few sectors"),
        });
    }

    /// A slot of the ring of prepares has been read; others may still be on their way, or not matter any more.
    pub(super) fn on_prepare_read(
        &mut self,
        slot: u32,
        bytes: Option<&[u8]>,
        effects: &mut Effects,
    ) {
        let Some(opening) = self.opening.as_mut().filter(|opening| !opening.log.is_done) else {
            return;
        };
        let log = &mut opening.log;
        let slots = u64::from(self.configuration.slots);
        let first = self.journal.op().next().get();
        let place = (u64::from(slot) + slots - first % slots) % slots;
        log.slots[usize::try_from(place).expect("a slot")] = Some(Slot::of(bytes));
        if let Some(left) = &mut log.durable_left {
            let found = opening.found.as_ref().expect("read before the log");
            if first + place <= found.op.get() {
                *left -= 1;
            }
            self.read_next_entry(effects);
        }
        self.restore_log(effects);
    }

    /// Takes into the log what has been read: first what was durable, all at once, then what may follow, in order.
    fn restore_log(&mut self, effects: &mut Effects) {
        let log = &mut self.opening.as_mut().expect("only read at a start").log;
        match log.durable_left {
            Some(0) => log.durable_left = None,
            Some(_) => return,
            None => {}
        }
        if !self.restore_durable(effects) {
            self.halt(Halt::LogDamaged, effects);
            return;
        }
        while self.opening.as_ref().is_some_and(|opening| !opening.log.is_done) {
            if !self.restore_next(effects) {
                return;
            }
        }
        let cannot_tell = self.is_incomplete() || self.doubt.is_some();
        if cannot_tell && self.configuration.replica_count == 1 {
            // There is nobody to ask.
            self.halt(Halt::LogDamaged, effects);
            return;
        }
        self.begin_to_take_part(effects);
    }

    /// Judges the log that the superblock names, from its end down. False if that names no log at all, or none that leads to the
    /// checkpoint.
    fn restore_durable(&mut self, effects: &mut Effects) -> bool {
        let found = self.opening.as_ref().and_then(|opening| opening.found.as_ref());
        let found = found.expect("read before the log");
        if found.op <= self.journal.op() {
            return true;
        }
        let mut verdicts = Vec::new();
        let mut expected = Expected::Nothing;
        for op in (self.journal.op().next().get()..=found.op.get()).rev().map(OpNumber::new) {
            if let Some(header) = header_in(found, op) {
                expected = Expected::Header(*header);
            }
            let (prepare, redundant) = self.found_at(op);
            let verdict = judge_durable(expected, &prepare, &redundant);
            expected = match (verdict, prepare) {
                (Verdict::Repair(known), _) => known.before(),
                (_, Found::Whole(header)) => Expected::Header(header).before(),
                (_, Found::Blank | Found::Damaged) => Expected::Nothing,
            };
            verdicts.push(verdict);
        }
        let base = self.journal.head().checksum;
        let leads_to_base = expected.checksum().is_none_or(|checksum| checksum == base);
        if found.headers.is_empty() || !leads_to_base {
            return false;
        }
        while let Some(verdict) = verdicts.pop() {
            self.restore(verdict, effects);
        }
        true
    }

    /// Judges the slot behind the log. False while it has not been read.
    fn restore_next(&mut self, effects: &mut Effects) -> bool {
        let opening = self.opening.as_mut().expect("only read at a start");
        if let Some(doubtful) = opening.log.doubtful {
            return self.follow_doubt(doubtful, effects);
        }
        let found = opening.found.as_ref().expect("read before the log");
        let (view, log_view) = (found.view, found.log_view);
        if matches!(opening.log.slots.front(), Some(None)) {
            return false;
        }
        let next =
            Next { op: self.journal.op().next(), parent: self.journal.head().checksum, log_view };
        // In a view change the log ends where the promise says, and so it does where there is no room.
        let is_end = view > log_view || opening.log.slots.is_empty();
        let verdict = if is_end {
            Verdict::End
        } else {
            let (prepare, redundant) = self.found_at(next.op);
            judge_next(&next, &prepare, &redundant)
        };
        match verdict {
            Verdict::Clean | Verdict::Fix | Verdict::Repair(_) => {
                self.restore(verdict, effects);
                self.read_next_entry(effects);
                return true;
            }
            Verdict::End | Verdict::Torn => {}
            Verdict::Uncertain => {
                self.opening.as_mut().expect("only read at a start").log.doubtful = Some(1);
                return true;
            }
        }
        self.opening.as_mut().expect("only read at a start").log.is_done = true;
        true
    }

    /// The log may have gone on: it certainly did not beyond the first slot that shows no trace of an entry of the view. False while
    /// the next slot has not been read.
    fn follow_doubt(&mut self, doubtful: usize, effects: &mut Effects) -> bool {
        self.read_next_entry(effects);
        let opening = self.opening.as_mut().expect("only read at a start");
        let log_view = opening.found.as_ref().expect("read before the log").log_view;
        let op = self.journal.op().plus(doubtful as u64 + 1);
        match opening.log.slots.get(doubtful) {
            Some(None) => return false,
            Some(Some(_)) => {
                let (prepare, redundant) = self.found_at(op);
                if may_be_acknowledged(op, log_view, &prepare, &redundant) {
                    let log = &mut self.opening.as_mut().expect("only read at a start").log;
                    log.doubtful = Some(doubtful + 1);
                    return true;
                }
            }
            None => {}
        }
        self.doubt_head(op.minus(1), effects);
        self.opening.as_mut().expect("only read at a start").log.is_done = true;
        true
    }

    /// What both rings hold in the slot of `op`, which has been read.
    fn found_at(&self, op: OpNumber) -> (Found, Found) {
        let log = &self.opening.as_ref().expect("only read at a start").log;
        let slots = u64::from(self.configuration.slots);
        let slot = op.get() % slots;
        let is_ours = |header: &Header| header.cluster == self.configuration.cluster;
        let place = op.get() - self.journal.op().next().get();
        let place = usize::try_from(place).expect("a slot");
        let prepare = match &log.slots[place] {
            Some(Slot::Whole(entry)) => {
                Found::whole(Some(*entry.header()).filter(is_ours), slot, slots)
            }
            Some(Slot::Blank) => Found::Blank,
            Some(Slot::Damaged) | None => Found::Damaged,
        };
        let start = usize::try_from(slot).expect("a slot") * HEADER_SIZE;
        let bytes = &log.ring[start..start + HEADER_SIZE];
        let redundant = if bytes.iter().all(|byte| *byte == 0) {
            Found::Blank
        } else {
            Found::whole(Header::decode(bytes).filter(is_ours), slot, slots)
        };
        (prepare, redundant)
    }

    /// Takes the next slot into the log, as it was judged.
    fn restore(&mut self, verdict: Verdict, effects: &mut Effects) {
        let log = &mut self.opening.as_mut().expect("only read at a start").log;
        let slot = log.slots.pop_front().flatten().expect("it has been judged");
        let op = self.journal.op().next();
        let entry = match slot {
            Slot::Whole(entry) if entry.header().op == op => Some(entry),
            Slot::Whole(_) | Slot::Blank | Slot::Damaged => None,
        };
        match (verdict, entry) {
            (Verdict::Clean | Verdict::Fix, Some(entry)) => {
                let header_matches = verdict == Verdict::Clean;
                self.journal.restore(entry, header_matches, &mut self.tokens, effects);
            }
            (Verdict::Repair(expected), entry) => {
                let found = entry.filter(|_| expected == Expected::Nothing);
                self.journal.restore_missing(Missing::new(expected, found));
                effects.event(Event::SpoiledFound { op });
            }
            (Verdict::Clean | Verdict::Fix | Verdict::End | Verdict::Torn, _)
            | (Verdict::Uncertain, _) => unreachable!("only entries of the log are restored"),
        }
    }
}

/// The header at `op` that the superblock remembers.
fn header_in(found: &Superblock, op: OpNumber) -> Option<&Header> {
    let first = found.headers.first()?.op;
    let place = op.get().checked_sub(first.get())?;
    found.headers.get(usize::try_from(place).ok()?)
}
