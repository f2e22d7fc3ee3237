//! Verdicts for people: the verdict first, what contradicts what, what led there, and commands that can be copied.

use std::fmt::Write as _;
use std::path::Path;

use super::json::signature;
use super::summary::{Regressions, Summary, Unmet};
use crate::cluster::words::{self, count, time};
use crate::engine::time::{Span, Time};
use crate::faults::Fault;
use crate::oracles::{Exposure, Moment};
use crate::scenario::outcome::{FaultCounts, Finding, Outcome, Verdict};

/// A span of wall time, in the unit that suits it.
#[must_use]
pub fn wall(ns: u64) -> String {
    match ns {
        0..10_000_000 => format!("{}.{:02} ms", ns / 1_000_000, ns % 1_000_000 / 10_000),
        10_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        1_000_000_000..60_000_000_000 => {
            format!("{}.{} s", ns / 1_000_000_000, ns % 1_000_000_000 / 100_000_000)
        }
        _ => format!("{}m {:02}s", ns / 60_000_000_000, ns % 60_000_000_000 / 1_000_000_000),
    }
}

/// A span of virtual time, however long.
fn virtual_time(ns: u128) -> String {
    let seconds = ns / 1_000_000_000;
    let (days, hours) = (seconds / 86_400, seconds % 86_400 / 3_600);
    let (minutes, rest) = (seconds % 3_600 / 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}.{:03} s", ns % 1_000_000_000 / 1_000_000),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A span of virtual time: to the millisecond, or to the microsecond where it is short.
fn seconds(span: Span) -> String {
    let us = span.as_ns() / 1_000;
    if us < 100_000 {
        return format!("{}.{:06} s", us / 1_000_000, us % 1_000_000);
    }
    format!("{}.{:03} s", us / 1_000_000, us % 1_000_000 / 1_000)
}

/// The summary of a run that passed.
fn passed(outcome: &Outcome, wall_ns: u64) -> String {
    let mut text = String::new();
    let counters = &outcome.counters;
    let dropped: u64 = counters.dropped.iter().sum();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!(
        "PASS  seed {}  after {} of virtual time, {} events, in {}",
        outcome.seed.number(),
        seconds(outcome.virtual_time),
        count(counters.events),
        wall(wall_ns)
    ));
    line(String::new());
    line(format!("  cluster    {} replicas, {} clients", outcome.replicas, outcome.clients));
    line(format!("  requests   {} answered, history linearizable", count(outcome.requests)));
    line(format!(
        "  messages   {} sent, {} dropped, {} duplicated",
        count(counters.sent),
        count(dropped),
        count(counters.duplicated)
    ));
    line(format!("  faults     {}", fault_counts(&outcome.faults)));
    let crashes = outcome.exposure.of(Moment::Crash);
    if crashes > 0 {
        line(format!(
            "  crashes    {} of replicas, {} at work, {} with a write in flight; {} writes torn",
            count(crashes),
            count(outcome.exposure.of(Moment::CrashAtWork)),
            count(outcome.exposure.of(Moment::CrashWithWriteInFlight)),
            count(outcome.exposure.of(Moment::WriteTorn))
        ));
    }
    line(format!("  views      {} view changes", count(outcome.view_changes)));
    line(format!("  trace      {:032x}", outcome.trace_hash));
    text
}

/// Faults by name, those that were done.
fn fault_counts(faults: &FaultCounts) -> String {
    let done: Vec<String> = Fault::NAMES
        .iter()
        .zip(faults)
        .filter(|(_, times)| **times > 0)
        .map(|(name, times)| format!("{name} {}", count(*times)))
        .collect();
    if done.is_empty() { "none: a calm seed".to_owned() } else { done.join(" · ") }
}

/// Moments by name, those that were met.
fn moment_counts(exposure: &Exposure) -> Vec<String> {
    exposure
        .iter()
        .filter(|(_, times)| *times > 0)
        .map(|(moment, times)| format!("{} {}", moment.name(), count(times)))
        .collect()
}

/// What led to a failure and how to come back to it.
#[derive(Clone, Debug, Default)]
pub struct Aftermath {
    /// The events that turned the run, oldest first.
    pub story: Vec<String>,
    /// The command that runs the seed again, complete.
    pub by_seed: Option<String>,
    /// What of it was kept.
    pub kept: Option<Kept>,
}

/// Where a failure was kept, as it is typed on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What is replayed and shrunk: a folder, or a file.
    pub replay: String,
    /// The file with the scenario.
    pub scenario: String,
}

/// The text of one run.
#[must_use]
pub fn run(outcome: &Outcome, wall_ns: u64, aftermath: &Aftermath) -> String {
    match &outcome.verdict {
        Verdict::Pass => passed(outcome, wall_ns),
        Verdict::Unknown(what) => {
            let mut text =
                format!("UNKNOWN  seed {}  a budget ran out: {what}\n", outcome.seed.number());
            push_commands(&mut text, aftermath);
            text
        }
        Verdict::Fail(finding) => {
            let mut text = format!(
                "FAIL  seed {}  {}  after {} of virtual time, {} events\n",
                outcome.seed.number(),
                finding.property,
                seconds(finding.at.since(Time::ZERO)),
                count(outcome.counters.events)
            );
            push_finding(&mut text, finding, outcome.replicas, &aftermath.story);
            push_commands(&mut text, aftermath);
            text
        }
    }
}

