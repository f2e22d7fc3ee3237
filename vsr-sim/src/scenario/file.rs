//! Scenarios in files: JSON, every unknown field refused, every error with its place.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::error::Category;

use super::check::problems;
use super::place::{self, Part, Place};
use super::{FORMAT, Scenario};
use crate::cluster::key_value::service::KeyValueService;
use crate::cluster::service::Service;

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
        /// What is wrong, and where.
        error: Invalid,
    },
}

/// What is wrong in a text that should be a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in letters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for Invalid {}

impl Invalid {
    fn at(place: Place, message: String) -> Self {
        Self { line: place.line, column: place.column, message }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(formatter, "{}: {error}", path.display()),
            Self::Invalid { path, error } => write!(formatter, "{}:{error}", path.display()),
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
    read_for(path, &KeyValueService)
}

/// As [`read`], where clients ask `service` instead of the key-value store.
///
/// # Errors
///
/// As [`read`].
pub fn read_for(path: &Path, service: &dyn Service) -> Result<Scenario, FileError> {
    check(path, service).map_err(|mut errors| errors.swap_remove(0))
}

/// As [`read_for`], with all that is wrong, in the order in which it stands in the file.
///
/// # Errors
///
/// As [`read`], one error or more.
pub fn check(path: &Path, service: &dyn Service) -> Result<Scenario, Vec<FileError>> {
    let io = |error| vec![FileError::Io { path: path.to_owned(), error }];
    let bytes = fs::read(path).map_err(io)?;
    let invalid = |error| FileError::Invalid { path: path.to_owned(), error };
    let text = text_in(&bytes).map_err(|error| vec![invalid(error)])?;
    parse_all(text, service).map_err(|errors| errors.into_iter().map(invalid).collect())
}

/// The text in the bytes of a file.
///
/// # Errors
///
/// Where they are none.
pub fn text_in(bytes: &[u8]) -> Result<&str, Invalid> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let message = "a byte that belongs to no UTF-8 text".to_owned();
        Invalid::at(Place::of(&before, before.len()), message)
    })
}

/// Reads a scenario from text.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn parse(text: &str) -> Result<Scenario, Invalid> {
    parse_all(text, &KeyValueService).map_err(|mut errors| errors.swap_remove(0))
}

/// Reads a scenario whose clients ask `service` from text.
///
/// # Errors
///
/// All that is wrong, in order; where the text is no scenario at all, the first thing.
pub fn parse_all(text: &str, service: &dyn Service) -> Result<Scenario, Vec<Invalid>> {
    refuse_newer(text).map_err(|error| vec![error])?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let scenario: Scenario = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| vec![malformed(text, &error)])?;
    reader.end().map_err(|error| vec![syntax(text, &error)])?;
    let mut errors: Vec<Invalid> = problems(&scenario, service)
        .into_iter()
        .map(|problem| Invalid::at(place::locate(text, &problem.path, problem.part), problem.words))
        .collect();
    errors.sort_by_key(|error| (error.line, error.column));
    if errors.is_empty() { Ok(scenario) } else { Err(errors) }
}

/// Refuses a format that is not known before anything that only that may say.
fn refuse_newer(text: &str) -> Result<(), Invalid> {
    /// All but the format is somebody else's.
    #[derive(Deserialize)]
    struct Head {
        format: u64,
    }
    let Ok(Head { format }) = serde_json::from_str(text) else { return Ok(()) };
    if format == u64::from(FORMAT) {
        return Ok(());
    }
    let message = if format > u64::from(FORMAT) {
        format!("format {format} is newer than format {FORMAT}, the newest that is known here")
    } else {
        format!("format {format}, where only {FORMAT} is known")
    };
    Err(Invalid::at(
        place::locate(text, &place::Path::default().field("format"), Part::Value),
        message,
    ))
}

