//! What is known for a fact: from packets, disk bytes, replies and calls of the service, never from a replica about itself.
//!
//! Each observation costs the same however long the run; memory grows with the log, and is used again. In a long run the log's
//! beginning is forgotten: see [`Facts::forget`].

mod clients;
mod disk;
mod log;

pub(super) use clients::{Answered, Clients, Effect, sessions_checksum};
pub(super) use disk::{Disk, Held, Promise, entry_in};
pub(super) use log::{Committed, How, Log, Outcome, Taken, describe};

use vsr_core::checksum::Checksum;
use vsr_core::configuration::Configuration;
use vsr_core::number::{OpNumber, ReplicaIndex, ViewNumber};
use vsr_core::quorum::Quorums;

use super::timestamp_monotone::Stamped;
use super::violation::{Property, Violation};
use crate::engine::time::Time;

/// All that is known of a cluster.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) configuration: Configuration,
    pub(super) quorums: Quorums,
    /// When the present observation was made.
    pub(super) now: Time,
    /// When all replicas were last down.
    pub(super) full_stop_at: Option<Time>,
    pub(super) log: Log,
    pub(super) replicas: Vec<ReplicaFacts>,
    pub(super) clients: Clients,
    /// What was promised for views that have not begun, and for those whose primary may still go by it.
    pub(super) promised: Vec<Promised>,
    /// The logs that views have begun with.
    pub(super) begun: Vec<Begun>,
    /// Whether more may be spoiled than any protocol can bring back.
    pub(super) is_beyond_budget: bool,
    /// How many places of the log are remembered at least, before what every disk has a checkpoint of; all, unless that is said.
    pub(super) keep: Option<u64>,
}

/// A log that a replica has promised to a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promised {
    pub(super) from: ReplicaIndex,
    pub(super) view: ViewNumber,
    pub(super) log_view: ViewNumber,
    pub(super) op: OpNumber,
    /// The checksum of the entry at `op`; zero for an empty log.
    pub(super) head: Checksum,
    /// How far it may have acknowledged entries.
    pub(super) reach: OpNumber,
}

/// An entry that a replica has acknowledged, and so all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Acknowledged {
    pub(super) view: ViewNumber,
    pub(super) op: OpNumber,
    pub(super) checksum: Checksum,
}

/// The log that a view has begun with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) view: ViewNumber,
    pub(super) op: OpNumber,
    /// The checksum of the entry at `op`; zero for an empty log.
    pub(super) head: Checksum,
}

/// All that is known of one replica.
#[derive(Debug, Default)]
pub(super) struct ReplicaFacts {
    pub(super) disk: Disk,
    /// How many operations this incarnation has applied to its service.
    pub(super) applied: usize,
    /// The newest view that it has promised to join, in any incarnation.
    pub(super) promised: ViewNumber,
    /// The last entry that it has acknowledged in the newest view, in any incarnation.
    pub(super) acknowledged: Option<Acknowledged>,
    /// Whether its process runs.
    pub(super) is_up: bool,
    /// When this incarnation was booted.
    pub(super) booted_at: Time,
    /// Whether this incarnation has said anything.
    pub(super) has_spoken: bool,
    /// The view of the last message that only a normal replica sends, in this incarnation and phase.
    pub(super) normal_view: Option<ViewNumber>,
    /// The request that it was passed on by another replica in the step under way.
    pub(super) passed_on: Option<Checksum>,
    /// The first entry that it has made in the step under way.
    pub(super) stamped: Option<Stamped>,
}

impl Facts {
    pub(super) fn new(configuration: &Configuration) -> Self {
        let mut facts = Self {
            configuration: *configuration,
            quorums: configuration.quorums(),
            now: Time::ZERO,
            full_stop_at: None,
            log: Log::default(),
            replicas: Vec::new(),
            clients: Clients::default(),
            promised: Vec::new(),
            begun: Vec::new(),
            is_beyond_budget: false,
            keep: None,
        };
        facts.reset(configuration);
        facts
    }

