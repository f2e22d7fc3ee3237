//! When steps had their time, and whom they struck: learnt from a run, and written into the scenario.
//!
//! A step that waits for the fortieth commit moves when there are fewer requests. So each is given the moment that it had:
//! what it waits for is then the first of its kind from just before that moment on.

use crate::cluster::Node;
use crate::cluster::service::AnyService;
use crate::engine::{NodeSet, Observer, Span, Time};
use crate::faults::{Fault, Gate, Lasts, Selector, Step};
use crate::scenario::Scenario;
use crate::scenario::action::Action;
use crate::scenario::listener::Listener;
use crate::scenario::run::Runner;

/// Remembers when each step had its time.
#[derive(Debug, Default)]
pub(super) struct Moments {
    begun: Vec<Option<(Time, NodeSet)>>,
    ended: Vec<Option<Time>>,
}

impl Observer<Node> for Moments {}

impl Listener for Moments {
    fn step_begins(&mut self, now: Time, step: usize, nodes: NodeSet) {
        put(&mut self.begun, step, (now, nodes));
    }

    fn step_ends(&mut self, now: Time, step: usize) {
        put(&mut self.ended, step, now);
    }
}

fn put<T>(list: &mut Vec<Option<T>>, place: usize, thing: T) {
    if list.len() <= place {
        list.resize_with(place + 1, || None);
    }
    list[place] = Some(thing);
}

fn at<T: Copy>(list: &[Option<T>], place: usize) -> Option<T> {
    list.get(place).copied().flatten()
}

impl Moments {
    /// Those of a run of `scenario` with this service.
    pub(super) fn of(service: &AnyService, scenario: &Scenario) -> Self {
        Runner::<Self>::of(service.clone()).run_watched(scenario, Self::default()).1
    }

    /// The scenario without the steps that never had their time; what is expected stays.
    pub(super) fn met(&self, scenario: &Scenario) -> Scenario {
        let mut place = 0;
        let mut scenario = scenario.clone();
        scenario.steps.retain(|step| {
            place += 1;
            is_expected(step) || at(&self.begun, place - 1).is_some()
        });
        scenario
    }

    /// The scenario with all steps at the moments that they had, and without those that had none.
    pub(super) fn fixed(&self, scenario: &Scenario, is_named: bool) -> Scenario {
        let mut scenario = scenario.clone();
        let steps = std::mem::take(&mut scenario.steps);
        let fixed = |(place, step): (usize, Step<Action>)| {
            if is_expected(&step) {
                return Some(step);
            }
            let begun = at(&self.begun, place)?;
            let step = fixed(&step, begun, at(&self.ended, place));
            Some(if is_named { named(&scenario, &step, begun.1).unwrap_or(step) } else { step })
        };
        let steps = steps.into_iter().enumerate().filter_map(fixed).collect();
        scenario.steps = steps;
        scenario
    }

    /// The scenario with one step at the moment that it had.
    pub(super) fn fixed_one(&self, scenario: &Scenario, place: usize) -> Option<Scenario> {
        let begun = at(&self.begun, place)?;
        if is_expected(&scenario.steps[place]) {
            return None;
        }
        let mut scenario = scenario.clone();
        scenario.steps[place] = fixed(&scenario.steps[place], begun, at(&self.ended, place));
        Some(scenario)
    }

    /// The scenario with the one node that a step struck in the place of the word that stood for it.
    pub(super) fn named_one(&self, scenario: &Scenario, place: usize) -> Option<Scenario> {
        let (_, struck) = at(&self.begun, place)?;
        let mut scenario = scenario.clone();
        scenario.steps[place] = named(&scenario, &scenario.steps[place], struck)?;
        Some(scenario)
    }
}

const fn is_expected(step: &Step<Action>) -> bool {
    matches!(step.action, Action::Expect(_))
}

/// The step at the moment that it had.
fn fixed(step: &Step<Action>, (begun, _): (Time, NodeSet), ended: Option<Time>) -> Step<Action> {
    let mut step = step.clone();
    step.gate = match &mut step.on {
        None => Gate::At(begun),
        Some(on) => {
            on.nth = 1;
            Gate::At(Time::from_ns(begun.as_ns().saturating_sub(1)))
        }
    };
    if let (Lasts::Until(_), Some(ended)) = (&step.lasts, ended) {
        step.lasts = Lasts::For(ended.since(begun).max(Span::from_ns(1)));
    }
    step
}

/// The step with the one node that it struck by name, where it names it otherwise.
fn named(scenario: &Scenario, step: &Step<Action>, struck: NodeSet) -> Option<Step<Action>> {
    let mut struck = struck.iter();
    let (Some(only), None) = (struck.next(), struck.next()) else { return None };
    let name = scenario.words().name(only);
    let mut step = step.clone();
    let word = only_selector(&mut step.action)?;
    if *word == name {
        return None;
    }
    *word = name;
    Some(step)
}

/// The word in what strikes nodes one by one.
fn only_selector(action: &mut Action) -> Option<&mut Selector> {
    let fault = match action {
        Action::Fault(fault) => fault,
        Action::Request(request) => return Some(&mut request.from),
        Action::Expect(_) => return None,
    };
    if matches!(fault, Fault::Partition { .. }) {
        return None;
    }
    let mut words = fault.selectors_mut();
    let word = words.pop();
    if words.is_empty() { word } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_get_the_moments_and_the_names_that_they_had() {
        let scenario: Scenario = serde_json::from_str(
            r#"{"format": 1, "workload": {"requests": 30}, "duration": "2s", "steps": [
                {"on": {"moment": "event", "kind": "Prepared", "nth": 20}, "do": {"crash": {"node": "subject"}},
                 "until": {"moment": "event", "kind": "Committed"}},
                {"after": "1ms", "do": {"hold": {"from": "replicas", "to": "r0"}}, "for": "3ms"},
                {"on": {"moment": "event", "kind": "Halted"}, "do": {"heal": {}}}]}"#,
        )
        .unwrap();
        let moments = Moments::of(&AnyService::default(), &scenario);
        assert_eq!(moments.met(&scenario).steps.len(), 2, "nobody halted");
        let fixed = moments.fixed(&scenario, true);
        let [crash, hold] = &fixed.steps[..] else { panic!("two steps had their time") };
        let (Gate::At(begun), Some(on)) = (crash.gate, &crash.on) else { panic!("{crash:?}") };
        assert_eq!(on.nth, 1);
        let struck = crash.action.fault();
        assert!(matches!(struck, Some(Fault::Crash { node }) if node.word().starts_with('r')));
        assert!(matches!(crash.lasts, Lasts::For(_)), "{crash:?}");
        assert_eq!(hold.gate, Gate::At(begun.plus(Span::from_ns(1_000_001))));
        // The fixed steps strike at the very same moments.
        let again = Moments::of(&AnyService::default(), &fixed);
        assert_eq!(again.begun[..2], moments.begun[..2]);
        assert_eq!(again.ended[..2], moments.ended[..2]);
    }
}
