//! I2: what was committed stays on so many disks that every view change hears of it.
//!
//! Looked at whenever a disk loses an entry: when another is written over it, or a crash tears what was being written there.

use vsr_core::number::ReplicaIndex;

use super::facts::{Facts, Held, describe};
use super::violation::{Property, Violation};

/// The disk of `replica` no longer holds `lost`; `place` says how it happened.
pub(super) fn check(
    facts: &Facts,
    replica: ReplicaIndex,
    lost: &Held,
    place: &str,
) -> Option<Violation> {
    let committed = facts.log.place(lost.op)?.committed.as_ref()?;
    if committed.checksum != lost.checksum {
        return None;
    }
    // Fewer, and a quorum of those that do not have it could change the view.
    let needed = facts.quorums.replica_count() - facts.quorums.view_change() + 1;
    if facts.holders(lost) >= needed {
        return None;
    }
    let entry = facts.log.place(lost.op)?.committed_header().map(describe).unwrap_or_default();
    let message = format!(
        "{} was committed by {} in {} at {}: {entry}\nthe disk of {replica} has lost it; it is on {}, and {needed} are needed",
        lost.op,
        committed.by,
        committed.view,
        committed.at,
        facts.holders_text(lost),
    );
    Some(facts.violation(Property::AckedDurable, place, message))
}
