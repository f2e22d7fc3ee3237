//! L1: after faults have stopped, the core is normal in one view, in time.
//!
//! Normal is who says what only a normal replica says, since it was booted, and whose disk agrees.

use vsr_core::number::{ReplicaIndex, ViewNumber};

use super::Phase;
use crate::oracles::facts::Facts;
use crate::oracles::violation::{Property, Violation};

/// Whether the core is normal in one view now, as far as was seen.
pub(in super::super) fn holds(facts: &Facts, phase: &Phase) -> bool {
    let mut members =
        facts.configuration.replicas().filter(|replica| phase.core.contains(*replica));
    let Some(first) = members.next() else { return true };
    let Some(view) = normal_in(facts, first) else { return false };
    members.all(|member| normal_in(facts, member) == Some(view))
        && phase.core.contains(facts.configuration.primary(view))
}

/// The view that `replica` is normal in, if it is.
fn normal_in(facts: &Facts, replica: ReplicaIndex) -> Option<ViewNumber> {
    let known = facts.replica(replica);
    let promise = known.disk.promise();
    if !known.is_up || promise.view != promise.log_view {
        return None;
    }
    // Who is alone talks to no other replica.
    let is_alone = facts.configuration.replica_count == 1;
    (is_alone || known.normal_view == Some(promise.view)).then_some(promise.view)
}

pub(super) fn check(facts: &Facts, phase: &Phase) -> Option<Box<Violation>> {
    let bound = phase.bounds.view_converges;
    if phase.converged_at.is_some() || !phase.is_overdue(facts, bound) {
        return None;
    }
    let mut message =
        format!("faults stopped at {}, and {bound} is enough\nat {}:", phase.began, facts.now);
    for replica in facts.configuration.replicas().filter(|replica| phase.core.contains(*replica)) {
        let promise = facts.promise(replica);
        let said = facts.replica(replica).normal_view.map_or_else(
            || "has said nothing as a normal replica".to_owned(),
            |view| format!("was last normal in {view}"),
        );
        message.push_str(&format!(
            "\n{replica} {said}, its disk names {} with log view {}",
            promise.view, promise.log_view
        ));
    }
    let property = phase.named(facts, Property::ViewConverges);
    Some(facts.violation(property, "view", message))
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
    fn a_core_that_is_not_normal_in_one_view_in_time_is_told() {
        let mut forge = Forge::of(5);
        forge.oracles.begin_liveness(forge.now, core(&[0, 1, 2]), &ENVIRONMENT);
        heartbeat(&mut forge, 0, &[0, 1]);
        // r2 has left the view, and nobody follows.
        forge.promise(2, 1, 0);
        forge.oracles.check_overdue(forge.oracles.phase_ends().unwrap());
        overdue(&mut forge);
        assert_eq!(forge.fired()[0], Property::ViewConverges);
        assert!(forge.oracles.violation().unwrap().message.contains("r2"));
    }

    #[test]
    fn a_core_that_has_come_together_once_is_left_alone_and_so_are_the_others() {
        let mut forge = Forge::of(5);
        forge.oracles.begin_liveness(forge.now, core(&[0, 1, 2]), &ENVIRONMENT);
        assert!(!forge.oracles.is_settled());
        heartbeat(&mut forge, 0, &[0, 1, 2]);
        assert!(forge.oracles.is_settled());
        forge.promise(4, 7, 0);
        overdue(&mut forge);
        assert_eq!(forge.fired(), []);
    }

    #[test]
    fn a_primary_outside_the_core_is_no_primary() {
        let mut forge = Forge::of(5);
        forge.oracles.begin_liveness(forge.now, core(&[1, 2, 3]), &ENVIRONMENT);
        heartbeat(&mut forge, 0, &[1, 2, 3]);
        overdue(&mut forge);
        assert_eq!(forge.fired(), [Property::ViewConverges]);
    }
}
