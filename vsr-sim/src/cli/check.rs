//! `vsr-sim check`: a recorded history from anywhere, and whether it is linearizable.

mod timeline;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use linearizability::read::{self, ReadError, ReadErrorKind, ReadOptions, Recording, Vocabulary};
use linearizability::{
    Budget, Evidence, Exhausted, History, KeyValue, KeyValueInput, KeyValueOutput, Model as _,
    Options, Verdict, check_with,
};
use serde::Serialize;

use super::{CliError, Format, print, print_record, stopwatch};
use crate::report::json::FORMAT;
use crate::report::text;

/// Exit codes.
const LINEARIZABLE: u8 = 0;
const NOT_LINEARIZABLE: u8 = 11;
const UNKNOWN: u8 = 20;

/// The history, and what to judge it by.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The history; `-` reads from stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the clients talked to.
    #[arg(long, value_name = "MODEL", default_value = "kv")]
    model: ModelName,
    /// How the history is written down.
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    input_format: InputFormat,
    /// What every key starts with, instead of what the format says (nothing, or 0 for registers in EDN).
    #[arg(long, value_name = "VALUE")]
    initial: Option<String>,
    /// What to spend, several times if need be: steps for each key (1000000), time (60s, 5m), or memory (512MiB).
    #[arg(long, value_name = "AMOUNT", value_parser = parse_amount)]
    budget: Vec<Amount>,
    /// How many threads share the keys; the answer does not depend on it. All cores, if it is not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// For whom the output is.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// What the clients talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModelName {
    /// A key-value store: get, put, append, delete, cas.
    Kv,
    /// A register: read, write.
    Register,
    /// A register: read, write, cas.
    CasRegister,
}

/// How a history is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// One operation a line, as JSON.
    Jsonl,
    /// Either of the formats of Porcupine's test data.
    Porcupine,
    /// Jepsen's and Knossos' histories.
    Edn,
}

/// A part of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    Steps(u64),
    Seconds(u64),
    Bytes(usize),
}

fn parse_amount(text: &str) -> Result<Amount, String> {
    let words = "an amount is steps (1000000), time (60s, 5m, 1h) or memory (512MiB, 2GiB)";
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().map_err(|_| words.to_owned())?;
    let scaled = |scale: u64| number.checked_mul(scale).ok_or_else(|| words.to_owned());
    let bytes =
        |scale| scaled(scale).and_then(|n| usize::try_from(n).map_err(|_| words.to_owned()));
    Ok(match &text[end..] {
        "" => Amount::Steps(number),
        "s" => Amount::Seconds(number),
        "m" => Amount::Seconds(scaled(60)?),
        "h" => Amount::Seconds(scaled(3_600)?),
        "MiB" => Amount::Bytes(bytes(1 << 20)?),
        "GiB" => Amount::Bytes(bytes(1 << 30)?),
        _ => return Err(words.to_owned()),
    })
}

/// The budget, in one piece.
#[derive(Debug)]
struct Limits {
    steps: u64,
    bytes: usize,
    seconds: Option<u64>,
}

impl Limits {
    fn of(amounts: &[Amount]) -> Self {
        let default = Budget::default();
        let mut limits = Self { steps: default.steps, bytes: 2 << 30, seconds: None };
        for amount in amounts {
            match *amount {
                Amount::Steps(steps) => limits.steps = steps,
                Amount::Seconds(seconds) => limits.seconds = Some(seconds),
                Amount::Bytes(bytes) => limits.bytes = bytes,
            }
        }
        limits
    }
}

/// Runs the command; returns its exit code.
pub(super) fn run(args: &CheckArgs) -> Result<u8, CliError> {
    let limits = Limits::of(&args.budget);
    let options = ReadOptions {
        vocabulary: match args.model {
            ModelName::Kv => Vocabulary::KeyValue,
            ModelName::Register => Vocabulary::Register,
            ModelName::CasRegister => Vocabulary::CasRegister,
        },
        initial: args.initial.clone(),
        bytes_max: limits.bytes,
        ..ReadOptions::default()
    };
    let recording = match load(args, &options) {
        Ok(recording) => recording,
        Err(ReadError { line, kind: ReadErrorKind::TooLarge { limit } }) => {
            return give_up(args, line, limit);
        }
        Err(error) => return Err(refusal(args, &error)),
    };
    let (model, history) = recording.into_parts();
    let clock = stopwatch();
    let deadline = limits.seconds.map(|seconds| seconds.saturating_mul(1_000_000_000));
    let stop = || deadline.is_some_and(|deadline| clock() >= deadline);
    let budget = Budget { steps: limits.steps, bytes: limits.bytes, stop: Some(&stop) };
    let threads = args.jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        usize::from,
    );
    let options = Options { budget, threads, ..Options::default() };
    let verdict = check_with(&model, &history, &options);
    let case = Case { args, model: &model, history: &history, wall_ns: clock() };
    match args.format {
        Format::Human => print(&case.text(&verdict))?,
        Format::Json => print_record(&case.record(&verdict))?,
    }
    Ok(exit_code(&verdict))
}

