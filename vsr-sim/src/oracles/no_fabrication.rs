//! I11: every committed operation was asked for by the client that it names, in these bytes.

use vsr_core::header::{Header, Operation};

use super::facts::{Facts, describe};
use super::violation::{Property, Violation};

/// Judges an entry that has just become committed.
pub(super) fn check(facts: &Facts, header: &Header) -> Option<Box<Violation>> {
    let asked = facts.clients.asked(header.client, header.request);
    let is_asked = asked.is_some_and(|asked| {
        asked.checksum == header.request_checksum
            && asked.session == header.session
            && asked.body == header.checksum_body
    });
    if is_asked && header.operation != Operation::Root {
        return None;
    }
    let client = asked.map_or_else(
        || format!("{} has sent no {}", header.client, header.request),
        |asked| {
            format!(
                "{} has sent {} {} with request checksum {}",
                header.client, asked.session, header.request, asked.checksum
            )
        },
    );
    let message = format!(
        "{client}\n{} is committed: {}, request checksum {}",
        header.op,
        describe(header),
        header.request_checksum,
    );
    Some(facts.violation(Property::NoFabrication, "log", message))
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn an_operation_that_nobody_asked_for_is_told() {
        let mut forge = Forge::of(3);
        let mut request = forge.request(1, b"one");
        // The same request, with another body put under it.
        request.body = (*b"won").into();
        let entry = forge.append(0, &request);
        assert_eq!(forge.fired(), []);
        forge.commit(0, &entry);
        assert_eq!(forge.fired(), [Property::NoFabrication]);
    }

    #[test]
    fn an_execution_of_what_nobody_asked_for_is_told() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let entry = forge.append(0, &request);
        forge.commit(0, &entry);
        forge.apply(1, b"won");
        assert_eq!(forge.fired(), [Property::NoFabrication]);
    }
}