/// What the reader found wrong, told where the culprit begins.
fn malformed(text: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Invalid {
    let inner = error.inner();
    match inner.classify() {
        Category::Syntax | Category::Eof | Category::Io => syntax(text, inner),
        Category::Data => {
            let message = message_of(inner);
            let path = place::Path::from(error.path());
            let place = match message.split('`').collect::<Vec<_>>()[..] {
                // The reader has left the field when it finds that it was there before.
                ["duplicate field ", name, ..] => {
                    place::locate(text, &path.field(name), Part::SecondName)
                }
                ["unknown field ", ..] => place::locate(text, &path, Part::Name),
                // Nor does it enter a variant that there is not.
                ["unknown variant ", name, ..] => {
                    place::locate(text, &path.variant(name), Part::Name)
                }
                _ => place::locate(text, &path, Part::Value),
            };
            Invalid::at(place, message)
        }
    }
}

/// Text that is no JSON, told where that shows.
fn syntax(text: &str, error: &serde_json::Error) -> Invalid {
    let message = message_of(error);
    if error.is_eof() {
        let message = match text.trim() {
            "" => "an empty file".to_owned(),
            _ => format!("the file ends too early ({message})"),
        };
        return Invalid::at(Place::of(text, text.len()), message);
    }
    Invalid { line: error.line().max(1), column: error.column().max(1), message }
}

/// The error in words, without the place.
fn message_of(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}

/// Whether the scenario, whose clients ask `service`, is one that a file can say: read back, it is the same.
#[must_use]
pub fn is_readable(scenario: &Scenario, service: &dyn Service) -> bool {
    parse_all(&text_of(scenario), service).is_ok_and(|read| read == *scenario)
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

    /// Where the error is, and what it says, of a text in which `^` stands before the culprit.
    #[track_caller]
    fn refuse(marked: &str, words: &str) {
        let (before, _) = marked.split_once('^').expect("a culprit is marked");
        let place = Place::of(before, before.len());
        let error = parse(&marked.replacen('^', "", 1)).unwrap_err();
        assert!(error.message.contains(words), "{error}\nin {marked}");
        assert_eq!((error.line, error.column), (place.line, place.column), "{error}\nin {marked}");
    }

    /// As [`refuse`], for one step of a story on three replicas and two clients.
    #[track_caller]
    fn refuse_step(step: &str, words: &str) {
        let story = "{ \"format\": 1, \"cluster\": { \"replicas\": 3, \"clients\": 2 }, \"duration\": \"5s\",\n  \"steps\": [\n    { \"at\": \"0ns\", \"do\": { \"heal\": {} } }\n    ";
        refuse(&format!("{story}{step}\n  ]\n}}\n"), words);
    }

    #[test]
    fn what_is_no_json_is_refused_where_that_shows() {
        refuse("^", "an empty file");
        refuse(" \n ^", "an empty file");
        refuse("{\n \"format\": 1\n^", "the file ends too early");
        refuse("{\n \"format\": 1, \"title\": \"The lead is ha^", "the file ends too early");
        refuse("{ \"format\": 1, ^}", "trailing comma");
        refuse("{ \"format\": 1 }\n^}", "trailing characters");
        assert_eq!(
            text_in(b"{\n\xff}").unwrap_err().to_string(),
            "2:1: a byte that belongs to no UTF-8 text"
        );
    }

    #[test]
    fn what_is_no_scenario_is_refused_at_its_field() {
        refuse("{ \"what\": 7, \"format\": ^2 }", "format 2 is newer than format 1");
        refuse("{ \"format\": ^0 }", "format 0");
        refuse("^{ \"title\": \"x\" }", "missing field `format`");
        refuse("{\n \"format\": 1,\n ^\"sed\": 7\n}", "unknown field `sed`");
        refuse("{ \"format\": 1, \"seed\": 1, ^\"seed\": 2 }", "duplicate field `seed`");
        refuse(
            "{ \"format\": 1, \"title\": \"é\", \"seed\": ^\"x\" }",
            "invalid type: string \"x\"",
        );
        refuse("{ \"format\": 1, \"duration\": ^\"5 s\" }", "no span of time");
        refuse(
            "{ \"format\": 1, \"expect\": { \"verdict\": ^\"maybe\" } }",
            "unknown variant `maybe`",
        );
    }

    #[test]
    fn a_cluster_that_cannot_be_is_refused_at_its_field() {
        let refuse_cluster = |cluster: &str, words: &str| {
            refuse(&format!("{{\n \"format\": 1,\n \"cluster\": {{ {cluster} }}\n}}"), words);
        };
        refuse_cluster("\"replicas\": ^8", "8 replicas: there are 1 to 7");
        refuse_cluster("\"replicas\": ^0", "0 replicas");
        refuse_cluster("\"replicas\": ^300", "300");
        refuse_cluster("\"clients\": ^101", "101 clients: there are 1 to 100");
        refuse_cluster("\"replicas\": 3, \"slots\": ^7", "7 slots");
        refuse_cluster("\"slots\": ^1073741824", "a log has 1048576 at most");
        refuse_cluster("\"pipeline\": ^65", "a pipeline of 65");
        refuse_cluster("\"sessions\": ^0", "0 sessions");
        refuse_cluster("\"timeouts\": { \"repair\": ^\"0ns\" }", "timeout of zero");
        refuse_cluster("\"timeouts\": { \"repair\": ^\"3601s\" }", "longer than anybody waits");
        refuse(
            "{ \"format\": 1, \"network\": { \"latency\": \"1ms\", \"loss_ppm\": ^1000001 } }",
            "1000001 of a million",
        );
        refuse(
            "{ \"format\": 1, \"disk\": { \"crash_kept_ppm\": 600000, \"crash_lost_ppm\": ^600000 } }",
            "more than all",
        );
        refuse("{ \"format\": 1, \"clock\": { \"skew_ppm\": ^500001 } }", "at most");
        refuse("{ \"format\": 1, \"workload\": { \"keys\": ^0 } }", "0 keys");
        refuse(
            "{ \"format\": 1, \"workload\": { \"think_min\": \"2ms\", \"think_max\": ^\"1ms\" } }",
            "shorter",
        );
    }

    #[test]
    fn a_step_that_does_not_read_is_refused_where_it_does_not() {
        refuse_step(", { \"at\": \"1s\", ^\"then\": {} }", "unknown field `then`");
        refuse_step(
            ", { \"at\": \"1s\", \"do\": { ^\"explode\": {} } }",
            "unknown variant `explode`",
        );
        refuse_step(
            ", { \"at\": \"1s\", \"do\": { \"crash\": { \"node\": \"r0\", ^\"hard\": 1 } } }",
            "unknown field `hard`",
        );
        refuse_step(", { \"at\": \"1s\", \"do\": { \"crash\": ^{} } }", "missing field `node`");
        refuse_step(
            ", { \"at\": \"1s\", \"do\": { \"request\": ^{ \"from\": \"c0\" } } }",
            "missing field `operation`",
        );
        refuse_step(", ^{ \"do\": { \"heal\": {} } }", "one of `at`, `after` and `settled`");
        refuse_step(
            ", { \"on\": { \"moment\": ^\"sant\" }, \"do\": { \"heal\": {} } }",
            "unknown variant `sant`",
        );
        refuse_step(
            ", { \"settled\": ^\"soon\", \"do\": { \"heal\": {} } }",
            "unknown variant `soon`",
        );
    }

    #[test]
    fn nodes_that_the_cluster_does_not_have_are_refused_where_they_are_named() {
        refuse_step(
            ", { \"at\": \"1s\", \"do\": { \"crash\": { \"node\": ^\"r5\" } } }",
            "no `r5`: 3 replicas, 2 clients",
        );
        refuse_step(
            ", { \"at\": \"1s\", \"do\": { \"crash\": { \"node\": ^\"leader\" } } }",
            "no nodes are called `leader`",
        );
        refuse_step(
            ", { \"at\": \"1s\", \"do\": { \"partition\": { \"sides\": [[\"r0\"], [\"r1\", ^\"c2\"]] } } }",
            "no `c2`",
        );
        refuse_step(
            ", { \"on\": { \"moment\": \"booted\", \"node\": ^\"busy-r3\" }, \"do\": { \"heal\": {} } }",
            "no `busy-r3`",
        );
        refuse_step(
            ", { \"at\": \"1s\", \"do\": { \"request\": { \"from\": ^\"c7\", \"operation\": \"get k\" } } }",
            "no `c7`",
        );
        refuse_step(
            ", { \"at\": \"1s\", \"do\": { \"expect\": { \"nodes\": ^\"n5\", \"up\": true } } }",
            "no `n5`",
        );
        refuse_step(
            ", { \"at\": \"1s\", \"do\": { \"expect\": { \"commits\": { \"r0\": 1, ^\"r3\": 1 } } } }",
            "no `r3`",
        );
        refuse(
            "{ \"format\": 1, \"fates\": [{ \"from\": \"r0\", \"to\": ^\"c9\", \"kind\": \"Reply\", \"identity\": 1, \"fate\": \"lost\" }] }",
            "no `c9`",
        );
        refuse(
            "{ \"format\": 1, \"expect\": { \"verdict\": \"pass\", \"states\": [{ \"nodes\": ^\"r4\", \"up\": true }] } }",
            "no `r4`",
        );
    }

    #[test]
    fn what_can_never_happen_is_refused_where_it_is_waited_for() {
        refuse_step(
            ", { \"at\": ^\"6s\", \"do\": { \"heal\": {} } }",
            "never: the steps are over after 5s",
        );
        refuse_step(", { \"after\": ^\"6s\", \"do\": { \"heal\": {} } }", "never");
        let on = |on: &str, words: &str| {
            refuse_step(&format!(", {{ \"on\": {on}, \"do\": {{ \"heal\": {{}} }} }}"), words);
            refuse_step(
                &format!(
                    ", {{ \"at\": \"1s\", \"do\": {{ \"pause\": {{ \"node\": \"r0\" }} }}, \"until\": {on} }}"
                ),
                words,
            );
        };
        on("{ \"moment\": \"sent\", \"kind\": ^\"Vote\" }", "no kind is called `Vote`");
        on("{ \"moment\": \"event\", \"kind\": ^\"Prepare\" }", "no kind is called `Prepare`");
        on("{ \"moment\": \"booted\", \"kind\": ^\"Started\" }", "no kind is called `Started`");
        on("^{ \"moment\": \"sent\" }", "needs a `kind`");
        on("{ \"moment\": \"booted\", \"nth\": ^0 }", "`nth` counts from one");
        for about_nothing in [
            "{ \"moment\": \"write-ended\", \"kind\": \"Prepares\", ^\"identity\": 3 }",
            "{ \"moment\": \"event\", \"kind\": \"Ignored\", ^\"identity\": 3 }",
            "{ \"moment\": \"booted\", ^\"identity\": 3 }",
        ] {
            on(about_nothing, "about nothing that has a number");
        }
        on(
            "{ \"moment\": \"sent\", \"kind\": \"Prepare\", \"node\": ^\"c0\" }",
            "`c0` never sends a Prepare: only replicas do",
        );
        on(
            "{ \"moment\": \"sent\", \"kind\": \"Reply\", \"node\": \"r0\", \"peer\": ^\"r1\" }",
            "`r1` never gets a Reply: only clients do",
        );
        on(
            "{ \"moment\": \"delivered\", \"kind\": \"Request\", \"node\": ^\"clients\" }",
            "never gets a Request",
        );
        on(
            "{ \"moment\": \"event\", \"kind\": \"Returned\", \"node\": ^\"primary\" }",
            "only clients do",
        );
        on(
            "{ \"moment\": \"write-ended\", \"kind\": \"Headers\", \"node\": ^\"c1\" }",
            "`c1` never writes Headers",
        );
        on("{ \"moment\": \"crashed\", \"node\": \"r0\", ^\"peer\": \"r1\" }", "only packets");
        refuse_step(
            ", { \"at\": \"0ns\", \"do\": { \"lose\": { \"from\": ^\"clients\", \"to\": \"r0\", \"kind\": \"Prepare\", \"identity\": 1 } } }",
            "never sends a Prepare",
        );
        refuse_step(
            ", { \"at\": \"0ns\", \"do\": { \"hold\": { \"from\": \"r0\", \"to\": \"r1\", \"kinds\": [\"Prepare\", ^\"Vote\"] } } }",
            "no kind is called `Vote`",
        );
        refuse_step(
            ", { \"at\": \"0ns\", \"do\": { \"lose-write\": { \"node\": \"r0\", \"zone\": ^\"Tape\" } } }",
            "no kind is called `Tape`",
        );
        refuse_step(
            ", { \"at\": \"0ns\", \"do\": { \"skew\": { \"node\": \"r0\", \"ppm\": ^-2147483648 } } }",
            "at most",
        );
    }

    #[test]
    fn requests_and_expectations_that_make_no_sense_are_refused_where_they_do_not() {
        let act = |action: &str, words: &str| {
            refuse_step(&format!(", {{ \"after\": \"0ns\", \"do\": {{ {action} }} }}"), words);
        };
        act(
            "\"request\": { \"from\": \"c0\", \"operation\": ^\"fetch k0\" }",
            "no operation is called `fetch`",
        );
        act(
            "\"request\": { \"from\": \"c0\", \"operation\": ^\"put k x…(8000 bytes)\" }",
            "an operation of",
        );
        act(
            "\"request\": { \"from\": ^\"primary\", \"operation\": \"get k0\" }",
            "only clients do",
        );
        act("\"expect\": ^{}", "says nothing");
        act("\"expect\": ^{ \"nodes\": \"r0\" }", "says nothing of its nodes");
        act("\"expect\": { \"nodes\": ^\"c0\", \"view\": 1 }", "only replicas do");
        act("\"expect\": { \"nodes\": ^\"replicas\", \"answered\": 1 }", "only clients do");
        act("\"expect\": { \"commits\": { ^\"c0\": 1 } }", "only replicas do");
        refuse_step(
            ", { \"after\": \"0ns\", \"do\": { \"expect\": { \"nodes\": \"r0\", \"up\": true } }, ^\"for\": \"1s\" }",
            "`expect` does not last",
        );
        refuse(
            "{ \"format\": 1, \"expect\": { \"verdict\": \"pass\", \"property\": ^\"agreement\" } }",
            "has no property",
        );
        refuse(
            "{ \"format\": 1, \"expect\": { \"verdict\": \"fail\", \"signature\": ^\"12\" } }",
            "no signature",
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_in_order() {
        let text = "{ \"format\": 1, \"expect\": { \"verdict\": \"pass\", \"property\": \"x\" }, \"network\": { \"loss_ppm\": 2000000 },\n\"steps\": [{ \"at\": \"1s\", \"do\": { \"crash\": { \"node\": \"r9\" } } }] }";
        let errors = parse_all(text, &KeyValueService).unwrap_err();
        let places: Vec<_> = errors.iter().map(|error| (error.line, error.column)).collect();
        assert_eq!(places, [(1, 59), (1, 91), (2, 52)]);
    }
}