const fn exit_code(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Linearizable(_) => LINEARIZABLE,
        Verdict::NotLinearizable(_) => NOT_LINEARIZABLE,
        Verdict::Unknown(_) => UNKNOWN,
    }
}

fn load(args: &CheckArgs, options: &ReadOptions) -> Result<Recording, ReadError> {
    let read = |reader: &mut dyn io::BufRead| match args.input_format {
        InputFormat::Jsonl => read::jsonl(reader, options),
        InputFormat::Porcupine => read::porcupine(reader, options),
        InputFormat::Edn => read::edn(reader, options),
    };
    if args.file.as_os_str() == "-" {
        return read(&mut io::stdin().lock());
    }
    let open = |error: io::Error| ReadError { line: 0, kind: error.into() };
    read(&mut BufReader::with_capacity(1 << 16, File::open(&args.file).map_err(open)?))
}

/// What to tell somebody whose history cannot be read.
fn refusal(args: &CheckArgs, error: &ReadError) -> CliError {
    let file = text::path(&args.file);
    match &error.kind {
        ReadErrorKind::Io(cause) => {
            let words = format!("{file}: {cause}");
            let is_usage =
                [io::ErrorKind::NotFound, io::ErrorKind::IsADirectory].contains(&cause.kind());
            if is_usage { CliError::Usage(words) } else { CliError::Internal(words) }
        }
        ReadErrorKind::Empty
        | ReadErrorKind::LineTooLong { .. }
        | ReadErrorKind::TooLarge { .. }
        | ReadErrorKind::Syntax(_)
        | ReadErrorKind::UnknownFunction(_)
        | ReadErrorKind::History(_) => CliError::Usage(format!("{file}: {error}")),
    }
}

/// A history that does not fit into the memory that it may take.
fn give_up(args: &CheckArgs, line: u64, limit: usize) -> Result<u8, CliError> {
    let file = text::path(&args.file);
    match args.format {
        Format::Human => print(&format!(
            "UNKNOWN  {file}\n\n  the history takes more than {limit} bytes at line {line}; nothing was explored\n"
        ))?,
        Format::Json => print_record(&Record {
            format: FORMAT,
            kind: "check",
            verdict: "unknown",
            exit_code: UNKNOWN,
            operations: 0,
            partitions: 0,
            wall_ns: 0,
            evidence: None,
            exhausted: Some(ExhaustedRecord {
                resource: "memory".to_owned(),
                steps: 0,
                partitions_decided: 0,
                placed: 0,
                placed_of: 0,
            }),
        })?,
    }
    Ok(UNKNOWN)
}

/// A history that was judged.
struct Case<'a> {
    args: &'a CheckArgs,
    model: &'a KeyValue,
    history: &'a History<KeyValueInput, KeyValueOutput>,
    wall_ns: u64,
}

/// The result of a check.
#[derive(Debug, Serialize)]
struct Record {
    format: u32,
    kind: &'static str,
    verdict: &'static str,
    exit_code: u8,
    operations: usize,
    partitions: usize,
    wall_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exhausted: Option<ExhaustedRecord>,
}

/// Why a history is not linearizable.
#[derive(Debug, Serialize)]
struct EvidenceRecord {
    reason: String,
    key: String,
    minimal: bool,
    unplaced: OperationRecord,
    operations: Vec<OperationRecord>,
    /// Lines of the operations of the longest order before the contradiction.
    longest: Vec<u64>,
}

/// An operation, and the line on which it begins.
#[derive(Debug, Serialize)]
struct OperationRecord {
    line: u64,
    process: u64,
    call: i64,
    #[serde(rename = "return", skip_serializing_if = "Option::is_none")]
    returned: Option<i64>,
    words: String,
}

/// What ran out, and how far the check had come.
#[derive(Debug, Serialize)]
struct ExhaustedRecord {
    resource: String,
    steps: u64,
    partitions_decided: usize,
    placed: usize,
    placed_of: usize,
}

