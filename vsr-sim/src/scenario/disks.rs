//! Disks that fail and lie, in a run: who restarts what halted, and who must go on once the faults have stopped.

use vsr_core::io::{Halt, Zone};
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
    /// Whoever halts because its disk failed is started again; whoever has lost its disk is left alone.
    pub(super) fn look_after_halted(&mut self) -> Result<(), Ended> {
        while let Some((node, halt)) = self.monitor_mut().take_halted() {
            let name = node.number();
            let (failed, wiped) = (self.monitor().failed_disks(), self.monitor().wiped_disks());
            let is_excused = match halt {
                Halt::OutOfSpace => {
                    let words = format!("r{name} has no room for a checkpoint of its state");
                    return Err(Ended::Budget(words));
                }
                Halt::DiskFailed if failed.contains(node) => {
                    self.world.crash(node);
                    let patience = self.scenario.cluster.timeouts.suspect_primary;
                    self.hosted.push((self.world.now().plus(patience), node));
                    true
                }
                Halt::DiskLost if wiped.contains(node) => true,
                Halt::DiskLost | Halt::LogLost | Halt::LogDamaged | Halt::CheckpointDamaged => {
                    !self.scenario.budget.is_within()
                }
                Halt::DiskFailed | Halt::WrongDisk | Halt::LaterFormat => false,
            };
            if !is_excused {
                let words = format!("r{name} halted ({halt:?}), with no reason that its disk gave");
                return self.broken(FindingKind::Safety, "halt", words);
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
        let wiped = self.monitor().wiped_disks();
        let whole: Vec<NodeIndex> =
            order.iter().copied().filter(|node| !wiped.contains(*node)).collect();
        let mut core: NodeSet = whole.iter().take(size).copied().collect();
        for node in whole.iter().skip(size) {
            if self.can_go_on(core) {
                break;
            }
            core.insert(*node);
        }
        core
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
