//! Scenarios that failed once and are kept: each says what must come of it, and is run again and again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cluster::service::AnyService;
use crate::report::json::{exit_code_of_run, signature};
use crate::report::summary::{Regressions, Unmet};
use crate::report::text;
use crate::scenario::Scenario;
use crate::scenario::file::{self, FileError};
use crate::scenario::outcome::Verdict;
use crate::scenario::run::Runner;

/// Where they are, from the root of a repository.
pub const FOLDER: &str = "scenarios/regressions";

/// The exit code where a run passes that should fail: as that of any expectation that is not met.
const UNEXPECTED: u8 = 10;

/// The scenario files in a folder and in those below it, in the order of their names.
///
/// # Errors
///
/// What the file system says.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let io = |error: io::Error| FileError::Io { path: folder.to_owned(), error };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() {
            files.extend(files_in(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads all scenarios in a folder.
///
/// # Errors
///
/// All those that cannot be read, the first thing that is wrong with each.
pub fn read_all(folder: &Path) -> Result<Vec<(PathBuf, Scenario)>, Vec<FileError>> {
    let (mut scenarios, mut errors) = (Vec::new(), Vec::new());
    for path in files_in(folder).map_err(|error| vec![error])? {
        match file::read(&path) {
            Ok(scenario) => scenarios.push((path, scenario)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(scenarios) } else { Err(errors) }
}

/// Runs them, and judges each by verdict, property and signature; never by its trace, which every change of the code changes.
#[must_use]
pub fn replay(scenarios: &[(PathBuf, Scenario)]) -> Regressions {
    let mut runner: Runner = Runner::of(AnyService::default());
    let mut regressions = Regressions::default();
    for (path, scenario) in scenarios {
        let outcome = runner.run(scenario);
        regressions.replayed += 1;
        regressions.unmet.extend(unmet(path, scenario, &outcome.verdict));
    }
    regressions
}

/// What is not as the scenario says, if anything.
#[must_use]
pub fn unmet(path: &Path, scenario: &Scenario, verdict: &Verdict) -> Option<Unmet> {
    if scenario.expect.is_met(verdict) {
        return None;
    }
    let exit_code = match exit_code_of_run(verdict) {
        0 => UNEXPECTED,
        code => code,
    };
    Some(Unmet {
        path: text::path(path),
        expected: scenario.expect.to_string(),
        found: verdict_in_words(verdict),
        exit_code,
    })
}

/// A verdict in the words in which a scenario expects it.
fn verdict_in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Fail(finding) => {
            format!("fail {} {}", finding.property, signature(finding.signature()))
        }
        Verdict::Unknown(what) => format!("unknown, as a budget ran out: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_and_what_came_of_it_are_told_in_the_same_words() {
        let replay = |expect: &str| {
            let steps = r#"[{"at":"50ms","do":{"expect":{"nodes":"r0","view":1}}}]"#;
            let text = format!(r#"{{"format":1,"steps":{steps},"expect":{expect}}}"#);
            let scenario = file::parse(&text).unwrap();
            replay(&[(PathBuf::from("a.json"), scenario)])
        };
        let regressions = replay(r#"{"verdict":"pass"}"#);
        assert_eq!(regressions.words(), "1 replayed, 1 not as expected");
        let unmet = &regressions.unmet[0];
        assert_eq!((unmet.path.as_str(), unmet.expected.as_str()), ("a.json", "pass"));
        assert_eq!(unmet.exit_code, 10);
        let (_, signature) = unmet.found.rsplit_once(' ').unwrap();
        assert_eq!(unmet.found, format!("fail expectation {signature}"));

        let met =
            format!(r#"{{"verdict":"fail","property":"expectation","signature":"{signature}"}}"#);
        assert_eq!(replay(&met).words(), "1 replayed, all as expected");
        let other = replay(r#"{"verdict":"fail","property":"agreement"}"#);
        assert_eq!(other.unmet[0].expected, "fail agreement");
        // A bug that comes back as another one is not the bug that was expected.
    }
}
