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
) -> Option<Box<Violation>> {
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
) -> Option<Box<Violation>> {
    let missing = op.next();
    let committed = facts.log.place(missing)?.committed.as_ref()?;
    if view <= committed.view {
        return None;
    }
    Some(broken(facts, missing, committed, view, None, place))
}

/// `op` has just become committed: the logs of later views were seen before.
pub(super) fn check_committed(facts: &Facts, op: OpNumber) -> Option<Box<Violation>> {
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
) -> Box<Violation> {
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

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_new_view_without_a_committed_operation_is_told() {
        let mut forge = Forge::of(3);
        forge.complete(1, b"one");
        let first = std::sync::Arc::clone(&forge.log[0]);
        forge.join(1, &[&first]);
        forge.start_view(1, 1, &[&first], 1);
        assert_eq!(forge.fired(), [Property::ViewSurvival]);
    }

    #[test]
    fn a_new_view_with_another_operation_in_its_place_is_told() {
        let mut forge = Forge::of(3);
        let entry = forge.complete(1, b"one");
        let request = forge.request(2, b"two");
        let other = forge.entry_after(0, 2, entry.header().parent, &request);
        forge.join(1, &[]);
        forge.prepare(1, &other, 1);
        assert_eq!(forge.fired(), [Property::ViewSurvival]);
    }

    #[test]
    fn a_commit_that_a_started_view_lacks_is_told_from_the_other_side() {
        let mut forge = Forge::of(3);
        let (one, two) = (forge.request(1, b"one"), forge.request(2, b"two"));
        let parent = forge.head();
        let entry = forge.append(0, &one);
        let other = forge.entry_after(1, 2, parent, &two);
        forge.join(1, &[]);
        forge.prepare(1, &other, 1);
        assert_eq!(forge.fired(), []);
        forge.commit(0, &entry);
        assert_eq!(forge.fired(), [Property::ViewSurvival]);
    }

    #[test]
    fn a_backup_that_tells_of_its_view_may_be_behind_in_it() {
        let mut forge = Forge::of(3);
        forge.complete(1, b"one");
        let first = std::sync::Arc::clone(&forge.log[0]);
        // Normal in view 0, and without the operation that view 0 has committed since.
        forge.start_view(2, 0, &[&first], 1);
        assert_eq!(forge.fired(), []);
    }
}
