//! Nodes by number, and sets of them.

use core::fmt;

/// The number of a node of the world, counted from zero.
///
/// The engine gives the numbers no meaning. Invariant: below the number of nodes, which is at most [`NodeIndex::COUNT_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(u8);

impl NodeIndex {
    /// The greatest number of nodes that a world may have.
    pub const COUNT_MAX: u8 = 128;

    /// The node numbered `index`.
    ///
    /// # Panics
    /// When `index` is not below [`Self::COUNT_MAX`].
    #[must_use]
    pub const fn new(index: u8) -> Self {
        assert!(index < Self::COUNT_MAX);
        Self(index)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The number, to look something up in a table of nodes.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The first `count` nodes, in order.
    pub fn first(count: u8) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + Clone {
        (0..count).map(Self::new)
    }
}

impl fmt::Display for NodeIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "n{}", self.0)
    }
}

/// How many times a node has been booted before: zero for the process that the run began with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(u32);

impl Incarnation {
    /// The process that the run began with.
    pub const FIRST: Self = Self(0);

    /// The number of earlier boots.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The process after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A set of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeSet(u128);

impl NodeSet {
    /// Nobody.
    pub const EMPTY: Self = Self(0);

    /// The first `count` nodes.
    #[must_use]
    pub const fn first(count: u8) -> Self {
        assert!(count <= NodeIndex::COUNT_MAX);
        if count == 128 { Self(u128::MAX) } else { Self((1 << count) - 1) }
    }

    /// Just `node`.
    #[must_use]
    pub const fn only(node: NodeIndex) -> Self {
        Self(1 << node.0)
    }

    /// Whether `node` belongs to the set.
    #[must_use]
    pub const fn contains(self, node: NodeIndex) -> bool {
        self.0 >> node.0 & 1 == 1
    }

    /// Adds `node`.
    pub const fn insert(&mut self, node: NodeIndex) {
        self.0 |= 1 << node.0;
    }

    /// Takes `node` out.
    pub const fn remove(&mut self, node: NodeIndex) {
        self.0 &= !(1 << node.0);
    }

    /// Those in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those of this set that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nobody is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many nodes there are in it.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// The nodes in order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = NodeIndex> + Clone {
        NodeIndex::first(NodeIndex::COUNT_MAX).filter(move |node| self.contains(*node))
    }
}

impl FromIterator<NodeIndex> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeIndex>>(nodes: I) -> Self {
        let mut set = Self::EMPTY;
        for node in nodes {
            set.insert(node);
        }
        set
    }
}

impl fmt::Display for NodeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        for (place, node) in self.iter().enumerate() {
            let separator = if place == 0 { "" } else { " " };
            write!(formatter, "{separator}{node}")?;
        }
        formatter.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_every_node_up_to_the_last() {
        let last = NodeIndex::new(127);
        let mut set = NodeSet::first(3);
        set.insert(last);
        assert_eq!(set.to_string(), "{n0 n1 n2 n127}");
        set.remove(NodeIndex::new(1));
        assert_eq!(set.count(), 3);
        assert!(set.contains(last) && !set.contains(NodeIndex::new(1)));
        assert_eq!(NodeSet::first(128).count(), 128);
        assert_eq!(NodeSet::first(128).difference(set).count(), 125);
    }
}
