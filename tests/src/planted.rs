//! Planted bugs: each patch of `tests/planted` makes the replica wrong in one way, and the simulator must notice.
//!
//! A [`Workshop`] builds the command from the sources as they are, and once more for each patch; a [`Hunt`] sweeps seeds with such a
//! build until one fails, and then asks the clean build about that very seed.

mod hunt;
mod patch;
mod tale;
mod witness;
mod workshop;

pub use hunt::{Found, Hunt, Probe, Sweep, SweepError};
pub use patch::{Patch, PatchError};
pub use tale::{Proof, Size, TALE_COLUMNS, Tale};
pub use witness::{WITNESS_COLUMNS, WITNESSES, Witness, WitnessError, try_witnesses};
pub use workshop::{Build, BuildError, Workshop, workspace};
