//! What a failure leaves behind, and that it comes back from there.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vsr_tests::command::{Done, run_in};

/// A story that ends badly: somebody expects a view that nobody is in.
const FAILING: &str = r#"{
  "format": 1,
  "seed": 11,
  "cluster": { "replicas": 3, "clients": 2 },
  "workload": { "requests": 20 },
  "steps": [
    { "at": "60ms", "do": { "expect": { "nodes": "r0", "view": 7 } }, "why": "a wish" }
  ]
}
"#;

/// A folder in which that story has failed once, and the folder of the failure.
fn failed() -> (TempDir, PathBuf, Done) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("story.json"), FAILING).unwrap();
    let done = run_in(folder.path(), &["run", "--scenario", "story.json"]);
    assert_eq!((done.code, done.said.as_str()), (10, ""), "{}", done.printed);
    let latest = folder.path().join("target/vsr-sim/latest");
    assert!(fs::symlink_metadata(&latest).unwrap().is_symlink());
    let failures = fs::read_dir(latest.join("failures")).unwrap();
    let failures: Vec<PathBuf> = failures.map(|failure| failure.unwrap().path()).collect();
    assert_eq!(failures.len(), 1);
    (folder, failures[0].clone(), done)
}

fn replay(folder: &Path, arguments: &[&str]) -> Done {
    run_in(folder, &[&["replay"], arguments].concat())
}

#[test]
fn the_commands_that_a_failure_prints_bring_it_back() {
    let (folder, failure, done) = failed();
    let again = run_in(folder.path(), &done.command("reproduce"));
    assert_eq!((again.code, again.said.as_str()), (10, ""));
    let first = |done: &Done| done.printed.lines().next().unwrap().to_owned();
    assert_eq!(first(&again), first(&done));
    assert!(again.printed.contains("as recorded "), "{}", again.printed);
    let look = run_in(folder.path(), &done.command("look"));
    assert_eq!(look.code, 10);
    let trace = fs::read_to_string(failure.join("trace.txt")).unwrap();
    assert!(look.printed.starts_with(&trace), "the trace that was kept is the one that is shown");
    // The file that is to be kept is there, and fails by itself.
    let keep = format!("cp {}/scenario.json ", done.command("reproduce")[1]);
    assert!(done.printed.contains(&keep), "{}", done.printed);
    let shrunk = run_in(
        folder.path(),
        &[&done.command("shrink")[..], &["--runs".into(), "200".into()]].concat(),
    );
    assert_eq!(shrunk.code, 10);
    let again = run_in(folder.path(), &shrunk.command("reproduce"));
    assert_eq!(again.code, 10, "{}", again.printed);
    // A command that brings back nothing sends whoever has to mend the bug away.
}

#[test]
fn a_folder_of_a_failure_holds_all_about_it() {
    let (folder, failure, done) = failed();
    let name = failure.file_name().unwrap().to_str().unwrap();
    let record = replay(folder.path(), &["latest", "--format", "json", "--exact"]);
    assert_eq!(record.code, 10);
    let record = record.record();
    assert_eq!(record["kind"], "replay");
    assert_eq!(name, format!("{}-seed-b", record["signature"].as_str().unwrap()));
    assert_eq!((&record["expected"], &record["exact"]), (&false.into(), &true.into()));
    assert_eq!((&record["verdict"], &record["property"]), (&"fail".into(), &"expectation".into()));

    let history = failure.join("history.jsonl");
    let checked = run_in(folder.path(), &["check", history.to_str().unwrap()]);
    assert_eq!(checked.code, 0, "{}{}", checked.printed, checked.said);
    let readme = fs::read_to_string(failure.join("README.md")).unwrap();
    let first = done.printed.lines().next().unwrap();
    assert!(readme.contains(first) && readme.contains("  reproduce "), "{readme}");

    let latest = folder.path().join("target/vsr-sim/latest");
    let summary = fs::read_to_string(latest.join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["kind"], &summary["exit_code"]), (&"run".into(), &10.into()));
    let events = fs::read_to_string(latest.join("events.ndjson")).unwrap();
    let kinds: Vec<_> = events
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].clone())
        .collect();
    assert_eq!(kinds, ["begun", "failure"]);
}

#[test]
fn a_replay_that_is_not_the_recorded_run_names_the_first_event_that_differs() {
    let (folder, failure, _) = failed();
    let path = failure.join("events.hash");
    let recorded = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = recorded.lines().map(str::to_owned).collect();
    // The line of event 120, as the first line is the head.
    let (at, hash) = lines[120].split_once(' ').unwrap();
    let last = if hash.ends_with('0') { "1" } else { "0" };
    let at_ns: u64 = at.parse().unwrap();
    lines[120] = format!("{at} {}{last}", &hash[..15]);
    fs::write(&path, lines.join("\n") + "\n").unwrap();

    let exact = replay(folder.path(), &["latest", "--exact", "--format", "json"]);
    assert_eq!(exact.code, 30, "{}", exact.said);
    let record = exact.record();
    assert_eq!((&record["exit_code"], &record["exact"]), (&30.into(), &false.into()));
    assert_eq!(record["diverged_at_event"], 120);
    assert_eq!(record["diverged_at_ns"], at_ns);
    let what = record["diverged_at"].as_str().unwrap();
    assert!(
        what.contains(&format!("{}.{:06}s", at_ns / 1_000_000_000, at_ns / 1_000 % 1_000_000)),
        "{what}"
    );

    // Otherwise it is said, and the verdict counts.
    let told = replay(folder.path(), &["latest"]);
    assert_eq!(told.code, 10);
    assert!(
        told.printed.contains("differs     from the recording at event 120, at "),
        "{}",
        told.printed
    );
    // Somebody who looks for what a change of the code has done to a run looks there, and nowhere before.
}

