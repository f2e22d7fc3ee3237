//! What an order of a relaxed part does that the part itself forbids.

use crate::Model;
use crate::check::Part;

/// The operations with which `order` takes liberties, of the first `count` of the part.
///
/// Those that come after something that was called only once they had returned, those that would have been answered
/// otherwise, and those that are missing and would fit nowhere. First come those that stand right before one that `keeps`
/// approves, which lived on them; the last of these first.
pub(super) fn of<M: Model>(
    part: &Part<'_, M>,
    order: &[u32],
    count: usize,
    keeps: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let mut liberties = Vec::new();
    let mut missing = vec![true; count];
    let mut replay = Replay::new(part);
    for &place in order {
        let place = place as usize;
        missing[place] = false;
        if !replay.place(part, place) {
            liberties.push(place);
        }
    }
    let (mut fed, mut eater) = (vec![false; count], false);
    for &place in order.iter().rev() {
        let kept = keeps(place as usize);
        fed[place as usize] = eater && !kept;
        eater = kept;
    }
    liberties.reverse();
    liberties.sort_by_key(|&place| !fed[place]);
    let gaps = replay.finish(part, order);
    for (place, missing) in missing.into_iter().enumerate() {
        let operation = part.operations[place];
        if missing && !operation.is_pending() && !gaps.fit(part, place) {
            liberties.push(place);
        }
    }
    liberties
}

/// An order on its way through the model, with one of the states it may be in.
struct Replay<M: Model> {
    state: M::State,
    latest: i64,
    states: Vec<M::State>,
    /// The greatest call before each gap between two operations of the order.
    called_max: Vec<i64>,
    next: Vec<M::State>,
}

impl<M: Model> Replay<M> {
    fn new(part: &Part<'_, M>) -> Self {
        let state = part.model.initial(&part.key);
        Self {
            states: vec![state.clone()],
            state,
            latest: i64::MIN,
            called_max: vec![i64::MIN],
            next: Vec::new(),
        }
    }

    /// Places an operation; whether it keeps real time and could be answered as it was.
    fn place(&mut self, part: &Part<'_, M>, place: usize) -> bool {
        let operation = part.operations[place];
        let mut keeps = operation.returned() >= self.latest;
        self.latest = self.latest.max(operation.call);
        self.next.clear();
        part.model.step(&self.state, &operation.input, operation.output(), &mut self.next);
        if self.next.is_empty() {
            keeps = false;
            part.model.step(&self.state, &operation.input, None, &mut self.next);
        }
        if let Some(state) = self.next.pop() {
            self.state = state;
        }
        self.states.push(self.state.clone());
        self.called_max.push(self.latest);
        keeps
    }

    fn finish(self, part: &Part<'_, M>, order: &[u32]) -> Gaps<M> {
        let mut returned_min = vec![i64::MAX; order.len() + 1];
        for (gap, &place) in order.iter().enumerate().rev() {
            let returned = part.operations[place as usize].returned();
            returned_min[gap] = returned_min[gap + 1].min(returned);
        }
        Gaps { states: self.states, called_max: self.called_max, returned_min }
    }
}

/// The places between the operations of an order.
struct Gaps<M: Model> {
    states: Vec<M::State>,
    called_max: Vec<i64>,
    /// The least return of all that comes behind.
    returned_min: Vec<i64>,
}

impl<M: Model> Gaps<M> {
    /// Whether some gap permits the operation by its interval, and answers it as it was answered and stays as it is.
    fn fit(&self, part: &Part<'_, M>, place: usize) -> bool {
        let operation = part.operations[place];
        let start = self.returned_min.partition_point(|&returned| returned < operation.call);
        let end = self.called_max.partition_point(|&called| called <= operation.returned());
        let mut next = Vec::new();
        (start..end).any(|gap| {
            next.clear();
            part.model.step(&self.states[gap], &operation.input, operation.output(), &mut next);
            next.contains(&self.states[gap])
        })
    }
}
