//! What a run can be found guilty of.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::engine::time::Time;

macro_rules! properties {
    ($($(#[$doc:meta])* $name:ident = $kind:ident, $id:literal, $text:literal, $claim:literal;)*) => {
        /// Something that must hold in every run; each has a file of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Property {
            $($(#[$doc])* $name),*
        }

        impl Property {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name, as it stands in reports and machine output.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text),*
                }
            }

            /// The short name by which the protocol's literature in this project refers to it.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id),*
                }
            }

            /// What is broken, as a sentence for a person.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $claim),*
                }
            }

            /// What breaking it means.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$name => Kind::$kind),*
                }
            }
        }
    };
}

properties! {
    /// All replicas commit the same operation at the same place.
    Agreement = Safety, "I1", "agreement", "Two replicas committed different operations at one place.";
    /// What is committed stays on enough disks to survive every view change.
    AckedDurable = Safety, "I2", "acked-durable", "A committed operation is on too few disks to survive.";
    /// What is committed is on the disks of a quorum at that moment.
    QuorumDurable = Safety, "I3", "quorum-durable", "An operation was committed before a quorum held it durably.";
    /// The log of a view holds all that was committed in the views before it.
    ViewSurvival = Safety, "I4", "view-survival", "A later view's log lacks a committed operation.";
    /// A view has one primary and one log.
    OneLogPerView = Safety, "I5", "one-log-per-view", "One view has two logs.";
    /// A view begins when a quorum is bound to it.
    ViewQuorum = Safety, "I5", "view-quorum", "A view began that no quorum was bound to.";
    /// A view begins with the best log that a quorum promised.
    LogChoice = Safety, "I4", "log-choice", "A view began with a log that is not the best of a quorum.";
    /// The view on a disk never goes back, and nobody speaks for a view that is not on its disk.
    ViewMonotone = Safety, "I6", "view-monotone", "A replica went back on its view, or spoke for one that was not durable.";
    /// Operations are executed in the order of the log, and the log is a chain.
    ExecutionOrder = Safety, "I9", "execution-order", "A replica executed operations out of order.";
    /// A request is executed at most once.
    ExactlyOnce = Safety, "I10", "exactly-once", "A request has two places in the log, or was executed twice.";
    /// What is executed was asked for.
    NoFabrication = Safety, "I11", "no-fabrication", "An operation was committed that no client asked for.";
    /// A reply answers its request with what execution gave.
    ReplyMatch = Safety, "I12", "reply-match", "A reply is not the result of its request.";
    /// Equal operations give equal states.
    Determinism = Safety, "I14", "determinism", "Replicas executed the same operations with different results.";
    /// A checkpoint holds the state after its operation, the same at every replica.
    CheckpointEqual = Safety, "I15", "checkpoint-equal", "A checkpoint is not that of its operation.";
    /// Slots of the log are used again only behind durable checkpoints.
    LogReuse = Safety, "I20", "log-reuse", "A part of the log was given up that no checkpoint made up for.";
    /// The client table in a checkpoint is that of its operation.
    TableEqual = Safety, "I23", "table-equal", "A checkpoint's client table is not that of its operation.";
    /// What a replica acknowledges or promises is on its disk.
    AckTruthful = Safety, "I17", "ack-truthful", "A replica acknowledged what its disk does not hold.";
    /// A replica never denies what it has acknowledged.
    NackTruthful = Safety, "I18", "nack-truthful", "A replica promised a log that lacks what it acknowledged.";
    /// A replica that has promised to join a view does nothing for older ones.
    PromiseKept = Safety, "I19", "promise-kept", "A replica went on in a view that it had promised to leave.";
    /// Timestamps increase along the log, and follow the clocks.
    TimestampMonotone = Safety, "I27", "timestamp-monotone", "An operation was given a timestamp from the past.";
    /// A client is told that its session is gone only if it is.
    EvictionTruthful = Safety, "L2", "eviction-truthful", "A client was told that its session is gone, which it is not.";
    /// A request makes one hop at most.
    ForwardOnce = Safety, "L7", "forward-once", "A request that had been passed on was passed on again.";
    /// Nothing panics.
    NoPanic = Panic, "I24", "no-panic", "The code under test panicked.";
    /// No number leaves its range, and no write its place.
    Bounds = Safety, "I24", "bounds", "A limit of the configuration was exceeded.";
    /// After healing, a quorum is normal in one view.
    ViewConverges = Liveness, "L1", "view-converges", "The replicas do not come together in one view.";
    /// After healing, every request is answered.
    RequestCompletes = Liveness, "L2", "request-completes", "A request is not answered.";
    /// After healing, every replica of the quorum has executed all there is.
    CatchUp = Liveness, "L3", "catch-up", "A replica does not catch up.";
    /// A cluster whose replicas were all down comes back.
    FullRestart = Liveness, "L8", "full-restart", "The cluster does not come back after all of it was down.";
    /// Replicas converge without traffic.
    IdleConverge = Liveness, "L9", "idle-converge", "The replicas do not converge while nobody asks for anything.";
}

/// What a broken property means: it decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Something bad happened.
    Safety,
    /// Something good did not happen in time.
    Liveness,
    /// An assertion of the code under test failed.
    Panic,
}

impl fmt::Display for Property {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A broken property, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is broken.
    pub property: Property,
    /// Where it showed: the kind of observation, the same in every run that meets the same bug. Never a number that differs.
    pub place: String,
    /// Both sides of the contradiction, a line each.
    pub message: String,
    /// When it showed.
    pub at: Time,
}

impl Violation {
    /// By this, failures of different seeds are told to be the same: of the property and the place, nothing else.
    #[must_use]
    pub fn signature(&self) -> u64 {
        xxh3_64(format!("{}\0{}", self.property.name(), self.place).as_bytes())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}\n{}", self.property, self.property.sentence(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_what_and_where_and_not_of_which_run() {
        let violation = |property, place: &str, message: &str, at| Violation {
            property,
            place: place.to_owned(),
            message: message.to_owned(),
            at: Time::from_ns(at),
        };
        let one = violation(Property::Agreement, "commit", "r1 op5", 3);
        let same = violation(Property::Agreement, "commit", "r2 op9", 7);
        assert_eq!(one.signature(), same.signature());
        let elsewhere = violation(Property::Agreement, "reply", "r1 op5", 3);
        let other = violation(Property::AckedDurable, "commit", "r1 op5", 3);
        assert_ne!(one.signature(), elsewhere.signature());
        assert_ne!(one.signature(), other.signature());
        // A signature with a number in it would make a thousand failures of one bug look like a thousand bugs.
    }

    #[test]
    fn no_two_properties_share_a_name() {
        for (index, one) in Property::ALL.iter().enumerate() {
            for other in &Property::ALL[..index] {
                assert_ne!(one.name(), other.name());
            }
        }
    }
}