    /// Forgets everything but the memory.
    pub(super) fn reset(&mut self, configuration: &Configuration) {
        self.configuration = *configuration;
        self.quorums = configuration.quorums();
        self.now = Time::ZERO;
        self.full_stop_at = None;
        self.log.reset(configuration);
        self.clients.reset();
        self.promised.clear();
        self.begun.clear();
        self.is_beyond_budget = false;
        self.keep = None;
        self.replicas.resize_with(usize::from(configuration.replica_count), Default::default);
        for replica in &mut self.replicas {
            replica.disk.reset();
            *replica = ReplicaFacts {
                disk: std::mem::take(&mut replica.disk),
                is_up: true,
                ..ReplicaFacts::default()
            };
        }
    }

    /// Forgets what nothing can need any more, if anything may be forgotten: what lies two laps of the log, and as much as is to be
    /// remembered, before the oldest checkpoint that any replica may be found with at a start. What has happened there is in the log of
    /// none of them, and none can come to execute it; of what they answered there, each client's last is kept.
    ///
    /// A replica that sleeps, or hears nothing, holds all that back for as long. A disk without a superblock does not: whoever has
    /// that takes part in nothing.
    pub(super) fn forget(&mut self) {
        let Some(keep) = self.keep else { return };
        let oldest = |replica: &ReplicaFacts| {
            let disk = &replica.disk;
            (disk.promise().sequence > 0).then(|| disk.named_checkpoints().into_iter().min())
        };
        let horizon = self.replicas.iter().filter_map(oldest).flatten().min().unwrap_or_default();
        let margin = keep.max(2 * u64::from(self.configuration.slots));
        let end = horizon.get().saturating_sub(margin).min(self.log.commit().get());
        // In blocks, since clients are looked at one by one.
        if end < self.log.base().get() + margin / 4 {
            return;
        }
        while self.log.base().get() < end {
            self.log.forget_first(|place| self.clients.keep_answer(place));
        }
        self.clients.forget_before(self.log.base());
    }

    /// Whether anything was asked for that is forgotten.
    pub(super) const fn is_in_doubt(&self) -> bool {
        self.log.is_in_doubt() || self.clients.is_in_doubt()
    }

    /// A replica has promised a log to a view.
    pub(super) fn see_promised(&mut self, promised: Promised) {
        let is_needed = self.needs_promises(self.log.newest().0, promised.view);
        if is_needed && !self.promised.contains(&promised) {
            self.promised.push(promised);
        }
    }

    /// A view has begun: what was promised to it, and to those before it, has served.
    pub(super) fn see_begun(&mut self, begun: Begun) {
        let mut promised = std::mem::take(&mut self.promised);
        promised.retain(|promised| self.needs_promises(begun.view, promised.view));
        self.promised = promised;
        self.begun.push(begun);
    }

    /// Whether it matters what was promised to `view`, of which `begun` is the newest that has begun: its primary may have decided by
    /// that, and speaks of an older log until it has that of `view` or a later one.
    fn needs_promises(&self, begun: ViewNumber, view: ViewNumber) -> bool {
        let primary = self.replica(self.configuration.primary(view)).disk.established();
        view > begun || (primary.sequence > 0 && primary.log_view < view)
    }

    /// Whether a view after that of the acknowledgement, `view` at the latest, has begun with a log that lacks what was acknowledged, or
    /// was to begin with one.
    ///
    /// Whoever promises the log of a later view has it from the beginning of that view, of which nobody else may have been told. What
    /// `replica` itself promised is no excuse: having had the log of a later view, it does not go back to that of an older one.
    ///
    /// But if `replica` was to lead such a view, told of the entry, and so many others denied it that it was never committed, then it
    /// may have cut its log before that, and have stopped before it had all of the log that the view was to begin with.
    pub(super) fn is_overruled(
        &self,
        replica: ReplicaIndex,
        acknowledged: &Acknowledged,
        view: ViewNumber,
    ) -> bool {
        let Acknowledged { op, checksum, .. } = *acknowledged;
        let is_later = |of: ViewNumber| of > acknowledged.view && of <= view;
        let lacks = |end: OpNumber, head: Checksum| {
            end < op || self.log.ancestor(end, head, op) != Some(checksum)
        };
        let begun = self.begun.iter().filter(|begun| is_later(begun.view));
        let mut held = self.promised.iter().filter(|promised| {
            promised.from != replica && is_later(promised.log_view) && promised.reach <= promised.op
        });
        let mut led = self.promised.iter().filter(|promised| {
            promised.from == replica
                && is_later(promised.view)
                && self.configuration.primary(promised.view) == replica
        });
        begun.map(|begun| (begun.op, begun.head)).any(|(end, head)| lacks(end, head))
            || held.any(|promised| lacks(promised.op, promised.head))
            || led.any(|own| !lacks(own.op, own.head) && self.may_be_cut(own, op))
    }

