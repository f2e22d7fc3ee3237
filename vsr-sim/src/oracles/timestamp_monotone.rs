//! I27: timestamps increase along the log, and each is no older than the clock of the primary that gave it.
//!
//! A primary gives each operation the time of its own wall clock, or one more than the operation before has, if the clock shows less:
//! clocks differ and jump, and what a service does by the time must not run backwards because another replica leads.

use vsr_core::header::Header;
use vsr_core::number::{OpNumber, ReplicaIndex};

use super::facts::{Facts, describe};
use super::violation::{Property, Violation};

/// An entry that a primary has just made, until it is known what its clock showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamped {
    op: OpNumber,
    timestamp: u64,
}

impl Stamped {
    pub(super) const fn of(header: &Header) -> Self {
        Self { op: header.op, timestamp: header.timestamp }
    }
}

/// `by` has prepared this entry.
pub(super) fn check(facts: &Facts, by: ReplicaIndex, header: &Header) -> Option<Box<Violation>> {
    let before = facts.log.place(header.op.previous()?)?.header(header.parent)?;
    if header.timestamp > before.timestamp {
        return None;
    }
    let message = format!(
        "{}, has the timestamp {}\n{by} prepares after it, with the timestamp {}: {}",
        describe(before),
        before.timestamp,
        header.timestamp,
        describe(header),
    );
    Some(facts.violation(Property::TimestampMonotone, "Prepare", message))
}

/// `by` has made an entry, after its wall clock had been seen to show `wall`, in nanoseconds.
pub(super) fn check_clock(
    facts: &Facts,
    by: ReplicaIndex,
    stamped: &Stamped,
    wall: u64,
) -> Option<Box<Violation>> {
    let Stamped { op, timestamp } = *stamped;
    if timestamp >= wall {
        return None;
    }
    let message = format!(
        "the clock of {by} had shown {wall} ns\n{by} prepares {op} with the timestamp {timestamp}"
    );
    Some(facts.violation(Property::TimestampMonotone, "clock", message))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vsr_core::header::Entry;

    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    /// The next entry after one more; the timestamp of that one is its op-number.
    fn stamped(forge: &mut Forge, timestamp: impl FnOnce(u64) -> u64) -> Arc<Entry> {
        let (first, second) = (forge.request(1, b"one"), forge.request(2, b"two"));
        let before = forge.append(0, &first).header().op.get();
        forge.clock(0, 1);
        let entry = forge.entry_after(0, before + 1, forge.head(), &second);
        let mut header = *entry.header();
        header.timestamp = timestamp(before);
        header.seal();
        Arc::new(Entry::new(header, entry.body()).unwrap())
    }

    #[test]
    fn a_timestamp_that_is_not_later_than_the_one_before_is_told() {
        for (later, is_told) in [(0, true), (1, false)] {
            let mut forge = Forge::of(3);
            let entry = stamped(&mut forge, |before| before + later);
            forge.prepare(0, &entry, entry.header().op.get() - 1);
            let expected = if is_told { vec![Property::TimestampMonotone] } else { Vec::new() };
            assert_eq!(forge.fired(), expected);
        }
        // Were it not, a service that goes by the time would see it run backwards after a change of the primary.
    }

    #[test]
    fn a_timestamp_behind_the_clock_of_who_gave_it_is_told() {
        for (wall, is_told) in [(71, true), (70, false)] {
            let mut forge = Forge::of(3);
            let entry = stamped(&mut forge, |_| 70);
            forge.prepare(0, &entry, entry.header().op.get() - 1);
            forge.clock(0, wall);
            // An entry that is sent again keeps its timestamp, whatever the clock shows by then.
            forge.prepare(0, &entry, entry.header().op.get() - 1);
            forge.clock(0, 1_000);
            let expected = if is_told { vec![Property::TimestampMonotone] } else { Vec::new() };
            assert_eq!(forge.fired(), expected);
        }
    }
}
