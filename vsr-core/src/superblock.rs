//! The superblock: what a replica must never forget, written as one unit.
//!
//! The zone holds four copies. An update writes the first two, waits, and writes the other two, so that a crash at any
//! moment leaves at least two whole copies of one version. The greatest readable version is taken, unless it is a single copy that
//! does not descend from any of the others; nothing rested on it before all four copies were durable, so the older and the newer one
//! are both right. Each version names the one before by its checksum, and each copy its own place, so that one that has gone
//! astray on the disk is recognised. The place stands behind what the checksum covers: so all four are one encoding, summed once.
//!
//! Every start writes a new version (with the incarnation counted up) before the replica takes part: a version that
//! only one copy holds is thereby either spread to all or overtaken before anything is said that rests on it.

mod writer;

pub use writer::SuperblockWriter;

use alloc::vec::Vec;

use crate::checksum::Checksum;
use crate::configuration::{Configuration, SECTOR_SIZE};
use crate::header::{HEADER_SIZE, Header};
use crate::number::{ClusterId, Incarnation, OpNumber, ReplicaIndex, ViewNumber};

/// How many copies the zone holds.
pub const COPIES: u32 = 4;

/// The version of the encoding.
const SUPERBLOCK_FORMAT: u16 = 3;

/// Bytes before the headers.
const FIXED_SIZE: usize = 512;

/// Where the count of headers stands, and behind it the version of the encoding: there in every version, so that each can tell
/// a later one from a copy that is spoiled.
const HEADER_COUNT_AT: usize = 108;
const FORMAT_AT: usize = 112;

/// Bytes behind the headers: the number of the copy.
const COPY_SIZE: usize = 8;

/// Where it is told of the checkpoint.
const CHECKPOINT_AT: usize = 128;

/// Where the header of the checkpoint's operation stands.
const CHECKPOINT_HEADER_AT: usize = 256;

/// Where a checkpoint is, and how it is known to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// The header of the operation after which the state was taken.
    pub header: Header,
    /// The checksum of all its bytes.
    pub checksum: Checksum,
    /// How many those are.
    pub size: u32,
    /// Which of the two areas holds them.
    pub area: Area,
}

/// One of the two areas for checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// The one that the first checkpoint goes to.
    First,
    /// The other one.
    Second,
}

impl Area {
    /// The area that is not this one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Its place in the zone: 0 or 1.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    const fn at(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::First),
            1 => Some(Self::Second),
            _ => None,
        }
    }
}

/// What is remembered: who this is, the promise, and the log that the promise speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The checksum of the version before.
    pub parent: Checksum,
    /// Which version this is; counts up by one.
    pub sequence: u64,
    /// Whose disk this is.
    pub cluster: ClusterId,
    /// Whose disk this is.
    pub replica: ReplicaIndex,
    /// How many replicas the cluster has.
    pub replica_count: u8,
    /// The geometry of the log: see [`Configuration::slots`].
    pub slots: u32,
    /// The geometry of the log: see [`Configuration::body_size_max`].
    pub body_size_max: u32,
    /// The bound on uncommitted operations: see [`Configuration::pipeline_max`].
    pub pipeline_max: u32,
    /// The geometry of the log: see [`Configuration::checkpoint_interval`].
    pub checkpoint_interval: u32,
    /// The geometry of the disk: see [`Configuration::snapshot_size_max`].
    pub snapshot_size_max: u32,
    /// The newest checkpoint; `None` before the first. It was whole on the disk before this version was written.
    pub checkpoint: Option<CheckpointRecord>,
    /// How often the replica was started.
    pub incarnation: Incarnation,
    /// The view that the replica has promised to be in, at least.
    pub view: ViewNumber,
    /// The last view in which it was normal: the view whose log it holds. At most `view`.
    pub log_view: ViewNumber,
    /// The head of the log when `view` or `log_view` last changed, or the log was last cut.
    ///
    /// While `view > log_view` the log ends here. While they are equal, entries of that view may follow on disk; those of older
    /// views above it were cut off, and are not to come back.
    pub op: OpNumber,
    /// So much was known to be committed.
    pub commit: OpNumber,
    /// Entries up to here may have been acknowledged, though the disk has lost those after `op`; mostly just `op`. See
    /// [`crate::message::DoViewChange::reach`].
    pub reach: OpNumber,
    /// The last headers up to `op`, oldest first: at most a pipeline of them, for what is older is committed.
    pub headers: Vec<Header>,
}

