//! What comes through the front door, with the smallest service there is.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use vsr_core::state_machine::StateMachine;

use super::environment::{Environment, Only};
use super::model::{Sequential, Whole};
use super::service::Embedded;
use super::{Draw, Modelled, Operations, sweep};
use crate::cluster::service::AnyService;
use crate::engine::random::Seed;
use crate::engine::time::Span;
use crate::scenario::Scenario;
use crate::scenario::draw::{Overrides, Profile};
use crate::scenario::outcome::Verdict;
use crate::scenario::run::Runner;

/// Adds up bytes.
#[derive(Debug, Default)]
struct Sum(u64);

impl StateMachine for Sum {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        self.0 += operation.first().copied().map_or(0, u64::from);
        reply.extend_from_slice(&self.0.to_le_bytes());
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        snapshot.extend_from_slice(&self.0.to_le_bytes());
    }

    fn restore(&mut self, snapshot: &[u8]) {
        self.0 = u64::from_le_bytes(snapshot.try_into().unwrap());
    }
}

struct Additions;

impl Operations for Additions {
    type Operation = u8;
    type Answer = u64;

    fn draw(&self, draw: &mut Draw) -> u8 {
        draw.small(1, 9)
    }

    fn encode(&self, operation: &u8) -> Vec<u8> {
        vec![*operation]
    }

    fn decode(&self, bytes: &[u8]) -> Option<u8> {
        let [operation] = bytes else { return None };
        Some(*operation)
    }

    fn decode_answer(&self, bytes: &[u8]) -> Option<u64> {
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    fn words(&self, operation: &u8) -> String {
        format!("add {operation}")
    }

    /// Only small numbers have a name of their own.
    fn read(&self, words: &str) -> Option<u8> {
        words.strip_prefix("add ")?.parse().ok().filter(|number| *number < 10)
    }
}

fn by_the_book(sum: &mut u64, operation: &u8) -> u64 {
    *sum += u64::from(*operation);
    *sum
}

fn asked<S: StateMachine + Default + std::fmt::Debug + 'static>() -> Modelled<S, Additions> {
    sweep::<S>().operations(Additions)
}

fn environment(only: Option<Only>) -> Environment {
    let out = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/vsr-sim/front"));
    Environment { only, command: "cargo test".to_owned(), out, ..Environment::default() }
}

/// All seeds, one of them, and a trace where one is asked for.
#[test]
fn a_service_that_does_as_it_should_passes() {
    let whole = asked::<Sum>().model(by_the_book).seeds(0..20);
    let summary = whole.outcome_in(&environment(None)).unwrap();
    assert_eq!((summary.seeds, summary.passed), (20, 20));
    let one = Only::Seed(Seed::new(1_000));
    let summary = whole.outcome_in(&environment(Some(one))).unwrap();
    assert_eq!((summary.seeds, summary.passed), (1, 1));
    let none = whole.seeds(7..7).outcome_in(&environment(None)).unwrap_err();
    assert_eq!(none.text, "nothing to run: no seeds in 7..7");
    let many = asked::<Sum>().model(by_the_book).replicas(9).outcome_in(&environment(None));
    let text = many.unwrap_err().text;
    assert_eq!(text, "nothing that can be run: 9 replicas: there are 1 to 7");
}

/// A model that is wrong is a contradiction too; and one that is asked by key sees nothing of other keys.
#[test]
fn a_model_judges_what_clients_saw() {
    let miscounts = |sum: &mut u64, operation: &u8| {
        *sum += u64::from(*operation);
        *sum + u64::from(*sum > 20)
    };
    let failed = asked::<Sum>().model(miscounts).outcome_in(&environment(None)).unwrap_err();
    assert!(failed.text.starts_with("\nFAIL  seed 0  linearizable  "), "{failed}");
    assert!(failed.text.contains("  by seed     VSR_SIM_SEED=0x0 cargo test\n"), "{failed}");
    let shrunk = failed.shrunk.as_ref().unwrap();
    assert!(shrunk.size.requests <= 6 && shrunk.size.faults == 0, "{failed}");
    let by_key = asked::<Sum>().model_by_key(|operation| operation % 2, by_the_book);
    let failed = by_key.shrink_runs(0).outcome_in(&environment(None)).unwrap_err();
    assert!(failed.text.contains("  linearizable  "), "{failed}");
    // Were the model not asked, all services would be as good as each other.
}

