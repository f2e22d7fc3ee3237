//! Plants each bug of `tests/planted` in turn, and measures how many seeds the simulator needs to find it.
//!
//! ```text
//! cargo run --release -p vsr-tests --bin planted -- --only N-15,V-01 --seeds 5000 --ranges 3
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clap::Parser;
use vsr_tests::planted::{
    Build, Hunt, Patch, Probe, Sweep, TALE_COLUMNS, Tale, WITNESS_COLUMNS, Workshop, try_witnesses,
    workspace,
};

/// Plants bugs in the replica, and measures how soon the simulator finds them.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these, such as N-15,V-01; all of them if left out.
    #[arg(long, value_name = "ID,..", value_delimiter = ',')]
    only: Vec<String>,
    /// How many seeds each range has.
    #[arg(long, default_value_t = 5_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    seeds: u64,
    /// How many disjoint ranges each bug is looked for in.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    ranges: u64,
    /// Where the first range begins.
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    from: u64,
    /// What may go wrong in the runs, as `vsr-sim sweep --profile` takes it: bugs of storage need harsh-disk.
    #[arg(long, default_value = "swarm", value_name = "WHAT")]
    profile: String,
    /// How many bugs are looked for at once; each sweep has one core.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    jobs: u32,
    /// How many seconds a range may take.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    budget: u64,
    /// Shrink the first failure of each bug, for so long at most, such as 60s; and try the result with the bug and without.
    #[arg(long, value_name = "SPAN")]
    shrink: Option<String>,
    /// Do not sweep: run the stories that are to fail with each bug, with it and without.
    #[arg(long, conflicts_with_all = ["seeds", "ranges", "from", "budget", "shrink", "patches", "profile"])]
    stories: bool,
    /// Where to write the table; to stdout if left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where builds are kept; in the workspace's `target/planted` if left out.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Where the patches are; in the workspace's `tests/planted` if left out.
    #[arg(long, value_name = "DIR")]
    patches: Option<PathBuf>,
}

/// What became of one bug.
struct Row {
    patch: Patch,
    result: Result<Hunted, String>,
}

/// What the ranges came to.
struct Hunted {
    sweeps: Vec<Sweep>,
    /// Only where a range ended without a find.
    probe: Option<Probe>,
    /// What became of the first failure, where that was asked for.
    tale: Option<Tale>,
}

impl Hunted {
    /// Whether it was found in every range, and the first find came back as it should.
    fn is_good(&self) -> bool {
        self.sweeps.iter().all(|sweep| sweep.found.is_some())
            && self.tale.as_ref().is_none_or(Tale::is_good)
    }

