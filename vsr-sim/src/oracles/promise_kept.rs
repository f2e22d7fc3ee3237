//! I19: a replica that has promised to join a view does nothing for older ones any more, in this incarnation or a later one.
//!
//! The promise is the one that was sent, not the one on the disk: a disk may lose it, and the replica is bound all the same.

use vsr_core::number::{ReplicaIndex, ViewNumber};

use super::facts::Facts;
use super::violation::{Property, Violation};

/// `replica` sends, in `view`, a message of the kind `place`, which only a normal replica sends.
pub(super) fn check(
    facts: &Facts,
    replica: ReplicaIndex,
    view: ViewNumber,
    place: &str,
) -> Option<Box<Violation>> {
    let promised = facts.replica(replica).promised;
    if promised <= view {
        return None;
    }
    let message = format!(
        "{replica} has promised to join {promised}\nit sends a {place} in {view}; its disk names {}",
        facts.promise(replica).view,
    );
    Some(facts.violation(Property::PromiseKept, place, message))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_promise_binds_after_a_restart_too_and_though_the_disk_has_lost_it() {
        let mut forge = Forge::of(3);
        let first = Arc::clone(&forge.log[0]);
        forge.promise(1, 1, 0);
        forge.do_view_change(1, 1, 0, &[&first]);
        forge.spoil_promise(1);
        forge.restart(1);
        assert_eq!(forge.fired(), []);
        forge.ack(1, 0, &first);
        assert_eq!(forge.fired(), [Property::PromiseKept]);
        // A view that r1 helped to begin may already have committed something else.
    }
}
