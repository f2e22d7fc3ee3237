//! What the clients saw, a line an operation, as `vsr-sim check` reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::cluster::event::{ClientEvent, Event};
use crate::cluster::node::Node;
use crate::cluster::service::AnyService;
use crate::engine::node::{Incarnation, NodeIndex};
use crate::engine::observer::Observer;
use crate::engine::time::Time;
use crate::scenario::listener::Listener;

/// Writes down every operation that a client asked for, with its answer if there was one.
///
/// Whoever asks after a crash, or with a new session, is another process: what was open stays open for ever.
#[derive(Debug, Default)]
pub struct History {
    service: AnyService,
    processes: u64,
    /// By client: its process, and the place of the question that is open.
    clients: BTreeMap<NodeIndex, (u64, Option<usize>)>,
    questions: Vec<Question>,
}

#[derive(Debug)]
struct Question {
    process: u64,
    call: Time,
    operation: Arc<[u8]>,
    answer: Option<(Time, Arc<[u8]>)>,
}

impl History {
    /// The lines, in the order in which the operations were asked for.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for question in &self.questions {
            text.push_str(&Value::Object(self.line(question)).to_string());
            text.push('\n');
        }
        text
    }

    fn line(&self, question: &Question) -> Map<String, Value> {
        let answer = question.answer.as_ref();
        let mut line = Map::new();
        line.insert("process".to_owned(), question.process.into());
        line.insert("call".to_owned(), question.call.as_ns().into());
        if let Some((at, _)) = answer {
            line.insert("return".to_owned(), at.as_ns().into());
        }
        line.extend(
            self.service.as_recorded(&question.operation, answer.map(|(_, answer)| &answer[..])),
        );
        line
    }

    fn next_process(&mut self, node: NodeIndex) {
        self.processes += 1;
        self.clients.insert(node, (self.processes, None));
    }
}

impl Observer<Node> for History {
    fn node_booted(&mut self, _: Time, node: NodeIndex, _: Incarnation) {
        // Replicas never ask, so that they have numbers of their own does no harm.
        self.next_process(node);
    }

    fn event(&mut self, now: Time, node: NodeIndex, event: &Event) {
        let Event::Client(event) = event else { return };
        let Some((process, open)) = self.clients.get_mut(&node) else { return };
        match event {
            ClientEvent::Invoked { operation, .. } => {
                *open = Some(self.questions.len());
                let (process, operation) = (*process, Arc::clone(operation));
                self.questions.push(Question { process, call: now, operation, answer: None });
            }
            ClientEvent::Returned { result } => {
                if let Some(open) = open.take() {
                    self.questions[open].answer = Some((now, Arc::clone(result)));
                }
            }
            ClientEvent::Evicted => self.next_process(node),
            ClientEvent::Registered { .. } | ClientEvent::Ignored(_) => {}
        }
    }
}

impl Listener for History {
    fn run_begins(&mut self, service: &AnyService) {
        self.service = service.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Seed;
    use crate::scenario::Scenario;
    use crate::scenario::draw::Overrides;
    use crate::scenario::run::Runner;
    use linearizability::read::{self, ReadOptions};
    use linearizability::{Budget, Verdict};

    #[test]
    fn a_history_that_was_written_is_read_and_judged_as_the_run_was() {
        for number in 0..12 {
            let scenario = Scenario::draw(Seed::new(number), &Overrides::default());
            let history = History::default();
            let (outcome, history) = Runner::<History>::default().run_watched(&scenario, history);
            let lines = history.lines();
            let recording = read::jsonl(lines.as_bytes(), &ReadOptions::default())
                .unwrap_or_else(|error| panic!("seed {number}: {error}\n{lines}"));
            let (model, history) = recording.into_parts();
            let answered =
                history.operations().iter().filter(|asked| asked.completion.is_some()).count();
            assert_eq!(u64::try_from(answered).unwrap(), outcome.requests, "seed {number}");
            assert!(
                matches!(
                    linearizability::check(&model, &history, &Budget::default()),
                    Verdict::Linearizable(_)
                ),
                "seed {number}"
            );
        }
        // A stored history that says something else than the run would send whoever looks at it astray.
    }
}
