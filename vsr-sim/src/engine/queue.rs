//! What is to happen, in exact order of time, and of insertion where times are equal.
//!
//! Two timing wheels of 4096 slots each: one of about four microseconds a slot for the next seventeen milliseconds, one of seventeen
//! milliseconds a slot for the next minute; a heap beyond. A slot is an unsorted list; it is sorted when its
//! turn comes, and mostly holds one entry or two. Once warm, nothing is allocated.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::time::Time;

/// A slot of the fine wheel is `1 << FINE` nanoseconds long, one of the coarse wheel `1 << COARSE`; the heap holds what
/// lies in another stretch of `1 << FAR` nanoseconds than the present.
const FINE: u32 = 12;
const SLOT_BITS: u32 = 12;
const COARSE: u32 = FINE + SLOT_BITS;
const FAR: u32 = COARSE + SLOT_BITS;
const SLOTS: usize = 1 << SLOT_BITS;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// A queue of things to happen, taken out by time, then by order of insertion.
///
/// Invariants: nothing is older than what was last taken out; everything up to the end of the fine slot `cursor` is in
/// `due`, and nothing else is.
#[derive(Debug)]
pub struct Queue<T: Copy> {
    /// The entries of the slot at the cursor, the next one last.
    due: Vec<Entry<T>>,
    fine: Wheel,
    coarse: Wheel,
    far: BinaryHeap<Reverse<Far>>,
    /// The entries of both wheels and of the heap; `free` is a list of those not in use.
    entries: Vec<Linked<T>>,
    free: u32,
    /// The fine slot that `due` holds, counted from time zero.
    cursor: u64,
    sequence: u64,
    length: usize,
    now: Time,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    time: Time,
    sequence: u64,
    thing: T,
}

impl<T> Entry<T> {
    const fn order(&self) -> (Time, u64) {
        (self.time, self.sequence)
    }
}

