//! Why a part has no order: where it breaks, the least that contradicts itself, and words for it.

use crate::check::{Engine, Options, Part};
use crate::engine::{Meter, Outcome};
use crate::{Evidence, Model, Operation};

/// Explains a part that has no order.
pub(crate) fn explain<M: Model>(
    part: &Part<'_, M>,
    partition: usize,
    options: &Options<'_>,
) -> Evidence {
    let story = Story { part, options };
    let (length, longest) = story.find_break();
    let unplaced = story.returns()[length - 1];
    let (mut operations, minimal) = story.minimise(story.returns()[..length].to_vec());
    operations.sort_unstable();
    let index = |operation: &usize| part.indices[*operation] as usize;
    let reason = story.words(unplaced);
    Evidence {
        operations: operations.iter().map(index).collect(),
        minimal,
        unplaced: index(&unplaced),
        longest: longest.iter().map(|operation| index(&(*operation as usize))).collect(),
        reason,
        partition,
    }
}

struct Story<'a, 'b, M: Model> {
    part: &'a Part<'a, M>,
    options: &'a Options<'b>,
}

impl<M: Model> Story<'_, '_, M> {
    /// The operations that have an answer, in the order of their returns.
    fn returns(&self) -> Vec<usize> {
        let operations = &self.part.operations;
        let mut returns: Vec<usize> =
            (0..operations.len()).filter(|&index| !operations[index].is_pending()).collect();
        returns.sort_by_key(|&index| operations[index].returned());
        returns
    }

    /// Decides the part with only `kept` holding on to their answers; operations called after `until` are left out.
    fn decide(&self, kept: &[usize], until: i64) -> Outcome {
        let operations: Vec<Operation<M::Input, M::Output>> = self
            .part
            .operations
            .iter()
            .enumerate()
            .take_while(|(_, operation)| operation.call <= until)
            .map(|(index, operation)| {
                let mut operation = (*operation).clone();
                if !kept.contains(&index) {
                    operation.completion = None;
                }
                operation
            })
            .collect();
        let relaxed = Part {
            model: self.part.model,
            key: self.part.key.clone(),
            operations: operations.iter().collect(),
            indices: self.part.indices[..operations.len()].to_vec(),
        };
        relaxed.decide(Engine::Auto, &mut Meter::new(&self.options.budget))
    }

    /// How many returns it takes to make the part impossible, and an order for one less.
    fn find_break(&self) -> (usize, Vec<u32>) {
        let returns = self.returns();
        let (mut good, mut bad) = (0, returns.len());
        let mut longest = Vec::new();
        while good + 1 < bad {
            let middle = usize::midpoint(good, bad);
            let until = self.part.operations[returns[middle - 1]].returned();
            match self.decide(&returns[..middle], until) {
                Outcome::Impossible(_) => bad = middle,
                Outcome::Order(order) => {
                    good = middle;
                    longest = order;
                }
                Outcome::Exhausted { .. } => good = middle,
            }
        }
        (bad, longest)
    }

    /// Lets go of all that is not needed for the contradiction.
    fn minimise(&self, mut kept: Vec<usize>) -> (Vec<usize>, bool) {
        let mut minimal = true;
        let mut size = kept.len().div_ceil(2);
        loop {
            let mut start = 0;
            while start < kept.len() {
                let end = kept.len().min(start + size);
                let fewer: Vec<usize> = kept[..start].iter().chain(&kept[end..]).copied().collect();
                match self.decide(&fewer, i64::MAX) {
                    Outcome::Impossible(_) => kept = fewer,
                    Outcome::Order(_) => start = end,
                    Outcome::Exhausted { .. } => {
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

    fn words(&self, unplaced: usize) -> String {
        let operation = self.part.operations[unplaced];
        let words = self.part.model.describe(&operation.input, operation.output());
        format!("{words} by process {} fits nowhere", operation.process)
    }
}
