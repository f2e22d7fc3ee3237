//! An order out of sorted blocks.

use super::{Block, Clusters};
use crate::engine::problem::Problem;
use crate::{RegisterStep, RegisterView};

/// Lines up the blocks, fits failed swaps in between, and replays the result; `None` if it does not hold.
pub(super) fn arrange(
    problem: &Problem,
    view: &RegisterView,
    clusters: &Clusters,
    blocks: &[Block],
) -> Option<Vec<u32>> {
    let mut order = Vec::with_capacity(problem.len());
    for block in blocks {
        let mut cluster = block.first;
        loop {
            order.extend(clusters.clusters[cluster as usize].writer);
            order.extend_from_slice(clusters.readers(cluster));
            let Some(next) = clusters.next(cluster) else {
                break;
            };
            cluster = next;
        }
    }
    if order.len() < problem.required {
        order = fit_evasive(problem, view, &order);
    }
    holds(problem, view, &order).then_some(order)
}

/// Puts each operation that only says what it did not see into the first gap that its interval and its answer permit.
fn fit_evasive(problem: &Problem, view: &RegisterView, order: &[u32]) -> Vec<u32> {
    let gaps = Gaps::new(problem, view, order);
    let mut placed: Vec<(usize, u32)> = Vec::new();
    let mut gap_of = std::collections::BTreeMap::new();
    // What returned before must not stand behind.
    let mut floor = 0;
    for event in &problem.events {
        let index = event.operation();
        let RegisterStep::ReadNot(value) = view.steps[index] else {
            continue;
        };
        if event.is_return() {
            floor = floor.max(gap_of.remove(&index).unwrap_or(0));
        } else if !problem.pending[index] {
            let gap = gaps.first(problem.call[index], value, floor);
            gap_of.insert(index, gap);
            placed.push((gap, u32::try_from(index).expect("a history is indexed in 31 bits")));
        }
    }
    placed.sort_by_key(|&(gap, _)| gap);
    let mut placed = placed.into_iter().peekable();
    let mut fitted = Vec::with_capacity(problem.len());
    for (gap, operation) in order.iter().enumerate() {
        while let Some((_, evasive)) = placed.next_if(|&(at, _)| at == gap) {
            fitted.push(evasive);
        }
        fitted.push(*operation);
    }
    fitted.extend(placed.map(|(_, evasive)| evasive));
    fitted
}

/// The places between the operations of an order; gap `g` is before operation `g`.
struct Gaps {
    /// The least return of all operations from this gap on.
    returned_min: Vec<i64>,
    /// The value in each gap.
    values: Vec<u32>,
    /// The next gap with another value.
    changes: Vec<usize>,
}

impl Gaps {
    fn new(problem: &Problem, view: &RegisterView, order: &[u32]) -> Self {
        let count = order.len() + 1;
        let mut values = Vec::with_capacity(count);
        values.push(view.initial);
        let mut value = view.initial;
        for &operation in order {
            value = super::writes(view.steps[operation as usize]).unwrap_or(value);
            values.push(value);
        }
        let mut returned_min = vec![i64::MAX; count];
        let mut changes = vec![count; count];
        for gap in (0..order.len()).rev() {
            returned_min[gap] = returned_min[gap + 1].min(problem.returned[order[gap] as usize]);
            let same = values[gap] == values[gap + 1];
            changes[gap] = if same { changes[gap + 1] } else { gap + 1 };
        }
        Self { returned_min, values, changes }
    }

    /// The first gap for an operation called at `call` that did not see `value`; the last gap when there is none.
    fn first(&self, call: i64, value: u32, floor: usize) -> usize {
        let gap = self.returned_min.partition_point(|&returned| returned < call).max(floor);
        let gap = if self.values[gap] == value { self.changes[gap] } else { gap };
        gap.min(self.values.len() - 1)
    }
}

/// Whether the order keeps real time and explains every answer.
fn holds(problem: &Problem, view: &RegisterView, order: &[u32]) -> bool {
    let mut value = view.initial;
    let mut latest = i64::MIN;
    let mut required = problem.required;
    for &operation in order {
        let index = operation as usize;
        if problem.returned[index] < latest {
            return false;
        }
        latest = latest.max(problem.call[index]);
        required -= usize::from(!problem.pending[index]);
        let fits = match view.steps[index] {
            RegisterStep::Nothing | RegisterStep::Write(_) => true,
            RegisterStep::Read(seen) | RegisterStep::Swap { from: seen, .. } => seen == value,
            RegisterStep::ReadNot(not_seen) => not_seen != value,
        };
        if !fits {
            return false;
        }
        value = super::writes(view.steps[index]).unwrap_or(value);
    }
    required == 0
}
