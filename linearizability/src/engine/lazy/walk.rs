//! From a configuration to those that follow.

use super::plan::{Item, Kind, Plan};
use super::{HIDDEN, NONE};
use crate::engine::Meter;
use crate::engine::problem::Problem;
use crate::engine::space::Space;

/// Configurations that follow from one, in flat arrays that are used again and again.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) children: Vec<Child>,
    pub(super) rows: Vec<u64>,
    pub(super) operations: Vec<u32>,
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.children.clear();
        self.rows.clear();
        self.operations.clear();
    }
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child {
    pub(super) state: u32,
    /// A write that is still open and that nobody has seen, or `NONE`.
    pub(super) fresh: u32,
    /// Whether it is past this level's return.
    pub(super) passed: bool,
    /// Where its operations begin and end in the batch.
    pub(super) operations: (usize, usize),
}

/// A level, and what is open there; the searches move it up and down.
///
/// A configuration's *row* is three bit sets: open operations that were placed, open writes that may hide, pending
/// operations that were placed.
#[derive(Debug)]
pub(crate) struct Walker {
    pub(super) plan: Plan,
    pub(super) level: usize,
    /// Which item has each bit.
    owners: Vec<u32>,
    /// Open items that are no reads, by class and then by return.
    changing: Vec<u32>,
    /// Open reads whose place only the space can tell.
    reading: Vec<u32>,
    /// Pending items that were called, by class and then by call.
    pending: Vec<u32>,
    /// Bits of open writes.
    pub(super) writes: Vec<u64>,
    /// For each value, bits of the open reads that see it, of the open swaps that wait for it, of the open writers.
    readers: Vec<u64>,
    swappers: Vec<u64>,
    writers: Vec<u64>,
    scratch: Vec<u64>,
    successors: Vec<u32>,
}

pub(super) fn has(words: &[u64], bit: u32) -> bool {
    words[bit as usize / 64] >> (bit % 64) & 1 == 1
}

fn flip(words: &mut [u64], bit: u32) {
    words[bit as usize / 64] ^= 1 << (bit % 64);
}

fn clear(words: &mut [u64], bit: u32) {
    words[bit as usize / 64] &= !(1 << (bit % 64));
}

impl Walker {
    pub(crate) fn new<S: Space>(problem: &Problem, space: &S) -> Self {
        let plan = Plan::new(problem, space);
        let words = plan.open_words;
        let masks = vec![0; plan.values() * words];
        let mut walker = Self {
            level: 0,
            owners: vec![NONE; words * 64],
            changing: Vec::new(),
            reading: Vec::new(),
            pending: Vec::new(),
            writes: vec![0; words],
            readers: masks.clone(),
            swappers: masks.clone(),
            writers: masks,
            scratch: Vec::new(),
            successors: Vec::new(),
            plan,
        };
        walker.call(0, walker.called());
        walker
    }

    /// The words of a row.
    pub(super) fn row_size(&self) -> usize {
        2 * self.plan.open_words + self.plan.pending_words
    }

    /// Whether every return has been got past.
    pub(super) fn is_done(&self) -> bool {
        self.level == self.plan.levels.len()
    }

    /// How many items are called before the level's return.
    fn called(&self) -> u32 {
        match self.plan.levels.get(self.level) {
            Some(level) => level.called,
            None => u32::try_from(self.plan.items.len()).expect("a history is indexed in 31 bits"),
        }
    }

    /// Up one level.
    pub(super) fn advance(&mut self) {
        let level = self.plan.levels[self.level];
        self.shut(level.item);
        self.level += 1;
        self.call(level.called, self.called());
    }

    /// Down one level.
    pub(super) fn retreat(&mut self) {
        let until = self.called();
        self.level -= 1;
        let level = self.plan.levels[self.level];
        for item in (level.called..until).rev() {
            self.shut(item);
        }
        self.open(level.item);
    }

    fn call(&mut self, from: u32, until: u32) {
        for item in from..until {
            self.open(item);
        }
    }

    fn open(&mut self, number: u32) {
        let item = self.plan.items[number as usize];
        if item.level == NONE {
            let place = self.place_among(&self.pending, number);
            self.pending.insert(place, number);
            return;
        }
        self.owners[item.bit as usize] = number;
        self.toggle(item);
        match item.kind {
            Kind::Read(Some(_)) => {}
            Kind::Read(None) => self.reading.push(number),
            Kind::Write(_) | Kind::Swap(..) | Kind::Other => {
                let place = self.place_among(&self.changing, number);
                self.changing.insert(place, number);
            }
        }
    }

    /// Where an item belongs in a list that is sorted by class and then by return.
    fn place_among(&self, list: &[u32], number: u32) -> usize {
        let items = &self.plan.items;
        let rank = |other: u32| (items[other as usize].class, items[other as usize].level, other);
        list.partition_point(|&other| rank(other) < rank(number))
    }

