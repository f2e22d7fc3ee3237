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
) -> Option<Box<Violation>> {
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
) -> Option<Box<Violation>> {
    let primary = facts.configuration.primary(view);
    if by == primary {
        return None;
    }
    let message = format!("the primary of {view} is {primary}\n{by} sends a {place} in {view}");
    Some(facts.violation(Property::OneLogPerView, &format!("{place} of a backup"), message))
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn two_entries_at_one_place_of_one_view_are_told() {
        let mut forge = Forge::of(3);
        let (one, two) = (forge.request(1, b"one"), forge.request(2, b"two"));
        let parent = forge.head();
        forge.append(0, &one);
        let other = forge.entry_after(0, 2, parent, &two);
        forge.prepare(0, &other, 1);
        assert_eq!(forge.fired(), [Property::OneLogPerView]);
    }

    #[test]
    fn a_promise_that_speaks_of_another_log_of_its_log_view_is_told() {
        let mut forge = Forge::of(3);
        let (one, two) = (forge.request(1, b"one"), forge.request(2, b"two"));
        let (first, parent) = (std::sync::Arc::clone(&forge.log[0]), forge.head());
        let entry = forge.next(0, &one);
        forge.prepare(0, &entry, 1);
        let other = forge.entry_after(0, 2, parent, &two);
        forge.store(2, &other);
        forge.promise(2, 1, 0);
        forge.do_view_change(2, 1, 0, &[&first, &other]);
        assert_eq!(forge.fired(), [Property::OneLogPerView]);
    }

    #[test]
    fn a_backup_that_leads_is_told() {
        let mut forge = Forge::of(3);
        let entry = forge.complete(1, b"one");
        let commit = vsr_core::message::Commit {
            commit: entry.header().op,
            checksum: entry.header().checksum,
            sent_at: vsr_core::time::Instant::ZERO,
        };
        forge.say(2, 0, vsr_core::message::Command::Commit(commit));
        assert_eq!(forge.fired(), [Property::OneLogPerView]);
    }

    #[test]
    fn views_may_differ_in_what_was_never_committed() {
        let mut forge = Forge::of(3);
        let (one, two) = (forge.request(1, b"one"), forge.request(2, b"two"));
        let parent = forge.head();
        forge.append(0, &one);
        let other = forge.entry_after(1, 2, parent, &two);
        forge.join(1, &[]);
        forge.prepare(1, &other, 1);
        assert_eq!(forge.fired(), []);
    }
}
