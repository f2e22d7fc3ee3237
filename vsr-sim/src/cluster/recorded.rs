//! A service that remembers what it was asked to apply, until the observer comes to collect it: the ground truth about execution.

use std::cell::RefCell;

use vsr_core::state_machine::StateMachine;

/// One call, as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// Of [`StateMachine::apply`].
    Applied(Applied<'a>),
    /// Of [`StateMachine::restore`].
    Restored {
        /// The digest of the state that it brought, where the service has one.
        digest: Option<u128>,
    },
}

/// One call of [`StateMachine::apply`], as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied<'a> {
    /// The operation's bytes.
    pub operation: &'a [u8],
    /// The answer's bytes.
    pub reply: &'a [u8],
    /// The digest of the state after it, where the service has one.
    pub digest: Option<u128>,
}

/// How much memory for bytes is kept from step to step.
const BYTES_KEPT: usize = 1 << 15;

/// Wraps a service and writes down every operation that it applies, and every state that it takes over.
///
/// What was written down is collected after each step, and what an unusually busy one took is given back.
#[derive(Debug, Default)]
pub struct Recorded<S> {
    service: S,
    calls: RefCell<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    bytes: Vec<u8>,
    list: Vec<Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    /// Where in `bytes` the operation and the reply end; `None` if a state was taken over.
    ends: Option<(usize, usize)>,
    digest: Option<u128>,
}

impl<S> Recorded<S> {
    /// Wraps `service`.
    pub fn new(service: S) -> Self {
        Self { service, calls: RefCell::default() }
    }

    /// The service itself.
    pub const fn service(&self) -> &S {
        &self.service
    }

    /// Hands over each call since the last time, oldest first, and forgets it.
    pub fn collect(&self, mut take: impl FnMut(Call<'_>)) {
        let mut calls = self.calls.borrow_mut();
        let mut start = 0;
        for Kept { ends, digest } in &calls.list {
            let Some((operation, reply)) = *ends else {
                take(Call::Restored { digest: *digest });
                continue;
            };
            take(Call::Applied(Applied {
                operation: &calls.bytes[start..operation],
                reply: &calls.bytes[operation..reply],
                digest: *digest,
            }));
            start = reply;
        }
        calls.bytes.clear();
        calls.bytes.shrink_to(BYTES_KEPT);
        calls.list.clear();
    }
}

impl<S: StateMachine> StateMachine for Recorded<S> {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        self.service.apply(operation, reply);
        let calls = self.calls.get_mut();
        calls.bytes.extend_from_slice(operation);
        let operation = calls.bytes.len();
        calls.bytes.extend_from_slice(reply);
        let ends = Some((operation, calls.bytes.len()));
        calls.list.push(Kept { ends, digest: self.service.digest() });
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        self.service.snapshot(snapshot);
    }

    fn restore(&mut self, snapshot: &[u8]) {
        self.service.restore(snapshot);
        self.calls.get_mut().list.push(Kept { ends: None, digest: self.service.digest() });
    }

    fn digest(&self) -> Option<u128> {
        self.service.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::key_value::{Answer, KeyValue, Operation};

    #[test]
    fn every_call_is_collected_once_and_in_order() {
        let mut recorded = Recorded::new(KeyValue::new());
        let mut put = Vec::new();
        Operation::Put { key: b"k", value: b"1" }.encode(&mut put);
        let get = [1, 1, b'k'];
        for operation in [&put[..], &get] {
            recorded.apply(operation, &mut Vec::new());
        }

        let mut calls = Vec::new();
        let mut restored = 0;
        recorded.restore(&[]);
        recorded.collect(|call| match call {
            Call::Applied(applied) => {
                assert_eq!(restored, 0);
                calls.push((applied.operation.to_vec(), applied.reply.to_vec()));
            }
            Call::Restored { digest } => {
                assert_eq!(digest, KeyValue::new().digest());
                restored += 1;
            }
        });
        assert_eq!(restored, 1);
        assert_eq!(calls[0].0, put);
        assert_eq!(calls[1].0, get);
        assert_eq!(Answer::decode(&calls[1].1), Ok(Answer::Value(Some(b"1"))));
        recorded.collect(|_| panic!("collected twice"));
    }
}
