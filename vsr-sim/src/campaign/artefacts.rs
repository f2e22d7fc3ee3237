//! What is kept of a failing run, in a folder of its own.

use std::path::{Path, PathBuf};

use crate::scenario::Scenario;
use crate::scenario::file::{self, FileError};
use crate::scenario::outcome::Finding;

/// Where everything goes that this program writes by itself.
pub const ROOT: &str = "target/vsr-sim";

/// The folder of one failure below `directory`.
#[must_use]
pub fn failure_directory(directory: &Path, scenario: &Scenario, finding: &Finding) -> PathBuf {
    let name = format!("{:016x}-seed-{:x}", finding.signature(), scenario.seed.number());
    directory.join("failures").join(name)
}

/// Writes the scenario of a failing run; returns the file's path.
///
/// # Errors
///
/// When the file system says no.
pub fn keep_scenario(
    directory: &Path,
    scenario: &Scenario,
    finding: &Finding,
) -> Result<PathBuf, FileError> {
    let path = failure_directory(directory, scenario, finding).join("scenario.json");
    file::write(&path, scenario)?;
    Ok(path)
}
