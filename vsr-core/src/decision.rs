//! What a slot of the log is worth after a start: the decision table, as a function of what both rings hold there.
//!
//! An entry is written twice: whole into the ring of prepares, and once that is durable, its header into the ring of headers. So
//! the rings tell a crash from a disk that lies: a write that a crash cut short has no header on disk yet, and was never
//! acknowledged; an entry whose header is on disk was durable, and may have been, whatever has become of its bytes (Alagappan et al.,
//! "Protocol-Aware Recovery", FAST 2018).
//!
//! The log up to the operation that the superblock names was durable when the superblock was written: it is looked at from
//! its end downwards, because each entry names the one before it. What may follow is looked at upwards, as far as it belongs to the
//! view whose log this is.

use crate::checksum::Checksum;
use crate::header::Header;
use crate::number::{OpNumber, ViewNumber};

/// What one of the rings holds in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Something whole: an entry or a header of this slot, of this lap or another one.
    Whole(Header),
    /// Zeros: nothing was ever written.
    Blank,
    /// Neither: torn, rotten, not to be read at all, or something whole that belongs into another slot and has gone astray.
    Damaged,
}

/// How much is known of an entry that must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// All of its header.
    Header(Header),
    /// The checksum of its header, for the entry after it names that.
    Checksum(Checksum),
    /// Nothing: of the entry after it no header could be found either.
    Nothing,
}

/// Which entry would follow a log that ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its operation.
    pub op: OpNumber,
    /// The checksum of the head before it.
    pub parent: Checksum,
    /// The view whose log this is: only that view has added anything since the superblock was written.
    pub log_view: ViewNumber,
}

/// What becomes of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both rings hold the entry.
    Clean,
    /// The entry is whole, and its redundant header is not: that is written again.
    Fix,
    /// The entry was durable and is not whole any more: it is fetched from others, by what is known of it. Never denied.
    Repair(Expected),
    /// Nothing was ever added to the log here.
    End,
    /// A crash met the write: it was never acknowledged, and the log ends before it.
    Torn,
    /// There may have been an entry that was acknowledged, or not: nobody here can tell where the log ends.
    Uncertain,
}

impl Expected {
    /// The checksum, if it is known.
    #[must_use]
    pub const fn checksum(&self) -> Option<Checksum> {
        match self {
            Self::Header(header) => Some(header.checksum),
            Self::Checksum(checksum) => Some(*checksum),
            Self::Nothing => None,
        }
    }

    /// What is known of the entry before it.
    #[must_use]
    pub const fn before(&self) -> Self {
        match self {
            Self::Header(header) => Self::Checksum(header.parent),
            Self::Checksum(_) | Self::Nothing => Self::Nothing,
        }
    }

    fn is(&self, found: &Found) -> bool {
        match found {
            Found::Whole(header) => self.checksum() == Some(header.checksum),
            Found::Blank | Found::Damaged => false,
        }
    }
}

impl Found {
    /// What `decoded` means in `slot` of a ring of so many; `None` is damaged.
    #[must_use]
    pub const fn whole(decoded: Option<Header>, slot: u64, slots: u64) -> Self {
        match decoded {
            Some(header) if header.op.get() % slots == slot => Self::Whole(header),
            Some(_) | None => Self::Damaged,
        }
    }
}

impl Next {
    fn is(&self, found: &Found) -> bool {
        match found {
            Found::Whole(header) => {
                header.op == self.op && header.parent == self.parent && header.view == self.log_view
            }
            Found::Blank | Found::Damaged => false,
        }
    }
}

/// Judges a slot whose entry was durable when the superblock was written.
///
/// Where nothing is known of the entry, nothing that is found decides: two whole headers that differ do not tell which is newer, and the
/// greater view is not always the one that stayed.
#[must_use]
pub fn judge_durable(expected: Expected, prepare: &Found, header: &Found) -> Verdict {
    match (expected.is(prepare), expected.is(header)) {
        (true, true) => Verdict::Clean,
        (true, false) => Verdict::Fix,
        (false, true) => match header {
            Found::Whole(header) => Verdict::Repair(Expected::Header(*header)),
            Found::Blank | Found::Damaged => Verdict::Repair(expected),
        },
        (false, false) => Verdict::Repair(expected),
    }
}

