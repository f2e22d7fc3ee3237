//! L3: after faults have stopped, all of the log is committed, and every replica of the core holds and has executed all of it.
//!
//! L8 and L9 are the same in harder circumstances: although all replicas were down, and although nobody asks for anything.

use vsr_core::number::ReplicaIndex;

use super::Phase;
use crate::oracles::facts::{Facts, Held};
use crate::oracles::violation::{Property, Violation};

/// Whether the core has all there is.
pub(super) fn holds(facts: &Facts, phase: &Phase) -> bool {
    is_all_committed(facts)
        && facts
            .configuration
            .replicas()
            .filter(|replica| phase.core.contains(*replica))
            .all(|replica| lack(facts, replica).is_none())
}

/// Whether the newest view's log is committed up to its head.
fn is_all_committed(facts: &Facts) -> bool {
    let (_, head) = facts.log.newest();
    let own = facts.replicas.first().map(|replica| replica.disk.prefix());
    // Who is alone shows the head of its log on its disk only.
    let head = if facts.configuration.replica_count == 1 { own.unwrap_or(head) } else { head };
    facts.log.commit() >= head
}

/// What `replica` lacks, if anything.
fn lack(facts: &Facts, replica: ReplicaIndex) -> Option<&'static str> {
    let known = facts.replica(replica);
    if !known.is_up {
        return Some("is down");
    }
    let commit = facts.log.commit();
    let last = facts.log.place(commit).and_then(|place| place.committed_header());
    let holds = |header| known.disk.holds(&Held::of(header), facts.configuration.slots);
    if known.disk.prefix() < commit || !last.is_none_or(holds) {
        return Some("lacks committed operations on its disk");
    }
    (known.applied < facts.log.applies().len()).then_some("has not executed all of them")
}

pub(super) fn check(facts: &Facts, phase: &Phase) -> Option<Violation> {
    let bound = phase.bounds.catch_up;
    // While the log grows there is always something that is not everywhere yet.
    let since = phase.began.max(facts.log.grown_at());
    if facts.now <= since.plus(bound) || holds(facts, phase) {
        return None;
    }
    let quiet = if phase.is_idle { "nobody asks for anything since" } else { "faults stopped at" };
    let (view, head) = facts.log.newest();
    let mut message = format!(
        "{quiet} {}, and {bound} is enough\nat {} the log of {view} ends at {head}, and {} of it is committed",
        phase.began,
        facts.now,
        facts.log.commit(),
    );
    let mut place = if is_all_committed(facts) { None } else { Some("uncommitted") };
    for replica in facts.configuration.replicas().filter(|replica| phase.core.contains(*replica)) {
        if let Some(lack) = lack(facts, replica) {
            place = place.or(Some(lack));
            let known = facts.replica(replica);
            message.push_str(&format!(
                "\n{replica} {lack}: it holds the log to {}, and has executed {} of {} operations",
                known.disk.prefix(),
                known.applied,
                facts.log.applies().len(),
            ));
        }
    }
    let property = if phase.is_idle { Property::IdleConverge } else { Property::CatchUp };
    Some(facts.violation(phase.named(facts, property), place.unwrap_or_default(), message))
}
