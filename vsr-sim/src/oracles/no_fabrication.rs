//! I11: every committed operation was asked for by the client that it names, in these bytes.

use vsr_core::header::{Header, Operation};

use super::facts::{Facts, describe};
use super::violation::{Property, Violation};

/// Judges an entry that has just become committed.
pub(super) fn check(facts: &Facts, header: &Header) -> Option<Violation> {
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
