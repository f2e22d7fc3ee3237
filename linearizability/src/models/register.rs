//! One register: read and write, or read, write and compare-and-swap.

use crate::hash::Map;
use crate::{Model, Operation, RegisterStep, RegisterView};
use std::fmt::Debug;
use std::hash::Hash;

/// A register that is read and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register<V> {
    /// The value before any write.
    pub initial: V,
}

/// A question to a [`Register`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RegisterInput<V> {
    /// What is the value?
    Read,
    /// Let this be the value.
    Write(V),
}

/// An answer of a [`Register`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RegisterOutput<V> {
    /// The value, to a read.
    Value(V),
    /// Done, to a write.
    Written,
}

/// A register that is read, written, and swapped if it holds what the caller expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CasRegister<V> {
    /// The value before any write.
    pub initial: V,
}

/// A question to a [`CasRegister`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CasRegisterInput<V> {
    /// What is the value?
    Read,
    /// Let this be the value.
    Write(V),
    /// If the value is `expected`, let it be `new`.
    Cas {
        /// What the caller thinks the value is.
        expected: V,
        /// What it wants it to be.
        new: V,
    },
}

/// An answer of a [`CasRegister`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CasRegisterOutput<V> {
    /// The value, to a read.
    Value(V),
    /// Done, to a write.
    Written,
    /// The value was the expected one, and is now the new one.
    Swapped,
    /// The value was another than the expected one.
    NotSwapped,
    /// As [`CasRegisterOutput::NotSwapped`], and it was this.
    Was(V),
}

/// What an operation demands and does, in values.
enum Step<'a, V> {
    Nothing,
    Never,
    Read(&'a V),
    ReadNot(&'a V),
    Write(&'a V),
    Swap(&'a V, &'a V),
}

impl<V: Clone + Eq> Step<'_, V> {
    fn apply(&self, state: &V, next: &mut Vec<V>) {
        match *self {
            Self::Nothing => next.push(state.clone()),
            Self::Read(value) if value == state => next.push(state.clone()),
            Self::ReadNot(value) if value != state => next.push(state.clone()),
            Self::Write(value) => next.push(value.clone()),
            Self::Swap(from, to) if from == state => next.push(to.clone()),
            Self::Never | Self::Read(_) | Self::ReadNot(_) | Self::Swap(..) => {}
        }
    }

    fn is_read(&self) -> bool {
        match self {
            Self::Nothing | Self::Never | Self::Read(_) | Self::ReadNot(_) => true,
            Self::Swap(from, to) => from == to,
            Self::Write(_) => false,
        }
    }
}

/// Numbers the values of a register in the order in which they are met.
fn number_steps<'a, V: Eq + Hash>(
    initial: &'a V,
    steps: impl Iterator<Item = Step<'a, V>>,
) -> RegisterView {
    let mut numbers: Map<&V, u32> = Map::default();
    let mut fresh = 0;
    let mut number = |value: Option<&'a V>| {
        let next = fresh;
        let number = value.map_or(next, |value| *numbers.entry(value).or_insert(next));
        fresh += u32::from(number == next);
        number
    };
    let initial = number(Some(initial));
    let steps = steps
        .map(|step| match step {
            Step::Nothing => RegisterStep::Nothing,
            // A value that nobody else knows.
            Step::Never => RegisterStep::Read(number(None)),
            Step::Read(value) => RegisterStep::Read(number(Some(value))),
            Step::ReadNot(value) => RegisterStep::ReadNot(number(Some(value))),
            Step::Write(value) => RegisterStep::Write(number(Some(value))),
            Step::Swap(from, to) => {
                RegisterStep::Swap { from: number(Some(from)), to: number(Some(to)) }
            }
        })
        .collect();
    RegisterView { initial, values: fresh, steps }
}

impl<V> Register<V> {
    fn see<'a>(input: &'a RegisterInput<V>, output: Option<&'a RegisterOutput<V>>) -> Step<'a, V> {
        match (input, output) {
            (RegisterInput::Read, Some(RegisterOutput::Value(value))) => Step::Read(value),
            (RegisterInput::Read, None) => Step::Nothing,
            (RegisterInput::Write(value), Some(RegisterOutput::Written) | None) => {
                Step::Write(value)
            }
            (RegisterInput::Read, Some(RegisterOutput::Written))
            | (RegisterInput::Write(_), Some(RegisterOutput::Value(_))) => Step::Never,
        }
    }
}

impl<V: Clone + Eq + Hash + Debug> Model for Register<V> {
    type State = V;
    type Input = RegisterInput<V>;
    type Output = RegisterOutput<V>;
    type Key = ();

    fn key(&self, _: &Self::Input) {}

    fn initial(&self, (): &()) -> V {
        self.initial.clone()
    }

    fn step(
        &self,
        state: &V,
        input: &Self::Input,
        output: Option<&Self::Output>,
        next: &mut Vec<V>,
    ) {
        Self::see(input, output).apply(state, next);
    }

