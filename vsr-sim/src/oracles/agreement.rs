//! I1: whoever commits an operation, commits the same one at the same place.
//!
//! "Committed" is what anybody acts upon as if it were: a heartbeat or a prepare that says so, a reply that leaves, an
//! operation that reaches the service. The first evidence settles the place; every other one must be of the same entry.

use vsr_core::checksum::Checksum;
use vsr_core::number::{OpNumber, ReplicaIndex, ViewNumber};

use super::facts::{Committed, Facts, How, describe};
use super::violation::{Property, Violation};

/// Somebody acts as if an entry were committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) op: OpNumber,
    pub(super) checksum: Checksum,
    /// The view in whose log it stands.
    pub(super) view: ViewNumber,
    pub(super) by: ReplicaIndex,
    pub(super) how: How,
}

/// The claim means that `checksum` is committed at `op`, where `committed` was before.
#[cold]
pub(super) fn broken(
    facts: &Facts,
    claim: &Claim,
    op: OpNumber,
    checksum: Checksum,
    committed: &Committed,
) -> Box<Violation> {
    let entry = |checksum| {
        facts
            .log
            .place(op)
            .and_then(|place| place.header(checksum))
            .map_or_else(|| format!("an unknown entry, checksum {checksum}"), describe)
    };
    let message = format!(
        "{op} was committed by {} in {}, {} at {}: {}\n{op} is committed by {} in {}, {}: {}",
        committed.by,
        committed.view,
        committed.how,
        committed.at,
        entry(committed.checksum),
        claim.by,
        claim.view,
        claim.how,
        entry(checksum),
    );
    facts.violation(Property::Agreement, claim.how.name(), message)
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_second_operation_at_a_committed_place_is_told() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let other = forge.request_of(crate::oracles::forge::CLIENT, 2, b"two");
        let parent = forge.head();
        let first = forge.append(0, &request);
        forge.commit(0, &first);
        assert_eq!(forge.fired(), []);
        // r1 had an entry of a view that never got through, and takes it for committed there.
        let second = forge.entry_after(1, 2, parent, &other);
        forge.join(1, &[]);
        forge.prepare(1, &second, 1);
        assert_eq!(forge.fired(), [Property::ViewSurvival], "it must not even be prepared");
        forge.commit(1, &second);
        assert_eq!(forge.fired(), [Property::ViewSurvival, Property::Agreement]);
    }

    #[test]
    fn an_old_view_that_commits_another_operation_is_told_alone() {
        let mut forge = Forge::of(3);
        let (one, two) = (forge.request(1, b"one"), forge.request(2, b"two"));
        // View 0 prepares one; view 1 never hears of it, and commits two.
        let old = forge.entry_after(0, 2, forge.head(), &one);
        forge.prepare(0, &old, 1);
        for replica in [1, 2] {
            forge.promise(replica, 1, 1);
        }
        let new = forge.entry_after(1, 2, forge.head(), &two);
        forge.prepare(1, &new, 1);
        for replica in [1, 2] {
            forge.store(replica, &new);
        }
        forge.ack(2, 1, &new);
        forge.commit(1, &new);
        assert_eq!(forge.fired(), [], "the operation of the old view was never committed");
        // The old primary should never find a quorum for it.
        forge.commit(0, &old);
        assert_eq!(forge.fired(), [Property::Agreement]);
        let violation = forge.oracles.violation().unwrap();
        assert!(violation.message.contains("c1 s1 req1"), "{}", violation.message);
        assert!(violation.message.contains("c1 s1 req2"), "{}", violation.message);
    }
}
