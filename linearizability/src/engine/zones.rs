//! A register whose values are written once: decided by sorting, after Gibbons and Korach (1997).
//!
//! All that a value's writer and its readers do must stand together in any order: a *cluster*. A swap ties the cluster of
//! the value that it found to the cluster of the value that it left: a *chain* of clusters is one block. Block A must come
//! before block B iff something of A returned before something of B was called, and if that is contradictory at all,
//! then between two blocks. So it is enough to know of each block its least return and its greatest call.
//!
//! Extensions: pending operations (kept if what they wrote was seen), values written more than once (each reader goes to
//! the only writer that can be meant; where that is a guess an order is still a proof, a contradiction is not), and reads
//! that only say what they did not see (they may refute here, but mostly not confirm).

mod assign;
mod conflict;
mod order;

pub(crate) use conflict::Conflict;

use super::problem::Problem;
use crate::{RegisterStep, RegisterView};
use assign::{Assignment, NONE};

/// What the zones say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Zones {
    /// An order, not yet replayed.
    Order(Vec<u32>),
    /// A contradiction, between operations that alone suffice for it.
    Impossible(Conflict),
    /// Neither.
    Undecided,
}

/// Looks at the zones of `problem`, whose operations do what `view` says.
pub(crate) fn decide(problem: &Problem, view: &RegisterView) -> Zones {
    let assignment = match Assignment::new(problem, view) {
        Ok(assignment) => assignment,
        Err(Some(conflict)) => return Zones::Impossible(conflict),
        Err(None) => return Zones::Undecided,
    };
    let judged = Clusters::new(problem, view, &assignment).and_then(|clusters| {
        let blocks = clusters.blocks(problem)?;
        let sorted = conflict::sort_blocks(&clusters, blocks)?;
        conflict::refute_not_seen(problem, view, &assignment, &clusters)?;
        Ok(order::arrange(problem, view, &clusters, &sorted))
    });
    match judged {
        Ok(Some(order)) => Zones::Order(order),
        Err(conflict) if assignment.exact => Zones::Impossible(conflict),
        Ok(None) | Err(_) => Zones::Undecided,
    }
}

/// Which operations matter: without the others, all of them pending, the question is the same.
///
/// `None` when that is not known: a value that somebody did not see makes every write matter.
pub(crate) fn needed(problem: &Problem, view: &RegisterView) -> Option<Vec<bool>> {
    let evasive = |(step, pending): (&RegisterStep, &bool)| {
        !pending && matches!(step, RegisterStep::ReadNot(_))
    };
    if view.steps.iter().zip(&problem.pending).any(evasive) {
        return None;
    }
    let mut seen = vec![false; view.values as usize];
    for (step, pending) in view.steps.iter().zip(&problem.pending) {
        if let (Some(value), false) = (sees(*step), pending) {
            seen[value as usize] = true;
        }
    }
    // What is pending matters if what it wrote may have been seen, and then so does what it saw.
    loop {
        let before = seen.iter().filter(|seen| **seen).count();
        // Mostly the swap that found a value was called before the one that found what it left.
        for step in view.steps.iter().rev() {
            if let RegisterStep::Swap { from, to } = *step
                && seen[to as usize]
            {
                seen[from as usize] = true;
            }
        }
        if seen.iter().filter(|seen| **seen).count() == before {
            break;
        }
    }
    let needs = |(step, pending): (&RegisterStep, &bool)| {
        !pending || writes(*step).is_some_and(|value| seen[value as usize])
    };
    Some(view.steps.iter().zip(&problem.pending).map(needs).collect())
}

/// One value as one writer left it: what wrote it, what saw it, what replaced it by a swap.
#[derive(Debug, Clone, Copy)]
struct Cluster {
    /// Absent for the value before any operation.
    writer: Option<u32>,
    /// The swap that found this value.
    successor: Option<u32>,
    /// The least return and whose it is; the virtual writer of the initial value returned before all.
    returned: (i64, u32),
    /// The greatest call and whose it is.
    called: (i64, u32),
}

/// All clusters, and the readers of each.
#[derive(Debug)]
struct Clusters {
    clusters: Vec<Cluster>,
    /// Readers, sorted by cluster and then by call.
    readers: Vec<u32>,
    /// Where the readers of each cluster begin; one more entry than clusters.
    starts: Vec<u32>,
    /// The cluster that each operation wrote, or `NONE`.
    written: Vec<u32>,
}

/// A maximal chain of clusters.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// Its first cluster.
    first: u32,
    /// Least return, and whose.
    returned: (i64, u32),
    /// Greatest call, and whose.
    called: (i64, u32),
}

impl Block {
    fn is_forward(&self) -> bool {
        self.returned.0 < self.called.0
    }

    fn start(&self) -> i64 {
        self.returned.0.min(self.called.0)
    }
}

