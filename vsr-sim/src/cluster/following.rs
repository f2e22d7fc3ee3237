//! Follows a long run with a judge who forgets: which question of the history each committed operation is.

use std::collections::BTreeMap;

use vsr_core::number::{ClientId, RequestNumber};

use super::service::{ChronicleError, Follower, Machine};
use crate::engine::time::Time;
use crate::oracles::Oracles;

/// After so many operations it is looked for questions that nothing can answer any more.
const TIDY: usize = 4_096;

/// A judge who is told what takes effect.
#[derive(Debug)]
pub(super) struct Following {
    follower: Box<dyn Follower>,
    /// Which request carries which question of the history, as long as it may take effect.
    questions: BTreeMap<(ClientId, RequestNumber), usize>,
    /// How many of the operations that were executed it has been told of.
    told: usize,
    is_in_doubt: bool,
}

impl Following {
    pub(super) const fn new(follower: Box<dyn Follower>) -> Self {
        Self { follower, questions: BTreeMap::new(), told: 0, is_in_doubt: false }
    }

    pub(super) fn invoke(
        &mut self,
        process: u64,
        now: Time,
        operation: &[u8],
    ) -> Result<usize, ChronicleError> {
        self.follower.invoke(process, now, operation)
    }

    pub(super) fn complete(
        &mut self,
        process: u64,
        now: Time,
        answer: &[u8],
    ) -> Result<usize, ChronicleError> {
        self.follower.complete(process, now, answer)
    }

    /// A request carries this question.
    pub(super) fn carries(&mut self, request: (ClientId, RequestNumber), question: usize) {
        self.questions.insert(request, question);
    }

    /// The process is gone; `unsent` is what it was asked and did not get to send.
    pub(super) fn abandon(&mut self, process: u64, unsent: Option<usize>) {
        self.follower.abandon(process);
        if let Some(question) = unsent {
            self.follower.never(question);
        }
    }

    /// Tells of all that has been executed meanwhile.
    pub(super) fn catch_up(&mut self, oracles: &Oracles<Machine>) {
        while (self.told as u64) < oracles.executed() {
            let executed = oracles.executed_after(self.told);
            self.told += 1;
            if let Some(question) = executed.and_then(|request| self.questions.remove(&request)) {
                self.follower.take_effect(question);
            }
            if self.told.is_multiple_of(TIDY) {
                self.tidy(oracles);
            }
            self.is_in_doubt = self.follower.is_in_doubt();
        }
    }

    /// Forgets what clients have asked for that are forgotten.
    fn tidy(&mut self, oracles: &Oracles<Machine>) {
        self.questions.retain(|(client, _), question| {
            let may_take_effect = oracles.knows_client(*client);
            if !may_take_effect {
                self.follower.never(*question);
            }
            may_take_effect
        });
    }

    /// Whether the history must be judged by somebody who remembers it.
    pub(super) const fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// Ends the history. Answers whether it is linearizable for certain.
    pub(super) fn finish(mut self, oracles: &Oracles<Machine>) -> bool {
        self.catch_up(oracles);
        self.follower.finish()
    }
}
