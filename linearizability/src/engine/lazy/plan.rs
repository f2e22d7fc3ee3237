//! What does not change during a search: levels, slots, and who sees and writes each value.

use super::NONE;
use crate::RegisterStep;
use crate::engine::problem::Problem;
use crate::engine::space::Space;

/// What the search knows of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It changes nothing. The value is the one that a register must hold for it.
    Read(Option<u32>),
    /// It leaves this value in a register, whatever it finds.
    Write(u32),
    /// It finds the first value and leaves the second, another one.
    Swap(u32, u32),
    /// Only the space knows.
    Other,
}

/// An operation that takes part in the search; those are numbered by time of call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// Its position in the problem.
    pub(super) operation: u32,
    pub(super) class: u32,
    pub(super) kind: Kind,
    /// Its bit: among those of open operations, reused after its return, or among those of pending ones.
    pub(super) bit: u32,
    /// At which level it returns; `NONE` for a pending one.
    pub(super) level: u32,
}

/// A return that must be got past.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    /// Whose return it is.
    pub(super) item: u32,
    /// How many items are called before it.
    pub(super) called: u32,
}

/// The whole of it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
    pub(super) levels: Vec<Level>,
    /// Words for the bits of open operations, and of pending ones.
    pub(super) open_words: usize,
    pub(super) pending_words: usize,
    /// For each value of a register: one more than the last item that must see it, and that can write it.
    pub(super) last_observer: Vec<u32>,
    pub(super) last_writer: Vec<u32>,
    /// Pending writers of each value, by call.
    pub(super) pending_writers: Vec<Vec<u32>>,
    /// Whether a pending swap waits for this value.
    pub(super) pending_swap: Vec<bool>,
    /// Whether some answer only says what was not there, so that any write may help.
    pub(super) evasive: bool,
}

impl Plan {
    pub(super) fn new<S: Space>(problem: &Problem, space: &S) -> Self {
        let kinds: Vec<Kind> =
            (0..problem.len()).map(|operation| kind(space, space.class(operation))).collect();
        let mut plan = Self {
            items: Vec::with_capacity(problem.len()),
            levels: Vec::with_capacity(problem.required),
            open_words: 0,
            pending_words: 0,
            last_observer: Vec::new(),
            last_writer: Vec::new(),
            pending_writers: Vec::new(),
            pending_swap: Vec::new(),
            evasive: (0..problem.len()).any(|operation| {
                let step = space.register(space.class(operation));
                !problem.pending[operation] && matches!(step, Some(RegisterStep::ReadNot(_)))
            }),
        };
        let useful = plan.useful_values(problem, &kinds);
        let keep = |operation: usize| {
            !problem.pending[operation]
                || match kinds[operation] {
                    Kind::Read(_) => false,
                    Kind::Write(to) | Kind::Swap(_, to) => useful[to as usize],
                    Kind::Other => true,
                }
        };
        plan.lay_out(problem, &kinds, keep, space);
        plan.index_values(useful.len());
        plan
    }

    /// Values that may matter: seen by what returned, or by a pending swap to one that matters.
    fn useful_values(&self, problem: &Problem, kinds: &[Kind]) -> Vec<bool> {
        let count = kinds.iter().map(|kind| match *kind {
            Kind::Read(value) => value.map_or(0, |value| value + 1),
            Kind::Write(value) => value + 1,
            Kind::Swap(from, to) => from.max(to) + 1,
            Kind::Other => 0,
        });
        let count = count.max().unwrap_or(0) as usize;
        let mut useful = vec![self.evasive; count];
        for (kind, pending) in kinds.iter().zip(&problem.pending) {
            match *kind {
                Kind::Read(Some(value)) | Kind::Swap(value, _) if !pending => {
                    useful[value as usize] = true;
                }
                Kind::Read(_) | Kind::Swap(..) | Kind::Write(_) | Kind::Other => {}
            }
        }
        let mut swaps: Vec<(u32, u32)> = Vec::new();
        for (kind, pending) in kinds.iter().zip(&problem.pending) {
            if let (Kind::Swap(from, to), true) = (*kind, *pending) {
                swaps.push((to, from));
            }
        }
        swaps.sort_unstable();
        let mut waiting: Vec<u32> =
            (0_u32..).zip(&useful).filter(|pair| *pair.1).map(|pair| pair.0).collect();
        while let Some(value) = waiting.pop() {
            let start = swaps.partition_point(|swap| swap.0 < value);
            for &(_, from) in swaps[start..].iter().take_while(|swap| swap.0 == value) {
                if !std::mem::replace(&mut useful[from as usize], true) {
                    waiting.push(from);
                }
            }
        }
        useful
    }

