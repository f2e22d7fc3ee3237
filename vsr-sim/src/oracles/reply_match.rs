//! I12: a reply names the operation that its request became, and carries what executing it gave: the same every time.

use vsr_core::checksum::Checksum;
use vsr_core::header::{Header, Operation};
use vsr_core::message::Reply;
use vsr_core::number::Session;

use super::facts::{Answered, Effect, Facts, describe};
use super::violation::{Property, Violation};

/// Whether the reply is to the request of this entry.
pub(super) fn is_of(reply: &Reply, header: &Header) -> bool {
    let session = match header.operation {
        Operation::Register => Session::new(header.op.get()),
        Operation::Apply | Operation::Root => header.session,
    };
    reply.client == header.client
        && reply.request == header.request
        && reply.request_checksum == header.request_checksum
        && reply.session == session
}

/// Judges a reply to a committed operation.
pub(super) fn check(facts: &Facts, reply: &Reply) -> Option<Box<Violation>> {
    let answered = Answered::at(facts.log.place(reply.op)?)?;
    check_answered(facts, reply, &answered)
}

/// Judges a reply to an operation of which this is known.
pub(super) fn check_answered(
    facts: &Facts,
    reply: &Reply,
    answered: &Answered,
) -> Option<Box<Violation>> {
    let Answered { header, effect, outcome, replied } = answered;
    if !is_of(reply, header) {
        return Some(broken(
            facts,
            reply,
            "request",
            format!("committed is: {}", describe(header)),
        ));
    }
    let Reply { client, session, request, op, .. } = *reply;
    if reply.checksum != Reply::checksum_of(client, session, request, op, &reply.result) {
        let what = format!("its own checksum {} is not that of its fields", reply.checksum);
        return Some(broken(facts, reply, "checksum", what));
    }
    let result = Checksum::of(&reply.result);
    let expected = match (*effect)? {
        Effect::Registered => Some(Checksum::of(&[])),
        Effect::Applied => outcome.map(|outcome| outcome.reply).or_else(|| Some((*replied)?.0)),
        Effect::Nothing | Effect::Repeated(_) => {
            let what = "executing it does nothing, and answers nothing".to_owned();
            return Some(broken(facts, reply, "no effect", what));
        }
    };
    if expected.is_none_or(|expected| expected == result) {
        return None;
    }
    let what = format!("the result has checksum {result}, another than execution gave");
    Some(broken(facts, reply, "result", what))
}

#[cold]
fn broken(facts: &Facts, reply: &Reply, place: &str, what: String) -> Box<Violation> {
    let message = format!(
        "{} replies to {} {} {}, from {} in {}\n{what}",
        reply.from, reply.client, reply.session, reply.request, reply.op, reply.view,
    );
    facts.violation(Property::ReplyMatch, place, message)
}

/// Execution has given another result than the reply that left before it was seen.
#[cold]
pub(super) fn broken_before(facts: &Facts, header: &Header, reply: Checksum) -> Box<Violation> {
    let message = format!(
        "a reply to {} left: {}\nits result is not that of execution, which has checksum {reply}",
        header.op,
        describe(header),
    );
    facts.violation(Property::ReplyMatch, "result", message)
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_reply_that_is_not_what_execution_gave_is_told() {
        let mut forge = Forge::of(3);
        let entry = forge.complete(1, b"one");
        assert_eq!(forge.fired(), [], "the right one");
        forge.reply(0, 0, &entry, b"won");
        assert_eq!(forge.fired(), [Property::ReplyMatch]);
    }

    #[test]
    fn a_reply_may_leave_before_its_execution_is_seen_but_must_agree_with_it() {
        let mut forge = Forge::of(3);
        let request = forge.request(1, b"one");
        let entry = forge.append(0, &request);
        forge.reply(0, 0, &entry, b"won");
        assert_eq!(forge.fired(), []);
        forge.apply(0, b"one");
        assert_eq!(forge.fired(), [Property::ReplyMatch]);
    }

    #[test]
    fn a_reply_that_names_the_place_of_another_request_is_told() {
        let mut forge = Forge::of(3);
        forge.complete(1, b"one");
        let last = forge.complete(2, b"two");
        let mut reply = forge.reply_to(0, 0, &last, b"two");
        reply.op = forge.log[1].header().op;
        forge.send_reply(reply);
        assert_eq!(forge.fired(), [Property::ReplyMatch]);
    }

    #[test]
    fn a_reply_may_come_again_from_another_replica_in_a_later_view() {
        let mut forge = Forge::of(3);
        let entry = forge.complete(1, b"one");
        forge.promise(1, 1, 1);
        forge.reply(1, 1, &entry, b"one");
        assert_eq!(forge.fired(), []);
        let mut reply = forge.reply_to(1, 1, &entry, b"one");
        reply.checksum = vsr_core::checksum::Checksum::ZERO;
        forge.send_reply(reply);
        assert_eq!(forge.fired(), [Property::ReplyMatch]);
    }
}
