//! Why a part has no order: where it breaks, the least that contradicts itself, and words for it.

mod liberties;
mod words;

use crate::check::{Detail, Engine, Options, Part};
use crate::engine::problem::Problem;
use crate::engine::zones::{self, Zones};
use crate::engine::{Meter, Outcome};
use crate::hash::hash_of;
use crate::{Budget, Evidence, Model, Operation};

/// The most steps that an explanation may take: the verdict stands, and its reader waits.
const STEPS_MAX: u64 = 10_000_000;

/// The most steps for one attempt to let go of many operations, and of the last ones.
///
/// What is pending makes a search longer, so an attempt may take much longer than the verdict did; there are cheaper
/// ones.
const STEPS_MAX_FIRST: u64 = 10_000;
const STEPS_MAX_LAST: u64 = 1_000_000;

/// Explains a part that has no order. `contradiction` is what the engine that found out knows of it.
///
/// The explanation has a budget of its own, never more than the verdict's.
pub(crate) fn explain<M: Model>(
    part: &Part<'_, M>,
    partition: usize,
    contradiction: &Outcome,
    options: &Options<'_>,
) -> Evidence {
    let mut story = Story::new(part, &options.budget);
    let (core, hint) = match contradiction {
        Outcome::Impossible { core, level } => (core.clone(), *level),
        Outcome::Order(_) | Outcome::Exhausted { .. } => {
            unreachable!("only contradictions are explained")
        }
    };
    let hint = match &core {
        Some(core) => story.last_return(core),
        None => hint.map_or(story.returns.len(), |level| level + 1),
    };
    let (length, longest) = story.find_break(hint);
    let unplaced = story.returns[length - 1];
    let start = core.map(|core| core.into_iter().map(|operation| operation as usize).collect());
    let (operations, minimal) = match options.detail {
        Detail::Minimal => story.minimise(start, length),
        Detail::Break => {
            let mut named = start.unwrap_or_else(|| story.returns[..length].to_vec());
            named.sort_unstable();
            (named, false)
        }
    };
    let reason = story.words(&operations, unplaced, &longest);
    let index = |operation: usize| part.indices[operation] as usize;
    Evidence {
        operations: operations.into_iter().map(index).collect(),
        minimal,
        unplaced: index(unplaced),
        longest: longest.into_iter().map(|operation| index(operation as usize)).collect(),
        reason,
        partition,
    }
}

struct Story<'a, 'b, M: Model> {
    part: &'a Part<'a, M>,
    budget: Budget<'b>,
    /// The steps that are left for all attempts, and the most for one.
    steps_left: u64,
    steps_max: u64,
    /// The operations that have an answer, in the order of their returns.
    returns: Vec<usize>,
    /// The place of each operation in `returns`.
    ranks: Vec<usize>,
}

/// Some operations of a part, most of them let go.
struct Relaxed<I, O> {
    operations: Vec<Operation<I, O>>,
    /// Where each stands in the part.
    places: Vec<usize>,
}

/// Which operations an attempt is made with, besides those that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Universe {
    /// Those that seem to matter.
    Relevant,
    /// All.
    Whole,
}

/// What a relaxed part comes to.
enum Tried {
    /// It still contradicts itself.
    Contradiction,
    /// It does not; here is an order.
    Order(Vec<u32>),
    /// There was no budget to find out.
    Unknown,
}

impl<'a, 'b, M: Model> Story<'a, 'b, M> {
    fn new(part: &'a Part<'a, M>, budget: &Budget<'b>) -> Self {
        let operations = &part.operations;
        let steps_left = budget.steps.min(STEPS_MAX);
        let mut returns: Vec<usize> =
            (0..operations.len()).filter(|&index| !operations[index].is_pending()).collect();
        returns.sort_by_key(|&index| operations[index].returned());
        let mut ranks = vec![usize::MAX; operations.len()];
        for (rank, &operation) in returns.iter().enumerate() {
            ranks[operation] = rank;
        }
        Self { part, budget: *budget, steps_left, steps_max: u64::MAX, returns, ranks }
    }

    /// How many returns it takes until the last of `core` has returned.
    fn last_return(&self, core: &[u32]) -> usize {
        let ranks = core.iter().map(|&operation| self.ranks[operation as usize]);
        ranks.filter(|&rank| rank != usize::MAX).max().map_or(self.returns.len(), |rank| rank + 1)
    }

    /// The operations of `universe` with all but those that `keeps` approves let go.
    fn relax(
        &self,
        universe: impl Iterator<Item = usize>,
        keeps: impl Fn(usize) -> bool,
    ) -> Relaxed<M::Input, M::Output> {
        let mut relaxed = Relaxed { operations: Vec::new(), places: Vec::new() };
        for place in universe {
            let operation = self.part.operations[place];
            relaxed.operations.push(Operation {
                id: operation.id,
                process: operation.process,
                call: operation.call,
                input: operation.input.clone(),
                completion: if keeps(place) { operation.completion.clone() } else { None },
            });
            relaxed.places.push(place);
        }
        relaxed
    }

