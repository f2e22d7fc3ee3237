//! What all replicas of a cluster must be told alike, and how it is checked.

use core::fmt;

use crate::checkpoint::CHUNK_SIZE;
use crate::header::HEADER_SIZE;
use crate::number::{ClusterId, OpNumber, REPLICA_COUNT_MAX, ReplicaIndex, ViewNumber};
use crate::quorum::Quorums;
use crate::time::Duration;

/// The grain of a disk: what a crash leaves either old or new (bytes).
pub const SECTOR_SIZE: u64 = 4096;

/// The most operations that may be prepared and not yet committed, in any configuration.
pub const PIPELINE_MAX: u32 = 64;

/// The least that [`Configuration::snapshot_size_max`] may be.
pub const SNAPSHOT_SIZE_LEAST: u32 = 4096;

/// The most that [`Configuration::snapshot_size_max`] may be: 2 GiB.
pub const SNAPSHOT_SIZE_MOST: u32 = 1 << 31;

/// The parameters of a cluster, the same at every replica and for the whole life of its disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Which cluster this is; messages and disks of others are dropped.
    pub cluster: ClusterId,
    /// How many replicas there are: 1 to [`REPLICA_COUNT_MAX`].
    pub replica_count: u8,
    /// The most operations that may be prepared and not yet committed: 1 to [`PIPELINE_MAX`].
    pub pipeline_max: u32,
    /// Operations that the write-ahead log has room for: at least two intervals of checkpoints and two pipelines.
    ///
    /// One interval would do to go on at all: a log that is committed to its end has a checkpoint less than that behind it. The other
    /// one is filled while a checkpoint is being written, and the pipelines are what promises tell of.
    pub slots: u32,
    /// A checkpoint is taken after every operation whose number is a multiple of this.
    pub checkpoint_interval: u32,
    /// The most bytes that a checkpoint may have: the state of the service, and the client table with its replies.
    pub snapshot_size_max: u32,
    /// The most bytes that the body of an operation may have.
    pub body_size_max: u32,
    /// The most sessions that are kept: when one more registers, the oldest is evicted.
    pub clients_max: u32,
    /// The most requests that wait while the pipeline is full.
    pub queue_max: u32,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// The base of every timeout; each wait is drawn anew around it and backs off while nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Between two heartbeats of a primary.
    pub send_commit: Duration,
    /// Until a primary sends an unacknowledged prepare again.
    pub resend_prepare: Duration,
    /// Until a primary that hears no quorum steps down.
    pub check_quorum: Duration,
    /// Until a backup that hears no primary votes to leave the view.
    pub suspect_primary: Duration,
    /// Between two copies of a vote to leave.
    pub resend_start_view_change: Duration,
    /// Until votes of others to leave are forgotten.
    pub forget_votes: Duration,
    /// Between two copies of a promise.
    pub resend_do_view_change: Duration,
    /// Until a view change that does not end is left for the next view.
    pub abandon_view_change: Duration,
    /// Between two questions for the log of a view.
    pub get_view: Duration,
    /// Between two questions for what is missing from the log.
    pub repair: Duration,
    /// Until a client sends its request again.
    pub retry_request: Duration,
}

impl Default for Timeouts {
    /// For a local network: round trips of a few milliseconds, disks of about one.
    fn default() -> Self {
        Self {
            send_commit: Duration::from_ms(20),
            resend_prepare: Duration::from_ms(31),
            check_quorum: Duration::from_ms(149),
            suspect_primary: Duration::from_ms(101),
            resend_start_view_change: Duration::from_ms(43),
            forget_votes: Duration::from_ms(223),
            resend_do_view_change: Duration::from_ms(47),
            abandon_view_change: Duration::from_ms(257),
            get_view: Duration::from_ms(37),
            repair: Duration::from_ms(13),
            retry_request: Duration::from_ms(73),
        }
    }
}

/// Why a [`Configuration`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationError {
    /// The number of replicas is 0 or above the maximum.
    ReplicaCount(u8),
    /// The pipeline is 0 or above the maximum.
    Pipeline(u32),
    /// The log has no room for two intervals and two pipelines, or is not a power of two.
    Slots {
        /// How many there are.
        slots: u32,
        /// How many are needed.
        least: u64,
    },
    /// No checkpoint would ever be taken.
    ZeroInterval,
    /// A checkpoint has more pieces than can be named, or no room for its own head.
    SnapshotSize(u32),
    /// No client could ever register, or the table would not be bounded sensibly.
    Clients(u32),
    /// A timeout of no time at all.
    ZeroTimeout,
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReplicaCount(count) => {
                write!(formatter, "{count} replicas: a cluster has 1 to {REPLICA_COUNT_MAX}")
            }
            Self::Pipeline(depth) => {
                write!(formatter, "a pipeline of {depth}: it holds 1 to {PIPELINE_MAX} operations")
            }
            Self::Slots { slots, least } => write!(
                formatter,
                "{slots} slots: a log has a power of two of them, and at least {least}: two pipelines and two intervals of checkpoints"
            ),
            Self::ZeroInterval => {
                write!(formatter, "a checkpoint every 0 operations is never taken")
            }
            Self::SnapshotSize(size) => write!(
                formatter,
                "checkpoints of {size} bytes at most: they have {SNAPSHOT_SIZE_LEAST} to {SNAPSHOT_SIZE_MOST}"
            ),
            Self::Clients(count) => write!(formatter, "{count} sessions: at least one is kept"),
            Self::ZeroTimeout => write!(formatter, "a timeout of zero never lets anything happen"),
        }
    }
}

