//! The logs of all views, place by place: which entries were ever seen at an operation, which view's log holds which, and
//! which one was committed first.

use std::fmt;

use vsr_core::checksum::Checksum;
use vsr_core::configuration::Configuration;
use vsr_core::header::{Header, Operation};
use vsr_core::number::{OpNumber, ReplicaIndex, ViewNumber};

use super::Effect;
use crate::engine::time::Time;

/// By what it is known that an operation was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum How {
    Prepare,
    Commit,
    StartView,
    NewState,
    Reply,
    Apply,
    Checkpoint,
}

impl How {
    /// The kind of observation, for signatures.
    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::Prepare => "Prepare",
            Self::Commit => "Commit",
            Self::StartView => "StartView",
            Self::NewState => "NewState",
            Self::Reply => "Reply",
            Self::Apply => "apply",
            Self::Checkpoint => "checkpoint",
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare => write!(formatter, "says its Prepare"),
            Self::Commit => write!(formatter, "says its Commit"),
            Self::StartView => write!(formatter, "says its StartView"),
            Self::NewState => write!(formatter, "says its NewState"),
            Self::Reply => write!(formatter, "says its Reply"),
            Self::Apply => write!(formatter, "by executing it"),
            Self::Checkpoint => write!(formatter, "says its checkpoint"),
        }
    }
}

/// The first evidence that an operation was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Committed {
    pub(in super::super) checksum: Checksum,
    /// The view in whose log it was said to be committed: it was so in that one, or before.
    pub(in super::super) view: ViewNumber,
    pub(in super::super) by: ReplicaIndex,
    pub(in super::super) how: How,
    pub(in super::super) at: Time,
}

/// What execution gave, by the reference service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Outcome {
    pub(in super::super) reply: Checksum,
    pub(in super::super) digest: Option<u128>,
}

/// What a checkpoint after an operation must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Taken {
    /// The sessions, and the last request executed in each, by the oracles' own client table.
    pub(in super::super) sessions: Option<Checksum>,
    /// The state of the reference service.
    pub(in super::super) state: Option<Checksum>,
    /// The first one that was seen on a disk, and whose it was.
    pub(in super::super) first: Option<(Checksum, ReplicaIndex)>,
    /// Whether that one has been read, and was held against sessions and state that were known.
    pub(in super::super) is_judged: bool,
}

/// What is known of one place in the log.
#[derive(Debug, Default)]
pub(in super::super) struct Place {
    /// Every entry that was seen here.
    headers: Vec<Header>,
    /// Which view's log holds which of them; only views that were seen before the place was committed, or contradict it.
    views: Vec<(ViewNumber, Checksum)>,
    pub(in super::super) committed: Option<Committed>,
    /// What the committed entry does, by the oracles' own client table.
    pub(in super::super) effect: Option<Effect>,
    pub(in super::super) outcome: Option<Outcome>,
    /// The result of the first reply that left, and the view that it left from.
    pub(in super::super) replied: Option<(Checksum, ViewNumber)>,
    pub(in super::super) taken: Taken,
}

impl Place {
    fn reset(&mut self) {
        self.headers.clear();
        self.views.clear();
        self.committed = None;
        self.effect = None;
        self.outcome = None;
        self.replied = None;
        self.taken = Taken::default();
    }

    pub(in super::super) fn header(&self, checksum: Checksum) -> Option<&Header> {
        self.headers.iter().find(|header| header.checksum == checksum)
    }

    pub(in super::super) fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// Which entry the log of `view` holds here, if that was seen.
    pub(in super::super) fn in_view(&self, view: ViewNumber) -> Option<Checksum> {
        self.views.iter().find(|(other, _)| *other == view).map(|(_, checksum)| *checksum)
    }

    pub(in super::super) fn views(&self) -> &[(ViewNumber, Checksum)] {
        &self.views
    }

    pub(in super::super) fn committed_header(&self) -> Option<&Header> {
        self.header(self.committed?.checksum)
    }
}

/// The logs of all views.
#[derive(Debug, Default)]
pub(in super::super) struct Log {
    /// One for each operation, the first is unused; memory is kept beyond `used`.
    places: Vec<Place>,
    used: usize,
    /// No log reaches further: a slot is used again only behind a checkpoint.
    op_max: u64,
    slots: u64,
    root: Checksum,
    /// All operations up to here are known to be committed, and which.
    commit: u64,
    /// When the last one was.
    committed_at: Time,
    /// When the log last grew, in its head or in what is committed of it.
    grown_at: Time,
    /// The operations that reach the service, in order: what the n-th call of apply must be, at every replica.
    applies: Vec<OpNumber>,
    /// The newest view that was started, and the head of its log as far as it was seen.
    newest: (ViewNumber, OpNumber),
}

