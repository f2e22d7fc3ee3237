//! The bank under faults, in five lines; and two banks that are wrong, to see that the five lines mean something.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bank::{Account, Answer, Bank, Operation};
use vsr_core::state_machine::StateMachine;
use vsr_sim::{Draw, Operations};

#[test]
fn the_bank_survives() {
    vsr_sim::sweep::<Bank>().operations(BankOperations).model(by_the_book).seeds(0..300).run();
}

/// What clients ask, and how its bytes read.
struct BankOperations;

impl Operations for BankOperations {
    type Operation = Operation;
    type Answer = Answer;

    fn draw(&self, draw: &mut Draw) -> Operation {
        let (from, to) = (draw.small(0, 3), draw.small(0, 3));
        let amount = draw.small(1, 100).into();
        match draw.small(0, 4) {
            0 => Operation::Deposit { to, amount },
            1 | 2 => Operation::Transfer { from, to, amount },
            _ => Operation::Balances,
        }
    }

    fn encode(&self, operation: &Operation) -> Vec<u8> {
        operation.encode()
    }

    fn decode(&self, bytes: &[u8]) -> Option<Operation> {
        Operation::decode(bytes)
    }

    fn decode_answer(&self, bytes: &[u8]) -> Option<Answer> {
        Answer::decode(bytes)
    }
}

/// What the bank should do, one operation after the other.
fn by_the_book(accounts: &mut BTreeMap<Account, u64>, operation: &Operation) -> Answer {
    match *operation {
        Operation::Deposit { to, amount } => {
            *accounts.entry(to).or_default() += u64::from(amount);
            Answer::Done
        }
        Operation::Transfer { from, amount, .. }
            if accounts.get(&from).copied().unwrap_or_default() < u64::from(amount) =>
        {
            Answer::TooLittle
        }
        Operation::Transfer { from, to, amount } => {
            *accounts.entry(from).or_default() -= u64::from(amount);
            *accounts.entry(to).or_default() += u64::from(amount);
            Answer::Done
        }
        Operation::Balances => {
            accounts.retain(|_, balance| *balance > 0);
            Answer::Balances(accounts.clone())
        }
    }
}

/// A bank that does each transfer again, in case it did not work the first time.
#[derive(Debug, Default)]
struct Eager(Bank);

impl StateMachine for Eager {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        self.0.apply(operation, reply);
        if let Some(Operation::Transfer { .. }) = Operation::decode(operation) {
            // PLANTED: it did.
            self.0.apply(operation, &mut Vec::new());
        }
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        self.0.snapshot(snapshot);
    }

    fn restore(&mut self, snapshot: &[u8]) {
        self.0.restore(snapshot);
    }
}

/// A bank that makes a note of each transfer before it does it, so that it can do it again when it comes back from a crash in the
/// middle of it.
#[derive(Debug, Default)]
struct Careful {
    bank: Bank,
    note: [u8; 7],
}

impl StateMachine for Careful {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        if let Some(Operation::Transfer { .. }) = Operation::decode(operation) {
            self.note.copy_from_slice(operation);
        }
        self.bank.apply(operation, reply);
        // PLANTED: what is done is not struck out again.
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        snapshot.extend_from_slice(&self.note);
        self.bank.snapshot(snapshot);
    }

    fn restore(&mut self, snapshot: &[u8]) {
        let (note, bank) = snapshot.split_at(7);
        self.note.copy_from_slice(note);
        self.bank.restore(bank);
        self.bank.apply(note, &mut Vec::new());
    }
}

/// Money that moves twice is seen by whoever looks at all accounts, without any fault.
#[test]
fn a_bank_that_does_each_transfer_twice_is_told_by_what_its_clients_saw() {
    let sweep = vsr_sim::sweep::<Eager>().operations(BankOperations).model(by_the_book);
    let failed = sweep.seeds(0..300).outcome().unwrap_err();
    assert!(failed.text.contains("  linearizable  "), "{failed}");
    // Both sides: who moved how much, and what was there afterwards.
    assert!(failed.text.contains("Transfer { from: "), "{failed}");
    assert!(failed.text.contains("Balances -> Balances({"), "{failed}");
    let size = failed.shrunk.unwrap().size;
    assert!(size.faults == 0 && size.requests <= 4, "{size}");
}

