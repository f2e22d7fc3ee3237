//! I17: who acknowledges an operation has it on disk, and all before it, and is bound to the view of the acknowledgement; who
//! promises a log has that log on disk.

use vsr_core::message::{DoViewChange, PrepareOk};
use vsr_core::number::{ReplicaIndex, ViewNumber};

use super::facts::{Facts, Held};
use super::violation::{Property, Violation};

/// `replica` acknowledges in `view`.
pub(super) fn check_ack(
    facts: &Facts,
    replica: ReplicaIndex,
    view: ViewNumber,
    ack: &PrepareOk,
) -> Option<Violation> {
    let promise = facts.promise(replica);
    let disk = &facts.replica(replica).disk;
    let held = facts.on_disk(replica, ack.op);
    let what = if held.is_none_or(|held| held.checksum != ack.checksum) {
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
) -> Option<Violation> {
    let log_view = facts.promise(replica).log_view;
    let disk = &facts.replica(replica).disk;
    let is_held = promised
        .headers
        .last()
        .is_none_or(|header| disk.holds(&Held::of(header), facts.configuration.slots));
    let what = if promised.log_view != log_view {
        format!("its disk says that its log is that of {log_view}")
    } else if disk.prefix() < promised.op || !is_held {
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