impl Log {
    pub(super) fn reset(&mut self, configuration: &Configuration) {
        self.places[..self.used].iter_mut().for_each(Place::reset);
        self.used = 0;
        self.slots = u64::from(configuration.slots);
        self.op_max = self.slots;
        self.root = Header::root(configuration.cluster).checksum;
        self.commit = 0;
        self.committed_at = Time::ZERO;
        self.grown_at = Time::ZERO;
        self.applies.clear();
        self.newest = (ViewNumber::ZERO, OpNumber::ZERO);
    }

    pub(in super::super) const fn root(&self) -> Checksum {
        self.root
    }

    pub(in super::super) const fn commit(&self) -> OpNumber {
        OpNumber::new(self.commit)
    }

    pub(in super::super) const fn committed_at(&self) -> Time {
        self.committed_at
    }

    pub(in super::super) const fn grown_at(&self) -> Time {
        self.grown_at
    }

    /// Some disk has a checkpoint of this operation: a log may reach as far beyond it as there are slots.
    pub(in super::super) fn see_checkpoint(&mut self, op: OpNumber) {
        self.op_max = self.op_max.max(op.get() + self.slots);
    }

    /// How many of the operations up to `op` reach the service.
    pub(in super::super) fn applies_up_to(&self, op: OpNumber) -> usize {
        self.applies.partition_point(|applied| *applied <= op)
    }

    /// Whether any log can have this operation.
    pub(in super::super) const fn has_room(&self, op: OpNumber) -> bool {
        op.get() > 0 && op.get() <= self.op_max
    }

    pub(in super::super) fn applies(&self) -> &[OpNumber] {
        &self.applies
    }

    pub(in super::super) const fn newest(&self) -> (ViewNumber, OpNumber) {
        self.newest
    }

    pub(in super::super) fn place(&self, op: OpNumber) -> Option<&Place> {
        self.places[..self.used].get(usize::try_from(op.get()).ok()?)
    }

    /// The place of `op`, for which there must be room.
    pub(in super::super) fn place_mut(&mut self, op: OpNumber) -> &mut Place {
        assert!(self.has_room(op));
        let index = usize::try_from(op.get()).expect("slots fit in memory");
        if index >= self.used {
            self.used = index + 1;
            if self.used > self.places.len() {
                self.places.resize_with(self.used, Place::default);
            }
        }
        &mut self.places[index]
    }

    /// An entry exists.
    pub(in super::super) fn see(&mut self, header: &Header) {
        let place = self.place_mut(header.op);
        if place.header(header.checksum).is_none() {
            // Most places only ever have one.
            place.headers.reserve_exact(usize::from(place.headers.is_empty()));
            place.headers.push(*header);
        }
    }

    /// The log of `view` holds this here.
    pub(in super::super) fn see_in_view(
        &mut self,
        view: ViewNumber,
        op: OpNumber,
        checksum: Checksum,
    ) {
        let place = self.place_mut(op);
        let is_settled = place.committed.is_some_and(|committed| committed.checksum == checksum);
        if !is_settled && place.in_view(view).is_none() {
            place.views.reserve_exact(usize::from(place.views.is_empty()));
            place.views.push((view, checksum));
        }
    }

    /// The log of `view` was started, and reaches at least to `op`.
    pub(in super::super) fn see_head(&mut self, view: ViewNumber, op: OpNumber, now: Time) {
        let (newest, head) = self.newest;
        if view > newest || (view == newest && op > head) {
            self.newest = (view, op);
            self.grown_at = now;
        }
    }

    /// The entry `back_to` in the chain that ends with `checksum` at `op`.
    pub(in super::super) fn ancestor(
        &self,
        op: OpNumber,
        checksum: Checksum,
        back_to: OpNumber,
    ) -> Option<Checksum> {
        let (mut op, mut checksum) = (op, checksum);
        while op > back_to {
            checksum = self.place(op)?.header(checksum)?.parent;
            op = op.previous()?;
        }
        (op == back_to).then_some(checksum)
    }

    /// The next operation is committed.
    pub(in super::super) fn commit_next(&mut self, op: OpNumber, committed: Committed) {
        assert!(op.get() == self.commit + 1);
        self.commit = op.get();
        self.committed_at = committed.at;
        self.grown_at = committed.at;
        self.place_mut(op).committed = Some(committed);
    }

    /// What the operation that was just committed does.
    pub(in super::super) fn set_effect(&mut self, op: OpNumber, effect: Effect) {
        self.place_mut(op).effect = Some(effect);
        if effect == Effect::Applied {
            self.applies.push(op);
        }
    }
}

/// An entry in words.
pub(in super::super) fn describe(header: &Header) -> String {
    let what = match header.operation {
        Operation::Root => "the root".to_owned(),
        Operation::Register => format!("{} registers", header.client),
        Operation::Apply => {
            format!(
                "{} {} {} of {} bytes",
                header.client, header.session, header.request, header.size
            )
        }
    };
    format!("{what}, prepared in {}, checksum {}", header.view, header.checksum)
}
