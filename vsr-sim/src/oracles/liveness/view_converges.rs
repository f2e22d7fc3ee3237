//! L1: after faults have stopped, the core is normal in one view, in time.
//!
//! Normal is who says what only a normal replica says, since it was booted, and whose disk agrees.

use vsr_core::number::{ReplicaIndex, ViewNumber};

use super::Phase;
use crate::oracles::facts::Facts;
use crate::oracles::violation::{Property, Violation};

/// Whether the core is normal in one view now, as far as was seen.
pub(in super::super) fn holds(facts: &Facts, phase: &Phase) -> bool {
    let mut members =
        facts.configuration.replicas().filter(|replica| phase.core.contains(*replica));
    let Some(first) = members.next() else { return true };
    let Some(view) = normal_in(facts, first) else { return false };
    members.all(|member| normal_in(facts, member) == Some(view))
        && phase.core.contains(facts.configuration.primary(view))
}

/// The view that `replica` is normal in, if it is.
fn normal_in(facts: &Facts, replica: ReplicaIndex) -> Option<ViewNumber> {
    let known = facts.replica(replica);
    let promise = known.disk.promise();
    if !known.is_up || promise.view != promise.log_view {
        return None;
    }
    // Who is alone talks to no other replica.
    let is_alone = facts.configuration.replica_count == 1;
    (is_alone || known.normal_view == Some(promise.view)).then_some(promise.view)
}

pub(super) fn check(facts: &Facts, phase: &Phase) -> Option<Violation> {
    let bound = phase.bounds.view_converges;
    if phase.converged_at.is_some() || !phase.is_overdue(facts, bound) {
        return None;
    }
    let mut message =
        format!("faults stopped at {}, and {bound} is enough\nat {}:", phase.began, facts.now);
    for replica in facts.configuration.replicas().filter(|replica| phase.core.contains(*replica)) {
        let promise = facts.promise(replica);
        let said = facts.replica(replica).normal_view.map_or_else(
            || "has said nothing as a normal replica".to_owned(),
            |view| format!("was last normal in {view}"),
        );
        message.push_str(&format!(
            "\n{replica} {said}, its disk names {} with log view {}",
            promise.view, promise.log_view
        ));
    }
    let property = phase.named(facts, Property::ViewConverges);
    Some(facts.violation(property, "view", message))
}
