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
pub(super) fn broken(facts: &Facts, again: &Header, first: OpNumber) -> Violation {
    let entry = facts.log.place(first).and_then(|place| place.committed_header());
    let message = format!(
        "{first} is committed: {}\n{} is committed, with the same request: {}",
        entry.map(describe).unwrap_or_default(),
        again.op,
        describe(again),
    );
    facts.violation(Property::ExactlyOnce, "log", message)
}
