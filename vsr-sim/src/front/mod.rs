//! The door for those who embed `vsr-core`: a sweep over a service of their own, inside their own `cargo test`.
//!
//! Needed are the service, somebody who knows what to ask it and how to read what it says, and what it should do, said simply:
//! one operation after the other, on one copy. All the rest is here: clusters under faults drawn from seeds, the oracles, the checker, and,
//! where a seed fails, the shortest story of it.
//!
//! ```
//! use vsr_core::state_machine::StateMachine;
//! use vsr_sim::{Draw, Operations};
//!
//! /// The service: a sum. An operation is a byte that is added to it; the answer is the sum so far.
//! #[derive(Debug, Default)]
//! struct Sum(u64);
//!
//! impl StateMachine for Sum {
//!     fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
//!         self.0 += u64::from(operation[0]);
//!         reply.extend_from_slice(&self.0.to_le_bytes());
//!     }
//!     fn snapshot(&self, snapshot: &mut Vec<u8>) {
//!         snapshot.extend_from_slice(&self.0.to_le_bytes());
//!     }
//!     fn restore(&mut self, snapshot: &[u8]) {
//!         self.0 = u64::from_le_bytes(snapshot.try_into().unwrap());
//!     }
//! }
//!
//! /// What clients ask it.
//! struct Additions;
//!
//! impl Operations for Additions {
//!     type Operation = u8;
//!     type Answer = u64;
//!
//!     fn draw(&self, draw: &mut Draw) -> u8 {
//!         draw.small(0, 9)
//!     }
//!     fn encode(&self, operation: &u8) -> Vec<u8> {
//!         vec![*operation]
//!     }
//!     fn decode(&self, bytes: &[u8]) -> Option<u8> {
//!         bytes.first().copied()
//!     }
//!     fn decode_answer(&self, bytes: &[u8]) -> Option<u64> {
//!         Some(u64::from_le_bytes(bytes.try_into().ok()?))
//!     }
//! }
//!
//! /// What it should do.
//! fn by_the_book(sum: &mut u64, operation: &u8) -> u64 {
//!     *sum += u64::from(*operation);
//!     *sum
//! }
//!
//! // This is the test.
//! vsr_sim::sweep::<Sum>().operations(Additions).model(by_the_book).seeds(0..5).run();
//! ```
//!
//! A seed that fails is shrunk, and the test panics with the text that `vsr-sim` prints: what was violated, both sides of the
//! contradiction, what led there, and how to come back to it. These variables, in the environment of `cargo test`, do that:
//!
//! | variable | does |
//! |---|---|
//! | `VSR_SIM_SEED=0x2a` | runs this seed alone |
//! | `VSR_SIM_SCENARIO=FILE` | runs this scenario alone: the shrunk one, say, whose path the failure tells |
//! | `VSR_SIM_TRACE=grid` | with one of these: tells the run as it happens, a column a replica |

mod environment;
mod model;
mod operations;
mod overheard;
mod seeds;
mod service;
mod tell;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Debug;
use std::hash::Hash;

use linearizability::Model;
use vsr_core::state_machine::StateMachine;

use self::model::{Sequential, Whole};
pub use self::operations::{Draw, Operations};
pub use self::seeds::Sweep;
use self::service::Embedded;
use crate::campaign::shrink::Shrunk;
use crate::cluster::service::AnyService;

/// A sweep over clusters of the service `S`, which is yours. What comes next is [`operations`](Asked::operations).
#[must_use]
pub const fn sweep<S>() -> Asked<S>
where
    S: StateMachine + Default + Debug + 'static,
{
    Asked(std::marker::PhantomData)
}

/// A service of which it is not known yet what clients ask it.
pub struct Asked<S>(std::marker::PhantomData<fn() -> S>);

/// A service and what clients ask it, of which it is not known yet what it should do.
pub struct Modelled<S, O> {
    service: std::marker::PhantomData<fn() -> S>,
    operations: O,
}

impl<S> Asked<S>
where
    S: StateMachine + Default + Debug + 'static,
{
    /// What clients ask the service. What comes next is what it should do: [`model`](Modelled::model).
    #[must_use]
    pub fn operations<O: Operations>(self, operations: O) -> Modelled<S, O> {
        Modelled { service: self.0, operations }
    }
}

impl<S, O> Modelled<S, O>
where
    S: StateMachine + Default + Debug + 'static,
    O: Operations,
{
    /// What the service should do, one operation after the other: what state each operation leaves, and what it answers.
    pub fn model<T>(
        self,
        step: impl Fn(&mut T, &O::Operation) -> O::Answer + Send + Sync + 'static,
    ) -> Sweep
    where
        T: Default + Clone + Eq + Hash + Debug + 'static,
    {
        self.judged_by(Sequential::new(|_: &O::Operation| Whole, step))
    }

    /// As [`model`](Self::model), for a service of parts that know nothing of each other, such as the keys of a store: each
    /// part is judged alone, which takes less time where a judgement is long.
    pub fn model_by_key<K, T>(
        self,
        key: impl Fn(&O::Operation) -> K + Send + Sync + 'static,
        step: impl Fn(&mut T, &O::Operation) -> O::Answer + Send + Sync + 'static,
    ) -> Sweep
    where
        K: Clone + Ord + Debug + 'static,
        T: Default + Clone + Eq + Hash + Debug + 'static,
    {
        self.judged_by(Sequential::new(key, step))
    }

    /// As [`model`](Self::model), by a model that may permit several answers.
    pub fn judged_by<M>(self, model: M) -> Sweep
    where
        M: Model<Input = O::Operation, Output = O::Answer> + Send + Sync + 'static,
    {
        Sweep::of(AnyService::new(Embedded::<S, O, M>::new(self.operations, model)))
    }
}

/// Why a sweep is no pass: a seed failed, or nothing was exercised, or what was asked for makes no sense.
#[derive(Clone, Debug)]
pub struct Failed {
    /// All of it in words, and how to come back to it.
    pub text: String,
    /// What is left of the scenario that failed, where one did and was shrunk.
    pub shrunk: Option<Box<Shrunk>>,
}

impl Failed {
    const fn because(text: String) -> Self {
        Self { text, shrunk: None }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for Failed {}

impl<S> Debug for Asked<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Asked")
    }
}

impl<S, O> Debug for Modelled<S, O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Modelled")
    }
}