impl Clusters {
    fn new(
        problem: &Problem,
        view: &RegisterView,
        assignment: &Assignment,
    ) -> Result<Self, Conflict> {
        let virtual_writer = Cluster {
            writer: None,
            successor: None,
            returned: (i64::MIN, NONE),
            called: (i64::MIN, NONE),
        };
        let mut clusters = vec![virtual_writer];
        let mut written = vec![NONE; problem.len()];
        for (operation, cluster) in (0_u32..).zip(&mut written) {
            let index = operation as usize;
            if assignment.kept[index] && writes(view.steps[index]).is_some() {
                *cluster = u32::try_from(clusters.len()).expect("clusters are operations, and one");
                clusters.push(Cluster {
                    writer: Some(operation),
                    successor: None,
                    returned: (problem.returned[index], operation),
                    called: (problem.call[index], operation),
                });
            }
        }
        let mut counts = vec![0_u32; clusters.len() + 1];
        let mut seen: Vec<(u32, u32)> = Vec::new();
        for (operation, &source) in (0_u32..).zip(&assignment.sources) {
            let Some(cluster) = source.cluster(&written) else {
                continue;
            };
            let index = operation as usize;
            let target = &mut clusters[cluster as usize];
            if written[index] == NONE {
                target.returned = target.returned.min((problem.returned[index], operation));
                target.called = target.called.max((problem.call[index], operation));
                counts[cluster as usize + 1] += 1;
                seen.push((cluster, operation));
            } else if let Some(other) = target.successor.replace(operation) {
                return Err(Conflict::TwoSuccessors { first: other, second: operation });
            }
        }
        for index in 1..counts.len() {
            counts[index] += counts[index - 1];
        }
        let mut places = counts.clone();
        let mut readers = vec![0; seen.len()];
        // Operations come by call, so each cluster's readers do.
        for (cluster, operation) in seen {
            readers[places[cluster as usize] as usize] = operation;
            places[cluster as usize] += 1;
        }
        Ok(Self { clusters, readers, starts: counts, written })
    }

    fn readers(&self, cluster: u32) -> &[u32] {
        let cluster = cluster as usize;
        &self.readers[self.starts[cluster] as usize..self.starts[cluster + 1] as usize]
    }

    /// The cluster that the swap out of `cluster` wrote.
    fn next(&self, cluster: u32) -> Option<u32> {
        self.clusters[cluster as usize].successor.map(|swap| self.written[swap as usize])
    }

    /// Chains the clusters. Inside a chain the order is given, so real time may already speak against it.
    fn blocks(&self, problem: &Problem) -> Result<Vec<Block>, Conflict> {
        let mut chained = vec![true; self.clusters.len()];
        for cluster in &self.clusters {
            if let Some(swap) = cluster.successor {
                chained[self.written[swap as usize] as usize] = false;
            }
        }
        let mut blocks = Vec::new();
        let mut reached = 0;
        for (first, _) in (0_u32..).zip(&chained).filter(|(_, first)| **first) {
            let head = &self.clusters[first as usize];
            let mut block = Block { first, returned: head.returned, called: head.called };
            reached += 1;
            let mut cluster = first;
            while let Some(next) = self.next(cluster) {
                let later = &self.clusters[next as usize];
                if later.returned.0 < block.called.0 {
                    return Err(Conflict::Chain {
                        early: later.returned.1,
                        late: block.called.1,
                        swaps: self.swaps(first, next),
                    });
                }
                block.returned = block.returned.min(later.returned);
                block.called = block.called.max(later.called);
                reached += 1;
                cluster = next;
            }
            // Nobody saw the initial value: there is nothing to place.
            if block.called.0 > i64::MIN {
                blocks.push(block);
            }
        }
        if reached < self.clusters.len() {
            return Err(self.cycle(problem, &chained));
        }
        Ok(blocks)
    }

    /// The swaps that lead from cluster `first` to `last`.
    fn swaps(&self, first: u32, last: u32) -> Vec<u32> {
        let mut swaps = Vec::new();
        let mut cluster = first;
        while cluster != last
            && let Some(swap) = self.clusters[cluster as usize].successor
        {
            swaps.push(swap);
            cluster = self.written[swap as usize];
        }
        swaps
    }

    /// Swaps that found each other's values, round and round.
    fn cycle(&self, problem: &Problem, chained: &[bool]) -> Conflict {
        let mut reached = chained.to_vec();
        for first in (0_u32..).zip(chained).filter(|(_, first)| **first).map(|(first, _)| first) {
            let mut cluster = first;
            while let Some(next) = self.next(cluster) {
                reached[next as usize] = true;
                cluster = next;
            }
        }
        let rest = reached.iter().position(|reached| !reached).expect("something was not reached");
        let first = u32::try_from(rest).expect("clusters are numbered in 32 bits");
        let mut swaps = Vec::new();
        let mut cluster = first;
        loop {
            let swap = self.clusters[cluster as usize].successor.expect("a cycle has no end");
            swaps.push(swap);
            cluster = self.written[swap as usize];
            if cluster == first {
                break;
            }
        }
        assert!(swaps.len() <= problem.len());
        Conflict::Cycle { swaps }
    }
}

/// The value that a step leaves, if it writes.
fn writes(step: RegisterStep) -> Option<u32> {
    match step {
        RegisterStep::Write(value) => Some(value),
        RegisterStep::Swap { from, to } if from != to => Some(to),
        RegisterStep::Swap { .. }
        | RegisterStep::Nothing
        | RegisterStep::Read(_)
        | RegisterStep::ReadNot(_) => None,
    }
}

/// The value that a step must find, if there is one.
fn sees(step: RegisterStep) -> Option<u32> {
    match step {
        RegisterStep::Read(value) => Some(value),
        RegisterStep::Swap { from, .. } => Some(from),
        RegisterStep::Nothing | RegisterStep::Write(_) | RegisterStep::ReadNot(_) => None,
    }
}
