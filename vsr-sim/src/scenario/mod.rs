//! Scenarios: everything that a run is a function of, written out. Drawn from a seed, read from a file, or both.

pub mod action;
mod check;
mod disks;
pub mod draw;
mod draw_disks;
pub mod expectation;
pub mod fates;
pub mod file;
mod judge;
pub mod listener;
pub mod outcome;
pub mod panics;
mod phases;
mod place;
pub mod run;
pub mod schema;
mod steps;

use std::fmt;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use vsr_core::configuration::{Configuration, Timeouts};
use vsr_core::time::Duration;

use self::action::Action;
use self::expectation::Expectation;
use self::fates::NamedFate;
use self::outcome::{Finding, Verdict};

use crate::cluster::budget::Budget;
pub use crate::cluster::selector::CLIENT_COUNT_MAX;
use crate::cluster::selector::Words;
use crate::cluster::workload::Workload;
use crate::engine::disk::DiskRates;
use crate::engine::network::LinkRates;
use crate::engine::random::Seed;
use crate::engine::time::Span;
use crate::engine::{PacketFate, PacketName};
use crate::faults::{Fault, Step};

/// The version of the format that is written, and the only one that is read.
pub const FORMAT: u32 = 1;

/// A whole scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Always [`FORMAT`].
    #[serde(deserialize_with = "format_version")]
    #[schemars(schema_with = "schema::format")]
    pub format: u32,
    /// What it shows, in one sentence; empty for one that was drawn.
    #[serde(default)]
    pub title: String,
    /// What happens, in sentences.
    #[serde(default)]
    pub story: Vec<String>,
    /// Where all randomness that is left comes from: the fate of each packet and write, and what clients ask for.
    #[serde(default = "first_seed")]
    pub seed: Seed,
    /// Who takes part.
    #[serde(default)]
    pub cluster: Cluster,
    /// What links are like while no fault is on.
    #[serde(default)]
    pub network: LinkRates,
    /// What disks are like.
    #[serde(default)]
    pub disk: DiskRates,
    /// What may be spoiled of what disks hold.
    #[serde(default, skip_serializing_if = "Budget::is_by_hand")]
    pub budget: Budget,
    /// How far clocks are off.
    #[serde(default)]
    pub clock: Clocks,
    /// What clients ask for by themselves; nothing, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// What becomes of single packets, whatever the rates say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fates: Vec<NamedFate>,
    /// How long faults and clients go on at most, before the faults stop.
    #[serde(default = "default_duration")]
    pub duration: Span,
    /// What happens, and when: what goes wrong, what clients ask for, what must be so at a moment.
    #[serde(default)]
    pub steps: Vec<Step<Action>>,
    /// What must come of it.
    #[serde(default)]
    pub expect: Expect,
}

impl Scenario {
    /// The words for nodes that this cluster knows.
    #[must_use]
    pub const fn words(&self) -> Words {
        Words { replicas: self.cluster.replicas, clients: self.cluster.clients }
    }

    /// Puts these fates in the place of all chances that packets are lost, doubled or much delayed.
    pub fn decide(&mut self, recorded: Vec<(PacketName, PacketFate)>) {
        let words = self.words();
        let named = |(name, fate): &(PacketName, PacketFate)| NamedFate::of(words, name, *fate);
        self.fates = recorded.iter().map(named).collect();
        let rates = &mut self.network;
        (rates.loss_ppm, rates.duplicate_ppm) = (0, 0);
        (rates.tail_ppm, rates.tail) = (0, Span::ZERO);
        for step in &mut self.steps {
            if let Some(Fault::Rates { change, .. }) = step.action.fault_mut() {
                (change.loss_ppm, change.duplicate_ppm, change.tail_ppm) = (None, None, None);
            }
        }
    }
}

const fn first_seed() -> Seed {
    Seed::new(0)
}

const fn default_duration() -> Span {
    Span::from_secs(10)
}

fn format_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version == FORMAT {
        return Ok(version);
    }
    Err(D::Error::custom(format!("format {version}, where only {FORMAT} is known")))
}

