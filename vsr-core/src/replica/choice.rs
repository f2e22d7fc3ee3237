//! The choice of a new view's log from the promises (VR Revisited 4.2, step 3), where disks may have spoiled some of it.
//!
//! The paper's rule stays: the greatest log view, then the greatest op. But an entry that nobody who promised has whole cannot be kept:
//! it is cut off with all that follows if so many deny it that it was never committed, and waited for otherwise. A promise denies an
//! entry when its sender cannot have acknowledged it, or when it was not committed if its sender did: see [`denies`].
//!
//! Deviation: the paper knows no disks that lose what they held.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::checksum::Checksum;
use crate::header::Header;
use crate::message::DoViewChange;
use crate::number::{OpNumber, ReplicaIndex, ViewNumber};
use crate::quorum::{Quorums, ReplicaSet};

/// What the promises so far come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// More promises may tell more.
    Wait,
    /// All have promised, and still nobody can tell or give what may have been committed.
    Lost,
    /// This is the log of the view.
    Log(Chosen),
}

/// The log of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Whose log it is.
    pub(super) from: ReplicaIndex,
    /// Its head.
    pub(super) op: OpNumber,
    /// So much of it is known to be committed.
    pub(super) commit: OpNumber,
    /// Its last headers.
    pub(super) headers: Vec<Header>,
}

/// An entry, as far as a promise can be asked about it.
struct Asked {
    op: OpNumber,
    /// `None` for one after the end of the log to keep, which nobody can name.
    checksum: Option<Checksum>,
    /// The view in which it was first prepared.
    view: ViewNumber,
}

type Held<'a> = (ReplicaIndex, &'a Arc<DoViewChange>);

/// Chooses among `promises`, by the index of their senders, of which there is a view-change quorum.
pub(super) fn choose(
    promises: &[Option<Arc<DoViewChange>>],
    quorums: &Quorums,
    pipeline_max: u32,
) -> Choice {
    let held = || {
        (0..).zip(promises).filter_map(|(index, promise)| {
            promise.as_ref().map(|promise| (ReplicaIndex::new(index), promise))
        })
    };
    let Some(best) = held().max_by_key(|(_, promise)| (promise.log_view, promise.op)) else {
        return Choice::Wait;
    };
    let undecided = if held().count() == usize::from(quorums.replica_count()) {
        Choice::Lost
    } else {
        Choice::Wait
    };
    let commit = held().map(|(_, promise)| promise.commit).max().unwrap_or_default();
    let commit = commit.max(best.1.op.minus(u64::from(pipeline_max)));
    if commit > best.1.op {
        // Whoever has it has not promised yet.
        return undecided;
    }
    let is_denied = |asked: &Asked| {
        let mut deniers = ReplicaSet::EMPTY;
        held().filter(|(_, promise)| denies(promise, asked)).for_each(|(from, _)| {
            deniers.insert(from);
        });
        quorums.is_nack_quorum(deniers)
    };
    for header in best.1.headers.iter().filter(|header| header.op > commit) {
        if held().any(|(_, promise)| has_whole(promise, header)) {
            continue;
        }
        let asked = Asked { op: header.op, checksum: Some(header.checksum), view: header.view };
        if !is_denied(&asked) {
            return undecided;
        }
        return cut(held(), best, header, commit).map_or(undecided, Choice::Log);
    }
    // Whoever has lost the end of that log may have acknowledged more of it.
    let next = Asked { op: best.1.op.next(), checksum: None, view: best.1.log_view };
    let may_go_on = held().any(|(_, promise)| !denies(promise, &next));
    if may_go_on && !is_denied(&next) {
        return undecided;
    }
    let headers = best.1.headers.to_vec();
    Choice::Log(Chosen { from: best.0, op: best.1.op, commit, headers })
}

/// The log of `best` before `first`; `None` if nobody has told the header of its head.
fn cut<'a>(
    mut held: impl Iterator<Item = Held<'a>>,
    best: Held<'a>,
    first: &Header,
    commit: OpNumber,
) -> Option<Chosen> {
    let (from, promise) = best;
    let op = first.op.minus(1);
    let mut headers: Vec<Header> =
        promise.headers.iter().copied().filter(|header| header.op < first.op).collect();
    if headers.is_empty() && op > OpNumber::ZERO {
        let is_head = |header: &&Header| header.checksum == first.parent;
        headers.push(*held.find_map(|(_, promise)| promise.headers.iter().find(is_head))?);
    }
    Some(Chosen { from, op, commit, headers })
}

