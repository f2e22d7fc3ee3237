//! What a run really exercised. A fault that nothing was happening under proves nothing: these counters tell whether it met
//! the moments that matter. They count what the oracles saw, and judge nothing.

use std::fmt;

macro_rules! moments {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A moment worth meeting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Moment {
            $($(#[$doc])* $name),*
        }

        impl Moment {
            /// All of them, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name, as it stands in reports and machine output.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text),*
                }
            }
        }
    };
}

moments! {
    /// A replica crashed.
    Crash = "crash";
    /// ... while a write of its was under way.
    CrashWithWriteInFlight = "crash-with-write-in-flight";
    /// ... while its disk held an operation that was not committed yet.
    CrashHoldingUndecided = "crash-holding-undecided";
    /// ... within two timeouts of the last commit.
    CrashSoonAfterCommit = "crash-soon-after-commit";
    /// ... within two timeouts of the last commit, with a write under way or an operation not committed yet.
    CrashAtWork = "crash-at-work";
    /// ... of the primary of the newest view.
    CrashOfPrimary = "crash-of-primary";
    /// ... between its promise for a view and the log of that view.
    CrashInViewChange = "crash-in-view-change";
    /// ... of a replica that had said nothing since it was booted.
    CrashInRecovery = "crash-in-recovery";
    /// All replicas were down at once.
    FullStop = "full-stop";
    /// A replica was booted again.
    Restart = "restart";
    /// A client process was replaced by another.
    ClientCrash = "client-crash";
    /// A write that a crash met is on the disk.
    WriteKept = "write-kept";
    /// A write that a crash met is not on the disk.
    WriteLost = "write-lost";
    /// A write that a crash met is there in part.
    WriteTorn = "write-torn";
    /// A torn write left a slot of the log without a whole entry.
    TornEntry = "torn-entry";
    /// A torn write left a copy of the superblock that is not whole.
    TornSuperblock = "torn-superblock";
    /// A write that a crash had lost was carried out later.
    WriteLate = "write-late";
    /// A write failed.
    WriteFailed = "write-failed";
    /// A read failed.
    ReadFailed = "read-failed";
    /// A read brought bytes of another place.
    ReadMisdirected = "read-misdirected";
    /// A sector of a disk went bad.
    SectorSpoiled = "sector-spoiled";
    /// A write was reported as durable, and was not.
    LyingWrite = "lying-write";
    /// A whole disk was lost.
    DiskWiped = "disk-wiped";
    /// What was spoiled was an entry that its replica had acknowledged, or that was committed.
    AcknowledgedSpoiled = "acknowledged-spoiled";
    /// What was spoiled was a copy of the superblock.
    SuperblockSpoiled = "superblock-spoiled";
    /// A replica was booted over a disk that lacked an entry which it should have held.
    SpoiledReadBack = "spoiled-read-back";
    /// A spoiled entry was written again, whole.
    SpoiledRepaired = "spoiled-repaired";
    /// An entry was written over another one.
    EntryReplaced = "entry-replaced";
    /// A network fault began.
    Partition = "partition";
    /// ... while a replica had promised to join a view whose log it did not have.
    PartitionInViewChange = "partition-in-view-change";
    /// ... while an operation was not committed yet.
    PartitionWithUndecided = "partition-with-undecided";
    /// A view after the first was started.
    ViewStarted = "view-started";
    /// ... whose log kept an operation that was not committed yet.
    SuffixKept = "suffix-kept";
    /// ... whose log lost an operation that some disk held.
    SuffixTruncated = "suffix-truncated";
    /// ... although the view before had never started.
    ViewSkipped = "view-skipped";
    /// A vote to leave a view was sent.
    Vote = "vote";
    /// An entry of an older view was acknowledged.
    ReAcknowledged = "re-acknowledged";
    /// An entry of an older view was committed in a later one.
    CommittedInLaterView = "committed-in-later-view";
    /// A packet was delivered twice.
    DuplicateDelivered = "duplicate-delivered";
    /// A packet arrived that was sent to an incarnation before.
    LateDelivered = "late-delivered";
    /// A packet arrived from a view older than its receiver's durable one.
    OldViewDelivered = "old-view-delivered";
    /// A promise or a vote arrived that was sent before its receiver was booted.
    LateViewChangeDelivered = "late-view-change-delivered";
    /// A request was sent again.
    RequestRetried = "request-retried";
    /// A backup passed a request on.
    RequestForwarded = "request-forwarded";
    /// A request that had been answered was answered again.
    RetryAnswered = "retry-answered";
    /// ... from a later view than the first time.
    RetryAnsweredInLaterView = "retry-answered-in-later-view";
    /// A replica asked for operations that it had missed.
    GapRepaired = "gap-repaired";
    /// A replica asked for an entry by its checksum.
    EntryFetched = "entry-fetched";
    /// A session was evicted to make room.
    SessionEvicted = "session-evicted";
    /// A checkpoint was named by a superblock.
    CheckpointDurable = "checkpoint-durable";
    /// A crash met the writing of a checkpoint.
    CheckpointCutShort = "checkpoint-cut-short";
    /// A slot of the log was used again.
    SlotReused = "slot-reused";
    /// A replica began from a checkpoint when it was booted.
    StateRestored = "state-restored";
    /// A replica took over the checkpoint of another one.
    StateTransferred = "state-transferred";
    /// The log held as many undecided operations as the pipeline has room for.
    PipelineFull = "pipeline-full";
}

const COUNT: usize = Moment::ALL.len();

/// How often each moment was met. Adding up the runs of a sweep is the same in any order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Exposure([u64; COUNT]);

impl Default for Exposure {
    fn default() -> Self {
        Self([0; COUNT])
    }
}

impl Exposure {
    /// Counts one more.
    pub const fn count(&mut self, moment: Moment) {
        self.add(moment, 1);
    }

    /// Counts `more`.
    pub const fn add(&mut self, moment: Moment, more: u64) {
        self.0[moment as usize] = self.0[moment as usize].saturating_add(more);
    }

    /// How often it was met.
    #[must_use]
    pub const fn of(&self, moment: Moment) -> u64 {
        self.0[moment as usize]
    }

    /// Adds what another run met.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// All moments with their counts, those never met too.
    pub fn iter(&self) -> impl Iterator<Item = (Moment, u64)> + '_ {
        Moment::ALL.iter().copied().zip(self.0)
    }
}

impl fmt::Debug for Exposure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = self.iter().filter(|(_, count)| *count > 0);
        formatter.debug_map().entries(met.map(|(moment, count)| (moment.name(), count))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_in_any_order_and_none_is_another() {
        let mut one = Exposure::default();
        let mut other = Exposure::default();
        for (place, moment) in Moment::ALL.iter().enumerate() {
            assert_eq!(*moment as usize, place, "the table is in the order of the enum");
            one.add(*moment, place as u64);
            other.count(*moment);
        }
        let (mut left, mut right) = (one, other);
        left.merge(&other);
        right.merge(&one);
        assert_eq!(left, right);
        for (place, (moment, count)) in left.iter().enumerate() {
            assert_eq!(count, place as u64 + 1, "{}", moment.name());
        }
        // A counter that lands in its neighbour's place would hide that a fault never met anything.
    }

    #[test]
    fn no_two_moments_share_a_name() {
        for (index, one) in Moment::ALL.iter().enumerate() {
            assert!(Moment::ALL[..index].iter().all(|other| other.name() != one.name()));
        }
    }
}
