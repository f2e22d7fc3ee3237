//! I6: the view and the log view on a disk never decrease, across crashes too; and nobody speaks for a view, or is normal in
//! one, before that is on its disk.

use vsr_core::message::Command;
use vsr_core::number::{ReplicaIndex, ViewNumber};

use super::facts::{Facts, Promise};
use super::violation::{Property, Violation};

/// The promise on the disk of `replica` was `before`; `place` says what has happened since.
pub(super) fn check_disk(
    facts: &Facts,
    replica: ReplicaIndex,
    before: Promise,
    place: &str,
) -> Option<Violation> {
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
) -> Option<Violation> {
    let promise = facts.promise(replica);
    if promise.view >= view {
        return None;
    }
    let message = format!(
        "{replica} sends a {place} in {view}\nits disk names {}, and a crash would make it forget",
        promise.view,
    );
    Some(facts.violation(Property::ViewMonotone, place, message))
}

/// `replica` sends, in `view`, what only a normal replica sends.
pub(super) fn check_normal(
    facts: &Facts,
    replica: ReplicaIndex,
    view: ViewNumber,
    place: &str,
) -> Option<Violation> {
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
        | Command::Forward(_) => false,
    }
}
