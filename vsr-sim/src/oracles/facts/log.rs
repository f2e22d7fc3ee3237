//! The logs of all views, place by place: which entries were ever seen at an operation, which view's log holds which, and
//! which one was committed first.
//!
//! In a long run the places that nothing can need any more are forgotten, from the first one on. Whoever asks for one all the same
//! is given nothing, and [`Log::is_in_doubt`] says so from then on: what was judged meanwhile is worth nothing, and the run is to be
//! judged again by oracles that remember all. So forgetting makes nobody blind. Who can judge without the place, asks
//! [`Log::is_forgotten`] first.

use std::cell::Cell;
use std::collections::VecDeque;
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
        // Most places only ever have one: else, in time, all would keep the memory of those that had more.
        self.headers.shrink_to(1);
        self.views.shrink_to(1);
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

/// What is still known of the last operation that reached the service and is forgotten.
#[derive(Clone, Copy, Debug, Default)]
struct LastForgotten {
    op: OpNumber,
    outcome: Option<Outcome>,
}

/// The logs of all views.
#[derive(Debug, Default)]
pub(in super::super) struct Log {
    /// One for each operation from `base` on, the very first is unused; memory is kept beyond `used`.
    places: VecDeque<Place>,
    used: usize,
    /// Everything before this operation is committed, and forgotten.
    base: u64,
    /// Whether what is forgotten was asked for.
    is_in_doubt: Cell<bool>,
    /// Takes what is said of a forgotten place.
    nowhere: Place,
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
    /// The operations that reach the service, in order: what the n-th call of apply must be, at every replica. Those before `base` are
    /// counted only.
    applies: VecDeque<OpNumber>,
    applies_forgotten: usize,
    last_forgotten: LastForgotten,
    /// The newest view that was started, and the head of its log as far as it was seen.
    newest: (ViewNumber, OpNumber),
}

impl Log {
    pub(super) fn reset(&mut self, configuration: &Configuration) {
        self.places.range_mut(..self.used).for_each(Place::reset);
        self.used = 0;
        self.base = 0;
        self.is_in_doubt.set(false);
        self.nowhere.reset();
        self.slots = u64::from(configuration.slots);
        self.op_max = self.slots;
        self.root = Header::root(configuration.cluster).checksum;
        self.commit = 0;
        self.committed_at = Time::ZERO;
        self.grown_at = Time::ZERO;
        self.applies.clear();
        self.applies_forgotten = 0;
        self.last_forgotten = LastForgotten::default();
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
        if op < self.last_forgotten.op {
            self.is_in_doubt.set(true);
        }
        self.applies_forgotten + self.applies.partition_point(|applied| *applied <= op)
    }

    /// How many operations have reached the service.
    pub(in super::super) fn applies_count(&self) -> usize {
        self.applies_forgotten + self.applies.len()
    }

    /// The operation that reaches the service after so many others.
    pub(in super::super) fn nth_apply(&self, count: usize) -> Option<OpNumber> {
        let Some(index) = count.checked_sub(self.applies_forgotten) else {
            self.is_in_doubt.set(true);
            return None;
        };
        self.applies.get(index).copied()
    }

    /// The operations that reach the service, as far as they are remembered, and how many did before them.
    pub(in super::super) fn applies(
        &self,
    ) -> (usize, impl DoubleEndedIterator<Item = OpNumber> + '_) {
        (self.applies_forgotten, self.applies.iter().copied())
    }

    /// The last of the first `count` operations that reach the service, and what it gave.
    pub(in super::super) fn outcome_of_last(
        &self,
        count: usize,
    ) -> Option<(OpNumber, Option<Outcome>)> {
        if count > 0 && count == self.applies_forgotten {
            let LastForgotten { op, outcome } = self.last_forgotten;
            return Some((op, outcome));
        }
        let op = self.nth_apply(count.checked_sub(1)?)?;
        Some((op, self.place(op)?.outcome))
    }

    /// Whether any log can have this operation.
    pub(in super::super) const fn has_room(&self, op: OpNumber) -> bool {
        op.get() > 0 && op.get() <= self.op_max
    }

    pub(in super::super) const fn newest(&self) -> (ViewNumber, OpNumber) {
        self.newest
    }

    /// Whether the place of `op` was forgotten: it is committed, and nothing should ask for it any more.
    pub(in super::super) const fn is_forgotten(&self, op: OpNumber) -> bool {
        op.get() < self.base
    }

    /// Whether anything was asked for that is forgotten.
    pub(in super::super) const fn is_in_doubt(&self) -> bool {
        self.is_in_doubt.get()
    }

    /// Something cannot be judged without what is forgotten.
    pub(in super::super) fn doubt(&self) {
        self.is_in_doubt.set(true);
    }

    /// The first operation that is remembered.
    pub(in super::super) const fn base(&self) -> OpNumber {
        OpNumber::new(self.base)
    }

    /// Forgets the first place, which must be committed, and gives its memory to those to come. `look` sees it before.
    pub(super) fn forget_first(&mut self, look: impl FnOnce(&Place)) {
        assert!(self.base <= self.commit && self.used > 0);
        let Some(mut place) = self.places.pop_front() else { unreachable!("a place is used") };
        let op = OpNumber::new(self.base);
        look(&place);
        if self.applies.front() == Some(&op) {
            self.applies.pop_front();
            self.applies_forgotten += 1;
            self.last_forgotten = LastForgotten { op, outcome: place.outcome };
        }
        place.reset();
        self.places.push_back(place);
        self.used -= 1;
        self.base += 1;
    }

    /// The place of `op`, if anything was seen there; nothing too, and doubt, where it was forgotten.
    pub(in super::super) fn place(&self, op: OpNumber) -> Option<&Place> {
        let Some(index) = op.get().checked_sub(self.base) else {
            self.is_in_doubt.set(true);
            return None;
        };
        let index = usize::try_from(index).ok()?;
        if index < self.used { self.places.get(index) } else { None }
    }

    /// The place of `op`, for which there must be room. What is said of a forgotten one is lost, and raises doubt.
    pub(in super::super) fn place_mut(&mut self, op: OpNumber) -> &mut Place {
        assert!(self.has_room(op));
        let Some(index) = op.get().checked_sub(self.base) else {
            self.is_in_doubt.set(true);
            return &mut self.nowhere;
        };
        let index = usize::try_from(index).expect("slots fit in memory");
        if index >= self.used {
            self.used = index + 1;
            if self.used > self.places.len() {
                self.places.resize_with(self.used, Place::default);
            }
        }
        &mut self.places[index]
    }

    /// An entry exists. Of a forgotten place it settles nothing: another one may be meant than was committed, or something stale has
    /// come back.
    pub(in super::super) fn see(&mut self, header: &Header) {
        if self.is_forgotten(header.op) {
            return;
        }
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
            self.applies.push_back(op);
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