    fn lay_out<S: Space>(
        &mut self,
        problem: &Problem,
        kinds: &[Kind],
        keep: impl Fn(usize) -> bool,
        space: &S,
    ) {
        let mut item_of = vec![NONE; problem.len()];
        let mut free: Vec<u32> = Vec::new();
        let (mut open_bits, mut pending_bits) = (0_u32, 0_u32);
        for event in &problem.events {
            let index = event.operation();
            let called = u32::try_from(self.items.len()).expect("a history is indexed in 31 bits");
            if event.is_return() {
                let item = item_of[index];
                let level =
                    u32::try_from(self.levels.len()).expect("a history is indexed in 31 bits");
                self.items[item as usize].level = level;
                free.push(self.items[item as usize].bit);
                self.levels.push(Level { item, called });
                continue;
            }
            if !keep(index) {
                continue;
            }
            let next = |bits: &mut u32| {
                *bits += 1;
                *bits - 1
            };
            let bit = match problem.pending[index] {
                true => next(&mut pending_bits),
                false => free.pop().unwrap_or_else(|| next(&mut open_bits)),
            };
            item_of[index] = called;
            let operation = u32::try_from(index).expect("a history is indexed in 31 bits");
            let (class, kind) = (space.class(index), kinds[index]);
            self.items.push(Item { operation, class, kind, bit, level: NONE });
        }
        self.open_words = open_bits.div_ceil(64) as usize;
        self.pending_words = pending_bits.div_ceil(64) as usize;
    }

    fn index_values(&mut self, count: usize) {
        self.last_observer = vec![0; count];
        self.last_writer = vec![0; count];
        self.pending_writers = vec![Vec::new(); count];
        self.pending_swap = vec![false; count];
        for (number, item) in (0_u32..).zip(&self.items) {
            let pending = item.level == NONE;
            let (seen, written) = match item.kind {
                Kind::Read(value) => (value, None),
                Kind::Write(value) => (None, Some(value)),
                Kind::Swap(from, to) => (Some(from), Some(to)),
                Kind::Other => (None, None),
            };
            if let Some(value) = seen {
                match pending {
                    true => self.pending_swap[value as usize] = true,
                    false => self.last_observer[value as usize] = number + 1,
                }
            }
            if let Some(value) = written {
                self.last_writer[value as usize] = number + 1;
                if pending {
                    self.pending_writers[value as usize].push(number);
                }
            }
        }
    }

    /// The memory held, in bytes, not counting what is linear in the history.
    pub(super) fn values(&self) -> usize {
        self.last_observer.len()
    }
}

fn kind<S: Space>(space: &S, class: u32) -> Kind {
    match space.register(class) {
        Some(RegisterStep::Nothing | RegisterStep::ReadNot(_)) => Kind::Read(None),
        Some(RegisterStep::Read(value)) => Kind::Read(Some(value)),
        Some(RegisterStep::Write(value)) => Kind::Write(value),
        Some(RegisterStep::Swap { from, to }) if from == to => Kind::Read(Some(from)),
        Some(RegisterStep::Swap { from, to }) => Kind::Swap(from, to),
        None if space.is_read(class) => Kind::Read(None),
        None => Kind::Other,
    }
}
