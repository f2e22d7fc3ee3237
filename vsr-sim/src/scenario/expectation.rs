//! What must be so at a moment of a run: states of nodes, by role.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vsr_core::io::Status;

use super::run::Watched;
use crate::cluster::node::Node;
use crate::cluster::selector::Words;
use crate::engine::{NodeIndex, NodeSet, NodeState, Observer};
use crate::faults::{Occasion, Selector};

/// Facts that must all hold, each of every node that is meant. Whoever names nobody is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Of which nodes. May be left out where only `commits` is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Selector>,
    /// Whether they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
    /// Where the replicas stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusName>,
    /// In which view the replicas are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<u64>,
    /// The view whose log the replicas have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_view: Option<u64>,
    /// The last operation in the replicas' logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<u64>,
    /// The last operation that the replicas have executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<u64>,
    /// The last operation that each of these replicas has executed: `{"primary": 3, "backup1": 2}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub commits: BTreeMap<Selector, u64>,
    /// How many requests of the clients were answered since the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<u64>,
    /// The clients' last answer, in the words in which traces show it: `done`, `absent`, `swapped`, `not swapped, it is 7`, or the
    /// value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// [`Status`], as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StatusName {
    /// [`Status::Recovering`].
    Recovering,
    /// [`Status::Normal`].
    Normal,
    /// [`Status::ViewChange`].
    ViewChange,
}

impl StatusName {
    const fn of(status: Status) -> Self {
        match status {
            Status::Recovering => Self::Recovering,
            Status::Normal => Self::Normal,
            Status::ViewChange => Self::ViewChange,
        }
    }
}

impl fmt::Display for StatusName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Recovering => "recovering",
            Self::Normal => "normal",
            Self::ViewChange => "view-change",
        })
    }
}

impl Expectation {
    /// Whether it speaks of replicas, in facts that clients do not have.
    #[must_use]
    pub const fn is_about_replicas(&self) -> bool {
        self.status.is_some()
            || self.view.is_some()
            || self.log_view.is_some()
            || self.op.is_some()
            || self.commit.is_some()
    }

    /// Whether it speaks of clients, in facts that replicas do not have.
    #[must_use]
    pub const fn is_about_clients(&self) -> bool {
        self.answered.is_some() || self.answer.is_some()
    }

    /// What makes no sense in it, whatever the cluster.
    ///
    /// # Errors
    ///
    /// That, in words.
    pub fn check(&self) -> Result<(), &'static str> {
        let says_of_nodes =
            self.up.is_some() || self.is_about_replicas() || self.is_about_clients();
        match (&self.nodes, says_of_nodes) {
            (None, true) => Err("an expectation that does not say of which `nodes`"),
            (Some(_), false) => Err("an expectation that says nothing of its nodes"),
            (None, false) if self.commits.is_empty() => Err("an expectation that says nothing"),
            (_, _) if self.is_about_replicas() && self.is_about_clients() => Err(
                "an expectation that no node can meet: it is about replicas and clients at once",
            ),
            (_, _) => Ok(()),
        }
    }

    /// What is not as expected in a world at this moment, if anything.
    pub(super) fn unmet<T: Observer<Node>>(
        &self,
        world: &Watched<T>,
        words: Words,
        occasion: &Occasion,
    ) -> Option<String> {
        let meant = |selector: &Selector| selector.resolve(world, occasion, &mut { words });
        let look = Look { world, words };
        if let Some(selector) = &self.nodes {
            let nodes = meant(selector);
            if nodes.is_empty() {
                return Some(format!("`{selector}` is nobody"));
            }
            if let Some(unmet) = nodes.iter().find_map(|node| look.unmet(self, node)) {
                return Some(unmet);
            }
        }
        self.commits.iter().find_map(|(selector, commit)| {
            let nodes: NodeSet = meant(selector);
            if nodes.is_empty() {
                return Some(format!("`{selector}` is nobody"));
            }
            let expected = Self { commit: Some(*commit), ..Self::default() };
            nodes.iter().find_map(|node| look.unmet(&expected, node))
        })
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts = Vec::new();
        let mut tell = |name: &str, value: Option<String>| {
            facts.extend(value.map(|value| format!("{name} {value}")));
        };
        tell("is", self.up.map(|up| if up { "up" } else { "down" }.to_owned()));
        tell("status", self.status.map(|status| status.to_string()));
        tell("view", self.view.map(|view| view.to_string()));
        tell("log_view", self.log_view.map(|view| view.to_string()));
        tell("op", self.op.map(|op| op.to_string()));
        tell("commit", self.commit.map(|commit| commit.to_string()));
        tell("answered", self.answered.map(|count| count.to_string()));
        tell("answer", self.answer.clone());
        let of_each = |(selector, commit): (&Selector, &u64)| format!("{selector}={commit}");
        let commits: Vec<String> = self.commits.iter().map(of_each).collect();
        if let Some(nodes) = &self.nodes {
            write!(formatter, "{nodes}: {}", facts.join(", "))?;
        }
        if !commits.is_empty() {
            let apart = if self.nodes.is_some() { "; " } else { "" };
            write!(formatter, "{apart}commit of {}", commits.join(", "))?;
        }
        Ok(())
    }
}

