//! What a service should do, as the checker wants to know it.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use linearizability::{Model, Operation, RegisterView};

use super::operations::Operations;

/// The only part of an object that has no parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Whole;

/// A function that does one operation after the other.
pub(super) struct Sequential<I, A, T, P, F> {
    key: P,
    step: F,
    types: PhantomData<fn(&mut T, &I) -> A>,
}

impl<I, A, T, P, F> Sequential<I, A, T, P, F> {
    pub(super) const fn new(key: P, step: F) -> Self {
        Self { key, step, types: PhantomData }
    }
}

impl<I, A, T, K, P, F> Model for Sequential<I, A, T, P, F>
where
    I: Clone + Eq + Hash + Debug,
    A: Clone + Eq + Hash + Debug,
    T: Default + Clone + Eq + Hash + Debug,
    K: Clone + Ord + Debug,
    P: Fn(&I) -> K,
    F: Fn(&mut T, &I) -> A,
{
    type State = T;
    type Input = I;
    type Output = A;
    type Key = K;

    fn key(&self, input: &I) -> K {
        (self.key)(input)
    }

    fn initial(&self, _: &K) -> T {
        T::default()
    }

    fn step(&self, state: &T, input: &I, output: Option<&A>, next: &mut Vec<T>) {
        let mut state = state.clone();
        let answer = (self.step)(&mut state, input);
        if output.is_none_or(|output| *output == answer) {
            next.push(state);
        }
    }
}

/// A model that many runs share, with the words that the operations have everywhere else.
pub(super) struct Shared<O, M> {
    pub(super) operations: Arc<O>,
    pub(super) model: Arc<M>,
}

impl<O, M> Model for Shared<O, M>
where
    O: Operations,
    M: Model<Input = O::Operation, Output = O::Answer>,
{
    type State = M::State;
    type Input = M::Input;
    type Output = M::Output;
    type Key = M::Key;

    fn key(&self, input: &M::Input) -> M::Key {
        self.model.key(input)
    }

    fn initial(&self, key: &M::Key) -> M::State {
        self.model.initial(key)
    }

    fn step(
        &self,
        state: &M::State,
        input: &M::Input,
        output: Option<&M::Output>,
        next: &mut Vec<M::State>,
    ) {
        self.model.step(state, input, output, next);
    }

    fn is_read(&self, input: &M::Input, output: Option<&M::Output>) -> bool {
        self.model.is_read(input, output)
    }

    fn as_register(
        &self,
        key: &M::Key,
        operations: &[&Operation<M::Input, M::Output>],
    ) -> Option<RegisterView> {
        self.model.as_register(key, operations)
    }

    fn describe(&self, input: &M::Input, output: Option<&M::Output>) -> String {
        let words = self.operations.words(input);
        match output {
            Some(output) => format!("{words} -> {}", self.operations.answer_in_words(output)),
            None => words,
        }
    }

    fn describe_state(&self, state: &M::State) -> String {
        self.model.describe_state(state)
    }
}