/// Who takes part, and how patient they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, from = "WrittenCluster")]
pub struct Cluster {
    /// How many replicas there are.
    pub replicas: u8,
    /// How many clients there are: 1 to [`CLIENT_COUNT_MAX`].
    pub clients: u8,
    /// The most operations that may be prepared and not yet committed.
    pub pipeline: u32,
    /// The operations that a log has room for.
    pub slots: u32,
    /// After how many operations a checkpoint is taken, again and again; as seldom as `slots` allows where it is left out, but after
    /// every 256 at least.
    pub checkpoint_interval: u32,
    /// The most sessions that are kept.
    pub sessions: u32,
    /// How long to wait for what.
    pub timeouts: TimeoutSpans,
}

impl Default for Cluster {
    fn default() -> Self {
        let configuration = Configuration::of(3);
        Self {
            replicas: configuration.replica_count,
            clients: 3,
            pipeline: configuration.pipeline_max,
            slots: configuration.slots,
            checkpoint_interval: configuration.checkpoint_interval,
            sessions: configuration.clients_max,
            timeouts: TimeoutSpans::of(&configuration.timeouts),
        }
    }
}

impl Cluster {
    /// What replicas and clients are told of it.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        let mut configuration = Configuration::of(self.replicas);
        configuration.pipeline_max = self.pipeline;
        configuration.slots = self.slots;
        configuration.checkpoint_interval = self.checkpoint_interval;
        configuration.snapshot_size_max = SNAPSHOT_SIZE_MAX;
        configuration.clients_max = self.sessions;
        configuration.timeouts = self.timeouts.timeouts();
        configuration
    }

    /// Makes the log as short as the interval of checkpoints allows.
    pub const fn fit_slots(&mut self) {
        self.slots = (2 * (self.checkpoint_interval + self.pipeline)).next_power_of_two();
    }
}

/// The most bytes of a checkpoint: more than the state of any workload here comes to.
const SNAPSHOT_SIZE_MAX: u32 = 16 << 20;

/// A [`Cluster`] as it stands in a file.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct WrittenCluster {
    /// How many replicas there are.
    #[schemars(range(min = 1, max = 7))]
    replicas: u8,
    /// How many clients there are.
    #[schemars(range(min = 1, max = CLIENT_COUNT_MAX))]
    clients: u8,
    /// The most operations that may be prepared and not yet committed.
    pipeline: u32,
    /// The operations that a log has room for.
    slots: u32,
    /// After how many operations a checkpoint is taken, again and again; as seldom as `slots` allows where it is left out, but
    /// after every 256 at least.
    checkpoint_interval: Option<u32>,
    /// The most sessions that are kept.
    sessions: u32,
    /// How long to wait for what.
    timeouts: TimeoutSpans,
}

impl Default for WrittenCluster {
    fn default() -> Self {
        let Cluster { replicas, clients, pipeline, slots, sessions, timeouts, .. } =
            Cluster::default();
        Self { replicas, clients, pipeline, slots, checkpoint_interval: None, sessions, timeouts }
    }
}

impl From<WrittenCluster> for Cluster {
    fn from(written: WrittenCluster) -> Self {
        let WrittenCluster {
            replicas,
            clients,
            pipeline,
            slots,
            checkpoint_interval,
            sessions,
            timeouts,
        } = written;
        let most =
            (slots / 2).saturating_sub(pipeline).clamp(1, Self::default().checkpoint_interval);
        let checkpoint_interval = checkpoint_interval.unwrap_or(most);
        Self { replicas, clients, pipeline, slots, checkpoint_interval, sessions, timeouts }
    }
}