/// The bug that embedders make: it shows only after a restart, and only if a checkpoint was taken before.
///
/// It is found, told in short, and comes back by what was printed; and with the same file the right bank passes.
#[test]
fn a_transfer_that_is_done_again_after_a_restart_is_found_and_comes_back() {
    let sweep = vsr_sim::sweep::<Careful>().operations(BankOperations).model(by_the_book);
    let failed = sweep.seeds(0..300).outcome().unwrap_err();
    // A backup that executes something else than the others, or a primary that answers it: whichever is seen first.
    let verdict = failed.text.lines().find(|line| line.starts_with("FAIL  seed ")).unwrap();
    assert!(["  determinism  ", "  reply-match  "].iter().any(|name| verdict.contains(name)));
    // Both sides, in words, and what led there.
    let sides = ["\n  answer ", " is Balances({", "\n  What led here\n"];
    assert!(sides.iter().all(|side| failed.text.contains(side)), "{failed}");
    let Some(shrunk) = &failed.shrunk else {
        // This is the process that is begun below, which runs one file, and shrinks nothing.
        return;
    };
    let size = shrunk.size;
    assert!(size.faults <= 2 && size.requests <= 4, "{size}\n{failed}");

    let told =
        |label| failed.text.lines().find_map(|line| line.trim().strip_prefix(label)).unwrap();
    let me = "a_transfer_that_is_done_again_after_a_restart_is_found_and_comes_back";
    let (variable, command) = told("reproduce ").split_once(" cargo test ").unwrap();
    assert!(command.ends_with(me), "{command}");
    let (name, path) = variable.trim().split_once('=').unwrap();
    assert_eq!(name, "VSR_SIM_SCENARIO");
    let path = path.trim_matches('\'');
    let again = test(me, &[(name, path)]);
    assert!(again.status.success(), "{again:?}");
    assert!(told("by seed ").trim().starts_with("VSR_SIM_SEED=0x"), "{failed}");
    assert!(told("look ").trim().starts_with("VSR_SIM_TRACE=grid VSR_SIM_SCENARIO="), "{failed}");
    let right = test("the_bank_survives", &[(name, path), ("VSR_SIM_TRACE", "grid")]);
    let looked = said(&right);
    assert!(right.status.success() && looked.contains("PASS  seed "), "{right:?}");
    assert!(looked.contains(" takes its state from the checkpoint of "), "{looked}");
    keep(Path::new(path));
    // Were the file not all that there is to the failure, it could not be kept.
}

/// What failed once is kept, and is run before all seeds from then on.
fn keep(path: &Path) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("regressions");
    fs::create_dir_all(&folder).expect("a folder for tests");
    fs::copy(path, folder.join("done-again.json")).expect("the file that was told");
    let careful = vsr_sim::sweep::<Careful>().operations(BankOperations).model(by_the_book);
    let failed = careful.regressions(&folder).seeds(0..1).outcome().expect_err("it was kept");
    assert!(failed.text.contains("done-again.json") && failed.shrunk.is_none(), "{failed}");
    let right = vsr_sim::sweep::<Bank>().operations(BankOperations).model(by_the_book);
    let summary = right.regressions(&folder).seeds(0..1).outcome();
    assert_eq!(summary.map(|summary| summary.passed).ok(), Some(1));
}

/// A bank that keeps its snapshots in a drawer that is too small for them.
#[derive(Debug, Default)]
struct Cramped(Bank);

impl StateMachine for Cramped {
    fn apply(&mut self, operation: &[u8], reply: &mut Vec<u8>) {
        self.0.apply(operation, reply);
    }

    fn snapshot(&self, snapshot: &mut Vec<u8>) {
        let start = snapshot.len();
        self.0.snapshot(snapshot);
        // PLANTED: the second account is cut through.
        snapshot.truncate(start + 20);
    }

    fn restore(&mut self, snapshot: &[u8]) {
        self.0.restore(snapshot);
    }
}

#[test]
fn a_bank_that_panics_is_told_by_the_place_where_it_does() {
    let sweep = vsr_sim::sweep::<Cramped>().operations(BankOperations).model(by_the_book);
    let failed = sweep.seeds(0..300).outcome().unwrap_err();
    assert!(failed.text.contains("  no-panic  "), "{failed}");
    assert!(failed.text.contains(" panicked at vsr-sim/examples/bank/src/lib.rs:"), "{failed}");
    let size = failed.shrunk.unwrap().size;
    assert!(size.faults <= 2 && size.requests <= 6, "{size}");
    // Were it told by the words alone, two bugs with the same words would be one failure.
}

#[test]
fn a_seed_in_the_environment_is_the_only_one_that_runs() {
    let one = test("the_bank_survives", &[("VSR_SIM_SEED", "0x2a")]);
    let said = said(&one);
    assert!(one.status.success() && said.contains("PASS  seed 42  "), "{one:?}");
    assert_eq!(said.matches("PASS").count(), 1, "{said}");
    let none = test("the_bank_survives", &[("VSR_SIM_SEED", "forty-two")]);
    assert!(!none.status.success(), "{none:?}");
    let error = "VSR_SIM_SEED=forty-two: a seed is a number such as 42 or 0x2a";
    assert!(String::from_utf8_lossy(&none.stderr).contains(error), "{none:?}");
    // Were the variable ignored, whoever looks into a failure would look at other runs.
}

/// Runs a test of this file by itself, as `cargo test` does, with these variables set.
fn test(name: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("a test is an executable"));
    command.args(["--exact", name, "--nocapture"]).envs(variables.iter().copied());
    command.output().expect("a test can be run")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