    fn view<'r>(&self, relaxed: &'r Relaxed<M::Input, M::Output>) -> Part<'r, M>
    where
        'a: 'r,
    {
        Part {
            model: self.part.model,
            key: self.part.key.clone(),
            operations: relaxed.operations.iter().collect(),
            indices: Vec::new(),
        }
    }

    fn attempt(&mut self, relaxed: &Relaxed<M::Input, M::Output>) -> Tried {
        let steps = self.steps_left.min(self.steps_max);
        let mut meter = Meter::new(&Budget { steps, ..self.budget });
        let outcome = self.view(relaxed).decide(Engine::Auto, &mut meter);
        self.steps_left = self.steps_left.saturating_sub(meter.steps);
        match outcome {
            Outcome::Impossible { .. } => Tried::Contradiction,
            Outcome::Exhausted { .. } => Tried::Unknown,
            Outcome::Order(order) => {
                let place = |operation: u32| relaxed.places[operation as usize];
                let position = |operation| u32::try_from(place(operation)).expect("31 bits");
                Tried::Order(order.into_iter().map(position).collect())
            }
        }
    }

    /// What the first `length` returns and the calls before them come to.
    fn prefix(&mut self, length: usize) -> Tried {
        let Some(last) = length.checked_sub(1) else {
            return Tried::Order(Vec::new());
        };
        let until = self.part.operations[self.returns[last]].returned();
        let count = self.part.operations.partition_point(|operation| operation.call <= until);
        let relaxed = self.relax(0..count, |place| self.ranks[place] < length);
        self.attempt(&relaxed)
    }

    /// How many returns it takes to make the part impossible, and an order for one less. Looks near `hint` first.
    fn find_break(&mut self, hint: usize) -> (usize, Vec<u32>) {
        let (mut good, mut bad) = (0, self.returns.len());
        let mut longest = Vec::new();
        let mut stride = 1;
        let mut next = hint.clamp(1, bad) - 1;
        while good + 1 < bad {
            let length = next.clamp(good + 1, bad - 1);
            match self.prefix(length) {
                Tried::Contradiction => {
                    bad = length;
                    next = length.saturating_sub(stride);
                }
                Tried::Order(order) => {
                    (good, longest) = (length, order);
                    next = length + stride;
                }
                Tried::Unknown => {
                    good = length;
                    next = length + stride;
                }
            }
            stride *= 2;
            // Once both ends are near each other, halving is quickest.
            if bad - good <= stride {
                next = usize::midpoint(good, bad);
            }
        }
        (bad, longest)
    }

    /// Lets go of all that is not needed for the contradiction: of what the engine named, or else of everything.
    fn minimise(&mut self, core: Option<Vec<usize>>, length: usize) -> (Vec<usize>, bool) {
        let until = self.part.operations[self.returns[length - 1]].returned();
        let count = self.part.operations.partition_point(|operation| operation.call <= until);
        let core = core.unwrap_or_else(|| vec![self.returns[length - 1]]);
        if let Some((core, universe)) = self.grow(core) {
            return self.shrink(&core, &universe);
        }
        let mut all: Vec<usize> = self.returns[..length].to_vec();
        all.sort_unstable();
        let universe: Vec<usize> = (0..count).collect();
        self.shrink(&all, &universe)
    }

    /// Adds operations to `core` until it contradicts itself, mostly long before all are in.
    ///
    /// As long as there is an order, it takes liberties with what was let go; what it takes them with is added.
    fn grow(&mut self, mut core: Vec<usize>) -> Option<(Vec<usize>, Vec<usize>)> {
        self.steps_max = STEPS_MAX_LAST;
        for round in 0.. {
            core.sort_unstable();
            core.dedup();
            let keeps = |place: usize| core.binary_search(&place).is_ok();
            let operations = &self.part.operations;
            // What is let go and called after all that is kept cannot matter.
            let until = core.iter().map(|&place| operations[place].returned()).max()?;
            let count = operations.partition_point(|operation| operation.call <= until);
            let relaxed = self.relax(0..count, keeps);
            match self.attempt(&relaxed) {
                Tried::Contradiction => return Some((core, relaxed.places)),
                Tried::Unknown => return None,
                Tried::Order(order) => {
                    let mut liberties = liberties::of(self.part, &order, count, keeps);
                    liberties.retain(|&place| !keeps(place) && self.ranks[place] != usize::MAX);
                    // One at a time at first: each may make others unnecessary.
                    liberties.truncate(1 + round / 16);
                    if liberties.is_empty() {
                        return None;
                    }
                    core.append(&mut liberties);
                }
            }
        }
        None
    }

    /// The operations of a relaxed part without which it is the same question: all, unless a register's zones know better.
    fn relevant(&self, relaxed: &Relaxed<M::Input, M::Output>) -> Vec<usize> {
        let part = self.view(relaxed);
        // A failed swap that is let go becomes one that may work, and then what it expects matters as well.
        let changes_sides = |operation: &Operation<M::Input, M::Output>| {
            let is_read = |output| self.part.model.is_read(&operation.input, output);
            !operation.is_pending() && is_read(operation.output()) && !is_read(None)
        };
        if relaxed.operations.iter().any(changes_sides) {
            return relaxed.places.clone();
        }
        let view = self.part.model.as_register(&part.key, &part.operations);
        let needed = view.and_then(|view| zones::needed(&Problem::new(&part.operations), &view));
        match needed {
            Some(needed) => relaxed
                .places
                .iter()
                .zip(needed)
                .filter(|pair| pair.1)
                .map(|pair| *pair.0)
                .collect(),
            None => relaxed.places.clone(),
        }
    }

    /// Lets go of more and more of `kept` as long as the contradiction stays.
    ///
    /// Operations that seem not to matter are left out on the way. Letting go of an answer may make them matter after all
    /// (with two gets that contradict each other, an append may have followed either value), and then what is left does
    /// not suffice: that is looked at, and it is all done again with all operations.
    fn shrink(&mut self, kept: &[usize], universe: &[usize]) -> (Vec<usize>, bool) {
        let (least, minimal) = self.shrink_among(kept, universe, Universe::Relevant);
        let keeps = |place: usize| least.binary_search(&place).is_ok();
        let relaxed = self.relax(universe.iter().copied(), keeps);
        self.steps_max = STEPS_MAX_LAST;
        match self.attempt(&relaxed) {
            Tried::Contradiction => (least, minimal),
            Tried::Order(_) | Tried::Unknown => self.shrink_among(kept, universe, Universe::Whole),
        }
    }

    /// Reads first: a read that is let go is gone, while a write that is let go may still happen, which is what makes the
    /// attempts long; and with fewer reads it matters less. One pass is enough, since what is needed among more is needed
    /// among fewer.
    fn shrink_among(
        &mut self,
        kept: &[usize],
        operations: &[usize],
        universe: Universe,
    ) -> (Vec<usize>, bool) {
        let is_read = |place: &usize| {
            let operation = self.part.operations[*place];
            self.part.model.is_read(&operation.input, operation.output())
        };
        let (reads, mut writes): (Vec<usize>, Vec<usize>) = kept.iter().copied().partition(is_read);
        let (reads, reads_minimal) = self.shrink_group(reads, &writes, (operations, universe));
        // Equal questions are needed together or not at all, mostly.
        writes.sort_by_cached_key(|&place| (hash_of(&self.part.operations[place].input), place));
        let (writes, writes_minimal) = self.shrink_group(writes, &reads, (operations, universe));
        let mut kept = [reads, writes].concat();
        kept.sort_unstable();
        (kept, reads_minimal && writes_minimal)
    }

    /// Lets go of more and more of `kept`, in ever smaller pieces; `fixed` stay.
    fn shrink_group(
        &mut self,
        mut kept: Vec<usize>,
        fixed: &[usize],
        (operations, universe): (&[usize], Universe),
    ) -> (Vec<usize>, bool) {
        let mut size = kept.len().div_ceil(2).max(1);
        let mut operations = operations.to_vec();
        loop {
            if universe == Universe::Relevant {
                let mut all = [&kept[..], fixed].concat();
                all.sort_unstable();
                let keeps = |place: usize| all.binary_search(&place).is_ok();
                operations = self.relevant(&self.relax(operations.into_iter(), keeps));
            }
            let mut minimal = true;
            self.steps_max = if size == 1 { STEPS_MAX_LAST } else { STEPS_MAX_FIRST };
            let mut start = 0;
            while start < kept.len() {
                let end = kept.len().min(start + size);
                let fewer = [&kept[..start], &kept[end..]].concat();
                let mut all = [&fewer[..], fixed].concat();
                all.sort_unstable();
                let keeps = |place: usize| all.binary_search(&place).is_ok();
                let relaxed = self.relax(operations.iter().copied(), keeps);
                match self.attempt(&relaxed) {
                    Tried::Contradiction => kept = fewer,
                    Tried::Order(_) => start = end,
                    Tried::Unknown => {
                        minimal = false;
                        start = end;
                    }
                }
            }
            if size == 1 {
                return (kept, minimal);
            }
            size = size.div_ceil(2);
        }
    }

    /// The contradiction in words.
    fn words(&self, kept: &[usize], unplaced: usize, longest: &[u32]) -> String {
        let keeps = |place: usize| kept.binary_search(&place).is_ok();
        let relaxed = self.relax(0..self.part.operations.len(), keeps);
        let part = self.view(&relaxed);
        if let Some(view) = self.part.model.as_register(&part.key, &part.operations)
            && let Zones::Impossible(conflict) =
                zones::decide(&Problem::new(&part.operations), &view)
        {
            return words::of_conflict(self.part, &conflict);
        }
        words::of_search(self.part, kept, unplaced, longest)
    }
}
