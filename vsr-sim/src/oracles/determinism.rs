//! I14: every replica's service answers an operation, and stands afterwards, as a reference service does that the oracles feed with
//! the committed log.

use vsr_core::header::Header;
use vsr_core::number::{OpNumber, ReplicaIndex};

use super::facts::{Facts, Outcome, describe};
use super::violation::{Property, Violation};

/// `replica` has executed the entry, with this outcome.
pub(super) fn check(
    facts: &Facts,
    replica: ReplicaIndex,
    header: &Header,
    outcome: &Outcome,
) -> Option<Box<Violation>> {
    let reference = facts.log.place(header.op)?.outcome.as_ref()?;
    let place = if reference.reply != outcome.reply {
        "reply"
    } else if reference.digest != outcome.digest {
        "state"
    } else {
        return None;
    };
    let digest = |digest: Option<u128>| {
        digest.map_or_else(|| "no digest".to_owned(), |digest| format!("digest {digest:032x}"))
    };
    let message = format!(
        "at {}: {}\nthe reference answers with checksum {} and then has {}\n{replica} answers with checksum {} and then has {}",
        header.op,
        describe(header),
        reference.reply,
        digest(reference.digest),
        outcome.reply,
        digest(outcome.digest),
    );
    Some(facts.violation(Property::Determinism, place, message))
}

/// `replica` has taken over the state of a checkpoint of `op`, and its service has this digest.
pub(super) fn check_restored(
    facts: &Facts,
    replica: ReplicaIndex,
    op: OpNumber,
    digest: Option<u128>,
) -> Option<Box<Violation>> {
    let (last, outcome) = facts.log.outcome_of_last(facts.log.applies_up_to(op))?;
    let expected = outcome?.digest;
    if expected == digest {
        return None;
    }
    let message = format!(
        "{replica} takes over the checkpoint of {op}\nits state is not the one that executing {last} gives"
    );
    Some(facts.violation(Property::Determinism, "restore", message))
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_service_that_answers_or_ends_up_differently_is_told() {
        for (reply, digest, expected) in [
            (&b"one"[..], 1, &[][..]),
            (b"won", 1, &[Property::Determinism]),
            (b"one", 2, &[Property::Determinism]),
        ] {
            let mut forge = Forge::of(3);
            let request = forge.request(1, b"one");
            let entry = forge.append(0, &request);
            forge.commit(0, &entry);
            forge.apply(0, b"one");
            forge.apply_with(2, b"one", reply, digest);
            assert_eq!(forge.fired(), expected);
        }
    }
}
