//! What a calm run, or some seeds of the swarm, spend their instructions on, part by part, counted by callgrind: the same on a busy machine.
//!
//! `cargo run --release --bin parts -- calm`, or `swarm`, `long` (two seeds of 10,000 requests), `broadcast` (the engine alone); needs
//! valgrind.

use std::collections::BTreeMap;
use std::process::Command;

use vsr_sim::scenario::draw::Overrides;
use vsr_sim_bench::by_us;
use vsr_sim_bench::clusters::{Shape, run, sweep};

/// Where a line of code belongs, by a piece of its file's path; the first that fits.
const PARTS: [(&str, &str); 22] = [
    ("engine/queue.rs", "queue"),
    ("engine/network.rs", "network"),
    ("engine/recent.rs", "network"),
    ("engine/decided.rs", "network"),
    ("engine/slab.rs", "network"),
    ("engine/random.rs", "network"),
    ("engine/trace.rs", "trace hash"),
    ("engine/disk/", "disks"),
    ("vsr-sim/src/engine/", "world"),
    ("engine/time.rs", "world"),
    ("vsr-sim/src/oracles/", "oracles"),
    ("cluster/monitor.rs", "oracles"),
    ("vsr-sim/src/cluster/", "clients, service, glue"),
    ("vsr-sim/src/faults/", "faults and scenario"),
    ("vsr-sim/src/scenario/", "faults and scenario"),
    ("linearizability/", "linearizability check"),
    ("vsr-core/src/", "replicas"),
    ("xxhash", "hashing (checksums, trace, fates)"),
    ("malloc", "allocator"),
    ("mem", "copying and clearing"),
    ("library/", "standard library"),
    ("", "other"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("calm", String::as_str);
    if arguments.get(1).is_some_and(|word| word == "bare") {
        println!("{} messages", messages_of(what));
        return;
    }
    let file = std::env::temp_dir().join(format!("vsr-sim-parts-{}.out", std::process::id()));
    let own = std::env::current_exe().expect("a path of its own");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(own)
        .args([what, "bare"])
        .output()
        .expect("valgrind is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages: u64 = told.split(' ').next().and_then(|word| word.parse().ok()).expect("a count");
    let text = std::fs::read_to_string(&file).expect("callgrind wrote it");
    std::fs::remove_file(&file).expect("it was there");
    let parts = parts_of(&text);
    let all: u64 = parts.values().sum();
    let mut parts: Vec<_> = parts.into_iter().collect();
    parts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    println!("{what}: {messages} messages, {all} instructions, {} a message", all / messages);
    for (part, count) in parts {
        println!(
            "{part:36} {:>8} a message {:>4} in a hundred",
            count / messages,
            count * 100 / all
        );
    }
}

/// Runs one of them, and answers how many packets were handed to the network.
fn messages_of(what: &str) -> u64 {
    let long = Overrides { requests: Some(10_000), ..Overrides::default() };
    match what {
        "calm" => run(&Shape { requests: 5_000, ..Shape::default() }.scenario()).messages,
        "swarm" => sweep(0..40, &Overrides::default()).messages,
        "long" => sweep(0..2, &long).messages,
        "broadcast" => by_us(10_000).messages,
        other => panic!("{other}: there are broadcast, calm, swarm and long"),
    }
}

/// Sums up the cost of each line by the file it is from; calls are not counted again where they are made.
fn parts_of(text: &str) -> BTreeMap<&'static str, u64> {
    let mut parts = BTreeMap::new();
    let (mut function, mut part) = ("other", "other");
    let mut is_call = false;
    let part_of = |path: &str| {
        let found = PARTS.iter().find(|(piece, _)| path.contains(piece));
        found.map_or("other", |(_, part)| *part)
    };
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("fl=") {
            function = part_of(path);
            part = function;
        } else if let Some(path) = line.strip_prefix("fi=").or_else(|| line.strip_prefix("fe=")) {
            // What is inlined from the standard library is the work of whoever calls it.
            part = if path.contains("library/") { function } else { part_of(path) };
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let cost = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
            if !std::mem::take(&mut is_call) {
                *parts.entry(part).or_insert(0_u64) += cost;
            }
        }
    }
    parts
}