impl Superblock {
    /// The first version, on a disk that has just been formatted.
    #[must_use]
    pub fn first(configuration: &Configuration, replica: ReplicaIndex) -> Self {
        Self {
            parent: Checksum::ZERO,
            sequence: 1,
            cluster: configuration.cluster,
            replica,
            replica_count: configuration.replica_count,
            slots: configuration.slots,
            body_size_max: configuration.body_size_max,
            pipeline_max: configuration.pipeline_max,
            checkpoint_interval: configuration.checkpoint_interval,
            snapshot_size_max: configuration.snapshot_size_max,
            checkpoint: None,
            incarnation: Incarnation::ZERO,
            view: ViewNumber::ZERO,
            log_view: ViewNumber::ZERO,
            op: OpNumber::ZERO,
            commit: OpNumber::ZERO,
            reach: OpNumber::ZERO,
            headers: Vec::new(),
        }
    }

    /// Bytes that one copy takes in the zone: whole sectors.
    #[must_use]
    pub fn copy_size(configuration: &Configuration) -> u64 {
        let headers = u64::from(configuration.pipeline_max) * HEADER_SIZE as u64;
        (FIXED_SIZE as u64 + headers + COPY_SIZE as u64).next_multiple_of(SECTOR_SIZE)
    }

    /// Whether this is the disk of `replica` in a cluster of this configuration.
    #[must_use]
    pub fn belongs_to(&self, configuration: &Configuration, replica: ReplicaIndex) -> bool {
        self.cluster == configuration.cluster
            && self.replica == replica
            && self.replica_count == configuration.replica_count
            && self.slots == configuration.slots
            && self.body_size_max == configuration.body_size_max
            && self.pipeline_max == configuration.pipeline_max
            && self.checkpoint_interval == configuration.checkpoint_interval
            && self.snapshot_size_max == configuration.snapshot_size_max
    }

    /// Appends the bytes of copy `copy` of this version, its checksum first.
    ///
    /// `FORMAT.md` beside this crate's sources shows where each field stands.
    pub fn encode(&self, copy: u32, bytes: &mut Vec<u8>) {
        self.encode_version(bytes);
        end_copy(copy, bytes);
    }

