//! Who judges a run: one invariant a file, on ground truth alone.
//!
//! [`Oracles`] is told of every packet, every durable byte, every reply and every call of the service; it is never told what a replica
//! says of itself. From that it keeps the facts (`facts`), and holds each observation against the invariants. The first violation
//! carries both sides of the contradiction.

mod ack_truthful;
mod acked_durable;
mod agreement;
mod bounds;
mod checkpoint_equal;
mod determinism;
mod eviction_truthful;
mod exactly_once;
mod execution_order;
mod exposure;
mod facts;
mod finding;
#[cfg(test)]
mod forge;
#[cfg(test)]
mod forgetting;
mod forward_once;
mod judge;
mod liveness;
mod log_choice;
mod log_reuse;
mod nack_truthful;
mod no_fabrication;
mod no_panic;
mod one_log_per_view;
mod promise_kept;
mod quorum_durable;
mod reply_match;
mod table_equal;
mod timestamp_monotone;
mod view_monotone;
mod view_quorum;
mod view_survival;
mod violation;
mod witness;

pub use exposure::{Exposure, Moment};
pub use finding::{Finding, FindingKind};
pub use judge::{Delivery, DiskBytes, Oracles};
pub use liveness::{Bounds, Environment, TRIES};
pub use violation::{Kind, Property, Violation};
pub use witness::Witness;
