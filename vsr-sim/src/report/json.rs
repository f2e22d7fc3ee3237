//! Records for programs: one JSON object a line, each with a format version and a kind.

use std::collections::BTreeMap;

use serde::Serialize;

use super::summary::Summary;
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
    faults: BTreeMap<&'static str, u64>,
    exposure: BTreeMap<&'static str, u64>,
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
        }
    }
}

impl SweepRecord {
    /// The record of a sweep that took `wall_ns`.
    #[must_use]
    pub fn of(summary: &Summary, wall_ns: u64) -> Self {
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
            exit_code: exit_code_of_sweep(summary),
            wall_ns,
            events: summary.events,
            messages: summary.messages,
            requests: summary.requests,
            view_changes: summary.view_changes,
            seeds_of_three: summary.seeds_of_three,
            failures,
            faults: Fault::NAMES.into_iter().zip(summary.faults).collect(),
            exposure: summary
                .exposure
                .iter()
                .map(|(moment, count)| (moment.name(), count))
                .collect(),
        }
    }
}
