//! Whether a given order explains a history: linear time, no search.

use crate::{History, Model, Witness};
use std::collections::BTreeMap;

/// Why an order does not explain a history. Operations are indices in the history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such operation.
    #[error("there is no operation {0}")]
    Stranger(usize),
    /// It occurs twice in the order.
    #[error("operation {0} occurs twice")]
    Twice(usize),
    /// It was answered, and does not occur in the order.
    #[error("operation {0} was answered, but is not part of the order")]
    Missing(usize),
    /// It returned before another was called that the order puts first.
    #[error(
        "operation {operation} returned before {before} was called, but follows it in the order"
    )]
    RealTime {
        /// The operation that comes too late in the order.
        operation: usize,
        /// The one that comes too early.
        before: usize,
    },
    /// Its answer is not the one it would have got.
    #[error("operation {0} cannot have been answered like this at its place in the order")]
    Answer(usize),
}

/// Replays `order` (indices in the history; pending operations may be left out) and checks real time, in one pass.
///
/// # Errors
/// The first thing that is wrong. That alone proves nothing about the history: another order may do.
pub fn verify<M: Model>(
    model: &M,
    history: &History<M::Input, M::Output>,
    order: impl IntoIterator<Item = usize>,
) -> Result<Witness, Refusal> {
    let operations = history.operations();
    let mut seen = vec![false; operations.len()];
    let mut states: BTreeMap<M::Key, Vec<M::State>> = BTreeMap::new();
    let mut next = Vec::new();
    let mut latest: Option<(i64, usize)> = None;
    let mut verified = Vec::with_capacity(operations.len());
    for index in order {
        let operation = operations.get(index).ok_or(Refusal::Stranger(index))?;
        if std::mem::replace(&mut seen[index], true) {
            return Err(Refusal::Twice(index));
        }
        if let Some((call, before)) = latest
            && operation.returned() < call
        {
            return Err(Refusal::RealTime { operation: index, before });
        }
        if latest.is_none_or(|(call, _)| call < operation.call) {
            latest = Some((operation.call, index));
        }
        let key = model.key(&operation.input);
        let now = states.entry(key).or_insert_with_key(|key| vec![model.initial(key)]);
        next.clear();
        for state in &*now {
            model.step(state, &operation.input, operation.output(), &mut next);
        }
        if next.is_empty() {
            return Err(Refusal::Answer(index));
        }
        deduplicate(&mut next);
        std::mem::swap(now, &mut next);
        verified.push(u32::try_from(index).expect("a history is indexed in 31 bits"));
    }
    match (0..operations.len()).find(|&index| !seen[index] && !operations[index].is_pending()) {
        Some(missing) => Err(Refusal::Missing(missing)),
        None => Ok(Witness { order: verified }),
    }
}

/// Keeps the first of equal states; there is mostly one, and seldom more than a few.
pub(crate) fn deduplicate<S: Eq>(states: &mut Vec<S>) {
    let mut kept = 0;
    for index in 0..states.len() {
        if !states[..kept].contains(&states[index]) {
            states.swap(kept, index);
            kept += 1;
        }
    }
    states.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recorder, Register, RegisterInput as Input, RegisterOutput as Output};

    #[test]
    fn every_fault_of_an_order_has_its_name() {
        let mut recorder = Recorder::new();
        recorder.invoke(0, 0, Input::Write(1)).unwrap();
        recorder.complete(0, 1, Output::Written).unwrap();
        recorder.invoke(0, 2, Input::Write(2)).unwrap();
        recorder.invoke(1, 2, Input::Read).unwrap();
        recorder.complete(1, 3, Output::Value(1)).unwrap();
        let (model, history) = (Register { initial: 0 }, recorder.finish());
        let verify = |order: &[usize]| verify(&model, &history, order.iter().copied());

        assert_eq!(verify(&[0, 2]).unwrap().order().collect::<Vec<_>>(), [0, 2]);
        assert!(verify(&[0, 2, 1]).is_ok());
        assert_eq!(verify(&[0, 1, 2]), Err(Refusal::Answer(2)));
        assert_eq!(verify(&[1, 0, 2]), Err(Refusal::RealTime { operation: 0, before: 1 }));
        assert_eq!(verify(&[0]), Err(Refusal::Missing(2)));
        assert_eq!(verify(&[0, 0]), Err(Refusal::Twice(0)));
        assert_eq!(verify(&[3]), Err(Refusal::Stranger(3)));
    }
}
