//! L3: after faults have stopped, all of the log is committed, and every replica of the core holds and has executed all of it.
//!
//! L8 and L9 are the same in harder circumstances: although all replicas were down, and although nobody asks for anything.

use vsr_core::number::ReplicaIndex;

use super::Phase;
use crate::oracles::facts::{Facts, Held};
use crate::oracles::violation::{Property, Violation};

/// Whether the core has all there is.
pub(super) fn holds(facts: &Facts, phase: &Phase) -> bool {
    is_all_committed(facts)
        && facts
            .configuration
            .replicas()
            .filter(|replica| phase.core.contains(*replica))
            .all(|replica| lack(facts, replica).is_none())
}

/// Whether the newest view's log is committed up to its head.
fn is_all_committed(facts: &Facts) -> bool {
    let (_, head) = facts.log.newest();
    let own = facts.replicas.first().map(|replica| replica.disk.prefix());
    // Who is alone shows the head of its log on its disk only.
    let head = if facts.configuration.replica_count == 1 { own.unwrap_or(head) } else { head };
    facts.log.commit() >= head
}

/// What `replica` lacks, if anything.
fn lack(facts: &Facts, replica: ReplicaIndex) -> Option<&'static str> {
    let known = facts.replica(replica);
    if !known.is_up {
        return Some("is down");
    }
    let commit = facts.log.commit();
    let last = facts.log.place(commit).and_then(|place| place.committed_header());
    let holds = |header| known.disk.holds(&Held::of(header), facts.configuration.slots);
    if known.disk.prefix() < commit || !last.is_none_or(holds) {
        return Some("lacks committed operations on its disk");
    }
    (known.applied < facts.log.applies_count()).then_some("has not executed all of them")
}

pub(super) fn check(facts: &Facts, phase: &Phase) -> Option<Box<Violation>> {
    let bound = phase.bounds.catch_up;
    // While the log grows there is always something that is not everywhere yet.
    let since = phase.began.max(facts.log.grown_at());
    if facts.now <= since.plus(bound) || holds(facts, phase) {
        return None;
    }
    let quiet = if phase.is_idle { "nobody asks for anything since" } else { "faults stopped at" };
    let (view, head) = facts.log.newest();
    let mut message = format!(
        "{quiet} {}, and {bound} is enough\nat {} the log of {view} ends at {head}, and {} of it is committed",
        phase.began,
        facts.now,
        facts.log.commit(),
    );
    let mut place = if is_all_committed(facts) { None } else { Some("uncommitted") };
    for replica in facts.configuration.replicas().filter(|replica| phase.core.contains(*replica)) {
        if let Some(lack) = lack(facts, replica) {
            place = place.or(Some(lack));
            let known = facts.replica(replica);
            message.push_str(&format!(
                "\n{replica} {lack}: it holds the log to {}, and has executed {} of {} operations",
                known.disk.prefix(),
                known.applied,
                facts.log.applies_count(),
            ));
        }
    }
    let property = if phase.is_idle { Property::IdleConverge } else { Property::CatchUp };
    Some(facts.violation(phase.named(facts, property), place.unwrap_or_default(), message))
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

    /// r2 has been away, and lacks the last operation; everything else is as it should be.
    fn behind() -> Forge {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let entry = forge.next(0, &request);
        forge.prepare(0, &entry, 1);
        for replica in [0, 1] {
            forge.store(replica, &entry);
        }
        forge.apply(0, b"one");
        forge.apply(1, b"one");
        forge.reply(0, 0, &entry, b"one");
        forge
    }

    #[test]
    fn a_replica_of_the_core_that_does_not_catch_up_is_told() {
        let mut forge = behind();
        forge.oracles.begin_liveness(forge.now, core(&[0, 1, 2]), &ENVIRONMENT);
        heartbeat(&mut forge, 0, &[0, 1, 2]);
        overdue(&mut forge);
        assert_eq!(forge.fired(), [Property::CatchUp]);

        let mut forge = behind();
        forge.oracles.begin_liveness(forge.now, core(&[0, 1]), &ENVIRONMENT);
        heartbeat(&mut forge, 0, &[0, 1]);
        overdue(&mut forge);
        assert_eq!(forge.fired(), [], "nobody waits for who is outside the core");
    }

    #[test]
    fn without_traffic_it_has_a_name_of_its_own() {
        let mut forge = behind();
        forge.oracles.begin_idle(forge.now, core(&[0, 1, 2]), &ENVIRONMENT);
        heartbeat(&mut forge, 0, &[0, 1, 2]);
        overdue(&mut forge);
        assert_eq!(forge.fired(), [Property::IdleConverge]);
    }

    #[test]
    fn after_all_were_down_it_has_a_name_of_its_own() {
        let mut forge = behind();
        for replica in 0..3 {
            forge.oracles.crashed(forge.now, r(replica), 0);
        }
        forge.wait(Span::from_ms(1));
        for replica in 0..3 {
            forge.oracles.booted(forge.now, r(replica));
        }
        forge.oracles.begin_liveness(forge.now, core(&[0, 1, 2]), &ENVIRONMENT);
        heartbeat(&mut forge, 0, &[0, 1, 2]);
        overdue(&mut forge);
        assert_eq!(forge.fired(), [Property::FullRestart]);
    }

    #[test]
    fn an_operation_that_stays_undecided_is_told() {
        let mut forge = Forge::of(3);
        forge.complete(1, b"one");
        let request = forge.request(2, b"two");
        let entry = forge.next(0, &request);
        forge.prepare(0, &entry, 2);
        forge.oracles.client_gone(forge.now, crate::oracles::forge::CLIENT);
        forge.log.pop();
        forge.oracles.begin_idle(forge.now, core(&[0, 1, 2]), &ENVIRONMENT);
        heartbeat(&mut forge, 0, &[0, 1, 2]);
        overdue(&mut forge);
        assert_eq!(forge.fired(), [Property::IdleConverge]);
    }

    #[test]
    fn who_has_executed_everything_is_left_alone() {
        let mut forge = Forge::of(3);
        forge.complete(1, b"one");
        forge.restart(1);
        forge.apply(1, b"one");
        forge.oracles.begin_idle(forge.now, core(&[0, 1, 2]), &ENVIRONMENT);
        heartbeat(&mut forge, 0, &[0, 1, 2]);
        assert!(forge.oracles.is_settled());
        overdue(&mut forge);
        assert_eq!(forge.fired(), []);
    }
}
