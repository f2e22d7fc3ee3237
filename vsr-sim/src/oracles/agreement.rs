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
) -> Violation {
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
