//! The sweep itself: what was kept first, then seeds, until one of them fails.

use std::fmt::Debug;
use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::Failed;
use super::environment::{Environment, Only};
use super::tell::Teller;
use crate::campaign::subject::{Clusters, Subject};
use crate::campaign::sweep::{Plan, sweep};
use crate::cluster::service::AnyService;
use crate::engine::random::Seed;
use crate::report::summary::Summary;
use crate::scenario::draw::{Overrides, Profile};
use crate::scenario::outcome::{Outcome, Verdict};
use crate::scenario::run::Runner;
use crate::scenario::{Scenario, file, panics};

/// How many seeds are run unless it is said how many.
const SEEDS: Range<u64> = 0..200;

/// How many scenarios shrinking one failure may run unless it is said how many.
const SHRINK_RUNS: u64 = 2_000;

/// How many failing seeds are looked for, so that the one with the shortest story can be told.
const FAILURES_MAX: usize = 3;

/// A sweep that knows all it needs, and begins with [`run`](Self::run).
#[derive(Clone, Debug)]
#[must_use = "a sweep that is not run finds nothing"]
pub struct Sweep {
    pub(super) service: AnyService,
    pub(super) seeds: Range<u64>,
    pub(super) overrides: Overrides,
    pub(super) shrink_runs: u64,
    pub(super) jobs: usize,
    pub(super) regressions: Option<PathBuf>,
}

impl Sweep {
    pub(super) fn of(service: AnyService) -> Self {
        Self {
            service,
            seeds: SEEDS,
            overrides: Overrides::default(),
            shrink_runs: SHRINK_RUNS,
            jobs: thread::available_parallelism().map_or(1, usize::from),
            regressions: None,
        }
    }

    /// Which seeds to run, the end excluded; 0 to 200, unless it is said.
    pub const fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// How many replicas each cluster has, 1 to 7, instead of as many as the seed says.
    pub const fn replicas(mut self, count: u8) -> Self {
        self.overrides.replicas = Some(count);
        self
    }

    /// How many clients ask, 1 to 100, instead of as many as the seed says.
    pub const fn clients(mut self, count: u8) -> Self {
        self.overrides.clients = Some(count);
        self
    }

    /// How many operations they ask for together, before the faults stop.
    pub const fn requests(mut self, count: u32) -> Self {
        self.overrides.requests = Some(count);
        self
    }

