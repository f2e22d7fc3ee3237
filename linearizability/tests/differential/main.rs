//! Every engine against brute force, on random small histories.
//!
//! `LINEARIZABILITY_HISTORIES=200000 cargo test --release -p linearizability --test differential` is the long run.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod brute_force;
mod histories;

use brute_force::is_linearizable;
use histories::{Draw, HISTORIES};
use linearizability::{
    CasRegister, Completion, Engine, Evidence, History, KeyValue, KeyValueCall, KeyValueInput,
    KeyValueOutput, Model, Operation, Options, Register, Symbols, Verdict, check_with, verify,
};

/// Lets go of all operations but `kept`: their answers and returns are forgotten.
fn relax<M: Model>(
    history: &History<M::Input, M::Output>,
    kept: &[usize],
) -> History<M::Input, M::Output> {
    let relaxed: Vec<Operation<M::Input, M::Output>> = history
        .operations()
        .iter()
        .enumerate()
        .map(|(index, operation)| {
            let mut operation = operation.clone();
            // A process of its own: one that crashed asks nothing more.
            operation.process = index as u64;
            if !kept.contains(&index) {
                operation.completion = None;
            }
            operation
        })
        .collect();
    History::from_operations(relaxed).unwrap()
}

/// All that evidence promises.
fn assert_evidence<M: Model>(
    model: &M,
    history: &History<M::Input, M::Output>,
    evidence: &Evidence,
) {
    assert!(evidence.minimal);
    assert!(!evidence.reason.is_empty());
    let kept = &evidence.operations;
    assert!(
        !is_linearizable(model, &relax::<M>(history, kept)),
        "{kept:?} do not suffice: {history:?}"
    );
    for spared in kept {
        let fewer: Vec<usize> = kept.iter().copied().filter(|index| index != spared).collect();
        assert!(is_linearizable(model, &relax::<M>(history, &fewer)), "{spared} is not needed");
    }

    // The longest partial order explains all that returned before the operation that fits nowhere.
    let key = model.key(&history.operations()[evidence.unplaced].input);
    let rank = |index: usize| {
        let operation = &history.operations()[index];
        (operation.returned(), operation.call, index)
    };
    let before = |index: &usize| {
        model.key(&history.operations()[*index].input) == key
            && rank(*index) < rank(evidence.unplaced)
    };
    let returned: Vec<usize> = (0..history.len()).filter(before).collect();
    let longest = evidence.longest.iter().copied();
    verify(model, &relax::<M>(history, &returned), longest).unwrap();
    let mut through = returned;
    through.push(evidence.unplaced);
    assert!(!is_linearizable(model, &relax::<M>(history, &through)));
}

fn assert_agreement<M: Model + Sync>(model: &M, history: &History<M::Input, M::Output>) -> bool
where
    M::Input: Sync,
    M::Output: Sync,
    M::Key: Send + Sync,
{
    let expected = is_linearizable(model, history);
    for engine in Engine::ALL {
        let options = Options { engine, ..Options::default() };
        match check_with(model, history, &options) {
            Verdict::Linearizable(witness) => {
                assert!(expected, "{engine:?} finds an order where there is none: {history:#?}");
                assert!(verify(model, history, witness.order()).is_ok());
            }
            Verdict::NotLinearizable(evidence) => {
                assert!(!expected, "{engine:?} finds no order where there is one: {history:#?}");
                if engine == Engine::Auto {
                    assert_evidence(model, history, &evidence);
                }
            }
            Verdict::Unknown(exhausted) => panic!("{exhausted}"),
        }
    }
    expected
}

/// Runs `HISTORIES` histories and asks that both verdicts are common among them.
fn run(mut agree: impl FnMut(&mut Draw) -> bool, name: &str) {
    let mut draw = Draw::new(name);
    let linearizable = (0..HISTORIES).filter(|_| agree(&mut draw)).count();
    let share = linearizable * 100 / HISTORIES;
    assert!((10..=90).contains(&share), "{share} % are linearizable: too few of one kind");
}

#[test]
fn register() {
    let agree = |draw: &mut Draw| assert_agreement(&Register { initial: 0 }, &draw.register());
    run(agree, "register");
}

#[test]
fn cas_register() {
    let agree =
        |draw: &mut Draw| assert_agreement(&CasRegister { initial: 0 }, &draw.cas_register());
    run(agree, "cas register");
}

#[test]
fn key_value() {
    let agree = |draw: &mut Draw| {
        let (symbols, history) = draw.key_value();
        assert_agreement(&KeyValue::new(symbols), &history)
    };
    run(agree, "key-value");
}

#[test]
fn nondeterministic_counter() {
    let agree =
        |draw: &mut Draw| assert_agreement(&histories::SloppyCounter, &draw.sloppy_counter());
    run(agree, "nondeterministic counter");
}

/// Two gets contradict each other about one append. With the second let go, the append may have followed the swap, which
/// then matters although nobody else saw what it left.
#[test]
fn an_operation_matters_again_when_another_is_let_go() {
    let mut symbols = Symbols::new();
    let [k, _, one, _, two, both] =
        ["k", "l", "2;", "3;", "1;", "2;1;"].map(|text| symbols.intern(text.as_bytes()));
    let get = |value| (KeyValueCall::Get, KeyValueOutput::Value(value));
    let cas = |expected, new| (KeyValueCall::Cas { expected, new }, KeyValueOutput::Swapped);
    let asked = [
        (8, 11, get(both)),
        (15, 23, get(both)),
        (-3, 7, cas(None, one)),
        (24, 31, get(one)),
        (21, 21, cas(Some(both), one)),
        (11, 11, (KeyValueCall::Append(two), KeyValueOutput::Done)),
        (2, 12, get(one)),
        (11, 23, get(two)),
    ];
    let operations = (0..).zip(asked).map(|(id, (call, at, (asked, output)))| Operation {
        id,
        process: id,
        call,
        input: KeyValueInput { key: k, call: asked },
        completion: Some(Completion { at, output }),
    });
    let history = History::from_operations(operations.collect()).unwrap();
    assert!(!assert_agreement(&KeyValue::new(symbols), &history));
}
