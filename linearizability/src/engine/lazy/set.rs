//! Sets of configurations in which none dominates another.

use crate::hash::mix;
use hashbrown::HashTable;

const NONE: u32 = u32::MAX;

/// How a row is made up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Words of placed operations, and as many of writes that may hide.
    pub(super) open_words: usize,
    /// Words of the whole row.
    pub(super) row_size: usize,
}

/// A set of configurations, each a level, a state and a row.
///
/// One dominates another of the same level and state if it has placed no more, if what it has placed less may hide,
/// and if whatever may hide in the other may hide in it.
#[derive(Debug)]
pub(super) struct Set {
    shape: Shape,
    pub(super) states: Vec<u32>,
    levels: Vec<u32>,
    rows: Vec<u64>,
    hashes: Vec<u64>,
    /// The next configuration with the same key.
    links: Vec<u32>,
    /// Configurations that were dominated later.
    dead: Vec<bool>,
    table: HashTable<u32>,
}

/// How many configurations of one key are compared; beyond that, dominated ones may stay.
const COMPARED_MAX: usize = 16;

impl Set {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            states: Vec::new(),
            levels: Vec::new(),
            rows: Vec::new(),
            hashes: Vec::new(),
            links: Vec::new(),
            dead: Vec::new(),
            table: HashTable::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.states.clear();
        self.levels.clear();
        self.rows.clear();
        self.hashes.clear();
        self.links.clear();
        self.dead.clear();
        self.table.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn row(&self, index: usize) -> &[u64] {
        &self.rows[index * self.shape.row_size..][..self.shape.row_size]
    }

    pub(super) fn is_dead(&self, index: usize) -> bool {
        self.dead[index]
    }

    /// Adds a configuration unless it is dominated; `writes` are the bits of the level's open writes.
    pub(super) fn insert(&mut self, level: u32, state: u32, row: &[u64], writes: &[u64]) -> bool {
        let words = self.shape.open_words;
        let mut hash = mix(u64::from(level), u64::from(state));
        for word in 0..words {
            hash = mix(hash, row[word] & !writes[word]);
        }
        let size = self.shape.row_size;
        let found = self.table.find(hash, |&head| {
            let index = head as usize;
            let other = &self.rows[index * size..][..words];
            self.states[index] == state
                && self.levels[index] == level
                && (0..words).all(|word| (other[word] ^ row[word]) & !writes[word] == 0)
        });
        let head = found.copied();
        let mut current = head.unwrap_or(NONE);
        let mut compared = 0;
        while current != NONE && compared < COMPARED_MAX {
            let index = current as usize;
            if !self.dead[index] {
                compared += 1;
                let other = &self.rows[index * size..][..size];
                if dominates(other, row, words) {
                    return false;
                }
                if dominates(row, other, words) {
                    self.dead[index] = true;
                }
            }
            current = self.links[index];
        }
        self.push(level, state, row, hash, head);
        true
    }

    fn push(&mut self, level: u32, state: u32, row: &[u64], hash: u64, head: Option<u32>) {
        let number = u32::try_from(self.states.len()).expect("memory for 2^32 configurations");
        self.states.push(state);
        self.levels.push(level);
        self.rows.extend_from_slice(row);
        self.hashes.push(hash);
        self.dead.push(false);
        match head {
            // Behind the head, so that the table need not change.
            Some(head) => {
                let next = self.links[head as usize];
                self.links.push(next);
                self.links[head as usize] = number;
            }
            None => {
                self.links.push(NONE);
                let hashes = &self.hashes;
                self.table.insert_unique(hash, number, |&other| hashes[other as usize]);
            }
        }
    }

    pub(super) fn size(&self) -> usize {
        self.rows.capacity() * 8 + self.states.capacity() * 21 + self.table.capacity() * 6
    }
}

/// Whether the row `left` leaves at least as much to choose from as `right`; both agree on all but writes.
fn dominates(left: &[u64], right: &[u64], words: usize) -> bool {
    let open = (0..words).all(|word| {
        let (placed, hides) = (left[word], left[words + word]);
        placed & !right[word] == 0
            && right[word] & !(placed | hides) == 0
            && right[words + word] & !hides == 0
    });
    open && left[2 * words..]
        .iter()
        .zip(&right[2 * words..])
        .all(|(left, right)| left & !right == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_something_new_to_choose_is_added() {
        // One word of placed operations, one of those that may hide, one of pending ones. Bits 0 and 1 are writes.
        let mut set = Set::new(Shape { open_words: 1, row_size: 3 });
        let writes = [0b11];
        assert!(set.insert(0, 7, &[0b101, 0, 0b1], &writes));
        assert!(!set.insert(0, 7, &[0b101, 0, 0b1], &writes), "it is there already");
        assert!(!set.insert(0, 7, &[0b101, 0, 0b11], &writes), "it has used a pending one more");
        assert!(set.insert(0, 7, &[0b001, 0, 0b1], &writes), "a read is not placed");
        assert!(set.insert(0, 7, &[0b100, 0, 0b1], &writes), "a write must still be placed");
        assert!(set.insert(0, 7, &[0b100, 0b1, 0b1], &writes), "that write may hide");
        assert!(set.is_dead(0) && set.is_dead(2), "the last one dominates both");
        assert!(set.insert(0, 8, &[0b101, 0, 0b1], &writes), "another state");
        assert!(set.insert(1, 7, &[0b101, 0, 0b1], &writes), "another level");
    }
}
