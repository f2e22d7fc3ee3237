//! I3: at the moment of the first evidence that an operation is committed, a replication quorum has it on disk, whole.
//!
//! Disks are looked at, not acknowledgements: an acknowledgement that came before its write counts for nothing here. A copy that was
//! whole and has been spoiled since does.

use super::agreement::Claim;
use super::facts::{Facts, Held, describe};
use super::violation::{Property, Violation};

/// Judges an entry that has just become committed.
pub(super) fn check(facts: &Facts, held: &Held, claim: &Claim) -> Option<Box<Violation>> {
    if facts.owers(held) >= facts.quorums.replication() {
        return None;
    }
    Some(broken(facts, held, claim))
}

#[cold]
pub(super) fn broken(facts: &Facts, held: &Held, claim: &Claim) -> Box<Violation> {
    let entry = facts
        .log
        .place(held.op)
        .and_then(|place| place.header(held.checksum))
        .map_or_else(|| format!("an entry that nobody has seen, {}", held.checksum), describe);
    let message = format!(
        "{} commits {} in {}, {}: {entry}\nit is on {}, and a quorum is {} of {}",
        claim.by,
        held.op,
        claim.view,
        claim.how,
        facts.holders_text(held),
        facts.quorums.replication(),
        facts.quorums.replica_count(),
    );
    facts.violation(Property::QuorumDurable, claim.how.name(), message)
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_commit_before_a_quorum_has_it_on_disk_is_told() {
        for (count, enough) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)] {
            for holders in 0..=count {
                let mut forge = Forge::of(count);
                let request = forge.request(1, b"one");
                let entry = forge.next(0, &request);
                forge.prepare(0, &entry, 1);
                for replica in 0..holders {
                    forge.store(replica, &entry);
                }
                forge.commit(0, &entry);
                let expected: &[Property] =
                    if holders < enough { &[Property::QuorumDurable] } else { &[] };
                assert_eq!(forge.fired(), expected, "{holders} of {count}");
            }
        }
    }

    #[test]
    fn an_answer_or_an_execution_is_a_commit_too() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let entry = forge.next(0, &request);
        forge.prepare(0, &entry, 1);
        forge.store(0, &entry);
        let mut other = Forge::of(3);
        other.request(1, b"one");
        other.prepare(0, &entry, 1);
        other.store(0, &entry);

        forge.reply(0, 0, &entry, b"one");
        assert_eq!(forge.fired(), [Property::QuorumDurable]);
        other.apply(0, b"one");
        assert_eq!(other.fired(), [Property::QuorumDurable]);
        // An oracle that waited for the heartbeat would miss a primary that answers and dies.
    }
}
