//! The verdict of a run: what was found on the way, or what the final checks say.

use vsr_core::state_machine::StateMachine as _;

use super::listener::Listener;
use super::outcome::{Finding, FindingKind, Verdict};
use super::panics;
use super::phases::{Ended, Run};
use crate::cluster::service::{Judgement, Machine};
use crate::cluster::words;
use crate::engine::node::NodeIndex;
use crate::engine::world::{Panicked, Stop};
use crate::faults::Occasion;

/// The steps that the checker may take for each key before a history is given up as unknown.
const CHECK_STEPS: u64 = 5_000_000;

/// What is said of a run that must be run again.
const FORGOTTEN: &str = "what was forgotten is needed to judge it";

impl<T: Listener> Run<'_, T> {
    /// The verdict of a run that ended so.
    pub(super) fn judge(&mut self, ended: Result<(), Ended>) -> Verdict {
        if let Some(panicked) = self.panicked() {
            return fail(self.panic_finding(&panicked));
        }
        if let Some(finding) = self.monitor().finding() {
            return fail(finding);
        }
        if self.monitor().is_in_doubt() {
            return Verdict::Unknown(FORGOTTEN.to_owned());
        }
        let judgement = self.judge_history();
        match (judgement, ended) {
            (Judged::Refused(finding), _) => fail(finding),
            (_, Err(Ended::Budget(what))) | (Judged::Unknown(what), _) => Verdict::Unknown(what),
            (Judged::Fine, Ok(())) => {
                let differ = self.states_differ().or_else(|| self.states_unexpected());
                differ.map_or(Verdict::Pass, fail)
            }
            (Judged::Fine, Err(Ended::Broken)) => {
                unreachable!("a run breaks by a finding or by a panic")
            }
        }
    }

    fn judge_history(&mut self) -> Judged {
        match self.monitor_mut().finish_following() {
            Some(true) => return Judged::Fine,
            Some(false) => return Judged::Unknown(FORGOTTEN.to_owned()),
            None => {}
        }
        let at = self.world.now();
        let order = self.monitor_mut().commit_order();
        match self.monitor_mut().take_chronicle().judge(order, CHECK_STEPS) {
            Judgement::Linearizable => Judged::Fine,
            Judgement::Unknown(exhausted) => Judged::Unknown(exhausted.to_string()),
            Judgement::NotLinearizable(message) => Judged::Refused(Finding {
                kind: FindingKind::NotLinearizable,
                property: "linearizable",
                place: String::new(),
                message,
                at,
            }),
        }
    }

    /// Replicas that executed the same operations must hold the same state. Beyond the budget they may have executed more or less.
    fn states_differ(&self) -> Option<Finding> {
        let replica = |node: NodeIndex| Some(self.replica(node)?.replica());
        let is_within = self.scenario.budget.is_within();
        let core: Vec<_> = self.core.iter().filter_map(replica).collect();
        let state = |place: usize| state_of(core[place].state_machine().service());
        let (first, other) = (1..core.len()).find_map(|other| {
            let is_same =
                |first: &usize| is_within || core[*first].commit() == core[other].commit();
            let first = (0..other).find(is_same)?;
            (state(first) != state(other)).then_some((first, other))
        })?;
        let commit = core[first].commit();
        let (first, other) = (core[first].me(), core[other].me());
        Some(Finding {
            kind: FindingKind::Safety,
            property: "state-agreement",
            place: String::new(),
            message: format!("{first} and {other} hold different states after {commit}"),
            at: self.world.now(),
        })
    }

    /// What the scenario expects of the last state of the nodes.
    fn states_unexpected(&self) -> Option<Finding> {
        let at = self.world.now();
        self.scenario.expect.states.iter().find_map(|expectation| {
            let unmet = expectation.unmet(self.world, self.words, &Occasion::at(at))?;
            Some(Finding {
                kind: FindingKind::Safety,
                property: "expectation",
                place: expectation.to_string(),
                message: format!("in the end, {expectation}; but {unmet}"),
                at,
            })
        })
    }

    /// The panic that stopped the world, if one did.
    fn panicked(&mut self) -> Option<Panicked> {
        // A world that has panicked says so again, and does nothing else; any other is where it ends already.
        let now = self.world.now();
        match self.world.run_events(now, 0) {
            Stop::Panicked(panicked) => Some(panicked),
            Stop::Reached | Stop::Idle | Stop::Hit | Stop::Observer | Stop::Budget => None,
        }
    }

    fn panic_finding(&self, panicked: &Panicked) -> Finding {
        let who = words::node(panicked.node, self.scenario.cluster.replicas);
        let place = panics::take();
        let at_place = place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
        Finding {
            kind: FindingKind::Panic,
            property: "no-panic",
            place: place.unwrap_or_else(|| first_words(&panicked.message)),
            message: format!("{who} panicked{at_place}:\n\n{}", panicked.message),
            at: self.world.now(),
        }
    }
}

/// All that there is to a state: equal ones give equal bytes.
fn state_of(service: &Machine) -> Vec<u8> {
    let mut bytes = Vec::new();
    service.snapshot(&mut bytes);
    bytes
}

enum Judged {
    Fine,
    Refused(Finding),
    Unknown(String),
}

fn fail(finding: Finding) -> Verdict {
    Verdict::Fail(Box::new(finding))
}

/// What does not vary with the seed in a panic's message: all up to the first digit.
fn first_words(message: &str) -> String {
    message.chars().take_while(|letter| !letter.is_ascii_digit() && *letter != '\n').collect()
}
