//! Other people's histories with known verdicts. They are not part of the repository: the tests look for them beside it
//! (`../shared/data`), or where `LINEARIZABILITY_DATA` said when they were compiled, and say so when they are not there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use linearizability::read::{ReadOptions, porcupine};
use linearizability::{Engine, KeyValue, Model, Options, Verdict, check_with};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = option_env!("LINEARIZABILITY_DATA").map_or(beside, PathBuf::from).join("porcupine");
    if path.is_dir() {
        return Some(path);
    }
    let reason = format!("skipped: there is no {}\n", path.display());
    // Not the macro, whose output the test harness keeps to itself when a test passes.
    std::io::Write::write_all(&mut std::io::stderr(), reason.as_bytes()).unwrap();
    None
}

fn verdict(path: &Path, options: &Options<'_>) -> bool {
    let file = BufReader::new(File::open(path).unwrap());
    let (model, history) = porcupine(file, &ReadOptions::default()).unwrap().into_parts();
    match check_with(&model, &history, options) {
        Verdict::Linearizable(_) => true,
        Verdict::NotLinearizable(evidence) => {
            assert!(evidence.minimal, "{}", path.display());
            assert!(
                evidence.operations.contains(&evidence.unplaced) || evidence.operations.len() > 1
            );
            false
        }
        Verdict::Unknown(exhausted) => panic!("{}: {exhausted}", path.display()),
    }
}

#[test]
fn porcupine_logs_of_etcd_have_their_verdicts() {
    let Some(data) = data() else { return };
    let linearizable = [2, 5, 7, 18, 25, 31, 38, 45, 48, 49];
    let mut count = 0;
    for number in 0..=102 {
        let path = data.join(format!("etcd/etcd_{number:03}.log"));
        // The collection has gaps, and not everybody holds all of it.
        if number > 50 || !path.exists() {
            continue;
        }
        for engine in [Engine::Auto, Engine::Breadth, Engine::Depth] {
            let options = Options { engine, ..Options::default() };
            assert_eq!(
                verdict(&path, &options),
                linearizable.contains(&number),
                "{number} {engine:?}"
            );
        }
        count += 1;
    }
    assert!(count >= 50, "only {count} logs");
}

#[test]
fn porcupine_logs_of_a_key_value_store_have_their_verdicts() {
    let Some(data) = data() else { return };
    for clients in ["c01", "c10", "c50"] {
        for (suffix, expected) in [("ok", true), ("bad", false)] {
            let path = data.join(format!("kv/{clients}-{suffix}.txt"));
            assert_eq!(verdict(&path, &Options::default()), expected, "{}", path.display());
        }
    }
}

/// The key-value service, judged as one object.
struct Whole(KeyValue);

impl Model for Whole {
    type State = Vec<(linearizability::Symbol, linearizability::KeyValueState)>;
    type Input = linearizability::KeyValueInput;
    type Output = linearizability::KeyValueOutput;
    type Key = ();

    fn key(&self, _: &Self::Input) {}

    fn initial(&self, (): &()) -> Self::State {
        Vec::new()
    }

    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
        next: &mut Vec<Self::State>,
    ) {
        let place = state.binary_search_by_key(&input.key, |(key, _)| *key);
        let initial = self.0.initial(&input.key);
        let now = place.map_or(&initial, |place| &state[place].1);
        let mut after = Vec::new();
        self.0.step(now, input, output, &mut after);
        for value in after {
            let mut state = state.clone();
            match place {
                Ok(place) => state[place].1 = value,
                Err(place) => state.insert(place, (input.key, value)),
            }
            next.push(state);
        }
    }

    fn is_read(&self, input: &Self::Input, output: Option<&Self::Output>) -> bool {
        self.0.is_read(input, output)
    }

    fn describe(&self, input: &Self::Input, output: Option<&Self::Output>) -> String {
        self.0.describe(input, output)
    }
}

#[test]
fn porcupine_logs_have_their_verdicts_without_partitions() {
    let Some(data) = data() else { return };
    for clients in ["c01", "c10"] {
        for (suffix, expected) in [("ok", true), ("bad", false)] {
            let path = data.join(format!("kv/{clients}-{suffix}.txt"));
            let file = BufReader::new(File::open(&path).unwrap());
            let (model, history) = porcupine(file, &ReadOptions::default()).unwrap().into_parts();
            let verdict = check_with(&Whole(model), &history, &Options::default());
            match verdict {
                Verdict::Linearizable(_) => assert!(expected, "{}", path.display()),
                Verdict::NotLinearizable(_) => assert!(!expected, "{}", path.display()),
                Verdict::Unknown(exhausted) => panic!("{}: {exhausted}", path.display()),
            }
        }
    }
}
