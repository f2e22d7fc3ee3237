//! What clients asked for, learnt from a run, as steps in the place of a workload.

use super::search::Candidates;
use super::simpler::{last_moment, round_up};
use crate::cluster::Node;
use crate::cluster::event::{ClientEvent, Event};
use crate::cluster::service::AnyService;
use crate::cluster::workload::Workload;
use crate::engine::{NodeIndex, Observer, Span, Time};
use crate::faults::{Gate, Step};
use crate::scenario::Scenario;
use crate::scenario::action::{Action, Request};
use crate::scenario::listener::Listener;
use crate::scenario::run::Runner;

/// Remembers who asked what, and when.
#[derive(Debug, Default)]
struct Questions {
    service: AnyService,
    asked: Vec<(Time, NodeIndex, String)>,
    /// When the faults stopped.
    healed: Option<Time>,
    /// Whether an operation has no words that say all of it.
    is_beyond_words: bool,
}

impl Observer<Node> for Questions {
    fn event(&mut self, now: Time, node: NodeIndex, event: &Event) {
        let Event::Client(ClientEvent::Invoked { operation, .. }) = event else { return };
        let words = self.service.operation_in_full(operation);
        let read = self.service.operation_from_words(&words);
        self.is_beyond_words |= read.ok().as_deref() != Some(&**operation);
        self.asked.push((now, node, words));
    }
}

impl Listener for Questions {
    fn run_begins(&mut self, service: &AnyService) {
        self.service = service.clone();
    }

    fn phase_begins(&mut self, now: Time, _: &str) {
        self.healed.get_or_insert(now);
    }
}

/// The scenario with steps for the questions of its run in the place of the workload, where they can be said in words.
///
/// For all of them; or for those asked while faults went on, so that some more are asked afterwards as before.
pub(super) fn written_out<'a>(
    service: &AnyService,
    scenario: &'a Scenario,
) -> Candidates<'a, Scenario> {
    let Some(workload) = scenario.workload.filter(|workload| workload.requests > 0) else {
        return Box::new(std::iter::empty());
    };
    let mut runner = Runner::<Questions>::of(service.clone());
    let questions = runner.run_watched(scenario, Questions::default()).1;
    if questions.is_beyond_words {
        return Box::new(std::iter::empty());
    }
    let all = asking(scenario, &questions.asked);
    let healed = questions.healed.unwrap_or(Time::MAX);
    let before = questions.asked.partition_point(|(time, ..)| *time < healed);
    let mut early = asking(scenario, &questions.asked[..before]);
    early.workload = Some(Workload { requests: 0, ..workload });
    Box::new([all, early].into_iter())
}

/// The scenario with these questions instead of a workload.
fn asking(scenario: &Scenario, questions: &[(Time, NodeIndex, String)]) -> Scenario {
    let mut scenario = scenario.clone();
    scenario.workload = None;
    for (time, node, operation) in questions {
        let (from, operation) = (scenario.words().name(*node), operation.clone());
        let request = Action::Request(Request { from, operation });
        scenario.steps.push(Step::at(*time, request));
    }
    in_order(&mut scenario);
    let last = last_moment(&scenario).plus(Span::from_ms(1));
    scenario.duration = scenario.duration.max(round_up(last));
    scenario
}

/// Puts steps into the order of their times, if that changes none of them.
fn in_order(scenario: &mut Scenario) {
    let time = |step: &Step<Action>| match step.gate {
        Gate::At(time) => Some(time),
        Gate::Start => Some(Time::ZERO),
        // It follows the one before it.
        Gate::After(_) | Gate::Settled(_) => None,
    };
    if scenario.steps.iter().all(|step| time(step).is_some()) {
        scenario.steps.sort_by_key(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Seed;
    use crate::scenario::draw::Overrides;
    use crate::scenario::outcome::Verdict;

    fn questions(scenario: &Scenario) -> Vec<(Time, NodeIndex, String)> {
        let mut runner = Runner::<Questions>::default();
        let (outcome, questions) = runner.run_watched(scenario, Questions::default());
        assert_eq!(outcome.verdict, Verdict::Pass);
        questions.asked
    }

    /// The same questions at the same times, large values included, though nobody draws them any more.
    #[test]
    fn steps_ask_what_the_workload_asked() {
        let service = AnyService::default();
        let mut large = 0;
        for number in 0..20 {
            let drawn = Scenario::draw(Seed::new(number), &Overrides::default());
            let told = written_out(&service, &drawn).next().unwrap();
            let (drawn, told) = (questions(&drawn), questions(&told));
            assert_eq!(told[..8], drawn[..8], "seed {number}");
            large += drawn.iter().filter(|(.., words)| words.contains("bytes")).count();
        }
        assert!(large > 0);
        // Were an operation cut short, what is shrunk would be another story.
    }
}
