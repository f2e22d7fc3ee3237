//! The mean of a few runs of everything that the benchmark measures, in processor time, with memory: quicker than the benchmark, and for the
//! cases that plain depth-first search does not finish.

use linearizability::read::{ReadOptions, porcupine};
use linearizability::{
    Budget, CasRegister, Detail, Engine, History, Model, Options, Verdict, check_with,
};
use linearizability_bench::{Shape, key_value, register};
use std::path::Path;
use std::time::{Duration, Instant};

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let plain = std::env::args().nth(2).is_some_and(|word| word == "plain");
    let engines: &[Engine] = if plain { &[Engine::Auto, Engine::Plain] } else { &[Engine::Auto] };
    for (clients, values, operations, crashed) in [
        (10, None, 10_000, 0),
        (30, None, 10_000, 0),
        (50, None, 10_000, 0),
        (10, None, 2_000, 30),
        (10, Some(5), 500, 30),
        (10, Some(5), 1_000, 0),
        (30, Some(5), 1_000, 0),
        (50, Some(5), 1_000, 0),
    ] {
        for bad in [false, true] {
            let values_text =
                values.map_or("unique".to_owned(), |values| format!("{values} values"));
            let name = format!(
                "register {values_text} {operations} ops {clients} clients {crashed} crashed {}",
                if bad { "bad" } else { "ok" }
            );
            if name.contains(&filter) {
                let history = register(Shape { operations, clients, crashed, values, bad }, 1);
                run(&name, &CasRegister { initial: 0 }, &history, engines, 1);
            }
        }
    }
    let name = "key-value 1,000,000 ops 100 keys 50 clients";
    if name.contains(&filter) {
        let (symbols, history) = key_value(1_000_000, 1);
        run(name, &linearizability::KeyValue::new(symbols), &history, &[Engine::Auto], 1);
        let (symbols, history) = key_value(1_000_000, 1);
        run(name, &linearizability::KeyValue::new(symbols), &history, &[Engine::Auto], 2);
    }
    foreign(&filter, engines);
}

fn foreign(filter: &str, engines: &[Engine]) {
    let data = std::env::var("LINEARIZABILITY_DATA").unwrap_or("../../../shared/data".to_owned());
    let data = Path::new(&data).join("porcupine");
    for clients in ["c01-ok", "c01-bad", "c10-ok", "c10-bad", "c50-ok", "c50-bad"] {
        let name = format!("porcupine kv {clients}");
        if let (true, Some((model, history))) =
            (name.contains(filter), load(&data.join(format!("kv/{clients}.txt"))))
        {
            run(&name, &model, &history, engines, 1);
        }
    }
    if !"porcupine etcd".contains(filter) {
        return;
    }
    for engine in engines {
        let (mut sum, mut worst) = (Duration::ZERO, Duration::ZERO);
        for number in 0..=102 {
            if let Some((model, history)) = load(&data.join(format!("etcd/etcd_{number:03}.log"))) {
                let (time, _) = once(&model, &history, *engine, 1, Detail::Minimal);
                sum += time;
                worst = worst.max(time);
            }
        }
        println!("porcupine etcd {engine:?}: sum {sum:?}, worst {worst:?}");
    }
}

fn load(
    path: &Path,
) -> Option<(
    linearizability::KeyValue,
    History<linearizability::KeyValueInput, linearizability::KeyValueOutput>,
)> {
    let file = std::io::BufReader::new(std::fs::File::open(path).ok()?);
    Some(porcupine(file, &ReadOptions::default()).expect("a log").into_parts())
}

fn once<M>(
    model: &M,
    history: &History<M::Input, M::Output>,
    engine: Engine,
    threads: usize,
    detail: Detail,
) -> (Duration, Verdict)
where
    M: Model + Sync,
    M::Input: Sync,
    M::Output: Sync,
    M::Key: Send + Sync,
{
    let (begin, before) = (Instant::now(), processor_time());
    let mut count = 0;
    loop {
        let start = Instant::now();
        let stop = || start.elapsed() > Duration::from_secs(60);
        let budget = Budget { stop: Some(&stop), bytes: 2 << 30, ..Budget::default() };
        let options = Options { budget, engine, threads, detail };
        let verdict = check_with(model, history, &options);
        count += 1;
        if begin.elapsed() > Duration::from_millis(500) {
            let taken = match (threads, before, processor_time()) {
                (1, Some(before), Some(after)) => after - before,
                _ => begin.elapsed(),
            };
            return (taken / count, verdict);
        }
    }
}

fn run<M>(
    name: &str,
    model: &M,
    history: &History<M::Input, M::Output>,
    engines: &[Engine],
    threads: usize,
) where
    M: Model + Sync,
    M::Input: Sync,
    M::Output: Sync,
    M::Key: Send + Sync,
{
    for engine in engines {
        let (time, verdict) = once(model, history, *engine, threads, Detail::Minimal);
        let words = match verdict {
            Verdict::Linearizable(_) => "linearizable".to_owned(),
            Verdict::NotLinearizable(evidence) => {
                let (alone, _) = once(model, history, *engine, threads, Detail::Break);
                let count = evidence.operations.len();
                let minimal = if evidence.minimal { "minimal" } else { "not minimal" };
                format!(
                    "not linearizable, {count} operations, {minimal}; without minimising {alone:?}"
                )
            }
            Verdict::Unknown(exhausted) => format!("unknown: {exhausted}"),
        };
        println!("{name} {engine:?} {threads} threads: {time:?} {words}; {}", memory());
    }
}

/// The processor time of this thread, where the system tells: what others do on the machine does not count.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The most memory that the process has held, where the system tells.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("");
    line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}
