//! What shrinking came to, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::Shrunk;
use crate::cluster::words::count;
use crate::report::json::{FORMAT, exit_code_of_run, signature};
use crate::report::text::wall;
use crate::scenario::outcome::Finding;

/// The result of shrinking.
#[derive(Debug, Serialize)]
pub struct ShrinkRecord {
    format: u32,
    kind: &'static str,
    exit_code: u8,
    property: &'static str,
    signature: String,
    faults: u64,
    requests: u64,
    replicas: u8,
    clients: u8,
    events: u64,
    events_before: u64,
    faults_before: u64,
    requests_before: u64,
    runs: u64,
    shortest: bool,
    wall_ns: u64,
    trace_hash: String,
    scenario: String,
}

impl ShrinkRecord {
    /// The record of a failure that was shrunk in `wall_ns`, and written to a file of this name.
    #[must_use]
    pub fn of(shrunk: &Shrunk, finding: &Finding, wall_ns: u64, scenario: String) -> Self {
        let (size, before) = (shrunk.size, shrunk.size_before);
        Self {
            format: FORMAT,
            kind: "shrink",
            exit_code: exit_code_of_run(&shrunk.outcome.verdict),
            property: finding.property,
            signature: signature(finding.signature()),
            faults: size.faults,
            requests: size.requests,
            replicas: shrunk.outcome.replicas,
            clients: shrunk.outcome.clients,
            events: size.events,
            events_before: before.events,
            faults_before: before.faults,
            requests_before: before.requests,
            runs: shrunk.runs,
            shortest: shrunk.is_shortest,
            wall_ns,
            trace_hash: format!("{:032x}", shrunk.outcome.trace_hash),
            scenario,
        }
    }
}

/// From what to what, and how long that took; which other failures were met on the way.
#[must_use]
pub fn text(shrunk: &Shrunk, wall_ns: u64) -> String {
    let mut text = format!(
        "  Shrunk from {} to {} in {}, {} runs{}\n",
        shrunk.size_before,
        shrunk.size,
        wall(wall_ns),
        count(shrunk.runs),
        if shrunk.is_shortest { "" } else { "; the budget ran out before the end" }
    );
    for (name, times) in &shrunk.others {
        // Writing to a string never fails.
        writeln!(text, "  also seen   {name}, {} times", count(*times)).ok();
    }
    text
}

/// What each way to make the scenario shorter came to: where the time went.
#[must_use]
pub fn efforts(shrunk: &Shrunk) -> String {
    let mut text = String::new();
    for (name, effort) in &shrunk.efforts {
        let took = wall(effort.wall_ns);
        // Writing to a string never fails.
        writeln!(text, "{name:<24} {:>7} runs {:>5} taken {took:>10}", effort.runs, effort.taken)
            .ok();
    }
    text
}