/// A world that is looked at.
struct Look<'a, T: Observer<Node>> {
    world: &'a Watched<T>,
    words: Words,
}

impl<T: Observer<Node>> Look<'_, T> {
    fn unmet(&self, expected: &Expectation, node: NodeIndex) -> Option<String> {
        let name = self.words.name(node);
        let is_up = self.world.state(node) == NodeState::Up;
        if expected.up.is_some_and(|up| up != is_up) {
            return Some(format!("{name} is {}", if is_up { "up" } else { "down" }));
        }
        let unmet = match node.number().checked_sub(self.words.replicas) {
            None => self.unmet_by_replica(expected, node),
            Some(client) => self.unmet_by_client(expected, client),
        };
        unmet.map(|unmet| format!("{name} {unmet}"))
    }

    fn unmet_by_replica(&self, expected: &Expectation, node: NodeIndex) -> Option<String> {
        if expected.is_about_clients() {
            return Some("is no client".to_owned());
        }
        if !expected.is_about_replicas() {
            return None;
        }
        let Some(replica) = self.world.process(node).and_then(Node::replica) else {
            return Some("is down".to_owned());
        };
        let replica = replica.replica();
        let status = StatusName::of(replica.status());
        if expected.status.is_some_and(|expected| expected != status) {
            return Some(format!("has status {status}"));
        }
        let facts = [
            ("view", expected.view, replica.view().get()),
            ("log_view", expected.log_view, replica.log_view().get()),
            ("op", expected.op, replica.op().get()),
            ("commit", expected.commit, replica.commit().get()),
        ];
        let unmet = |(_, expected, is): &(&str, Option<u64>, u64)| {
            expected.is_some_and(|expected| expected != *is)
        };
        facts.into_iter().find(unmet).map(|(fact, _, is)| format!("has {fact} {is}"))
    }

    fn unmet_by_client(&self, expected: &Expectation, client: u8) -> Option<String> {
        if expected.is_about_replicas() {
            return Some("is no replica".to_owned());
        }
        let (answered, answer) = self.world.observer().0.answers(client);
        if expected.answered.is_some_and(|expected| expected != answered) {
            return Some(format!("has {answered} answered requests"));
        }
        let expected = expected.answer.as_ref()?;
        let service = &self.world.blueprint().service;
        match answer.map(|answer| service.answer_in_words(answer)) {
            None => Some("has no answer yet".to_owned()),
            Some(answer) if answer == *expected => None,
            Some(answer) => Some(format!("was last answered {answer}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Expectation {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_expectation_reads_as_a_sentence() {
        for (text, sentence) in [
            (
                r#"{"nodes":"backup1","up":true,"status":"view-change","view":1,"commit":3}"#,
                "backup1: is up, status view-change, view 1, commit 3",
            ),
            (r#"{"nodes":"c0","answered":2,"answer":"swapped"}"#, "c0: answered 2, answer swapped"),
            (r#"{"commits":{"primary":3,"r2":2}}"#, "commit of primary=3, r2=2"),
            (
                r#"{"nodes":"replicas","log_view":2,"op":9,"commits":{"r0":9}}"#,
                "replicas: log_view 2, op 9; commit of r0=9",
            ),
        ] {
            assert_eq!(read(text).check(), Ok(()));
            assert_eq!(read(text).to_string(), sentence);
            assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
        }
    }

    #[test]
    fn one_that_says_nothing_or_too_much_is_refused() {
        for (text, words) in [
            ("{}", "says nothing"),
            (r#"{"nodes":"r0"}"#, "says nothing of its nodes"),
            (r#"{"view":1}"#, "of which `nodes`"),
            (r#"{"nodes":"all","view":1,"answered":2}"#, "at once"),
        ] {
            let error = read(text).check().unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
