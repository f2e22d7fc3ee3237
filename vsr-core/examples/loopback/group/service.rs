//! The replicated service: a sum, whose every answer shows whether an operation was lost or ran twice.

use vsr_core::state_machine::StateMachine;

/// Adds up numbers. An operation is eight bytes, little-endian, and so is the answer: the sum so far.
#[derive(Debug, Default)]
pub(crate) struct Sum(pub(crate) u64);

impl StateMachine for Sum {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        if let Ok(number) = operation.try_into() {
            self.0 = self.0.wrapping_add(u64::from_le_bytes(number));
        }
        reply.extend_from_slice(&self.0.to_le_bytes());
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        snapshot.extend_from_slice(&self.0.to_le_bytes());
    }

    fn restore(&mut self, snapshot: &[u8]) {
        self.0 = u64::from_le_bytes(snapshot.try_into().expect("what `snapshot` made"));
    }
}
