//! Which planted bug breaks which story: a story that nothing can break is worth nothing.

use std::fmt;
use std::path::Path;

use super::hunt::text;
use super::{Build, BuildError, Hunt, Patch, PatchError, SweepError, Workshop, workspace};

/// The stories, by folder and name, and the planted bugs that each was seen to fail with.
///
/// Only bugs that break the rule which the story tells: many others break it on the way.
pub const WITNESSES: &[(&str, &[&str])] = &[
    ("checkpoint/checkpoint-counts-when-it-is-durable", &["T-15"]),
    ("checkpoint/checkpoint-cut-short-leaves-the-one-before", &["K-11"]),
    ("checkpoint/checkpoint-replaces-the-state", &["K-03"]),
    ("checkpoint/restart-of-all-applies-nothing-twice", &["K-06"]),
    ("checkpoint/rotten-checkpoint-is-fetched", &["K-10"]),
    ("checkpoint/slots-wait-for-a-quorum-of-checkpoints", &["K-01"]),
    ("normal/commits-in-order-of-the-log", &["N-02"]),
    ("normal/deaf-primary-steps-down", &["P-10"]),
    ("normal/full-pipeline-makes-others-wait", &["P-26"]),
    ("normal/gap-is-filled-before-execution", &["T-10", "N-11"]),
    ("normal/idle-cluster-stays-in-its-view", &["P-24", "P-25"]),
    ("normal/idle-tail-is-learnt-by-heartbeat", &["P-17", "T-10"]),
    ("normal/lost-acknowledgement-is-given-again", &["N-03"]),
    ("normal/lost-prepare-is-sent-again", &["P-04", "P-05"]),
    ("normal/nothing-is-executed-before-it-is-durable-here", &["N-13"]),
    ("normal/primary-in-the-minority-commits-nothing", &["N-01", "N-15", "Q-01"]),
    ("recovery/acknowledged-is-on-disk", &["S-01"]),
    ("recovery/answer-to-an-older-start-does-not-end-the-log", &["R-01", "R-10"]),
    ("recovery/crash-between-two-writes-of-the-superblock", &["R-14"]),
    ("recovery/cut-is-durable-before-it-is-written-over", &["V-47"]),
    ("recovery/cut-off-entries-do-not-come-back", &["V-28"]),
    ("recovery/nothing-is-executed-twice-after-a-restart", &["K-06"]),
    ("recovery/older-answer-does-not-end-the-log", &["R-10"]),
    ("recovery/promise-is-durable-before-it-is-given", &["S-02"]),
    ("recovery/promise-outlives-a-restart", &["N-07", "R-14", "S-23"]),
    ("recovery/restarted-primary-leaves-its-view", &["R-13"]),
    ("recovery/view-change-is-taken-up-again", &["P-20", "R-14"]),
    ("sessions/client-finds-the-new-primary", &["P-27", "P-28"]),
    ("sessions/client-that-starts-again-is-another", &["C-35"]),
    ("sessions/late-answer-is-not-taken-for-another", &["C-30"]),
    ("sessions/old-primary-does-not-judge-a-younger-session", &["C-37"]),
    ("sessions/old-request-is-not-run-again", &["C-36"]),
    ("sessions/oldest-session-makes-room", &["C-05"]),
    ("sessions/request-on-its-way-is-not-prepared-twice", &["N-16"]),
    ("sessions/request-that-was-cut-off-is-taken-again", &["C-02", "C-12"]),
    ("sessions/retry-is-answered-after-a-checkpoint", &["C-06"]),
    ("sessions/retry-is-answered-in-a-later-view", &["C-01", "C-07", "C-33"]),
    ("state-transfer/any-peer-of-the-view-can-help", &["P-23"]),
    ("state-transfer/checkpoint-is-fetched-again-from-another", &["T-16"]),
    ("state-transfer/entry-is-known-by-its-checksum", &["T-12"]),
    ("state-transfer/full-log-waits-for-its-checkpoint", &["S-17", "T-15"]),
    ("state-transfer/hearing-of-a-later-view-cuts-nothing-off", &["T-01"]),
    ("state-transfer/replica-that-slept-takes-a-checkpoint-over", &["K-03"]),
    ("state-transfer/what-follows-is-of-one-view", &["T-03"]),
    ("state-transfer/what-is-too-far-ahead-is-fetched-later", &["T-16", "T-10"]),
    ("storage/cut-off-stays-cut-off-when-all-lose-power", &["V-28"]),
    ("storage/disk-that-cannot-be-read-takes-no-part", &["R-15"]),
    ("storage/entry-of-another-place-is-not-believed", &["S-26"]),
    ("storage/failed-flush-is-not-tried-again", &["S-15"]),
    ("storage/full-disk-halts-and-loses-nothing", &["S-15"]),
    ("storage/greater-view-is-not-the-newer-write", &["S-14"]),
    ("storage/header-comes-second", &["S-11"]),
    ("storage/lost-write-is-known-by-the-other-ring", &["S-18"]),
    ("storage/power-fails-again-and-again", &["S-11", "P-20"]),
    ("storage/promise-is-on-the-copies-that-are-left", &["S-25"]),
    ("storage/rotten-header-is-written-again", &["S-24"]),
    ("storage/rotten-is-not-torn", &["S-07"]),
    ("storage/spoiled-is-not-denied", &["S-09"]),
    ("storage/torn-is-not-missed", &["S-08"]),
    ("storage/what-cannot-be-read-is-fetched", &["S-07"]),
    ("storage/wiped-disk-has-no-vote", &["R-15"]),
    ("storage/write-that-fails-is-not-acknowledged", &["S-15"]),
    ("storage/write-that-went-astray-costs-two-entries", &["S-26"]),
    ("view-change/later-view-is-joined-by-its-log-alone", &["N-08", "N-17"]),
    ("view-change/log-view-decides-not-the-last-entry", &["V-02"]),
    ("view-change/longer-log-of-an-older-view-loses", &["V-01"]),
    ("view-change/lost-promise-is-given-again", &["P-22"]),
    ("view-change/lost-start-of-a-view-is-asked-for", &["P-03"]),
    ("view-change/new-primary-fetches-what-it-lacks", &["V-03", "V-10", "V-14", "V-24"]),
    ("view-change/next-primary-is-dead-too", &["P-01", "P-18"]),
    ("view-change/old-heartbeat-keeps-no-primary-alive", &["P-13"]),
    ("view-change/one-vote-moves-nobody", &["P-09"]),
    ("view-change/primary-that-is-not-answered-votes-too", &["P-11"]),
    ("view-change/promise-for-an-older-view-does-not-count", &["V-19"]),
    ("view-change/promise-speaks-of-what-is-durable", &["V-25"]),
    ("view-change/survivor-is-committed-by-its-new-view", &["N-09", "V-16", "V-23"]),
    ("view-change/survivor-of-one-is-not-committed-yet", &["V-13"]),
];