#[test]
fn an_artefact_that_is_cut_in_half_is_refused_with_its_place() {
    for (name, words) in
        [("events.hash", "the file ends"), ("scenario.json", "the file ends too early")]
    {
        let (folder, failure, _) = failed();
        let path = failure.join(name);
        let whole = fs::read_to_string(&path).unwrap();
        let half = &whole[..whole.len() / 2];
        fs::write(&path, half).unwrap();
        let done = replay(folder.path(), &["latest"]);
        assert_eq!((done.code, done.printed.as_str()), (2, ""), "{}", done.said);
        let place = format!("{name}:{}:", half.matches('\n').count() + 1);
        assert!(done.said.contains(&place) && done.said.contains(words), "{}", done.said);
        assert_eq!(done.said.lines().count(), 1, "{}", done.said);
        let bisect = replay(folder.path(), &["latest", "--bisect"]);
        assert_eq!(bisect.code, 125, "such a commit is skipped");
    }
    let (folder, failure, _) = failed();
    let path = failure.join("history.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let half = &whole[..whole.len() / 2];
    fs::write(&path, half).unwrap();
    let done = run_in(folder.path(), &["check", path.to_str().unwrap()]);
    assert_eq!((done.code, done.printed.as_str()), (2, ""), "{}", done.said);
    assert!(done.said.contains(&format!("line {}", half.lines().count())), "{}", done.said);
}

#[test]
fn a_kept_scenario_is_judged_by_what_it_expects() {
    let folder = tempfile::tempdir().unwrap();
    let replay_with = |expect: &str, flags: &[&str]| {
        let story = FAILING.trim_end().strip_suffix('}').unwrap().trim_end();
        let story = format!("{story},\n  \"expect\": {expect}\n}}\n");
        fs::write(folder.path().join("kept.json"), story).unwrap();
        replay(folder.path(), &[&["kept.json"], flags].concat())
    };
    let unmet = replay_with(r#"{ "verdict": "pass" }"#, &[]);
    assert_eq!(unmet.code, 10);
    assert!(
        unmet.printed.contains("  expected    pass\n  found       fail expectation "),
        "{}",
        unmet.printed
    );
    let record = replay_with(r#"{ "verdict": "fail" }"#, &["--format", "json"]);
    let record = record.record();
    assert_eq!((&record["exit_code"], &record["expected"]), (&0.into(), &true.into()));
    let signature = record["signature"].as_str().unwrap();
    let failing = format!(
        r#"{{ "verdict": "fail", "property": "expectation", "signature": "{signature}" }}"#
    );
    let met = replay_with(&failing, &[]);
    assert_eq!(met.code, 0, "{}", met.printed);
    assert!(
        met.printed.contains(&format!("as expected fail expectation {signature}")),
        "{}",
        met.printed
    );
    // To a search by halves what it expects is nothing: only whether it fails.
    assert_eq!(replay_with(&failing, &["--bisect"]).code, 10);
    let other = replay_with(&failing.replace(signature, "0123456789abcdef"), &[]);
    assert_eq!(other.code, 10);
    let other = replay_with(r#"{ "verdict": "fail", "property": "agreement" }"#, &[]);
    assert_eq!(other.code, 10);
    // A failure that is not the one that was kept is news, even where a failure was expected.
}

#[test]
fn a_replay_may_be_left_before_its_end() {
    let (folder, failure, _) = failed();
    let done = replay(folder.path(), &["latest", "--until", "40ms"]);
    assert_eq!(done.code, 20, "{}", done.said);
    let (trace, verdict) = done.printed.split_once("UNKNOWN").unwrap();
    assert!(verdict.contains("it was left at 0.040000s"), "{verdict}");
    assert!(verdict.contains("as recorded "), "{verdict}");
    let whole = fs::read_to_string(failure.join("trace.txt")).unwrap();
    assert!(whole.starts_with(trace.trim_end()) && whole.len() > trace.len());
    let last = trace.trim_end().lines().last().unwrap().trim_start();
    assert!(last < "0.040001s" && last > "0.010000s", "{last}");
    // What was not seen by then is unknown, and never a pass.
}

#[test]
fn what_cannot_be_replayed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (&["latest"][..], "latest: no scenario"),
        (&["nowhere.json"], "nowhere.json: no scenario"),
        (&["story.json", "--exact"], "story.json: nothing was recorded"),
        (&["story.json", "--until", "soon"], "no span of time"),
        (&["story.json", "--exact", "--bisect"], "cannot be used with"),
    ] {
        fs::write(folder.path().join("story.json"), FAILING).unwrap();
        let done = replay(folder.path(), arguments);
        assert_eq!((done.code, done.printed.as_str()), (2, ""), "{arguments:?}: {}", done.said);
        assert!(done.said.contains(words), "{arguments:?}: {}", done.said);
    }
}