    fn properties(&self) -> String {
        let found = self.sweeps.iter().filter_map(|sweep| sweep.found.as_ref());
        let properties: BTreeSet<&str> = found.map(|found| found.property.as_str()).collect();
        let mut text: Vec<String> = properties.into_iter().map(str::to_owned).collect();
        if let Some(probe) = self.probe {
            let Probe { seeds, differing } = probe;
            text.push(format!("UNDETECTED, though {differing} of {seeds} runs differ"));
        }
        text.join("; ")
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.stories { try_stories(&arguments) } else { hunt_and_judge(&arguments) };
    let (table, is_good) = match done {
        Ok(done) => done,
        Err(error) => {
            say(&format!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let written = match &arguments.out {
        Some(path) => fs::write(path, &table),
        None => io::stdout().write_all(table.as_bytes()),
    };
    if let Err(error) = written {
        say(&format!("error: {error}"));
        return ExitCode::FAILURE;
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The table, and whether every story failed with its bugs.
fn try_stories(arguments: &Arguments) -> Result<(String, bool), Box<dyn std::error::Error>> {
    let workshop = Workshop::new(&folder_of(arguments))?;
    let mut table = format!("{WITNESS_COLUMNS}\n");
    let is_good = try_witnesses(&workshop, &arguments.only, |witness| {
        say(&witness.to_string());
        writeln!(table, "{witness}").expect("into memory");
    })?;
    Ok((table, is_good))
}

/// The table, and whether every bug was found in every range.
fn hunt_and_judge(arguments: &Arguments) -> Result<(String, bool), Box<dyn std::error::Error>> {
    let rows = hunt_all(arguments)?;
    let is_good = |row: &Row| row.result.as_ref().is_ok_and(Hunted::is_good);
    Ok((table(arguments, &rows), rows.iter().all(is_good)))
}

fn folder_of(arguments: &Arguments) -> PathBuf {
    arguments.folder.clone().unwrap_or_else(|| workspace().join("target/planted"))
}

fn hunt_all(arguments: &Arguments) -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let patches = arguments.patches.clone().unwrap_or_else(|| workspace().join("tests/planted"));
    let patches = Patch::only(&patches, &arguments.only)?;
    say("building the command as it is");
    let workshop = Workshop::new(&folder_of(arguments))?;
    let clean = workshop.clean()?;
    let mut builds = Vec::new();
    for patch in patches {
        say(&format!("building it with {} {}", patch.id, patch.name));
        let build = workshop.with(&patch);
        builds.push((patch, build));
    }
    let (next, all) = (AtomicUsize::new(0), builds.len());
    let work = || {
        let mut rows = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some((patch, build)) = builds.get(place) else { return rows };
            let result = match build {
                Ok(planted) => hunt(arguments, &clean, planted),
                Err(error) => Err(error.to_string()),
            };
            let row = Row { patch: patch.clone(), result };
            say(&format!("{} of {all}  {}", place + 1, line(&row)));
            rows.push((place, row));
        }
    };
    let mut rows = Vec::new();
    thread::scope(|scope| {
        let mut workers = Vec::new();
        workers.resize_with(arguments.jobs as usize, || scope.spawn(work));
        for worker in workers {
            rows.extend(worker.join().unwrap_or_default());
        }
    });
    rows.sort_by_key(|(place, _)| *place);
    if rows.len() < all {
        return Err("a worker panicked".into());
    }
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn hunt(arguments: &Arguments, clean: &Build, planted: &Build) -> Result<Hunted, String> {
    let out = planted.command.with_file_name("artefacts");
    let budget_ns = arguments.budget.saturating_mul(1_000_000_000);
    let hunt = Hunt {
        clean: clean.clone(),
        planted: planted.clone(),
        out,
        profile: arguments.profile.clone(),
        budget_ns,
    };
    let mut hunted = Hunted { sweeps: Vec::new(), probe: None, tale: None };
    for range in 0..arguments.ranges {
        let start = arguments.from + range * arguments.seeds;
        let seeds = start..start + arguments.seeds;
        let sweep = hunt.sweep(seeds.clone()).map_err(|error| error.to_string())?;
        if sweep.found.is_none() && hunted.probe.is_none() {
            hunted.probe = Some(hunt.probe(seeds).map_err(|error| error.to_string())?);
        }
        if let (Some(found), Some(budget), None) = (&sweep.found, &arguments.shrink, &hunted.tale) {
            let tale = hunt.tale(start, found, budget).map_err(|error| error.to_string())?;
            hunted.tale = Some(tale);
        }
        hunted.sweeps.push(sweep);
    }
    Ok(hunted)
}

fn table(arguments: &Arguments, rows: &[Row]) -> String {
    let mut table = String::from("| id | planted bug |");
    for range in 0..arguments.ranges {
        let start = arguments.from + range * arguments.seeds;
        write!(table, " seeds {start}..{} |", start + arguments.seeds).expect("into memory");
    }
    table.push_str(" fired |");
    if arguments.shrink.is_some() {
        write!(table, " {TALE_COLUMNS} |").expect("into memory");
    }
    let columns = table.matches('|').count() - 1;
    table.push_str("\n|");
    for _ in 0..columns {
        table.push_str("---|");
    }
    table.push('\n');
    for row in rows {
        table.push_str(&line(row));
        table.push('\n');
    }
    table
}

fn line(row: &Row) -> String {
    let Patch { id, name, .. } = &row.patch;
    match &row.result {
        Ok(hunted) => {
            let cells: Vec<String> = hunted.sweeps.iter().map(Sweep::to_string).collect();
            let tale = hunted.tale.as_ref().map(|tale| format!(" {tale} |")).unwrap_or_default();
            format!("| {id} | {name} | {} | {} |{tale}", cells.join(" | "), hunted.properties())
        }
        Err(error) => format!("| {id} | {name} | ERROR: {} |", error.replace('\n', " ")),
    }
}

fn say(text: &str) {
    // If nobody can hear it, the table still counts.
    writeln!(io::stderr(), "{text}").ok();
}
