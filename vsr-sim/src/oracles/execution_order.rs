//! I9: the committed log is a chain, and what reaches the service is the log, in order, from the first operation on.
//!
//! A call of apply carries bytes only. Which operation it must be follows from the log: the oracles' own client table says which
//! committed entries reach the service, so the n-th call of an incarnation has to be the n-th of those.

use vsr_core::checksum::Checksum;
use vsr_core::header::{Header, Operation};
use vsr_core::number::{OpNumber, ReplicaIndex};

use super::agreement::Claim;
use super::facts::{Facts, describe};
use super::violation::{Property, Violation};

/// The entry at `op` names a parent that nobody has seen; another entry is committed there.
#[cold]
pub(super) fn broken_chain(facts: &Facts, claim: &Claim, op: OpNumber) -> Box<Violation> {
    let before = facts.log.place(op).and_then(|place| place.committed_header());
    let before = before.map_or_else(|| "the root".to_owned(), describe);
    let message = format!(
        "{op} is committed: {before}\n{} commits a later operation in {}, {}, whose chain does not lead there",
        claim.by, claim.view, claim.how,
    );
    facts.violation(Property::ExecutionOrder, "chain", message)
}

/// `replica` has executed an operation where the log, as far as anybody has seen it, ends.
#[cold]
pub(super) fn beyond_the_log(facts: &Facts, replica: ReplicaIndex, op: OpNumber) -> Box<Violation> {
    let message = format!(
        "{replica} executes its operation number {} by {op}\nno log that was ever seen has an entry there",
        facts.replica(replica).applied + 1,
    );
    facts.violation(Property::ExecutionOrder, "beyond the log", message)
}

/// `replica` has executed `body` where `expected` is next: finds out what that means.
#[cold]
pub(super) fn explain(
    facts: &Facts,
    replica: ReplicaIndex,
    expected: &Header,
    body: Checksum,
) -> Box<Violation> {
    let applied = facts.replica(replica).applied;
    let stated = format!("at {} comes next: {}", expected.op, describe(expected));
    let violation = |property, place: &str, what: String| {
        facts.violation(property, place, format!("{stated}\n{what}"))
    };
    let is_body =
        |header: &&Header| header.operation == Operation::Apply && header.checksum_body == body;
    let here = facts.log.place(expected.op).map(|place| place.headers()).unwrap_or_default();
    let on_disk = facts.on_disk(replica, expected.op);
    let own = here
        .iter()
        .filter(is_body)
        .find(|header| on_disk.is_none_or(|held| held.checksum == header.checksum));
    if let Some(own) = own {
        let what = format!("{replica} executes there: {}", describe(own));
        return violation(Property::Agreement, "apply", what);
    }
    let (forgotten, ops) = facts.log.applies();
    let is_done = applied.saturating_sub(forgotten);
    let ops: Vec<OpNumber> = ops.collect();
    let (done, rest) = ops.split_at(is_done.min(ops.len()));
    if let Some(earlier) = find(facts, done, body) {
        let what = format!("{replica} executes again: {}", describe(earlier));
        return violation(Property::ExactlyOnce, "apply", what);
    }
    if let Some(later) = find(facts, rest, body) {
        let what = format!("{replica} executes first what is at {}: {}", later.op, describe(later));
        return violation(Property::ExecutionOrder, "apply", what);
    }
    if !facts.clients.knows_body(body) {
        let what = format!("{replica} executes what no client has asked for, checksum {body}");
        return violation(Property::NoFabrication, "apply", what);
    }
    let what = format!("{replica} executes what is not committed, checksum {body}");
    violation(Property::ExecutionOrder, "apply", what)
}

fn find<'a>(facts: &'a Facts, ops: &[OpNumber], body: Checksum) -> Option<&'a Header> {
    ops.iter()
        .filter_map(|op| facts.log.place(*op)?.committed_header())
        .find(|header| header.checksum_body == body)
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn an_operation_that_is_executed_before_its_turn_is_told() {
        let mut forge = Forge::of(3);
        let one = forge.request(1, b"one");
        forge.append(0, &one);
        let two = forge.request(2, b"two");
        let last = forge.append(0, &two);
        forge.commit(0, &last);
        forge.apply(1, b"two");
        assert_eq!(forge.fired(), [Property::ExecutionOrder]);
    }

    #[test]
    fn every_incarnation_executes_from_the_first_operation_on() {
        let mut forge = Forge::of(3);
        forge.complete(1, b"one");
        forge.complete(2, b"two");
        forge.restart(1);
        forge.apply(1, b"one");
        forge.apply(1, b"two");
        assert_eq!(forge.fired(), []);
        forge.restart(1);
        forge.apply(1, b"two");
        assert_eq!(forge.fired(), [Property::ExecutionOrder]);
    }

    #[test]
    fn what_is_in_no_log_must_not_be_executed() {
        let mut forge = Forge::of(3);
        forge.request(1, b"one");
        forge.apply(0, b"one");
        assert_eq!(forge.fired(), [Property::ExecutionOrder]);
    }

    #[test]
    fn a_chain_that_leads_elsewhere_is_told() {
        let mut forge = Forge::of(3);
        forge.complete(1, b"one");
        let request = forge.request(2, b"two");
        let stray = forge.entry_after(0, 3, vsr_core::checksum::Checksum::of(b"?"), &request);
        forge.prepare(0, &stray, 2);
        for replica in 0..3 {
            forge.store(replica, &stray);
        }
        assert_eq!(forge.fired(), []);
        forge.commit(0, &stray);
        assert_eq!(forge.fired(), [Property::ExecutionOrder]);
    }
}
