//! Every figure of PERFORMANCE.md, in one run on one machine, as a table.
//!
//! `cargo run --release --bin figures -- [PART...]`, where a part is one of: broadcast, calm, swarm, long, threads, memory, allocations,
//! scaling, million. All but the last are run if none is named.

use std::process::Command;
use std::thread;
use std::time::Instant;

use vsr_sim::scenario::draw::Overrides;
use vsr_sim_bench::clusters::{Ran, Shape, run, sweep};
use vsr_sim_bench::counting::counted;
use vsr_sim_bench::processor::memory_kib;
use vsr_sim_bench::{Measured, by_madsim, by_turmoil, by_us};

const PARTS: [&str; 9] = [
    "broadcast",
    "calm",
    "swarm",
    "long",
    "threads",
    "memory",
    "allocations",
    "scaling",
    "million",
];

/// Seeds of the swarm.
const SEEDS: u64 = 1_000;
/// Values of the broadcast.
const VALUES: u64 = 100_000;

fn main() {
    let named: Vec<String> = std::env::args().skip(1).collect();
    if let [alone] = named.as_slice() {
        if let Some(workers) = alone.strip_prefix("workers-alone=") {
            return workers_alone(workers.parse().expect("a number"));
        }
        if let Some(requests) = alone.strip_prefix("requests-alone=") {
            return million(requests.parse().expect("a number"));
        }
    }
    for name in &named {
        assert!(PARTS.contains(&name.as_str()), "{name}: there are {}", PARTS.join(" "));
    }
    let wants =
        |part: &str| named.iter().any(|name| name == part) || named.is_empty() && part != "million";
    println!("{:58} {:>12}   {}", "what", "figure", "bar");
    let peers = (wants("broadcast") || wants("calm")).then(broadcast);
    if let Some(peers) = peers.filter(|_| wants("calm")) {
        calm(peers);
    }
    if wants("swarm") {
        swarm();
    }
    if wants("long") {
        long();
    }
    if wants("threads") {
        threads();
    }
    if wants("memory") {
        memory();
    }
    if wants("allocations") {
        allocations();
    }
    if wants("scaling") {
        scaling();
    }
    if wants("million") {
        for requests in [100_000, 200_000, 500_000, 1_000_000] {
            print!("{}", alone(&format!("requests-alone={requests}")));
        }
    }
}

fn row(what: &str, figure: impl std::fmt::Display, bar: &str) {
    println!("{what:58} {figure:>12}   {bar}");
}