    fn shut(&mut self, number: u32) {
        let item = self.plan.items[number as usize];
        if item.level == NONE {
            self.pending.retain(|&other| other != number);
            return;
        }
        self.toggle(item);
        match item.kind {
            Kind::Read(Some(_)) => {}
            Kind::Read(None) => self.reading.retain(|&other| other != number),
            Kind::Write(_) | Kind::Swap(..) | Kind::Other => {
                self.changing.retain(|&other| other != number);
            }
        }
    }

    /// Opens or shuts an item in the masks.
    fn toggle(&mut self, item: Item) {
        let words = self.plan.open_words;
        let of = |value: u32| value as usize * words..(value as usize + 1) * words;
        match item.kind {
            Kind::Read(Some(value)) => flip(&mut self.readers[of(value)], item.bit),
            Kind::Write(value) => {
                flip(&mut self.writes, item.bit);
                flip(&mut self.writers[of(value)], item.bit);
            }
            Kind::Swap(from, to) => {
                flip(&mut self.swappers[of(from)], item.bit);
                flip(&mut self.writers[of(to)], item.bit);
            }
            Kind::Read(None) | Kind::Other => {}
        }
    }

    /// Whether something that was not placed must still see `value`.
    fn is_needed(&self, value: u32, placed: &[u64]) -> bool {
        if self.plan.last_observer[value as usize] > self.called() {
            return true;
        }
        let start = value as usize * self.plan.open_words;
        (0..self.plan.open_words).any(|word| {
            (self.readers[start + word] | self.swappers[start + word]) & !placed[word] != 0
        })
    }

    /// Whether something that was not placed can still write `value`.
    fn can_return_to(&self, value: u32, row: &[u64]) -> bool {
        if self.plan.last_writer[value as usize] > self.called() {
            return true;
        }
        let words = self.plan.open_words;
        let start = value as usize * words;
        if (0..words).any(|word| self.writers[start + word] & !row[word] != 0) {
            return true;
        }
        let pending = &row[2 * words..];
        self.plan.pending_writers[value as usize]
            .iter()
            .take_while(|&&item| item < self.called())
            .any(|&item| !has(pending, self.plan.items[item as usize].bit))
    }

    /// Places every open read that fits, and lists them.
    pub(super) fn place_reads<S: Space>(
        &mut self,
        space: &mut S,
        state: u32,
        row: &mut [u64],
        operations: &mut Vec<u32>,
    ) -> bool {
        let before = operations.len();
        let words = self.plan.open_words;
        if (state as usize) < self.plan.values() {
            let start = state as usize * words;
            for (word, placed) in row[..words].iter_mut().enumerate() {
                let mut bits = self.readers[start + word] & !*placed;
                *placed |= bits;
                while bits != 0 {
                    let bit = word * 64 + bits.trailing_zeros() as usize;
                    operations.push(self.plan.items[self.owners[bit] as usize].operation);
                    bits &= bits - 1;
                }
            }
        }
        for &number in &self.reading {
            let item = self.plan.items[number as usize];
            if has(row, item.bit) {
                continue;
            }
            self.successors.clear();
            space.step(state, item.class, &mut self.successors);
            if !self.successors.is_empty() {
                flip(row, item.bit);
                operations.push(item.operation);
            }
        }
        operations.len() > before
    }

    /// The configuration before everything: its state, row and operations.
    pub(super) fn start<S: Space>(&mut self, space: &mut S) -> (u32, Vec<u64>, Vec<u32>) {
        let mut row = vec![0; self.row_size()];
        let mut operations = Vec::new();
        let state = space.initial();
        self.place_reads(space, state, &mut row, &mut operations);
        (state, row, operations)
    }

    /// Whether the level's operation is placed.
    pub(super) fn is_placed(&self, row: &[u64]) -> bool {
        has(row, self.returning().bit)
    }

    /// The operation whose return this level is.
    fn returning(&self) -> Item {
        self.plan.items[self.plan.levels[self.level].item as usize]
    }

    /// Takes the level's operation out of a row: its bits will mean another.
    pub(super) fn pass(&self, row: &mut [u64], fresh: u32) -> u32 {
        let words = self.plan.open_words;
        let bit = self.returning().bit;
        clear(&mut row[..words], bit);
        clear(&mut row[words..2 * words], bit);
        if fresh == self.plan.levels[self.level].item { NONE } else { fresh }
    }

