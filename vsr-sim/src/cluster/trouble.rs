//! What disks did to the processes that now run on them: whether a replica that halts had a reason to.

use vsr_core::configuration::Configuration;
use vsr_core::io::Zone;
use vsr_core::superblock::{COPIES, Superblock};

use super::replica::zone_of;
use crate::engine::{Disk, Mishap, MishapKind, NodeIndex, NodeSet};

/// The nodes whose disks have failed them, by how. What a disk did to a process that is gone is no excuse for the next one.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskTrouble {
    /// A write has failed.
    failed_writes: NodeSet,
    /// The disk was replaced by an empty one, whenever that was.
    wiped: NodeSet,
    /// By copy of the superblock: it could not be read, or what was read was another place.
    misread: [NodeSet; COPIES as usize],
    /// Some copy of the superblock could not be read.
    failed_reads: NodeSet,
}

impl DiskTrouble {
    /// Something has happened to a disk.
    pub fn learn(&mut self, mishap: &Mishap, configuration: &Configuration) {
        match mishap.kind {
            MishapKind::WriteFailed => self.failed_writes.insert(mishap.node),
            MishapKind::Wiped => self.wiped.insert(mishap.node),
            MishapKind::ReadFailed | MishapKind::ReadMisdirected
                if mishap.zone == zone_of(Zone::Superblock) =>
            {
                let copy = mishap.offset / Superblock::copy_size(configuration);
                let copy = usize::try_from(copy).expect("a place on a disk");
                if let Some(nodes) = self.misread.get_mut(copy) {
                    nodes.insert(mishap.node);
                }
                if mishap.kind == MishapKind::ReadFailed {
                    self.failed_reads.insert(mishap.node);
                }
            }
            MishapKind::ReadFailed
            | MishapKind::ReadMisdirected
            | MishapKind::Flipped
            | MishapKind::Garbled
            | MishapKind::Unreadable
            | MishapKind::WriteLost
            | MishapKind::WriteMisdirected
            | MishapKind::Overwritten
            | MishapKind::WriteLate => {}
        }
    }

    /// The node's process is gone.
    pub fn forget(&mut self, node: NodeIndex) {
        self.failed_writes.remove(node);
        self.failed_reads.remove(node);
        self.misread.iter_mut().for_each(|nodes| nodes.remove(node));
    }

    /// Whether the process of `node` cannot know what its disk holds: a write has failed, or no copy of the superblock was read
    /// as it should be, and one could not be read at all.
    #[must_use]
    pub fn has_failed(&self, node: NodeIndex, configuration: &Configuration, disk: &Disk) -> bool {
        self.failed_writes.contains(node)
            || self.failed_reads.contains(node) && self.hides_superblock(node, configuration, disk)
    }

    /// Whether the process of `node` got no copy of its superblock as it should be.
    #[must_use]
    pub fn hides_superblock(
        &self,
        node: NodeIndex,
        configuration: &Configuration,
        disk: &Disk,
    ) -> bool {
        self.wiped.contains(node)
            || self.misread.iter().zip(0..).all(|(nodes, copy)| {
                nodes.contains(node) || is_copy_spoiled(node, copy, configuration, disk)
            })
    }

    /// Whether the disk of `node` holds no copy of its superblock any more, and no other start will find one.
    #[must_use]
    pub fn is_lost(&self, node: NodeIndex, configuration: &Configuration, disk: &Disk) -> bool {
        let is_spoiled = |copy| is_copy_spoiled(node, copy, configuration, disk);
        self.wiped.contains(node) || (0..COPIES).all(is_spoiled)
    }
}

fn is_copy_spoiled(node: NodeIndex, copy: u32, configuration: &Configuration, disk: &Disk) -> bool {
    let size = Superblock::copy_size(configuration);
    let bytes = usize::try_from(size).expect("a few sectors");
    disk.is_spoiled(node, zone_of(Zone::Superblock), u64::from(copy) * size, bytes)
}
