//! The numbers of the protocol, each a type of its own so that none can stand in for another.

use core::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The smallest number: where every replica begins.
            pub const ZERO: Self = Self(0);

            /// Wraps a plain integer, as read from a file or the wire.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The plain integer.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The next number. Overflow is a bug: at one a nanosecond it takes five centuries.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }

            /// The number before, or `None` for zero.
            #[must_use]
            pub const fn previous(self) -> Option<Self> {
                match self.0.checked_sub(1) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// The number `distance` further on.
            #[must_use]
            pub const fn plus(self, distance: u64) -> Self {
                Self(self.0 + distance)
            }

            /// The number `distance` back, or zero where that would be below it.
            #[must_use]
            pub const fn minus(self, distance: u64) -> Self {
                Self(self.0.saturating_sub(distance))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number!(
    /// v, the view-number (VR Revisited 4). It decides who is primary, and never decreases.
    ViewNumber,
    "v"
);
number!(
    /// n, the op-number: the place of an operation in the log (VR Revisited 4).
    ///
    /// The first operation is 1; 0 is the root that every log shares. A commit-number is an op-number too: that of the last
    /// committed operation.
    OpNumber,
    "op"
);
number!(
    /// s, the request-number of a client: consecutive within a session (VR Revisited 4.1). 0 is the registration.
    RequestNumber,
    "req"
);
number!(
    /// A session: the op-number at which the registration of a client was committed, so later sessions are greater.
    /// 0 is "none yet".
    Session,
    "s"
);
number!(
    /// How often this replica has been started: counted up durably before it takes part.
    Incarnation,
    "i"
);
number!(
    /// x, a number that is not used twice, by which an answer is known to be to this question (VR Revisited 4.3).
    Nonce,
    "x"
);
number!(
    /// Which cluster a message or a disk belongs to.
    ClusterId,
    "cluster"
);

/// i, the place of a replica in the configuration: 0-based and below [`REPLICA_COUNT_MAX`] by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaIndex(u8);

/// The most replicas that a cluster may have.
pub const REPLICA_COUNT_MAX: u8 = 7;

impl ReplicaIndex {
    /// The replica at `index`.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`REPLICA_COUNT_MAX`].
    #[must_use]
    pub const fn new(index: u8) -> Self {
        assert!(index < REPLICA_COUNT_MAX);
        Self(index)
    }

    /// The replica at `index`, or `None` where no cluster can have one: for what comes from outside.
    #[must_use]
    pub const fn checked(index: u8) -> Option<Self> {
        if index < REPLICA_COUNT_MAX { Some(Self(index)) } else { None }
    }

    /// The plain index.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The plain index, to look up an array by.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ReplicaIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "r{}", self.0)
    }
}

/// c, a client: a number drawn at random by each client process, so that two processes never share one (VR Revisited 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u128);

impl ClientId {
    /// No client: what the entries that replicas make themselves carry.
    pub const NONE: Self = Self(0);

    /// Wraps a number drawn by the client.
    #[must_use]
    pub const fn new(number: u128) -> Self {
        Self(number)
    }

    /// The plain integer.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "c{:x}", self.0)
    }
}
