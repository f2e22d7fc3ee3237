//! What clients ask a service that is not ours, and how its bytes read.

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::{Deref, DerefMut};

use crate::engine::random::{Seed, Stream};

/// What clients ask a service, and how its operations and answers are put into bytes.
pub trait Operations: Send + Sync + 'static {
    /// One operation.
    type Operation: Clone + Eq + Hash + Debug + 'static;

    /// One answer.
    type Answer: Clone + Eq + Hash + Debug + 'static;

    /// Some operation: a function of what is drawn from `draw`, and of nothing else.
    ///
    /// A judgement is quickest where what is written differs each time: [`Draw::unique`] gives a number that no other has.
    fn draw(&self, draw: &mut Draw) -> Self::Operation;

    /// The bytes of an operation, as the service is given them.
    fn encode(&self, operation: &Self::Operation) -> Vec<u8>;

    /// The operation that these bytes say; none, where they say none.
    fn decode(&self, bytes: &[u8]) -> Option<Self::Operation>;

    /// The answer that these bytes, which the service gave, say; none, where they say none.
    fn decode_answer(&self, bytes: &[u8]) -> Option<Self::Answer>;

    /// An operation in words.
    fn words(&self, operation: &Self::Operation) -> String {
        format!("{operation:?}")
    }

    /// The operation that these words say, so that scenarios may be written by hand in the words of [`words`](Self::words).
    /// Without it, scenarios say the bytes too: `Deposit { amount: 7 } = 0x0107`.
    fn read(&self, words: &str) -> Option<Self::Operation> {
        let _ = words;
        None
    }

    /// An answer in words.
    fn answer_in_words(&self, answer: &Self::Answer) -> String {
        format!("{answer:?}")
    }
}

/// Where one operation is drawn from: a generator of its own, so that no other operation moves when one is left out.
#[derive(Debug)]
pub struct Draw {
    stream: Stream,
    client: u8,
    number: u32,
}

impl Draw {
    pub(super) fn new(seed: Seed, client: u8, number: u32) -> Self {
        let place = u64::from(client) << 32 | u64::from(number);
        Self { stream: seed.derive("operation", place).stream("operation"), client, number }
    }

    /// Which client asks, counted from 0.
    #[must_use]
    pub const fn client(&self) -> u8 {
        self.client
    }

    /// How many operations this client has asked for before.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// A number that no other operation of the run gets here.
    #[must_use]
    pub fn unique(&self) -> u64 {
        u64::from(self.client) << 32 | u64::from(self.number)
    }

    /// A small number from `low` to `high`, both included.
    ///
    /// # Panics
    ///
    /// When `low` exceeds `high`.
    pub fn small(&mut self, low: u8, high: u8) -> u8 {
        let drawn = self.stream.within(low.into(), high.into());
        u8::try_from(drawn).expect("it is between two that fit")
    }
}

impl Deref for Draw {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl DerefMut for Draw {
    fn deref_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }
}
