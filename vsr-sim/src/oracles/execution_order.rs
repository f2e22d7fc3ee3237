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
pub(super) fn broken_chain(facts: &Facts, claim: &Claim, op: OpNumber) -> Violation {
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
pub(super) fn beyond_the_log(facts: &Facts, replica: ReplicaIndex, op: OpNumber) -> Violation {
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
) -> Violation {
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
    let done = &facts.log.applies()[..applied.min(facts.log.applies().len())];
    if let Some(earlier) = find(facts, done, body) {
        let what = format!("{replica} executes again: {}", describe(earlier));
        return violation(Property::ExactlyOnce, "apply", what);
    }
    let rest = facts.log.applies().get(applied..).unwrap_or_default();
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
