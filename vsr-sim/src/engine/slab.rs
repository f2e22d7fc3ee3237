//! Things with a number, whose memory is used again.

/// A list of things with holes. A number is good from [`Slab::insert`] to [`Slab::take`] and is then given to another.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Option<T>>,
    vacant: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), vacant: Vec::new() }
    }

    /// Puts `thing` in and gives its number.
    pub(crate) fn insert(&mut self, thing: T) -> u32 {
        if let Some(slot) = self.vacant.pop() {
            let vacant = self.slots[slot as usize].replace(thing);
            assert!(vacant.is_none());
            slot
        } else {
            self.slots.push(Some(thing));
            u32::try_from(self.slots.len() - 1)
                .expect("fewer than four billion things are under way")
        }
    }

    /// Takes out the thing numbered `slot`.
    pub(crate) fn take(&mut self, slot: u32) -> T {
        let thing = self.slots[slot as usize].take().expect("a slot is taken once");
        self.vacant.push(slot);
        thing
    }

    pub(crate) fn get(&self, slot: u32) -> &T {
        self.slots[slot as usize].as_ref().expect("a slot is used while it is filled")
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut T {
        self.slots[slot as usize].as_mut().expect("a slot is used while it is filled")
    }

    /// How many things there are.
    pub(crate) const fn count(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// The things in order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }

    /// Takes everything out, in order of the numbers; keeps the memory.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.vacant.clear();
        self.slots.drain(..).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_only_after_its_thing_is_gone() {
        let mut slab = Slab::new();
        let [a, b] = ['a', 'b'].map(|thing| slab.insert(thing));
        assert_eq!(slab.take(a), 'a');
        let c = slab.insert('c');
        assert_eq!(c, a);
        assert_eq!((*slab.get(b), *slab.get(c), slab.count()), ('b', 'c', 2));
        assert_eq!(slab.drain().collect::<String>(), "cb");
        assert_eq!(slab.count(), 0);
    }
}
