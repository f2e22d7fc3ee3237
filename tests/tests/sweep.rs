//! Sweeps from outside: what they replay first, what they leave behind, and that they end well when they are told to end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use vsr_tests::command::{Done, run_in, vsr_sim};

/// A story that ends well, or badly, as `view` says.
fn story(view: u64, expect: &str) -> String {
    let step = format!(r#"{{"at":"60ms","do":{{"expect":{{"nodes":"r0","view":{view}}}}}}}"#);
    format!("{{\"format\":1,\n\"steps\":[{step}],\n\"expect\":{{\"verdict\":\"{expect}\"}}}}\n")
}

fn sweep(folder: &Path, arguments: &[&str]) -> Done {
    run_in(folder, &[&["sweep", "--seeds", "0..8", "--jobs", "1"], arguments].concat())
}

#[test]
fn regressions_are_replayed_first_and_must_come_out_as_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("scenarios/regressions");
    fs::create_dir_all(kept.join("deep")).unwrap();
    fs::write(kept.join("good.json"), story(0, "pass")).unwrap();
    fs::write(kept.join("deep/bad-as-expected.json"), story(7, "fail")).unwrap();
    let done = sweep(folder.path(), &[]);
    assert_eq!((done.code, done.said.as_str()), (0, ""), "{}", done.printed);
    assert!(done.printed.starts_with("PASS  8 seeds"), "{}", done.printed);
    assert!(
        done.printed.contains("regressions    2 replayed, all as expected"),
        "{}",
        done.printed
    );

    fs::write(kept.join("came-back.json"), story(7, "pass")).unwrap();
    fs::write(kept.join("gone.json"), story(0, "fail")).unwrap();
    let done = sweep(folder.path(), &[]);
    assert_eq!(done.code, 10);
    assert!(done.printed.starts_with("FAIL  regression scenarios/regressions/came-back.json\n\n  expected    pass\n  found       fail expectation "), "{}", done.printed);
    assert!(done.printed.contains("FAIL  8 seeds"), "{}", done.printed);
    let again = run_in(folder.path(), &done.command("reproduce"));
    assert_eq!(again.code, 10);
    let done = sweep(folder.path(), &["--format", "json"]);
    let record = done.record();
    assert_eq!((&record["regressions"], &record["exit_code"]), (&4.into(), &10.into()));
    let unmet = ["came-back", "gone"].map(|name| format!("scenarios/regressions/{name}.json"));
    assert_eq!(record["regressions_unmet"], serde_json::json!(unmet));
    assert_eq!((&record["failed"], &record["passed"]), (&0.into(), &8.into()));

    assert_eq!(sweep(folder.path(), &["--no-regressions"]).code, 0);
    assert_eq!(sweep(folder.path(), &["--regressions", "scenarios/regressions/deep"]).code, 0);
    // A bug that has come back must not hide behind a million seeds that do not meet it.
}

#[test]
fn a_regression_that_cannot_be_read_stops_a_sweep_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("kept")).unwrap();
    let bad = story(0, "pass").replace("expect\":{\"nodes", "expect\":{\"knodes");
    fs::write(folder.path().join("kept/bad.json"), bad).unwrap();
    let done = sweep(folder.path(), &["--regressions", "kept"]);
    assert_eq!((done.code, done.printed.as_str()), (2, ""), "{}", done.said);
    assert!(
        done.said.starts_with("error: kept/bad.json:2:39: unknown field `knodes`"),
        "{}",
        done.said
    );
    assert!(!folder.path().join("target").exists(), "nothing was begun");
    let done = sweep(folder.path(), &["--regressions", "nowhere"]);
    assert_eq!((done.code, done.printed.as_str()), (2, ""), "{}", done.said);
}

#[test]
fn each_sweep_leaves_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        assert_eq!(sweep(folder.path(), &[]).code, 0);
    }
    let root = folder.path().join("target/vsr-sim");
    let mut runs: Vec<_> =
        fs::read_dir(root.join("runs")).unwrap().map(|run| run.unwrap().path()).collect();
    runs.sort();
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_eq!(fs::canonicalize(root.join("latest")).unwrap(), fs::canonicalize(&runs[1]).unwrap());
    let read = |name: &str| fs::read_to_string(runs[1].join(name)).unwrap();
    let summary: Value = serde_json::from_str(&read("summary.json")).unwrap();
    assert_eq!((&summary["kind"], &summary["seeds"]), (&"sweep".into(), &8.into()));
    let begun: Value = serde_json::from_str(read("events.ndjson").lines().next().unwrap()).unwrap();
    assert_eq!(begun["message"], "vsr-sim sweep --seeds 0..8 --jobs 1");
    let out = sweep(folder.path(), &["--out", "here"]);
    assert_eq!(out.code, 0);
    assert!(folder.path().join("here/summary.json").exists());
    assert_eq!(fs::read_dir(root.join("runs")).unwrap().count(), 2);
}

/// A sweep that would go on for hours.
#[cfg(unix)]
fn endless(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(vsr_sim())
        .current_dir(folder)
        .args(["sweep", "--seeds", "0..100000000", "--jobs", "2", "--out", "out"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until so many lines of what happens are written.
#[cfg(unix)]
fn wait_for_lines(folder: &Path, count: usize) -> String {
    loop {
        let written = fs::read_to_string(folder.join("out/events.ndjson")).unwrap_or_default();
        if written.matches('\n').count() >= count {
            return written;
        }
        std::thread::yield_now();
    }
}

/// Nobody asks a process that is killed whether it has something left to write.
#[cfg(unix)]
#[test]
fn what_a_sweep_has_found_survives_its_being_killed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("kept")).unwrap();
    fs::write(folder.path().join("kept/came-back.json"), story(7, "pass")).unwrap();
    let mut child = endless(folder.path(), &["--regressions", "kept"]);
    wait_for_lines(folder.path(), 2);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it was killed");
    let written = wait_for_lines(folder.path(), 2);
    let records: Vec<Value> =
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&records[0]["kind"], &records[1]["kind"]), (&"begun".into(), &"regression".into()));
    let words = records[1]["message"].as_str().unwrap();
    assert!(words.starts_with("kept/came-back.json: expected pass, found fail "), "{words}");
    // What was found in the night must be there in the morning, whatever has happened to the machine.
}

/// Somebody presses Ctrl-C as soon as it has begun.
#[cfg(unix)]
#[test]
fn a_sweep_that_is_interrupted_finishes_what_is_under_way_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let child = endless(folder.path(), &[]);
    wait_for_lines(folder.path(), 1);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 130, "{}", done.said);
    assert!(done.printed.starts_with("INTERRUPTED  "), "{}", done.printed);
    let summary = fs::read_to_string(folder.path().join("out/summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["interrupted"], &summary["exit_code"]), (&true.into(), &130.into()));
    let seeds = summary["seeds"].as_u64().unwrap();
    assert!((1..100_000).contains(&seeds), "{seeds}");
    assert_eq!(summary["passed"], seeds, "what is counted is finished");
    // A night's work must not be lost because somebody needs the machine in the morning.
}
