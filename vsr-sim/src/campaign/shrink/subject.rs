//! Scenarios as what is made smaller: a candidate is as good as the first if it breaks the same property at the same place.

use xxhash_rust::xxh3::xxh3_128;

use super::search::{Candidates, Reducible, Trial};
use crate::cluster::service::AnyService;
use crate::scenario::Scenario;
use crate::scenario::file;
use crate::scenario::outcome::{Finding, Verdict};
use crate::scenario::run::Runner;

/// Scenarios that fail in one way.
#[derive(Debug)]
pub(super) struct Scenarios {
    service: AnyService,
    signature: u64,
}

impl Scenarios {
    /// Those that fail as `finding` says.
    pub(super) fn failing_by(finding: &Finding, service: AnyService) -> Self {
        Self { service, signature: finding.signature() }
    }
}

impl Reducible for Scenarios {
    type Case = Scenario;
    type Runner = Runner;

    fn runner(&self) -> Runner {
        Runner::of(self.service.clone())
    }

    fn key(&self, case: &Scenario) -> u128 {
        let bytes = serde_json::to_vec(case).expect("a scenario can be written down");
        xxh3_128(&bytes)
    }

    fn run(&self, runner: &mut Runner, case: &Scenario, cost_max: u64) -> Trial {
        runner.limit_events(cost_max);
        let outcome = runner.run(case);
        match &outcome.verdict {
            Verdict::Fail(finding) if finding.signature() == self.signature => {
                // What no file can say is of no use.
                if file::is_readable(case, &*self.service) {
                    Trial::Same { cost: outcome.counters.events }
                } else {
                    Trial::Fine
                }
            }
            Verdict::Fail(finding) if finding.place.is_empty() => {
                Trial::Other(finding.property.to_owned())
            }
            Verdict::Fail(finding) => {
                Trial::Other(format!("{} ({})", finding.property, finding.place))
            }
            Verdict::Pass | Verdict::Unknown(_) => Trial::Fine,
        }
    }
}

/// The same run with the packets that met bad luck listed, and no chances.
pub(super) fn told_without_chances<'a>(
    service: &AnyService,
    scenario: &'a Scenario,
) -> Candidates<'a, Scenario> {
    let (_, recorded) = Runner::<()>::of(service.clone()).run_recorded(scenario);
    let mut scenario = scenario.clone();
    scenario.decide(recorded);
    Box::new(std::iter::once(scenario))
}
