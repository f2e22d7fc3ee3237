//! What a disk is taken to hold, by what its replica was told and what has become of it.

use super::*;

/// A version that says so, and follows the first one of view 4.
#[expect(clippy::unnecessary_wraps, reason = "what a copy holds")]
fn promise(sequence: u64, view: u64) -> Option<Promise> {
    let version = |sequence, view| Checksum::new(u128::from(sequence * 100 + view));
    let (parent, version) = (version(1, 4), version(sequence, view));
    let view = ViewNumber::new(view);
    Some(Promise { sequence, version, parent, view, ..Promise::default() })
}

const SLOTS: u32 = 8;

fn held(op: u64, checksum: u128, parent: u128) -> Held {
    Held { op: OpNumber::new(op), checksum: Checksum::new(checksum), parent: Checksum::new(parent) }
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

/// An entry rots: its replica goes on believing in it until it starts again, and owes it until it is written again.
#[test]
fn what_is_spoiled_is_believed_until_a_start_and_owed_until_it_is_written() {
    let root = Checksum::new(100);
    let mut disk = Disk::default();
    let (one, two) = (held(1, 101, 100), held(2, 102, 101));
    disk.put(1, Some(one), root, SLOTS);
    disk.put(2, Some(two), root, SLOTS);
    disk.spoil(1, None);
    assert!(disk.holds(&one, SLOTS) && !disk.is_whole(&one, SLOTS) && disk.owes(&one, SLOTS));
    assert_eq!(disk.prefix().get(), 2);
    disk.read_back(root, SLOTS);
    assert!(!disk.holds(&one, SLOTS) && disk.owes(&one, SLOTS));
    assert_eq!((disk.prefix().get(), disk.owed_count()), (0, 1));
    assert_eq!(disk.put(1, Some(one), root, SLOTS), Some(one));
    assert_eq!((disk.prefix().get(), disk.owed_count()), (2, 0));
    // A write over it is lost: the old entry is still there, and the new one is owed.
    let other = held(2, 202, 101);
    assert_eq!(disk.put(2, Some(other), root, SLOTS), Some(two));
    disk.spoil(2, Some(two));
    assert!(disk.holds(&other, SLOTS) && disk.owes(&other, SLOTS) && disk.is_whole(&two, SLOTS));
    // An oracle that took the disk's word would not see that an acknowledged entry has one copy less.
}

/// A disk is read badly at a start: what it holds stays, and the replica goes by what it was given.
#[test]
fn what_is_read_is_believed_whatever_is_there_until_the_next_start() {
    let root = Checksum::new(100);
    let mut disk = Disk::default();
    let (one, two) = (held(1, 101, 100), held(2, 102, 101));
    disk.put(1, Some(one), root, SLOTS);
    disk.put(2, Some(two), root, SLOTS);
    disk.read_slot(1, None, root, SLOTS);
    assert!(!disk.holds(&one, SLOTS) && disk.is_whole(&one, SLOTS));
    assert_eq!(disk.prefix().get(), 0);
    disk.read_back(root, SLOTS);
    assert_eq!(disk.prefix().get(), 2);
    // A write has gone astray, and so has the read that looks for it: the replica cannot know that the entry is not there.
    disk.spoil(1, None);
    disk.read_back(root, SLOTS);
    disk.read_slot(1, Some(one), root, SLOTS);
    assert!(disk.holds(&one, SLOTS) && !disk.is_whole(&one, SLOTS) && disk.owes(&one, SLOTS));
    assert_eq!(disk.prefix().get(), 2);
    disk.read_back(root, SLOTS);
    assert_eq!(disk.prefix().get(), 0);
    // It is written again, before the answer to an old question comes.
    disk.put(1, Some(one), root, SLOTS);
    disk.wrote_slot(1);
    disk.read_slot(1, None, root, SLOTS);
    assert_eq!(disk.prefix().get(), 2);
    // Held against what is there, a right replica would acknowledge what it does not have.
}

/// Only one copy names a later version, and cannot be read: the start goes on from the older one, and counts up from that.
#[test]
fn a_version_that_was_overlooked_at_a_start_is_not_what_the_replica_goes_by() {
    let root = Checksum::new(100);
    let mut disk = Disk::default();
    for copy in 0..4 {
        disk.put_promise(copy, promise(1, 4), root, SLOTS);
    }
    disk.put_promise(3, promise(2, 5), root, SLOTS);
    disk.read_promise(3, None, root, SLOTS);
    assert_eq!(disk.promise().view.get(), 4);
    disk.read_back(root, SLOTS);
    assert_eq!(disk.promise().view.get(), 5, "another start may read it");
    // A late write brings it beside another of the same number: all copies are alike, and so the checksum decides.
    let mut late = Disk::default();
    late.put_promise(0, promise(1, 4), root, SLOTS);
    for (copy, view) in [(1, 6), (2, 5)] {
        late.put_promise(copy, promise(2, view), root, SLOTS);
    }
    assert_eq!(late.promise().view.get(), 6, "not the last one");
    late.put_promise(3, promise(3, 9).map(|other| Promise { parent: root, ..other }), root, SLOTS);
    assert_eq!(late.promise().view.get(), 6, "nobody knows where that one comes from");
    // Overtaken on the other copies by a version of the same number, it is outvoted.
    for copy in 0..3 {
        disk.put_promise(copy, promise(2, 4), root, SLOTS);
    }
    assert_eq!(disk.promise().view.get(), 4);
}

#[test]
fn the_promise_is_the_newest_whole_copy() {
    let mut disk = Disk::default();
    let put =
        |disk: &mut Disk, copy, promise| disk.put_promise(copy, promise, Checksum::new(100), SLOTS);
    put(&mut disk, 0, promise(1, 4));
    assert_eq!(put(&mut disk, 1, promise(2, 5)).view.get(), 4);
    assert_eq!(disk.promise().view.get(), 5);
    disk.spoil_promise(1, None);
    assert_eq!(disk.promise().view.get(), 5, "nobody knows");
    disk.read_back(Checksum::new(100), SLOTS);
    assert_eq!(disk.promise().view.get(), 4);
    put(&mut disk, 1, None);
    assert_eq!(disk.promise().view.get(), 4);
    put(&mut disk, 0, None);
    assert_eq!(*disk.promise(), Promise::default());
}

/// A crash meets the writing of a version when one copy holds it: the next start may not be able to read that one.
#[test]
fn a_version_that_is_on_some_copies_only_binds_nobody_yet() {
    let mut disk = Disk::default();
    let put = |disk: &mut Disk, copies: std::ops::Range<usize>, promise| {
        for copy in copies {
            disk.put_promise(copy, promise, Checksum::new(100), SLOTS);
        }
        (disk.promise().view.get(), disk.established().view.get())
    };
    assert_eq!(put(&mut disk, 0..4, promise(1, 4)), (4, 4));
    assert_eq!(put(&mut disk, 0..1, promise(2, 5)), (5, 4));
    assert_eq!(put(&mut disk, 1..2, None), (5, 4), "torn");
    assert_eq!(put(&mut disk, 1..4, promise(2, 5)), (5, 5));
    // Once it is on all of them, an older one on all of them is a promise that was taken back.
    assert_eq!(put(&mut disk, 0..4, promise(1, 4)), (4, 5));
}

#[test]
fn a_checkpoint_is_whole_until_a_piece_of_it_is_spoiled_and_again_when_that_is_written() {
    const AREA: u64 = 1 << 17;
    let mut header = Header::root(vsr_core::number::ClusterId::new(1));
    header.op = OpNumber::new(4);
    let mut disk = Disk::default();
    assert_eq!(disk.whole_checkpoint_op(AREA), OpNumber::ZERO);
    disk.put_snapshot(AREA, b"state", AREA);
    let checksum = Checksum::of(b"state");
    let checkpoint = CheckpointRecord { header, checksum, size: 5, area: Area::Second };
    let promise = Promise { sequence: 1, checkpoint: Some(checkpoint), ..Promise::default() };
    disk.put_promise(0, Some(promise), Checksum::new(100), SLOTS);
    assert_eq!(disk.whole_checkpoint_op(AREA), OpNumber::new(4));
    disk.spoil_snapshot(0, b"nonsense", AREA);
    disk.spoil_snapshot(AREA, b"state and zeros", AREA);
    assert_eq!(disk.whole_checkpoint_op(AREA), OpNumber::new(4), "the other area, and no harm");
    for spoiled in [&b"stale"[..], b""] {
        disk.spoil_snapshot(AREA, spoiled, AREA);
        assert_eq!(disk.whole_checkpoint_op(AREA), OpNumber::ZERO);
        disk.put_snapshot(AREA, b"state", AREA);
        assert_eq!(disk.whole_checkpoint_op(AREA), OpNumber::new(4));
    }
    // A core whose only newer checkpoint is spoiled cannot bring anybody up to date.
}

#[test]
fn the_prefix_goes_on_behind_the_checkpoint_though_slots_be_used_again() {
    let root = Checksum::new(100);
    let mut disk = Disk::default();
    for op in 1..=6 {
        let slot = usize::try_from(op).unwrap();
        disk.put(slot, Some(held(op, u128::from(op) + 100, u128::from(op) + 99)), root, SLOTS);
    }
    let mut header = Header::root(vsr_core::number::ClusterId::new(1));
    header.op = OpNumber::new(4);
    header.checksum = Checksum::new(104);
    let checksum = Checksum::ZERO;
    let checkpoint = CheckpointRecord { header, checksum, size: 1, area: Area::First };
    let promise = Promise { sequence: 1, checkpoint: Some(checkpoint), ..Promise::default() };
    disk.put_promise(0, Some(promise), root, SLOTS);
    assert_eq!(disk.prefix().get(), 6);
    disk.put(1, Some(held(9, 109, 108)), root, SLOTS);
    assert_eq!(disk.prefix().get(), 6, "what the checkpoint holds may go");
    disk.put(5, Some(held(13, 113, 112)), root, SLOTS);
    assert_eq!(disk.prefix().get(), 4, "what it does not hold may not");
    assert!(disk.holds(&held(1, 101, 100), SLOTS));
    assert!(!disk.holds(&held(5, 105, 104), SLOTS));
    // A prefix that began at the first operation for ever would be over as soon as a slot is used again.
}
