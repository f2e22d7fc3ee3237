//! I15: what a superblock names is a whole checkpoint, and that of its operation: the same bytes at every replica, and in them the
//! state that executing the log up to there gives.

use vsr_core::checkpoint::Checkpoint;
use vsr_core::checksum::Checksum;
use vsr_core::number::ReplicaIndex;
use vsr_core::superblock::CheckpointRecord;

use super::facts::{Facts, Taken};
use super::violation::{Property, Violation};

/// The checkpoint that the superblock of `replica` names, if its disk holds it.
pub(super) fn read(
    facts: &Facts,
    replica: ReplicaIndex,
    record: &CheckpointRecord,
) -> Result<Checkpoint, Box<Violation>> {
    let bytes = facts.replica(replica).disk.snapshot(record.area, record.size);
    Checkpoint::read(record.checksum, bytes)
        .filter(|checkpoint| *checkpoint.header() == record.header)
        .ok_or_else(|| {
            let what = format!(
                "of the {} bytes that its superblock names, checksum {}, its disk holds others",
                record.size, record.checksum,
            );
            broken(facts, replica, record, "not whole", &what)
        })
}

/// Whether the superblock of `replica` names bytes that its disk holds, and that were read and judged on another disk already: the
/// same bytes, of an operation whose header is that of the log.
pub(super) fn is_judged(facts: &Facts, replica: ReplicaIndex, record: &CheckpointRecord) -> bool {
    let Some(place) = facts.log.place(record.header.op) else { return false };
    place.taken.is_judged
        && place.taken.first.is_some_and(|(first, _)| first == record.checksum)
        && place.committed_header() == Some(&record.header)
        && Checksum::of(facts.replica(replica).disk.snapshot(record.area, record.size))
            == record.checksum
}

/// Holds a checkpoint that is whole against what it must be.
pub(super) fn check(
    facts: &Facts,
    replica: ReplicaIndex,
    record: &CheckpointRecord,
    checkpoint: &Checkpoint,
    expected: &Taken,
) -> Option<Box<Violation>> {
    if !facts.configuration.is_checkpoint(record.header.op) {
        let interval = facts.configuration.checkpoint_interval;
        let what = format!("checkpoints are taken after every {interval} operations");
        return Some(broken(facts, replica, record, "operation", &what));
    }
    if let Some((first, by)) = expected.first.filter(|(first, _)| *first != record.checksum) {
        let what = format!(
            "that of {by} has checksum {first}, this one {}: {}",
            record.checksum,
            describe(checkpoint, expected),
        );
        return Some(broken(facts, replica, record, "bytes", &what));
    }
    let state = Checksum::of(checkpoint.parts().1);
    if expected.state.is_some_and(|expected| expected != state) {
        let what = format!("its state has checksum {state}, another than execution gives");
        return Some(broken(facts, replica, record, "state", &what));
    }
    None
}

/// In which part two checkpoints differ that should be one.
fn describe(checkpoint: &Checkpoint, expected: &Taken) -> &'static str {
    let state = Checksum::of(checkpoint.parts().1);
    if expected.state.is_some_and(|expected| expected != state) {
        "its state is not that of the log"
    } else {
        "they differ outside the state of the service, or the other one is wrong"
    }
}

#[cold]
fn broken(
    facts: &Facts,
    replica: ReplicaIndex,
    record: &CheckpointRecord,
    place: &str,
    what: &str,
) -> Box<Violation> {
    let message =
        format!("the disk of {replica} names a checkpoint of {}\n{what}", record.header.op);
    facts.violation(Property::CheckpointEqual, place, message)
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn honest_checkpoints_accuse_nobody() {
        let (mut forge, taken) = Forge::at_checkpoint();
        for replica in 0..3 {
            forge.store_checkpoint(replica, &taken);
        }
        assert_eq!(forge.fired(), []);
    }

    #[test]
    fn a_checkpoint_that_is_not_on_the_disk_is_told() {
        let (mut forge, taken) = Forge::at_checkpoint();
        forge.name_checkpoint(1, &taken);
        assert_eq!(forge.fired(), [Property::CheckpointEqual]);
    }

    #[test]
    fn two_replicas_must_not_take_different_ones() {
        let (mut forge, taken) = Forge::at_checkpoint();
        forge.store_checkpoint(0, &taken);
        let other = forge.checkpoint_with(b"another answer", b"2");
        forge.store_checkpoint(1, &other);
        assert_eq!(forge.fired(), [Property::CheckpointEqual]);
        // Were only states compared, a reply that differs would come out when somebody asks for it, or never.
    }

    #[test]
    fn all_may_be_wrong_alike() {
        let (mut forge, _) = Forge::at_checkpoint();
        let early = forge.checkpoint_with(b"two", b"1");
        forge.store_checkpoint(0, &early);
        assert_eq!(forge.fired(), [Property::CheckpointEqual]);
        // One operation less than it says: whoever begins from there would execute on the wrong state.
    }
}
