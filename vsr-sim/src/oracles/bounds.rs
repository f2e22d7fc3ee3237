//! I24, the part that needs no assertion to fail: no number leaves the range that the configuration gives it.

use vsr_core::header::Header;
use vsr_core::number::{OpNumber, ReplicaIndex};

use super::facts::Facts;
use super::violation::{Property, Violation};

/// A message of the kind `place` names an operation that no log has room for.
pub(super) fn check_op(
    facts: &Facts,
    by: ReplicaIndex,
    op: OpNumber,
    place: &str,
) -> Option<Box<Violation>> {
    if facts.log.has_room(op) {
        return None;
    }
    let slots = facts.configuration.slots;
    let message = format!("{by} names {op} in its {place}\na log has room for {slots} operations");
    Some(facts.violation(Property::Bounds, place, message))
}

/// A primary prepares `op` and knows `commit` to be committed.
pub(super) fn check_pipeline(
    facts: &Facts,
    by: ReplicaIndex,
    op: OpNumber,
    commit: OpNumber,
) -> Option<Box<Violation>> {
    let depth = facts.configuration.pipeline_max;
    if op <= commit.plus(u64::from(depth)) {
        return None;
    }
    let message = format!(
        "{by} prepares {op} with {commit} committed\nthe pipeline holds {depth} operations, and what is older counts as committed"
    );
    Some(facts.violation(Property::Bounds, "pipeline", message))
}

/// A log in a message of the kind `place` ends at `op` with these headers.
pub(super) fn check_headers(
    facts: &Facts,
    by: ReplicaIndex,
    op: OpNumber,
    headers: &[Header],
    place: &str,
) -> Option<Box<Violation>> {
    let depth = u64::from(facts.configuration.pipeline_max);
    let is_end = headers.last().map_or(op == OpNumber::ZERO, |header| header.op == op);
    if headers.len() as u64 <= depth && is_end {
        return None;
    }
    let message = format!(
        "{by} sends in its {place} {} headers of a log that ends at {op}, the last one of {}\nit is to hold the last {depth} at most",
        headers.len(),
        headers.last().map_or(OpNumber::ZERO, |header| header.op),
    );
    Some(facts.violation(Property::Bounds, place, message))
}

/// `replica` has written an entry of `op` into `slot`.
pub(super) fn check_slot(
    facts: &Facts,
    replica: ReplicaIndex,
    op: OpNumber,
    slot: u64,
) -> Option<Box<Violation>> {
    if op.get() % u64::from(facts.configuration.slots) == slot && facts.log.has_room(op) {
        return None;
    }
    let message = format!("{replica} writes {op} into slot {slot}\nthat is not its place");
    Some(facts.violation(Property::Bounds, "slot", message))
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_pipeline_deeper_than_the_configuration_says_is_told() {
        let mut forge = Forge::of(3);
        let depth = u64::from(forge.configuration.pipeline_max);
        for number in 1..=depth + 1 {
            let request = forge.request(number, &number.to_le_bytes());
            let entry = forge.next(0, &request);
            forge.prepare(0, &entry, 1);
            let expected: &[Property] = if number > depth { &[Property::Bounds] } else { &[] };
            assert_eq!(forge.fired(), expected, "{number} undecided");
        }
    }

    #[test]
    fn an_operation_that_no_log_has_room_for_is_told() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let slots = u64::from(forge.configuration.slots);
        let last = forge.entry_after(0, slots, forge.head(), &request);
        forge.say(0, 0, vsr_core::message::Command::Repaired(last));
        assert_eq!(forge.fired(), []);
        let beyond = forge.entry_after(0, slots + 1, forge.head(), &request);
        forge.say(0, 0, vsr_core::message::Command::Repaired(beyond));
        assert_eq!(forge.fired(), [Property::Bounds]);
    }

    #[test]
    fn an_entry_in_the_wrong_slot_is_told() {
        let mut forge = Forge::of(3);
        let bytes = forge.log[0].header().encode();
        let offset = 5 * forge.configuration.prepare_slot_size();
        forge.write(1, vsr_core::io::Zone::Prepares, offset, &bytes);
        assert_eq!(forge.fired(), [Property::Bounds]);
    }

    #[test]
    fn more_headers_than_a_pipeline_are_told() {
        let mut forge = Forge::of(3);
        for number in 1..=8 {
            forge.complete(number, &number.to_le_bytes());
        }
        let log = forge.log.clone();
        forge.join(1, &log.iter().skip(1).collect::<Vec<_>>());
        forge.start_view(1, 1, &log.iter().skip(1).collect::<Vec<_>>(), 9);
        assert_eq!(forge.fired(), []);
        forge.start_view(1, 1, &log.iter().collect::<Vec<_>>(), 9);
        assert_eq!(forge.fired(), [Property::Bounds]);
    }

    /// A write that went astray left an entry in a slot that is not its own; then a crash tears the write that belongs there.
    #[test]
    fn what_a_torn_write_lets_show_may_have_gone_astray() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let entry = forge.append(0, &request);
        let op = entry.header().op.get();
        forge.tear(1, op + 1, &entry);
        assert_eq!(forge.fired(), []);
        let slot = (op + 1) % u64::from(forge.configuration.slots);
        let offset = slot * forge.configuration.prepare_slot_size();
        let mut bytes = entry.header().encode().to_vec();
        bytes.extend_from_slice(entry.body());
        forge.write(1, vsr_core::io::Zone::Prepares, offset, &bytes);
        assert_eq!(forge.fired(), [Property::Bounds], "nobody may write it there");
    }
}
