//! What happens when somebody has had enough: the first signal lets what is under way be finished, the second one ends all.

use std::sync::atomic::{AtomicBool, Ordering};

use super::CliError;

/// The exit code of a command that was ended before its time.
pub(super) const INTERRUPTED: u8 = 130;

static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on signals that ask this process to end only make [`is_interrupted`] true.
#[expect(clippy::exit, reason = "whoever asks twice does not want to wait")]
pub(super) fn listen() -> Result<(), CliError> {
    let heard = || {
        if IS_INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    };
    ctrlc::set_handler(heard).map_err(|error| CliError::Internal(error.to_string()))
}

/// Whether somebody has asked this process to end.
pub(super) fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::Relaxed)
}
