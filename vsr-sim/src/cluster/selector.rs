//! The words that stand for nodes in a scenario, and who is meant by them at a moment.

use vsr_core::io::Status;
use vsr_core::number::OpNumber;

use super::monitor::Monitor;
use super::node::Node;
use super::replica::ReplicaNode;
use crate::engine::{NodeIndex, NodeSet, Observer, Span, World};
use crate::faults::selector::any_of;
use crate::faults::{Occasion, Resolver, Selector};

/// A world that the monitor watches.
type Watched<T> = World<Node, (Monitor, T)>;

/// The most clients that a run may have: each has a name by its number.
pub const CLIENT_COUNT_MAX: u8 = 100;

/// Before a word: those of them that are at work.
pub const BUSY: &str = "busy-";

/// The words, in the order in which they are listed for people.
const WORDS: [&str; 9] =
    ["primary", "backup", "backup1", "busy", "replica", "replicas", "client", "clients", "subject"];

/// Knows who is meant in a cluster of so many replicas and clients.
///
/// Besides the words that are known everywhere: `r0` and `c0`, a replica and a client by number; `replicas` and `clients`, all of
/// them; `replica` and `client`, any of them; `primary`, the replica that leads the newest view in which one does;
/// `backup`, any other replica that is up, and `backup1`, the one that would lead the next view; `busy`, a replica that holds an
/// operation which nobody is known to have committed, or a write under way, not long after the last commit; and any replica where
/// there is none such. `busy-` before another word means those of them that are busy, and nobody where none is.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// How many replicas there are.
    pub replicas: u8,
    /// How many clients there are.
    pub clients: u8,
}

impl Words {
    /// Whether a word may stand for nodes in some cluster.
    #[must_use]
    pub fn is_word(selector: &Selector) -> bool {
        let word = selector.word();
        let word = word.strip_prefix(BUSY).unwrap_or(word);
        let selector = &Selector::new(word);
        WORDS.contains(&word) || numbered(word).is_some() || selector.is_built_in(128)
    }

    /// The nodes that a word may mean at some moment; nobody, if it names a node that the cluster does not have, and nothing
    /// if it is no word at all. What is up to the moment, such as `primary`, may be any node of its sort.
    #[must_use]
    pub fn possible(self, selector: &Selector) -> Option<NodeSet> {
        let word = selector.word();
        let word = word.strip_prefix(BUSY).unwrap_or(word);
        if !Self::is_word(&Selector::new(word)) {
            return None;
        }
        let all = self.all_replicas().union(self.all_clients());
        Some(match word {
            "all" | "subject" | "peer" => all,
            "client" | "clients" => self.all_clients(),
            word if WORDS.contains(&word) => self.all_replicas(),
            word => match numbered(word) {
                Some(numbered) => self.numbered(numbered),
                None => {
                    let fixed = Selector::new(word).fixed(self.replicas + self.clients);
                    fixed.unwrap_or(NodeSet::EMPTY)
                }
            },
        })
    }

    /// Whether a word stands for one replica or one client by number, in some cluster.
    #[must_use]
    pub fn is_numbered(selector: &Selector) -> bool {
        numbered(selector.word()).is_some()
    }

    /// The one node called `r3` or `c1`, if the word is such a name and the cluster has it.
    #[must_use]
    pub fn node(self, selector: &Selector) -> Option<NodeIndex> {
        self.numbered(numbered(selector.word())?).iter().next()
    }

    /// The name of a node.
    #[must_use]
    pub fn name(self, node: NodeIndex) -> Selector {
        Selector::new(match node.number().checked_sub(self.replicas) {
            None => format!("r{}", node.number()),
            Some(client) => format!("c{client}"),
        })
    }

    fn all_replicas(self) -> NodeSet {
        NodeSet::first(self.replicas)
    }

    fn all_clients(self) -> NodeSet {
        NodeSet::first(self.replicas + self.clients).difference(self.all_replicas())
    }

    /// The node called `r3` or `c1`, if the cluster has it; nobody otherwise.
    fn numbered(self, (is_replica, number): (bool, u8)) -> NodeSet {
        match is_replica {
            true if number < self.replicas => NodeSet::only(NodeIndex::new(number)),
            false if number < self.clients => NodeSet::only(NodeIndex::new(self.replicas + number)),
            true | false => NodeSet::EMPTY,
        }
    }

    fn each_replica<T: Observer<Node>>(
        self,
        world: &Watched<T>,
    ) -> impl Iterator<Item = (NodeIndex, &ReplicaNode)> {
        let up = |node| world.process(node).and_then(Node::replica).map(|replica| (node, replica));
        NodeIndex::first(self.replicas).filter_map(up)
    }

