//! Quorum sizes and sets of replicas: the only place that counts votes.

use crate::number::{REPLICA_COUNT_MAX, ReplicaIndex};

/// How many replicas must agree, and on what; computed once from the number of replicas.
///
/// Majorities: `n / 2 + 1` for both phases, so that a cluster of n survives the loss of `(n - 1) / 2` replicas. The
/// constructor checks the intersections that the protocol rests on (VR Revisited 4, "quorum intersection").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorums {
    replica_count: u8,
    replication: u8,
    view_change: u8,
    nack: u8,
}

impl Quorums {
    /// The quorums of a cluster of `replica_count` replicas.
    ///
    /// # Panics
    ///
    /// When `replica_count` is 0 or above [`REPLICA_COUNT_MAX`].
    #[must_use]
    pub const fn of(replica_count: u8) -> Self {
        assert!(replica_count > 0);
        assert!(replica_count <= REPLICA_COUNT_MAX);
        let majority = replica_count / 2 + 1;
        let quorums = Self {
            replica_count,
            replication: majority,
            view_change: majority,
            nack: replica_count - majority + 1,
        };
        // What one view has committed, the next one hears of.
        assert!(quorums.replication + quorums.view_change > replica_count);
        // No two view changes to one view.
        assert!(2 * quorums.view_change > replica_count);
        // What has been committed can't be denied, and what can't be denied may have been.
        assert!(quorums.nack + quorums.replication > replica_count);
        quorums
    }

    /// How many replicas there are.
    #[must_use]
    pub const fn replica_count(&self) -> u8 {
        self.replica_count
    }

    /// How many replicas hold an operation durably before it is committed, the primary included.
    #[must_use]
    pub const fn replication(&self) -> u8 {
        self.replication
    }

    /// How many replicas vote to leave a view, and how many promise to join the next.
    #[must_use]
    pub const fn view_change(&self) -> u8 {
        self.view_change
    }

    /// How many replicas must deny an operation to prove that it was never committed.
    #[must_use]
    pub const fn nack(&self) -> u8 {
        self.nack
    }

    /// Whether `set` is enough to commit.
    #[must_use]
    pub const fn is_replication_quorum(&self, set: ReplicaSet) -> bool {
        set.count() >= self.replication
    }

    /// Whether `set` is enough to change the view.
    #[must_use]
    pub const fn is_view_change_quorum(&self, set: ReplicaSet) -> bool {
        set.count() >= self.view_change
    }

    /// Whether `set` denies enough to prove that an operation was never committed.
    #[must_use]
    pub const fn is_nack_quorum(&self, set: ReplicaSet) -> bool {
        set.count() >= self.nack
    }

    /// How many replicas may be lost without losing the service: f of the paper.
    #[must_use]
    pub const fn tolerated(&self) -> u8 {
        self.replica_count - self.view_change
    }
}

/// A set of replicas: one that is put in twice counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaSet(u8);

impl ReplicaSet {
    /// Nobody.
    pub const EMPTY: Self = Self(0);

    /// Adds `replica`; answers whether it was new.
    pub const fn insert(&mut self, replica: ReplicaIndex) -> bool {
        let bit = 1 << replica.get();
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new
    }

    /// Takes `replica` out.
    pub const fn remove(&mut self, replica: ReplicaIndex) {
        self.0 &= !(1 << replica.get());
    }

    /// Whether `replica` is in the set.
    #[must_use]
    pub const fn contains(self, replica: ReplicaIndex) -> bool {
        self.0 & (1 << replica.get()) != 0
    }

    /// How many are in the set.
    #[must_use]
    pub const fn count(self) -> u8 {
        // At most eight bits are set.
        self.0.count_ones().to_le_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All subsets of `replica_count` replicas that have `size` members, as bit masks.
    fn subsets(replica_count: u8, size: u8) -> impl Iterator<Item = u16> + Clone {
        (0..1u16 << replica_count).filter(move |set| set.count_ones() == u32::from(size))
    }

    #[test]
    fn every_pair_of_quorums_that_must_meet_does() {
        for replica_count in 1..=REPLICA_COUNT_MAX {
            let quorums = Quorums::of(replica_count);
            for change in subsets(replica_count, quorums.view_change()) {
                for commit in subsets(replica_count, quorums.replication()) {
                    assert_ne!(change & commit, 0, "a view change that hears of no commit");
                }
                for other in subsets(replica_count, quorums.view_change()) {
                    assert_ne!(change & other, 0, "two view changes to one view");
                }
            }
            for nack in subsets(replica_count, quorums.nack()) {
                for commit in subsets(replica_count, quorums.replication()) {
                    assert_ne!(nack & commit, 0, "a committed operation denied by a quorum");
                }
            }
        }
        // A size one smaller anywhere would have left two sets apart.
    }

    #[test]
    fn sizes_are_majorities() {
        let table: [(u8, u8, u8, u8); 7] = [
            (1, 1, 1, 0),
            (2, 2, 1, 0),
            (3, 2, 2, 1),
            (4, 3, 2, 1),
            (5, 3, 3, 2),
            (6, 4, 3, 2),
            (7, 4, 4, 3),
        ];
        for (replica_count, majority, nack, tolerated) in table {
            let quorums = Quorums::of(replica_count);
            assert_eq!(quorums.replication(), majority);
            assert_eq!(quorums.view_change(), majority);
            assert_eq!(quorums.nack(), nack);
            assert_eq!(quorums.tolerated(), tolerated);
        }
        // Rounding the other way would leave even clusters without an intersection.
    }

    #[test]
    fn a_set_counts_nobody_twice() {
        let mut set = ReplicaSet::EMPTY;
        assert!(set.insert(ReplicaIndex::new(3)));
        assert!(!set.insert(ReplicaIndex::new(3)));
        assert_eq!(set.count(), 1);
        assert!(set.contains(ReplicaIndex::new(3)));
        set.remove(ReplicaIndex::new(3));
        assert_eq!(set, ReplicaSet::EMPTY);
        // Counting messages instead would commit on one backup's repeated acknowledgement.
    }
}