fn push_finding(text: &mut String, finding: &Finding, replicas: u8, story: &[String]) {
    text.push('\n');
    for line in words::with_client_names(&finding.message, replicas).lines() {
        if !line.is_empty() {
            text.push_str("  ");
            text.push_str(line);
        }
        text.push('\n');
    }
    if !story.is_empty() {
        text.push_str("\n  What led here\n");
        for line in story {
            text.push_str("  ");
            text.push_str(line);
            text.push('\n');
        }
        let at = time(finding.at);
        // Writing to a string never fails.
        writeln!(text, "  {at:>12}  {} is violated", finding.property).ok();
    }
}

fn push_commands(text: &mut String, aftermath: &Aftermath) {
    text.push('\n');
    if let Some(command) = &aftermath.by_seed {
        // Writing to a string never fails.
        writeln!(text, "  by seed     {command}").ok();
    }
    let Some(Kept { replay, scenario }) = &aftermath.kept else { return };
    for (label, command) in [
        ("reproduce", format!("{COMMAND} replay {replay}")),
        ("look", format!("{COMMAND} replay {replay} --trace grid")),
        ("shrink", format!("{COMMAND} shrink {replay}")),
        ("keep", format!("cp {scenario} scenarios/regressions/<name>.json")),
    ] {
        // Writing to a string never fails.
        writeln!(text, "  {label:<11} {command}").ok();
    }
}

/// How this program is called from the root of the repository.
pub const COMMAND: &str = "cargo run --release -p vsr-sim --";

/// A regression that did not come out as its file says.
#[must_use]
pub fn unmet(unmet: &Unmet) -> String {
    let Unmet { path, expected, found, .. } = unmet;
    let replay = argument(Path::new(path));
    format!(
        "FAIL  regression {path}\n\n  expected    {expected}\n  found       {found}\n\n  \
         reproduce   {COMMAND} replay {replay}\n\n"
    )
}

/// The moments that were met, and those that were not.
fn push_exposure(text: &mut String, exposure: &Exposure) {
    for (place, moments) in moment_counts(exposure).chunks(4).enumerate() {
        let label = if place == 0 { "met" } else { "" };
        // Writing to a string never fails.
        writeln!(text, "  {label:<15}{}", moments.join(" · ")).ok();
    }
    let never = exposure.iter().filter(|(_, times)| *times == 0);
    let never: Vec<&str> = never.map(|(moment, _)| moment.name()).collect();
    if !never.is_empty() {
        // Writing to a string never fails.
        writeln!(text, "  never met      {}", never.join(" · ")).ok();
    }
}

/// What else there is to say of a sweep.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// How long it took.
    pub wall_ns: u64,
    /// On how many threads.
    pub jobs: usize,
    /// What became of the regressions, if there are any.
    pub regressions: Option<&'a Regressions>,
    /// Whether it was ended before its time.
    pub is_interrupted: bool,
}

/// The text of a sweep: the verdict and the figures; failures are told one by one elsewhere.
#[must_use]
pub fn sweep(summary: &Summary, circumstances: &Circumstances<'_>) -> String {
    let Circumstances { wall_ns, jobs, regressions, is_interrupted } = *circumstances;
    let unmet = regressions.is_some_and(|regressions| !regressions.unmet.is_empty());
    let verdict = match (summary.failed, summary.unknown) {
        _ if unmet => "FAIL",
        (0, _) if is_interrupted => "INTERRUPTED",
        (0, 0) => "PASS",
        (0, _) => "UNKNOWN",
        _ => "FAIL",
    };
    let rate = u128::from(summary.seeds) * 1_000_000_000 / u128::from(wall_ns.max(1));
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!(
        "{verdict}  {} seeds in {} on {jobs} threads ({rate} seeds/s)",
        count(summary.seeds),
        wall(wall_ns)
    ));
    line(String::new());
    line(format!(
        "  virtual time   {}      requests   {}      view changes   {}",
        virtual_time(summary.virtual_ns),
        count(summary.requests),
        count(summary.view_changes)
    ));
    line(format!(
        "  messages       {}      events   {}",
        count(summary.messages),
        count(summary.events)
    ));
    line(format!(
        "  verdicts       {} passed, {} failed, {} unknown",
        count(summary.passed),
        count(summary.failed),
        count(summary.unknown)
    ));
    line(format!("  faults         {}", fault_counts(&summary.faults)));
    push_exposure(&mut text, &summary.exposure);
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    if let Some(regressions) = regressions {
        line(format!("  regressions    {}", regressions.words()));
    }
    if is_interrupted {
        line(
            "  interrupted    the seeds that were under way are finished; the rest was not begun"
                .to_owned(),
        );
    }
    if let Some((seed, ns)) = summary.slowest {
        line(format!("  slowest        seed {} {}", seed.number(), wall(ns)));
    }
    push_seeds(&mut text, summary);
    text
}

