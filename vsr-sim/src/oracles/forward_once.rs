//! L7: a request makes one hop at most. Two replicas that each take the other for the primary would pass it to and fro for ever.

use vsr_core::message::Request;
use vsr_core::number::ReplicaIndex;

use super::facts::Facts;
use super::violation::{Property, Violation};

/// `by` passes `request` on.
pub(super) fn check(facts: &Facts, by: ReplicaIndex, request: &Request) -> Option<Box<Violation>> {
    if facts.replica(by).passed_on != Some(request.checksum) {
        return None;
    }
    let message = format!(
        "another replica has passed request {} of {} on to {by}\n{by} passes it on once more",
        request.request, request.client,
    );
    Some(facts.violation(Property::ForwardOnce, "Forward", message))
}

#[cfg(test)]
mod tests {
    use crate::oracles::forge::Forge;
    use crate::oracles::violation::Property;

    #[test]
    fn a_request_that_was_passed_on_and_is_passed_on_again_is_told() {
        for (is_one_step, expected) in [(true, vec![Property::ForwardOnce]), (false, vec![])] {
            let mut forge = Forge::of(3);
            let request = forge.request(1, b"one");
            forge.forward(1, 2, &request);
            if !is_one_step {
                // It may have come from the client as well, who sends it to everybody once it has waited.
                forge.clock(2, 0);
            }
            forge.forward(2, 1, &request);
            assert_eq!(forge.fired(), expected);
        }
    }
}
