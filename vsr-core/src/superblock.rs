//! The superblock: what a replica must never forget, written as one unit.
//!
//! The zone holds four copies. An update writes the first two, waits, and writes the other two, so that a crash at any
//! moment leaves at least two whole copies of one version. The greatest readable version is taken; nothing rested on it
//! before all four copies were durable, so the older and the newer one are both right.
//!
//! Every start writes a new version (with the incarnation counted up) before the replica takes part: a version that
//! only one copy holds is thereby either spread to all or overtaken before anything is said that rests on it.

use alloc::vec::Vec;

use crate::checksum::Checksum;
use crate::configuration::{Configuration, SECTOR_SIZE};
use crate::header::{HEADER_SIZE, Header};
use crate::io::{Effects, Zone};
use crate::number::{ClusterId, Incarnation, OpNumber, ReplicaIndex, ViewNumber};
use crate::token::{Subject, Tokens};

/// How many copies the zone holds.
pub const COPIES: u32 = 4;

/// The version of the encoding.
const SUPERBLOCK_FORMAT: u16 = 1;

/// Bytes before the headers.
const FIXED_SIZE: usize = 512;

/// Where it is told of the checkpoint.
const CHECKPOINT_AT: usize = 120;

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
            headers: Vec::new(),
        }
    }

    /// Bytes that one copy takes in the zone: whole sectors.
    #[must_use]
    pub fn copy_size(configuration: &Configuration) -> u64 {
        let headers = u64::from(configuration.pipeline_max) * HEADER_SIZE as u64;
        (FIXED_SIZE as u64 + headers).next_multiple_of(SECTOR_SIZE)
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

    /// Appends the bytes of this version, its checksum first.
    ///
    /// Layout, little-endian, fields in bytes: checksum 16, parent 16, sequence 8, cluster 8, incarnation 8, view 8, log view 8,
    /// op 8, commit 8, slots 4, greatest body 4, pipeline 4, count of headers 4, format 2, replica 1, count of replicas 1, interval of
    /// checkpoints 4, greatest checkpoint 4; zeros up to 120. At 120 what is known of the checkpoint, or zeros if there is none: its
    /// size 8, its checksum 16, its area 1; zeros up to 256, where configurations will stand; the header of its operation 256. At 512
    /// the headers.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
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
    }

    /// Reads one copy back; `None` unless it is whole. Bytes after its end are not looked at.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let fixed = bytes.get(..FIXED_SIZE)?;
        let wide = |at: usize| Some(u128::from_le_bytes(fixed.get(at..at + 16)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(fixed.get(at..at + 8)?.try_into().ok()?));
        let word = |at: usize| Some(u32::from_le_bytes(fixed.get(at..at + 4)?.try_into().ok()?));
        let header_count = usize::try_from(word(100)?).ok()?;
        let size = FIXED_SIZE.checked_add(header_count.checked_mul(HEADER_SIZE)?)?;
        let checksum = Checksum::of(bytes.get(16..size)?);
        if checksum.get() != wide(0)?
            || u16::from_le_bytes([fixed[104], fixed[105]]) != SUPERBLOCK_FORMAT
        {
            return None;
        }
        let headers = bytes[FIXED_SIZE..size].chunks_exact(HEADER_SIZE).map(Header::decode);
        let superblock = Self {
            parent: Checksum::new(wide(16)?),
            sequence: long(32)?,
            cluster: ClusterId::new(long(40)?),
            incarnation: Incarnation::new(long(48)?),
            view: ViewNumber::new(long(56)?),
            log_view: ViewNumber::new(long(64)?),
            op: OpNumber::new(long(72)?),
            commit: OpNumber::new(long(80)?),
            slots: word(88)?,
            body_size_max: word(92)?,
            pipeline_max: word(96)?,
            replica: ReplicaIndex::checked(fixed[106])?,
            replica_count: fixed[107],
            checkpoint_interval: word(108)?,
            snapshot_size_max: word(112)?,
            checkpoint: checkpoint_in(fixed)?,
            headers: headers.collect::<Option<Vec<_>>>()?,
        };
        superblock.is_consistent().then_some(superblock)
    }

    /// The copy to believe: the greatest version among those that are whole.
    #[must_use]
    pub fn choose(copies: impl IntoIterator<Item = Self>) -> Option<Self> {
        copies.into_iter().max_by_key(|copy| copy.sequence)
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

/// Brings versions of the superblock to the disk, one at a time; of those that wait only the newest is written.
#[derive(Debug)]
pub struct SuperblockWriter {
    /// What all four copies hold.
    durable: Superblock,
    /// What is being written, and how far that is.
    writing: Option<Writing>,
    /// What is to be written next.
    waiting: Option<Superblock>,
    copy_size: u64,
}

#[derive(Debug)]
struct Writing {
    version: Superblock,
    /// The first copy of the pair that is being written: 0 or 2.
    pair: u32,
    /// How many of the pair are not durable yet.
    left: u8,
}

impl SuperblockWriter {
    /// A writer over a disk that holds `durable`, in one copy at least.
    #[must_use]
    pub fn new(configuration: &Configuration, durable: Superblock) -> Self {
        let copy_size = Superblock::copy_size(configuration);
        Self { durable, writing: None, waiting: None, copy_size }
    }

    /// What is durable.
    #[must_use]
    pub const fn durable(&self) -> &Superblock {
        &self.durable
    }

    /// What will be durable in the end, if nothing else comes.
    #[must_use]
    pub fn newest(&self) -> &Superblock {
        match (&self.waiting, &self.writing) {
            (Some(waiting), _) => waiting,
            (None, Some(writing)) => &writing.version,
            (None, None) => &self.durable,
        }
    }

    /// Whether all that was asked for is durable.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.writing.is_none()
    }

    /// Asks for `version` to be made durable; its sequence and parent are set here.
    pub fn write(&mut self, version: Superblock, tokens: &mut Tokens, effects: &mut Effects) {
        assert!(version.log_view <= version.view);
        assert!(version.view >= self.newest().view);
        assert!(version.log_view >= self.newest().log_view);
        assert!(version.checkpoint_op() >= self.newest().checkpoint_op());
        self.waiting = Some(version);
        if self.writing.is_none() {
            self.begin_next(tokens, effects);
        }
    }

    /// One copy is durable. Answers whether a whole version now is.
    pub fn on_written(&mut self, copy: u32, tokens: &mut Tokens, effects: &mut Effects) -> bool {
        let writing = self.writing.as_mut().expect("a copy is only written on our behalf");
        assert!(copy == writing.pair || copy == writing.pair + 1);
        assert!(writing.left > 0);
        writing.left -= 1;
        if writing.left > 0 {
            return false;
        }
        if writing.pair == 0 {
            writing.pair = 2;
            writing.left = 2;
            write_pair(&writing.version, 2, self.copy_size, tokens, effects);
            return false;
        }
        let written = self.writing.take().expect("looked at above");
        self.durable = written.version;
        if self.waiting.is_some() {
            self.begin_next(tokens, effects);
        }
        true
    }

    fn begin_next(&mut self, tokens: &mut Tokens, effects: &mut Effects) {
        assert!(self.writing.is_none());
        let mut version = self.waiting.take().expect("something waits");
        version.sequence = self.durable.sequence + 1;
        version.parent = checksum_of(&self.durable);
        write_pair(&version, 0, self.copy_size, tokens, effects);
        self.writing = Some(Writing { version, pair: 0, left: 2 });
    }
}

fn checksum_of(superblock: &Superblock) -> Checksum {
    let mut bytes = Vec::with_capacity(FIXED_SIZE + superblock.headers.len() * HEADER_SIZE);
    superblock.encode(&mut bytes);
    Checksum::of(&bytes[16..])
}

fn write_pair(
    version: &Superblock,
    pair: u32,
    copy_size: u64,
    tokens: &mut Tokens,
    effects: &mut Effects,
) {
    for copy in pair..pair + 2 {
        let token = tokens.next(Subject::SuperblockCopy(copy));
        let offset = u64::from(copy) * copy_size;
        effects.write(token, Zone::Superblock, offset, |bytes| version.encode(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Effect;

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
        superblock.encode(&mut bytes);
        assert_eq!(Superblock::decode(&bytes), Some(superblock));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Superblock::decode(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for size in 0..bytes.len() {
            assert_eq!(Superblock::decode(&bytes[..size]), None, "cut to {size}");
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
        Superblock::choose(disk.chunks_exact(size).filter_map(Superblock::decode))
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
                first.encode(&mut bytes);
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
