//! I2: what was committed stays on so many disks that every view change hears of it, and on one of them whole.
//!
//! A copy that was spoiled counts for the first: its replica cannot deny what it has acknowledged. Looked at whenever a disk loses an
//! entry: when another is written over it, when a crash tears what was being written there, or when it is spoiled.

use vsr_core::number::ReplicaIndex;

use super::facts::{Facts, Held, describe};
use super::violation::{Property, Violation};

/// The disk of `replica` no longer holds `lost`; `place` says how it happened.
pub(super) fn check(
    facts: &Facts,
    replica: ReplicaIndex,
    lost: &Held,
    place: &str,
) -> Option<Box<Violation>> {
    // Fewer, and a quorum of those that do not have it could change the view.
    let needed = facts.quorums.replica_count() - facts.quorums.view_change() + 1;
    let is_safe = || {
        let is_whole = facts.holders(lost) > 0 || facts.is_beyond_budget;
        facts.owers(lost) >= needed && is_whole
    };
    // Something stale: all is well, be it what was committed or not.
    if facts.log.is_forgotten(lost.op) && is_safe() {
        return None;
    }
    let committed = facts.log.place(lost.op)?.committed.as_ref()?;
    if committed.checksum != lost.checksum || is_safe() {
        return None;
    }
    let entry = facts.log.place(lost.op)?.committed_header().map(describe).unwrap_or_default();
    let message = format!(
        "{} was committed by {} in {} at {}: {entry}\nthe disk of {replica} has lost it; it is on {}, and {needed} are needed, one of them whole",
        lost.op,
        committed.by,
        committed.view,
        committed.at,
        facts.holders_text(lost),
    );
    Some(facts.violation(Property::AckedDurable, place, message))
}

#[cfg(test)]
mod tests {
    use crate::engine::disk::Resolution;
    use crate::oracles::forge::Forge;
    use crate::oracles::forge::r;
    use crate::oracles::judge::DiskBytes;
    use crate::oracles::violation::Property;
    use vsr_core::io::Zone;

    #[test]
    fn a_committed_operation_may_lose_as_many_copies_as_the_cluster_tolerates_and_no_more() {
        for (count, tolerated) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)] {
            let mut forge = Forge::of(count);
            let entry = forge.complete(1, b"one");
            let request = forge.request(2, b"two");
            // Another entry of some later view is written over it, on one disk after the other.
            let other = forge.entry_after(9, 2, forge.log[0].header().checksum, &request);
            for lost in 1..=count {
                forge.store(lost - 1, &other);
                let expected: &[Property] =
                    if lost > tolerated { &[Property::AckedDurable] } else { &[] };
                assert_eq!(forge.fired(), expected, "{lost} of {count}");
            }
            assert_eq!(entry.header().op, other.header().op);
        }
    }

    #[test]
    fn a_crash_that_tears_what_is_written_over_a_committed_operation_counts() {
        let mut forge = Forge::of(3);
        let entry = forge.complete(1, b"one");
        let offset = entry.header().op.get() * forge.configuration.prepare_slot_size();
        for replica in [0, 1] {
            forge.oracles.crashed(forge.now, r(replica), 1);
            let bytes = &vec![0xaa; 8192];
            let found = DiskBytes { replica: r(replica), zone: Zone::Prepares, offset, bytes };
            forge.oracles.write_resolved(forge.now, &found, Resolution::Torn { new: 1, old: 1 });
        }
        assert_eq!(forge.fired(), [Property::AckedDurable]);
    }

    /// Copies rot, one after the other: their replicas still owe the entry, so what counts is that one copy stays whole.
    #[test]
    fn of_a_committed_operation_all_copies_but_one_may_be_spoiled() {
        for count in 1..=7 {
            let mut forge = Forge::of(count);
            let entry = forge.complete(1, b"one");
            for lost in 1..=count {
                forge.spoil(lost - 1, &entry);
                let expected: &[Property] =
                    if lost == count { &[Property::AckedDurable] } else { &[] };
                assert_eq!(forge.fired(), expected, "{lost} of {count}");
            }
        }
    }

    /// A spoiled copy is still owed; once another entry is written over it, it is not.
    #[test]
    fn a_spoiled_copy_counts_until_it_is_written_over() {
        let mut forge = Forge::of(3);
        let entry = forge.complete(1, b"one");
        let request = forge.request(2, b"two");
        let other = forge.entry_after(9, 2, forge.log[0].header().checksum, &request);
        forge.spoil(0, &entry);
        forge.store(1, &other);
        assert_eq!(forge.fired(), []);
        forge.store(0, &other);
        assert_eq!(forge.fired(), [Property::AckedDurable]);
    }

    #[test]
    fn an_operation_that_was_never_committed_may_go() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let entry = forge.append(0, &request);
        let other = forge.entry_after(1, 2, entry.header().parent, &request);
        for replica in 0..3 {
            forge.store(replica, &other);
        }
        assert_eq!(forge.fired(), []);
    }
}
