//! The fault budget: which part of which disk may be spoiled, decided before a run begins.
//!
//! Of each operation some copies may be damaged, and at least one must stay whole: the copies of a committed operation are a
//! replication quorum, and of every operation fewer disks than that may be spoiled. A copy is damaged too where the checkpoint is that
//! it went into: so whose checkpoints may be spoiled, of theirs any operation may be, and of the others so many fewer. Nor may a disk
//! deny what it has acknowledged: of the two rings of a log only one may be spoiled at any operation, so that the other one can tell.
//! Of the copies of a superblock one may be. A cluster whose disks keep within that budget loses nothing, and comes back once its
//! disks are left alone.
//!
//! Operations share sectors in the ring of headers. So the budget goes by groups of slots whose headers are in one sector.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vsr_core::configuration::Configuration;
use vsr_core::header::HEADER_SIZE;
use vsr_core::io::Zone;
use vsr_core::superblock::{COPIES, Superblock};

use super::node::node_of;
use super::replica::zone_of;
use crate::engine::random::{Fate, Keyed};
use crate::engine::{Disk, Mischief, NodeIndex, NodeSet, SECTOR_SIZE, Seed};

/// How much of what disks hold may be spoiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// Whatever the steps say: whoever wrote them has kept the budget.
    #[default]
    ByHand,
    /// Nothing: disks may be slow and fail, but what they hold is what was written there.
    Nothing,
    /// The logs of the same few replicas.
    Minority,
    /// Some copies of each operation, of one here and of another there.
    Scattered,
    /// As scattered, and one replica may lose its whole disk.
    Wiped,
    /// All that a checksum can tell, everywhere: the cluster may come to a halt, but must not answer wrongly.
    Beyond,
}

impl Budget {
    /// Whether nothing limits the steps.
    #[must_use]
    pub const fn is_by_hand(&self) -> bool {
        matches!(self, Self::ByHand)
    }

    /// Whether a cluster that keeps within it must go on.
    #[must_use]
    pub const fn is_within(self) -> bool {
        !matches!(self, Self::Beyond)
    }
}

/// Marks on `disk` what may be spoiled in a run with this seed.
pub fn mark(disk: &mut Disk, budget: Budget, configuration: &Configuration, seed: Seed) {
    let scribe = Scribe { configuration, keyed: Keyed::new(seed, "budget"), disk };
    match budget {
        Budget::ByHand => {}
        Budget::Nothing => scribe.disk.limit(),
        Budget::Minority | Budget::Scattered | Budget::Wiped => scribe.mark_within(budget),
        Budget::Beyond => scribe.mark_all(),
    }
}

struct Scribe<'a> {
    configuration: &'a Configuration,
    keyed: Keyed,
    disk: &'a mut Disk,
}

/// What fates are drawn for.
mod what {
    pub(super) const GROUP: u64 = 1;
    pub(super) const COPY: u64 = 2;
    pub(super) const RING: u64 = 3;
    pub(super) const WIPED: u64 = 4;
    pub(super) const CHECKPOINTS: u64 = 5;
}

/// Slots whose headers are in one sector.
pub const SLOTS_PER_HEADER_SECTOR: u64 = (SECTOR_SIZE / HEADER_SIZE) as u64;

