//! All orders, one after another: no memo, no cut, nothing of the crate but the model.

use linearizability::{History, Model, Operation};

/// Whether any order explains the history.
pub(crate) fn is_linearizable<M: Model>(model: &M, history: &History<M::Input, M::Output>) -> bool {
    let mut keys: Vec<M::Key> =
        history.operations().iter().map(|operation| model.key(&operation.input)).collect();
    keys.sort();
    keys.dedup();
    keys.iter().all(|key| {
        let mut left: Vec<&Operation<M::Input, M::Output>> = history
            .operations()
            .iter()
            .filter(|operation| model.key(&operation.input) == *key)
            .collect();
        any_order(model, &model.initial(key), &mut left)
    })
}

fn any_order<M: Model>(
    model: &M,
    state: &M::State,
    left: &mut Vec<&Operation<M::Input, M::Output>>,
) -> bool {
    if left.iter().all(|operation| operation.is_pending()) {
        return true;
    }
    for index in 0..left.len() {
        let operation = left[index];
        if left.iter().any(|other| other.precedes(operation)) {
            continue;
        }
        let mut next = Vec::new();
        model.step(state, &operation.input, operation.output(), &mut next);
        left.remove(index);
        let found = next.iter().any(|after| any_order(model, after, left));
        left.insert(index, operation);
        if found {
            return true;
        }
    }
    false
}
