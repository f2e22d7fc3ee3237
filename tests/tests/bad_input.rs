//! Bad input of every sort, from outside: exit code 2, nothing on stdout, and one message with file, line and column.

use std::fs;
use std::path::Path;

use vsr_tests::command::{Done, run_in};

/// A story of two lines and one of steps: the step stands on line 3.
fn with_step(step: &str) -> String {
    format!(
        "{{ \"format\": 1, \"cluster\": {{ \"replicas\": 3, \"clients\": 2 }},\n\"duration\": \"5s\", \"steps\": [\n{step}\n] }}\n"
    )
}

#[track_caller]
fn refused(done: &Done, place: &str, words: &str) {
    assert_eq!((done.code, done.printed.as_str()), (2, ""), "{place}: {}", done.said);
    assert!(done.said.starts_with(&format!("error: {place}: ")), "{place}: {}", done.said);
    assert!(done.said.contains(words), "{place}: {}", done.said);
    assert_eq!(done.said.trim_end().lines().count(), 1, "{place}: {}", done.said);
}

/// Texts that are no scenarios, where that shows, and what is said of it.
fn cases() -> Vec<(String, &'static str, &'static str)> {
    vec![
        (String::new(), "1:1", "an empty file"),
        (" \n\n".to_owned(), "3:1", "an empty file"),
        ("nonsense".to_owned(), "1:2", "expected"),
        (
            with_step("{ \"at\": \"1s\", \"do\": { \"heal\": {} } }")[..90].to_owned(),
            "3:3",
            "the file ends too early",
        ),
        ("{ \"format\": 2, \"more\": [] }".to_owned(), "1:13", "format 2 is newer than format 1"),
        ("{ \"format\": 1,\n  \"sed\": 7 }".to_owned(), "2:3", "unknown field `sed`"),
        ("{ \"format\": 1,\n  \"seed\": \"7\" }".to_owned(), "2:11", "invalid type"),
        ("{ \"format\": 1, \"seed\": 7, \"seed\": 8 }".to_owned(), "1:27", "duplicate field"),
        (
            with_step("{ \"at\": \"1s\", \"do\": { \"crash\": { \"node\": \"r3\" } } }"),
            "3:42",
            "the cluster has no `r3`",
        ),
        (
            with_step("{ \"at\": \"1s\", \"do\": { \"crash\": { \"node\": \"leader\" } } }"),
            "3:42",
            "no nodes are called `leader`",
        ),
        (
            with_step("{ \"at\": \"6s\", \"do\": { \"heal\": {} } }"),
            "3:9",
            "never: the steps are over after 5s",
        ),
        (
            with_step(
                "{ \"on\": { \"moment\": \"sent\", \"kind\": \"Vote\" }, \"do\": { \"heal\": {} } }",
            ),
            "3:37",
            "no kind is called `Vote`",
        ),
        (
            with_step(
                "{ \"on\": { \"moment\": \"sent\", \"kind\": \"Prepare\", \"node\": \"c0\" }, \"do\": { \"heal\": {} } }",
            ),
            "3:56",
            "`c0` never sends a Prepare",
        ),
        (
            with_step(
                "{ \"on\": { \"moment\": \"booted\", \"nth\": 0 }, \"do\": { \"heal\": {} } }",
            ),
            "3:38",
            "counts from one",
        ),
        (
            with_step("{ \"at\": \"1s\", \"do\": { \"explode\": {} } }"),
            "3:23",
            "unknown variant `explode`",
        ),
        (
            with_step(
                "{ \"at\": \"1s\", \"do\": { \"request\": { \"from\": \"c0\", \"operation\": \"sing\" } } }",
            ),
            "3:63",
            "sing",
        ),
    ]
}

