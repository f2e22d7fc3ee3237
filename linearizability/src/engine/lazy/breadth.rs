//! All configurations of a level, then all of the next.

use super::set::{Set, Shape};
use super::walk::Batch;
use super::{NONE, Walker, reveal};
use crate::Resource;
use crate::engine::space::Space;
use crate::engine::{Meter, Progress};

/// The search; it can be left and taken up again.
#[derive(Debug)]
pub(crate) struct Breadth {
    walker: Walker,
    /// This level's configurations, and how many of them were looked at.
    current: Set,
    looked: usize,
    /// Those that are past its return.
    next: Set,
    /// For each configuration of a set, its last node and the write that nobody has seen yet.
    current_tails: Vec<(u32, u32)>,
    next_tails: Vec<(u32, u32)>,
    paths: Paths,
    batch: Batch,
    entered: bool,
}

impl Breadth {
    pub(crate) fn new(walker: Walker) -> Self {
        let shape = Shape { open_words: walker.plan.open_words, row_size: walker.row_size() };
        Self {
            walker,
            current: Set::new(shape),
            looked: 0,
            next: Set::new(shape),
            current_tails: Vec::new(),
            next_tails: Vec::new(),
            paths: Paths::default(),
            batch: Batch::default(),
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
            let node = self.paths.append(NONE, &operations);
            self.current.insert(0, state, &row, &self.walker.writes);
            self.current_tails.push((node, NONE));
        }
        loop {
            if self.walker.is_done() {
                let path = self.paths.trace(self.current_tails[0].0);
                let is_write = |operation| Walker::is_blind_write(space, operation);
                return Ok(Progress::Order(reveal(&path, is_write)));
            }
            while self.looked < self.current.len() {
                if meter.steps >= until {
                    return Ok(Progress::Paused);
                }
                meter.check(self.size() + space.size())?;
                self.look(space, meter);
            }
            if self.next.len() == 0 {
                return Ok(Progress::Impossible(Some(self.walker.level)));
            }
            self.ascend(space);
        }
    }

    /// How many operations the deepest configuration explains, at least.
    pub(crate) fn placed(&self) -> usize {
        self.walker.level
    }

    fn look<S: Space>(&mut self, space: &mut S, meter: &mut Meter<'_>) {
        let index = self.looked;
        if self.current.is_dead(index) {
            self.looked += 1;
            return;
        }
        let (node, fresh) = self.current_tails[index];
        let state = self.current.states[index];
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let row = self.current.row(index).to_vec();
        if self.walker.is_placed(&row) {
            let mut row = row;
            let fresh = self.walker.pass(&mut row, fresh);
            self.add_next(state, &row, (node, fresh));
        } else {
            self.walker.expand(space, meter, (state, fresh), &row, &mut batch);
            self.add_children(node, &batch);
        }
        self.batch = batch;
        self.looked += 1;
    }

    fn add_children(&mut self, node: u32, batch: &Batch) {
        let size = self.walker.row_size();
        for (place, child) in batch.children.iter().enumerate() {
            let row = &batch.rows[place * size..][..size];
            let operations = &batch.operations[child.operations.0..child.operations.1];
            let writes = &self.walker.writes;
            let (set, tails) = match child.passed {
                true => (&mut self.next, &mut self.next_tails),
                false => (&mut self.current, &mut self.current_tails),
            };
            if set.insert(0, child.state, row, writes) {
                tails.push((self.paths.append(node, operations), child.fresh));
            }
        }
    }

    fn add_next(&mut self, state: u32, row: &[u64], tail: (u32, u32)) {
        if self.next.insert(0, state, row, &self.walker.writes) {
            self.next_tails.push(tail);
        }
    }

    /// To the next level: what is called before its return is now open, and reads that fit are placed.
    fn ascend<S: Space>(&mut self, space: &mut S) {
        self.walker.advance();
        self.current.clear();
        self.current_tails.clear();
        self.looked = 0;
        let mut operations = std::mem::take(&mut self.batch.operations);
        for index in 0..self.next.len() {
            if self.next.is_dead(index) {
                continue;
            }
            let (node, fresh) = self.next_tails[index];
            let state = self.next.states[index];
            let mut row = self.next.row(index).to_vec();
            operations.clear();
            let seen = self.walker.place_reads(space, state, &mut row, &mut operations);
            let fresh = if seen { NONE } else { fresh };
            if self.current.insert(0, state, &row, &self.walker.writes) {
                self.current_tails.push((self.paths.append(node, &operations), fresh));
            }
        }
        self.batch.operations = operations;
        self.next.clear();
        self.next_tails.clear();
        self.paths.collect(&mut self.current_tails);
    }

    fn size(&self) -> usize {
        self.walker.size() + self.current.size() + self.next.size() + self.paths.size()
    }
}

/// The paths to all configurations, as a tree that grows at its leaves.
#[derive(Debug, Default)]
struct Paths {
    /// The node before, and the operation placed.
    nodes: Vec<(u32, u32)>,
    /// How many nodes there were after the last collection.
    live: usize,
}

impl Paths {
    fn append(&mut self, mut node: u32, operations: &[u32]) -> u32 {
        for &operation in operations {
            let parent = node;
            node = u32::try_from(self.nodes.len()).expect("memory for 2^32 nodes");
            self.nodes.push((parent, operation));
        }
        node
    }

    fn trace(&self, mut node: u32) -> Vec<u32> {
        let mut path = Vec::new();
        while node != NONE {
            let (parent, operation) = self.nodes[node as usize];
            path.push(operation);
            node = parent;
        }
        path.reverse();
        path
    }

    /// Drops what leads to no configuration any more, once that may be half of all.
    fn collect(&mut self, tails: &mut [(u32, u32)]) {
        if self.nodes.len() < 2 * self.live + (1 << 12) {
            return;
        }
        let mut moved = vec![NONE; self.nodes.len()];
        for &(tail, _) in &*tails {
            let mut node = tail;
            while node != NONE && moved[node as usize] == NONE {
                moved[node as usize] = 0;
                node = self.nodes[node as usize].0;
            }
        }
        // Parents come before their children.
        let mut kept = 0;
        for node in 0..self.nodes.len() {
            if moved[node] == NONE {
                continue;
            }
            let (parent, operation) = self.nodes[node];
            let parent = if parent == NONE { NONE } else { moved[parent as usize] };
            self.nodes[kept as usize] = (parent, operation);
            moved[node] = kept;
            kept += 1;
        }
        self.nodes.truncate(kept as usize);
        self.live = kept as usize;
        for (tail, _) in tails {
            if *tail != NONE {
                *tail = moved[*tail as usize];
            }
        }
    }

    fn size(&self) -> usize {
        self.nodes.capacity() * 8
    }
}
