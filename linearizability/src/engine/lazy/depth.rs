//! One configuration after another, deepest first, with a memo of those that were met.

use super::set::{Set, Shape};
use super::walk::Batch;
use super::{NONE, Walker, reveal};
use crate::Resource;
use crate::engine::space::Space;
use crate::engine::{Meter, Progress};

/// A configuration that waits for its turn; its row and operations lie on stacks of their own.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    level: usize,
    state: u32,
    fresh: u32,
    /// The length of the path before it.
    path: usize,
    /// Where its operations begin.
    operations: usize,
}

/// The search; it can be left and taken up again.
#[derive(Debug)]
pub(crate) struct Depth {
    walker: Walker,
    met: Set,
    stack: Vec<Waiting>,
    rows: Vec<u64>,
    operations: Vec<u32>,
    path: Vec<u32>,
    placed_max: usize,
    batch: Batch,
    row: Vec<u64>,
    entered: bool,
}

impl Depth {
    pub(crate) fn new(walker: Walker) -> Self {
        let shape = Shape { open_words: walker.plan.open_words, row_size: walker.row_size() };
        Self {
            walker,
            met: Set::new(shape),
            stack: Vec::new(),
            rows: Vec::new(),
            operations: Vec::new(),
            path: Vec::new(),
            placed_max: 0,
            batch: Batch::default(),
            row: Vec::new(),
            entered: false,
        }
    }

    /// Searches on until something is known, the meter shows `until` steps, or something runs out.
    pub(crate) fn run<S: Space>(
        &mut self,
        space: &mut S,
        meter: &mut Meter<'_>,
        until: u64,
    ) -> Result<Progress, Resource> {
        if !self.entered {
            self.entered = true;
            let (state, row, operations) = self.walker.start(space);
            self.rows.extend(row);
            self.operations.extend(operations);
            self.stack.push(Waiting { level: 0, state, fresh: NONE, path: 0, operations: 0 });
        }
        while let Some(waiting) = self.stack.last().copied() {
            if meter.steps >= until {
                return Ok(Progress::Paused);
            }
            meter.check(self.size() + space.size())?;
            meter.step();
            self.take(waiting);
            if self.visit(space, meter, waiting) {
                let is_write = |operation| Walker::is_blind_write(space, operation);
                return Ok(Progress::Order(reveal(&self.path, is_write)));
            }
        }
        Ok(Progress::Impossible(None))
    }

    /// The most operations that any configuration explained.
    pub(crate) fn placed(&self) -> usize {
        self.placed_max
    }

    /// Takes a configuration from the stack and goes where it is.
    fn take(&mut self, waiting: Waiting) {
        self.stack.pop();
        let start = self.rows.len() - self.walker.row_size();
        self.row.clear();
        self.row.extend_from_slice(&self.rows[start..]);
        self.rows.truncate(start);
        self.path.truncate(waiting.path);
        self.path.extend_from_slice(&self.operations[waiting.operations..]);
        self.operations.truncate(waiting.operations);
        while self.walker.level < waiting.level {
            self.walker.advance();
        }
        while self.walker.level > waiting.level {
            self.walker.retreat();
        }
    }

    /// Climbs as far as what is placed permits, then puts all that follows on the stack; true at the top.
    fn visit<S: Space>(&mut self, space: &mut S, meter: &mut Meter<'_>, waiting: Waiting) -> bool {
        let (state, mut fresh) = (waiting.state, waiting.fresh);
        let mut row = std::mem::take(&mut self.row);
        loop {
            if self.walker.place_reads(space, state, &mut row, &mut self.path) {
                fresh = NONE;
            }
            if self.walker.is_done() {
                return true;
            }
            if !self.walker.is_placed(&row) {
                break;
            }
            fresh = self.walker.pass(&mut row, fresh);
            self.walker.advance();
        }
        self.placed_max = self.placed_max.max(self.path.len());
        let level = u32::try_from(self.walker.level).expect("a history is indexed in 31 bits");
        if self.met.insert(level, state, &row, &self.walker.writes) {
            let mut batch = std::mem::take(&mut self.batch);
            batch.clear();
            self.walker.expand(space, meter, (state, fresh), &row, &mut batch);
            self.push_children(&batch);
            self.batch = batch;
        }
        self.row = row;
        false
    }

    fn push_children(&mut self, batch: &Batch) {
        let size = self.walker.row_size();
        // The first child is to be on top.
        for (place, child) in batch.children.iter().enumerate().rev() {
            let operations = self.operations.len();
            let range = child.operations.0..child.operations.1;
            self.operations.extend_from_slice(&batch.operations[range]);
            self.rows.extend_from_slice(&batch.rows[place * size..][..size]);
            self.stack.push(Waiting {
                level: self.walker.level + usize::from(child.passed),
                state: child.state,
                fresh: child.fresh,
                path: self.path.len(),
                operations,
            });
        }
    }

    fn size(&self) -> usize {
        self.walker.size()
            + self.met.size()
            + self.rows.capacity() * 8
            + self.operations.capacity() * 4
            + self.stack.capacity() * size_of::<Waiting>()
    }
}
