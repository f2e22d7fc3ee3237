//! The replica.

use crate::configuration::Configuration;
use crate::io::{Effects, Input, Status};
use crate::number::{OpNumber, ReplicaIndex, ViewNumber};
use crate::state_machine::StateMachine;
use crate::time::Instant;

/// One replica of a cluster: a function from inputs to effects.
#[derive(Debug)]
pub struct Replica<S> {
    configuration: Configuration,
    me: ReplicaIndex,
    state_machine: S,
}

impl<S: StateMachine> Replica<S> {
    /// A replica that has not been started yet: its first input must be [`Input::Start`].
    ///
    /// `seed` is all its randomness; callers draw it anew for every incarnation.
    ///
    /// # Panics
    ///
    /// When the configuration is not valid, or has no replica `me`.
    #[must_use]
    pub fn new(
        configuration: Configuration,
        me: ReplicaIndex,
        seed: u64,
        state_machine: S,
    ) -> Self {
        assert!(configuration.validate().is_ok());
        let _ = seed;
        Self { configuration, me, state_machine }
    }

    /// Takes one input at `now`, which never runs backwards, and appends what is to be done to `effects`.
    pub fn step(&mut self, now: Instant, input: Input<'_>, effects: &mut Effects) {
        let _ = (now, input, &self.configuration);
        effects.begin();
    }

    /// When to come back with [`Input::Deadline`] at the latest, if nothing else happens before.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Which replica this is.
    #[must_use]
    pub const fn me(&self) -> ReplicaIndex {
        self.me
    }

    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        Status::Recovering
    }

    /// v: the view that it is in, or is moving to.
    #[must_use]
    pub const fn view(&self) -> ViewNumber {
        ViewNumber::ZERO
    }

    /// v': the last view in which it was normal, and whose log it holds.
    #[must_use]
    pub const fn log_view(&self) -> ViewNumber {
        ViewNumber::ZERO
    }

    /// n: the head of its log.
    #[must_use]
    pub const fn op(&self) -> OpNumber {
        OpNumber::ZERO
    }

    /// The last operation that it has executed.
    #[must_use]
    pub const fn commit(&self) -> OpNumber {
        OpNumber::ZERO
    }

    /// The service.
    #[must_use]
    pub const fn state_machine(&self) -> &S {
        &self.state_machine
    }
}

/// Writes an empty disk for replica `me` of a new cluster: to be made durable before the first start, and never again.
pub fn format(configuration: &Configuration, me: ReplicaIndex, effects: &mut Effects) {
    let _ = (configuration, me);
    effects.begin();
}
