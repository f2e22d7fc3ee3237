//! I4: what was committed in a view is in the log of every later one.

use vsr_core::checksum::Checksum;
use vsr_core::number::{OpNumber, ViewNumber};

use super::facts::{Committed, Facts, describe};
use super::violation::{Property, Violation};

/// The log of `view` was seen to hold `checksum` at `op`, by a message of the kind `place`.
pub(super) fn check_log(
    facts: &Facts,
    view: ViewNumber,
    op: OpNumber,
    checksum: Checksum,
    place: &str,
) -> Option<Violation> {
    let committed = facts.log.place(op)?.committed.as_ref()?;
    // Within the view of the commit, two entries would be two logs of one view.
    if committed.checksum == checksum || view <= committed.view {
        return None;
    }
    Some(broken(facts, op, committed, view, Some(checksum), place))
}

/// The log of `view` was seen to end at `op`, by a message of the kind `place`.
pub(super) fn check_head(
    facts: &Facts,
    view: ViewNumber,
    op: OpNumber,
    place: &str,
) -> Option<Violation> {
    let missing = op.next();
    let committed = facts.log.place(missing)?.committed.as_ref()?;
    if view <= committed.view {
        return None;
    }
    Some(broken(facts, missing, committed, view, None, place))
}

/// `op` has just become committed: the logs of later views were seen before.
pub(super) fn check_committed(facts: &Facts, op: OpNumber) -> Option<Violation> {
    let place = facts.log.place(op)?;
    let committed = place.committed.as_ref()?;
    let (view, checksum) = place
        .views()
        .iter()
        .find(|(view, checksum)| *view > committed.view && *checksum != committed.checksum)?;
    Some(broken(facts, op, committed, *view, Some(*checksum), committed.how.name()))
}

#[cold]
fn broken(
    facts: &Facts,
    op: OpNumber,
    committed: &Committed,
    view: ViewNumber,
    checksum: Option<Checksum>,
    place: &str,
) -> Violation {
    let entry = |checksum| {
        let header = facts.log.place(op).and_then(|place| place.header(checksum));
        header.map_or_else(|| format!("an unknown entry, checksum {checksum}"), describe)
    };
    let there = checksum.map_or_else(|| "nothing".to_owned(), entry);
    let message = format!(
        "{op} was committed by {} in {}, {} at {}: {}\nthe log of {view} holds there: {there}",
        committed.by,
        committed.view,
        committed.how,
        committed.at,
        entry(committed.checksum),
    );
    facts.violation(Property::ViewSurvival, place, message)
}
