//! What a campaign runs: something that has an outcome for every seed.

use crate::cluster::service::AnyService;
use crate::engine::random::Seed;
use crate::scenario::Scenario;
use crate::scenario::draw::Overrides;
use crate::scenario::outcome::Outcome;
use crate::scenario::run::Runner;

/// Something that can be run from a seed. Another protocol joins a campaign by implementing it.
pub trait Subject: Sync {
    /// The memory that runs use again, one for each thread.
    type Runner;

    /// Memory that no run has used yet.
    fn runner(&self) -> Self::Runner;

    /// Runs the one run of `seed`: the same for every runner, whatever that ran before.
    fn run(&self, runner: &mut Self::Runner, seed: Seed) -> Outcome;
}

/// Clusters of `vsr-core`, drawn from the seed.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    /// What is replicated.
    pub service: AnyService,
    /// What is not drawn.
    pub overrides: Overrides,
}

impl Subject for Clusters {
    type Runner = Runner;

    fn runner(&self) -> Runner {
        Runner::of(self.service.clone())
    }

    fn run(&self, runner: &mut Runner, seed: Seed) -> Outcome {
        runner.run(&Scenario::draw(seed, &self.overrides))
    }
}
