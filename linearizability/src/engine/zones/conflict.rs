//! What speaks against any order, and the few operations that say it.

use super::assign::{Assignment, NONE};
use super::{Block, Clusters};
use crate::engine::problem::Problem;
use crate::{RegisterStep, RegisterView};

/// Operations that contradict each other. All are positions in the problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// A value was seen that nobody wrote, or only somebody who was called after it had been seen.
    Nobody {
        /// Who saw it.
        reader: u32,
        /// The first writer, if there is one.
        late: Option<u32>,
    },
    /// A swap without an answer must have happened, but what it must have found was never there.
    NobodyBehind {
        /// The swap.
        reader: u32,
        /// Who saw what it left.
        seen_by: Option<u32>,
    },
    /// All writers of a value that was seen had been overwritten before.
    Overwritten {
        /// Who saw it.
        reader: u32,
        /// The write that came between.
        by: u32,
        /// The writers.
        writers: Vec<u32>,
    },
    /// Two swaps found one value.
    TwoSuccessors {
        /// One.
        first: u32,
        /// The other.
        second: u32,
    },
    /// Swaps found each other's values.
    Cycle {
        /// All of them.
        swaps: Vec<u32>,
    },
    /// A chain of swaps puts one operation before another that had returned before the first was called.
    Chain {
        /// What returned first and should come last.
        early: u32,
        /// What was called last and should come first.
        late: u32,
        /// The swaps between their values.
        swaps: Vec<u32>,
    },
    /// Each of two blocks must come before the other.
    Blocks {
        /// The operation of the first block that returned first, and the one that was called last.
        first: (u32, u32),
        /// The same of the second block.
        second: (u32, u32),
        /// The swaps that tie each pair together.
        swaps: Vec<u32>,
    },
    /// A swap failed though the value that it expected was there all the time.
    NotSeen {
        /// The swap.
        reader: u32,
        /// What returned before it with that value.
        before: u32,
        /// What was called after it with that value.
        after: u32,
    },
}

impl Conflict {
    /// The operations that contradict each other; those that have no answer need not be among them.
    pub(crate) fn operations(&self) -> Vec<u32> {
        let mut operations = match self {
            Self::Nobody { reader, .. } => vec![*reader],
            Self::NobodyBehind { seen_by, .. } => seen_by.iter().copied().collect(),
            Self::Overwritten { reader, by, writers } => [&[*reader, *by], &writers[..]].concat(),
            Self::TwoSuccessors { first, second } => vec![*first, *second],
            Self::Cycle { swaps } => swaps.clone(),
            Self::Chain { early, late, swaps } => [&[*early, *late], &swaps[..]].concat(),
            Self::Blocks { first, second, swaps } => {
                [&[first.0, first.1, second.0, second.1], &swaps[..]].concat()
            }
            Self::NotSeen { reader, before, after } => vec![*reader, *before, *after],
        };
        operations.retain(|&operation| operation != NONE);
        operations.sort_unstable();
        operations.dedup();
        operations
    }
}

/// Sorts blocks into an order that keeps real time, or finds two that cannot be sorted.
///
/// Two forward zones that overlap contradict each other, and so does a backward zone inside a forward one. Nothing else
/// does, so the end of each zone that comes first decides.
pub(super) fn sort_blocks(
    clusters: &Clusters,
    mut blocks: Vec<Block>,
) -> Result<Vec<Block>, Conflict> {
    blocks.sort_unstable_by_key(|block| (block.start(), block.is_forward(), block.first));
    let forward: Vec<&Block> = blocks.iter().filter(|block| block.is_forward()).collect();
    for pair in forward.windows(2) {
        if pair[1].returned.0 < pair[0].called.0 {
            return Err(conflict(clusters, pair[0], pair[1]));
        }
    }
    let mut next = 0;
    for block in blocks.iter().filter(|block| !block.is_forward()) {
        while next < forward.len() && forward[next].returned.0 < block.called.0 {
            next += 1;
        }
        // The forward zones do not overlap: of those that begin before this block, the last ends last.
        if let Some(zone) = next.checked_sub(1).map(|last| forward[last])
            && block.returned.0 < zone.called.0
        {
            return Err(conflict(clusters, zone, block));
        }
    }
    Ok(blocks)
}

fn conflict(clusters: &Clusters, first: &Block, second: &Block) -> Conflict {
    let mut swaps = ties(clusters, first);
    swaps.extend(ties(clusters, second));
    Conflict::Blocks {
        first: (first.returned.1, first.called.1),
        second: (second.returned.1, second.called.1),
        swaps,
    }
}

/// The swaps of the chain from where the block's first returning operation is to where its last called one is.
fn ties(clusters: &Clusters, block: &Block) -> Vec<u32> {
    let belongs = |cluster: u32, operation: u32| {
        clusters.clusters[cluster as usize].writer == Some(operation)
            || clusters.readers(cluster).contains(&operation)
            || (operation == NONE && cluster == 0)
    };
    let mut swaps = Vec::new();
    let mut ends = 0;
    let mut cluster = block.first;
    loop {
        ends += usize::from(belongs(cluster, block.returned.1));
        ends += usize::from(belongs(cluster, block.called.1));
        let Some(swap) = clusters.clusters[cluster as usize].successor else {
            return swaps;
        };
        if ends >= 2 {
            return swaps;
        }
        if ends == 1 {
            swaps.push(swap);
        }
        cluster = clusters.written[swap as usize];
    }
}

/// Looks for a failed swap whose whole interval lies where the value it expected was certainly there.
pub(super) fn refute_not_seen(
    problem: &Problem,
    view: &RegisterView,
    assignment: &Assignment,
    clusters: &Clusters,
) -> Result<(), Conflict> {
    let evasive = |(operation, step): (u32, &RegisterStep)| match step {
        RegisterStep::ReadNot(value) if assignment.kept[operation as usize] => {
            Some((operation, *value))
        }
        RegisterStep::ReadNot(_)
        | RegisterStep::Nothing
        | RegisterStep::Read(_)
        | RegisterStep::Write(_)
        | RegisterStep::Swap { .. } => None,
    };
    let evasive: Vec<(u32, u32)> = (0_u32..).zip(&view.steps).filter_map(evasive).collect();
    if evasive.is_empty() {
        return Ok(());
    }
    let mut zones: Vec<(u32, i64, i64, u32, u32)> = Vec::with_capacity(clusters.clusters.len());
    for cluster in &clusters.clusters {
        let value = cluster
            .writer
            .map_or(Some(view.initial), |writer| super::writes(view.steps[writer as usize]));
        let (mut returned, mut called) = (cluster.returned, cluster.called);
        if let Some(swap) = cluster.successor {
            // It found the value, so the value was there when it was called or later.
            returned = returned.min((problem.returned[swap as usize], swap));
            called = called.max((problem.call[swap as usize], swap));
        }
        if let Some(value) = value
            && returned.0 < called.0
        {
            zones.push((value, returned.0, called.0, returned.1, called.1));
        }
    }
    zones.sort_unstable();
    for (reader, value) in evasive {
        let (call, returned) = (problem.call[reader as usize], problem.returned[reader as usize]);
        // Zones of one value that overlap are refuted elsewhere: the last that begins before the call decides.
        let end = zones.partition_point(|zone| (zone.0, zone.1) < (value, call));
        if let Some(zone) = end.checked_sub(1).map(|last| zones[last])
            && zone.0 == value
            && returned < zone.2
        {
            return Err(Conflict::NotSeen { reader, before: zone.3, after: zone.4 });
        }
    }
    Ok(())
}
