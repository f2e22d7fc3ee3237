//! L2: after faults have stopped, every request of a client that is still there is answered, in time.

use vsr_core::number::ClientId;

use super::Phase;
use crate::oracles::facts::Facts;
use crate::oracles::violation::{Property, Violation};

/// Whether nobody waits for an answer.
pub(super) fn holds(facts: &Facts) -> bool {
    facts.clients.outstanding().next().is_none()
}

pub(super) fn check(facts: &Facts, phase: &Phase) -> Option<Violation> {
    if phase.is_idle {
        return None;
    }
    let bound = phase.bounds.request_completes;
    let overdue = facts
        .clients
        .outstanding()
        .find(|(_, outstanding)| facts.now > outstanding.since.max(phase.began).plus(bound));
    let (client, outstanding) = overdue?;
    let asked = facts.clients.asked(client, outstanding.request);
    let place = asked.map_or("registration", |asked| {
        if asked.session.get() == 0 { "registration" } else { "request" }
    });
    let message = format!(
        "{client} has asked for {} at {}\nfaults stopped at {}, {bound} is enough, and at {} there is no answer{}",
        outstanding.request,
        outstanding.since,
        phase.began,
        facts.now,
        log_text(facts, client),
    );
    Some(facts.violation(phase.named(facts, Property::RequestCompletes), place, message))
}

/// Where the log ends, for a person.
fn log_text(facts: &Facts, client: ClientId) -> String {
    let (view, head) = facts.log.newest();
    let last = (1..=facts.log.commit().get()).rev().find_map(|op| {
        let op = vsr_core::number::OpNumber::new(op);
        let header = facts.log.place(op)?.committed_header()?;
        (header.client == client).then_some((op, header.request))
    });
    let last = last.map_or_else(
        || "; nothing of it is committed".to_owned(),
        |(op, request)| format!("; its {request} is committed at {op}"),
    );
    format!("\nthe log of {view} ends at {head}, committed is {}{last}", facts.log.commit())
}
