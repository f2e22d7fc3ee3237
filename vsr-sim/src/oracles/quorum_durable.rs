//! I3: at the moment of the first evidence that an operation is committed, a replication quorum has it on disk, whole.
//!
//! Disks are looked at, not acknowledgements: an acknowledgement that came before its write counts for nothing here.

use super::agreement::Claim;
use super::facts::{Facts, Held, describe};
use super::violation::{Property, Violation};

/// Judges an entry that has just become committed.
pub(super) fn check(facts: &Facts, held: &Held, claim: &Claim) -> Option<Violation> {
    if facts.holders(held) >= facts.quorums.replication() {
        return None;
    }
    Some(broken(facts, held, claim))
}

#[cold]
pub(super) fn broken(facts: &Facts, held: &Held, claim: &Claim) -> Violation {
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
