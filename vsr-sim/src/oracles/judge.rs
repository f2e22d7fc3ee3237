//! The oracles together: what they are told, and in which order each observation is judged.

mod disk;
mod execution;
mod message;

use std::ops::Range;

use vsr_core::checksum::Checksum;
use vsr_core::configuration::Configuration;
use vsr_core::io::Zone;
use vsr_core::message::ClientMessage;
use vsr_core::number::{ClientId, OpNumber, ReplicaIndex};
use vsr_core::quorum::ReplicaSet;
use vsr_core::state_machine::StateMachine;
use vsr_core::wire::Frame;

use super::eviction_truthful;
use super::exposure::{Exposure, Moment};
use super::facts::Facts;
use super::liveness::{Bounds, Environment, Phase};
use super::no_panic;
use super::violation::Violation;
use crate::engine::time::{Span, Time};

/// Bytes on the disk of a replica, from `offset` of `zone` on.
#[derive(Clone, Copy, Debug)]
pub struct DiskBytes<'a> {
    /// Whose disk.
    pub replica: ReplicaIndex,
    /// Which part of it.
    pub zone: Zone,
    /// From which byte of the zone.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// How a packet arrived.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// The replica that it is for; `None` for a client.
    pub to: Option<ReplicaIndex>,
    /// When it was sent.
    pub sent: Time,
    /// Whether it is a copy that the network made.
    pub is_copy: bool,
}

/// All oracles over one run; `S` is the replicated service, of which they keep one of their own.
///
/// Times never decrease from one call to the next. Writes are told before the process hears that they are durable, effects of
/// a step before those of the next one. The memory is used again by [`Oracles::reset`].
#[derive(Debug)]
pub struct Oracles<S> {
    facts: Facts,
    /// At most one of each property.
    found: Vec<Violation>,
    exposure: Exposure,
    reference: S,
    /// How many operations the reference has executed.
    reference_count: usize,
    phase: Option<Phase>,
    /// Kept for their memory: what a claim commits, and an answer of the reference.
    newly: Vec<(OpNumber, Checksum)>,
    reply: Vec<u8>,
}

impl<S: StateMachine> Oracles<S> {
    /// Oracles over a cluster that has not begun, whose disks are freshly formatted; `reference` is a service that has not
    /// begun either.
    #[must_use]
    pub fn new(configuration: &Configuration, reference: S) -> Self {
        Self {
            facts: Facts::new(configuration),
            found: Vec::new(),
            exposure: Exposure::default(),
            reference,
            reference_count: 0,
            phase: None,
            newly: Vec::new(),
            reply: Vec::new(),
        }
    }

    /// As [`Self::new`], with the memory of a run that is over.
    pub fn reset(&mut self, configuration: &Configuration, reference: S) {
        self.facts.reset(configuration);
        self.found.clear();
        self.exposure = Exposure::default();
        self.reference = reference;
        self.reference_count = 0;
        self.phase = None;
    }

    /// From now on forgets what lies so many operations, and two laps of the log, before the oldest checkpoint on any disk. What is
    /// asked for all the same raises [`Self::is_in_doubt`].
    pub const fn forget(&mut self, keep: u64) {
        self.facts.keep = Some(keep);
    }

