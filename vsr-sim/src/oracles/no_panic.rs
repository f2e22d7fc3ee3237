//! I24: no input whatever makes a replica or a client panic.

use super::facts::Facts;
use super::violation::{Property, Violation};

/// The process called `who` has panicked with `message`.
///
/// The numbers in the message differ from run to run: the place is the message without them.
pub(super) fn violation(facts: &Facts, who: &str, message: &str) -> Box<Violation> {
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

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_panic_is_named_by_its_words_and_not_by_its_numbers() {
        let place = |message| {
            let mut forge = Forge::of(3);
            forge.oracles.panicked(forge.now, "r1", message);
            assert_eq!(forge.fired(), [Property::NoPanic]);
            forge.oracles.violation().unwrap().signature()
        };
        assert_eq!(place("no entry at op 17"), place("no entry at op 4"));
        assert_ne!(place("no entry at op 17"), place("two entries at op 17"));
    }
}
