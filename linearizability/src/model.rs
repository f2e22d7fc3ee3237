//! What a history is judged against: a sequential object.

use crate::Operation;
use std::fmt::Debug;
use std::hash::Hash;

/// A sequential specification: states, and what each operation may do to them.
///
/// The engines need no more than [`key`](Model::key), [`initial`](Model::initial) and [`step`](Model::step). The other
/// methods make a search shorter or a verdict more readable; whatever they answer, a wrong verdict cannot come from
/// leaving them out.
///
/// A counter, checked:
///
/// ```
/// use linearizability::{Model, Recorder, Verdict, check, Budget};
///
/// #[derive(Debug, Clone, PartialEq, Eq, Hash)]
/// enum Question { Add(u64), Read }
///
/// struct Counter;
///
/// impl Model for Counter {
///     type State = u64;
///     type Input = Question;
///     type Output = u64;
///     type Key = ();
///
///     fn key(&self, _: &Question) {}
///
///     fn initial(&self, (): &()) -> u64 {
///         0
///     }
///
///     fn step(&self, state: &u64, input: &Question, output: Option<&u64>, next: &mut Vec<u64>) {
///         let sum = match input {
///             Question::Add(more) => state + more,
///             Question::Read => *state,
///         };
///         if output.is_none_or(|output| *output == sum) {
///             next.push(sum);
///         }
///     }
/// }
///
/// let mut recorder = Recorder::new();
/// recorder.invoke(0, 0, Question::Add(5)).unwrap();
/// recorder.invoke(1, 1, Question::Read).unwrap();
/// recorder.complete(1, 2, 5).unwrap();
/// let history = recorder.finish();
/// assert!(matches!(check(&Counter, &history, &Budget::default()), Verdict::Linearizable(_)));
/// ```
pub trait Model {
    /// A state of the object, for one key.
    type State: Clone + Eq + Hash + Debug;
    /// A question.
    type Input: Clone + Eq + Hash + Debug;
    /// An answer.
    type Output: Clone + Eq + Hash + Debug;
    /// Names the part of the object that an operation touches; `()` when there are no parts.
    type Key: Clone + Ord + Debug;

    /// The part of the object that `input` touches. Operations of different keys must not be able to see each other:
    /// each key is judged alone.
    fn key(&self, input: &Self::Input) -> Self::Key;

    /// The state of the part `key` before any operation.
    fn initial(&self, key: &Self::Key) -> Self::State;

    /// Appends to `next` every state in which `input` may leave the object when it finds it in `state` and answers
    /// `output`; nothing, when that answer cannot be given there. Without an output (the operation is pending) any
    /// answer will do.
    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
        next: &mut Vec<Self::State>,
    );

    /// Whether the operation, in every state that permits it, leaves the state as it is. Such operations are placed as
    /// soon as they fit, and dropped when they are pending.
    fn is_read(&self, input: &Self::Input, output: Option<&Self::Output>) -> bool {
        let _ = (input, output);
        false
    }

    /// The part `key` seen as one register, if it can be: what each of its `operations` demands of the register's value
    /// and does to it. This opens the fast engines.
    ///
    /// The view must be exact: an order of the operations is legal for the register iff it is for the model.
    fn as_register(
        &self,
        key: &Self::Key,
        operations: &[&Operation<Self::Input, Self::Output>],
    ) -> Option<RegisterView> {
        let _ = (key, operations);
        None
    }

    /// The operation in words, such as `put k1 7` or `get k1 -> 7`.
    fn describe(&self, input: &Self::Input, output: Option<&Self::Output>) -> String {
        match output {
            Some(output) => format!("{input:?} -> {output:?}"),
            None => format!("{input:?}"),
        }
    }

    /// A state in words.
    fn describe_state(&self, state: &Self::State) -> String {
        format!("{state:?}")
    }
}

/// What one operation demands of a register and does to it; values are numbers that mean something to the view only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegisterStep {
    /// Demands nothing and does nothing: a read whose answer is unknown.
    Nothing,
    /// Sees this value.
    Read(u32),
    /// Sees any value but this one: a failed swap that does not say what it found.
    ReadNot(u32),
    /// Leaves this value, whatever it finds.
    Write(u32),
    /// Finds the first value and leaves the second. Pending: if it took effect at all.
    Swap {
        /// What it finds.
        from: u32,
        /// What it leaves.
        to: u32,
    },
}

/// One part of an object seen as a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterView {
    /// The value before any operation.
    pub initial: u32,
    /// All values are below this.
    pub values: u32,
    /// A step for each operation, in the order in which they were given.
    pub steps: Vec<RegisterStep>,
}