#[test]
fn every_command_that_reads_a_scenario_refuses_bad_ones_in_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.json");
    for (text, place, words) in cases() {
        fs::write(&path, &text).unwrap();
        let place = format!("bad.json:{place}");
        for arguments in [
            &["run", "--scenario", "bad.json"][..],
            &["replay", "bad.json"],
            &["shrink", "bad.json"],
            &["scenario", "show", "bad.json"],
            &["scenario", "validate", "bad.json"],
            &["sweep", "--seeds", "0..1", "--regressions", "."],
        ] {
            let done = run_in(folder.path(), arguments);
            let place = if arguments[0] == "sweep" { format!("./{place}") } else { place.clone() };
            refused(&done, &place, words);
        }
        assert_eq!(run_in(folder.path(), &["replay", "bad.json", "--bisect"]).code, 125);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }
    fs::write(&path, b"{ \"format\": 1,\n \"title\": \"\xff\" }").unwrap();
    let done = run_in(folder.path(), &["run", "--scenario", "bad.json"]);
    refused(&done, "bad.json:2:12", "no UTF-8");
    // Whoever wrote a scenario by hand has one question: where.
}

#[test]
fn all_files_are_looked_at_and_each_bad_one_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("good.json", "{ \"format\": 1, \"title\": \"Nothing happens.\" }");
    write("bad.json", "{ \"format\": 1, \"sed\": 7, \"tittle\": 1 }");
    write("worse.json", "{");
    let validate =
        |files: &[&str]| run_in(folder.path(), &[&["scenario", "validate"], files].concat());
    let done = validate(&["good.json"]);
    assert_eq!((done.code, done.printed.as_str(), done.said.as_str()), (0, "", ""));
    let done = validate(&["bad.json", "good.json", "worse.json", "nowhere.json"]);
    assert_eq!((done.code, done.printed.as_str()), (2, ""));
    let said: Vec<&str> = done.said.lines().collect();
    assert_eq!(said.len(), 3, "{}", done.said);
    assert!(said[0].starts_with("error: bad.json:1:16: unknown field `sed`"), "{}", done.said);
    assert!(said[1].starts_with("error: worse.json:1:2: the file ends too early"), "{}", done.said);
    assert!(said[2].starts_with("error: nowhere.json: "), "{}", done.said);

    let list = run_in(folder.path(), &["scenario", "list", "."]);
    assert_eq!((list.code, list.printed.as_str()), (2, "./good.json  Nothing happens.\n"));
    assert_eq!(list.said.lines().count(), 2, "{}", list.said);
}

#[test]
fn scenarios_are_listed_and_shown() {
    let root = vsr_tests::planted::workspace();
    let list = run_in(&root, &["scenario", "list"]);
    assert_eq!((list.code, list.said.as_str()), (0, ""));
    let durable = "scenarios/regressions/answered-is-durable.json";
    let is_listed = |line: &str| {
        line.starts_with(durable)
            && line
                .ends_with("  What was answered is still there after all replicas have lost power.")
    };
    assert!(list.printed.lines().any(is_listed), "{}", list.printed);
    let records = run_in(&root, &["scenario", "list", "--format", "json"]);
    assert_eq!(records.printed.lines().count(), list.printed.lines().count());
    assert_eq!(records.record()["kind"], "scenario");
    let show = run_in(&root, &["scenario", "show", durable]);
    assert_eq!((show.code, show.said.as_str()), (0, ""));
    assert!(
        show.printed.contains("\n   2. when c0 says Returned: power-loss replicas, for 50ms ("),
        "{}",
        show.printed
    );
    assert!(show.printed.ends_with("\n  expect pass\n"), "{}", show.printed);
    for (arguments, words) in [
        (&["scenario", "list", "nowhere"][..], "nowhere"),
        (&["scenario", "show", "nowhere.json"], "nowhere.json: no scenario"),
        (&["scenario", "validate"], "FILE"),
        (&["scenario"], "Usage"),
    ] {
        let done = run_in(Path::new("."), arguments);
        assert_eq!((done.code, done.printed.as_str()), (2, ""), "{}", done.said);
        assert!(done.said.contains(words), "{}", done.said);
    }
}