    /// Appends what all copies of this version begin with; answers the checksum, by which the next version names this one.
    fn encode_version(&self, bytes: &mut Vec<u8>) -> Checksum {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&self.parent.get().to_le_bytes());
        for long in [
            self.sequence,
            self.cluster.get(),
            self.incarnation.get(),
            self.view.get(),
            self.log_view.get(),
            self.op.get(),
            self.commit.get(),
            self.reach.get(),
        ] {
            bytes.extend_from_slice(&long.to_le_bytes());
        }
        let header_count = u32::try_from(self.headers.len()).expect("at most a pipeline");
        for word in [self.slots, self.body_size_max, self.pipeline_max, header_count] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&SUPERBLOCK_FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[self.replica.get(), self.replica_count]);
        bytes.extend_from_slice(&self.checkpoint_interval.to_le_bytes());
        bytes.extend_from_slice(&self.snapshot_size_max.to_le_bytes());
        bytes.resize(start + CHECKPOINT_AT, 0);
        if let Some(checkpoint) = &self.checkpoint {
            bytes.extend_from_slice(&u64::from(checkpoint.size).to_le_bytes());
            bytes.extend_from_slice(&checkpoint.checksum.get().to_le_bytes());
            bytes.push(checkpoint.area.number());
            bytes.resize(start + CHECKPOINT_HEADER_AT, 0);
            bytes.extend_from_slice(&checkpoint.header.encode());
        }
        bytes.resize(start + FIXED_SIZE, 0);
        for header in &self.headers {
            bytes.extend_from_slice(&header.encode());
        }
        let checksum = Checksum::of(&bytes[start + 16..]);
        bytes[start..start + 16].copy_from_slice(&checksum.get().to_le_bytes());
        checksum
    }

    /// The bytes that all copies of a version have in common, and the number of the copy, as these bytes have it: nothing is
    /// checked. For whoever sees many copies of few versions, and would rather compare than decode.
    #[must_use]
    pub fn split(bytes: &[u8]) -> Option<(&[u8], u64)> {
        let (version, rest) = bytes.split_at_checked(version_size(bytes)?)?;
        let copy = rest.get(..COPY_SIZE)?.try_into().ok()?;
        Some((version, u64::from_le_bytes(copy)))
    }

    /// Whether these are the whole bytes of a copy, any copy, in a later version of this encoding.
    #[must_use]
    pub fn is_of_later_format(bytes: &[u8]) -> bool {
        // To sum them up is what takes time, and the format alone mostly says no.
        let is_later = |fixed: &[u8]| format_of(fixed) > SUPERBLOCK_FORMAT;
        bytes.get(..FIXED_SIZE).is_some_and(is_later) && whole(bytes).is_some()
    }

    /// Reads copy `copy` back; `None` unless it is whole, and that one. Bytes after its end are not looked at.
    #[must_use]
    pub fn decode(copy: u32, bytes: &[u8]) -> Option<Self> {
        let fixed = bytes.get(..FIXED_SIZE)?;
        let wide = |at: usize| Some(u128::from_le_bytes(fixed.get(at..at + 16)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(fixed.get(at..at + 8)?.try_into().ok()?));
        let word = |at: usize| Some(u32::from_le_bytes(fixed.get(at..at + 4)?.try_into().ok()?));
        let (_, found) = Self::split(bytes)?;
        let whole = whole(bytes)?;
        if format_of(whole) != SUPERBLOCK_FORMAT || found != u64::from(copy) {
            return None;
        }
        let mut headers = Vec::with_capacity((whole.len() - FIXED_SIZE) / HEADER_SIZE);
        for header in whole[FIXED_SIZE..].chunks_exact(HEADER_SIZE) {
            headers.push(Header::decode(header)?);
        }
        let superblock = Self {
            parent: Checksum::new(wide(16)?),
            sequence: long(32)?,
            cluster: ClusterId::new(long(40)?),
            incarnation: Incarnation::new(long(48)?),
            view: ViewNumber::new(long(56)?),
            log_view: ViewNumber::new(long(64)?),
            op: OpNumber::new(long(72)?),
            commit: OpNumber::new(long(80)?),
            reach: OpNumber::new(long(88)?),
            slots: word(96)?,
            body_size_max: word(100)?,
            pipeline_max: word(104)?,
            replica: ReplicaIndex::checked(fixed[114])?,
            replica_count: fixed[115],
            checkpoint_interval: word(116)?,
            snapshot_size_max: word(120)?,
            checkpoint: checkpoint_in(fixed)?,
            headers,
        };
        superblock.is_consistent().then_some(superblock)
    }

    /// The version to believe, of the copies that are whole: the greatest that two copies have, or that descends from another copy.
    ///
    /// A single copy of a version that the version before it does not know is a stranger: it counts only if there is nothing else.
    #[must_use]
    pub fn choose(copies: &[Self]) -> Option<&Self> {
        let (first, others) = copies.split_first()?;
        if others.iter().all(|other| other == first) {
            return Some(first);
        }
        let sums: Vec<Checksum> = copies.iter().map(checksum_of).collect();
        let twins = |copy: &Self| copies.iter().filter(|other| *other == copy).count();
        let is_stranger = |copy: &Self| {
            let mut parents = copies
                .iter()
                .zip(&sums)
                .filter(|(other, _)| other.sequence.checked_add(1) == Some(copy.sequence));
            let has_other_parent = parents.clone().next().is_some();
            twins(copy) < 2 && has_other_parent && parents.all(|(_, sum)| *sum != copy.parent)
        };
        let rank = |(copy, sum): &(&Self, &Checksum)| {
            (!is_stranger(copy), copy.sequence, twins(copy), sum.get())
        };
        copies.iter().zip(&sums).max_by_key(rank).map(|(copy, _)| copy)
    }

    /// The operation of the checkpoint; 0 if there is none.
    #[must_use]
    pub fn checkpoint_op(&self) -> OpNumber {
        self.checkpoint.map_or(OpNumber::ZERO, |checkpoint| checkpoint.header.op)
    }

    fn is_consistent(&self) -> bool {
        let ends_at_head = self.headers.last().is_none_or(|header| header.op == self.op);
        self.log_view <= self.view && ends_at_head && is_chain(&self.headers)
    }
}