    /// Whether the log that `own` speaks of may be cut before the entry at `op`, by the denials of others, of that or of one before it
    /// that is not too old for it.
    fn may_be_cut(&self, own: &Promised, op: OpNumber) -> bool {
        let first = own.op.minus(u64::from(self.configuration.pipeline_max)).next();
        (first.get()..=op.get()).any(|op| self.is_denied(own, OpNumber::new(op)))
    }

    /// Whether so many others deny the entry at `op` of the log that `chosen` speaks of, in their promises to the same view, that it
    /// cannot have been committed.
    ///
    /// Of those who were never normal in the view in which it was prepared nobody has acknowledged it; nor has who promises a log
    /// without it, of that view or a later one, unless it cannot tell where its log ended.
    pub(super) fn is_denied(&self, chosen: &Promised, op: OpNumber) -> bool {
        let Some(checksum) = self.log.ancestor(chosen.op, chosen.head, op) else { return false };
        let header = self.log.place(op).and_then(|place| place.header(checksum));
        let Some(prepared) = header.map(|header| header.view) else { return false };
        let denies = |other: &&Promised| {
            other.view == chosen.view
                && other.from != chosen.from
                && (other.log_view < prepared
                    || if other.op < op {
                        other.reach < op
                    } else {
                        let own = self.log.ancestor(other.op, other.head, op);
                        own.is_some_and(|own| own != checksum)
                    })
        };
        let is_denier = |replica: &ReplicaIndex| {
            self.promised.iter().filter(denies).any(|other| other.from == *replica)
        };
        let deniers = self.configuration.replicas().filter(is_denier).count();
        deniers >= usize::from(self.quorums.nack())
    }

    pub(super) fn replica(&self, replica: ReplicaIndex) -> &ReplicaFacts {
        &self.replicas[replica.index()]
    }

    pub(super) fn replica_mut(&mut self, replica: ReplicaIndex) -> &mut ReplicaFacts {
        &mut self.replicas[replica.index()]
    }

    /// What the durable promise of `replica` says.
    pub(super) fn promise(&self, replica: ReplicaIndex) -> &Promise {
        self.replica(replica).disk.promise()
    }

    /// On how many disks the entry is, whole, or in a checkpoint.
    pub(super) fn holders(&self, held: &Held) -> u8 {
        let slots = self.configuration.slots;
        self.count(|disk| disk.is_whole(held, slots))
    }

    /// On how many disks the entry is or should be: whole, or spoiled since it was written there.
    pub(super) fn owers(&self, held: &Held) -> u8 {
        let slots = self.configuration.slots;
        self.count(|disk| disk.owes(held, slots))
    }

    fn count(&self, is_counted: impl Fn(&Disk) -> bool) -> u8 {
        let count = self.replicas.iter().filter(|replica| is_counted(&replica.disk)).count();
        u8::try_from(count).expect("at most seven replicas")
    }

    /// The disks that the entry is on, for a person.
    pub(super) fn holders_text(&self, held: &Held) -> String {
        let slots = self.configuration.slots;
        let named = |replica: ReplicaIndex| {
            let disk = &self.replica(replica).disk;
            let is_whole = disk.is_whole(held, slots);
            let spoiled = if is_whole { "" } else { " (spoiled)" };
            disk.owes(held, slots).then(|| format!("{replica}{spoiled}"))
        };
        let names: Vec<String> = self.configuration.replicas().filter_map(named).collect();
        if names.is_empty() { "no disk".to_owned() } else { names.join(" ") }
    }

    /// The entry that the disk of `replica` holds at `op`, as far as the replica can know.
    pub(super) fn on_disk(&self, replica: ReplicaIndex, op: OpNumber) -> Option<Held> {
        let held = self.replica(replica).disk.slot(op, self.configuration.slots)?;
        (held.op == op).then_some(held)
    }

    /// Boxed, so that the many checks that find nothing say so in one word.
    #[cold]
    #[inline(never)]
    pub(super) fn violation(
        &self,
        property: Property,
        place: &str,
        message: String,
    ) -> Box<Violation> {
        Box::new(Violation { property, place: place.to_owned(), message, at: self.now })
    }
}
