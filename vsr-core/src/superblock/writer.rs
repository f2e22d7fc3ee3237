//! How versions of the superblock come to the disk: two copies, and when those are durable the other two.

use alloc::vec::Vec;

use super::{Superblock, checksum_of, end_copy};
use crate::checksum::Checksum;
use crate::configuration::Configuration;
use crate::io::{Effects, Zone};
use crate::token::{Subject, Tokens};

/// Brings versions of the superblock to the disk, one at a time; of those that wait only the newest is written.
#[derive(Debug)]
pub struct SuperblockWriter {
    /// What all four copies hold.
    durable: Superblock,
    /// The checksum of that, if it was written here.
    durable_checksum: Option<Checksum>,
    /// What is being written, and how far that is.
    writing: Option<Writing>,
    /// What is to be written next.
    waiting: Option<Superblock>,
    copy_size: u64,
    /// What all copies of the version being written begin with.
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Writing {
    version: Superblock,
    checksum: Checksum,
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
        Self {
            durable,
            durable_checksum: None,
            writing: None,
            waiting: None,
            copy_size,
            bytes: Vec::new(),
        }
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
            write_pair(&self.bytes, 2, self.copy_size, tokens, effects);
            return false;
        }
        let written = self.writing.take().expect("looked at above");
        self.durable = written.version;
        self.durable_checksum = Some(written.checksum);
        if self.waiting.is_some() {
            self.begin_next(tokens, effects);
        }
        true
    }

    fn begin_next(&mut self, tokens: &mut Tokens, effects: &mut Effects) {
        assert!(self.writing.is_none());
        let mut version = self.waiting.take().expect("something waits");
        version.sequence = self.durable.sequence + 1;
        version.parent = self.durable_checksum.unwrap_or_else(|| checksum_of(&self.durable));
        self.bytes.clear();
        let checksum = version.encode_version(&mut self.bytes);
        write_pair(&self.bytes, 0, self.copy_size, tokens, effects);
        self.writing = Some(Writing { version, checksum, pair: 0, left: 2 });
    }
}

fn write_pair(
    version: &[u8],
    pair: u32,
    copy_size: u64,
    tokens: &mut Tokens,
    effects: &mut Effects,
) {
    for copy in pair..pair + 2 {
        let token = tokens.next(Subject::SuperblockCopy(copy));
        let offset = u64::from(copy) * copy_size;
        effects.write(token, Zone::Superblock, offset, |bytes| {
            bytes.extend_from_slice(version);
            end_copy(copy, bytes);
        });
    }
}