/// Ends the copy `copy` of the version that `bytes` end with.
fn end_copy(copy: u32, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&u64::from(copy).to_le_bytes());
}

/// How many bytes the version at the beginning of `bytes` says that it has.
fn version_size(bytes: &[u8]) -> Option<usize> {
    let count = bytes.get(HEADER_COUNT_AT..HEADER_COUNT_AT + 4)?;
    let count = usize::try_from(u32::from_le_bytes(count.try_into().ok()?)).ok()?;
    FIXED_SIZE.checked_add(count.checked_mul(HEADER_SIZE)?)
}

/// The bytes of the version that `bytes` begin with, unless its checksum is not theirs.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let whole = bytes.get(..version_size(bytes)?)?;
    let is_whole = Checksum::of(&whole[16..]).get().to_le_bytes() == whole[..16];
    is_whole.then_some(whole)
}

fn format_of(whole: &[u8]) -> u16 {
    u16::from_le_bytes([whole[FORMAT_AT], whole[FORMAT_AT + 1]])
}

/// What is told of a checkpoint, if of any; outside `None` where that makes no sense.
fn checkpoint_in(fixed: &[u8]) -> Option<Option<CheckpointRecord>> {
    let told = &fixed[CHECKPOINT_AT..];
    if told.iter().all(|byte| *byte == 0) {
        return Some(None);
    }
    Some(Some(CheckpointRecord {
        header: Header::decode(&fixed[CHECKPOINT_HEADER_AT..])?,
        checksum: Checksum::new(u128::from_le_bytes(told[8..24].try_into().ok()?)),
        size: u32::try_from(u64::from_le_bytes(told[..8].try_into().ok()?)).ok()?,
        area: Area::at(told[24])?,
    }))
}

/// Whether each header is the parent of the next.
#[must_use]
pub fn is_chain(headers: &[Header]) -> bool {
    headers
        .windows(2)
        .all(|pair| pair[1].op == pair[0].op.next() && pair[1].parent == pair[0].checksum)
}