#[derive(Clone, Copy, Debug)]
struct Linked<T> {
    entry: Entry<T>,
    next: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Far {
    time: Time,
    sequence: u64,
    entry: u32,
}

impl<T: Copy> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> Queue<T> {
    /// An empty queue at time zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            due: Vec::new(),
            fine: Wheel::new(),
            coarse: Wheel::new(),
            far: BinaryHeap::new(),
            entries: Vec::new(),
            free: NONE,
            cursor: 0,
            sequence: 0,
            length: 0,
            now: Time::ZERO,
        }
    }

    /// Empties the queue and goes back to time zero; keeps the memory.
    pub fn clear(&mut self) {
        self.due.clear();
        self.fine.clear();
        self.coarse.clear();
        self.far.clear();
        self.entries.clear();
        self.free = NONE;
        self.cursor = 0;
        self.sequence = 0;
        self.length = 0;
        self.now = Time::ZERO;
    }

    /// How many things are to happen.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is to happen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Lets `thing` happen at `time`, after all that was said before to happen then.
    ///
    /// # Panics
    /// When `time` lies before what was last taken out.
    pub fn push(&mut self, time: Time, thing: T) {
        assert!(time >= self.now);
        let entry = Entry { time, sequence: self.sequence, thing };
        self.sequence += 1;
        self.length += 1;
        self.place(entry);
    }

    /// Takes out the next thing, unless it is to happen after `limit`.
    pub fn pop_until(&mut self, limit: Time) -> Option<(Time, T)> {
        if self.due.is_empty() {
            self.advance(limit);
        }
        let next = self.due.pop_if(|next| next.time <= limit)?;
        self.now = next.time;
        self.length -= 1;
        Some((next.time, next.thing))
    }

    /// When the next thing is to happen. Looks through a list, so it is for idle moments rather than for each event.
    #[must_use]
    pub fn next_time(&self) -> Option<Time> {
        if let Some(next) = self.due.last() {
            return Some(next.time);
        }
        let first = self.fine.after(self.cursor_slot(FINE)).map(|slot| self.fine.heads[slot]);
        let first = first.or_else(|| {
            self.coarse.after(self.cursor_slot(COARSE)).map(|slot| self.coarse.heads[slot])
        });
        match first {
            Some(head) => self.list(head).map(|entry| entry.time).min(),
            None => self.far.peek().map(|Reverse(far)| far.time),
        }
    }

    fn list(&self, head: u32) -> impl Iterator<Item = &Entry<T>> {
        let mut next = head;
        std::iter::from_fn(move || {
            let linked = self.entries.get(next as usize)?;
            next = linked.next;
            Some(&linked.entry)
        })
    }

    /// The cursor's place in the wheel whose slots are `1 << shift` long.
    const fn cursor_slot(&self, shift: u32) -> usize {
        slot_of(self.cursor << FINE, shift)
    }

    fn place(&mut self, entry: Entry<T>) {
        let ns = entry.time.as_ns();
        let ahead = self.cursor << FINE;
        if ns >> FINE <= self.cursor {
            let place = self.due.partition_point(|other| other.order() > entry.order());
            self.due.insert(place, entry);
            return;
        }
        let index = self.link(entry);
        if ns >> COARSE == ahead >> COARSE {
            let head = self.fine.swap(slot_of(ns, FINE), index);
            self.entries[index as usize].next = head;
        } else if ns >> FAR == ahead >> FAR {
            let head = self.coarse.swap(slot_of(ns, COARSE), index);
            self.entries[index as usize].next = head;
        } else {
            self.far.push(Reverse(Far {
                time: entry.time,
                sequence: entry.sequence,
                entry: index,
            }));
        }
    }

    /// Keeps `entry` in a place of its own.
    fn link(&mut self, entry: Entry<T>) -> u32 {
        let index = self.free;
        if let Some(linked) = self.entries.get_mut(index as usize) {
            self.free = linked.next;
            *linked = Linked { entry, next: NONE };
            index
        } else {
            self.entries.push(Linked { entry, next: NONE });
            u32::try_from(self.entries.len() - 1)
                .expect("fewer than four billion things are to happen")
        }
    }

    fn unlink(&mut self, index: u32) -> (Entry<T>, u32) {
        let linked = &mut self.entries[index as usize];
        let (entry, next) = (linked.entry, linked.next);
        linked.next = self.free;
        self.free = index;
        (entry, next)
    }

    /// Moves the cursor to the next slot that holds something, but not beyond that of `limit`.
    ///
    /// Were it to run ahead of the time, what is still to come before it would all have to be sorted into `due`.
    fn advance(&mut self, limit: Time) {
        while self.due.is_empty() {
            let ahead = self.cursor << FINE;
            if let Some(slot) = self.fine.after(self.cursor_slot(FINE)) {
                let start = (ahead >> COARSE << COARSE) + ((slot as u64) << FINE);
                if start > limit.as_ns() {
                    return;
                }
                self.cursor = start >> FINE;
                self.take_due(slot);
            } else if let Some(slot) = self.coarse.after(self.cursor_slot(COARSE)) {
                let start = (ahead >> FAR << FAR) + ((slot as u64) << COARSE);
                if start > limit.as_ns() {
                    return;
                }
                self.cursor = start >> FINE;
                self.spread(slot);
            } else if !self.advance_far(limit) {
                return;
            }
        }
    }

    /// All entries of a fine slot become due.
    fn take_due(&mut self, slot: usize) {
        let mut index = self.fine.take(slot);
        while index != NONE {
            let (entry, next) = self.unlink(index);
            self.due.push(entry);
            index = next;
        }
        if self.due.len() > 1 {
            self.due.sort_unstable_by_key(|entry| Reverse(entry.order()));
        }
    }

    /// All entries of a coarse slot go to the fine wheel.
    fn spread(&mut self, slot: usize) {
        let mut index = self.coarse.take(slot);
        while index != NONE {
            let (entry, next) = self.unlink(index);
            self.place(entry);
            index = next;
        }
    }

    /// All entries of the next stretch of the heap go to the wheels. False if it lies beyond `limit`.
    fn advance_far(&mut self, limit: Time) -> bool {
        let Some(Reverse(first)) = self.far.peek() else { return false };
        let stretch = first.time.as_ns() >> FAR;
        if stretch > limit.as_ns() >> FAR {
            return false;
        }
        self.cursor = stretch << (FAR - FINE);
        while let Some(Reverse(far)) = self.far.peek().copied()
            && far.time.as_ns() >> FAR == stretch
        {
            self.far.pop();
            let (entry, _) = self.unlink(far.entry);
            self.place(entry);
        }
        true
    }
}

#[expect(clippy::cast_possible_truncation, reason = "masked to the number of slots")]
const fn slot_of(ns: u64, shift: u32) -> usize {
    (ns >> shift) as usize & (SLOTS - 1)
}

/// The heads of 4096 lists, and which of them are not empty.
#[derive(Debug)]
struct Wheel {
    heads: Box<[u32; SLOTS]>,
    filled: [u64; SLOTS / 64],
    /// Which words of `filled` are not zero.
    words: u64,
}

impl Wheel {
    fn new() -> Self {
        Self { heads: Box::new([NONE; SLOTS]), filled: [0; SLOTS / 64], words: 0 }
    }

    fn clear(&mut self) {
        while self.words != 0 {
            let word = self.words.trailing_zeros() as usize;
            while self.filled[word] != 0 {
                self.take(word * 64 + self.filled[word].trailing_zeros() as usize);
            }
        }
    }