/// Judges the slot behind the last entry that is known to belong to the log.
#[must_use]
pub fn judge_next(next: &Next, prepare: &Found, header: &Found) -> Verdict {
    match (next.is(prepare), next.is(header)) {
        (true, _) if is_same(prepare, header) => Verdict::Clean,
        (true, _) => Verdict::Fix,
        // Its header was written, so it was durable: lost, led astray or rotten since.
        (false, true) => match header {
            Found::Whole(header) => Verdict::Repair(Expected::Header(*header)),
            Found::Blank | Found::Damaged => Verdict::End,
        },
        (false, false) => match (prepare, header) {
            (Found::Damaged, Found::Damaged) => Verdict::Uncertain,
            (Found::Damaged, Found::Blank | Found::Whole(_)) => Verdict::Torn,
            // What was cut off once, or belongs to another lap, is not part of the log.
            (Found::Blank | Found::Whole(_), _) => Verdict::End,
        },
    }
}

/// Whether the slot of `op` may have held an acknowledged entry of the view, when it is not known what came before it.
///
/// What was acknowledged was in both rings; so one trace is enough, and where both are damaged nobody can tell.
#[must_use]
pub fn may_be_acknowledged(
    op: OpNumber,
    log_view: ViewNumber,
    prepare: &Found,
    header: &Found,
) -> bool {
    let is_trace = |found: &Found| match found {
        Found::Whole(header) => header.op == op && header.view == log_view,
        Found::Blank | Found::Damaged => false,
    };
    is_trace(prepare) || is_trace(header) || (*prepare, *header) == (Found::Damaged, Found::Damaged)
}

