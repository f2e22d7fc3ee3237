//! I10: a request is executed at most once, however often it is sent and whoever leads.
//!
//! A primary knows every request that its log holds, so the committed log never holds one twice; were it to, only the check at
//! execution would stand between that and a second execution. Both are looked at: the log here, execution in
//! [`super::execution_order`].

use vsr_core::header::Header;
use vsr_core::number::OpNumber;

use super::facts::{Facts, describe};
use super::violation::{Property, Violation};

/// The committed entry holds a request that was executed at `first` already.
#[cold]
pub(super) fn broken(facts: &Facts, again: &Header, first: OpNumber) -> Box<Violation> {
    let entry = facts.log.place(first).and_then(|place| place.committed_header());
    let message = format!(
        "{first} is committed: {}\n{} is committed, with the same request: {}",
        entry.map(describe).unwrap_or_default(),
        again.op,
        describe(again),
    );
    facts.violation(Property::ExactlyOnce, "log", message)
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_request_with_two_places_in_the_committed_log_is_told() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let first = forge.append(0, &request);
        let second = forge.append(0, &request);
        assert_ne!(first.header().checksum, second.header().checksum);
        forge.commit(0, &first);
        assert_eq!(forge.fired(), []);
        forge.commit(0, &second);
        assert_eq!(forge.fired(), [Property::ExactlyOnce]);
    }

    #[test]
    fn a_second_execution_is_told() {
        let mut forge = Forge::of(3);
        forge.complete(1, b"one");
        let request = forge.request(2, b"two");
        let entry = forge.append(0, &request);
        forge.commit(0, &entry);
        forge.apply(2, b"one");
        assert_eq!(forge.fired(), [Property::ExactlyOnce]);
    }

    #[test]
    fn a_request_that_a_view_change_moves_is_not_there_twice() {
        let mut forge = Forge::of(3);
        let (one, two) = (forge.request(1, b"one"), forge.request(2, b"two"));
        let parent = forge.head();
        // View 0 puts the first request at op 2 and is not heard; view 1 has something else there first.
        let lost = forge.entry_after(0, 2, parent, &one);
        forge.prepare(0, &lost, 1);
        (1..3).for_each(|replica| forge.promise(replica, 1, 1));
        let other = forge.request_of(vsr_core::number::ClientId::new(9), 0, b"");
        for request in [&other, &one, &two] {
            let entry = forge.next(1, request);
            forge.prepare(1, &entry, entry.header().op.get() - 1);
            (1..3).for_each(|replica| forge.store(replica, &entry));
            forge.commit(1, &entry);
        }
        assert_eq!(forge.fired(), []);
        assert_eq!(forge.oracles.executed(), 2);
    }
}