    /// Whether anything was to be judged by what is forgotten. If so, the run is to be judged again by oracles that forget nothing.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        self.facts.is_in_doubt()
    }

    /// The first operation that is remembered.
    #[must_use]
    pub const fn remembered_from(&self) -> OpNumber {
        self.facts.log.base()
    }

    /// Whether anything is remembered of this client: one that is forgotten has left, and nothing of it can be executed any more.
    #[must_use]
    pub fn knows_client(&self, client: ClientId) -> bool {
        self.facts.clients.knows(client)
    }

    /// The first property that was seen broken.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.found.first()
    }

    /// Every property that was seen broken, with its first violation, in the order in which they were seen.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.found
    }

    /// What the run has met so far.
    #[must_use]
    pub const fn exposure(&self) -> &Exposure {
        &self.exposure
    }

    /// To count what only the caller can see.
    pub const fn exposure_mut(&mut self) -> &mut Exposure {
        &mut self.exposure
    }

    /// How many operations are committed, registrations included.
    #[must_use]
    pub const fn committed(&self) -> OpNumber {
        self.facts.log.commit()
    }

    /// How many operations have been executed, each counted once: registrations are not among them.
    #[must_use]
    pub fn executed(&self) -> u64 {
        self.facts.log.applies_count() as u64
    }

    /// A replica or a client has handed this to the network.
    pub fn frame_sent(&mut self, now: Time, frame: &Frame) {
        self.facts.now = now;
        match frame {
            Frame::Message(message) => self.message_sent(message),
            Frame::Request(request) => {
                let commit = self.facts.log.commit();
                if !self.facts.clients.on_request(request, now, commit) {
                    self.exposure.count(Moment::RequestRetried);
                }
            }
            Frame::ClientMessage(ClientMessage::Reply(reply)) => self.reply_sent(reply),
            Frame::ClientMessage(ClientMessage::Eviction(eviction)) => {
                self.said(eviction.from, eviction.view, true, "Eviction");
                let violation = eviction_truthful::check(&self.facts, eviction);
                self.found(violation);
            }
        }
    }

    /// This has reached a process that is up.
    pub fn frame_delivered(&mut self, now: Time, frame: &Frame, delivery: &Delivery) {
        self.facts.now = now;
        if delivery.is_copy {
            self.exposure.count(Moment::DuplicateDelivered);
        }
        match (frame, delivery.to) {
            (Frame::ClientMessage(ClientMessage::Reply(reply)), _) => {
                self.facts.clients.on_answered(reply.client, reply.request);
            }
            (Frame::ClientMessage(ClientMessage::Eviction(eviction)), _) => {
                self.facts.clients.on_gone(eviction.client);
            }
            (Frame::Message(message), Some(to)) => self.message_delivered(message, to, delivery),
            (Frame::Message(_) | Frame::Request(_), _) => {}
        }
    }

    /// A client's process is gone: nobody waits for its answer, and nobody knows whether it will come to be executed.
    pub fn client_gone(&mut self, now: Time, client: ClientId) {
        self.facts.now = now;
        self.facts.clients.on_gone(client);
        self.exposure.count(Moment::ClientCrash);
    }

    /// A process has panicked. `who` names it for a person.
    pub fn panicked(&mut self, now: Time, who: &str, message: &str) {
        self.facts.now = now;
        let violation = no_panic::violation(&self.facts, who, message);
        self.found(Some(violation));
    }

    /// A partition, a cut or an isolation begins.
    pub fn network_fault(&mut self, now: Time) {
        self.facts.now = now;
        self.exposure.count(Moment::Partition);
        let is_in_view_change = |replica: &super::facts::ReplicaFacts| {
            let promise = replica.disk.promise();
            replica.is_up && promise.log_view < promise.view
        };
        if self.facts.replicas.iter().any(is_in_view_change) {
            self.exposure.count(Moment::PartitionInViewChange);
        }
        if self.facts.log.newest().1 > self.facts.log.commit() {
            self.exposure.count(Moment::PartitionWithUndecided);
        }
    }

    /// A replica's process is gone; so many of its writes were under way. They are told of next, by [`Self::write_resolved`].
    pub fn crashed(&mut self, now: Time, replica: ReplicaIndex, writes_under_way: usize) {
        self.facts.now = now;
        self.count_crash(replica, writes_under_way > 0);
        let known = self.facts.replica_mut(replica);
        known.is_up = false;
        known.normal_view = None;
        known.stamped = None;
        known.passed_on = None;
        if self.facts.replicas.iter().all(|replica| !replica.is_up) {
            self.facts.full_stop_at = Some(now);
            self.exposure.count(Moment::FullStop);
        }
    }

    /// From now on more may be spoiled than can be brought back: an operation may lose all its copies.
    pub const fn bear_losses(&mut self) {
        self.facts.is_beyond_budget = true;
    }

    /// Whether these replicas can settle every operation among themselves, were all of them started again now: what the newest whole
    /// checkpoint among them does not hold is whole on the disk of one of them, or denied by so many that it cannot have been
    /// committed, as far as some of them cannot tell.
    ///
    /// A replica reads its disk when it starts, and not again: what could not be read then is as good as spoiled as long as it is up.
    ///
    /// `is_blind` says of a replica and a slot whether its disk has lost the header that would tell what was there.
    #[must_use]
    pub fn can_go_on(
        &self,
        core: ReplicaSet,
        is_blind: impl Fn(ReplicaIndex, u64) -> bool,
    ) -> bool {
        let slots = self.facts.configuration.slots;
        let members =
            || self.facts.configuration.replicas().filter(|replica| core.contains(*replica));
        let disk = |replica| &self.facts.replica(replica).disk;
        let area_size = self.facts.configuration.snapshot_area_size();
        let is_up = |replica| self.facts.replica(replica).is_up;
        let knows = |replica, op| !is_up(replica) || disk(replica).knows_slot(op, slots);
        let state_of = |replica| {
            let is_known = !is_up(replica) || disk(replica).knows_checkpoint();
            if is_known { disk(replica).whole_checkpoint_op(area_size) } else { OpNumber::ZERO }
        };
        let base = members().map(state_of).max().unwrap_or_default();
        let named = |replica| disk(replica).promise().checkpoint_op();
        let newest = members().map(named).max().unwrap_or_default().max(base);
        let ops = (base.next().get()..=newest.get() + u64::from(slots)).map(OpNumber::new);
        ops.filter(|op| self.facts.log.has_room(*op)).all(|op| {
            // What is forgotten was committed; which entry it was, nobody knows any more, and so no copy counts for it.
            let is_forgotten = self.facts.log.is_forgotten(op);
            let place = if is_forgotten { None } else { self.facts.log.place(op) };
            let committed = place.and_then(|place| place.committed);
            let (mut whole, mut uncertain, mut deniers) = (0, 0, 0);
            for member in members() {
                // Behind its checkpoint a replica has nothing, whole or not.
                if op <= named(member) {
                    uncertain += 1;
                    continue;
                }
                match disk(member).whole_and_owed(op, slots) {
                    (Some(held), None)
                        if !is_forgotten
                            && disk(member).promise().reaches(op)
                            && knows(member, op)
                            && committed.is_none_or(|one| one.checksum == held.checksum) =>
                    {
                        whole += 1;
                    }
                    (None, None) if !is_blind(member, op.get() % u64::from(slots)) => deniers += 1,
                    (Some(_), None) if knows(member, op) => deniers += 1,
                    (None | Some(_), None) | (_, Some(_)) => uncertain += 1,
                }
            }
            let is_denied =
                committed.is_none() && !is_forgotten && deniers >= self.facts.quorums.nack();
            uncertain == 0 || whole > 0 || is_denied
        })
    }

    /// A replica's process has been booted again, over the same disk.
    pub fn booted(&mut self, now: Time, replica: ReplicaIndex) {
        self.facts.now = now;
        self.exposure.count(Moment::Restart);
        let (root, slots) = (self.facts.log.root(), self.facts.configuration.slots);
        if self.facts.replica(replica).disk.owed_count() > 0 {
            self.exposure.count(Moment::SpoiledReadBack);
        }
        let known = self.facts.replica_mut(replica);
        let before = *known.disk.promise();
        known.disk.read_back(root, slots);
        known.is_up = true;
        known.applied = 0;
        known.booted_at = now;
        known.has_spoken = false;
        known.normal_view = None;
        self.checkpoint_named(replica, &before);
    }

    fn count_crash(&mut self, replica: ReplicaIndex, is_writing: bool) {
        let facts = &self.facts;
        let commit = facts.log.commit();
        let (view, head) = facts.log.newest();
        let is_primary = facts.configuration.primary(view) == replica;
        let is_undecided =
            facts.replica(replica).disk.prefix() > commit || (is_primary && head > commit);
        let patience = facts.configuration.timeouts.suspect_primary.as_ns();
        let is_soon = commit > OpNumber::ZERO
            && facts.now.since(facts.log.committed_at()) <= Span::from_ns(patience).times(2);
        let promise = facts.promise(replica);
        let moments = [
            (Moment::Crash, true),
            (Moment::CrashWithWriteInFlight, is_writing),
            (Moment::CrashHoldingUndecided, is_undecided),
            (Moment::CrashSoonAfterCommit, is_soon),
            (Moment::CrashAtWork, is_soon && (is_writing || is_undecided)),
            (Moment::CrashOfPrimary, is_primary),
            (Moment::CrashInViewChange, promise.log_view < promise.view),
            (
                Moment::CrashInRecovery,
                facts.replica(replica).booted_at > Time::ZERO && !facts.replica(replica).has_spoken,
            ),
        ];
        for (moment, _) in moments.into_iter().filter(|(_, is_met)| *is_met) {
            self.exposure.count(moment);
        }
    }

    /// Faults have stopped: the replicas of `core` are healed, the others stay as they are, and clients go on asking.
    pub fn begin_liveness(&mut self, now: Time, core: ReplicaSet, environment: &Environment) {
        self.begin_phase(now, core, environment, false);
    }

    /// Clients have stopped asking, and nothing else happens either.
    pub fn begin_idle(&mut self, now: Time, core: ReplicaSet, environment: &Environment) {
        self.begin_phase(now, core, environment, true);
    }

    fn begin_phase(
        &mut self,
        now: Time,
        core: ReplicaSet,
        environment: &Environment,
        is_idle: bool,
    ) {
        self.facts.now = now;
        // What was said under faults may not be true any more.
        for replica in &mut self.facts.replicas {
            replica.normal_view = None;
        }
        let bounds = Bounds::of(&self.facts.configuration, environment);
        let mut phase = Phase::new(now, core, bounds, is_idle);
        phase.observe(&self.facts);
        self.phase = Some(phase);
    }

    /// Faults may come again.
    pub fn end_phase(&mut self) {
        self.phase = None;
    }

    /// Whether nothing is left to wait for: the core is normal in one view and has everything, and nobody waits for an answer.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.phase.as_ref().is_some_and(|phase| phase.is_settled(&self.facts))
    }

    /// When the present phase, were nothing to be asked any more, has had the time that it may take.
    #[must_use]
    pub fn phase_ends(&self) -> Option<Time> {
        self.phase.as_ref().map(Phase::ends)
    }

    /// Judges whether anything is overdue. It looks at every client and replica: to be called now and then, and after
    /// [`Self::phase_ends`].
    pub fn check_overdue(&mut self, now: Time) {
        self.facts.now = now;
        let violation = self.phase.as_ref().and_then(|phase| phase.check(&self.facts));
        self.found(violation);
    }

    /// The part of the disk that one record takes: the slot of an entry, a copy of the superblock, a redundant header. What a crash
    /// left of a write is told as all the bytes there.
    #[must_use]
    pub fn record(&self, zone: Zone, offset: u64) -> Range<u64> {
        let size = self.record_size(zone);
        let start = offset / size * size;
        start..start + size
    }

    fn found(&mut self, violation: Option<Box<Violation>>) {
        if let Some(violation) = violation {
            self.keep(*violation);
        }
    }

    #[cold]
    fn keep(&mut self, violation: Violation) {
        if self.found.iter().all(|other| other.property != violation.property) {
            self.found.push(violation);
        }
    }
}