    /// Appends to `batch` all that follows from a configuration whose level's operation is not placed.
    pub(super) fn expand<S: Space>(
        &mut self,
        space: &mut S,
        meter: &mut Meter<'_>,
        (state, fresh): (u32, u32),
        row: &[u64],
        batch: &mut Batch,
    ) {
        let words = self.plan.open_words;
        let returning = self.returning();
        if has(&row[words..], returning.bit) {
            let start = batch.operations.len();
            batch.operations.push(returning.operation | HIDDEN);
            let place = batch.rows.len();
            batch.rows.extend_from_slice(row);
            self.pass(&mut batch.rows[place..], NONE);
            let operations = (start, batch.operations.len());
            // What it hides before has been of use, if only for this.
            batch.children.push(Child { state, fresh: NONE, passed: true, operations });
            if let Kind::Write(value) = returning.kind
                && !self.is_useful(value, row)
            {
                return;
            }
        }
        let (mut class, mut tried) = (NONE, [false; 2]);
        for index in 0..self.changing.len() {
            let number = self.changing[index];
            let item = self.plan.items[number as usize];
            if has(row, item.bit) {
                continue;
            }
            if item.class != class {
                (class, tried) = (item.class, [false; 2]);
            }
            let hides = usize::from(has(&row[words..], item.bit));
            if !std::mem::replace(&mut tried[hides], true) {
                meter.step();
                self.place(space, (state, fresh), row, number, batch);
            }
        }
        class = NONE;
        for index in 0..self.pending.len() {
            let number = self.pending[index];
            let item = self.plan.items[number as usize];
            if item.class != class && !has(&row[2 * words..], item.bit) {
                class = item.class;
                meter.step();
                self.place(space, (state, fresh), row, number, batch);
            }
        }
    }

    /// Places one operation, in every way there is.
    fn place<S: Space>(
        &mut self,
        space: &mut S,
        (state, fresh): (u32, u32),
        row: &[u64],
        number: u32,
        batch: &mut Batch,
    ) {
        let item = self.plan.items[number as usize];
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(row);
        let words = self.plan.open_words;
        if item.level == NONE {
            flip(&mut scratch[2 * words..], item.bit);
        } else {
            flip(&mut scratch, item.bit);
            clear(&mut scratch[words..2 * words], item.bit);
        }
        match item.kind {
            Kind::Write(value) => {
                let unseen = fresh != NONE;
                let useless = item.level == NONE && !self.is_useful(value, &scratch);
                if !unseen && !useless && self.may_leave(state, value, &scratch) {
                    for word in 0..words {
                        scratch[words + word] |= self.writes[word] & !scratch[word];
                    }
                    self.emit(space, (value, number), &mut scratch, item, batch);
                }
            }
            Kind::Swap(from, to) => {
                let useless = item.level == NONE && !self.is_useful(to, &scratch);
                if from == state && !useless && self.may_leave(state, to, &scratch) {
                    self.emit(space, (to, NONE), &mut scratch, item, batch);
                }
            }
            Kind::Read(_) => unreachable!("reads are placed as soon as they fit"),
            Kind::Other => {
                let mut successors = std::mem::take(&mut self.successors);
                successors.clear();
                space.step(state, item.class, &mut successors);
                for &after in &successors {
                    let mut row = scratch.clone();
                    self.emit(space, (after, NONE), &mut row, item, batch);
                }
                successors.clear();
                self.successors = successors;
            }
        }
        self.scratch = scratch;
    }

    /// Whether it can be of use to somebody that the register holds `value`.
    fn is_useful(&self, value: u32, row: &[u64]) -> bool {
        self.plan.evasive || self.plan.pending_swap[value as usize] || self.is_needed(value, row)
    }

    /// Whether `value` may be replaced by `by`: nobody must see it any more, or it can come back.
    fn may_leave(&self, value: u32, by: u32, row: &[u64]) -> bool {
        // A value beyond the plan's is one that no operation speaks of.
        value == by
            || value as usize >= self.plan.values()
            || !self.is_needed(value, row)
            || self.can_return_to(value, row)
    }

    fn emit<S: Space>(
        &mut self,
        space: &mut S,
        (state, mut fresh): (u32, u32),
        row: &mut [u64],
        item: Item,
        batch: &mut Batch,
    ) {
        let start = batch.operations.len();
        batch.operations.push(item.operation);
        if self.place_reads(space, state, row, &mut batch.operations) {
            fresh = NONE;
        }
        let passed = self.is_placed(row);
        if passed {
            fresh = self.pass(row, fresh);
        }
        batch.rows.extend_from_slice(row);
        let operations = (start, batch.operations.len());
        batch.children.push(Child { state, fresh, passed, operations });
    }

    /// Whether the operation is a write that waits for nothing.
    pub(super) fn is_blind_write<S: Space>(space: &S, operation: u32) -> bool {
        matches!(
            space.register(space.class(operation as usize)),
            Some(crate::RegisterStep::Write(_))
        )
    }

    /// The memory held beyond what is linear in the history, in bytes.
    pub(super) fn size(&self) -> usize {
        (self.readers.len() + self.swappers.len() + self.writers.len()) * 8
    }
}
