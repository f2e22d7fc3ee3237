//! L2: after faults have stopped, every request of a client that is still there is answered, in time.

use vsr_core::number::ClientId;

use super::Phase;
use crate::oracles::facts::Facts;
use crate::oracles::violation::{Property, Violation};

/// Whether nobody waits for an answer.
pub(super) fn holds(facts: &Facts) -> bool {
    facts.clients.outstanding().next().is_none()
}

pub(super) fn check(facts: &Facts, phase: &Phase) -> Option<Box<Violation>> {
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

#[cfg(test)]
mod tests {
    use crate::engine::time::Span;
    use crate::oracles::forge::{Forge, r};
    use crate::oracles::liveness::Environment;
    use crate::oracles::violation::Property;
    use vsr_core::quorum::ReplicaSet;

    const ENVIRONMENT: Environment = Environment {
        packet_delay: Span::from_ms(5),
        write_latency: Span::from_ms(1),
        read_latency: Span::from_ms(1),
        clock_slow_ppm: 0,
        clients: 1,
        operations: 10,
    };

    fn core(members: &[u8]) -> ReplicaSet {
        let mut core = ReplicaSet::EMPTY;
        for member in members {
            core.insert(r(*member));
        }
        core
    }

    /// As much time as the phase may take, and a little more.
    fn overdue(forge: &mut Forge) {
        forge.now = forge.oracles.phase_ends().unwrap().plus(Span::from_ms(1));
        forge.oracles.check_overdue(forge.now);
    }

    /// The core speaks as normal replicas of a view do.
    fn heartbeat(forge: &mut Forge, view: u64, members: &[u8]) {
        let last = std::sync::Arc::clone(forge.log.last().unwrap());
        for member in members {
            if forge.configuration.primary(vsr_core::number::ViewNumber::new(view)) == r(*member) {
                forge.commit(view, &last);
            } else {
                let sent_at = vsr_core::time::Instant::ZERO;
                let ok = vsr_core::message::CommitOk {
                    sent_at,
                    checkpoint: vsr_core::number::OpNumber::ZERO,
                };
                forge.say(*member, view, vsr_core::message::Command::CommitOk(ok));
            }
        }
    }

    #[test]
    fn a_request_that_is_not_answered_in_time_is_told() {
        let mut forge = Forge::of(3);
        forge.oracles.begin_liveness(forge.now, core(&[0, 1, 2]), &ENVIRONMENT);
        heartbeat(&mut forge, 0, &[0, 1, 2]);
        forge.request(1, b"one");
        assert!(!forge.oracles.is_settled());
        overdue(&mut forge);
        assert_eq!(forge.fired(), [Property::RequestCompletes]);
    }

    #[test]
    fn nobody_waits_for_a_client_that_is_gone_or_asked_just_now() {
        let mut forge = Forge::of(3);
        forge.oracles.begin_liveness(forge.now, core(&[0, 1, 2]), &ENVIRONMENT);
        heartbeat(&mut forge, 0, &[0, 1, 2]);
        forge.request(1, b"one");
        forge.oracles.client_gone(forge.now, crate::oracles::forge::CLIENT);
        forge.wait(forge.oracles.phase_ends().unwrap().since(forge.now));
        forge.request(2, b"two");
        overdue(&mut forge);
        assert_eq!(forge.fired(), []);
    }

    #[test]
    fn an_answer_in_time_is_an_answer() {
        let mut forge = Forge::of(3);
        forge.oracles.begin_liveness(forge.now, core(&[0, 1, 2]), &ENVIRONMENT);
        forge.complete(1, b"one");
        heartbeat(&mut forge, 0, &[0, 1, 2]);
        assert!(forge.oracles.is_settled());
        overdue(&mut forge);
        assert_eq!(forge.fired(), []);
    }
}