/// Whether the sender has the entry whole, or had it that long ago that it was committed.
fn has_whole(promise: &DoViewChange, header: &Header) -> bool {
    let places = promise.headers.iter().zip(0..);
    places
        .filter(|(own, _)| own.op == header.op)
        .any(|(own, place)| own.checksum == header.checksum && promise.spoiled >> place & 1 == 0)
}

/// Whether the sender proves that the entry was not committed with its help.
///
/// It was never normal in the view in which the entry was first prepared, nor in a later one; or its log, which is that of a view in
/// which the entry existed, is without it: had the entry been committed in that view or before, it would be there.
fn denies(promise: &DoViewChange, asked: &Asked) -> bool {
    if asked.view > promise.log_view {
        return true;
    }
    if asked.op > promise.op {
        return asked.op > promise.reach;
    }
    let own = promise.headers.iter().find(|own| own.op == asked.op);
    own.is_some_and(|own| asked.checksum.is_some_and(|checksum| own.checksum != checksum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::ClusterId;
    use alloc::vec;

    const PIPELINE: u32 = 4;

    /// A chain of entries, prepared in these views.
    fn chain(views: &[u64]) -> Vec<Header> {
        let mut headers = vec![Header::root(ClusterId::new(1))];
        for view in views {
            let last = headers[headers.len() - 1];
            let mut header = Header { parent: last.checksum, op: last.op.next(), ..last };
            header.view = ViewNumber::new(*view);
            header.seal();
            headers.push(header);
        }
        headers
    }

    /// A promise of the log of `log_view` with the first `op` entries of `chain`, of which these are spoiled.
    fn promise(
        log_view: u64,
        chain: &[Header],
        op: usize,
        spoiled: &[usize],
    ) -> Option<Arc<DoViewChange>> {
        let first = (op + 1).saturating_sub(PIPELINE as usize).max(1);
        let bits = spoiled.iter().map(|op| 1 << (op - first));
        Some(Arc::new(DoViewChange {
            log_view: ViewNumber::new(log_view),
            op: OpNumber::new(op as u64),
            commit: OpNumber::ZERO,
            checkpoint: OpNumber::ZERO,
            spoiled: bits.fold(0, |all, bit| all | bit),
            reach: OpNumber::new(op as u64),
            headers: chain[first..=op].into(),
        }))
    }

    fn doubtful(promise: Option<Arc<DoViewChange>>, reach: u64) -> Option<Arc<DoViewChange>> {
        let promise = promise.as_deref()?.clone();
        Some(Arc::new(DoViewChange { reach: OpNumber::new(reach), ..promise }))
    }

    /// The head of the chosen log; `Err` says whether all is lost.
    fn head(promises: &[Option<Arc<DoViewChange>>]) -> Result<u64, bool> {
        let count = u8::try_from(promises.len()).unwrap();
        match choose(promises, &Quorums::of(count), PIPELINE) {
            Choice::Log(chosen) => {
                assert_eq!(chosen.headers.last().map_or(0, |last| last.op.get()), chosen.op.get());
                Ok(chosen.op.get())
            }
            Choice::Wait => Err(false),
            Choice::Lost => Err(true),
        }
    }

    #[test]
    fn the_log_of_the_greatest_log_view_wins_and_the_longest_of_that() {
        let old = chain(&[0, 0, 0]);
        let new = chain(&[0, 1]);
        assert_eq!(head(&[promise(0, &old, 3, &[]), promise(1, &new, 2, &[]), None]), Ok(2));
        assert_eq!(head(&[promise(1, &new, 1, &[]), promise(1, &new, 2, &[]), None]), Ok(2));
    }

    #[test]
    fn what_one_has_spoiled_and_another_has_whole_is_kept() {
        let log = chain(&[0, 0]);
        assert_eq!(head(&[promise(0, &log, 2, &[2]), promise(0, &log, 2, &[]), None]), Ok(2));
    }

    /// r0 and r2 may have committed it, r1 never had it: its word alone is not enough.
    #[test]
    fn what_nobody_has_whole_and_too_few_deny_is_waited_for() {
        let log = chain(&[0, 0]);
        let spoiled = || promise(0, &log, 2, &[2]);
        assert_eq!(head(&[spoiled(), promise(0, &log, 1, &[]), None]), Err(false));
        assert_eq!(head(&[spoiled(), promise(0, &log, 1, &[]), promise(0, &log, 2, &[])]), Ok(2));
        assert_eq!(head(&[spoiled(), promise(0, &log, 1, &[]), spoiled()]), Err(true));
        // Cut off on one denial, an operation that a client has an answer for would be gone.
    }

    #[test]
    fn what_nobody_has_whole_and_a_quorum_denies_is_cut_off_with_all_that_follows() {
        let log = chain(&[0, 0, 0]);
        let short = || promise(0, &log, 1, &[]);
        assert_eq!(head(&[promise(0, &log, 3, &[2]), short(), short()]), Ok(1));
        let five = [promise(0, &log, 3, &[3]), short(), short(), short(), None];
        assert_eq!(head(&five), Ok(2));
        let four = [promise(0, &log, 3, &[3]), short(), short(), None];
        assert_eq!(head(&four), Ok(2));
    }

    /// An entry of view 1, first prepared there: who was never in view 1 has not acknowledged it.
    #[test]
    fn an_older_log_denies_what_was_prepared_after_it_and_what_it_would_hold_were_it_committed() {
        let log = chain(&[0, 1]);
        let spoiled = || promise(1, &log, 2, &[2]);
        let older = || promise(0, &log, 1, &[]);
        assert_eq!(head(&[spoiled(), older(), older()]), Ok(1));
        // An entry of view 0, which is in the log of view 2 too: r1 and r2 have the log of view 1, and it is not in that.
        let kept = chain(&[0, 0]);
        let between = || promise(1, &kept, 1, &[]);
        assert_eq!(head(&[promise(2, &kept, 2, &[2]), between(), between()]), Ok(1));
        // But where it is there, whole or not, it is not denied.
        let holder = promise(0, &kept, 2, &[2]);
        assert_eq!(head(&[promise(2, &kept, 2, &[2]), between(), holder]), Err(true));
    }

    /// What lies a pipeline below any head was committed: a promise that tells nothing of it does not deny it.
    #[test]
    fn a_log_that_has_gone_on_beyond_what_its_promise_tells_denies_nothing_there() {
        let lost = chain(&[0, 0]);
        let long = chain(&[0, 0, 1, 1, 1, 1, 1]);
        let goes_on = || promise(1, &long, 7, &[]);
        assert_eq!(head(&[promise(2, &lost, 2, &[2]), goes_on(), goes_on()]), Err(true));
    }

    /// r0 does not know where its log ended; it may have acknowledged operation 2, and so may one other.
    #[test]
    fn beyond_an_uncertain_head_nothing_is_denied_as_far_as_it_may_reach() {
        let log = chain(&[0, 0]);
        let short = || promise(0, &log, 1, &[]);
        let uncertain = || doubtful(short(), 3);
        assert_eq!(head(&[uncertain(), short(), None]), Err(false));
        assert_eq!(head(&[uncertain(), short(), short()]), Ok(1));
        assert_eq!(head(&[uncertain(), uncertain(), short()]), Err(true));
        assert_eq!(head(&[uncertain(), promise(0, &log, 2, &[]), short()]), Ok(2));
        // Its own doubt does not reach beyond what its disk shows traces of.
        assert_eq!(head(&[doubtful(short(), 2), promise(0, &log, 2, &[]), None]), Ok(2));
        // The log of a later view does not care.
        let later = chain(&[0, 1]);
        assert_eq!(head(&[uncertain(), promise(1, &later, 2, &[]), None]), Ok(2));
        // Its silence taken for a denial, the last acknowledged operation would be lost.
    }

    #[test]
    fn what_is_known_to_be_committed_is_waited_for_and_never_cut_off() {
        let log = chain(&[0, 0]);
        let short = || {
            let promise = promise(0, &log, 1, &[])?;
            Some(Arc::new(DoViewChange { commit: OpNumber::new(2), ..(*promise).clone() }))
        };
        assert_eq!(head(&[short(), short(), None]), Err(false));
        assert_eq!(head(&[short(), short(), promise(0, &log, 2, &[])]), Ok(2));
        assert_eq!(head(&[short(), short(), promise(0, &log, 2, &[2])]), Ok(2));
    }

    #[test]
    fn a_log_that_is_cut_to_before_all_headers_told_finds_its_head_in_another_promise() {
        let log = chain(&[0, 0, 0, 0, 0, 0, 0]);
        let spoiled = promise(0, &log, 7, &[4]);
        let short = || promise(0, &log, 3, &[]);
        assert_eq!(head(&[spoiled, short(), short()]), Ok(3));
    }
}