/// Seeds that did not pass, by what they have in common.
fn push_seeds(text: &mut String, summary: &Summary) {
    for (seed, what) in &summary.unknowns {
        // Writing to a string never fails.
        writeln!(text, "  unknown        seed {}: {what}", seed.number()).ok();
    }
    for (group, kept) in &summary.failures {
        let seeds: Vec<String> =
            kept.iter().map(|failure| failure.seed.number().to_string()).collect();
        // Writing to a string never fails.
        writeln!(
            text,
            "  failure        {} {}: {} seeds, such as {}",
            kept[0].finding.property,
            signature(*group),
            count(summary.failures_by_signature[group]),
            seeds.join(" ")
        )
        .ok();
    }
}

/// A path as it is typed: relative where it can be.
#[must_use]
pub fn path(path: &Path) -> String {
    path.display().to_string()
}

/// A path as a shell takes it for one word.
#[must_use]
pub fn argument(path: &Path) -> String {
    let text = self::path(path);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%,=".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Seed;
    use crate::engine::world::Counters;
    use crate::scenario::outcome::FindingKind;

    fn outcome(verdict: Verdict) -> Outcome {
        Outcome {
            seed: Seed::new(42),
            verdict,
            trace_hash: 1,
            counters: Counters { events: 31_204, ..Counters::default() },
            requests: 90,
            view_changes: 2,
            virtual_time: Span::from_ms(2_500),
            faults: FaultCounts::default(),
            unfired: Vec::new(),
            exposure: Exposure::default(),
            replicas: 5,
            clients: 2,
        }
    }

    /// The verdict first, both sides, what led there, and every command complete.
    #[test]
    fn a_failure_reads_from_the_verdict_to_the_commands() {
        let finding = Finding {
            kind: FindingKind::Safety,
            property: "agreement",
            place: "commit".to_owned(),
            message:
                "Two replicas differ.\n\nr1 commits op118\nc1000000000000f47383787a6b270a06 asked"
                    .to_owned(),
            at: Time::from_ns(1_847_000_000),
        };
        let aftermath = Aftermath {
            story: vec!["    1.201000s  r0 crashes".to_owned()],
            by_seed: Some("vsr-sim --seed 42".to_owned()),
            kept: Some(Kept { replay: "f".to_owned(), scenario: "f/s.json".to_owned() }),
        };
        let text = run(&outcome(Verdict::Fail(Box::new(finding))), 0, &aftermath);
        let expected = "\
FAIL  seed 42  agreement  after 1.847 s of virtual time, 31,204 events

  Two replicas differ.

  r1 commits op118
  c1 asked

  What led here
      1.201000s  r0 crashes
     1.847000s  agreement is violated

  by seed     vsr-sim --seed 42
  reproduce   cargo run --release -p vsr-sim -- replay f
  look        cargo run --release -p vsr-sim -- replay f --trace grid
  shrink      cargo run --release -p vsr-sim -- shrink f
  keep        cp f/s.json scenarios/regressions/<name>.json
";
        assert_eq!(text, expected);
    }

    #[test]
    fn unknown_is_never_told_as_a_pass() {
        let outcome = outcome(Verdict::Unknown("the log of r0 is full".to_owned()));
        let text = run(&outcome, 0, &Aftermath::default());
        assert!(text.starts_with("UNKNOWN  seed 42  a budget ran out: the log of r0 is full\n"));
        let mut summary = Summary::default();
        summary.add(&outcome, 1);
        let mut circumstances = Circumstances { wall_ns: 1_000, jobs: 1, ..Default::default() };
        let text = sweep(&summary, &circumstances);
        assert!(text.starts_with("UNKNOWN  1 seeds"), "{text}");
        assert!(text.contains("seed 42: the log of r0 is full"), "{text}");
        circumstances.is_interrupted = true;
        let text = sweep(&Summary::default(), &circumstances);
        assert!(text.starts_with("INTERRUPTED  0 seeds"), "{text}");
        let unmet = Regressions { replayed: 1, unmet: vec![Unmet::default()] };
        circumstances.regressions = Some(&unmet);
        let text = sweep(&Summary::default(), &circumstances);
        assert!(text.starts_with("FAIL  0 seeds"), "{text}");
    }

    #[test]
    fn a_path_in_a_command_is_one_word() {
        for (path, word) in [
            ("target/vsr-sim/runs/a-1", "target/vsr-sim/runs/a-1"),
            ("my runs/a", "'my runs/a'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
        ] {
            assert_eq!(argument(Path::new(path)), word);
        }
        // A command that loses half of its path reproduces nothing.
    }
}
