//! The `vsr-sim` command, from outside: what it prints, what it exits with, what it leaves behind.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use vsr_tests::command::{self, Done};

/// Runs it in a folder of its own; gives back the exit code, stdout and stderr.
fn run_in(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Done { code, printed, said } = command::run_in(folder, arguments);
    (code, printed, said)
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let result = run_in(folder.path(), arguments);
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.collect();
    let is_sweep = arguments.first() == Some(&"sweep") && result.0 == 0;
    let expected: &[&str] = if is_sweep { &["target"] } else { &[] };
    assert_eq!(left, expected, "only a sweep leaves something behind when nothing fails");
    result
}

fn record(arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = run(arguments);
    assert_eq!(stderr, "");
    let last = stdout.lines().last().unwrap();
    let record: Value = serde_json::from_str(last).unwrap();
    assert_eq!(record["exit_code"], code);
    record
}

#[test]
fn the_command_on_the_card_passes_and_says_what_it_did() {
    let (code, stdout, stderr) = run(&["--seed", "42", "--replicas", "5"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let first = stdout.lines().next().unwrap();
    assert!(first.starts_with("PASS  seed 42  after "), "{first}");
    for word in ["5 replicas", "answered, history linearizable", "messages", "faults", "trace"] {
        assert!(stdout.contains(word), "{word} is missing in:\n{stdout}");
    }
}

#[test]
fn a_seed_has_one_trace_hash_however_it_is_run() {
    let run = ["--seed", "7", "--format", "json"];
    let once = record(&run);
    let again = record(&["run", "--seed", "0x7", "--format", "json"]);
    assert_eq!(once["trace_hash"], again["trace_hash"]);
    assert_eq!(once["trace_hash"].as_str().unwrap().len(), 32);
    assert_ne!(once["trace_hash"], record(&["--seed", "8", "--format", "json"])["trace_hash"]);
    // A grid listens, and must not be heard.
    let (_, traced, _) =
        run_in(Path::new("."), &["--seed", "7", "--trace", "full", "--format", "json"]);
    let traced: Value = serde_json::from_str(traced.lines().last().unwrap()).unwrap();
    assert_eq!(once["trace_hash"], traced["trace_hash"]);
}

#[test]
fn a_record_of_a_run_has_its_fields() {
    let record = record(&["--seed", "3", "--format", "json"]);
    assert_eq!((&record["format"], &record["kind"]), (&Value::from(1), &Value::from("run")));
    assert_eq!((&record["seed"], &record["verdict"]), (&Value::from(3), &Value::from("pass")));
    for field in ["exit_code", "events", "messages", "requests", "virtual_ns", "wall_ns"] {
        assert!(record[field].is_u64(), "{field}: {record}");
    }
}

#[test]
fn a_record_of_a_sweep_has_its_fields_and_does_not_depend_on_the_number_of_threads() {
    let sweep = |jobs: &str| {
        let arguments = ["sweep", "--seeds", "0..24", "--jobs", jobs, "--format", "json"];
        let mut record = record(&arguments);
        assert!(record.as_object_mut().unwrap().remove("wall_ns").unwrap().is_u64());
        record
    };
    let alone = sweep("1");
    assert_eq!((&alone["format"], &alone["kind"]), (&Value::from(1), &Value::from("sweep")));
    for field in ["seeds", "passed", "failed", "unknown", "messages", "requests"] {
        assert!(alone[field].is_u64(), "{field}: {alone}");
    }
    assert_eq!((&alone["seeds"], &alone["passed"]), (&Value::from(24), &Value::from(24)));
    assert_eq!(alone["failures"], Value::Array(Vec::new()));
    assert!(alone["faults"]["crash"].is_u64() && alone["exposure"]["crash"].is_u64());
    assert_eq!(sweep("3"), alone);
}

#[test]
fn a_sweep_runs_the_very_runs_of_its_seeds() {
    let messages = |record: &Value| record["messages"].as_u64().unwrap();
    let single: u64 = (20..23)
        .map(|seed: u64| messages(&record(&["--seed", &seed.to_string(), "--format", "json"])))
        .sum();
    let swept = record(&["sweep", "--seeds", "20..23", "--format", "json"]);
    assert_eq!(messages(&swept), single);
}

#[test]
fn slices_of_a_sweep_run_each_seed_once() {
    let messages = |arguments: &[&str]| {
        let arguments = [&["sweep", "--seeds", "40..47", "--format", "json"], arguments].concat();
        let record = record(&arguments);
        (record["seeds"].as_u64().unwrap(), record["messages"].as_u64().unwrap())
    };
    let slices = ["slice:1/3", "slice:2/3", "slice:3/3"];
    let parts = slices.map(|slice| messages(&["--partition", slice]));
    let sum = parts.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    assert_eq!(sum, messages(&[]));
    assert_eq!(parts.map(|(seeds, _)| seeds), [2, 2, 3]);
    // Machines that each ran all of it would find no more than one does.
}

#[test]
fn a_sweep_without_an_end_ends_when_its_time_is_up() {
    let (code, stdout, stderr) =
        run(&["sweep", "--seeds", "0..", "--duration", "1s", "--jobs", "2", "--format", "json"]);
    let record: Value = serde_json::from_str(&stdout).unwrap();
    let seeds = record["seeds"].as_u64().unwrap();
    assert_eq!((code, seeds > 0), (0, true));
    assert!(stderr.contains(&format!("after 0..{seeds}")), "where to go on from: {stderr}");
}

#[test]
fn a_scenario_that_was_written_runs_as_the_seed_it_was_drawn_from() {
    let folder = tempfile::tempdir().unwrap();
    for seed in ["11", "12", "13"] {
        let (code, drawn, _) = run_in(
            folder.path(),
            &["--seed", seed, "--write-scenario", "deep/drawn.json", "--format", "json"],
        );
        assert_eq!(code, 0);
        let (code, read, _) =
            run_in(folder.path(), &["--scenario", "deep/drawn.json", "--format", "json"]);
        assert_eq!(code, 0);
        let hash = |text: &str| serde_json::from_str::<Value>(text).unwrap()["trace_hash"].clone();
        assert_eq!(hash(&drawn), hash(&read), "seed {seed}");
    }
    // No half-written file is left beside it.
    assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
}

#[test]
fn bad_input_is_refused_with_one_clear_message() {
    for (arguments, words) in [
        (&["--seed", "1", "--replicas", "0"][..], "0 is not in 1..=7"),
        (&["--seed", "1", "--replicas", "8"], "8 is not in 1..=7"),
        (&["--seed", "1", "--clients", "0"], "0 is not in 1..=100"),
        (&["--seed", "x"], "a seed is a number"),
        (&["--seed", "-1"], "unexpected argument '-1'"),
        (&["--seed", "18446744073709551616"], "a seed is a number"),
        (&[], "nothing to run"),
        (&["sweep", "--seeds", "5..5"], "the range is empty"),
        (&["sweep", "--seeds", "6..5"], "the range is empty"),
        (&["sweep", "--seeds", "6"], "two numbers"),
        (&["sweep", "--seeds", "0..9", "--partition", "1/4"], "slice:1/4"),
        (
            &["sweep", "--seeds", "0..3", "--partition", "slice:1/4"],
            "slice 1 of 4 has none of the 3",
        ),
        (&["sweep", "--seeds", "0..", "--partition", "slice:1/4"], "without an end"),
        (&["sweep", "--seeds", "0..9", "--duration", "10"], "90s, 10m or 8h"),
        (&["sweep"], "--seeds"),
        (&["--scenario", "nowhere.json"], "nowhere.json"),
        (&["--scenario", "x.json", "--seed", "1"], "cannot be used with"),
        (&["explode"], "unrecognized subcommand"),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("error: "), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
        assert_eq!(stderr.matches("error: ").count(), 1, "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_scenario_that_is_none_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    for (text, place, words) in [
        ("{\n  \"format\": 1,\n  \"sed\": 7\n}\n", "bad.json:3:", "unknown field `sed`"),
        ("{ \"format\": 9 }", "bad.json:1:", "format 9"),
        ("{\n  \"format\": 1,\n  \"cluster\": { \"replicas\": 8 } }", "bad.json:3:", "8 replicas"),
        (
            "{ \"format\": 1,\n \"steps\": [ { \"at\": \"1s\", \"do\": { \"crash\": { \"node\": \"r9\" } } } ] }",
            "bad.json:2:",
            "`r9`",
        ),
        ("not json", "bad.json:1:", "expected"),
    ] {
        fs::write(folder.path().join("bad.json"), text).unwrap();
        let (code, stdout, stderr) = run_in(folder.path(), &["--scenario", "bad.json"]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(place) && stderr.contains(words), "{stderr}");
    }
}

/// Three calm replicas and one client: the whole story of a run, as a person sees it.
#[test]
fn a_grid_tells_a_calm_run() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = r#"{
        "format": 1, "seed": 5,
        "cluster": { "replicas": 3, "clients": 1, "slots": 64 },
        "workload": { "requests": 3, "keys": 1 }
    }"#;
    fs::write(folder.path().join("calm.json"), scenario).unwrap();
    let (code, stdout, _) =
        run_in(folder.path(), &["--scenario", "calm.json", "--trace", "grid", "--format", "json"]);
    assert_eq!(code, 0);
    let grid: Vec<&str> = stdout.lines().filter(|line| !line.starts_with('{')).collect();
    insta::with_settings!({
        description => "Three calm replicas and one client",
        omit_expression => true,
        prepend_module_to_snapshot => false,
        snapshot_path => "../snapshots",
    }, {
        insta::assert_snapshot!("calm-run-as-a-grid", grid.join("\n"));
    });
}

/// A run that is cut short has proven nothing, and says so.
#[test]
fn a_budget_that_runs_out_is_unknown_and_never_a_pass() {
    let folder = tempfile::tempdir().unwrap();
    let short = ["--seed", "42", "--events-max", "1000"];
    let (code, stdout, _) = run_in(folder.path(), &short);
    assert_eq!(code, 20);
    assert!(stdout.starts_with("UNKNOWN  "), "{stdout}");
    let (code, stdout, _) = run_in(folder.path(), &[&short[..], &["--format", "json"]].concat());
    let record: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &record["verdict"]), (20, &Value::from("unknown")));
    // Were it a pass, a run that hangs would be a good one.
}

