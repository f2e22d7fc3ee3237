//! The steps of a scenario, as they happen in a run: faults are done, clients are asked, expectations are judged.

use std::sync::Arc;

use super::action::{Action, Request};
use super::expectation::Expectation;
use super::listener::Listener;
use super::outcome::{FindingKind, Unfired};
use super::phases::{Ended, QUIET_TIMEOUTS, Run};
use crate::cluster::client::ClientNode;
use crate::cluster::node::Node;
use crate::engine::time::Time;
use crate::engine::world::{NodeState, Stop};
use crate::engine::{NodeIndex, NodeSet, Span};
use crate::faults::{Due, Fault, Gate, Occasion, Settled, Skipped};

/// While something is waited for to settle, how often the driver looks, in hundredths of the time until a backup suspects.
const SETTLING_LOOK_PERCENT: u64 = 1;

/// What has become of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepFate {
    /// It has not had its time.
    Waiting,
    /// It was done.
    Done,
    /// It had its time, and could not be done.
    Skipped(Skipped),
}

impl<T: Listener> Run<'_, T> {
    /// Lets the world run until `limit`, and the steps of the scenario happen to it.
    pub(super) fn advance(&mut self, limit: Time) -> Result<(), Ended> {
        let until = self.until.filter(|until| *until < limit);
        loop {
            let limit = until.unwrap_or(limit);
            match self.conductor.run_until(self.world, limit, &mut self.words) {
                Due::Begin(step, occasion) => self.begin_step(step, &occasion)?,
                Due::End(step) => self.end_step(step),
                Due::Hit(_) => unreachable!("nothing is watched for but by the conductor"),
                Due::Stopped(Stop::Reached | Stop::Idle | Stop::Hit) => {
                    let left = |until| Err(Ended::Budget(format!("it was left at {until}")));
                    return until.map_or(Ok(()), left);
                }
                Due::Stopped(Stop::Observer | Stop::Panicked(_)) => return Err(Ended::Broken),
                Due::Stopped(Stop::Budget) => {
                    let most = self.world.setup().events_max;
                    return Err(Ended::Budget(format!("{most} events")));
                }
            }
        }
    }

    fn begin_step(&mut self, step: usize, occasion: &Occasion) -> Result<(), Ended> {
        let scenario = self.scenario;
        match &scenario.steps[step].action {
            Action::Fault(fault) => {
                self.begin_fault(step, fault, occasion);
                Ok(())
            }
            Action::Request(request) => self.request(step, request, occasion),
            Action::Expect(expectation) => self.expect(step, expectation, occasion),
        }
    }

    fn begin_fault(&mut self, step: usize, fault: &Fault, occasion: &Occasion) {
        let done = self.injector.inject(self.world, fault, occasion, &mut self.words);
        let (id, nodes) = match done {
            Ok(done) => done,
            Err(skipped) => {
                self.fates[step] = StepFate::Skipped(skipped);
                return self.conductor.give_up(self.world, step);
            }
        };
        self.fates[step] = StepFate::Done;
        self.on[step] = id;
        self.faults[fault.index()] += 1;
        let now = self.world.now();
        let (monitor, listener) = self.world.observer_mut();
        listener.step_begins(now, step, nodes);
        listener.fault_begins(now, fault, nodes);
        if matches!(fault, Fault::Partition { .. } | Fault::Cut { .. } | Fault::Isolate { .. }) {
            monitor.oracles_mut().network_fault(now);
        }
    }

    fn end_step(&mut self, step: usize) {
        let Some(id) = self.on[step].take() else { return };
        self.injector.end(self.world, id);
        let now = self.world.now();
        let listener = &mut self.world.observer_mut().1;
        listener.step_ends(now, step);
        if let Action::Fault(fault) = &self.scenario.steps[step].action {
            listener.fault_ends(now, fault);
        }
    }

    /// Gives each of the clients one more operation to ask for.
    fn request(
        &mut self,
        step: usize,
        request: &Request,
        occasion: &Occasion,
    ) -> Result<(), Ended> {
        let replicas = NodeSet::first(self.scenario.cluster.replicas);
        let asked =
            request.from.resolve(self.world, occasion, &mut self.words).difference(replicas);
        if asked.is_empty() {
            let words = format!("{request}, but `{}` is no client at this moment", request.from);
            return self.violated(step, "unfired-step", &words);
        }
        let operation: Arc<[u8]> =
            match self.world.blueprint().service.operation_from_words(&request.operation) {
                Ok(operation) => operation.into(),
                Err(error) => return self.violated(step, "unfired-step", &error),
            };
        for (client, node) in self.clients() {
            if asked.contains(node) {
                self.requests[usize::from(client)].push(Arc::clone(&operation));
                self.goals[usize::from(client)] += 1;
            }
        }
        self.tell_clients();
        self.told(step, asked, &request.to_string());
        Ok(())
    }

    /// Judges what must be so at this moment.
    fn expect(
        &mut self,
        step: usize,
        expectation: &Expectation,
        occasion: &Occasion,
    ) -> Result<(), Ended> {
        if let Some(unmet) = expectation.unmet(self.world, self.words, occasion) {
            let words = format!("{expectation}; but {unmet}");
            return self.violated(step, "expectation", &words);
        }
        let nodes = expectation.nodes.as_ref();
        let nodes = nodes
            .map_or(NodeSet::EMPTY, |nodes| nodes.resolve(self.world, occasion, &mut self.words));
        self.told(step, nodes, &format!("as expected: {expectation}"));
        Ok(())
    }

    /// A step that is no fault was done.
    fn told(&mut self, step: usize, nodes: NodeSet, words: &str) {
        self.fates[step] = StepFate::Done;
        let now = self.world.now();
        let listener = &mut self.world.observer_mut().1;
        listener.step_begins(now, step, nodes);
        listener.step_told(now, words);
    }

    /// Ends the run, as this step did not come out as it says.
    fn violated(&mut self, step: usize, property: &'static str, unmet: &str) -> Result<(), Ended> {
        let told = &self.scenario.steps[step];
        let place = match &told.action {
            Action::Fault(fault) => fault.name().to_owned(),
            Action::Request(request) => request.to_string(),
            Action::Expect(expectation) => expectation.to_string(),
        };
        let why = if told.why.is_empty() { String::new() } else { format!(" ({})", told.why) };
        let message = format!("step {}{why}: {unmet}", step + 1);
        self.broken_at(FindingKind::Safety, property, place, message)
    }

    /// The steps that the run has come to the end of its safety phase without, though they must happen.
    pub(super) fn refuse_unfired(&mut self) -> Result<(), Ended> {
        let missing = |step: &usize| {
            self.fates[*step] == StepFate::Waiting
                && self.scenario.steps[*step].action.must_happen()
        };
        let Some(step) = (0..self.fates.len()).find(missing) else { return Ok(()) };
        let words = match self.scenario.steps[step].gate {
            Gate::Settled(Settled::Answered) => "not everything was answered",
            Gate::Settled(Settled::Quiet) => "the cluster did not come to rest",
            Gate::Start | Gate::At(_) | Gate::After(_) => "it never had its time",
        };
        let words = format!("{words} within {}", self.scenario.duration);
        self.violated(step, "unfired-step", &words)
    }

    /// The steps that did nothing, and why.
    pub(super) fn unfired(&self) -> Vec<Unfired> {
        let unfired = |(step, fate): (usize, &StepFate)| match fate {
            StepFate::Waiting => Some(Unfired { step, skipped: None }),
            StepFate::Skipped(skipped) => Some(Unfired { step, skipped: Some(*skipped) }),
            StepFate::Done => None,
        };
        self.fates.iter().enumerate().filter_map(unfired).collect()
    }

    /// Whether no step is left that the safety phase has to wait for.
    ///
    /// A scenario with a workload is over when that is; requests, expectations and steps that wait for things to settle must have
    /// had their time. One without a workload is over when all its steps are.
    pub(super) fn steps_are_done(&self) -> bool {
        if self.scenario.workload.is_none() {
            return self.conductor.is_finished();
        }
        self.scenario.steps.iter().zip(&self.fates).all(|(step, fate)| {
            let is_awaited = step.action.must_happen() || matches!(step.gate, Gate::Settled(_));
            !is_awaited || *fate != StepFate::Waiting
        })
    }

    /// How long the driver may let the world run before it looks again.
    pub(super) fn until_next_look(&self) -> Span {
        if self.conductor.settling().is_empty() {
            return self.look;
        }
        self.scenario.cluster.timeouts.suspect_primary.percent(SETTLING_LOOK_PERCENT)
    }

    /// Lets the steps go on that wait for things to settle, if they have.
    pub(super) fn settle(&mut self) {
        let now = self.world.now();
        let quiet = self.scenario.cluster.timeouts.suspect_primary.times(QUIET_TIMEOUTS);
        for place in (0..self.conductor.settling().len()).rev() {
            let settling = self.conductor.settling()[place];
            let has_settled = match settling.settled {
                Settled::Answered => self.all_is_answered(),
                Settled::Quiet => now.since(self.monitor().changed().max(settling.since)) >= quiet,
            };
            if has_settled {
                self.conductor.settle(settling.step, now);
            }
        }
    }

    /// Whether clients have asked for all that they were to ask for, and wait for nothing.
    fn all_is_answered(&self) -> bool {
        self.clients().all(|(client, node)| {
            let is_open = |client: &ClientNode| !client.is_done();
            self.monitor().next_operation(client) >= self.goals[usize::from(client)]
                && !self.world.process(node).and_then(Node::client).is_some_and(is_open)
        })
    }

    pub(super) fn clients(&self) -> impl Iterator<Item = (u8, NodeIndex)> + use<T> {
        let replicas = self.scenario.cluster.replicas;
        (0..self.scenario.cluster.clients)
            .map(move |client| (client, NodeIndex::new(replicas + client)))
    }

    /// Whether every client is up and has gone as far as it was told.
    pub(super) fn clients_are_done(&self) -> bool {
        self.clients().all(|(client, node)| {
            self.world.state(node) == NodeState::Up
                && self.told[usize::from(client)]
                    .is_some_and(|(_, incarnation)| incarnation == self.world.incarnation(node))
        }) && self.all_is_answered()
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::file;
    use crate::scenario::outcome::{Outcome, Verdict};
    use crate::scenario::run::Runner;

    /// A story on three replicas and two clients that ask for nothing by themselves.
    fn tell(rest: &str) -> Outcome {
        let cluster = r#""cluster":{"replicas":3,"clients":2},"#;
        let cluster = if rest.contains("\"cluster\"") { "" } else { cluster };
        let text = format!(r#"{{"format":1,{cluster}{rest}}}"#);
        let scenario = file::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        Runner::<()>::default().run(&scenario)
    }

    fn steps(steps: &str) -> Outcome {
        tell(&format!(r#""steps":[{steps}]"#))
    }

    fn finding(outcome: &Outcome) -> (&str, &str) {
        let finding = outcome.finding().unwrap_or_else(|| panic!("{:?}", outcome.verdict));
        (finding.property, &finding.message)
    }

    #[test]
    fn clients_ask_for_what_they_are_told_one_after_the_other() {
        let outcome = steps(
            r#"{"at":"1ms","do":{"request":{"from":"c0","operation":"put k0 1"}}},
               {"after":"0ns","do":{"request":{"from":"c0","operation":"swap k0 1 for 2"}}},
               {"settled":"answered","do":{"expect":{"nodes":"c0","answered":2,"answer":"swapped"}}},
               {"after":"0ns","do":{"request":{"from":"clients","operation":"get k0"}}},
               {"settled":"answered","do":{"expect":{"nodes":"clients","answer":"2"}}},
               {"settled":"quiet","do":{"expect":{"nodes":"replicas","up":true,"status":"normal","view":0,"log_view":0,"op":6,"commit":6}}},
               {"after":"0ns","do":{"expect":{"nodes":"c1","answered":1,"commits":{"primary":6,"backup1":6,"r2":6}}}}"#,
        );
        assert_eq!(outcome.verdict, Verdict::Pass);
        assert_eq!((outcome.requests, outcome.unfired.len()), (4, 0));
        // Two of the six operations of the log are the sessions of the clients.
    }

    /// Operation 2 is committed by each of the three; what replicas say of checkpoints is waited for at replicas, like all the rest.
    #[test]
    fn events_are_waited_for_by_what_they_are_about() {
        let outcome = tell(
            r#""cluster":{"replicas":3,"clients":1,"slots":8,"pipeline":2,"checkpoint_interval":2},
               "steps":[{"at":"1ms","do":{"request":{"from":"c0","operation":"put k 1"}}},
                {"on":{"moment":"event","kind":"Committed","identity":2,"nth":3},"do":{"expect":{"commits":{"r0":2}}}},
                {"on":{"moment":"event","kind":"Checkpointed","node":"r2","identity":2},"do":{"expect":{"nodes":"subject","op":2}}},
                {"at":"100ms","do":{"crash":{"node":"r2"}},"for":"1ms"},
                {"on":{"moment":"event","kind":"StateRestored","node":"r2","identity":2},"do":{"expect":{"nodes":"r2","commit":2}}},
                {"settled":"answered","do":{"expect":{"nodes":"c0","answer":"done"}}}]"#,
        );
        assert_eq!(outcome.verdict, Verdict::Pass);
    }

    #[test]
    fn a_client_that_is_down_asks_when_it_is_back() {
        let outcome = steps(
            r#"{"at":"1ms","do":{"crash":{"node":"c0"}},"for":"500ms"},
               {"at":"2ms","do":{"request":{"from":"c0","operation":"put k0 1"}}},
               {"after":"400ms","do":{"expect":{"nodes":"c0","up":false,"answered":0}}},
               {"settled":"answered","do":{"expect":{"nodes":"c0","up":true,"answered":1,"answer":"done"}}}"#,
        );
        assert_eq!(outcome.verdict, Verdict::Pass);
    }

    #[test]
    fn requests_come_after_the_clients_share_of_the_workload() {
        let outcome = tell(
            r#""workload":{"requests":20},
               "steps":[{"at":"0ns","do":{"request":{"from":"c1","operation":"put story told"}}},
                        {"settled":"answered","do":{"expect":{"nodes":"c1","answered":11,"answer":"done"}}}]"#,
        );
        assert_eq!(outcome.verdict, Verdict::Pass);
        // Twenty of the workload, one that was asked for, and two of each client after the faults have stopped.
        assert_eq!(outcome.requests, 25);
    }

    #[test]
    fn an_expectation_that_does_not_hold_fails_the_run_and_says_what_is() {
        let outcome = steps(
            r#"{"at":"50ms","do":{"expect":{"nodes":"primary","view":0}}},
               {"at":"60ms","do":{"expect":{"nodes":"backup1","commit":7}},"why":"it has learned"}"#,
        );
        let (property, message) = finding(&outcome);
        assert_eq!(property, "expectation");
        assert_eq!(message, "step 2 (it has learned): backup1: commit 7; but r1 has commit 2");
        for (expectation, unmet) in [
            (r#"{"nodes":"subject","up":true}"#, "`subject` is nobody"),
            (r#"{"nodes":"r2","up":false}"#, "r2 is up"),
            (r#"{"nodes":"c1","answer":"done"}"#, "c1 has no answer yet"),
            (r#"{"nodes":"all","view":0}"#, "c0 is no replica"),
            (r#"{"nodes":"all","answered":0}"#, "r0 is no client"),
            (r#"{"commits":{"r0":2,"r1":3}}"#, "r1 has commit 2"),
        ] {
            let outcome = steps(&format!(r#"{{"at":"50ms","do":{{"expect":{expectation}}}}}"#));
            let (_, message) = finding(&outcome);
            assert!(message.ends_with(unmet), "{message}");
        }
        let one = steps(r#"{"at":"50ms","do":{"expect":{"nodes":"r0","view":1}}}"#);
        let same = steps(
            r#"{"at":"0ns","do":{"heal":{}}},{"at":"70ms","do":{"expect":{"nodes":"r0","view":1}}}"#,
        );
        let other = steps(r#"{"at":"50ms","do":{"expect":{"nodes":"r0","view":2}}}"#);
        let signature = |outcome: &Outcome| outcome.finding().map(|finding| finding.signature());
        assert_eq!(signature(&one), signature(&same));
        assert_ne!(signature(&one), signature(&other));
    }

    /// Whoever writes a request or an expectation wants it to happen: a story that silently leaves it out proves nothing.
    #[test]
    fn a_request_or_an_expectation_that_never_has_its_time_fails_the_run() {
        let outcome = tell(
            r#""duration":"400ms","steps":[
                {"on":{"moment":"sent","kind":"Eviction"},"do":{"expect":{"nodes":"r0","up":true}}}]"#,
        );
        let (property, message) = finding(&outcome);
        assert_eq!(property, "unfired-step");
        assert!(message.ends_with("it never had its time within 400ms"), "{message}");
        let outcome = tell(
            r#""duration":"1s","steps":[
                {"at":"0ns","do":{"isolate":{"node":"c0"}}},
                {"after":"0ns","do":{"request":{"from":"c0","operation":"get k0"}}},
                {"settled":"answered","do":{"expect":{"nodes":"c0","answered":1}}}]"#,
        );
        assert!(finding(&outcome).1.ends_with("not everything was answered within 1s"));
        let outcome = steps(
            r#"{"on":{"moment":"event","kind":"Normal","node":"r1"},"do":{"request":{"from":"subject","operation":"get k0"}}}"#,
        );
        let (_, message) = finding(&outcome);
        assert!(message.ends_with("`subject` is no client at this moment"), "{message}");
    }

    #[test]
    fn faults_that_never_happen_are_told_and_do_not_fail_the_run() {
        let outcome = tell(
            r#""duration":"400ms","steps":[
                {"at":"1ms","do":{"crash":{"node":"r0"}},"for":"1ms"},
                {"at":"1ms","do":{"restart":{"node":"r1"}}},
                {"on":{"moment":"sent","kind":"Eviction"},"do":{"heal":{}}}]"#,
        );
        assert_eq!(outcome.verdict, Verdict::Pass);
        let unfired: Vec<_> =
            outcome.unfired.iter().map(|unfired| (unfired.step, unfired.skipped)).collect();
        assert_eq!(unfired, [(1, Some(crate::faults::Skipped::NoEffect)), (2, None)]);
    }

    /// The cluster is at rest some time after the primary is gone: in the next view, whatever the lost client still waits for.
    #[test]
    fn a_cluster_is_quiet_when_no_replica_changes_though_somebody_waits_for_an_answer() {
        let outcome = steps(
            r#"{"settled":"quiet","do":{"expect":{"commits":{"replicas":2}}}},
               {"after":"0ns","do":{"isolate":{"node":"c0"}},"for":"5s"},
               {"after":"0ns","do":{"request":{"from":"c0","operation":"put k0 1"}}},
               {"after":"0ns","do":{"crash":{"node":"r0"}},"for":"5s"},
               {"settled":"quiet","do":{"expect":{"nodes":"primary","view":1,"commit":2}}},
               {"after":"0ns","do":{"expect":{"nodes":"c0","answered":0}}},
               {"settled":"answered","do":{"expect":{"nodes":"c0","answer":"done"}}}"#,
        );
        assert_eq!(outcome.verdict, Verdict::Pass);
        assert_eq!(outcome.view_changes, 1);
    }

    #[test]
    fn the_end_may_be_expected_too() {
        let end = |state: &str| {
            tell(&format!(
                r#""steps":[{{"at":"1ms","do":{{"request":{{"from":"c0","operation":"put k0 1"}}}}}}],
                   "expect":{{"verdict":"pass","states":[{state}]}}"#
            ))
        };
        assert_eq!(end(r#"{"nodes":"primary","commit":3}"#).verdict, Verdict::Pass);
        let outcome = end(r#"{"nodes":"primary","commit":4}"#);
        let (property, message) = finding(&outcome);
        assert_eq!(
            (property, message),
            ("expectation", "in the end, primary: commit 4; but r0 has commit 3")
        );
    }

    #[test]
    fn a_failure_that_is_expected_is_met_by_the_same_failure_alone() {
        let outcome = steps(r#"{"at":"50ms","do":{"expect":{"nodes":"r0","view":1}}}"#);
        let expect = crate::scenario::Expect::failure(outcome.finding().unwrap());
        assert!(expect.is_met(&outcome.verdict));
        let other = steps(r#"{"at":"50ms","do":{"expect":{"nodes":"r0","view":2}}}"#);
        assert!(!expect.is_met(&other.verdict));
        assert!(!expect.is_met(&Verdict::Pass));
        assert!(!expect.is_met(&Verdict::Unknown("time".to_owned())));
        assert!(crate::scenario::Expect::default().is_met(&Verdict::Pass));
    }
}
