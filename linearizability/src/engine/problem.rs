//! One part of a history, laid out for a search.

use crate::Operation;

/// The operations of one part, by time of call, and their calls and returns in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problem {
    /// When each operation was called.
    pub(crate) call: Vec<i64>,
    /// When each returned; `i64::MAX` for a pending one.
    pub(crate) returned: Vec<i64>,
    /// Which operations have no answer.
    pub(crate) pending: Vec<bool>,
    /// Calls and returns in order. At one moment calls come first: intervals are closed.
    pub(crate) events: Vec<Event>,
    /// The operations that have an answer.
    pub(crate) required: usize,
}

/// A call or a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event(u32);

impl Event {
    fn call(operation: u32) -> Self {
        Self(operation << 1)
    }

    fn returned(operation: u32) -> Self {
        Self(operation << 1 | 1)
    }

    /// The operation's position in the problem.
    pub(crate) fn operation(self) -> usize {
        (self.0 >> 1) as usize
    }

    /// Whether this is a return.
    pub(crate) fn is_return(self) -> bool {
        self.0 & 1 == 1
    }
}

impl Problem {
    /// Lays out `operations`, which are sorted by time of call.
    pub(crate) fn new<I, O>(operations: &[&Operation<I, O>]) -> Self {
        let mut problem = Self::default();
        for operation in operations {
            problem.call.push(operation.call);
            problem.returned.push(operation.returned());
            problem.pending.push(operation.is_pending());
            problem.required += usize::from(!operation.is_pending());
        }
        assert!(problem.call.is_sorted());
        problem.arrange();
        problem
    }

    fn arrange(&mut self) {
        let mut returns: Vec<(i64, u32)> = (0_u32..)
            .zip(&self.returned)
            .filter(|&(operation, _)| !self.pending[operation as usize])
            .map(|(operation, &at)| (at, operation))
            .collect();
        returns.sort_unstable();
        self.events.reserve_exact(self.call.len() + returns.len());
        let mut returns = returns.into_iter().peekable();
        for (operation, &call) in (0_u32..).zip(&self.call) {
            while let Some((_, earlier)) = returns.next_if(|&(at, _)| at < call) {
                self.events.push(Event::returned(earlier));
            }
            self.events.push(Event::call(operation));
        }
        self.events.extend(returns.map(|(_, operation)| Event::returned(operation)));
    }

    /// The number of operations.
    pub(crate) fn len(&self) -> usize {
        self.call.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Completion;

    #[test]
    fn calls_come_before_the_returns_of_the_same_moment() {
        let operation = |process, call, at: Option<i64>| Operation {
            id: process,
            process,
            call,
            input: (),
            completion: at.map(|at| Completion { at, output: () }),
        };
        let operations =
            [operation(0, 0, Some(5)), operation(1, 1, None), operation(2, 5, Some(5))];
        let problem = Problem::new(&operations.iter().collect::<Vec<_>>());
        let events: Vec<(usize, bool)> =
            problem.events.iter().map(|event| (event.operation(), event.is_return())).collect();
        assert_eq!(events, [(0, false), (1, false), (2, false), (0, true), (2, true)]);
        assert_eq!(problem.required, 2);
    }
}
