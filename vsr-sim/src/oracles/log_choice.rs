//! The log that a view begins with is the best of those that a view-change quorum has promised: the greatest log view first, the
//! longest of that second (VR Revisited 4.2, step 3).
//!
//! Which promises reached the new primary nobody else knows; but there must be a quorum of them by which its choice is right: so
//! many that are no better than the one chosen. Anything else can lose a committed operation, though it takes luck to see one
//! lost. It holds for acknowledgement in prefix order. What disks have spoiled at all who promise may be cut off, but only if so many
//! deny it that it was never committed.

use vsr_core::checksum::Checksum;
use vsr_core::message::StartView;
use vsr_core::number::{OpNumber, ReplicaIndex, ViewNumber};

use super::facts::{Facts, Promised};
use super::violation::{Property, Violation};

/// `by` begins `view` with this log.
pub(super) fn check(
    facts: &Facts,
    by: ReplicaIndex,
    view: ViewNumber,
    start: &StartView,
) -> Option<Box<Violation>> {
    let head = start.headers.last().map_or(Checksum::ZERO, |header| header.checksum);
    let promised = || facts.promised.iter().filter(|promised| promised.view == view);
    let mut place = "no promise is of this log";
    for chosen in promised() {
        if chosen.op < start.op || ancestor(facts, chosen, start.op) != Some(head) {
            continue;
        }
        if chosen.op > start.op && !facts.is_denied(chosen, start.op.next()) {
            place = "what is cut off is not denied by enough";
            continue;
        }
        let is_no_better = |replica: &ReplicaIndex| {
            promised().any(|other| other.from == *replica && rank(other) <= rank(chosen))
        };
        let count = facts.configuration.replicas().filter(is_no_better).count();
        if count >= usize::from(facts.quorums.view_change()) {
            return None;
        }
        place = "too few promises are of no better one";
    }
    Some(broken(facts, by, view, start.op, place))
}

/// The entry at `op` in the promised log; zero before the first one.
fn ancestor(facts: &Facts, promised: &Promised, op: OpNumber) -> Option<Checksum> {
    if op == OpNumber::ZERO {
        return Some(Checksum::ZERO);
    }
    facts.log.ancestor(promised.op, promised.head, op)
}

const fn rank(promised: &Promised) -> (u64, u64) {
    (promised.log_view.get(), promised.op.get())
}

#[cold]
fn broken(
    facts: &Facts,
    by: ReplicaIndex,
    view: ViewNumber,
    op: OpNumber,
    place: &str,
) -> Box<Violation> {
    let promises: Vec<String> = facts
        .promised
        .iter()
        .filter(|promised| promised.view == view)
        .map(|promised| {
            format!("{} a log of {} to {}", promised.from, promised.log_view, promised.op)
        })
        .collect();
    let message = format!(
        "promised for {view}: {}\n{by} begins {view} with a log to {op}: {place}, and a quorum is {} of {}",
        promises.join(", "),
        facts.quorums.view_change(),
        facts.quorums.replica_count(),
    );
    facts.violation(Property::LogChoice, place, message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    /// r0 has a long log of view 0 that nobody heard of; r1 and r2 have been in view 1, with a shorter one.
    fn old_and_long_against_new_and_short() -> (Forge, [Arc<vsr_core::header::Entry>; 2]) {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let first = Arc::clone(&forge.log[0]);
        let long = forge.next(0, &request);
        forge.prepare(0, &long, 1);
        forge.store(0, &long);
        for replica in [1, 2] {
            forge.promise(replica, 1, 0);
            forge.do_view_change(replica, 1, 0, &[&first]);
        }
        forge.promise(1, 1, 1);
        forge.start_view(1, 1, &[&first], 1);
        forge.promise(2, 1, 1);
        assert_eq!(forge.fired(), []);
        // Everybody goes on to view 2, which r2 leads.
        forge.promise(0, 2, 0);
        forge.do_view_change(0, 2, 0, &[&first, &long]);
        forge.promise(2, 2, 1);
        forge.do_view_change(2, 2, 1, &[&first]);
        forge.promise(2, 2, 2);
        (forge, [first, long])
    }

    #[test]
    fn the_longer_log_of_an_older_view_must_lose() {
        let (mut forge, [first, long]) = old_and_long_against_new_and_short();
        forge.start_view(2, 2, &[&first, &long], 1);
        assert_eq!(forge.fired(), [Property::LogChoice]);
    }

    #[test]
    fn the_log_of_the_greatest_log_view_wins() {
        let (mut forge, [first, _]) = old_and_long_against_new_and_short();
        forge.start_view(2, 2, &[&first], 1);
        assert_eq!(forge.fired(), []);
    }

    #[test]
    fn a_log_that_nobody_promised_is_told() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let first = Arc::clone(&forge.log[0]);
        let entry = forge.append(0, &request);
        for replica in [1, 2] {
            forge.promise(replica, 1, 0);
            forge.do_view_change(replica, 1, 0, &[&first, &entry]);
        }
        forge.promise(1, 1, 1);
        forge.start_view(1, 1, &[&first], 1);
        assert_eq!(forge.fired(), [Property::LogChoice]);
    }

    /// r1 and r2 have an entry that nobody has whole any more: the log may be cut before it only if it was never committed.
    #[test]
    fn what_is_cut_off_a_quorum_must_deny() {
        let cut = |deniers: &[u8]| {
            let mut forge = Forge::of(4);
            let first = Arc::clone(&forge.log[0]);
            let request = forge.request(1, b"one");
            let entry = forge.next(0, &request);
            forge.prepare(0, &entry, 1);
            for replica in [1, 2, 3] {
                let has_it = !deniers.contains(&replica);
                if has_it {
                    forge.store(replica, &entry);
                }
                forge.promise(replica, 1, 0);
                let log = [&first, &entry];
                forge.do_view_change(replica, 1, 0, if has_it { &log } else { &log[..1] });
            }
            forge.promise(1, 1, 1);
            forge.start_view(1, 1, &[&first], 1);
            forge.fired().contains(&Property::LogChoice)
        };
        assert!(!cut(&[2, 3]), "of four, two are enough to deny it");
        assert!(cut(&[3]) && cut(&[]));
        // r0 has not promised: with r1 and r2 it may have acknowledged what a client was told.
    }

    #[test]
    fn one_promise_is_no_quorum_however_good() {
        let mut forge = Forge::of(5);
        let first = Arc::clone(&forge.log[0]);
        for replica in [1, 2, 3] {
            forge.promise(replica, 1, 0);
        }
        for replica in [1, 2] {
            forge.do_view_change(replica, 1, 0, &[&first]);
        }
        forge.promise(1, 1, 1);
        forge.start_view(1, 1, &[&first], 1);
        assert_eq!(forge.fired(), [Property::LogChoice]);
    }
}
