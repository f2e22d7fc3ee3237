//! Which writer each reader saw.

use super::{Conflict, sees, writes};
use crate::RegisterView;
use crate::engine::problem::Problem;

/// No operation, no cluster.
pub(super) const NONE: u32 = u32::MAX;

/// Whose value an operation saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// It saw none.
    Nobody,
    /// The value before any operation.
    Initial,
    /// What this operation wrote.
    Writer(u32),
}

impl Source {
    /// The cluster that this is; cluster zero is the initial value.
    pub(super) fn cluster(self, written: &[u32]) -> Option<u32> {
        match self {
            Self::Nobody => None,
            Self::Initial => Some(0),
            Self::Writer(writer) => Some(written[writer as usize]),
        }
    }
}

/// Sources of all that is kept.
#[derive(Debug)]
pub(super) struct Assignment {
    /// Whether the operation is part of the question: all that returned, and what was pending but seen.
    pub(super) kept: Vec<bool>,
    /// What each kept operation saw.
    pub(super) sources: Vec<Source>,
    /// Whether every source is the only one possible.
    pub(super) exact: bool,
}

/// The writers of each value, by time of call.
struct Writers {
    writers: Vec<u32>,
    /// Of the writers of a value up to this one, the greatest return.
    returned_max: Vec<i64>,
    starts: Vec<u32>,
}

impl Writers {
    fn new(problem: &Problem, view: &RegisterView) -> Self {
        let mut starts = vec![0_u32; view.values as usize + 1];
        for step in &view.steps {
            if let Some(value) = writes(*step) {
                starts[value as usize + 1] += 1;
            }
        }
        for value in 1..starts.len() {
            starts[value] += starts[value - 1];
        }
        let total = starts.last().map_or(0, |&total| total as usize);
        let mut places = starts.clone();
        let (mut writers, mut returned_max) = (vec![0; total], vec![i64::MIN; total]);
        for (operation, step) in (0_u32..).zip(&view.steps) {
            if let Some(value) = writes(*step) {
                let place = places[value as usize] as usize;
                places[value as usize] += 1;
                writers[place] = operation;
                let returned = problem.returned[operation as usize];
                returned_max[place] = match place > starts[value as usize] as usize {
                    true => returned.max(returned_max[place - 1]),
                    false => returned,
                };
            }
        }
        Self { writers, returned_max, starts }
    }

    fn range(&self, value: u32) -> (usize, usize) {
        (self.starts[value as usize] as usize, self.starts[value as usize + 1] as usize)
    }

    fn of(&self, value: u32) -> &[u32] {
        let (start, end) = self.range(value);
        &self.writers[start..end]
    }
}

/// The latest write that a reader cannot have missed.
#[derive(Debug, Clone, Copy)]
struct Overwrite {
    call: i64,
    operation: u32,
}

struct Assigner<'a> {
    problem: &'a Problem,
    view: &'a RegisterView,
    writers: Writers,
    assignment: Assignment,
    /// Pending operations that were seen and whose own sources are still to be found.
    woken: Vec<u32>,
}

impl Assignment {
    /// Finds every source; a conflict when one has none, `None` when that is so after a guess.
    pub(super) fn new(problem: &Problem, view: &RegisterView) -> Result<Self, Option<Conflict>> {
        let assignment = Self {
            kept: problem.pending.iter().map(|pending| !pending).collect(),
            sources: vec![Source::Nobody; problem.len()],
            exact: true,
        };
        let writers = Writers::new(problem, view);
        let mut assigner = Assigner { problem, view, writers, assignment, woken: Vec::new() };
        assigner.assign_answered()?;
        while let Some(operation) = assigner.woken.pop() {
            if let Some(value) = sees(view.steps[operation as usize]) {
                let exact = assigner.assignment.exact;
                let assigned = assigner.assign(operation, value, None);
                assigned.map_err(|conflict| exact.then_some(conflict))?;
            }
        }
        Ok(assigner.assignment)
    }
}

impl Assigner<'_> {
    /// Goes through what returned, by call, with the latest write that returned before.
    fn assign_answered(&mut self) -> Result<(), Conflict> {
        let mut overwrite: Option<Overwrite> = None;
        for event in &self.problem.events {
            let index = event.operation();
            let operation = u32::try_from(index).expect("a history is indexed in 31 bits");
            let step = self.view.steps[index];
            if event.is_return() {
                let call = self.problem.call[index];
                if writes(step).is_some() && overwrite.is_none_or(|latest| latest.call < call) {
                    overwrite = Some(Overwrite { call, operation });
                }
            } else if let Some(value) = sees(step)
                && !self.problem.pending[index]
            {
                self.assign(operation, value, overwrite)?;
            }
        }
        Ok(())
    }

    fn assign(
        &mut self,
        operation: u32,
        value: u32,
        overwrite: Option<Overwrite>,
    ) -> Result<(), Conflict> {
        let until = self.problem.returned[operation as usize];
        let since = overwrite.map_or(i64::MIN, |latest| latest.call);
        let (start, end) = self.writers.range(value);
        let mut found = None;
        let mut candidates = 0_u32;
        for place in (start..end).rev() {
            if self.writers.returned_max[place] < since || candidates > 1 {
                break;
            }
            let writer = self.writers.writers[place];
            let index = writer as usize;
            let possible =
                self.problem.call[index] <= until && self.problem.returned[index] >= since;
            if possible && writer != operation {
                found = found.or(Some(Source::Writer(writer)));
                candidates += 1;
            }
        }
        if value == self.view.initial && overwrite.is_none() {
            found = found.or(Some(Source::Initial));
            candidates += 1;
        }
        let Some(source) = found else {
            let overwrite = overwrite.map(|latest| latest.operation);
            return Err(self.nobody(operation, value, overwrite));
        };
        self.assignment.exact &= candidates == 1;
        self.assignment.sources[operation as usize] = source;
        if let Source::Writer(writer) = source
            && !std::mem::replace(&mut self.assignment.kept[writer as usize], true)
        {
            self.woken.push(writer);
        }
        Ok(())
    }

    /// A value that no writer can have left to `reader`.
    ///
    /// Only writers that returned can be ruled out by what overwrote them; one that is called too late is ruled out by
    /// its call, which stays when its answer is forgotten.
    fn nobody(&self, reader: u32, value: u32, overwrite: Option<u32>) -> Conflict {
        if self.problem.pending[reader as usize] {
            // It is here since its own value was seen; whoever saw it is part of the story.
            let seen_by =
                self.assignment.sources.iter().position(|&source| source == Source::Writer(reader));
            let seen_by = seen_by.map(|index| u32::try_from(index).expect("31 bits"));
            return Conflict::NobodyBehind { reader, seen_by };
        }
        let until = self.problem.returned[reader as usize];
        let early = |writer: &&u32| self.problem.call[**writer as usize] <= until;
        let overwritten: Vec<u32> = self.writers.of(value).iter().filter(early).copied().collect();
        let late = self.writers.of(value).iter().find(|writer| !early(writer)).copied();
        let was_initial = value == self.view.initial;
        match overwrite {
            Some(by) if was_initial || !overwritten.is_empty() => {
                Conflict::Overwritten { reader, by, writers: overwritten }
            }
            Some(_) | None => Conflict::Nobody { reader, late },
        }
    }
}