impl Scribe<'_> {
    fn mark_within(mut self, budget: Budget) {
        self.disk.limit();
        let wiped = self.wiped(budget);
        for node in wiped.iter() {
            self.disk.permit_wiping(node);
        }
        let rotten = self.checkpoints(budget, wiped);
        for group in 0..u64::from(self.configuration.slots).div_ceil(SLOTS_PER_HEADER_SECTOR) {
            let which = if budget == Budget::Minority { 0 } else { group };
            for node in self.spoiled(which, wiped, rotten).iter() {
                let name = group << 8 | u64::from(node.number());
                let ring = match self.keyed.fate(what::RING, name).up_to(0, 2) {
                    0 => Zone::Headers,
                    _ => Zone::Prepares,
                };
                self.permit_group(node, ring, group, &[Mischief::Rot, Mischief::Lie]);
            }
        }
        self.mark_superblocks();
        for node in rotten.iter() {
            self.permit_checkpoints(node, &[Mischief::Rot, Mischief::Lie]);
        }
    }

    fn permit_checkpoints(&mut self, node: NodeIndex, mischief: &[Mischief]) {
        let size = 2 * self.configuration.snapshot_area_size();
        for one in mischief {
            self.disk.permit(node, zone_of(Zone::Snapshots), *one, 0..size);
        }
    }

    /// Anything may rot, and every disk may be lost; but no disk may lie about what it has acknowledged, for that nobody could tell.
    fn mark_all(mut self) {
        self.disk.limit();
        for replica in self.configuration.replicas() {
            let node = node_of(replica);
            self.disk.permit_wiping(node);
            for group in 0..u64::from(self.configuration.slots).div_ceil(SLOTS_PER_HEADER_SECTOR) {
                for ring in [Zone::Headers, Zone::Prepares] {
                    self.permit_group(node, ring, group, &[Mischief::Rot]);
                }
            }
            let size = u64::from(COPIES) * Superblock::copy_size(self.configuration);
            self.disk.permit(node, zone_of(Zone::Superblock), Mischief::Rot, 0..size);
            self.permit_checkpoints(node, &[Mischief::Rot]);
        }
    }

    /// The replicas that may lose everything.
    fn wiped(&self, budget: Budget) -> NodeSet {
        let count = self.configuration.replica_count;
        if budget != Budget::Wiped || self.most() == 0 || count < 3 {
            return NodeSet::EMPTY;
        }
        let fate = self.keyed.fate(what::WIPED, 0);
        let number = fate.up_to(0, u64::from(count) - 1);
        NodeSet::only(NodeIndex::new(u8::try_from(number).expect("below a count of replicas")))
    }

    /// On how many disks any one operation may be damaged: fewer than a quorum of either kind.
    fn most(&self) -> u8 {
        let quorums = self.configuration.quorums();
        quorums.replication().min(quorums.view_change()) - 1
    }

    /// The replicas whose checkpoints may be damaged: where it is those of one group of operations that it is of another, all of
    /// them; else some.
    fn checkpoints(&self, budget: Budget, wiped: NodeSet) -> NodeSet {
        if budget == Budget::Minority {
            return self.spoiled(0, wiped, NodeSet::EMPTY);
        }
        let fate = self.keyed.fate(what::CHECKPOINTS, 0);
        let count =
            fate.up_to(u64::from(self.configuration.replica_count), self.room(wiped) as u64);
        let count = usize::try_from(count).expect("a few replicas");
        self.shuffled(fate).into_iter().filter(|node| !wiped.contains(*node)).take(count).collect()
    }

    /// The replicas whose copies of a group's operations may be damaged, `wiped` ones besides: all whose checkpoints may be
    /// `rotten`, and others.
    fn spoiled(&self, group: u64, wiped: NodeSet, rotten: NodeSet) -> NodeSet {
        let order = self.shuffled(self.keyed.fate(what::GROUP, group));
        let others =
            order.into_iter().filter(|node| !wiped.contains(*node) && !rotten.contains(*node));
        rotten.iter().chain(others).take(self.room(wiped)).collect()
    }

    /// On how many disks any one operation may be damaged, `wiped` ones besides.
    fn room(&self, wiped: NodeSet) -> usize {
        let room = u32::from(self.most()).saturating_sub(wiped.count());
        usize::try_from(room).expect("a few replicas")
    }

    fn shuffled(&self, fate: Fate) -> Vec<NodeIndex> {
        let mut nodes: Vec<NodeIndex> =
            NodeIndex::first(self.configuration.replica_count).collect();
        shuffle(&mut nodes, fate);
        nodes
    }

    fn permit_group(&mut self, node: NodeIndex, ring: Zone, group: u64, mischief: &[Mischief]) {
        let slot_size = match ring {
            Zone::Headers => HEADER_SIZE as u64,
            Zone::Prepares => self.configuration.prepare_slot_size(),
            Zone::Superblock | Zone::Snapshots => unreachable!("the rings are the log's"),
        };
        let bytes = group * SLOTS_PER_HEADER_SECTOR * slot_size
            ..(group + 1) * SLOTS_PER_HEADER_SECTOR * slot_size;
        for one in mischief {
            self.disk.permit(node, zone_of(ring), *one, bytes.clone());
        }
    }

    /// One copy of each superblock may be spoiled, always the same.
    fn mark_superblocks(&mut self) {
        let size = Superblock::copy_size(self.configuration);
        for replica in self.configuration.replicas() {
            let node = node_of(replica);
            let fate = self.keyed.fate(what::COPY, u64::from(replica.get()));
            let copy = fate.up_to(0, u64::from(COPIES) - 1);
            for mischief in [Mischief::Rot, Mischief::Lie] {
                let bytes = copy * size..(copy + 1) * size;
                self.disk.permit(node, zone_of(Zone::Superblock), mischief, bytes);
            }
        }
    }
}

