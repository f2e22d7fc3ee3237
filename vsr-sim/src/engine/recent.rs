//! How many things of one name there were before.

/// Counts things by name, in bounded memory.
///
/// Names seldom come back after long: two generations are kept, and when the younger is full the older is forgotten.
/// Until then (every run of ordinary length) a count depends on its own name alone. A count that begins after names
/// were forgotten begins at a number never used before, so that no thing shares its fate with a forgotten one.
#[derive(Debug)]
pub(crate) struct Recent {
    young: Generation,
    old: Generation,
    /// How many generations were forgotten.
    forgotten: u32,
}

/// How many names a generation holds before the next one begins.
const NAMES_MAX: usize = 1 << 16;

/// New counts after the `n`-th loss of a generation begin at `n << FORGOTTEN_SHIFT`.
const FORGOTTEN_SHIFT: u32 = 16;

/// A hash table that is emptied by counting up its epoch.
#[derive(Debug)]
struct Generation {
    /// A power of two of them, at most half full.
    cells: Vec<Cell>,
    epoch: u32,
    names: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    name: u64,
    epoch: u32,
    count: u32,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { young: Generation::new(), old: Generation::new(), forgotten: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.forgotten = 0;
    }

    /// How many things of this `name` were counted before; counts one more.
    pub(crate) fn count(&mut self, name: u64) -> u32 {
        if let Some(count) = self.young.find(name) {
            let before = *count;
            *count += 1;
            return before;
        }
        let first = (self.forgotten << FORGOTTEN_SHIFT, self.old.find(name));
        let before = first.1.map_or(first.0, |count| *count);
        if self.young.names == NAMES_MAX {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.forgotten += 1;
        }
        self.young.insert(name, before + 1);
        before
    }
}

impl Generation {
    fn new() -> Self {
        Self { cells: vec![Cell::default(); 1 << 10], epoch: 1, names: 0 }
    }

    fn clear(&mut self) {
        self.names = 0;
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.cells.fill(Cell::default());
            self.epoch = 1;
        }
    }

    /// The cell of `name`, or the empty one where it belongs.
    #[expect(clippy::cast_possible_truncation, reason = "masked to the number of cells")]
    fn cell(&mut self, name: u64) -> &mut Cell {
        let mask = self.cells.len() - 1;
        let mut place = name as usize & mask;
        while self.cells[place].epoch == self.epoch && self.cells[place].name != name {
            place = (place + 1) & mask;
        }
        &mut self.cells[place]
    }

    fn find(&mut self, name: u64) -> Option<&mut u32> {
        let epoch = self.epoch;
        let cell = self.cell(name);
        (cell.epoch == epoch).then_some(&mut cell.count)
    }

    fn insert(&mut self, name: u64, count: u32) {
        if self.names * 2 >= self.cells.len() {
            self.grow();
        }
        let epoch = self.epoch;
        *self.cell(name) = Cell { name, epoch, count };
        self.names += 1;
    }

    fn grow(&mut self) {
        let cells = vec![Cell::default(); self.cells.len() * 2];
        let cells = std::mem::replace(&mut self.cells, cells);
        let epoch = self.epoch;
        for cell in cells.into_iter().filter(|cell| cell.epoch == epoch) {
            *self.cell(cell.name) = cell;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::engine::random::{Keyed, Seed};

    fn names() -> impl Iterator<Item = u64> {
        let keyed = Keyed::new(Seed::new(1), "recent");
        (0..).map(move |which| keyed.name(0, which))
    }

    #[test]
    fn counts_are_exact_until_a_generation_is_full() {
        let mut recent = Recent::new();
        let mut model = BTreeMap::new();
        let mut stream = Seed::new(2).stream("recent");
        let names: Vec<u64> = names().take(5_000).collect();
        for _ in 0..30_000 {
            let name = *stream.pick(&names);
            let count: &mut u32 = model.entry(name).or_default();
            assert_eq!(recent.count(name), *count);
            *count += 1;
        }
        recent.clear();
        assert!(names.iter().all(|name| recent.count(*name) == 0));
    }

    /// A name that was forgotten comes back: its count must be one that it never had, or a packet that is always lost the
    /// first time would be lost for ever.
    #[test]
    fn a_forgotten_name_never_gets_an_old_count_again() {
        let mut recent = Recent::new();
        let mut seen = BTreeSet::new();
        let mut others = names();
        for _ in 0..4 {
            assert!(seen.insert(recent.count(7)));
            assert!(seen.insert(recent.count(7)));
            for name in others.by_ref().take(3 * NAMES_MAX) {
                recent.count(name);
            }
        }
        assert!(recent.young.cells.len() <= 4 * NAMES_MAX, "memory is bounded");
    }

    #[test]
    fn a_name_in_use_is_never_forgotten() {
        let mut recent = Recent::new();
        for (expected, name) in (0..).zip(names().take(3 * NAMES_MAX)) {
            recent.count(name);
            assert_eq!(recent.count(7), expected);
        }
    }
}