    fn primary<T: Observer<Node>>(self, world: &Watched<T>) -> NodeSet {
        let leading = self.each_replica(world).filter(|(_, replica)| {
            let replica = replica.replica();
            replica.is_primary() && replica.status() == Status::Normal
        });
        let newest = leading.max_by_key(|(_, replica)| replica.replica().view());
        newest.map_or(NodeSet::EMPTY, |(node, _)| NodeSet::only(node))
    }

    fn backups<T: Observer<Node>>(self, world: &Watched<T>) -> NodeSet {
        let up: NodeSet = self.each_replica(world).map(|(node, _)| node).collect();
        up.difference(self.primary(world))
    }

    /// The backup that leads the view after the primary's.
    fn next_primary<T: Observer<Node>>(self, world: &Watched<T>) -> NodeSet {
        let Some(primary) = self.primary(world).iter().next() else { return NodeSet::EMPTY };
        let next = NodeIndex::new((primary.number() + 1) % self.replicas);
        NodeSet::only(next).difference(NodeSet::only(primary))
    }

    /// The replicas at work: not long after a commit, with an operation of which nobody knows that it is committed, or with a
    /// write under way.
    fn busy<T: Observer<Node>>(self, world: &Watched<T>) -> NodeSet {
        let (committed, at) = world.observer().0.committed();
        let patience = world.blueprint().configuration.timeouts.suspect_primary;
        let is_soon = committed > OpNumber::ZERO
            && world.now().since(at) <= Span::from_ns(patience.as_ns()).times(2);
        if !is_soon {
            return NodeSet::EMPTY;
        }
        self.each_replica(world)
            .filter(|(node, replica)| {
                replica.replica().op() > committed || world.disk().writes_under_way(*node).len() > 0
            })
            .map(|(node, _)| node)
            .collect()
    }

    /// Who is meant by a word without `busy-` before it; `None` if it is not known.
    fn plain<T: Observer<Node>>(
        self,
        world: &Watched<T>,
        word: &str,
        occasion: &Occasion,
    ) -> Option<NodeSet> {
        let any = |set| any_of(set, occasion.fate, 0);
        Some(match word {
            "replicas" => self.all_replicas(),
            "clients" => self.all_clients(),
            "replica" => any(self.all_replicas()),
            "client" => any(self.all_clients()),
            "primary" => self.primary(world),
            "backup" => any(self.backups(world)),
            "backup1" => self.next_primary(world),
            "busy" => match any(self.busy(world)) {
                NodeSet::EMPTY => any(self.all_replicas()),
                busy => busy,
            },
            _ => self.numbered(numbered(word)?),
        })
    }
}

/// A word such as `r3` or `c12`: whether it is a replica, and its number.
fn numbered(word: &str) -> Option<(bool, u8)> {
    let (is_replica, digits) = match word.split_at_checked(1)? {
        ("r", digits) => (true, digits),
        ("c", digits) => (false, digits),
        _ => return None,
    };
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u8 = digits.parse().ok().filter(|number| is_plain && *number < CLIENT_COUNT_MAX)?;
    (number < 7 || !is_replica).then_some((is_replica, number))
}

impl<T: Observer<Node>> Resolver<Node, (Monitor, T)> for Words {
    fn knows(&self, word: &str) -> bool {
        Self::is_word(&Selector::new(word))
    }

    fn resolve(&mut self, world: &Watched<T>, word: &str, occasion: &Occasion) -> Option<NodeSet> {
        let Some(among) = word.strip_prefix(BUSY) else {
            return self.plain(world, word, occasion);
        };
        let busy = self.busy(world);
        Some(match among {
            "replica" => any_of(busy, occasion.fate, 0),
            "backup" => any_of(busy.intersection(self.backups(world)), occasion.fate, 0),
            "subject" => match occasion.sight {
                Some(sight) => busy.intersection(NodeSet::only(sight.node)),
                None => NodeSet::EMPTY,
            },
            _ => busy.intersection(self.plain(world, among, occasion)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_and_nonsense_is_not() {
        for word in [
            "r0",
            "r6",
            "c99",
            "primary",
            "busy",
            "clients",
            "all",
            "n3",
            "busy-subject",
            "busy-r2",
        ] {
            assert!(Words::is_word(&Selector::new(word)), "{word}");
        }
        for word in ["r7", "c100", "r", "r-1", "r+1", "leader", "", "ré", "n128", "busy-", "busy-x"]
        {
            assert!(!Words::is_word(&Selector::new(word)), "{word}");
        }
    }

    #[test]
    fn nodes_that_a_cluster_does_not_have_are_nobody() {
        let words = Words { replicas: 3, clients: 2 };
        assert_eq!(words.numbered((true, 3)), NodeSet::EMPTY);
        assert_eq!(words.numbered((false, 1)), NodeSet::only(NodeIndex::new(4)));
        assert_eq!(words.all_clients().count(), 2);
    }
}