/// `one` divided by `other`, with a digit after the point.
fn ratio(one: u128, other: u128) -> String {
    let tenths = one * 10 / other.max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The best of three, in turns, so that a noisy machine is noisy for all.
fn broadcast() -> [u128; 2] {
    let simulators: [fn(u64) -> Measured; 3] = [by_us, by_turmoil, by_madsim];
    let mut best = [0; 3];
    for _ in 0..3 {
        for (best, run) in best.iter_mut().zip(simulators) {
            *best = run(VALUES).per_second().max(*best);
        }
    }
    let [us, turmoil, madsim] = best;
    row("broadcast, ours: messages a core-second", us, "");
    row("broadcast, turmoil: messages a core-second", turmoil, "");
    row("broadcast, madsim: messages a core-second", madsim, "");
    row("broadcast, ours to turmoil", ratio(us, turmoil), "20");
    row("broadcast, ours to madsim", ratio(us, madsim), "10");
    [turmoil, madsim]
}

fn best(run: impl Fn() -> Ran) -> Ran {
    (0..3).map(|_| run()).min_by_key(|ran| ran.cpu_ns).expect("three runs")
}

fn calm([turmoil, madsim]: [u128; 2]) {
    let ran = best(|| run(&Shape::default().scenario()));
    let messages = ran.per_second(ran.messages);
    row("calm, all oracles: messages a core-second", messages, "");
    row("calm, all oracles: requests a core-second", ran.per_second(ran.requests), "");
    row("calm, all oracles: events a core-second", ran.per_second(ran.events), "");
    row("calm, all oracles, to turmoil's broadcast", ratio(messages, turmoil), "5");
    row("calm, all oracles, to madsim's broadcast", ratio(messages, madsim), "3");
}

fn swarm() {
    let ran = best(|| sweep(0..SEEDS, &Overrides::default()));
    row("swarm, all on: seeds a core-second", ran.per_second(ran.seeds), "400");
    row("swarm, all on: messages a core-second", ran.per_second(ran.messages), "2100000");
    row("swarm, all on: requests a core-second", ran.per_second(ran.requests), "");
    row("swarm: requests a seed", ratio(ran.requests.into(), ran.seeds.into()), "96");
    row("swarm: messages a seed", ran.messages / ran.seeds, "");
    row("swarm: seeds in a hundred with 3 replicas or more", ran.of_three * 100 / ran.seeds, "80");
}

fn long() {
    let overrides = Overrides { requests: Some(10_000), ..Overrides::default() };
    let ran = sweep(0..20, &overrides);
    row("seeds of 10,000 requests: requests a core-second", ran.per_second(ran.requests), "72000");
    row("seeds of 10,000 requests: messages a core-second", ran.per_second(ran.messages), "");
}

/// The same seeds by one thread and by two: wall time, for that is what a second core is for.
fn threads() {
    let overrides = Overrides::default();
    let wall = |jobs: u64| {
        let share = SEEDS / jobs;
        let start = Instant::now();
        thread::scope(|scope| {
            for job in 0..jobs {
                scope.spawn(move || sweep(job * share..(job + 1) * share, &overrides));
            }
        });
        start.elapsed().as_nanos()
    };
    let (one, two) = (wall(1), wall(2));
    row("swarm: two threads to one, by the clock on the wall", ratio(one, two), "1.9");
}

/// What this program prints when it is told to do one thing, in a process of its own: so nothing else has left memory behind.
fn alone(argument: &str) -> String {
    let own = std::env::current_exe().expect("a path of its own");
    let output = Command::new(own).arg(argument).output().expect("this program runs");
    assert!(output.status.success(), "{argument}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("our own words")
}

/// What a worker takes is what each further one adds: the program itself is there once.
fn memory() {
    let most = |workers: u64| -> u64 {
        alone(&format!("workers-alone={workers}")).trim().parse().expect("a number")
    };
    let (one, five) = (most(1), most(5));
    row(&format!("swarm: KiB of a worker, {SEEDS} seeds each"), (five - one) / 4, "16384");
    row("swarm: KiB of the program with one worker", one, "");
}

/// Prints how many KiB it took at most to run the same seeds on so many threads.
fn workers_alone(workers: u64) {
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| sweep(0..SEEDS, &Overrides::default()));
        }
    });
    println!("{}", memory_kib().1);
}

fn allocations() {
    let shape = Shape { requests: 10_000, ..Shape::default() };
    let scenario = shape.scenario();
    let hundredths = |count: u64, messages: u64| {
        let hundredths = count * 100 / messages;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    };
    for (what, (ran, count, bytes)) in [
        ("calm", counted(|| run(&scenario))),
        ("swarm", counted(|| sweep(0..200, &Overrides::default()))),
    ] {
        row(&format!("{what}: allocations a message"), hundredths(count, ran.messages), "");
        row(&format!("{what}: bytes allocated a message"), bytes / ran.messages, "");
    }
}

fn scaling() {
    let tell = |what: String, shape: Shape| {
        let ran = run(&shape.scenario());
        let figures = format!("{} requests", ran.per_second(ran.requests));
        row(&what, ran.per_second(ran.messages), &figures);
    };
    let shape = Shape { requests: 20_000, ..Shape::default() };
    for replicas in 1..=7 {
        tell(
            format!("calm, {replicas} replicas: messages a core-second"),
            Shape { replicas, ..shape },
        );
    }
    for clients in [1, 3, 10, 30, 100] {
        tell(
            format!("calm, {clients} clients: messages a core-second"),
            Shape { clients, ..shape },
        );
    }
    for pipeline in [1, 2, 4, 8, 16, 32, 64] {
        let shape = Shape { pipeline, clients: 64, ..shape };
        tell(format!("calm, pipeline of {pipeline}, 64 clients: messages a core-second"), shape);
    }
    // A hundred are over before the system has counted any time.
    for requests in [1_000, 10_000, 100_000] {
        tell(
            format!("calm, {requests} requests: messages a core-second"),
            Shape { requests, ..shape },
        );
    }
}

/// One cluster, so many requests: over more and more of them time a request, and memory, must stay as they are.
fn million(requests: u32) {
    let ran = run(&Shape { requests, ..Shape::default() }.scenario());
    let (_, most) = memory_kib();
    let nanoseconds = ran.cpu_ns / u128::from(ran.requests);
    row(&format!("calm, {requests} requests: ns a request"), nanoseconds, "the same in each row");
    row(&format!("calm, {requests} requests: KiB at most"), most, "the same in each row");
}