impl Case<'_> {
    fn partitions(&self) -> usize {
        let keys: BTreeSet<_> =
            self.history.operations().iter().map(|operation| operation.input.key).collect();
        keys.len()
    }

    fn describe(&self, index: usize) -> OperationRecord {
        let operation = &self.history.operations()[index];
        OperationRecord {
            line: operation.id,
            process: operation.process,
            call: operation.call,
            returned: operation.completion.as_ref().map(|completion| completion.at),
            words: self.model.describe(&operation.input, operation.output()),
        }
    }

    fn key(&self, evidence: &Evidence) -> String {
        let key = self.history.operations()[evidence.unplaced].input.key;
        if self.model.symbols().bytes(key).is_empty() {
            return "the register".to_owned();
        }
        format!("key {}", self.model.symbols().text(key))
    }

    fn record(&self, verdict: &Verdict) -> Record {
        let (words, evidence, exhausted) = match verdict {
            Verdict::Linearizable(_) => ("linearizable", None, None),
            Verdict::NotLinearizable(evidence) => {
                ("not-linearizable", Some(self.evidence_record(evidence)), None)
            }
            Verdict::Unknown(exhausted) => ("unknown", None, Some(exhausted_record(exhausted))),
        };
        Record {
            format: FORMAT,
            kind: "check",
            verdict: words,
            exit_code: exit_code(verdict),
            operations: self.history.len(),
            partitions: self.partitions(),
            wall_ns: self.wall_ns,
            evidence,
            exhausted,
        }
    }

    fn evidence_record(&self, evidence: &Evidence) -> EvidenceRecord {
        let operations = self.history.operations();
        EvidenceRecord {
            reason: evidence.reason.clone(),
            key: self.key(evidence),
            minimal: evidence.minimal,
            unplaced: self.describe(evidence.unplaced),
            operations: evidence.operations.iter().map(|&index| self.describe(index)).collect(),
            longest: evidence.longest.iter().map(|&index| operations[index].id).collect(),
        }
    }

    fn text(&self, verdict: &Verdict) -> String {
        let file = text::path(&self.args.file);
        let (count, keys) = (self.history.len(), self.partitions());
        let counts = format!(
            "{count} operation{} on {keys} key{}, checked in {}",
            if count == 1 { "" } else { "s" },
            if keys == 1 { "" } else { "s" },
            text::wall(self.wall_ns)
        );
        match verdict {
            Verdict::Linearizable(_) => format!("PASS  linearizable  {file}\n\n  {counts}\n"),
            Verdict::NotLinearizable(evidence) => self.evidence_text(evidence, &file, &counts),
            Verdict::Unknown(exhausted) => {
                format!("UNKNOWN  {file}\n\n  {exhausted}\n  {counts}\n")
            }
        }
    }

    fn evidence_text(&self, evidence: &Evidence, file: &str, counts: &str) -> String {
        let mut text = format!(
            "FAIL  not linearizable  {file}  {}\n\n  {}\n\n",
            self.key(evidence),
            evidence.reason
        );
        let minimal = if evidence.minimal { "the least" } else { "not all of it needed, perhaps" };
        let count = evidence.operations.len();
        writeln!(text, "  What contradicts itself ({minimal}; {count} operations)").ok();
        let mut shown: Vec<OperationRecord> =
            evidence.operations.iter().map(|&index| self.describe(index)).collect();
        shown.sort_by_key(|operation| operation.call);
        let unplaced = self.describe(evidence.unplaced);
        text.push_str(&timeline::draw(&shown, unplaced.line));
        writeln!(
            text,
            "\n  The first operation that fits nowhere\n    line {}  {} by process {}",
            unplaced.line, unplaced.words, unplaced.process
        )
        .ok();
        let longest = &evidence.longest;
        writeln!(
            text,
            "\n  Before it, an order explains {} operations{}",
            longest.len(),
            if longest.is_empty() { "" } else { "; it ends with" }
        )
        .ok();
        for &index in &longest[longest.len().saturating_sub(LAST_SHOWN)..] {
            let operation = self.describe(index);
            writeln!(text, "    line {}  {}", operation.line, operation.words).ok();
        }
        writeln!(text, "\n  {counts}").ok();
        text
    }
}

/// How many operations of the longest order are shown.
const LAST_SHOWN: usize = 8;

fn exhausted_record(exhausted: &Exhausted) -> ExhaustedRecord {
    ExhaustedRecord {
        resource: exhausted.resource.to_string(),
        steps: exhausted.steps,
        partitions_decided: exhausted.partitions_decided,
        placed: exhausted.placed.0,
        placed_of: exhausted.placed.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_has_units() {
        assert_eq!(parse_amount("1000"), Ok(Amount::Steps(1_000)));
        assert_eq!(parse_amount("60s"), Ok(Amount::Seconds(60)));
        assert_eq!(parse_amount("5m"), Ok(Amount::Seconds(300)));
        assert_eq!(parse_amount("2GiB"), Ok(Amount::Bytes(2 << 30)));
        for text in ["", "s", "-1", "1.5s", "60 s", "99999999999999999999", "18446744073709551615h"]
        {
            assert!(parse_amount(text).is_err(), "{text}");
        }
    }
}