/// A log that two intervals of checkpoints do not fit into would be full for ever: it is refused before anything runs.
#[test]
fn a_log_that_is_too_small_is_refused_where_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = r#"{ "format": 1, "cluster": { "slots": 16 }, "workload": { "requests": 60 } }"#;
    fs::write(folder.path().join("small.json"), scenario).unwrap();
    let (code, stdout, stderr) = run_in(folder.path(), &["--scenario", "small.json"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.starts_with("error: small.json:1:38: 16 slots: "), "{stderr}");
}

/// A stored history, judged by the command: right, wrong, and cut in half.
#[test]
fn a_stored_history_gets_a_verdict_or_a_line_number() {
    let folder = tempfile::tempdir().unwrap();
    let put = r#"{"process":0,"f":"put","key":"a","value":"1","call":0,"return":10,"output":null}"#;
    let get = r#"{"process":1,"f":"get","key":"a","call":12,"return":20,"output":"1"}"#;
    let stale = get.replace("\"1\"", "null");
    let check = |text: &str| {
        fs::write(folder.path().join("history"), text).unwrap();
        run_in(folder.path(), &["check", "history", "--model", "kv", "--input-format", "jsonl"])
    };

    let (code, stdout, _) = check(&format!("{put}\n{get}\n"));
    assert_eq!(code, 0);
    assert!(stdout.starts_with("PASS  linearizable"), "{stdout}");

    let (code, stdout, _) = check(&format!("{put}\n{stale}\n"));
    assert_eq!(code, 11);
    assert!(stdout.contains("fits nowhere"), "{stdout}");

    let (code, stdout, stderr) = check(&format!("{put}\n{}", &get[..40]));
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("line 2"), "{stderr}");

    let (code, _, stderr) = check("");
    assert_eq!(code, 2);
    assert!(stderr.contains("no operation"), "{stderr}");
    // A history that cannot be read must never be taken for one that is right.
}

/// Every story that is kept still ends well; what each would show otherwise stands in its own last sentence.
#[test]
fn every_kept_scenario_passes() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut count = 0;
    for folder in fs::read_dir(kept).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let (code, stdout, stderr) = run(&["replay", path.to_str().unwrap()]);
            assert_eq!(code, 0, "{}\n{stdout}\n{stderr}", path.display());
            count += 1;
        }
    }
    assert!(count > 0, "no scenario was run");
    // A story that nobody runs goes stale, and with it the bug that it was kept for.
}
