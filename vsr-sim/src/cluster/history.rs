//! What the clients saw, written down as it happens, for the checker.

use linearizability::{
    Budget, Evidence, Exhausted, History, HistoryError, KeyValue, KeyValueCall, KeyValueInput,
    KeyValueOutput, Model as _, Recorder, Symbols, Verdict, check_order,
};

use super::key_value::{Answer, Operation};
use super::words;
use crate::engine::time::Time;

/// Writes down questions and answers.
#[derive(Debug, Default)]
pub struct Chronicle {
    recorder: Recorder<KeyValueInput, KeyValueOutput>,
    symbols: Symbols,
}

/// Why something cannot be written down: a bug in a client, in the service, or in the simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChronicleError {
    /// The bytes of a question are no operation.
    Question,
    /// The bytes of an answer are none, or none to this question.
    Answer,
    /// No client can have asked or been answered in this order.
    Order(HistoryError),
}

impl Chronicle {
    /// Writes down that `process` asks; returns the number of the question.
    ///
    /// # Errors
    ///
    /// When that cannot be.
    pub fn invoke(
        &mut self,
        process: u64,
        now: Time,
        operation: &[u8],
    ) -> Result<usize, ChronicleError> {
        let operation = Operation::decode(operation).map_err(|_| ChronicleError::Question)?;
        let key = self.symbols.intern(operation.key());
        let call = match operation {
            Operation::Get { .. } => KeyValueCall::Get,
            Operation::Put { value, .. } => KeyValueCall::Put(self.symbols.intern(value)),
            Operation::Append { suffix, .. } => KeyValueCall::Append(self.symbols.intern(suffix)),
            Operation::Delete { .. } => KeyValueCall::Delete,
            Operation::Swap { expected, new, .. } => KeyValueCall::Cas {
                expected: Some(self.symbols.intern(expected)),
                new: self.symbols.intern(new),
            },
        };
        let input = KeyValueInput { key, call };
        self.recorder.invoke(process, moment(now), input).map_err(ChronicleError::Order)
    }

    /// Writes down that `process` is answered; returns the number of its question.
    ///
    /// # Errors
    ///
    /// When that cannot be.
    pub fn complete(
        &mut self,
        process: u64,
        now: Time,
        answer: &[u8],
    ) -> Result<usize, ChronicleError> {
        let answer = Answer::decode(answer).map_err(|_| ChronicleError::Answer)?;
        let output = match answer {
            Answer::Done => KeyValueOutput::Done,
            Answer::Value(None) => KeyValueOutput::Absent,
            Answer::Value(Some(value)) => KeyValueOutput::Value(self.symbols.intern(value)),
            Answer::Swapped => KeyValueOutput::Swapped,
            Answer::NotSwapped(was) => {
                KeyValueOutput::Was(was.map(|value| self.symbols.intern(value)))
            }
            Answer::Refused(_) => return Err(ChronicleError::Answer),
        };
        self.recorder.complete(process, moment(now), output).map_err(ChronicleError::Order)
    }

    /// The history, and the object that it is to be judged against. What is still open becomes pending.
    #[must_use]
    pub fn finish(self) -> Finished {
        Finished { model: KeyValue::new(self.symbols), history: self.recorder.finish() }
    }
}

/// Virtual time as the checker counts it.
fn moment(now: Time) -> i64 {
    i64::try_from(now.as_ns()).unwrap_or(i64::MAX)
}

/// A whole history.
#[derive(Debug)]
pub struct Finished {
    /// The key-value store, with the names of this history.
    pub model: KeyValue,
    /// What the clients saw.
    pub history: History<KeyValueInput, KeyValueOutput>,
}

/// What the checker says of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Some order explains every answer.
    Linearizable,
    /// None does.
    NotLinearizable(Box<Evidence>),
    /// A budget ran out.
    Unknown(Exhausted),
}

impl Finished {
    /// The contradiction in words: the reason, and the operations that cannot be put into any order.
    #[must_use]
    pub fn explain(&self, evidence: &Evidence) -> String {
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

    /// Asks the checker, which may take `steps` steps for each key if the order in which operations were committed does not
    /// explain the history as it is.
    #[must_use]
    pub fn judge(&self, commit_order: Vec<usize>, steps: u64) -> Judgement {
        let budget = Budget { steps, bytes: 64 << 20, stop: None };
        match check_order(&self.model, &self.history, commit_order, &budget) {
            Verdict::Linearizable(_) => Judgement::Linearizable,
            Verdict::NotLinearizable(evidence) => Judgement::NotLinearizable(evidence),
            Verdict::Unknown(exhausted) => Judgement::Unknown(exhausted),
        }
    }
}