    /// What may go wrong; all sorts of things but damaged disks, unless it is said.
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.overrides.profile = profile;
        self
    }

    /// How many scenarios may be run to find the shortest story of a failing seed; of up to three seeds that fail, the one with the
    /// shortest is told. It is the same on every machine.
    pub const fn shrink_runs(mut self, count: u64) -> Self {
        self.shrink_runs = count;
        self
    }

    /// On how many threads; as many as there are cores, unless it is said.
    pub const fn jobs(mut self, count: usize) -> Self {
        self.jobs = count;
        self
    }

    /// A folder of scenarios (`*.json`) that once failed and were kept: they are run first, and each must pass. The path is relative to
    /// the package, where `cargo test` runs tests.
    pub fn regressions(mut self, folder: impl Into<PathBuf>) -> Self {
        self.regressions = Some(folder.into());
        self
    }

    /// Runs it.
    ///
    /// # Panics
    ///
    /// When a seed fails, with all that there is to say about it; when a budget ran out before it was known; when nothing was
    /// exercised, since no request was answered; when what was asked for makes no sense.
    #[track_caller]
    pub fn run(self) {
        if let Err(failed) = self.outcome() {
            panic!("{failed}");
        }
    }

    /// As [`Self::run`], without a panic: what all seeds came to.
    ///
    /// # Errors
    ///
    /// Where [`Self::run`] panics.
    pub fn outcome(self) -> Result<Summary, Failed> {
        self.outcome_in(&Environment::of_process().map_err(Failed::because)?)
    }

    /// As [`Self::outcome`], in this environment.
    pub(super) fn outcome_in(&self, environment: &Environment) -> Result<Summary, Failed> {
        panics::install();
        let teller = Teller { sweep: self, environment };
        match &environment.only {
            Some(Only::Seed(seed)) => self.one(&teller, &self.drawn(*seed)?, None),
            Some(Only::Scenario(path)) => self.one(&teller, &self.kept(path)?, Some(path)),
            None => self.all(&teller),
        }
    }

    /// The one scenario that the environment asks for.
    fn one(
        &self,
        teller: &Teller<'_>,
        scenario: &Scenario,
        path: Option<&Path>,
    ) -> Result<Summary, Failed> {
        let outcome = self.once(scenario);
        if is_pass(&outcome) {
            teller.passes(scenario, &outcome);
            return Ok(summary_of(&outcome));
        }
        Err(teller.failed(scenario, &outcome, path))
    }

    /// What was kept, and then all seeds.
    fn all(&self, teller: &Teller<'_>) -> Result<Summary, Failed> {
        for path in self.kept_paths()? {
            let scenario = self.kept(&path)?;
            let outcome = self.once(&scenario);
            if !is_pass(&outcome) {
                return Err(teller.failed(&scenario, &outcome, Some(&path)));
            }
        }
        if self.seeds.is_empty() {
            let Range { start, end } = self.seeds;
            return Err(Failed::because(format!("nothing to run: no seeds in {start}..{end}")));
        }
        self.drawn(Seed::new(self.seeds.start))?;
        let (failing, failed) = channel();
        let clusters = Clusters { service: self.service.clone(), overrides: self.overrides };
        let subject = Watched { clusters, failing };
        let failures_max = u64::try_from(FAILURES_MAX).unwrap_or(u64::MAX);
        let plan = Plan { seeds: self.seeds.clone(), jobs: self.jobs, failures_max };
        let summary = sweep(&subject, &plan, &|| 0, &|_| ControlFlow::Continue(()));
        drop(subject);
        let mut seeds: Vec<Seed> = failed.iter().collect();
        if seeds.is_empty() {
            return Ok(summary);
        }
        // All seeds before one that was run are run too: so the first ones do not depend on who was quicker.
        seeds.sort_unstable();
        seeds.truncate(FAILURES_MAX);
        let drawn: Result<Vec<Scenario>, Failed> =
            seeds.into_iter().map(|seed| self.drawn(seed)).collect();
        Err(teller.shortest(&drawn?))
    }

    pub(super) fn once(&self, scenario: &Scenario) -> Outcome {
        Runner::<()>::of(self.service.clone()).run(scenario)
    }

    /// The scenario of a seed, unless what is overridden makes no sense.
    fn drawn(&self, seed: Seed) -> Result<Scenario, Failed> {
        let drawn = Scenario::draw(seed, &self.overrides);
        match file::parse_all(&file::text_of(&drawn), &*self.service) {
            Ok(_) => Ok(drawn),
            Err(errors) => {
                Err(Failed::because(format!("nothing that can be run: {}", errors[0].message)))
            }
        }
    }

    fn kept(&self, path: &Path) -> Result<Scenario, Failed> {
        file::read_for(path, &*self.service).map_err(|error| Failed::because(error.to_string()))
    }

    /// The scenarios that were kept, by name.
    fn kept_paths(&self) -> Result<Vec<PathBuf>, Failed> {
        let Some(folder) = &self.regressions else { return Ok(Vec::new()) };
        let told = |error| Failed::because(format!("{}: {error}", folder.display()));
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(told)? {
            paths.push(entry.map_err(told)?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        Ok(paths)
    }
}

/// Whether it is known that nothing is wrong; a run in which nobody was answered says nothing.
pub(super) const fn is_pass(outcome: &Outcome) -> bool {
    matches!(outcome.verdict, Verdict::Pass) && outcome.requests > 0
}

fn summary_of(outcome: &Outcome) -> Summary {
    let mut summary = Summary::default();
    summary.add(outcome, 0);
    summary
}

/// Clusters, of which every seed that is no pass is told.
struct Watched {
    clusters: Clusters,
    failing: Sender<Seed>,
}

impl Subject for Watched {
    type Runner = Runner;

    fn runner(&self) -> Runner {
        self.clusters.runner()
    }

    fn run(&self, runner: &mut Runner, seed: Seed) -> Outcome {
        let outcome = self.clusters.run(runner, seed);
        if !is_pass(&outcome) {
            // Whoever listens does so for longer than anybody runs.
            self.failing.send(seed).ok();
        }
        outcome
    }
}
