//! I24: no input whatever makes a replica or a client panic.

use super::facts::Facts;
use super::violation::{Property, Violation};

/// The process called `who` has panicked with `message`.
///
/// The numbers in the message differ from run to run: the place is the message without them.
pub(super) fn violation(facts: &Facts, who: &str, message: &str) -> Violation {
    let place: String = message
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|character| !character.is_ascii_digit())
        .take(120)
        .collect();
    facts.violation(Property::NoPanic, &place, format!("{who} panicked: {message}"))
}