macro_rules! timeout_spans {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The base of every timeout, as spans that read well in a file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct TimeoutSpans {
            $($(#[$doc])* pub $name: Span,)*
        }

        impl TimeoutSpans {
            /// These timeouts.
            #[must_use]
            pub const fn of(timeouts: &Timeouts) -> Self {
                Self { $($name: Span::from_ns(timeouts.$name.as_ns()),)* }
            }

            /// What replicas and clients are told.
            #[must_use]
            pub const fn timeouts(&self) -> Timeouts {
                Timeouts { $($name: Duration::from_ns(self.$name.as_ns()),)* }
            }

            /// Each by its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, Span)> + use<> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }

            /// All of them `percent` hundredths as long.
            #[must_use]
            pub const fn scaled(&self, percent: u64) -> Self {
                Self { $($name: self.$name.percent(percent),)* }
            }
        }
    };
}

timeout_spans! {
    /// Between two heartbeats of a primary.
    send_commit,
    /// Until a primary sends an unacknowledged prepare again.
    resend_prepare,
    /// Until a primary that hears no quorum steps down.
    check_quorum,
    /// Until a backup that hears no primary votes to leave the view.
    suspect_primary,
    /// Between two copies of a vote to leave.
    resend_start_view_change,
    /// Until votes of others to leave are forgotten.
    forget_votes,
    /// Between two copies of a promise.
    resend_do_view_change,
    /// Until a view change that does not end is left for the next view.
    abandon_view_change,
    /// Between two questions for the log of a view.
    get_view,
    /// Between two questions for what is missing from the log.
    repair,
    /// Until a client sends its request again.
    retry_request,
}

impl Default for TimeoutSpans {
    fn default() -> Self {
        Self::of(&Timeouts::default())
    }
}

/// How far clocks are off when the run begins; each node's own share of it follows from the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Clocks {
    /// By how much a clock runs too fast or too slow at most, in parts per million.
    pub skew_ppm: u32,
    /// By how much a date is off at most, either way.
    pub wall_offset: Span,
}

/// What must come of a run.
///
/// Whoever replays the scenario as a regression judges by it: see [`Expect::is_met`]. A run itself only judges the states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The verdict.
    pub verdict: ExpectedVerdict,
    /// For a run that fails: the name of what it violates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// For a run that fails: the signature of the failure, sixteen hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{16}$"))]
    pub signature: Option<String>,
    /// What must be so when the run is over: after the faults have stopped, a quorum of replicas was healed, and all is at rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<Expectation>,
}

impl Default for Expect {
    fn default() -> Self {
        Self { verdict: ExpectedVerdict::Pass, property: None, signature: None, states: Vec::new() }
    }
}

/// A verdict that may be expected; that a budget runs out is never what is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExpectedVerdict {
    /// Nothing is violated, and everything that must happen happens.
    Pass,
    /// Something is violated.
    Fail,
}

impl Expect {
    /// What is expected of a run that found this: to fail, in the same way.
    #[must_use]
    pub fn failure(finding: &Finding) -> Self {
        Self {
            verdict: ExpectedVerdict::Fail,
            property: Some(finding.property.to_owned()),
            signature: Some(format!("{:016x}", finding.signature())),
            states: Vec::new(),
        }
    }

    /// Whether a run with this verdict came out as expected.
    #[must_use]
    pub fn is_met(&self, verdict: &Verdict) -> bool {
        match (self.verdict, verdict) {
            (ExpectedVerdict::Pass, Verdict::Pass) => true,
            (ExpectedVerdict::Fail, Verdict::Fail(finding)) => {
                let signature = format!("{:016x}", finding.signature());
                self.property.as_deref().is_none_or(|property| property == finding.property)
                    && self.signature.as_ref().is_none_or(|expected| *expected == signature)
            }
            (ExpectedVerdict::Pass, Verdict::Fail(_))
            | (ExpectedVerdict::Fail, Verdict::Pass)
            | (_, Verdict::Unknown(_)) => false,
        }
    }

    /// What makes no sense in it: by the field, in words.
    fn check(&self) -> Vec<(&'static str, String)> {
        let mut errors = Vec::new();
        let is_digit = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        let is_signature = |text: &str| text.len() == 16 && text.bytes().all(is_digit);
        if self.verdict == ExpectedVerdict::Pass {
            for (field, told) in [("property", &self.property), ("signature", &self.signature)] {
                if told.is_some() {
                    errors.push((field, format!("a run that passes has no {field}")));
                }
            }
        } else if let Some(text) = self.signature.as_ref().filter(|text| !is_signature(text)) {
            let words = format!("`{text}` is no signature: it has sixteen hexadecimal digits");
            errors.push(("signature", words));
        }
        errors
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.verdict {
            ExpectedVerdict::Pass => "pass",
            ExpectedVerdict::Fail => "fail",
        })?;
        for part in self.property.iter().chain(&self.signature) {
            write!(formatter, " {part}")?;
        }
        Ok(())
    }
}
