//! Who is meant: names of nodes in steps and fates, when there are fewer of them.

use crate::cluster::selector::BUSY;
use crate::faults::{Fault, Lasts, On, Selector, Step};
use crate::scenario::Scenario;
use crate::scenario::action::Action;
use crate::scenario::fates::NamedFate;

/// The scenario's steps and fates, with other names: what names somebody without a new name is left out.
pub(super) fn renamed(scenario: &mut Scenario, name: &impl Fn(&Selector) -> Option<Selector>) {
    scenario.steps.retain_mut(|step| rename_step(step, name));
    scenario.fates.retain_mut(|fate| rename_fate(fate, name));
}

fn rename_step(step: &mut Step<Action>, name: &impl Fn(&Selector) -> Option<Selector>) -> bool {
    let triggers = step.on.iter_mut().all(|on| rename_trigger(on, name));
    let lasts = match &mut step.lasts {
        Lasts::Until(until) => rename_trigger(until, name),
        Lasts::On | Lasts::For(_) => true,
    };
    triggers && lasts && rename_action(&mut step.action, name)
}

fn rename_trigger(on: &mut On, name: &impl Fn(&Selector) -> Option<Selector>) -> bool {
    on.node.iter_mut().chain(&mut on.peer).all(|word| rename(word, name))
}

fn rename_action(action: &mut Action, name: &impl Fn(&Selector) -> Option<Selector>) -> bool {
    match action {
        Action::Fault(fault) => rename_fault(fault, name),
        Action::Request(request) => rename(&mut request.from, name),
        Action::Expect(expectation) => {
            let commits = std::mem::take(&mut expectation.commits);
            let renamed = commits.into_iter().map(|(mut word, commit)| {
                let is_there = rename(&mut word, name);
                is_there.then_some((word, commit))
            });
            let renamed: Option<_> = renamed.collect();
            let are_there = renamed.is_some();
            expectation.commits = renamed.unwrap_or_default();
            are_there && expectation.nodes.iter_mut().all(|word| rename(word, name))
        }
    }
}

/// A partition goes on without those who are gone, as long as two sides are left.
fn rename_fault(fault: &mut Fault, name: &impl Fn(&Selector) -> Option<Selector>) -> bool {
    if let Fault::Partition { sides } = fault {
        for side in &mut *sides {
            side.retain_mut(|word| rename(word, name));
        }
        sides.retain(|side| !side.is_empty());
        return sides.len() > 1;
    }
    fault.selectors_mut().into_iter().all(|word| rename(word, name))
}

fn rename_fate(fate: &mut NamedFate, name: &impl Fn(&Selector) -> Option<Selector>) -> bool {
    rename(&mut fate.from, name) && rename(&mut fate.to, name)
}

fn rename(word: &mut Selector, name: &impl Fn(&Selector) -> Option<Selector>) -> bool {
    let (prefix, plain) = match word.word().strip_prefix(BUSY) {
        Some(plain) => (BUSY, Selector::new(plain)),
        None => ("", word.clone()),
    };
    match name(&plain) {
        Some(new) => *word = Selector::new(format!("{prefix}{new}")),
        None => return false,
    }
    true
}

/// The number in a name such as `r3` or `c12`, where `letter` is `r` or `c`.
pub(super) fn numbered(word: &Selector, letter: char) -> Option<u8> {
    word.word().strip_prefix(letter)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_somebody_who_is_gone_is_left_out_and_the_others_move_up() {
        let mut scenario: Scenario = serde_json::from_str(
            r#"{"format": 1, "cluster": {"replicas": 5, "clients": 3}, "steps": [
                {"at": "1ms", "do": {"crash": {"node": "r4"}}},
                {"on": {"moment": "booted", "node": "r3"}, "do": {"heal": {}}},
                {"at": "2ms", "do": {"partition": {"sides": [["r0", "r3"], ["r1", "r2", "r4"]]}}},
                {"at": "2ms", "do": {"partition": {"sides": [["r3"], ["r1", "r2", "r4"]]}}},
                {"at": "3ms", "do": {"crash": {"node": "busy-r1"}}, "until": {"moment": "booted", "node": "c2"}},
                {"at": "4ms", "do": {"pause": {"node": "primary"}}},
                {"at": "5ms", "do": {"request": {"from": "c1", "operation": "get k0"}}},
                {"at": "5ms", "do": {"request": {"from": "c2", "operation": "get k0"}}},
                {"at": "6ms", "do": {"expect": {"commits": {"r0": 1, "r4": 1}}}}],
              "fates": [
                {"from": "r3", "to": "r0", "kind": "PrepareOk", "identity": 3, "fate": "lost"},
                {"from": "c2", "to": "r0", "kind": "Request", "identity": 3, "fate": "lost"}]}"#,
        )
        .unwrap();
        renamed(&mut scenario, &|word| match (numbered(word, 'r'), numbered(word, 'c')) {
            (Some(3..), _) | (_, Some(1)) => None,
            (_, Some(2)) => Some(Selector::new("c1")),
            (Some(_) | None, _) => Some(word.clone()),
        });
        let steps = serde_json::to_string(&scenario.steps).unwrap();
        assert_eq!(
            steps,
            r#"[{"at":"2ms","do":{"partition":{"sides":[["r0"],["r1","r2"]]}}},{"at":"3ms","do":{"crash":{"node":"busy-r1"}},"until":{"moment":"booted","node":"c1"}},{"at":"4ms","do":{"pause":{"node":"primary"}}},{"at":"5ms","do":{"request":{"from":"c1","operation":"get k0"}}}]"#
        );
        let [fate] = &scenario.fates[..] else { panic!("one is left") };
        assert_eq!(fate.from.word(), "c1");
        // Were a fate or a step left with the old name, it would happen to somebody else.
    }
}
