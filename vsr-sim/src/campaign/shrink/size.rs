//! How long a story is: what happens in the run to its end, rather than what the scenario would have in store.

use std::fmt;

use super::disks::is_by_chance;
use crate::cluster::Node;
use crate::cluster::event::{ClientEvent, Event};
use crate::cluster::service::AnyService;
use crate::cluster::words::count;
use crate::engine::{NodeIndex, NodeSet, Observer, Time};
use crate::faults::Fault;
use crate::scenario::Scenario;
use crate::scenario::listener::Listener;
use crate::scenario::run::Runner;

/// The length of a story.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Faults that happened: those of steps, packets that met bad luck, and, as one, disks that lag or fail by chance.
    pub faults: u64,
    /// What clients asked for.
    pub requests: u64,
    /// Events of the world.
    pub events: u64,
}

#[derive(Debug, Default)]
struct Meter {
    faults: u64,
    requests: u64,
}

impl Observer<Node> for Meter {
    fn event(&mut self, _: Time, _: NodeIndex, event: &Event) {
        self.requests += u64::from(matches!(event, Event::Client(ClientEvent::Invoked { .. })));
    }
}

impl Listener for Meter {
    fn fault_begins(&mut self, _: Time, _: &Fault, _: NodeSet) {
        self.faults += 1;
    }
}

impl Size {
    /// The length of the story of `scenario` with this service.
    #[must_use]
    pub fn of(service: &AnyService, scenario: &Scenario) -> Self {
        let (_, luck) = Runner::<()>::of(service.clone()).run_recorded(scenario);
        let mut runner = Runner::<Meter>::of(service.clone());
        let (outcome, meter) = runner.run_watched(scenario, Meter::default());
        Self {
            faults: meter.faults + luck.len() as u64 + u64::from(is_by_chance(&scenario.disk)),
            requests: meter.requests,
            events: outcome.counters.events,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, requests, events } = *self;
        let (events, faults, requests) = (count(events), count(faults), count(requests));
        write!(formatter, "{events} events, {faults} faults and {requests} requests")
    }
}
