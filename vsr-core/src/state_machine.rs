//! The service that is replicated: the up-call of VR Revisited, figure 1.

use alloc::vec::Vec;

/// A deterministic service over bytes.
///
/// Every replica applies the same operations in the same order, so equal states must follow from equal operations: no clock,
/// no randomness, no iteration in an order that differs between processes. An operation that makes no sense gets an answer
/// that says so; it is never a reason to fail.
pub trait StateMachine {
    /// Applies one operation and appends its answer to `reply`, which is handed over empty.
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>);

    /// Appends all that [`StateMachine::restore`] needs to `snapshot`: equal states give equal bytes.
    fn snapshot(&self, snapshot: &mut Vec<u8>);

    /// Replaces the whole state by that of a snapshot, taken by another replica of the same kind.
    fn restore(&mut self, snapshot: &[u8]);

    /// A cheap digest of the state, where there is one: two replicas at one operation must agree on it.
    fn digest(&self) -> Option<u128> {
        None
    }
}