/// What one story came to with one bug.
#[derive(Debug)]
pub struct Witness {
    /// The story, by folder and name.
    pub story: &'static str,
    /// The bug.
    pub patch: Patch,
    /// The property that fired; nothing if the run passed all the same.
    pub fired: Result<Option<String>, String>,
}

impl Witness {
    /// Whether the story fails with the bug.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self.fired, Ok(Some(_)))
    }

    /// Whether the story names a bug of `ids`, or `ids` names none.
    fn is_wanted(ids: &[String], bug: &str) -> bool {
        ids.is_empty() || ids.iter().any(|id| id == bug)
    }
}

impl fmt::Display for Witness {
    /// A row of the table.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Patch { id, name, .. } = &self.patch;
        write!(formatter, "| {} | {id} {name} | ", self.story)?;
        match &self.fired {
            Ok(Some(property)) => write!(formatter, "{property} |"),
            Ok(None) => write!(formatter, "PASSES ALL THE SAME |"),
            Err(error) => write!(formatter, "ERROR: {} |", error.replace('\n', " ")),
        }
    }
}

/// The table's head.
pub const WITNESS_COLUMNS: &str = "| story | planted bug | fired |\n|---|---|---|";

/// Plants each bug that [`WITNESSES`] names, and runs the stories that are to fail with it, on that build and on the clean one.
///
/// Only those of `ids`, unless that is empty; each story comes to `tell` as soon as it is known.
///
/// # Errors
///
/// When the table or `ids` speak of what there is not, when the clean sources do not build, or when a story fails on them.
pub fn try_witnesses(
    workshop: &Workshop,
    ids: &[String],
    mut tell: impl FnMut(&Witness),
) -> Result<bool, WitnessError> {
    let clean = workshop.clean()?;
    let planted = workspace().join("tests/planted");
    let mut patches = Patch::all(&planted)?;
    patches.extend(Patch::all(&planted.join("undetected"))?);
    if let Some(id) =
        ids.iter().find(|id| !WITNESSES.iter().any(|(_, bugs)| bugs.contains(&id.as_str())))
    {
        return Err(WitnessError::NoStory(id.clone()));
    }
    let mut all_good = true;
    for patch in patches.iter().filter(|patch| Witness::is_wanted(ids, &patch.id)) {
        let stories: Vec<&'static str> = WITNESSES
            .iter()
            .filter(|(_, bugs)| bugs.contains(&patch.id.as_str()))
            .map(|(story, _)| *story)
            .collect();
        if stories.is_empty() {
            continue;
        }
        let build = workshop.with(patch);
        for story in stories {
            let fired = match &build {
                Ok(build) => run(&clean, build, story)?,
                Err(error) => Err(error.to_string()),
            };
            let witness = Witness { story, patch: patch.clone(), fired };
            all_good &= witness.is_good();
            tell(&witness);
        }
    }
    Ok(all_good)
}

