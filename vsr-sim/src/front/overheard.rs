//! What a service answered in a run, to whomever: findings name answers by their checksums, and people want to read them.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

use vsr_core::checksum::Checksum;
use vsr_core::state_machine::StateMachine;

use crate::cluster::service::{
    AnyService, Assignment, Chronicle, Follower, Machine, Script, Service,
};

/// The same service, and what it is heard to answer.
pub(super) fn overheard(service: &AnyService) -> (AnyService, Heard) {
    let (answers, heard) = channel();
    let overheard = Overheard { service: service.clone(), answers };
    (AnyService::new(overheard), Heard { service: service.clone(), heard })
}

/// Answers that were heard.
#[derive(Debug)]
pub(super) struct Heard {
    service: AnyService,
    heard: Receiver<Box<[u8]>>,
}

impl Heard {
    /// A line for each answer that `message` names by its checksum.
    pub(super) fn glossary(&self, message: &str) -> String {
        let answers: BTreeMap<String, Box<[u8]>> = self
            .heard
            .try_iter()
            .map(|answer| (Checksum::of(&answer).to_string(), answer))
            .collect();
        let mut told: Vec<&str> = Vec::new();
        let mut glossary = String::new();
        for word in message.split_whitespace().map(|word| word.trim_end_matches([',', ';'])) {
            if let Some(answer) = answers.get(word)
                && !told.contains(&word)
            {
                told.push(word);
                let words = self.service.answer_in_words(answer);
                glossary.push_str(&format!("\nanswer {word} is {words}"));
            }
        }
        glossary
    }
}

#[derive(Debug)]
struct Overheard {
    service: AnyService,
    answers: Sender<Box<[u8]>>,
}

impl Service for Overheard {
    fn machine(&self) -> Machine {
        let machine = self.service.machine();
        Box::new(Speaking { machine, answers: self.answers.clone() })
    }

    fn script(&self, assignment: &Assignment) -> Box<dyn Script> {
        self.service.script(assignment)
    }

    fn chronicle(&self) -> Box<dyn Chronicle> {
        self.service.chronicle()
    }

    fn follower(&self) -> Option<Box<dyn Follower>> {
        self.service.follower()
    }

    fn operation_from_words(&self, words: &str) -> Result<Vec<u8>, String> {
        self.service.operation_from_words(words)
    }

    fn operation_in_words(&self, operation: &[u8]) -> String {
        self.service.operation_in_words(operation)
    }

    fn operation_in_full(&self, operation: &[u8]) -> String {
        self.service.operation_in_full(operation)
    }

    fn answer_in_words(&self, answer: &[u8]) -> String {
        self.service.answer_in_words(answer)
    }
}

/// A machine that says aloud what it answers.
#[derive(Debug)]
struct Speaking {
    machine: Machine,
    answers: Sender<Box<[u8]>>,
}

impl StateMachine for Speaking {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        let start = reply.len();
        self.machine.apply(operation, reply);
        // Nobody may be listening any more.
        self.answers.send(reply[start..].into()).ok();
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        self.machine.snapshot(snapshot);
    }

    fn restore(&mut self, snapshot: &[u8]) {
        self.machine.restore(snapshot);
    }

    fn digest(&self) -> Option<u128> {
        self.machine.digest()
    }
}
