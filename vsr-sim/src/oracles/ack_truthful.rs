//! I17: who acknowledges an operation has it on disk, and all before it, and is bound to the view of the acknowledgement; who
//! promises a log has that log on disk.

use vsr_core::message::{DoViewChange, PrepareOk};
use vsr_core::number::{OpNumber, ReplicaIndex, ViewNumber};

use super::facts::{Facts, Held};
use super::violation::{Property, Violation};

/// `replica` acknowledges in `view`.
pub(super) fn check_ack(
    facts: &Facts,
    replica: ReplicaIndex,
    view: ViewNumber,
    ack: &PrepareOk,
) -> Option<Box<Violation>> {
    let promise = facts.promise(replica);
    let disk = &facts.replica(replica).disk;
    let held = facts.on_disk(replica, ack.op);
    let is_in_checkpoint = ack.op <= promise.checkpoint_op()
        && facts
            .log
            .place(ack.op)
            .and_then(|place| place.committed)
            .is_some_and(|committed| committed.checksum == ack.checksum);
    let what = if !is_in_checkpoint && held.is_none_or(|held| held.checksum != ack.checksum) {
        held.map_or_else(
            || "its disk holds no such entry".to_owned(),
            |held| format!("its disk holds another entry there, checksum {}", held.checksum),
        )
    } else if disk.prefix() < ack.op {
        format!("its disk holds the log without a hole only to {}", disk.prefix())
    } else if promise.view > view {
        format!("its disk binds it to {}", promise.view)
    } else if promise.log_view != view {
        format!("its disk says that its log is that of {}", promise.log_view)
    } else {
        return None;
    };
    let message =
        format!("{replica} acknowledges {} in {view}, checksum {}\n{what}", ack.op, ack.checksum,);
    Some(facts.violation(Property::AckTruthful, "PrepareOk", message))
}

/// `replica` promises to join `view`.
pub(super) fn check_promise(
    facts: &Facts,
    replica: ReplicaIndex,
    view: ViewNumber,
    promised: &DoViewChange,
) -> Option<Box<Violation>> {
    let log_view = facts.promise(replica).log_view;
    let disk = &facts.replica(replica).disk;
    let is_held = promised
        .headers
        .last()
        .is_none_or(|header| disk.holds(&Held::of(header), facts.configuration.slots));
    let what = if promised.log_view != log_view {
        format!("its disk says that its log is that of {log_view}")
    } else if (disk.prefix() < promised.op || !is_held) && !is_truthful(facts, replica, promised) {
        format!("its disk holds a log without a hole to {}, and not this one", disk.prefix())
    } else {
        return None;
    };
    let message = format!(
        "{replica} promises in {view} a log of {} that ends at {}\n{what}",
        promised.log_view, promised.op,
    );
    Some(facts.violation(Property::AckTruthful, "DoViewChange", message))
}

/// Whether a promise from a disk that has lost entries, or could not be read, says truly which: what it does not call spoiled is there,
/// and what is before all that it tells of is or should be.
fn is_truthful(facts: &Facts, replica: ReplicaIndex, promised: &DoViewChange) -> bool {
    let disk = &facts.replica(replica).disk;
    let is_due = |op: u64| {
        let (held, owed) = disk.whole_and_owed(OpNumber::new(op), facts.configuration.slots);
        held.or(owed).is_some()
    };
    let whole =
        promised.headers.iter().zip(0..).filter(|(_, place)| promised.spoiled >> place & 1 == 0);
    (disk.prefix().next().get()..=promised.op.get()).all(is_due)
        && whole
            .into_iter()
            .all(|(header, _)| disk.holds(&Held::of(header), facts.configuration.slots))
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn an_acknowledgement_needs_the_entry_on_disk() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let entry = forge.next(0, &request);
        forge.prepare(0, &entry, 1);
        forge.ack(1, 0, &entry);
        assert_eq!(forge.fired(), [Property::AckTruthful]);
    }

    #[test]
    fn an_acknowledgement_over_a_hole_is_told() {
        let mut forge = Forge::of(3);
        let (one, two) = (forge.request(1, b"one"), forge.request(2, b"two"));
        let first = forge.next(0, &one);
        let second = forge.next(0, &two);
        forge.prepare(0, &first, 1);
        forge.prepare(0, &second, 1);
        forge.store(1, &second);
        forge.ack(1, 0, &second);
        assert_eq!(forge.fired(), [Property::AckTruthful]);
    }

    #[test]
    fn an_acknowledgement_in_a_view_that_was_left_is_told() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let entry = forge.append(0, &request);
        assert_eq!(forge.fired(), []);
        forge.promise(1, 1, 0);
        forge.ack(1, 0, &entry);
        assert_eq!(forge.fired(), [Property::AckTruthful]);
    }

    #[test]
    fn an_acknowledgement_before_the_log_of_the_view_is_there_is_told() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let entry = forge.append(0, &request);
        forge.promise(2, 1, 0);
        forge.ack(2, 1, &entry);
        assert_eq!(forge.fired(), [Property::AckTruthful]);
    }

    #[test]
    fn a_promise_is_of_the_log_that_is_on_disk() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let first = std::sync::Arc::clone(&forge.log[0]);
        let entry = forge.next(0, &request);
        forge.prepare(0, &entry, 1);
        forge.promise(1, 1, 0);
        forge.do_view_change(1, 1, 0, &[&first]);
        assert_eq!(forge.fired(), []);
        forge.do_view_change(1, 1, 0, &[&first, &entry]);
        assert_eq!(forge.fired(), [Property::AckTruthful]);
    }
}
