//! I5: a view has one primary, and one log: two entries at one place in one view are two logs.
//!
//! The log of a view is seen in what its primary prepares, in the logs that normal replicas of it send, in acknowledgements
//! (which only count for the log of their view), and in promises, which speak of the log of their log view.

use vsr_core::checksum::Checksum;
use vsr_core::number::{OpNumber, ReplicaIndex, ViewNumber};

use super::facts::{Facts, describe};
use super::violation::{Property, Violation};

/// `by` says, in a message of the kind `place`, that the log of `view` holds `checksum` at `op`.
pub(super) fn check(
    facts: &Facts,
    view: ViewNumber,
    op: OpNumber,
    checksum: Checksum,
    by: ReplicaIndex,
    place: &str,
) -> Option<Violation> {
    let known = facts.log.place(op)?;
    let committed = known.committed.filter(|committed| committed.view == view);
    let other = known.in_view(view).or_else(|| Some(committed?.checksum))?;
    if other == checksum {
        return None;
    }
    let entry = |checksum| {
        let header = facts.log.place(op).and_then(|place| place.header(checksum));
        header.map_or_else(|| format!("an unknown entry, checksum {checksum}"), describe)
    };
    let message = format!(
        "the log of {view} was seen to hold at {op}: {}\n{by} says in its {place} that it holds there: {}",
        entry(other),
        entry(checksum),
    );
    Some(facts.violation(Property::OneLogPerView, place, message))
}

/// `by` has sent what only the primary of `view` sends.
pub(super) fn check_primary(
    facts: &Facts,
    view: ViewNumber,
    by: ReplicaIndex,
    place: &str,
) -> Option<Violation> {
    let primary = facts.configuration.primary(view);
    if by == primary {
        return None;
    }
    let message = format!("the primary of {view} is {primary}\n{by} sends a {place} in {view}");
    Some(facts.violation(Property::OneLogPerView, &format!("{place} of a backup"), message))
}
