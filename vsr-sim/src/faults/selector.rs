//! Nodes by role: a word in a plan, which becomes a set of nodes at the moment it is needed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::random::Fate;
use crate::engine::{NodeIndex, NodeSet, Observer, Process, Sight, World};

/// A word that stands for some nodes.
///
/// These are known everywhere: `all`; `n3`, the node of that number; `subject`, the node to which happened what the step
/// waited for; `peer`, the node at the other end of it. All others are up to a [`Resolver`].
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Selector(String);

impl Selector {
    /// The word `word`.
    #[must_use]
    pub fn new(word: impl Into<String>) -> Self {
        Self(word.into())
    }

    /// The node itself.
    #[must_use]
    pub fn node(node: NodeIndex) -> Self {
        Self(node.to_string())
    }

    /// The node to which happened what the step waited for.
    #[must_use]
    pub fn subject() -> Self {
        Self::new("subject")
    }

    /// Every node.
    #[must_use]
    pub fn all() -> Self {
        Self::new("all")
    }

    /// The word.
    #[must_use]
    pub fn word(&self) -> &str {
        &self.0
    }

    /// What the word means at any moment of a world of `node_count` nodes, if it means the same at all of them.
    #[must_use]
    pub fn fixed(&self, node_count: u8) -> Option<NodeSet> {
        if self.0 == "all" {
            return Some(NodeSet::first(node_count));
        }
        let number: u8 = self.0.strip_prefix('n')?.parse().ok()?;
        (number < node_count).then(|| NodeSet::only(NodeIndex::new(number)))
    }

    /// Whether the word is known without a resolver.
    #[must_use]
    pub fn is_built_in(&self, node_count: u8) -> bool {
        self.0 == "subject" || self.0 == "peer" || self.fixed(node_count).is_some()
    }

    /// Who is meant at this moment.
    pub fn resolve<P: Process, O: Observer<P>, R: Resolver<P, O>>(
        &self,
        world: &World<P, O>,
        occasion: &Occasion,
        resolver: &mut R,
    ) -> NodeSet {
        let sight = occasion.sight;
        match self.0.as_str() {
            "subject" => sight.map_or(NodeSet::EMPTY, |sight| NodeSet::only(sight.node)),
            "peer" => sight.and_then(|sight| sight.peer).map_or(NodeSet::EMPTY, NodeSet::only),
            word => self
                .fixed(world.setup().nodes)
                .or_else(|| resolver.resolve(world, word, occasion))
                .unwrap_or(NodeSet::EMPTY),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The moment at which a step's time has come.
#[derive(Clone, Copy, Debug)]
pub struct Occasion {
    /// What was seen, if the step waited for something to be seen.
    pub sight: Option<Sight>,
    /// Randomness of this step, for words such as "any backup".
    pub fate: Fate,
}

/// Knows the words of a protocol, such as `primary`.
pub trait Resolver<P: Process, O: Observer<P>> {
    /// Whether `word` is known at all.
    fn knows(&self, word: &str) -> bool;

    /// Who is meant by `word` at this moment, nobody included. `None` if the word is not known.
    fn resolve(&mut self, world: &World<P, O>, word: &str, occasion: &Occasion) -> Option<NodeSet>;
}

/// Knows no words but those that are known everywhere.
impl<P: Process, O: Observer<P>> Resolver<P, O> for () {
    fn knows(&self, _: &str) -> bool {
        false
    }

    fn resolve(&mut self, _: &World<P, O>, _: &str, _: &Occasion) -> Option<NodeSet> {
        None
    }
}

/// One of the nodes of `set`, by `lane` of a fate: for resolvers of words such as "any backup".
#[must_use]
pub fn any_of(set: NodeSet, fate: Fate, lane: u64) -> NodeSet {
    let Some(most) = set.count().checked_sub(1) else { return NodeSet::EMPTY };
    let place = fate.up_to(lane, most.into());
    let place = usize::try_from(place).expect("a set of nodes is small");
    set.iter().nth(place).map_or(NodeSet::EMPTY, NodeSet::only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_words_mean_the_same_at_all_times() {
        let fixed = |word: &str| Selector::new(word).fixed(5);
        assert_eq!(fixed("all"), Some(NodeSet::first(5)));
        assert_eq!(fixed("n4"), Some(NodeSet::only(NodeIndex::new(4))));
        for word in ["n5", "n", "n-1", "primary", "subject", "n300", ""] {
            assert_eq!(fixed(word), None, "{word}");
        }
    }

    #[test]
    fn any_of_a_set_is_one_of_it_and_each_has_its_chance() {
        let set: NodeSet = [1, 4, 9].map(NodeIndex::new).into_iter().collect();
        let mut seen = NodeSet::EMPTY;
        for name in 0..100 {
            let one = any_of(set, Fate::of(name, 0), 0);
            assert_eq!(one.count(), 1);
            seen = seen.union(one);
        }
        assert_eq!(seen, set);
        assert!(any_of(NodeSet::EMPTY, Fate::of(0, 0), 0).is_empty());
    }
}
