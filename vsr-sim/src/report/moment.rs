//! One event of a run in words: all that a full trace tells of it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use super::grid::{Detail, Grid};
use crate::cluster::Node;
use crate::engine::{Observer, Time, Trace};
use crate::scenario::Scenario;
use crate::scenario::listener::Listener;
use crate::scenario::run::Runner;

/// Looks at one event only.
#[derive(Debug, Default)]
pub struct Glimpse {
    event: u64,
    shown: Shared,
    seen: Option<Vec<u8>>,
}

impl Glimpse {
    /// What happens in the event of this number, counted from one, and before the next one: a line each.
    #[must_use]
    pub fn of(scenario: &Scenario, event: u64) -> String {
        let shown = Shared::default();
        let grid = Grid::new(Box::new(shown.clone()), Detail::Full, scenario.cluster.replicas);
        let glimpse = Self { event, shown: shown.clone(), seen: None };
        let mut runner = Runner::<(Grid, Self)>::default();
        let (_, (mut grid, glimpse)) = runner.run_watched(scenario, (grid, glimpse));
        grid.finish();
        let seen = glimpse.seen.unwrap_or_else(|| shown.take());
        match String::from_utf8_lossy(&seen).trim_end() {
            "" => "a moment at which nothing was to be done".to_owned(),
            lines => lines.to_owned(),
        }
    }
}

impl Observer<Node> for Glimpse {
    fn event_begins(&mut self, _: Time, number: u64, _: &Trace) {
        // The grid has written out by now what it had to say of the event before.
        if number <= self.event {
            self.shown.take();
        } else if self.seen.is_none() {
            self.seen = Some(self.shown.take());
        }
    }
}

impl Listener for Glimpse {}

/// Bytes that are written by one and read by another.
#[derive(Clone, Debug, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        self.0.take()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
