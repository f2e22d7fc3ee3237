//! A view begins only when a view-change quorum is bound to it: so many disks name it, or a later one.
//!
//! Each of those acknowledges nothing of older views any more, so none of them can commit behind the new one's back. The promises
//! are counted on the disks, not in packets: one that was counted twice, or given for another view, is not there.
//!
//! Whose disk is lost takes part in nothing any more. What it was bound to by then holds for good, though no disk says so.

use vsr_core::number::{ReplicaIndex, ViewNumber};

use super::facts::Facts;
use super::violation::{Property, Violation};

/// `by` begins `view`, with a message of the kind `place`.
pub(super) fn check(
    facts: &Facts,
    by: ReplicaIndex,
    view: ViewNumber,
    place: &str,
) -> Option<Box<Violation>> {
    let bound_to = |replica: ReplicaIndex| {
        let disk = &facts.replica(replica).disk;
        let is_lost = disk.promise().sequence == 0;
        if is_lost { disk.established().view } else { disk.promise().view }
    };
    let is_bound = |replica: &ReplicaIndex| bound_to(*replica) >= view;
    let count = facts.configuration.replicas().filter(is_bound).count();
    let needed = usize::from(facts.quorums.view_change());
    if count >= needed {
        return None;
    }
    let views: Vec<String> = facts
        .configuration
        .replicas()
        .map(|replica| format!("{replica} {}", bound_to(replica)))
        .collect();
    let message = format!(
        "{by} begins {view} with a {place}\nthe disks name: {}; a quorum is {needed} of {}",
        views.join(", "),
        facts.quorums.replica_count(),
    );
    Some(facts.violation(Property::ViewQuorum, place, message))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_view_that_fewer_than_a_quorum_are_bound_to_is_told() {
        for (count, enough) in [(2u8, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)] {
            for bound in 1..=count {
                let mut forge = Forge::of(count);
                let first = Arc::clone(&forge.log[0]);
                // All but r0 promise, as far as packets go; only some of the promises are durable for this view.
                for replica in 0..count {
                    let is_bound = (1..=bound).contains(&replica) || bound == count;
                    forge.promise(replica, u64::from(is_bound), 0);
                    if is_bound {
                        forge.do_view_change(replica, 1, 0, &[&first]);
                    }
                }
                forge.promise(1, 1, 1);
                forge.prepare(1, &first, 0);
                let expected: &[Property] =
                    if bound < enough { &[Property::ViewQuorum] } else { &[] };
                assert_eq!(forge.fired(), expected, "{bound} of {count}");
            }
        }
        // A cluster of four whose halves can each begin a view has two logs from then on.
    }

    /// Whose disk is lost acknowledges nothing any more: a promise that it gave before counts, and one that it never gave does not.
    #[test]
    fn who_has_lost_its_disk_stays_bound_to_what_it_had_promised() {
        for (promised, expected) in [(1, &[][..]), (0, &[Property::ViewQuorum])] {
            let mut forge = Forge::of(3);
            let first = Arc::clone(&forge.log[0]);
            forge.promise(0, 0, 0);
            forge.promise(1, 1, 0);
            forge.promise(2, promised, 0);
            forge.spoil_promise(2);
            forge.restart(2);
            forge.promise(1, 1, 1);
            forge.prepare(1, &first, 0);
            assert_eq!(forge.fired(), expected, "{promised}");
        }
    }
}
