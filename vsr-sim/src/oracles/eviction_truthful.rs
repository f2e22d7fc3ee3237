//! L2: a client is told that its session is gone only if it is.
//!
//! Whoever is told so opens another session, and gives up what it waits for: a cluster that evicts everybody answers nothing, and keeps
//! nobody waiting. Sessions are numbered by the operations that opened them, so one that is in the table of what is committed has
//! never left it.

use vsr_core::message::Eviction;

use super::facts::Facts;
use super::violation::{Property, Violation};

/// A replica sends this.
pub(super) fn check(facts: &Facts, eviction: &Eviction) -> Option<Box<Violation>> {
    let Eviction { from, client, session, .. } = *eviction;
    if !facts.clients.has_session(client, session) {
        return None;
    }
    let message = format!(
        "{client} has {session}, by all that is committed\n{from} tells it that the session is gone"
    );
    Some(facts.violation(Property::EvictionTruthful, "Eviction", message))
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn who_is_told_that_its_session_is_gone_though_it_is_not_is_told_a_lie() {
        for (later, expected) in [(0, vec![Property::EvictionTruthful]), (1, vec![])] {
            let mut forge = Forge::of(3);
            forge.complete(1, b"one");
            forge.evict(0, later);
            assert_eq!(forge.fired(), expected);
        }
    }
}
