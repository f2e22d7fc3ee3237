//! I6: the view and the log view on a disk never decrease, across crashes too; and nobody speaks for a view, or is normal in
//! one, before that is on its disk, in all copies.

use vsr_core::message::Command;
use vsr_core::number::{ReplicaIndex, ViewNumber};

use super::facts::{Facts, Promise};
use super::violation::{Property, Violation};

/// The promise on all copies on the disk of `replica` was `before`; `place` says what has happened since.
///
/// What is on some copies only, a start may overlook: nothing may rest on it yet, and it may go.
pub(super) fn check_disk(
    facts: &Facts,
    replica: ReplicaIndex,
    before: &Promise,
    place: &str,
) -> Option<Box<Violation>> {
    let now = facts.promise(replica);
    if now.view >= before.view && now.log_view >= before.log_view {
        return None;
    }
    let message = format!(
        "the disk of {replica} held the promise {} with log view {}\nit now holds {} with log view {}",
        before.view, before.log_view, now.view, now.log_view,
    );
    Some(facts.violation(Property::ViewMonotone, place, message))
}

/// `replica` sends a message of the kind `place` whose envelope names `view`.
pub(super) fn check_envelope(
    facts: &Facts,
    replica: ReplicaIndex,
    view: ViewNumber,
    place: &str,
) -> Option<Box<Violation>> {
    let everywhere = facts.replica(replica).disk.established();
    if everywhere.view >= view {
        return None;
    }
    let promise = facts.promise(replica);
    let what = if promise.view < view {
        format!("its disk names {}, and a crash would make it forget", promise.view)
    } else {
        format!(
            "only some copies on its disk name that, all of them only {}: a start may overlook it",
            everywhere.view,
        )
    };
    let message = format!("{replica} sends a {place} in {view}\n{what}");
    Some(facts.violation(Property::ViewMonotone, place, message))
}

/// `replica` sends, in `view`, what only a normal replica sends.
pub(super) fn check_normal(
    facts: &Facts,
    replica: ReplicaIndex,
    view: ViewNumber,
    place: &str,
) -> Option<Box<Violation>> {
    let promise = facts.promise(replica);
    // A view that is not durable at all is reported as such.
    if promise.log_view >= view || promise.view < view {
        return None;
    }
    let message = format!(
        "{replica} sends a {place} in {view}, as if normal in it\nits disk names {} with log view {}",
        promise.view, promise.log_view,
    );
    Some(facts.violation(Property::ViewMonotone, &format!("{place} before normal"), message))
}

/// Whether only a replica that is normal in the envelope's view sends this.
pub(super) const fn is_from_normal(command: &Command) -> bool {
    match command {
        Command::Prepare(_)
        | Command::PrepareOk(_)
        | Command::Commit(_)
        | Command::CommitOk(_)
        | Command::StartView(_)
        | Command::NewState(_) => true,
        Command::StartViewChange
        | Command::DoViewChange(_)
        | Command::GetView(_)
        | Command::GetState(_)
        | Command::GetHeaders(_)
        | Command::Headers(_)
        | Command::GetPrepare(_)
        | Command::Repaired(_)
        | Command::GetCheckpoint(_)
        | Command::Checkpoint(_)
        | Command::Forward(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::disk::Resolution;
    use crate::oracles::forge::Forge;
    use crate::oracles::forge::r;
    use crate::oracles::judge::DiskBytes;
    use crate::oracles::violation::Property;
    use vsr_core::io::Zone;
    use vsr_core::message::Command;

    #[test]
    fn a_view_that_is_not_on_disk_must_not_be_spoken_for() {
        let mut forge = Forge::of(3);
        forge.say(2, 1, Command::StartViewChange);
        assert_eq!(forge.fired(), [Property::ViewMonotone]);

        let mut forge = Forge::of(3);
        forge.promise(2, 1, 0);
        forge.say(2, 1, Command::StartViewChange);
        assert_eq!(forge.fired(), []);
    }

    #[test]
    fn nobody_speaks_for_a_view_that_only_some_copies_name() {
        let mut forge = Forge::of(3);
        forge.promise_on(&[0, 1, 2, 3], 2, 1, 0);
        forge.promise_on(&[0, 1], 2, 2, 0);
        forge.say(2, 1, Command::StartViewChange);
        assert_eq!(forge.fired(), []);
        forge.say(2, 2, Command::StartViewChange);
        assert_eq!(forge.fired(), [Property::ViewMonotone]);
        // A start that reads the other two would not know of what was promised.
    }

    #[test]
    fn nobody_is_normal_before_the_log_of_the_view_is_on_disk() {
        let mut forge = Forge::of(3);
        let first = std::sync::Arc::clone(&forge.log[0]);
        forge.join(1, &[&first]);
        let mut early = Forge::of(3);
        for replica in [1, 2] {
            early.promise(replica, 1, 0);
            early.do_view_change(replica, 1, 0, &[&first]);
        }
        early.start_view(1, 1, &[&first], 1);
        assert_eq!(early.fired(), [Property::ViewMonotone]);
        forge.start_view(1, 1, &[&first], 1);
        assert_eq!(forge.fired(), []);
    }

    #[test]
    fn a_disk_that_goes_back_is_told() {
        let mut forge = Forge::of(3);
        forge.promise(1, 3, 2);
        forge.promise(1, 3, 3);
        assert_eq!(forge.fired(), []);
        forge.promise(1, 3, 2);
        assert_eq!(forge.fired(), [Property::ViewMonotone]);
    }

    #[test]
    fn a_crash_that_leaves_no_copy_of_a_promise_is_told() {
        let mut forge = Forge::of(3);
        forge.promise(1, 3, 2);
        let bytes = &[7; 64];
        let found = DiskBytes { replica: r(1), zone: Zone::Superblock, offset: 0, bytes };
        forge.oracles.crashed(forge.now, r(1), 1);
        forge.oracles.write_resolved(forge.now, &found, Resolution::Torn { new: 1, old: 1 });
        assert_eq!(forge.fired(), [Property::ViewMonotone]);
        // All copies written at once would make this possible.
    }
}