/// Names a version, whichever copy it is read from: the checksum that all of them begin with.
fn checksum_of(superblock: &Superblock) -> Checksum {
    let size = FIXED_SIZE + superblock.headers.len() * HEADER_SIZE;
    superblock.encode_version(&mut Vec::with_capacity(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Effect, Effects};
    use crate::token::{Subject, Tokens};

    fn configuration() -> Configuration {
        Configuration::of(3)
    }

    fn version(view: u64) -> Superblock {
        let mut superblock = Superblock::first(&configuration(), ReplicaIndex::new(1));
        superblock.view = ViewNumber::new(view);
        let mut header = Header::root(superblock.cluster);
        header.op = OpNumber::new(1);
        header.seal();
        superblock.op = OpNumber::new(1);
        superblock.headers.push(header);
        superblock.checkpoint = Some(CheckpointRecord {
            header,
            checksum: Checksum::of(b"state"),
            size: 5,
            area: Area::Second,
        });
        superblock
    }

    #[test]
    fn a_copy_comes_back_as_it_was_and_no_flipped_bit_gets_through() {
        let superblock = version(5);
        let mut bytes = Vec::new();
        superblock.encode(2, &mut bytes);
        assert_eq!(Superblock::decode(2, &bytes), Some(superblock));
        assert_eq!(Superblock::decode(1, &bytes), None, "it has gone astray");
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Superblock::decode(2, &bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for size in 0..bytes.len() {
            assert_eq!(Superblock::decode(2, &bytes[..size]), None, "cut to {size}");
        }
        // A promise that rots unseen is a promise broken.
    }

    /// Carries the writes in `effects` out on `disk`; answers their tokens.
    fn carry_out(
        effects: &mut Effects,
        disk: &mut [u8],
        only_first: bool,
    ) -> Vec<crate::io::Token> {
        let (list, arena) = effects.drain();
        let mut tokens = Vec::new();
        for effect in list {
            if let Effect::Write { token, offset, bytes, .. } = effect {
                if only_first && !tokens.is_empty() {
                    continue;
                }
                let start = usize::try_from(offset).unwrap();
                disk[start..start + bytes.len()].copy_from_slice(&arena[bytes]);
                tokens.push(token);
            }
        }
        tokens
    }

    fn read_back(disk: &[u8]) -> Option<Superblock> {
        let size = usize::try_from(Superblock::copy_size(&configuration())).unwrap();
        let copies: Vec<Superblock> = (0..)
            .zip(disk.chunks_exact(size))
            .filter_map(|(copy, bytes)| Superblock::decode(copy, bytes))
            .collect();
        Superblock::choose(&copies).cloned()
    }

    /// A version after `before`.
    fn after(before: &Superblock, view: u64) -> Superblock {
        let parent = checksum_of(before);
        Superblock { parent, sequence: before.sequence + 1, ..version(view) }
    }

    #[test]
    fn the_newest_version_is_believed_unless_it_descends_from_none_of_the_others() {
        let one = version(1);
        let two = after(&one, 2);
        let copies = [one.clone(), two.clone(), one.clone(), one.clone()];
        assert_eq!(Superblock::choose(&copies), Some(&two), "a crash met the first pair");
        let stranger = after(&version(7), 9);
        let copies = [one.clone(), stranger.clone(), one.clone(), one.clone()];
        assert_eq!(Superblock::choose(&copies), Some(&one));
        let copies = [one.clone(), stranger.clone(), stranger.clone()];
        assert_eq!(Superblock::choose(&copies), Some(&stranger), "two copies are no accident");
        assert_eq!(Superblock::choose(core::slice::from_ref(&stranger)), Some(&stranger));
        let (four, three) = (after(&after(&two, 3), 4), after(&two, 3));
        let copies = [four.clone(), one, three.clone(), three];
        assert_eq!(Superblock::choose(&copies), Some(&four), "one copy was never written");
        assert_eq!(Superblock::choose(&[]), None);
        // Version by version alone, one old sector in the wrong place could make a replica forget its promise.
    }

    /// The same update, cut short after any number of its writes: never a mix, never nothing.
    #[test]
    fn a_crash_in_the_middle_leaves_the_old_or_the_new_version() {
        let size = usize::try_from(Superblock::copy_size(&configuration())).unwrap();
        for stop in 0..=4 {
            let mut disk = std::vec![0; size * 4];
            let mut tokens = Tokens::default();
            let mut effects = Effects::new();
            let first = version(1);
            for copy in 0..4 {
                let mut bytes = Vec::new();
                first.encode(u32::try_from(copy).unwrap(), &mut bytes);
                disk[copy * size..copy * size + bytes.len()].copy_from_slice(&bytes);
            }
            let mut writer = SuperblockWriter::new(&configuration(), first);
            writer.write(version(2), &mut tokens, &mut effects);
            let mut done = 0;
            let mut whole = false;
            while done < stop {
                let only_first = stop - done == 1;
                for token in carry_out(&mut effects, &mut disk, only_first) {
                    let Some(Subject::SuperblockCopy(copy)) = Subject::of(token) else {
                        unreachable!("only the superblock writes here")
                    };
                    done += 1;
                    whole |= writer.on_written(copy, &mut tokens, &mut effects);
                }
            }
            let found = read_back(&disk).expect("at least two copies are whole");
            assert_eq!(found.view.get(), if stop == 0 { 1 } else { 2 });
            assert_eq!(whole, stop == 4, "only the last copy makes it durable");
        }
        // Had all four been written at once, a crash could tear each of them.
    }

    #[test]
    fn of_the_versions_that_wait_only_the_newest_is_written() {
        let mut tokens = Tokens::default();
        let mut effects = Effects::new();
        let size = usize::try_from(Superblock::copy_size(&configuration())).unwrap();
        let mut disk = std::vec![0; size * 4];
        let mut writer = SuperblockWriter::new(&configuration(), version(1));
        for view in 2..6 {
            writer.write(version(view), &mut tokens, &mut effects);
        }
        let mut durable = Vec::new();
        loop {
            let written = carry_out(&mut effects, &mut disk, false);
            if written.is_empty() {
                break;
            }
            for token in written {
                let Some(Subject::SuperblockCopy(copy)) = Subject::of(token) else { continue };
                if writer.on_written(copy, &mut tokens, &mut effects) {
                    durable.push(writer.durable().view.get());
                }
            }
        }
        assert_eq!(durable, [2, 5]);
        assert_eq!(read_back(&disk).map(|found| found.sequence), Some(3));
        // Writing each in turn would let a churn of views pile up behind a slow disk.
    }
}
