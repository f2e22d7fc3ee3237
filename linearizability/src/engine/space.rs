//! States and operations as numbers, so that a search compares and hashes nothing else.

use crate::hash::{Map, hash_of, mix};
use crate::{Model, Operation, RegisterStep, RegisterView};
use hashbrown::HashTable;

/// What the searches need to know of a model.
pub(crate) trait Space {
    /// The state before any operation.
    fn initial(&self) -> u32;
    /// The class of an operation; equal classes behave alike.
    fn class(&self, operation: usize) -> u32;
    /// Whether the class never changes a state.
    fn is_read(&self, class: u32) -> bool;
    /// Appends the states after an operation of `class` in `state`.
    fn step(&mut self, state: u32, class: u32, next: &mut Vec<u32>);
    /// What the class does to a register, if this is one.
    fn register(&self, class: u32) -> Option<RegisterStep>;
    /// The memory held, in bytes.
    fn size(&self) -> usize;
}

/// The states and operations of any model; what was asked once is remembered.
#[derive(Debug)]
pub(crate) struct ModelSpace<'a, M: Model> {
    model: &'a M,
    states: Vec<M::State>,
    numbers: HashTable<u32>,
    classes: Vec<u32>,
    members: Vec<&'a Operation<M::Input, M::Output>>,
    reads: Vec<bool>,
    /// Where the successors of a state by a class begin and end; a row of classes for each state, as long as that is small.
    rows: Vec<(u32, u32)>,
    transitions: Map<(u32, u32), (u32, u32)>,
    successors: Vec<u32>,
    scratch: Vec<M::State>,
}

/// A transition that the model was not asked for yet.
const UNASKED: (u32, u32) = (u32::MAX, u32::MAX);

/// How many transitions are kept in rows; the others are hashed.
const ROWS_MAX: usize = 1 << 20;

/// What a state is assumed to hold besides itself: a value of a few words.
const STATE_SIZE_EXTRA: usize = 48;

impl<'a, M: Model> ModelSpace<'a, M> {
    pub(crate) fn new(
        model: &'a M,
        key: &M::Key,
        operations: &[&'a Operation<M::Input, M::Output>],
    ) -> Self {
        let mut space = Self {
            model,
            states: Vec::new(),
            numbers: HashTable::new(),
            classes: Vec::with_capacity(operations.len()),
            members: Vec::new(),
            reads: Vec::new(),
            rows: Vec::new(),
            transitions: Map::default(),
            successors: Vec::new(),
            scratch: Vec::new(),
        };
        space.number(model.initial(key));
        let mut classes: Map<(&M::Input, Option<&M::Output>), u32> = Map::default();
        for operation in operations {
            let fresh = u32::try_from(space.members.len()).expect("classes are operations");
            let class = *classes.entry((&operation.input, operation.output())).or_insert(fresh);
            if class == fresh {
                space.members.push(operation);
                space.reads.push(model.is_read(&operation.input, operation.output()));
            }
            space.classes.push(class);
        }
        space
    }

    fn number(&mut self, state: M::State) -> u32 {
        let hash = hash_of(&state);
        let states = &self.states;
        if let Some(&number) = self.numbers.find(hash, |&number| states[number as usize] == state) {
            return number;
        }
        let number = u32::try_from(self.states.len()).expect("memory for 2^32 states");
        self.states.push(state);
        let states = &self.states;
        self.numbers.insert_unique(hash, number, |&other| hash_of(&states[other as usize]));
        number
    }
}

impl<M: Model> Space for ModelSpace<'_, M> {
    fn initial(&self) -> u32 {
        0
    }

    fn class(&self, operation: usize) -> u32 {
        self.classes[operation]
    }

    fn is_read(&self, class: u32) -> bool {
        self.reads[class as usize]
    }

    fn step(&mut self, state: u32, class: u32, next: &mut Vec<u32>) {
        let known = match self.rows.get(self.place(state, class)) {
            Some(&known) if known != UNASKED => Some(known),
            Some(_) | None => self.transitions.get(&(state, class)).copied(),
        };
        let (start, end) = match known {
            Some(known) => known,
            None => self.ask(state, class),
        };
        next.extend_from_slice(&self.successors[start as usize..end as usize]);
    }

