//! What must happen in time once faults have stopped: the bounds, and a file for each property.
//!
//! A phase begins when faults stop: either with clients (a core of replicas is healed, the others stay broken for good) or without
//! any (idle). Its bounds follow from the configuration and from how slow network and disks can be then.

mod bounds;
pub(super) mod catch_up;
pub(super) mod request_completes;
pub(super) mod view_converges;

pub use bounds::{Bounds, Environment, TRIES};

use vsr_core::quorum::ReplicaSet;

use super::facts::Facts;
use super::violation::{Property, Violation};
use crate::engine::time::{Span, Time};

/// A stretch of time without faults.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    pub(super) began: Time,
    /// Who is healed, and must come together.
    pub(super) core: ReplicaSet,
    pub(super) bounds: Bounds,
    /// Whether clients have stopped asking.
    pub(super) is_idle: bool,
    /// When the core was first seen to be normal in one view.
    pub(super) converged_at: Option<Time>,
}

impl Phase {
    pub(super) const fn new(began: Time, core: ReplicaSet, bounds: Bounds, is_idle: bool) -> Self {
        Self { began, core, bounds, is_idle, converged_at: None }
    }

    /// When the last of its bounds has passed.
    pub(super) fn ends(&self) -> Time {
        self.began.plus(self.bounds.longest())
    }

    /// Looks whether the core has come together.
    pub(super) fn observe(&mut self, facts: &Facts) {
        if self.converged_at.is_none() && view_converges::holds(facts, self) {
            self.converged_at = Some(facts.now);
        }
    }

    /// Whether there is nothing left to wait for.
    pub(super) fn is_settled(&self, facts: &Facts) -> bool {
        view_converges::holds(facts, self)
            && catch_up::holds(facts, self)
            && (self.is_idle || request_completes::holds(facts))
    }

    /// Judges what is overdue.
    pub(super) fn check(&self, facts: &Facts) -> Option<Box<Violation>> {
        view_converges::check(facts, self)
            .or_else(|| request_completes::check(facts, self))
            .or_else(|| catch_up::check(facts, self))
    }

    fn is_overdue(&self, facts: &Facts, bound: Span) -> bool {
        facts.now > self.began.plus(bound)
    }

    /// The property to name: what fails after all replicas were down has a name of its own.
    fn named(&self, facts: &Facts, property: Property) -> Property {
        let Some(full_stop_at) = facts.full_stop_at else { return property };
        let is_full_restart = facts
            .configuration
            .replicas()
            .filter(|replica| self.core.contains(*replica))
            .all(|replica| facts.replica(replica).booted_at >= full_stop_at);
        if is_full_restart { Property::FullRestart } else { property }
    }
}
