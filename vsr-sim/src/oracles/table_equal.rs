//! I23: the client table in a checkpoint is that of its operation: the sessions that the log has opened and not evicted, each with the
//! last request that was executed in it.

use vsr_core::checkpoint::Checkpoint;
use vsr_core::client_table::ClientTable;
use vsr_core::number::ReplicaIndex;

use super::facts::{Facts, Taken, sessions_checksum};
use super::violation::{Property, Violation};

/// Holds the table of a checkpoint on the disk of `replica` against what the log has made of it.
pub(super) fn check(
    facts: &Facts,
    replica: ReplicaIndex,
    checkpoint: &Checkpoint,
    expected: &Taken,
) -> Option<Box<Violation>> {
    let expected = expected.sessions?;
    let (mut table, _) = checkpoint.parts();
    let mut sessions = Vec::new();
    while let Some(one) = ClientTable::decode(1, &mut table) {
        let told = |(client, record): (_, vsr_core::client_table::SessionRecord)| {
            (client, record.session, record.request)
        };
        sessions.extend(one.into_iter().map(told));
    }
    if sessions_checksum(sessions.iter().copied()) == expected {
        return None;
    }
    let listed: Vec<String> = sessions
        .iter()
        .map(|(client, session, request)| format!("{client} {session} to {request}"))
        .collect();
    let message = format!(
        "the disk of {replica} holds a checkpoint of {}, with the sessions: {}\nby the log there are others, or other requests were the last",
        checkpoint.op(),
        if listed.is_empty() { "none".to_owned() } else { listed.join(", ") },
    );
    Some(facts.violation(Property::TableEqual, "checkpoint", message))
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_table_that_forgets_a_session_is_told() {
        let (mut forge, _) = Forge::at_checkpoint();
        let without = forge.checkpoint_of(&vsr_core::client_table::ClientTable::new(4), b"2");
        forge.store_checkpoint(2, &without);
        assert_eq!(forge.fired(), [Property::TableEqual]);
        // A client that asks again after the next restart would have its request executed twice.
    }
}
