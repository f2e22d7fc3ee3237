//! Less before the moment that matters: when requests or clients are left out, later operations get smaller numbers, and whatever
//! names one of them follows it.

use std::ops::Range;

use super::names::numbered;
use super::parts::without_clients;
use crate::cluster::event::is_about_operation;
use crate::cluster::packet::{About, about, number_of_kind};
use crate::faults::{Fault, Lasts, MomentName, Selector};
use crate::scenario::Scenario;
use crate::scenario::action::Action;

/// The scenario without some of the requests that its steps ask for; what is said of operations is said of those that come then.
pub(super) fn without_requests(scenario: &Scenario, part: Range<usize>) -> Option<Scenario> {
    let places: Vec<usize> = requests(scenario).map(|(place, _)| place).collect();
    let gone = places.get(part)?;
    let by: Vec<Selector> = gone.iter().filter_map(|place| asker(scenario, *place)).collect();
    let mut fewer = scenario.clone();
    let mut place = 0;
    fewer.steps.retain(|_| {
        place += 1;
        !gone.contains(&(place - 1))
    });
    move_up(&mut fewer, by.len(), &by);
    Some(fewer)
}

/// How many requests steps ask for.
pub(super) fn request_count(scenario: &Scenario) -> usize {
    requests(scenario).count()
}

/// The scenario without some of its clients, whose sessions and requests others do not come after any more.
pub(super) fn without_clients_before(scenario: &Scenario, part: Range<usize>) -> Option<Scenario> {
    let fewer = without_clients(scenario, part.clone())?;
    let left = request_count(&fewer);
    let operations = part.len() + request_count(scenario) - left;
    let mut moved = fewer;
    move_up(&mut moved, operations, &[]);
    Some(moved)
}

/// The places of requests among the steps, and who asks.
fn requests(scenario: &Scenario) -> impl Iterator<Item = (usize, &Selector)> {
    scenario.steps.iter().enumerate().filter_map(|(place, step)| match &step.action {
        Action::Request(request) => Some((place, &request.from)),
        Action::Fault(_) | Action::Expect(_) => None,
    })
}

fn asker(scenario: &Scenario, place: usize) -> Option<Selector> {
    match &scenario.steps[place].action {
        Action::Request(request) => Some(request.from.clone()),
        Action::Fault(_) | Action::Expect(_) => None,
    }
}

/// So many operations less have come before; among them a request by each of these clients.
fn move_up(scenario: &mut Scenario, operations: usize, by: &[Selector]) {
    let less = |kind: &str, ends: [&Selector; 2]| {
        let count = match number_of_kind(kind).map(about) {
            Some(About::Operation) => operations,
            Some(About::Request) => {
                let client = ends.into_iter().find(|end| numbered(end, 'c').is_some());
                by.iter().filter(|asker| Some(*asker) == client).count()
            }
            Some(About::View) | None => 0,
        };
        u64::try_from(count).unwrap_or(u64::MAX)
    };
    for fate in &mut scenario.fates {
        let less = less(&fate.kind, [&fate.from, &fate.to]);
        fate.identity = fate.identity.saturating_sub(less);
    }
    for step in &mut scenario.steps {
        if let Action::Fault(Fault::Lose { from, to, kind, identity, .. }) = &mut step.action {
            *identity = identity.saturating_sub(less(kind, [from, to]));
        }
        let until = match &mut step.lasts {
            Lasts::Until(until) => Some(until),
            Lasts::On | Lasts::For(_) => None,
        };
        for on in step.on.iter_mut().chain(until) {
            let kind = on.kind.as_deref().unwrap_or_default();
            let less = match on.moment {
                MomentName::Event if is_about_operation(kind) => {
                    u64::try_from(operations).unwrap_or(u64::MAX)
                }
                MomentName::Sent | MomentName::Delivered => {
                    let nobody = Selector::new("");
                    let [one, other] = [&on.node, &on.peer].map(|end| end.as_ref());
                    less(kind, [one.unwrap_or(&nobody), other.unwrap_or(&nobody)])
                }
                MomentName::Event
                | MomentName::WriteStarted
                | MomentName::WriteEnded
                | MomentName::Booted
                | MomentName::Crashed => 0,
            };
            on.identity = on.identity.map(|identity| identity.saturating_sub(less));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_an_operation_follows_it_when_there_are_fewer_before_it() {
        let scenario: Scenario = serde_json::from_str(
            r#"{"format": 1, "cluster": {"clients": 2}, "steps": [
                {"at": "1ms", "do": {"request": {"from": "c0", "operation": "put k0 1"}}},
                {"at": "1ms", "do": {"request": {"from": "c1", "operation": "put k0 2"}}},
                {"on": {"moment": "event", "kind": "Prepared", "identity": 5}, "do": {"crash": {"node": "r1"}},
                 "until": {"moment": "sent", "kind": "StartView", "identity": 3}},
                {"at": "3ms", "do": {"request": {"from": "c0", "operation": "put k0 3"}}},
                {"at": "3ms", "do": {"lose": {"from": "r0", "to": "r1", "kind": "Prepare", "identity": 5}}}],
              "fates": [
                {"from": "r1", "to": "r0", "kind": "PrepareOk", "identity": 5, "fate": "lost"},
                {"from": "r0", "to": "c0", "kind": "Reply", "identity": 2, "fate": "lost"},
                {"from": "r1", "to": "r0", "kind": "DoViewChange", "identity": 3, "fate": "lost"}]}"#,
        )
        .unwrap();
        assert_eq!(request_count(&scenario), 3);
        let identities = |scenario: &Scenario| {
            let lost = scenario.steps.iter().find_map(|step| match step.action.fault() {
                Some(Fault::Lose { identity, .. }) => Some(*identity),
                Some(_) | None => None,
            });
            let fates: Vec<u64> = scenario.fates.iter().map(|fate| fate.identity).collect();
            let crash = scenario.steps.iter().find(|step| step.on.is_some()).unwrap();
            assert_eq!(crash.on.as_ref().unwrap().identity, lost);
            assert!(matches!(&crash.lasts, Lasts::Until(until) if until.identity == Some(3)));
            (scenario.steps.len(), lost, fates)
        };
        let fewer = without_requests(&scenario, 0..2).unwrap();
        assert_eq!(identities(&fewer), (3, Some(3), vec![3, 1, 3]));
        let fewer = without_requests(&scenario, 1..2).unwrap();
        assert_eq!(identities(&fewer), (4, Some(4), vec![4, 2, 3]));
        // The session of the second client goes along with its request.
        let fewer = without_clients_before(&scenario, 1..2).unwrap();
        assert_eq!(identities(&fewer), (4, Some(3), vec![3, 2, 3]));
        // Were the numbers left, the fault would meet nothing, and all that came before it would have to stay.
    }
}
