//! Records for programs: one JSON object a line, each with a format version and a kind.

use std::collections::BTreeMap;

use serde::Serialize;

use super::summary::{Regressions, Summary};
use crate::faults::Fault;
use crate::scenario::outcome::{FindingKind, Outcome, Verdict};

/// The version of the records. Fields are added within a version, never changed.
pub const FORMAT: u32 = 1;

/// The result of one run.
#[derive(Debug, Serialize)]
pub struct RunRecord {
    format: u32,
    kind: &'static str,
    seed: u64,
    verdict: &'static str,
    exit_code: u8,
    trace_hash: String,
    events: u64,
    messages: u64,
    requests: u64,
    virtual_ns: u64,
    wall_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    property: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<String>,
    #[serde(flatten)]
    replay: Option<ReplayFields>,
}

/// What the record of a replay says besides that of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReplayFields {
    /// Whether the run came out as its scenario says.
    pub expected: bool,
    /// Whether it is the recorded one, event for event; nothing where there is no recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<bool>,
    /// The number of the first event that differs from the recorded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diverged_at_event: Option<u64>,
    /// When it happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diverged_at_ns: Option<u64>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diverged_at: Option<String>,
}

/// A failing seed of a sweep.
#[derive(Debug, Serialize)]
pub struct FailureRecord {
    seed: u64,
    property: &'static str,
    signature: String,
}

/// The result of a sweep.
#[derive(Debug, Serialize)]
pub struct SweepRecord {
    format: u32,
    kind: &'static str,
    seeds: u64,
    passed: u64,
    failed: u64,
    unknown: u64,
    exit_code: u8,
    wall_ns: u64,
    events: u64,
    messages: u64,
    requests: u64,
    view_changes: u64,
    seeds_of_three: u64,
    failures: Vec<FailureRecord>,
    regressions: u64,
    regressions_unmet: Vec<String>,
    interrupted: bool,
    faults: BTreeMap<&'static str, u64>,
    exposure: BTreeMap<&'static str, u64>,
}

/// Something that a command notes down while it is under way.
#[derive(Debug, Serialize)]
pub struct EventRecord {
    format: u32,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    property: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<u64>,
}

impl EventRecord {
    const fn new(kind: &'static str) -> Self {
        Self {
            format: FORMAT,
            kind,
            seed: None,
            property: None,
            signature: None,
            message: None,
            done: None,
        }
    }

    /// A command has begun, in words.
    #[must_use]
    pub fn begun(words: String) -> Self {
        Self { message: Some(words), ..Self::new("begun") }
    }

    /// So many seeds are done.
    #[must_use]
    pub const fn progress(done: u64) -> Self {
        let mut record = Self::new("progress");
        record.done = Some(done);
        record
    }

    /// A seed failed, or came to no verdict; nothing, if it passed.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Option<Self> {
        let seed = Some(outcome.seed.number());
        match &outcome.verdict {
            Verdict::Pass => None,
            Verdict::Unknown(what) => {
                Some(Self { seed, message: Some(what.clone()), ..Self::new("unknown") })
            }
            Verdict::Fail(finding) => Some(Self {
                seed,
                property: Some(finding.property),
                signature: Some(signature(finding.signature())),
                message: Some(finding.message.clone()),
                ..Self::new("failure")
            }),
        }
    }

    /// A regression did not come out as expected, in words.
    #[must_use]
    pub fn regression(words: String) -> Self {
        Self { message: Some(words), ..Self::new("regression") }
    }
}

/// The exit code of a finding.
#[must_use]
pub const fn exit_code_of(kind: FindingKind) -> u8 {
    match kind {
        FindingKind::Nondeterminism => 14,
        FindingKind::Safety => 10,
        FindingKind::NotLinearizable => 11,
        FindingKind::Panic => 13,
        FindingKind::NoProgress => 12,
    }
}

/// The exit code of a run's verdict.
#[must_use]
pub const fn exit_code_of_run(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Fail(finding) => exit_code_of(finding.kind),
        Verdict::Unknown(_) => 20,
    }
}