fn is_same(prepare: &Found, header: &Found) -> bool {
    matches!((prepare, header), (Found::Whole(one), Found::Whole(other)) if one.checksum == other.checksum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::ClusterId;

    /// A header of `op` after `parent`, prepared in `view`.
    fn header(op: u64, view: u64, parent: Checksum) -> Header {
        let mut header = Header::root(ClusterId::new(1));
        header.op = OpNumber::new(op);
        header.view = ViewNumber::new(view);
        header.parent = parent;
        header.seal();
        header
    }

    fn below() -> Checksum {
        Checksum::of(b"the entry before")
    }

    /// The entry that is or was there, one that was there a lap ago, and one that was cut off.
    fn entries() -> [Header; 3] {
        [header(9, 4, below()), header(1, 2, below()), header(9, 3, below())]
    }

    fn next() -> Next {
        Next { op: OpNumber::new(9), parent: below(), log_view: ViewNumber::new(4) }
    }

    #[test]
    fn both_rings_hold_it() {
        let [entry, ..] = entries();
        let whole = Found::Whole(entry);
        assert_eq!(judge_durable(Expected::Header(entry), &whole, &whole), Verdict::Clean);
        let named = Expected::Checksum(entry.checksum);
        assert_eq!(judge_durable(named, &whole, &whole), Verdict::Clean);
        assert_eq!(judge_next(&next(), &whole, &whole), Verdict::Clean);
    }

    #[test]
    fn a_redundant_header_that_is_stale_torn_or_rotten_is_written_again() {
        let [entry, older, cut] = entries();
        let prepare = Found::Whole(entry);
        for stale in [Found::Blank, Found::Damaged, Found::Whole(older), Found::Whole(cut)] {
            let expected = Expected::Checksum(entry.checksum);
            assert_eq!(judge_durable(expected, &prepare, &stale), Verdict::Fix);
            assert_eq!(judge_next(&next(), &prepare, &stale), Verdict::Fix);
        }
    }

    #[test]
    fn a_durable_entry_that_is_rotten_lost_or_led_astray_is_repaired_by_its_redundant_header() {
        let [entry, older, cut] = entries();
        let redundant = Found::Whole(entry);
        let repaired = Verdict::Repair(Expected::Header(entry));
        for prepare in [Found::Blank, Found::Damaged, Found::Whole(older), Found::Whole(cut)] {
            let expected = Expected::Checksum(entry.checksum);
            assert_eq!(judge_durable(expected, &prepare, &redundant), repaired);
            // Behind the superblock's operation too: its header is on disk, so it may have been acknowledged.
            assert_eq!(judge_next(&next(), &prepare, &redundant), repaired);
        }
    }

    #[test]
    fn a_durable_entry_that_neither_ring_holds_is_repaired_by_what_the_superblock_or_the_next_entry_says()
     {
        let [entry, older, cut] = entries();
        for expected in [Expected::Header(entry), Expected::Checksum(entry.checksum)] {
            for prepare in [Found::Damaged, Found::Blank, Found::Whole(older), Found::Whole(cut)] {
                for redundant in [Found::Damaged, Found::Blank, Found::Whole(cut)] {
                    let verdict = judge_durable(expected, &prepare, &redundant);
                    assert_eq!(verdict, Verdict::Repair(expected));
                }
            }
        }
        // Cut off instead, an acknowledged entry would be denied.
    }

    /// The same operation, prepared in two views, each whole in one of the rings: nothing says which is newer.
    #[test]
    fn of_two_whole_entries_neither_is_believed_unless_something_else_decides() {
        let [entry, _, cut] = entries();
        let (newer, older) = (Found::Whole(entry), Found::Whole(cut));
        for (prepare, redundant) in [(newer, older), (older, newer), (newer, newer)] {
            let verdict = judge_durable(Expected::Nothing, &prepare, &redundant);
            assert_eq!(verdict, Verdict::Repair(Expected::Nothing));
        }
        // The entry of the greater view may be the one that a still later view has cut off.
    }

    #[test]
    fn a_write_that_a_crash_tore_was_never_acknowledged() {
        let [_, older, _] = entries();
        for redundant in [Found::Blank, Found::Whole(older)] {
            assert_eq!(judge_next(&next(), &Found::Damaged, &redundant), Verdict::Torn);
        }
    }

    #[test]
    fn the_log_ends_where_nothing_was_written_or_only_what_does_not_belong() {
        let [_, older, cut] = entries();
        let other_parent = header(9, 4, Checksum::of(b"another entry before"));
        let strangers = [older, cut, other_parent].map(Found::Whole);
        for prepare in strangers.into_iter().chain([Found::Blank]) {
            for redundant in strangers.into_iter().chain([Found::Blank, Found::Damaged]) {
                assert_eq!(judge_next(&next(), &prepare, &redundant), Verdict::End);
            }
        }
        // An entry that was cut off and is believed again comes back in the place of what a later view has committed.
    }

    #[test]
    fn behind_an_uncertain_head_one_trace_of_the_view_is_enough_to_go_on_doubting() {
        let [entry, older, cut] = entries();
        let doubts = |prepare: Found, header: Found| {
            may_be_acknowledged(entry.op, entry.view, &prepare, &header)
        };
        let (whole, damaged) = (Found::Whole(entry), Found::Damaged);
        assert!(doubts(whole, damaged) && doubts(damaged, whole) && doubts(damaged, damaged));
        for nothing in [Found::Blank, Found::Whole(older), Found::Whole(cut)] {
            assert!(doubts(whole, nothing) && doubts(nothing, whole));
            assert!(!doubts(nothing, damaged) && !doubts(damaged, nothing));
        }
        // Doubting the whole ring, a replica would never deny anything, and two of them would stop the cluster.
    }

    #[test]
    fn what_belongs_into_another_slot_has_gone_astray() {
        let [entry, ..] = entries();
        assert_eq!(Found::whole(Some(entry), 1, 8), Found::Whole(entry));
        assert_eq!(Found::whole(Some(entry), 2, 8), Found::Damaged);
        assert_eq!(Found::whole(None, 1, 8), Found::Damaged);
        // Taken for an entry of another lap, it would say that nothing was ever written here.
    }

    #[test]
    fn where_both_rings_are_damaged_nobody_can_tell_where_the_log_ends() {
        assert_eq!(judge_next(&next(), &Found::Damaged, &Found::Damaged), Verdict::Uncertain);
        // Torn and cut, or acknowledged and rotten: to guess the first denies what a client may have an answer for.
    }
}
