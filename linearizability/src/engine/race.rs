//! Two searches in turns, so that the quicker of them decides.
//!
//! Turns are measured in steps, not in time: which of the two answers, and so the answer, is the same on every machine.

use super::lazy::Walker;
use super::lazy::breadth::Breadth;
use super::lazy::depth::Depth;
use super::problem::Problem;
use super::space::Space;
use super::{Meter, Outcome, Progress};
use crate::Resource;

/// Which searches take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runners {
    Both,
    Breadth,
    Depth,
}

/// The steps of the first turn; each later one is twice as long.
const TURN_STEPS: u64 = 1 << 10;

/// Decides `problem` by search.
pub(crate) fn search<S: Space>(
    problem: &Problem,
    space: &mut S,
    runners: Runners,
    meter: &mut Meter<'_>,
) -> Outcome {
    let bytes_max = meter.bytes_max;
    let outcome = take_turns(problem, space, runners, meter);
    meter.bytes_max = bytes_max;
    outcome
}

fn take_turns<S: Space>(
    problem: &Problem,
    space: &mut S,
    runners: Runners,
    meter: &mut Meter<'_>,
) -> Outcome {
    let bytes_max = meter.bytes_max;
    let mut depth = (runners != Runners::Breadth).then(|| Depth::new(Walker::new(problem, space)));
    let mut breadth =
        (runners != Runners::Depth).then(|| Breadth::new(Walker::new(problem, space)));
    let mut turn = TURN_STEPS;
    let mut placed = 0;
    loop {
        meter.bytes_max =
            if depth.is_some() && breadth.is_some() { bytes_max / 2 } else { bytes_max };
        if let Some(engine) = &mut depth {
            let progress = engine.run(space, meter, meter.steps.saturating_add(turn));
            placed = placed.max(engine.placed());
            match settle(progress, placed, breadth.is_some()) {
                Turn::Over(outcome) => return outcome,
                Turn::Out => depth = None,
                Turn::Next => {}
            }
        }
        if let Some(engine) = &mut breadth {
            let progress = engine.run(space, meter, meter.steps.saturating_add(turn));
            placed = placed.max(engine.placed());
            match settle(progress, placed, depth.is_some()) {
                Turn::Over(outcome) => return outcome,
                Turn::Out => breadth = None,
                Turn::Next => {}
            }
        }
        turn = turn.saturating_mul(2);
    }
}

/// How a turn ended.
enum Turn {
    /// The race is over.
    Over(Outcome),
    /// This search has no memory left; the other goes on.
    Out,
    /// It is the other's turn.
    Next,
}

fn settle(progress: Result<Progress, Resource>, placed: usize, other_runs: bool) -> Turn {
    match progress {
        Ok(Progress::Order(order)) => Turn::Over(Outcome::Order(order)),
        Ok(Progress::Impossible(level)) => Turn::Over(Outcome::Impossible { core: None, level }),
        Ok(Progress::Paused) => Turn::Next,
        Err(Resource::Bytes) if other_runs => Turn::Out,
        Err(resource) => Turn::Over(Outcome::Exhausted { resource, placed }),
    }
}