/// The exit code of a sweep: the gravest wins.
#[must_use]
pub fn exit_code_of_sweep(summary: &Summary) -> u8 {
    match summary.gravest() {
        Some(finding) => exit_code_of(finding.kind),
        None if summary.unknown > 0 => 20,
        None => 0,
    }
}

/// The graver of two exit codes.
#[must_use]
pub fn graver(one: u8, other: u8) -> u8 {
    const ORDER: [u8; 8] = [1, 14, 10, 11, 13, 12, 15, 20];
    let rank = |code| ORDER.iter().position(|other| *other == code).unwrap_or(ORDER.len());
    if rank(other) < rank(one) { other } else { one }
}

/// The name of a signature.
#[must_use]
pub fn signature(signature: u64) -> String {
    format!("{signature:016x}")
}

impl RunRecord {
    /// The record of `outcome`, which took `wall_ns` and whose scenario was written to a file of this name, if it was.
    #[must_use]
    pub fn of(outcome: &Outcome, wall_ns: u64, scenario: Option<String>) -> Self {
        let finding = outcome.finding();
        let (verdict, reason) = match &outcome.verdict {
            Verdict::Pass => ("pass", None),
            Verdict::Fail(finding) => ("fail", Some(finding.message.clone())),
            Verdict::Unknown(what) => ("unknown", Some(what.clone())),
        };
        Self {
            format: FORMAT,
            kind: "run",
            seed: outcome.seed.number(),
            verdict,
            exit_code: exit_code_of_run(&outcome.verdict),
            trace_hash: format!("{:032x}", outcome.trace_hash),
            events: outcome.counters.events,
            messages: outcome.counters.sent,
            requests: outcome.requests,
            virtual_ns: outcome.virtual_time.as_ns(),
            wall_ns,
            property: finding.map(|finding| finding.property),
            signature: finding.map(|finding| signature(finding.signature())),
            message: reason,
            scenario,
            replay: None,
        }
    }

    /// The same, of a replay that exits with `exit_code`.
    #[must_use]
    pub fn of_replay(self, fields: ReplayFields, exit_code: u8) -> Self {
        Self { kind: "replay", exit_code, replay: Some(fields), ..self }
    }
}

/// What a sweep's record says besides its summary.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// How long it took.
    pub wall_ns: u64,
    /// The exit code.
    pub exit_code: u8,
    /// What became of the regressions, if there are any.
    pub regressions: Option<&'a Regressions>,
    /// Whether it was ended before its time.
    pub is_interrupted: bool,
}

impl SweepRecord {
    /// The record of a sweep.
    #[must_use]
    pub fn of(summary: &Summary, ending: &Ending<'_>) -> Self {
        let unmet = |regressions: &Regressions| {
            regressions.unmet.iter().map(|unmet| unmet.path.clone()).collect()
        };
        let mut failures: Vec<FailureRecord> = summary
            .failures
            .values()
            .flatten()
            .map(|failure| FailureRecord {
                seed: failure.seed.number(),
                property: failure.finding.property,
                signature: signature(failure.finding.signature()),
            })
            .collect();
        failures.sort_by_key(|failure| failure.seed);
        Self {
            format: FORMAT,
            kind: "sweep",
            seeds: summary.seeds,
            passed: summary.passed,
            failed: summary.failed,
            unknown: summary.unknown,
            exit_code: ending.exit_code,
            wall_ns: ending.wall_ns,
            events: summary.events,
            messages: summary.messages,
            requests: summary.requests,
            view_changes: summary.view_changes,
            seeds_of_three: summary.seeds_of_three,
            failures,
            regressions: ending.regressions.map_or(0, |regressions| regressions.replayed),
            regressions_unmet: ending.regressions.map(unmet).unwrap_or_default(),
            interrupted: ending.is_interrupted,
            faults: Fault::NAMES.into_iter().zip(summary.faults).collect(),
            exposure: summary
                .exposure
                .iter()
                .map(|(moment, count)| (moment.name(), count))
                .collect(),
        }
    }
}
