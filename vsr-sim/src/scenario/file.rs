//! Scenarios in files: JSON, every unknown field refused, every error with its place.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Scenario;

/// Why a scenario could not be read or written.
#[derive(Debug)]
pub enum FileError {
    /// The file system said no.
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The text is no scenario.
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Where in it: the line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(formatter, "{}: {error}", path.display()),
            Self::Invalid { path, line, column, message } => {
                write!(formatter, "{}:{line}:{column}: {message}", path.display())
            }
        }
    }
}

impl std::error::Error for FileError {}

/// Reads a scenario.
///
/// # Errors
///
/// When there is no such file, or when it holds no scenario.
pub fn read(path: &Path) -> Result<Scenario, FileError> {
    let text =
        fs::read_to_string(path).map_err(|error| FileError::Io { path: path.to_owned(), error })?;
    parse(&text).map_err(|(line, column, message)| FileError::Invalid {
        path: path.to_owned(),
        line,
        column,
        message,
    })
}

/// Reads a scenario from text; an error is a line, a column and what is wrong there.
fn parse(text: &str) -> Result<Scenario, (usize, usize, String)> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
        (error.line().max(1), error.column().max(1), message)
    })
}

/// Whether the scenario is one that a file can say: read back, it is the same.
#[must_use]
pub fn is_readable(scenario: &Scenario) -> bool {
    parse(&text_of(scenario)).is_ok_and(|read| read == *scenario)
}

/// The text of a scenario.
#[must_use]
pub fn text_of(scenario: &Scenario) -> String {
    let mut text = serde_json::to_string_pretty(scenario)
        .expect("a scenario has neither strange keys nor anything that fails");
    text.push('\n');
    text
}

/// Writes a scenario: to a file beside it first, so that nobody ever sees half of it.
///
/// # Errors
///
/// When the file system says no.
pub fn write(path: &Path, scenario: &Scenario) -> Result<(), FileError> {
    write_atomically(path, text_of(scenario).as_bytes())
        .map_err(|error| FileError::Io { path: path.to_owned(), error })
}

/// Writes a file so that it is there whole or not at all; makes the directories above it.
///
/// # Errors
///
/// What the file system says.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(directory)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let written = fs::File::create(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Best effort: the first error is the one to tell.
        fs::remove_file(&beside).ok();
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Seed;
    use crate::scenario::draw::Overrides;

    #[test]
    fn what_is_written_is_read_back() {
        for number in 0..200 {
            let drawn = Scenario::draw(Seed::new(number), &Overrides::default());
            assert_eq!(parse(&text_of(&drawn)), Ok(drawn), "seed {number}");
        }
    }

    #[test]
    fn a_hand_written_scenario_may_leave_out_what_it_does_not_care_for() {
        let scenario = parse(r#"{ "format": 1, "cluster": { "replicas": 5 } }"#).unwrap();
        assert_eq!(scenario.cluster.replicas, 5);
        assert_eq!(scenario.workload, None);
    }

    #[test]
    fn errors_say_where() {
        let refuse = |text: &str, line, words: &str| {
            let (at, _, message) = parse(text).unwrap_err();
            assert_eq!(at, line, "{message}");
            assert!(message.contains(words), "{message}");
        };
        refuse("{ \"format\": 2 }", 1, "format 2");
        refuse("{\n \"format\": 1,\n \"sed\": 7\n}", 3, "unknown field `sed`");
        refuse("{\n \"format\": 1,\n \"cluster\": {\n  \"replicas\": 8 }\n}", 4, "8 replicas");
        refuse("{\n \"format\": 1,\n \"cluster\": {\n  \"slots\": 7 } }", 4, "7 slots");
        refuse("{\n \"format\": 1\n", 3, "EOF");
        refuse("", 1, "EOF");
    }
}
