//! What the disk of one replica holds, decoded: the entries of its write-ahead log, and its promise.

use vsr_core::checksum::Checksum;
use vsr_core::header::{HEADER_SIZE, Header};
use vsr_core::number::{OpNumber, ViewNumber};
use vsr_core::superblock::Superblock;

/// A whole entry in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Held {
    pub(in super::super) op: OpNumber,
    pub(in super::super) checksum: Checksum,
    pub(in super::super) parent: Checksum,
}

impl Held {
    pub(in super::super) const fn of(header: &Header) -> Self {
        Self { op: header.op, checksum: header.checksum, parent: header.parent }
    }
}

/// What a superblock binds its replica to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Promise {
    pub(in super::super) sequence: u64,
    pub(in super::super) view: ViewNumber,
    pub(in super::super) log_view: ViewNumber,
}

/// One disk.
#[derive(Debug, Default)]
pub(in super::super) struct Disk {
    /// The ring of prepares, as far as it was ever written.
    slots: Vec<Option<Held>>,
    /// All operations from 1 to here are in their slots, and form a chain.
    prefix: u64,
    copies: Vec<Option<Promise>>,
    promise: Promise,
}

impl Disk {
    pub(super) fn reset(&mut self) {
        self.slots.clear();
        self.prefix = 0;
        self.copies.clear();
        self.promise = Promise::default();
    }

    /// The entry that is in the slot of `op`; it may be of another operation.
    pub(in super::super) fn slot(&self, op: OpNumber, slots: u32) -> Option<Held> {
        self.slots.get(slot_of(op, slots)).copied().flatten()
    }

    pub(in super::super) fn holds(&self, held: &Held, slots: u32) -> bool {
        self.slot(held.op, slots).is_some_and(|slot| slot.checksum == held.checksum)
    }

    /// All operations from 1 to this one are here, a chain.
    pub(in super::super) const fn prefix(&self) -> OpNumber {
        OpNumber::new(self.prefix)
    }

    /// The newest promise that is whole on any copy.
    pub(in super::super) const fn promise(&self) -> Promise {
        self.promise
    }

    /// The slot holds this now; answers what it held before. `root` is the checksum that the first operation follows.
    pub(in super::super) fn put(
        &mut self,
        slot: usize,
        held: Option<Held>,
        root: Checksum,
        slots: u32,
    ) -> Option<Held> {
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, None);
        }
        let before = std::mem::replace(&mut self.slots[slot], held);
        if before == held {
            return before;
        }
        for changed in [before, held].into_iter().flatten() {
            self.prefix = self.prefix.min(changed.op.get().saturating_sub(1));
        }
        self.advance(root, slots);
        before
    }

    fn advance(&mut self, root: Checksum, slots: u32) {
        let mut last = match self.prefix {
            0 => root,
            prefix => match self.slot(OpNumber::new(prefix), slots) {
                Some(held) => held.checksum,
                None => unreachable!("the prefix is in its slots"),
            },
        };
        while let Some(next) = self.slot(OpNumber::new(self.prefix + 1), slots) {
            if next.op.get() != self.prefix + 1 || next.parent != last {
                break;
            }
            self.prefix += 1;
            last = next.checksum;
        }
    }

    /// A copy of the superblock holds this now; answers the promise before.
    pub(in super::super) fn put_promise(&mut self, copy: usize, now: Option<Promise>) -> Promise {
        if copy >= self.copies.len() {
            self.copies.resize(copy + 1, None);
        }
        self.copies[copy] = now;
        let newest = self.copies.iter().flatten().max_by_key(|promise| promise.sequence);
        std::mem::replace(&mut self.promise, newest.copied().unwrap_or_default())
    }
}

fn slot_of(op: OpNumber, slots: u32) -> usize {
    usize::try_from(op.get() % u64::from(slots)).expect("slots fit in memory")
}

/// The entry at the beginning of `bytes`, if a whole one is there.
pub(in super::super) fn entry_in(bytes: &[u8]) -> Option<Header> {
    let header = Header::decode(bytes)?;
    let size = usize::try_from(header.size).ok()?;
    let body = bytes.get(HEADER_SIZE..)?.get(..size)?;
    (header.checksum_body == Checksum::of(body)).then_some(header)
}

/// The promise in a copy of the superblock, if it is whole.
pub(in super::super) fn promise_in(bytes: &[u8]) -> Option<Promise> {
    let superblock = Superblock::decode(bytes)?;
    let Superblock { sequence, view, log_view, .. } = superblock;
    Some(Promise { sequence, view, log_view })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: u32 = 8;

    fn held(op: u64, checksum: u128, parent: u128) -> Held {
        Held {
            op: OpNumber::new(op),
            checksum: Checksum::new(checksum),
            parent: Checksum::new(parent),
        }
    }

    #[test]
    fn the_prefix_is_as_long_as_the_chain_without_a_hole() {
        let root = Checksum::new(100);
        let mut disk = Disk::default();
        let put = |disk: &mut Disk, held: Held| {
            let slot = usize::try_from(held.op.get()).unwrap();
            disk.put(slot, Some(held), root, SLOTS);
            disk.prefix().get()
        };
        assert_eq!(put(&mut disk, held(2, 102, 101)), 0, "a hole at 1");
        assert_eq!(put(&mut disk, held(1, 101, 100)), 2);
        assert_eq!(put(&mut disk, held(3, 103, 102)), 3);
        // Another entry at 2 breaks the chain to 3 as well.
        assert_eq!(put(&mut disk, held(2, 202, 101)), 2);
        assert_eq!(put(&mut disk, held(3, 203, 202)), 3);
        // A torn write leaves nothing.
        disk.put(1, None, root, SLOTS);
        assert_eq!(disk.prefix().get(), 0);
        assert_eq!(put(&mut disk, held(1, 101, 100)), 3);
        // A prefix that ran over a hole would believe an acknowledgement that a crash takes back.
    }

    #[test]
    fn the_promise_is_the_newest_whole_copy() {
        let promise = |sequence, view| {
            Some(Promise { sequence, view: ViewNumber::new(view), log_view: ViewNumber::ZERO })
        };
        let mut disk = Disk::default();
        disk.put_promise(0, promise(1, 4));
        assert_eq!(disk.put_promise(1, promise(2, 5)).view.get(), 4);
        assert_eq!(disk.promise().view.get(), 5);
        disk.put_promise(1, None);
        assert_eq!(disk.promise().view.get(), 4);
        disk.put_promise(0, None);
        assert_eq!(disk.promise(), Promise::default());
    }
}
