//! I18: a replica never denies what it has acknowledged, whatever has become of its disk.
//!
//! A promise speaks of all that its sender may have acknowledged in the view of its log: what the promise leaves out, or gives
//! another entry for, is denied. Who decides by such a denial cuts off what a client may have an answer for. Only what was never
//! committed may be denied, and has been cut off: what the log of a later view lacks, and what so many others denied to the sender, when
//! it was to lead a later view, that it could not be kept.

use vsr_core::message::DoViewChange;
use vsr_core::number::{ReplicaIndex, ViewNumber};

use super::facts::Facts;
use super::violation::{Property, Violation};

/// `replica` promises this log to `view`.
pub(super) fn check(
    facts: &Facts,
    replica: ReplicaIndex,
    view: ViewNumber,
    promised: &DoViewChange,
) -> Option<Box<Violation>> {
    let acknowledged = facts.replica(replica).acknowledged?;
    let named = promised.headers.iter().find(|header| header.op == acknowledged.op);
    let is_other = named.is_some_and(|header| header.checksum != acknowledged.checksum);
    let what = if promised.log_view < acknowledged.view {
        format!("its log is that of {}", promised.log_view)
    } else if promised.log_view > acknowledged.view {
        // The log of a later view has been brought here since.
        return None;
    } else if promised.op < acknowledged.op && promised.reach >= acknowledged.op {
        // It cannot tell where its log ended, and says so.
        return None;
    } else if promised.op < acknowledged.op {
        format!("its log ends at {}", promised.op)
    } else if is_other {
        "its log holds another entry there".to_owned()
    } else {
        return None;
    };
    if facts.is_overruled(replica, &acknowledged, view) {
        return None;
    }
    let message = format!(
        "{replica} acknowledged {} in {}, checksum {}\nit promises a log to {view} that lacks it: {what}",
        acknowledged.op, acknowledged.view, acknowledged.checksum,
    );
    Some(facts.violation(Property::NackTruthful, "DoViewChange", message))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vsr_core::header::Entry;

    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    /// The first entry of the log, and a second one that only `replica` has, which has acknowledged it.
    fn acknowledged(count: u8, replica: u8) -> (Forge, Arc<Entry>, Arc<Entry>) {
        let mut forge = Forge::of(count);
        let first = Arc::clone(&forge.log[0]);
        let request = forge.request(1, b"one");
        let entry = forge.next(0, &request);
        forge.prepare(0, &entry, 1);
        forge.store(replica, &entry);
        forge.ack(replica, 0, &entry);
        (forge, first, entry)
    }

    /// r1 has acknowledged an operation; its disk loses it, it starts again, and says that its log ends before it.
    #[test]
    fn a_promise_that_ends_before_what_was_acknowledged_is_told_though_the_disk_lacks_it() {
        let mut forge = Forge::of(3);
        let first = Arc::clone(&forge.log[0]);
        let request = forge.request(1, b"one");
        let entry = forge.append(0, &request);
        forge.spoil(1, &entry);
        forge.restart(1);
        forge.promise(1, 1, 0);
        forge.do_view_change(1, 1, 0, &[&first, &entry]);
        assert_eq!(forge.fired(), [Property::AckTruthful], "it does not have it, and says so");

        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let entry = forge.append(0, &request);
        forge.ack(1, 0, &entry);
        forge.spoil(1, &entry);
        forge.restart(1);
        forge.promise(1, 1, 0);
        forge.do_view_change(1, 1, 0, &[&first]);
        assert_eq!(forge.fired(), [Property::NackTruthful]);
        // Two such denials are a quorum that cuts off what a client has an answer for.
    }

    /// r1 acknowledges an entry of view 0 that view 1 begins without, cuts it off, and is gone before it has the log of view 1.
    #[test]
    fn what_a_later_view_has_overruled_may_be_denied() {
        let (mut forge, first, _) = acknowledged(5, 4);
        for replica in [1, 2, 3] {
            forge.promise(replica, 1, 0);
            forge.do_view_change(replica, 1, 0, &[&first]);
        }
        forge.promise(1, 1, 1);
        forge.start_view(1, 1, &[&first], 1);
        forge.promise(4, 1, 0);
        forge.do_view_change(4, 1, 0, &[&first]);
        assert_eq!(forge.fired(), []);
    }

    #[test]
    fn a_promise_of_a_later_log_owes_nothing_to_an_older_view() {
        let (mut forge, first, _) = acknowledged(3, 1);
        // The log of view 2 does not have it; r1 has brought that log here.
        forge.promise(1, 2, 2);
        forge.promise(1, 3, 2);
        forge.do_view_change(1, 3, 2, &[&first]);
        assert!(!forge.fired().contains(&Property::NackTruthful), "{:?}", forge.fired());
        forge.do_view_change(1, 3, 0, &[&first]);
        assert!(forge.fired().contains(&Property::NackTruthful), "an older log is a denial");
    }

    /// r2 was to lead v1, chose a log without the operation, and stopped before it told anybody.
    ///
    /// r1 hears of that log with r2's promise to the next view, cuts its own, and starts again before it has the log of any later view.
    #[test]
    fn the_log_of_a_view_that_nobody_was_told_of_allows_a_denial() {
        for log_view in [1, 0] {
            let (mut forge, first, _) = acknowledged(5, 1);
            forge.promise(2, 6, log_view);
            forge.do_view_change(2, 6, log_view, &[&first]);
            forge.promise(1, 6, 0);
            forge.do_view_change(1, 6, 0, &[&first]);
            let expected = if log_view > 0 { vec![] } else { vec![Property::NackTruthful] };
            assert_eq!(forge.fired(), expected);
        }
    }

    /// r1 has acknowledged an operation and is to lead v1; it tells of it, and these deny it.
    ///
    /// v2 may begin with what r4 has. Then r1 promises to `view` that its log ends before it.
    fn denied_to_who_was_to_lead(deniers: &[u8], is_kept: bool, view: u64) -> Vec<Property> {
        let mut forge = Forge::of(5);
        let first = Arc::clone(&forge.log[0]);
        let request = forge.request(1, b"one");
        let entry = forge.next(0, &request);
        let (long, short) = ([&first, &entry], [&first]);
        forge.prepare(0, &entry, 1);
        forge.store(1, &entry);
        forge.ack(1, 0, &entry);
        forge.store(4, &entry);
        for replica in deniers {
            forge.promise(*replica, 1, 0);
            forge.do_view_change(*replica, 1, 0, &short);
        }
        forge.promise(1, 1, 0);
        forge.do_view_change(1, 1, 0, &long);
        if is_kept {
            for (replica, log) in [(2, &short[..]), (3, &short), (4, &long)] {
                forge.promise(replica, 2, 0);
                forge.do_view_change(replica, 2, 0, log);
            }
            forge.store(2, &entry);
            forge.promise(2, 2, 2);
            forge.start_view(2, 2, &long, 1);
        }
        forge.promise(1, view, 0);
        forge.do_view_change(1, view, 0, &short);
        forge.fired()
    }

    /// It cut its log by that, and went on before it had the log of v1.
    #[test]
    fn what_a_quorum_denied_to_who_was_to_lead_may_be_denied() {
        for view in [1, 3] {
            assert_eq!(denied_to_who_was_to_lead(&[0, 2, 3], false, view), []);
            assert_eq!(denied_to_who_was_to_lead(&[0, 2], false, view), [Property::NackTruthful]);
        }
        // r0, r1 and r4 may have committed it, and a client have been told.
    }

    /// r4 has it whole, and v2 keeps it: there it may be committed, with the help of others. r1 still speaks of the log of v0 alone.
    #[test]
    fn a_view_that_keeps_it_does_not_make_the_denial_a_lie() {
        assert_eq!(denied_to_who_was_to_lead(&[0, 2, 3], true, 3), []);
        assert_eq!(denied_to_who_was_to_lead(&[2, 3], true, 3), [Property::NackTruthful]);
    }

    /// Others deny it to v2; r1, which has acknowledged it, is not to lead that, and has nothing to cut before v2 has begun.
    #[test]
    fn denials_are_no_excuse_for_who_does_not_decide_by_them() {
        let (mut forge, first, entry) = acknowledged(5, 1);
        for replica in [0, 2, 3] {
            forge.promise(replica, 2, 0);
            forge.do_view_change(replica, 2, 0, &[&first]);
        }
        forge.promise(1, 2, 0);
        forge.do_view_change(1, 2, 0, &[&first, &entry]);
        assert_eq!(forge.fired(), []);
        forge.promise(1, 3, 0);
        forge.do_view_change(1, 3, 0, &[&first]);
        assert_eq!(forge.fired(), [Property::NackTruthful]);
    }

    /// r1 is to lead v1, and denies at once what it has acknowledged: nobody could have told it before.
    #[test]
    fn who_denies_before_it_has_told_is_told() {
        let (mut forge, first, _) = acknowledged(5, 1);
        for replica in [0, 2, 3] {
            forge.promise(replica, 1, 0);
            forge.do_view_change(replica, 1, 0, &[&first]);
        }
        forge.promise(1, 1, 0);
        forge.do_view_change(1, 1, 0, &[&first]);
        assert_eq!(forge.fired(), [Property::NackTruthful]);
    }
}