/// Puts nodes into an order that is the fate's alone.
fn shuffle(nodes: &mut [NodeIndex], fate: Fate) {
    for last in (1..nodes.len()).rev() {
        let other = fate.up_to(last as u64, last as u64);
        nodes.swap(last, usize::try_from(other).expect("a place in a short list"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::disk::DiskRates;

    const ZONES: usize = 4;

    fn disk(budget: Budget, configuration: &Configuration, seed: u64) -> Disk {
        let mut disk = Disk::new();
        let rates = DiskRates::default();
        disk.reset(Seed::new(seed), (configuration.replica_count, ZONES), rates, drop);
        mark(&mut disk, budget, configuration, Seed::new(seed));
        disk
    }

    fn may(disk: &Disk, node: NodeIndex, zone: Zone, offset: u64) -> bool {
        let both = [Mischief::Rot, Mischief::Lie]
            .map(|one| disk.permits(node, zone_of(zone), one, offset));
        both.contains(&true)
    }

    /// For every operation: fewer damaged copies than a quorum, in the log or in the checkpoint that it went into, and no disk on which
    /// both rings may be spoiled.
    #[test]
    fn every_operation_keeps_a_whole_copy_and_every_disk_a_ring_that_can_tell() {
        for (count, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)] {
            let configuration = Configuration::of(count);
            let slot_size = configuration.prepare_slot_size();
            for budget in [Budget::Minority, Budget::Scattered, Budget::Wiped] {
                let mut met = NodeSet::EMPTY;
                for seed in 0..20 {
                    let mut disk = disk(budget, &configuration, seed);
                    let wiped: NodeSet =
                        NodeIndex::first(count).filter(|node| disk.wipe(*node)).collect();
                    let mut slots = NodeSet::EMPTY;
                    for slot in 0..u64::from(configuration.slots) {
                        let mut spoiled = wiped;
                        for node in NodeIndex::first(count) {
                            if may(&disk, node, Zone::Snapshots, 0) {
                                spoiled.insert(node);
                            }
                            let header = may(&disk, node, Zone::Headers, slot * 256);
                            let prepare = may(&disk, node, Zone::Prepares, slot * slot_size);
                            assert!(!(header && prepare), "{count} {budget:?} {seed} {slot}");
                            if header || prepare {
                                spoiled.insert(node);
                            }
                        }
                        assert!(spoiled.count() <= most, "{count} {budget:?} {seed} {slot}");
                        slots = slots.union(spoiled);
                    }
                    if budget == Budget::Minority {
                        assert_eq!(slots.count(), most);
                    }
                    met = met.union(slots);
                }
                let expected = if most == 0 { 0 } else { u32::from(count) };
                assert_eq!(met.count(), expected, "over seeds everybody has a turn");
            }
        }
    }

    #[test]
    fn of_a_superblock_one_copy_may_be_spoiled() {
        let configuration = Configuration::of(3);
        let disk = disk(Budget::Scattered, &configuration, 1);
        let size = Superblock::copy_size(&configuration);
        for node in NodeIndex::first(3) {
            let copies = (0..u64::from(COPIES))
                .filter(|copy| may(&disk, node, Zone::Superblock, copy * size))
                .count();
            assert_eq!(copies, 1);
        }
    }

    #[test]
    fn the_checkpoints_of_fewer_replicas_than_a_quorum_may_be_spoiled() {
        for (count, most) in [(1, 0), (2, 1), (3, 1), (5, 2)] {
            let configuration = Configuration::of(count);
            let (mut met, mut counts) = (NodeSet::EMPTY, Vec::new());
            for seed in 0..40 {
                let disk = disk(Budget::Scattered, &configuration, seed);
                let spoiled: NodeSet = NodeIndex::first(count)
                    .filter(|node| may(&disk, *node, Zone::Snapshots, 0))
                    .collect();
                counts.push(spoiled.count());
                met = met.union(spoiled);
            }
            counts.sort_unstable();
            counts.dedup();
            let expected: Vec<u32> = (0..=most).collect();
            assert_eq!(counts, expected, "of none here, of as many as may be there");
            assert_eq!(met.count(), if most == 0 { 0 } else { u32::from(count) });
        }
        // With every checkpoint gone, what it holds is in no log any more.
    }

    #[test]
    fn beyond_the_budget_everything_may_rot_and_nothing_may_lie() {
        let configuration = Configuration::of(3);
        let disk = disk(Budget::Beyond, &configuration, 1);
        for node in NodeIndex::first(3) {
            for zone in [Zone::Superblock, Zone::Headers, Zone::Prepares, Zone::Snapshots] {
                assert!(disk.permits(node, zone_of(zone), Mischief::Rot, 4096));
                assert!(!disk.permits(node, zone_of(zone), Mischief::Lie, 4096));
            }
        }
    }
}