impl core::error::Error for ConfigurationError {}

impl Configuration {
    /// A cluster of `replica_count` with everything else at its default.
    #[must_use]
    pub fn of(replica_count: u8) -> Self {
        Self {
            cluster: ClusterId::new(1),
            replica_count,
            pipeline_max: 8,
            slots: 1024,
            checkpoint_interval: 256,
            snapshot_size_max: 64 << 20,
            body_size_max: 8192 - 256,
            clients_max: 64,
            queue_max: 64,
            timeouts: Timeouts::default(),
        }
    }

    /// Checks that every part makes sense.
    ///
    /// # Errors
    ///
    /// The first part that does not.
    pub fn validate(&self) -> Result<(), ConfigurationError> {
        if self.replica_count == 0 || self.replica_count > REPLICA_COUNT_MAX {
            return Err(ConfigurationError::ReplicaCount(self.replica_count));
        }
        if self.pipeline_max == 0 || self.pipeline_max > PIPELINE_MAX {
            return Err(ConfigurationError::Pipeline(self.pipeline_max));
        }
        if self.checkpoint_interval == 0 {
            return Err(ConfigurationError::ZeroInterval);
        }
        let least = self.slots_least();
        if !self.slots.is_power_of_two() || u64::from(self.slots) < least {
            return Err(ConfigurationError::Slots { slots: self.slots, least });
        }
        if !(SNAPSHOT_SIZE_LEAST..=SNAPSHOT_SIZE_MOST).contains(&self.snapshot_size_max) {
            return Err(ConfigurationError::SnapshotSize(self.snapshot_size_max));
        }
        if self.clients_max == 0 {
            return Err(ConfigurationError::Clients(self.clients_max));
        }
        if self.timeouts.all().contains(&Duration::ZERO) {
            return Err(ConfigurationError::ZeroTimeout);
        }
        Ok(())
    }

    /// The fewest slots that a log may have.
    #[must_use]
    pub fn slots_least(&self) -> u64 {
        2 * (u64::from(self.checkpoint_interval) + u64::from(self.pipeline_max))
    }

    /// Whether a checkpoint is taken after `op`.
    #[must_use]
    pub fn is_checkpoint(&self, op: OpNumber) -> bool {
        op > OpNumber::ZERO && op.get().is_multiple_of(u64::from(self.checkpoint_interval))
    }

    /// The quorum sizes.
    #[must_use]
    pub const fn quorums(&self) -> Quorums {
        Quorums::of(self.replica_count)
    }

    /// All replicas, in order.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaIndex> + use<> {
        (0..self.replica_count).map(ReplicaIndex::new)
    }

    /// Who is primary in `view`: round-robin over the configuration (4, "the primary is chosen round-robin").
    #[must_use]
    pub fn primary(&self, view: ViewNumber) -> ReplicaIndex {
        let index = view.get() % u64::from(self.replica_count);
        ReplicaIndex::new(u8::try_from(index).expect("a remainder of a number that fits"))
    }

    /// Bytes that one of the two areas for checkpoints takes: whole chunks.
    #[must_use]
    pub fn snapshot_area_size(&self) -> u64 {
        u64::from(self.snapshot_size_max).next_multiple_of(CHUNK_SIZE.into())
    }

    /// Bytes that one entry takes in the ring of prepares: whole sectors.
    #[must_use]
    pub fn prepare_slot_size(&self) -> u64 {
        (HEADER_SIZE as u64 + u64::from(self.body_size_max)).next_multiple_of(SECTOR_SIZE)
    }
}

impl Timeouts {
    fn all(&self) -> [Duration; 11] {
        [
            self.send_commit,
            self.resend_prepare,
            self.check_quorum,
            self.suspect_primary,
            self.resend_start_view_change,
            self.forget_votes,
            self.resend_do_view_change,
            self.abandon_view_change,
            self.get_view,
            self.repair,
            self.retry_request,
        ]
    }
}
