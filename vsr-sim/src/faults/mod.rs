//! What may go wrong in a world: it knows no Viewstamped Replication.
//!
//! A [`Fault`] is what goes wrong, a [`Step`] says when and for how long, a [`Plan`] is a list of steps. A [`Conductor`]
//! tells when the time of a step has come, an [`Injector`] does the deed and takes it back, and a [`Director`] is both
//! for a plan of faults alone. [`draw`] draws plans from seeds, and [`draw_disk_plan`] those that spoil disks.

pub mod conductor;
pub mod director;
pub mod fault;
pub mod injector;
pub mod plan;
pub mod selector;
pub mod spoil;
pub mod swarm;
#[cfg(test)]
mod tests;

pub use conductor::{Conductor, Due, Settling};
pub use director::{Director, Firing};
pub use fault::Fault;
pub use injector::{FaultId, Injector, Limits, Skipped};
pub use plan::{Gate, Lasts, MomentName, On, Plan, PlanError, Settled, Step};
pub use selector::{Occasion, Resolver, Selector};
pub use spoil::{DiskShape, draw_disk_plan, draw_rates};
pub use swarm::{Cue, Shape, Swarm, draw, draw_plan};