    fn is_read(&self, input: &Self::Input, output: Option<&Self::Output>) -> bool {
        Self::see(input, output).is_read()
    }

    fn as_register(
        &self,
        (): &(),
        operations: &[&Operation<Self::Input, Self::Output>],
    ) -> Option<RegisterView> {
        Some(number_steps(
            &self.initial,
            operations.iter().map(|operation| Self::see(&operation.input, operation.output())),
        ))
    }

    fn describe(&self, input: &Self::Input, output: Option<&Self::Output>) -> String {
        match (input, output) {
            (RegisterInput::Read, Some(RegisterOutput::Value(value))) => format!("read {value:?}"),
            (RegisterInput::Read, Some(RegisterOutput::Written) | None) => "read".to_owned(),
            (RegisterInput::Write(value), _) => format!("write {value:?}"),
        }
    }
}

impl<V: Eq> CasRegister<V> {
    fn see<'a>(
        input: &'a CasRegisterInput<V>,
        output: Option<&'a CasRegisterOutput<V>>,
    ) -> Step<'a, V> {
        use {CasRegisterInput as Input, CasRegisterOutput as Output};
        match (input, output) {
            (Input::Read, Some(Output::Value(value))) => Step::Read(value),
            (Input::Read, None) => Step::Nothing,
            (Input::Write(value), Some(Output::Written) | None) => Step::Write(value),
            // A swap that took no effect is as good as one that never happened.
            (Input::Cas { expected, new }, Some(Output::Swapped) | None) => {
                Step::Swap(expected, new)
            }
            (Input::Cas { expected, .. }, Some(Output::NotSwapped)) => Step::ReadNot(expected),
            (Input::Cas { expected, .. }, Some(Output::Was(value))) if value != expected => {
                Step::Read(value)
            }
            (Input::Read | Input::Write(_) | Input::Cas { .. }, Some(_)) => Step::Never,
        }
    }
}

impl<V: Clone + Eq + Hash + Debug> Model for CasRegister<V> {
    type State = V;
    type Input = CasRegisterInput<V>;
    type Output = CasRegisterOutput<V>;
    type Key = ();

    fn key(&self, _: &Self::Input) {}

    fn initial(&self, (): &()) -> V {
        self.initial.clone()
    }

    fn step(
        &self,
        state: &V,
        input: &Self::Input,
        output: Option<&Self::Output>,
        next: &mut Vec<V>,
    ) {
        Self::see(input, output).apply(state, next);
    }

    fn is_read(&self, input: &Self::Input, output: Option<&Self::Output>) -> bool {
        Self::see(input, output).is_read()
    }

    fn as_register(
        &self,
        (): &(),
        operations: &[&Operation<Self::Input, Self::Output>],
    ) -> Option<RegisterView> {
        Some(number_steps(
            &self.initial,
            operations.iter().map(|operation| Self::see(&operation.input, operation.output())),
        ))
    }

    fn describe(&self, input: &Self::Input, output: Option<&Self::Output>) -> String {
        use {CasRegisterInput as Input, CasRegisterOutput as Output};
        match (input, output) {
            (Input::Read, Some(Output::Value(value))) => format!("read {value:?}"),
            (Input::Read, _) => "read".to_owned(),
            (Input::Write(value), _) => format!("write {value:?}"),
            (Input::Cas { expected, new }, Some(Output::Swapped)) => {
                format!("cas {expected:?} to {new:?} -> swapped")
            }
            (Input::Cas { expected, new }, Some(Output::Was(value))) => {
                format!("cas {expected:?} to {new:?} -> failed, was {value:?}")
            }
            (Input::Cas { expected, new }, Some(Output::NotSwapped)) => {
                format!("cas {expected:?} to {new:?} -> failed")
            }
            (Input::Cas { expected, new }, _) => format!("cas {expected:?} to {new:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_that_claims_to_have_found_what_it_expected_never_fails() {
        let register = CasRegister { initial: 3 };
        let cas = CasRegisterInput::Cas { expected: 3, new: 4 };
        let mut next = Vec::new();
        register.step(&3, &cas, Some(&CasRegisterOutput::Was(3)), &mut next);
        register.step(&5, &cas, Some(&CasRegisterOutput::Was(3)), &mut next);
        assert!(next.is_empty());
        register.step(&5, &cas, Some(&CasRegisterOutput::Was(5)), &mut next);
        register.step(&3, &cas, Some(&CasRegisterOutput::Swapped), &mut next);
        register.step(&2, &cas, Some(&CasRegisterOutput::NotSwapped), &mut next);
        assert_eq!(next, [5, 4, 2]);
    }

    #[test]
    fn an_answer_of_the_wrong_kind_is_impossible() {
        let register = Register { initial: 0 };
        let mut next = Vec::new();
        register.step(&0, &RegisterInput::Read, Some(&RegisterOutput::Written), &mut next);
        assert!(next.is_empty());
    }
}
