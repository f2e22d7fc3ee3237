//! Who may listen to a run besides the monitor: an observer that is told of faults too.

use crate::cluster::Node;
use crate::cluster::service::AnyService;
use crate::engine::{NodeSet, Observer, Time};
use crate::faults::Fault;

/// A listener; every method does nothing unless it is written.
pub trait Listener: Observer<Node> {
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
impl Listener for () {}
