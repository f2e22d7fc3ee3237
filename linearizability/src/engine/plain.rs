//! Depth-first search with a memo on operations placed and state, and nothing else.
//!
//! Wing and Gong, and Lowe, describe it, and Porcupine does it. It knows none of the cuts: it is the yardstick, and the second opinion of the tests.

use super::problem::Problem;
use super::space::{Space, hash_configuration, toggle};
use super::{Meter, Outcome};
use crate::Resource;
use hashbrown::HashTable;

/// Decides `problem`. Memory is a bit for each operation and each configuration met.
pub(crate) fn search<S: Space>(problem: &Problem, space: &mut S, meter: &mut Meter<'_>) -> Outcome {
    let mut search = Plain::new(problem, space.initial());
    match search.run(space, meter) {
        Ok(true) => Outcome::Order(search.path.iter().map(|choice| choice.operation).collect()),
        Ok(false) => Outcome::Impossible { core: None, level: None },
        Err(resource) => Outcome::Exhausted { resource, placed: search.placed_max },
    }
}

/// An operation that was placed, and what to go back to.
#[derive(Debug, Clone, Copy)]
struct Choice {
    operation: u32,
    /// Which of the states after it was taken.
    alternative: usize,
    /// The state before it.
    state: u32,
}

/// The events not yet explained form a list, doubly linked so that an operation leaves and comes back in no time.
#[derive(Debug)]
struct Plain<'a> {
    problem: &'a Problem,
    /// Where the call and the return of each operation stand among the events.
    places: Vec<(usize, Option<usize>)>,
    /// Next and previous event; entry `events.len()` is the head.
    next: Vec<usize>,
    previous: Vec<usize>,
    path: Vec<Choice>,
    placed: Vec<u64>,
    placed_hash: u64,
    placed_max: usize,
    required_left: usize,
    memo: HashTable<u32>,
    /// The configurations of the memo: state, then the set.
    sets: Vec<u64>,
    states: Vec<u32>,
    hashes: Vec<u64>,
}

impl<'a> Plain<'a> {
    fn new(problem: &'a Problem, initial: u32) -> Self {
        let count = problem.events.len();
        let mut places = vec![(0, None); problem.len()];
        for (place, event) in problem.events.iter().enumerate() {
            match event.is_return() {
                true => places[event.operation()].1 = Some(place),
                false => places[event.operation()].0 = place,
            }
        }
        let words = problem.len().div_ceil(64);
        let mut search = Self {
            problem,
            places,
            next: (1..=count).chain([0]).collect(),
            previous: [count].into_iter().chain(0..count).collect(),
            path: Vec::new(),
            placed: vec![0; words],
            placed_hash: 0,
            placed_max: 0,
            required_left: problem.required,
            memo: HashTable::new(),
            sets: Vec::new(),
            states: Vec::new(),
            hashes: Vec::new(),
        };
        search.remember(initial);
        search
    }

    fn run<S: Space>(&mut self, space: &mut S, meter: &mut Meter<'_>) -> Result<bool, Resource> {
        let head = self.problem.events.len();
        let mut state = space.initial();
        let mut place = self.next[head];
        let mut alternative = 0;
        let mut successors = Vec::new();
        while self.required_left > 0 {
            meter.check(self.size() + space.size())?;
            meter.step();
            let event = (place != head).then(|| self.problem.events[place]);
            if let Some(event) = event.filter(|event| !event.is_return()) {
                let operation = event.operation();
                successors.clear();
                space.step(state, space.class(operation), &mut successors);
                if let Some(&after) = successors.get(alternative) {
                    self.toggle(operation);
                    if self.remember(after) {
                        self.place(operation, alternative, state);
                        state = after;
                        place = self.next[head];
                        alternative = 0;
                    } else {
                        self.toggle(operation);
                        alternative += 1;
                    }
                } else {
                    place = self.next[place];
                    alternative = 0;
                }
            } else {
                // A return that is not explained yet, or the end: nothing after it may come first.
                let Some(choice) = self.unplace() else {
                    return Ok(false);
                };
                state = choice.state;
                place = self.places[choice.operation as usize].0;
                alternative = choice.alternative + 1;
            }
        }
        Ok(true)
    }

    fn toggle(&mut self, operation: usize) {
        self.placed[operation / 64] ^= 1 << (operation % 64);
        self.placed_hash = toggle(self.placed_hash, operation);
    }

    fn place(&mut self, operation: usize, alternative: usize, state: u32) {
        let number = u32::try_from(operation).expect("a history is indexed in 31 bits");
        self.path.push(Choice { operation: number, alternative, state });
        self.placed_max = self.placed_max.max(self.path.len());
        let (call, returned) = self.places[operation];
        for place in [Some(call), returned].into_iter().flatten() {
            self.next[self.previous[place]] = self.next[place];
            self.previous[self.next[place]] = self.previous[place];
        }
        self.required_left -= usize::from(!self.problem.pending[operation]);
    }

    fn unplace(&mut self) -> Option<Choice> {
        let choice = self.path.pop()?;
        let operation = choice.operation as usize;
        self.toggle(operation);
        let (call, returned) = self.places[operation];
        for place in [returned, Some(call)].into_iter().flatten() {
            self.next[self.previous[place]] = place;
            self.previous[self.next[place]] = place;
        }
        self.required_left += usize::from(!self.problem.pending[operation]);
        Some(choice)
    }

    /// Whether this set of placed operations with this state is new.
    fn remember(&mut self, state: u32) -> bool {
        let hash = hash_configuration(state, self.placed_hash);
        let words = self.placed.len();
        let (sets, states, placed) = (&self.sets, &self.states, &self.placed);
        let known = self.memo.find(hash, |&number| {
            let number = number as usize;
            states[number] == state && sets[number * words..][..words] == placed[..]
        });
        if known.is_some() {
            return false;
        }
        let number = u32::try_from(self.states.len()).expect("memory for 2^32 configurations");
        self.sets.extend_from_slice(&self.placed);
        self.states.push(state);
        self.hashes.push(hash);
        let hashes = &self.hashes;
        self.memo.insert_unique(hash, number, |&other| hashes[other as usize]);
        true
    }

    fn size(&self) -> usize {
        self.sets.capacity() * 8 + self.states.capacity() * 12 + self.memo.capacity() * 6
    }
}
