//! Who may listen to a run besides the monitor: an observer that is told of faults too.

use crate::cluster::Node;
use crate::cluster::service::AnyService;
use crate::engine::{NodeSet, Observer, Time};
use crate::faults::Fault;

/// A listener; every method does nothing unless it is written.
pub trait Listener: Observer<Node> {
    /// Another one that has seen nothing, and will do as this one, should the run that is about to begin have to be run again from its
    /// beginning. Only a long run may, which is forgotten while it goes on, where that turns out to have been wrong. Before a listener
    /// that has none, nothing is forgotten.
    fn anew(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// A run of this service is about to begin.
    fn run_begins(&mut self, service: &AnyService) {
        let _ = service;
    }

    /// The step at this place of the scenario had its time, and was done to these nodes.
    fn step_begins(&mut self, now: Time, step: usize, nodes: NodeSet) {
        let _ = (now, step, nodes);
    }

    /// The step, which lasted, is over.
    fn step_ends(&mut self, now: Time, step: usize) {
        let _ = (now, step);
    }

    /// This was done to these nodes.
    fn fault_begins(&mut self, now: Time, fault: &Fault, nodes: NodeSet) {
        let _ = (now, fault, nodes);
    }

    /// This is over.
    fn fault_ends(&mut self, now: Time, fault: &Fault) {
        let _ = (now, fault);
    }

    /// A step that is no fault was done: in words, what was asked for, or what is as expected.
    fn step_told(&mut self, now: Time, words: &str) {
        let _ = (now, words);
    }

    /// The run has come to its next phase: in words, what is over.
    fn phase_begins(&mut self, now: Time, words: &str) {
        let _ = (now, words);
    }
}

/// Nobody.
impl Listener for () {
    fn anew(&self) -> Option<Self> {
        Some(())
    }
}

/// Both, the first one first.
impl<A: Listener, B: Listener> Listener for (A, B) {
    fn anew(&self) -> Option<Self> {
        Some((self.0.anew()?, self.1.anew()?))
    }

    fn run_begins(&mut self, service: &AnyService) {
        self.0.run_begins(service);
        self.1.run_begins(service);
    }

    fn step_begins(&mut self, now: Time, step: usize, nodes: NodeSet) {
        self.0.step_begins(now, step, nodes);
        self.1.step_begins(now, step, nodes);
    }

    fn step_ends(&mut self, now: Time, step: usize) {
        self.0.step_ends(now, step);
        self.1.step_ends(now, step);
    }

    fn fault_begins(&mut self, now: Time, fault: &Fault, nodes: NodeSet) {
        self.0.fault_begins(now, fault, nodes);
        self.1.fault_begins(now, fault, nodes);
    }

    fn fault_ends(&mut self, now: Time, fault: &Fault) {
        self.0.fault_ends(now, fault);
        self.1.fault_ends(now, fault);
    }

    fn step_told(&mut self, now: Time, words: &str) {
        self.0.step_told(now, words);
        self.1.step_told(now, words);
    }

    fn phase_begins(&mut self, now: Time, words: &str) {
        self.0.phase_begins(now, words);
        self.1.phase_begins(now, words);
    }
}
