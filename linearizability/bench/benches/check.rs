//! What a check takes: the histories of other tools' benchmarks, the same by plain depth-first search where it comes to an
//! end, and by other Rust checkers where they do.
//!
//! `LINEARIZABILITY_DATA` says where Porcupine's logs are; without it they are looked for beside the repository.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use linearizability::read::{ReadOptions, porcupine};
use linearizability::{
    CasRegister, Engine, History, KeyValue, KeyValueInput, KeyValueOutput, Options, Register,
    RegisterInput, RegisterOutput, Verdict, check_with,
};
use linearizability_bench::{Shape, key_value, read_write, register};
use stateright::semantics::register::{Register as StaterightRegister, RegisterOp, RegisterRet};
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;
use todc_utils::WGLChecker;
use todc_utils::specifications::etcd::{EtcdSpecification, history_from_log};

fn data(path: &str) -> PathBuf {
    let data = std::env::var("LINEARIZABILITY_DATA").unwrap_or("../../../shared/data".to_owned());
    PathBuf::from(data).join("porcupine").join(path)
}

type KeyValueHistory = History<KeyValueInput, KeyValueOutput>;

fn load(path: &str) -> Option<(KeyValue, KeyValueHistory)> {
    let file = std::io::BufReader::new(std::fs::File::open(data(path)).ok()?);
    Some(porcupine(file, &ReadOptions::default()).expect("a log").into_parts())
}

/// The etcd logs that there are.
fn etcd() -> Vec<(String, KeyValue, KeyValueHistory)> {
    let names = (0..=102).map(|number| format!("etcd/etcd_{number:03}.log"));
    names.filter_map(|name| load(&name).map(|(model, history)| (name, model, history))).collect()
}

fn known(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Unknown(_))
}

fn etcd_logs(criterion: &mut Criterion) {
    let logs = etcd();
    let mut group = criterion.benchmark_group("etcd");
    for engine in [Engine::Auto, Engine::Plain] {
        let options = Options { engine, ..Options::default() };
        group.bench_function(format!("all logs, {engine:?}"), |bencher| {
            bencher.iter(|| {
                logs.iter().all(|(_, model, history)| known(&check_with(model, history, &options)))
            });
        });
    }
    let options = Options::default();
    let time = |model: &KeyValue, history: &KeyValueHistory| {
        let start = std::time::Instant::now();
        black_box(check_with(model, history, &options));
        start.elapsed()
    };
    if let Some((name, model, history)) =
        logs.iter().max_by_key(|(_, model, history)| (0..5).map(|_| time(model, history)).min())
    {
        group.bench_function(format!("the worst log, {name}"), |bencher| {
            bencher.iter(|| known(&check_with(model, history, &options)));
        });
    }
    // It wants its own form of history, which it consumes; making that is not measured.
    let paths: Vec<PathBuf> = logs.iter().map(|(name, _, _)| data(name)).collect();
    group.bench_function("all logs, todc-utils", |bencher| {
        let read = || {
            let text = |path: &PathBuf| path.to_string_lossy().into_owned();
            paths.iter().map(|path| history_from_log(text(path))).collect::<Vec<_>>()
        };
        let judge = |histories: Vec<_>| {
            histories
                .into_iter()
                .filter(|history: &todc_utils::History<_>| {
                    WGLChecker::<EtcdSpecification>::is_linearizable(history.clone())
                })
                .count()
        };
        bencher.iter_batched(read, judge, BatchSize::LargeInput);
    });
    group.finish();
}

fn key_value_logs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("porcupine kv");
    for name in ["c10-ok", "c10-bad", "c50-ok", "c50-bad"] {
        let Some((model, history)) = load(&format!("kv/{name}.txt")) else { continue };
        for engine in [Engine::Auto, Engine::Plain] {
            let options = Options { engine, ..Options::default() };
            group.bench_function(format!("{name}, {engine:?}"), |bencher| {
                bencher.iter(|| known(&check_with(&model, &history, &options)));
            });
        }
    }
    group.finish();
}

fn registers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("register");
    for (clients, values, operations, crashed) in [
        (10, None, 10_000, 0),
        (30, None, 10_000, 0),
        (50, None, 10_000, 0),
        (10, None, 2_000, 30),
        (30, Some(5), 1_000, 0),
        (50, Some(5), 1_000, 0),
    ] {
        for bad in [false, true] {
            let shape = Shape { operations, clients, crashed, values, bad };
            let history = register(shape, 1);
            let model = CasRegister { initial: 0 };
            let values = values.map_or("unique".to_owned(), |values| format!("{values} values"));
            let verdict = if bad { "bad" } else { "ok" };
            let name = format!(
                "{values}, {operations} ops, {clients} clients, {crashed} crashed, {verdict}"
            );
            group.bench_function(name, |bencher| {
                bencher.iter(|| known(&check_with(&model, &history, &Options::default())));
            });
        }
    }
    group.finish();
}

fn million(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("million");
    let (symbols, history) = key_value(1_000_000, 1);
    let model = KeyValue::new(symbols);
    for threads in [1, 2] {
        let options = Options { threads, ..Options::default() };
        group.bench_function(format!("100 keys, 50 clients, {threads} threads"), |bencher| {
            bencher.iter(|| known(&check_with(&model, &history, &options)));
        });
    }
    group.finish();
}

/// Small histories of reads and writes; stateright's tester has no memo, and takes for ever over longer ones.
fn small(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("small");
    for operations in [8, 12] {
        let history = read_write(operations, 4, 1);
        let model = Register { initial: 0 };
        for engine in [Engine::Auto, Engine::Plain] {
            let options = Options { engine, ..Options::default() };
            group.bench_function(format!("{operations} ops, {engine:?}"), |bencher| {
                bencher.iter(|| known(&check_with(&model, &history, &options)));
            });
        }
        let tester = stateright_tester(&history);
        group.bench_function(format!("{operations} ops, stateright"), |bencher| {
            bencher.iter(|| black_box(&tester).is_consistent());
        });
    }
    group.finish();
}

type Tester = LinearizabilityTester<u64, StaterightRegister<u64>>;

fn stateright_tester(history: &History<RegisterInput<u64>, RegisterOutput<u64>>) -> Tester {
    let mut events: Vec<(i64, bool, usize)> = Vec::new();
    for (index, operation) in history.operations().iter().enumerate() {
        events.push((operation.call, false, index));
        events.extend(operation.completion.as_ref().map(|completion| (completion.at, true, index)));
    }
    events.sort_unstable();
    let mut tester = LinearizabilityTester::new(StaterightRegister(0));
    for (_, returns, index) in events {
        let operation = &history.operations()[index];
        if returns {
            let answer = match operation.output() {
                Some(RegisterOutput::Value(value)) => RegisterRet::ReadOk(*value),
                Some(RegisterOutput::Written) | None => RegisterRet::WriteOk,
            };
            tester.on_return(operation.process, answer).expect("it was asked");
        } else {
            let question = match operation.input {
                RegisterInput::Read => RegisterOp::Read,
                RegisterInput::Write(value) => RegisterOp::Write(value),
            };
            tester.on_invoke(operation.process, question).expect("it is idle");
        }
    }
    tester
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = etcd_logs, key_value_logs, registers, million, small
}
criterion_main!(benches);
