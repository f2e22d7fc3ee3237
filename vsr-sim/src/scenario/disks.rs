//! Disks that fail and lie, in a run: who restarts what halted, and who must go on once the faults have stopped.

use vsr_core::io::{Halt, Status, Zone};
use vsr_core::quorum::ReplicaSet;

use super::listener::Listener;
use super::outcome::FindingKind;
use super::phases::{Ended, Run};
use crate::cluster::budget::SLOTS_PER_HEADER_SECTOR;
use crate::cluster::node::{node_of, replica_at};
use crate::cluster::replica::zone_of;
use crate::engine::SECTOR_SIZE;
use crate::engine::node::{NodeIndex, NodeSet};

/// How long a cluster beyond its budget is watched once the faults have stopped, in times until a view change is abandoned.
const WATCHED_TIMEOUTS: u64 = 12;

impl<T: Listener> Run<'_, T> {
    /// Does for replicas that have halted what their host would do, and judges whether they had any reason to.
    ///
    /// Whoever halts because its disk failed is started again: it may read more then. Whoever has lost its disk is left alone.
    pub(super) fn look_after_halted(&mut self) -> Result<(), Ended> {
        while let Some((node, halt)) = self.monitor_mut().take_halted() {
            let name = node.number();
            let (trouble, disk) = (self.monitor().trouble(), self.world.disk());
            let configuration = &self.scenario.cluster.configuration();
            let is_lost = trouble.is_lost(node, configuration, disk);
            let is_excused = match halt {
                Halt::OutOfSpace => {
                    let words = format!("r{name} has no room for a checkpoint of its state");
                    return Err(Ended::Budget(words));
                }
                Halt::DiskFailed => trouble.has_failed(node, configuration, disk),
                Halt::DiskLost => trouble.hides_superblock(node, configuration, disk),
                Halt::LogLost | Halt::LogDamaged | Halt::CheckpointDamaged => {
                    !self.scenario.budget.is_within()
                }
                Halt::WrongDisk | Halt::LaterFormat => false,
            };
            if !is_excused {
                let words = format!("r{name} halted ({halt:?}), with no reason that its disk gave");
                return self.broken(FindingKind::Safety, "halt", words);
            }
            if matches!(halt, Halt::DiskFailed | Halt::DiskLost) && !is_lost {
                self.world.crash(node);
                let patience = self.scenario.cluster.timeouts.suspect_primary;
                self.hosted.push((self.world.now().plus(patience), node));
            }
        }
        self.restart_hosted();
        Ok(())
    }

    /// Starts again whoever halted some time ago, unless a fault has done so, or keeps it down.
    fn restart_hosted(&mut self) {
        let now = self.world.now();
        let mut due: Vec<NodeIndex> = Vec::new();
        self.hosted.retain(|(time, node)| {
            if *time <= now {
                due.push(*node);
            }
            *time > now
        });
        for node in due.into_iter().filter(|node| !self.injector.is_kept_down(*node)) {
            self.world.restart(node);
        }
    }

    /// The replicas that must make progress: the first ones in `order` of a quorum at least, and of as many more as it takes for the
    /// spoiled entries among them to be brought back, or to be known not to matter.
    pub(super) fn core_of(&self, order: &[NodeIndex], size: usize) -> NodeSet {
        let whole: Vec<NodeIndex> =
            order.iter().copied().filter(|node| !self.has_lost_disk(*node)).collect();
        let mut core: NodeSet = whole.iter().take(size).copied().collect();
        for node in whole.iter().skip(size) {
            if self.can_go_on(core) {
                break;
            }
            core.insert(*node);
        }
        core
    }

    /// Whether the replica takes part in nothing any more, however often it starts.
    fn has_lost_disk(&self, node: NodeIndex) -> bool {
        let takes_part = self.replica(node).is_some_and(|replica| {
            let replica = replica.replica();
            replica.halted().is_none() && replica.status() != Status::Recovering
        });
        let configuration = self.scenario.cluster.configuration();
        !takes_part && self.monitor().trouble().is_lost(node, &configuration, self.world.disk())
    }

    fn can_go_on(&self, core: NodeSet) -> bool {
        let configuration = self.scenario.cluster.configuration();
        let mut replicas = ReplicaSet::EMPTY;
        for replica in core.iter().filter_map(|node| replica_at(&configuration, node)) {
            replicas.insert(replica);
        }
        let disk = self.world.disk();
        self.monitor().oracles().can_go_on(replicas, |replica, slot| {
            let sector = slot / SLOTS_PER_HEADER_SECTOR * SECTOR_SIZE as u64;
            disk.is_spoiled(node_of(replica), zone_of(Zone::Headers), sector, SECTOR_SIZE)
        })
    }

    /// A cluster that has lost more than any protocol can bring back: it need not go on, but what it says must be true.
    pub(super) fn watch_on(&mut self) -> Result<(), Ended> {
        let most = self.scenario.cluster.timeouts.abandon_view_change.times(WATCHED_TIMEOUTS);
        let end = self.world.now().plus(most);
        while self.world.now() < end {
            self.look_on()?;
        }
        Ok(())
    }
}