    /// Puts a new head before a list and gives the old one.
    fn swap(&mut self, slot: usize, head: u32) -> u32 {
        self.filled[slot / 64] |= 1 << (slot % 64);
        self.words |= 1 << (slot / 64);
        std::mem::replace(&mut self.heads[slot], head)
    }

    /// Takes out a whole list.
    fn take(&mut self, slot: usize) -> u32 {
        self.filled[slot / 64] &= !(1 << (slot % 64));
        if self.filled[slot / 64] == 0 {
            self.words &= !(1 << (slot / 64));
        }
        std::mem::replace(&mut self.heads[slot], NONE)
    }

    /// The first list after `slot` that is not empty.
    fn after(&self, slot: usize) -> Option<usize> {
        let word = slot / 64;
        let rest = self.filled[word] & beyond(slot % 64);
        if rest != 0 {
            return Some(word * 64 + rest.trailing_zeros() as usize);
        }
        let words = self.words & beyond(word);
        (words != 0).then(|| {
            let word = words.trailing_zeros() as usize;
            word * 64 + self.filled[word].trailing_zeros() as usize
        })
    }
}

/// The bits above `bit`.
const fn beyond(bit: usize) -> u64 {
    (u64::MAX << bit) << 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Seed;

    /// The same contract, plainly.
    #[derive(Default)]
    struct Model {
        heap: BinaryHeap<Reverse<(Time, u64, u32)>>,
        sequence: u64,
    }

    impl Model {
        fn push(&mut self, time: Time, thing: u32) {
            self.heap.push(Reverse((time, self.sequence, thing)));
            self.sequence += 1;
        }

        fn pop_until(&mut self, limit: Time) -> Option<(Time, u32)> {
            self.heap.peek().filter(|Reverse((time, ..))| *time <= limit)?;
            self.heap.pop().map(|Reverse((time, _, thing))| (time, thing))
        }
    }

    /// The queue and a plain heap are driven side by side: pushes at distances from nothing to hours, and runs of pops up
    /// to limits that fall within slots, between them and far beyond.
    #[test]
    fn the_queue_is_as_exact_as_a_heap() {
        let mut queue = Queue::new();
        for seed in 0..200 {
            let mut stream = Seed::new(seed).stream("queue");
            let mut model = Model::default();
            let mut now = Time::ZERO;
            let reach = stream.magnitude(1, 1 << 45);
            for thing in 0..2_000 {
                if stream.chance(550_000) {
                    let distance = stream.within(0, 45).min(reach.ilog2().into());
                    let distance = Span::from_ns(stream.below(1 << distance));
                    queue.push(now.plus(distance), thing);
                    model.push(now.plus(distance), thing);
                } else {
                    let limit = now.plus(Span::from_ns(stream.magnitude(1, reach)));
                    assert_eq!(
                        queue.next_time(),
                        model.heap.peek().map(|Reverse((time, ..))| *time)
                    );
                    for _ in 0..stream.below(4) {
                        let expected = model.pop_until(limit);
                        assert_eq!(queue.pop_until(limit), expected, "seed {seed} thing {thing}");
                        now = expected.map_or(now, |(time, _)| time);
                    }
                    if model.heap.peek().is_none_or(|Reverse((time, ..))| *time > limit) {
                        now = limit;
                    }
                }
                assert_eq!(queue.len(), model.heap.len());
            }
            while let Some(expected) = model.pop_until(Time::MAX) {
                assert_eq!(queue.pop_until(Time::MAX), Some(expected), "seed {seed}");
            }
            assert!(queue.is_empty());
            queue.clear();
        }
    }

    use crate::engine::time::Span;

    #[test]
    fn the_end_of_time_is_a_time_like_any_other() {
        let mut queue = Queue::new();
        queue.push(Time::MAX, 'z');
        queue.push(Time::from_ns(5), 'a');
        queue.push(Time::MAX, 'y');
        assert_eq!(queue.pop_until(Time::from_ns(4)), None);
        assert_eq!(queue.pop_until(Time::MAX), Some((Time::from_ns(5), 'a')));
        assert_eq!(queue.next_time(), Some(Time::MAX));
        assert_eq!(queue.pop_until(Time::MAX), Some((Time::MAX, 'z')));
        assert_eq!(queue.pop_until(Time::MAX), Some((Time::MAX, 'y')));
        assert_eq!(queue.pop_until(Time::MAX), None);
    }

    /// A cleared queue keeps its memory but nothing else, from any state.
    #[test]
    fn a_cleared_queue_is_empty() {
        let mut queue = Queue::new();
        for distance in [0, 1, 5_000, 5_000_000, 50_000_000, 1 << 40] {
            queue.push(Time::from_ns(distance), distance);
        }
        assert!(queue.pop_until(Time::from_ns(1_000)).is_some());
        queue.clear();
        assert_eq!(queue.next_time(), None);
        assert_eq!(queue.pop_until(Time::MAX), None);
    }
}
