//! What the clients saw, written down as it happens, for the checker.

use std::fmt;

use linearizability::{
    Budget, Evidence, History, HistoryError, Model, Recorder, Stream, Verdict, check_order,
};

use super::service::{Chronicle, ChronicleError, Follower, Judgement};
use super::words;
use crate::engine::time::Time;

/// How the bytes of a service are read as what a model speaks of.
pub trait Language {
    /// What histories are judged against.
    type Model: Model;

    /// The question in the bytes of an operation, unless they are none.
    fn question(&mut self, operation: &[u8]) -> Option<<Self::Model as Model>::Input>;

    /// The answer to `question` in the bytes of a reply, unless they are none.
    fn answer(
        &mut self,
        question: &<Self::Model as Model>::Input,
        answer: &[u8],
    ) -> Option<<Self::Model as Model>::Output>;

    /// The model, with the names that this language has given.
    fn model(self) -> Self::Model;
}

/// Writes down questions and answers in a language.
pub struct Written<L: Language> {
    recorder: Recorder<<L::Model as Model>::Input, <L::Model as Model>::Output>,
    language: L,
}

impl<L: Language + Default> Default for Written<L> {
    fn default() -> Self {
        Self::of(L::default())
    }
}

impl<L: Language> fmt::Debug for Written<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Written")
            .field("questions", &self.recorder.len())
            .finish_non_exhaustive()
    }
}

impl<L: Language> Written<L> {
    /// An empty record in this language.
    #[must_use]
    pub fn of(language: L) -> Self {
        Self { recorder: Recorder::new(), language }
    }

    /// The history, and the object that it is to be judged against. What is still open becomes pending.
    #[must_use]
    pub fn finish(self) -> Finished<L::Model> {
        Finished { model: self.language.model(), history: self.recorder.finish() }
    }
}

impl<L: Language> Chronicle for Written<L> {
    fn invoke(
        &mut self,
        process: u64,
        now: Time,
        operation: &[u8],
    ) -> Result<usize, ChronicleError> {
        let question = self.language.question(operation).ok_or(ChronicleError::Question)?;
        self.recorder.invoke(process, moment(now), question).map_err(ChronicleError::Order)
    }

    fn complete(
        &mut self,
        process: u64,
        now: Time,
        answer: &[u8],
    ) -> Result<usize, ChronicleError> {
        let Some((_, open)) = self.recorder.open(process) else {
            let error = HistoryError::NothingOpen { process, at: moment(now) };
            return Err(ChronicleError::Order(error));
        };
        let answer = self.language.answer(&open.input, answer).ok_or(ChronicleError::Answer)?;
        self.recorder.complete(process, moment(now), answer).map_err(ChronicleError::Order)
    }

    fn judge(self: Box<Self>, commit_order: Vec<usize>, steps: u64) -> Judgement {
        self.finish().judge(commit_order, steps)
    }
}

/// So many operations may be open at once, or wait for one that is. A run with more is judged by all that it was.
const HELD_MAX: usize = 1 << 16;

/// Judges questions and answers in a language while they come.
pub struct Followed<L: Language> {
    stream: Stream<L::Model>,
    language: L,
}

impl<L: Language> fmt::Debug for Followed<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Followed").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<L: Language + Clone> Followed<L> {
    /// Nothing yet, in a language whose model is the same whatever was said.
    #[must_use]
    pub fn of(language: L) -> Self {
        Self { stream: Stream::new(language.clone().model()), language }
    }
}

impl<L: Language> Follower for Followed<L> {
    fn invoke(
        &mut self,
        process: u64,
        now: Time,
        operation: &[u8],
    ) -> Result<usize, ChronicleError> {
        let question = self.language.question(operation).ok_or(ChronicleError::Question)?;
        self.stream.invoke(process, moment(now), question).map_err(ChronicleError::Order)
    }

    fn complete(
        &mut self,
        process: u64,
        now: Time,
        answer: &[u8],
    ) -> Result<usize, ChronicleError> {
        let Some(open) = self.stream.open(process) else {
            let error = HistoryError::NothingOpen { process, at: moment(now) };
            return Err(ChronicleError::Order(error));
        };
        let answer = self.language.answer(&open.input, answer).ok_or(ChronicleError::Answer)?;
        self.stream.complete(process, moment(now), answer).map_err(ChronicleError::Order)
    }

    fn abandon(&mut self, process: u64) {
        self.stream.abandon(process);
    }

    fn take_effect(&mut self, question: usize) {
        self.stream.take_effect(question);
    }

    fn never(&mut self, question: usize) {
        self.stream.never(question);
    }

    fn is_in_doubt(&self) -> bool {
        self.stream.refusal().is_some() || self.stream.held() > HELD_MAX
    }

    fn finish(self: Box<Self>) -> bool {
        self.stream.finish().is_ok()
    }
}

/// Virtual time as the checker counts it.
fn moment(now: Time) -> i64 {
    i64::try_from(now.as_ns()).unwrap_or(i64::MAX)
}

/// A whole history.
#[derive(Debug)]
pub struct Finished<M: Model> {
    /// What it is judged against, with the names of this history.
    pub model: M,
    /// What the clients saw.
    pub history: History<M::Input, M::Output>,
}

impl<M: Model> Finished<M> {
    /// The contradiction in words: the reason, and the operations that cannot be put into any order.
    fn explain(&self, evidence: &Evidence) -> String {
        let mut text = format!("{}\n", evidence.reason);
        for index in &evidence.operations {
            let operation = &self.history.operations()[*index];
            let call = words::time(Time::from_ns(operation.call.unsigned_abs()));
            let returned = operation.completion.as_ref().map_or_else(
                || "never".to_owned(),
                |completion| words::time(Time::from_ns(completion.at.unsigned_abs())),
            );
            let what = self.model.describe(&operation.input, operation.output());
            text.push_str(&format!(
                "\n    {call} .. {returned}  process {}  {what}",
                operation.process
            ));
        }
        text
    }

    /// Asks the checker, which may take `steps` steps for each part if the order in which operations were committed does not
    /// explain the history as it is.
    #[must_use]
    pub fn judge(&self, commit_order: Vec<usize>, steps: u64) -> Judgement {
        let budget = Budget { steps, bytes: 64 << 20, stop: None };
        match check_order(&self.model, &self.history, commit_order, &budget) {
            Verdict::Linearizable(_) => Judgement::Linearizable,
            Verdict::NotLinearizable(evidence) => {
                Judgement::NotLinearizable(self.explain(&evidence))
            }
            Verdict::Unknown(exhausted) => Judgement::Unknown(exhausted),
        }
    }
}
