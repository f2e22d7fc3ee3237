//! Lets a plan of faults happen to a world.

use super::conductor::{Conductor, Due};
use super::fault::Fault;
use super::injector::{FaultId, Injector, Limits, Skipped};
use super::plan::{Plan, PlanError};
use super::selector::Resolver;
use crate::engine::{Hit, NodeSet, Observer, Process, Seed, Sight, Stop, Time, World};

/// What became of a step.
#[derive(Clone, Copy, Debug)]
pub struct Firing {
    /// The step's place in the plan.
    pub step: usize,
    /// When its time came.
    pub time: Time,
    /// What was seen, if it waited for that.
    pub sight: Option<Sight>,
    /// To whom it was done, or why it was not.
    pub outcome: Result<NodeSet, Skipped>,
}

/// A plan of faults under way.
#[derive(Debug)]
pub struct Director {
    plan: Plan<Fault>,
    conductor: Conductor,
    injector: Injector,
    /// By step: the fault that is on because of it.
    on: Vec<Option<FaultId>>,
    firings: Vec<Firing>,
    hits: Vec<Hit>,
}

impl Director {
    /// The director of a `plan` for a world of processes `P` with this seed, before the beginning of a run.
    ///
    /// # Errors
    /// When a step names a kind that there is not.
    pub fn new<P: Process>(
        plan: Plan<Fault>,
        limits: Limits,
        seed: Seed,
    ) -> Result<Self, PlanError> {
        for step in &plan.steps {
            // Words are up to the resolver, which is not known here: one that nobody knows stands for nobody.
            step.action.check::<P>(&|_| true)?;
        }
        let conductor = Conductor::new::<P, Fault>(&plan, seed)?;
        let on = vec![None; plan.steps.len()];
        let (firings, hits) = (Vec::new(), Vec::new());
        Ok(Self { plan, conductor, injector: Injector::new(limits), on, firings, hits })
    }

    /// Runs the world until `limit` while the plan happens to it, or until there is another reason to stop.
    ///
    /// [`Stop::Hit`] is for watches of the caller's own; they are to be had from [`Self::take_hit`].
    pub fn run_until<P: Process, O: Observer<P>, R: Resolver<P, O>>(
        &mut self,
        world: &mut World<P, O>,
        limit: Time,
        resolver: &mut R,
    ) -> Stop {
        loop {
            match self.conductor.run_until(world, limit, resolver) {
                Due::Begin(step, occasion) => {
                    let fault = &self.plan.steps[step].action;
                    let done = self.injector.inject(world, fault, &occasion, resolver);
                    match done {
                        Ok((fault, _)) => self.on[step] = fault,
                        Err(_) => self.conductor.give_up(world, step),
                    }
                    let outcome = done.map(|(_, nodes)| nodes);
                    self.firings.push(Firing {
                        step,
                        time: world.now(),
                        sight: occasion.sight,
                        outcome,
                    });
                }
                Due::End(step) => {
                    if let Some(fault) = self.on[step].take() {
                        self.injector.end(world, fault);
                    }
                }
                Due::Hit(hit) => {
                    self.hits.push(hit);
                    return Stop::Hit;
                }
                Due::Stopped(Stop::Idle) if !self.conductor.settling().is_empty() => {
                    // Nothing is left to happen: whatever was to settle has.
                    let step = self.conductor.settling()[0].step;
                    self.conductor.settle(step, world.now());
                }
                Due::Stopped(stop) => return stop,
            }
        }
    }

    /// Takes the oldest hit of a watch that is not the plan's.
    pub fn take_hit(&mut self) -> Option<Hit> {
        (!self.hits.is_empty()).then(|| self.hits.remove(0))
    }

    /// Ends the plan and all that is wrong among the nodes `healed`; see [`Injector::heal`].
    pub fn heal<P: Process, O: Observer<P>>(&mut self, world: &mut World<P, O>, healed: NodeSet) {
        self.conductor.disarm(world);
        self.on.fill(None);
        self.injector.heal(world, healed);
    }

    /// Whether no step is left to begin or to end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.conductor.is_finished()
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan<Fault> {
        &self.plan
    }

    /// What has become of steps so far, in order.
    #[must_use]
    pub fn firings(&self) -> &[Firing] {
        &self.firings
    }
}