    fn register(&self, _: u32) -> Option<RegisterStep> {
        None
    }

    fn size(&self) -> usize {
        self.states.len() * (size_of::<M::State>() + STATE_SIZE_EXTRA)
            + self.successors.len() * 4
            + self.rows.len() * 8
            + self.transitions.len() * 20
    }
}

impl<M: Model> ModelSpace<'_, M> {
    fn place(&self, state: u32, class: u32) -> usize {
        state as usize * self.members.len() + class as usize
    }

    fn ask(&mut self, state: u32, class: u32) -> (u32, u32) {
        let start = u32::try_from(self.successors.len()).expect("memory for 2^32 transitions");
        let operation = self.members[class as usize];
        let mut scratch = std::mem::take(&mut self.scratch);
        let from = &self.states[state as usize];
        self.model.step(from, &operation.input, operation.output(), &mut scratch);
        for after in scratch.drain(..) {
            let after = self.number(after);
            if !self.successors[start as usize..].contains(&after) {
                self.successors.push(after);
            }
        }
        self.scratch = scratch;
        let end = start + u32::try_from(self.successors.len() - start as usize).expect("few");
        let place = self.place(state, class);
        if place < ROWS_MAX {
            if self.rows.len() <= place {
                self.rows.resize((state as usize + 1) * self.members.len(), UNASKED);
            }
            self.rows[place] = (start, end);
        } else {
            self.transitions.insert((state, class), (start, end));
        }
        (start, end)
    }
}

/// A register: the state is the value, and every step is a comparison.
#[derive(Debug)]
pub(crate) struct RegisterSpace {
    initial: u32,
    classes: Vec<u32>,
    steps: Vec<RegisterStep>,
}

impl RegisterSpace {
    pub(crate) fn new(view: &RegisterView) -> Self {
        let mut numbers: Map<RegisterStep, u32> = Map::default();
        let mut space = Self {
            initial: view.initial,
            classes: Vec::with_capacity(view.steps.len()),
            steps: Vec::new(),
        };
        for step in &view.steps {
            let fresh = u32::try_from(space.steps.len()).expect("classes are operations");
            let class = *numbers.entry(*step).or_insert(fresh);
            if class == fresh {
                space.steps.push(*step);
            }
            space.classes.push(class);
        }
        space
    }
}

impl Space for RegisterSpace {
    fn initial(&self) -> u32 {
        self.initial
    }

    fn class(&self, operation: usize) -> u32 {
        self.classes[operation]
    }

    fn is_read(&self, class: u32) -> bool {
        match self.steps[class as usize] {
            RegisterStep::Nothing | RegisterStep::Read(_) | RegisterStep::ReadNot(_) => true,
            RegisterStep::Write(_) => false,
            RegisterStep::Swap { from, to } => from == to,
        }
    }

    fn step(&mut self, state: u32, class: u32, next: &mut Vec<u32>) {
        match self.steps[class as usize] {
            RegisterStep::Nothing => next.push(state),
            RegisterStep::Read(value) if value == state => next.push(state),
            RegisterStep::ReadNot(value) if value != state => next.push(state),
            RegisterStep::Write(value) => next.push(value),
            RegisterStep::Swap { from, to } if from == state => next.push(to),
            RegisterStep::Read(_) | RegisterStep::ReadNot(_) | RegisterStep::Swap { .. } => {}
        }
    }

    fn register(&self, class: u32) -> Option<RegisterStep> {
        Some(self.steps[class as usize])
    }

    fn size(&self) -> usize {
        0
    }
}

/// The hash of a state and a set of operations, where the set's hash is kept up to date by [`toggle`].
pub(crate) fn hash_configuration(state: u32, set: u64) -> u64 {
    mix(set, u64::from(state))
}

/// The hash of a set after `member` joined or left it.
pub(crate) fn toggle(set: u64, member: usize) -> u64 {
    set ^ mix(0x5bd1_e995_9e37_79b9, member as u64)
}
