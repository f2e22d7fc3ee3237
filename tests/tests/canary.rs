//! Three planted bugs that any simulator worth its name finds at once: if one of them survives, it is not the replica that got
//! better. All planted bugs, and over many more seeds, are the business of the `planted` command.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use vsr_tests::command::Done;
use vsr_tests::planted::{Hunt, Patch, Workshop, workspace};

/// How many seeds each may take: many times what they were seen to need.
const SEEDS: u64 = 300;

/// Builds the command as it is and with each bug, and sweeps until a seed fails that passes without the bug.
#[test]
fn the_canaries_are_found() {
    let patches = workspace().join("tests/planted");
    let canaries = ["N-15", "N-01", "S-01"].map(String::from);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("canaries");
    let workshop = Workshop::new(&folder).unwrap();
    let clean = workshop.clean().unwrap();
    // The stories of the canaries must fail with them, too.
    vsr_tests::planted::try_witnesses(&workshop, &canaries, |witness| {
        assert!(witness.is_good(), "{witness}");
    })
    .unwrap();
    for patch in Patch::only(&patches, &canaries).unwrap() {
        let planted = workshop.with(&patch).unwrap_or_else(|error| panic!("{}: {error}", patch.id));
        let out = folder.join("artefacts");
        let profile = "swarm".to_owned();
        let hunt = Hunt { clean: clean.clone(), planted, out, profile, budget_ns: u64::MAX };
        let sweep = hunt.sweep(0..SEEDS).unwrap();
        assert!(sweep.found.is_some(), "{} {}: {sweep}", patch.id, patch.name);
        assert_eq!(sweep.failing_anyway, [0; 0], "seeds fail without {} too", patch.id);
        let seed = sweep.found.map_or(0, |found| found.seed);
        comes_back(&folder.join(&patch.id), &hunt, seed);
    }
    // A green sweep says nothing about the replica unless a wrong one would be red.
}

/// A sweep that is killed leaves what it had found, and that fails with the bug only: replayed, shrunk, and kept as a regression.
fn comes_back(folder: &Path, hunt: &Hunt, seed: u64) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    fs::create_dir_all(folder).unwrap();
    let (planted, clean) = (&hunt.planted.command, &hunt.clean.command);
    killed_once_it_has_found_something(folder, planted, seed);
    let latest = folder.join("target/vsr-sim/latest");
    let events = fs::read_to_string(latest.join("events.ndjson")).unwrap();
    let whole = events.rsplit_once('\n').unwrap().0;
    assert!(whole.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{events}");

    let run = |command: &Path, arguments: &[&str]| {
        let output = Command::new(command).current_dir(folder).args(arguments).output().unwrap();
        Done::of(output)
    };
    let failed = run(planted, &["replay", "latest", "--exact"]);
    assert!((10..14).contains(&failed.code), "{failed:?}");
    assert!(failed.printed.contains("as recorded "), "{}", failed.printed);
    let by_halves = run(planted, &["replay", "latest", "--bisect"]);
    assert_eq!(by_halves.code, failed.code);
    assert_eq!(run(clean, &["replay", "latest", "--bisect"]).code, 0);
    let diverged = run(clean, &["replay", "latest", "--exact", "--format", "json"]);
    assert_eq!(diverged.code, 30, "{diverged:?}");
    assert!(diverged.record()["diverged_at_event"].is_u64(), "{diverged:?}");

    let kept = folder.join("scenarios/regressions");
    fs::create_dir_all(&kept).unwrap();
    let to = kept.join("kept.json");
    let to = to.to_str().unwrap();
    let shrunk = run(planted, &["shrink", "latest", "--runs", "400", "--to", to]);
    assert_eq!(shrunk.code, failed.code, "{shrunk:?}");
    let sweep = ["sweep", "--seeds", "0..1", "--format", "json"];
    let regressions = run(planted, &sweep).record();
    assert_eq!(regressions["regressions_unmet"], json!(["scenarios/regressions/kept.json"]));
    let regressions = run(clean, &sweep).record();
    assert_eq!((&regressions["regressions"], &regressions["exit_code"]), (&1.into(), &0.into()));
    // What was found in the night must be there in the morning, whatever has happened to the machine.
}

/// Sweeps from `seed` on without an end, and kills the process as soon as a failure is written down.
fn killed_once_it_has_found_something(folder: &Path, command: &Path, seed: u64) {
    let seeds = format!("{seed}..{}", u64::MAX);
    let mut child = Command::new(command)
        .current_dir(folder)
        .args(["sweep", "--seeds", &seeds, "--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let failures = folder.join("target/vsr-sim/latest/failures");
    let is_written = || {
        let folders = fs::read_dir(&failures).into_iter().flatten().flatten();
        folders.map(|failure| failure.path()).any(|failure| failure.join("scenario.json").exists())
    };
    while !is_written() {
        assert_eq!(child.try_wait().unwrap(), None, "the sweep ended by itself");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