/// Runs a story with a bug, and without.
fn run(
    clean: &Build,
    planted: &Build,
    story: &'static str,
) -> Result<Result<Option<String>, String>, WitnessError> {
    let path = workspace().join("scenarios").join(Path::new(story)).with_extension("json");
    let out = planted.command.with_file_name("artefacts");
    let hunt = Hunt {
        clean: clean.clone(),
        planted: planted.clone(),
        out,
        // Nothing is drawn.
        profile: String::new(),
        budget_ns: u64::MAX,
    };
    let path = path.display().to_string();
    let arguments = ["run", "--scenario", &path];
    if hunt.record(clean, &arguments)?["verdict"] != "pass" {
        return Err(WitnessError::FailsAnyway(story));
    }
    let record = match hunt.record(planted, &arguments) {
        Ok(record) => record,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let has_failed = record["verdict"] == "fail";
    Ok(Ok(has_failed.then(|| text(&record, "property"))))
}

/// Why the table could not be tried.
#[derive(Debug)]
pub enum WitnessError {
    /// A folder of patches cannot be used.
    Patch(PatchError),
    /// The clean sources do not build.
    Build(BuildError),
    /// The clean build does not say what it should.
    Run(SweepError),
    /// No story is there for this bug.
    NoStory(String),
    /// This story fails without any bug.
    FailsAnyway(&'static str),
}

impl fmt::Display for WitnessError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patch(error) => error.fmt(formatter),
            Self::Build(error) => error.fmt(formatter),
            Self::Run(error) => error.fmt(formatter),
            Self::NoStory(id) => write!(formatter, "no story is said to fail with {id}"),
            Self::FailsAnyway(story) => write!(formatter, "{story} fails without any bug"),
        }
    }
}

impl std::error::Error for WitnessError {}

impl From<PatchError> for WitnessError {
    fn from(error: PatchError) -> Self {
        Self::Patch(error)
    }
}

impl From<BuildError> for WitnessError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<SweepError> for WitnessError {
    fn from(error: SweepError) -> Self {
        Self::Run(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A story that passes with its bug must never look like one that failed.
    #[test]
    fn a_row_says_what_fired_or_that_nothing_did() {
        let path = workspace().join("tests/planted/N-02-commit-on-arrival-order.patch");
        let patch = Patch { id: "N-02".into(), name: "arrival".into(), story: String::new(), path };
        let row = |fired| Witness { story: "normal/order", patch: patch.clone(), fired };
        let good = row(Ok(Some("execution-order".into())));
        assert!(good.is_good());
        assert_eq!(good.to_string(), "| normal/order | N-02 arrival | execution-order |");
        for (fired, words) in [(Ok(None), "PASSES"), (Err("no\nway".into()), "ERROR: no way")] {
            let bad = row(fired);
            assert!(!bad.is_good() && bad.to_string().contains(words), "{bad}");
        }
    }
}