#[test]
fn a_run_in_which_nobody_is_answered_is_no_pass() {
    let sweep = asked::<Sum>().model(by_the_book);
    let mut environment = environment(None);
    environment.out = environment.out.join("nobody");
    let path = environment.out.join("nobody.json");
    let write = |text: &str| crate::scenario::file::write_atomically(&path, text.as_bytes());
    write("{ \"format\": 1, \"duration\": \"10ms\" }").unwrap();
    environment.only = Some(Only::Scenario(path.clone()));
    let failed = sweep.outcome_in(&environment).unwrap_err();
    let told = "FAIL  seed 0  nothing was exercised: no request was answered";
    assert!(failed.text.contains(told), "{failed}");

    // Requests are told in words where those read back, and with their bytes where not.
    write(
        r#"{ "format": 1, "cluster": { "clients": 1 }, "steps": [
          { "at": "1ms", "do": { "request": { "from": "c0", "operation": "add 3" } } },
          { "at": "1ms", "do": { "request": { "from": "c0", "operation": "add 77 = 0x4d" } } }] }"#,
    )
    .unwrap();
    environment.is_traced = true;
    assert_eq!(sweep.outcome_in(&environment).unwrap().requests, 2);
    write("{ \"format\": 1,\n\"steps\": [{ \"at\": \"1ms\", \"do\": { \"request\": { \"from\": \"c0\", \"operation\": \"add 77\" } } }] }").unwrap();
    let failed = sweep.outcome_in(&environment).unwrap_err();
    let told = "nobody.json:2:74: `add 77` tells no operation, and ends with no bytes (0x…)";
    assert!(failed.text.ends_with(told), "{failed}");
}

/// Answers depend on how often anybody was asked before, in whatever run.
#[derive(Debug, Default)]
struct Whimsical(Sum);

static WHIMS: AtomicU64 = AtomicU64::new(0);

impl StateMachine for Whimsical {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        self.0.apply(operation, reply);
        reply.clear();
        reply.extend_from_slice(&WHIMS.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        self.0.snapshot(snapshot);
    }

    fn restore(&mut self, snapshot: &[u8]) {
        self.0.restore(snapshot);
    }
}

#[test]
fn a_service_that_is_no_function_of_its_operations_is_told_so() {
    let sweep = asked::<Whimsical>().model(by_the_book).shrink_runs(20);
    let failed = sweep.outcome_in(&environment(None)).unwrap_err();
    assert!(failed.text.contains("the same scenario gave two different runs"), "{failed}");
    assert!(failed.shrunk.is_none());
    // Were such a failure shrunk, the file would hold a story that nobody sees again.
}

/// A long run is forgotten while it goes on; what is found in one is told as if it had been remembered, for it is run again.
#[test]
fn a_long_run_of_a_service_is_judged_by_its_model_too() {
    let overrides = Overrides { profile: Profile::Calm, ..Overrides::default() };
    let mut scenario = Scenario::draw(Seed::new(3), &overrides);
    scenario.workload.as_mut().unwrap().requests = 2_000;
    scenario.duration = Span::from_secs(1_000);
    let judged_by = |step: fn(&mut u64, &u8) -> u64| {
        let model = Sequential::new(|_: &u8| Whole, step);
        let mut runner =
            Runner::<()>::of(AnyService::new(Embedded::<Sum, _, _>::new(Additions, model)));
        runner.forget_from(2_001, 0);
        let remembered = runner.run(&scenario);
        runner.forget_from(2_000, 0);
        let outcome = runner.run(&scenario);
        assert_eq!(format!("{outcome:?}"), format!("{remembered:?}"));
        (outcome.verdict == Verdict::Pass, runner.again_count())
    };
    assert_eq!(judged_by(by_the_book), (true, 0));
    let miscounts = |sum: &mut u64, operation: &u8| {
        *sum += u64::from(*operation);
        *sum + u64::from(*sum > 9_000)
    };
    assert_eq!(judged_by(miscounts), (false, 1));
}
