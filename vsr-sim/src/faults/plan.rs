//! Plans: what is to be done to a world, and when.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::selector::Selector;
use crate::engine::{Moment, Process, Span, Time};

/// A list of steps. The order matters only to steps that begin after the one before them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    bound(serialize = "A: Clone + Serialize", deserialize = "A: Deserialize<'de>")
)]
pub struct Plan<A = Fault> {
    /// The steps.
    pub steps: Vec<Step<A>>,
}

impl<A> Default for Plan<A> {
    fn default() -> Self {
        Self { steps: Vec::new() }
    }
}

/// Something to do, when its time has come.
///
/// Its time comes when its gate has opened and then, if it waits for something to be seen, that was seen. In a file a
/// step is an object with the fields `at`, `after` or `settled` (the gate), `on`, `do`, `for` or `until` (how long), and
/// `why`; one of `at`, `after`, `settled` and `on` must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    try_from = "WrittenStep<A>",
    into = "WrittenStep<A>",
    bound(serialize = "A: Clone + Serialize", deserialize = "A: Deserialize<'de>")
)]
pub struct Step<A = Fault> {
    /// From when on.
    pub gate: Gate,
    /// What to wait for from then on.
    pub on: Option<On>,
    /// What to do.
    pub action: A,
    /// For how long.
    pub lasts: Lasts,
    /// What the step is for, for people.
    pub why: String,
}

/// From when on a step may have its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// From the beginning of the run.
    Start,
    /// From this moment on.
    At(Time),
    /// When this has passed since the step before had its time, or since the beginning of the run if it is the first.
    After(Span),
    /// When the step before had its time, or at the beginning of the run if it is the first, and then things have settled.
    Settled(Settled),
}

/// What must have come to rest before a step has its time. Whoever drives the world looks whether it has; where nothing is
/// left to happen, everything has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Settled {
    /// All that clients were asked for so far is answered, or will never be: whoever asked has crashed, or has lost its
    /// session. What a client that is down has yet to ask for is waited for; its answers are not.
    Answered,
    /// For a while nothing has changed: no server has started, crashed, or changed its status, its view, its log, or what
    /// it has executed. The while is three times as long as servers wait before they suspect one that is silent, and begins
    /// when the step before had its time at the earliest.
    Quiet,
}

/// For how long a step lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// To the end of the plan.
    On,
    /// For this long.
    For(Span),
    /// Until this is seen.
    Until(On),
}

/// Something to be seen in a world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct On {
    /// What happens.
    pub moment: MomentName,
    /// The name of its kind: of a message, an event or a zone; none for boots and crashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// To whom: the sender of a packet that is sent, the receiver of one that is delivered. Anybody if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Selector>,
    /// The other end of the packet's link. Anybody if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Selector>,
    /// What the packet or the event is about: an operation, a view or a session, by number. Anything if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<u64>,
    /// The how manieth time, counted from one.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub nth: u32,
}

const fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_once(nth: &u32) -> bool {
    *nth == 1
}

/// [`Moment`], as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MomentName {
    /// [`Moment::Sent`].
    Sent,
    /// [`Moment::Delivered`].
    Delivered,
    /// [`Moment::WriteStarted`].
    WriteStarted,
    /// [`Moment::WriteEnded`].
    WriteEnded,
    /// [`Moment::Event`].
    Event,
    /// [`Moment::Booted`].
    Booted,
    /// [`Moment::Crashed`].
    Crashed,
}

impl MomentName {
    /// The moment, and the names of its kinds if it has any.
    #[must_use]
    pub const fn of<P: Process>(self) -> (Moment, &'static [&'static str]) {
        match self {
            Self::Sent => (Moment::Sent, P::MESSAGE_KINDS),
            Self::Delivered => (Moment::Delivered, P::MESSAGE_KINDS),
            Self::WriteStarted => (Moment::WriteStarted, P::ZONES),
            Self::WriteEnded => (Moment::WriteEnded, P::ZONES),
            Self::Event => (Moment::Event, P::EVENT_KINDS),
            Self::Booted => (Moment::Booted, &[]),
            Self::Crashed => (Moment::Crashed, &[]),
        }
    }
}

impl On {
    /// The first time that `moment` is seen of the kind called `kind`, whoever it happens to.
    #[must_use]
    pub fn first(moment: MomentName, kind: &str) -> Self {
        let kind = (!kind.is_empty()).then(|| kind.to_owned());
        Self { moment, kind, node: None, peer: None, identity: None, nth: 1 }
    }

    /// The moment and the number of its kind.
    pub(super) fn kind_of<P: Process>(&self) -> Result<(Moment, u8), PlanError> {
        let (moment, names) = self.moment.of::<P>();
        let Some(name) = &self.kind else {
            return if names.is_empty() {
                Ok((moment, 0))
            } else {
                Err(PlanError::NoKind(self.moment))
            };
        };
        let kind = number_of(names, name).ok_or_else(|| PlanError::UnknownKind(name.clone()))?;
        Ok((moment, kind))
    }

    /// Whether it makes sense for processes `P`, where `knows` the words that stand for nodes.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check<P: Process>(&self, knows: &impl Fn(&Selector) -> bool) -> Result<(), PlanError> {
        self.kind_of::<P>()?;
        if self.nth == 0 {
            return Err(PlanError::NeverComes);
        }
        for selector in self.node.iter().chain(&self.peer) {
            check_word(selector, knows)?;
        }
        Ok(())
    }
}

/// The number of the kind called `name`.
pub(super) fn number_of(names: &[&str], name: &str) -> Option<u8> {
    let place = names.iter().position(|other| *other == name)?;
    u8::try_from(place).ok()
}

fn check_word(selector: &Selector, knows: &impl Fn(&Selector) -> bool) -> Result<(), PlanError> {
    if knows(selector) { Ok(()) } else { Err(PlanError::UnknownWord(selector.clone())) }
}

impl<A> Step<A> {
    /// Does `action` at `time`, to last.
    #[must_use]
    pub const fn at(time: Time, action: A) -> Self {
        Self { gate: Gate::At(time), on: None, action, lasts: Lasts::On, why: String::new() }
    }

    /// Does `action` when `on` is seen, to last.
    #[must_use]
    pub const fn on(on: On, action: A) -> Self {
        Self { gate: Gate::Start, on: Some(on), action, lasts: Lasts::On, why: String::new() }
    }

    /// Does `action` when `span` has passed since the step before, to last.
    #[must_use]
    pub const fn after(span: Span, action: A) -> Self {
        Self { gate: Gate::After(span), on: None, action, lasts: Lasts::On, why: String::new() }
    }

    /// The same step, but for what it does.
    #[must_use]
    pub fn map<B>(self, change: impl FnOnce(A) -> B) -> Step<B> {
        let Self { gate, on, action, lasts, why } = self;
        Step { gate, on, action: change(action), lasts, why }
    }

    /// Whether its triggers make sense for processes `P`, where `knows` the words that stand for nodes.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check_triggers<P: Process>(
        &self,
        knows: &impl Fn(&Selector) -> bool,
    ) -> Result<(), PlanError> {
        if let Some(on) = &self.on {
            on.check::<P>(knows)?;
        }
        match &self.lasts {
            Lasts::Until(until) => until.check::<P>(knows),
            Lasts::On | Lasts::For(_) => Ok(()),
        }
    }
}

impl Plan<Fault> {
    /// Whether all of it makes sense for processes `P`, where `knows` the words that stand for nodes.
    ///
    /// # Errors
    /// The first thing that is wrong, and in which step, counted from zero.
    pub fn check<P: Process>(
        &self,
        knows: impl Fn(&Selector) -> bool,
    ) -> Result<(), (usize, PlanError)> {
        for (place, step) in self.steps.iter().enumerate() {
            step.check_triggers::<P>(&knows)
                .and_then(|()| step.action.check::<P>(&knows))
                .map_err(|error| (place, error))?;
        }
        Ok(())
    }
}

impl Fault {
    /// Whether it makes sense for processes `P`, where `knows` the words that stand for nodes.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check<P: Process>(&self, knows: &impl Fn(&Selector) -> bool) -> Result<(), PlanError> {
        for selector in self.selectors() {
            check_word(selector, knows)?;
        }
        for name in self.message_kinds() {
            number_of(P::MESSAGE_KINDS, name)
                .ok_or_else(|| PlanError::UnknownKind(name.clone()))?;
        }
        match self.zone() {
            Some(name) if number_of(P::ZONES, name).is_none() => {
                Err(PlanError::UnknownKind(name.to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What makes no sense in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// A step says when in two ways, or not at all.
    When,
    /// A step says how long in two ways.
    HowLong,
    /// Something is waited for whose kind is not told.
    NoKind(MomentName),
    /// No kind has this name.
    UnknownKind(String),
    /// No nodes are called by this word.
    UnknownWord(Selector),
    /// The zeroth time of something is waited for.
    NeverComes,
}

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::When => {
                formatter.write_str("a step needs one of `at`, `after` and `settled`, or `on`")
            }
            Self::HowLong => formatter.write_str("a step may have one of `for` and `until`"),
            Self::NoKind(moment) => write!(formatter, "`{moment:?}` needs a `kind`"),
            Self::UnknownKind(name) => write!(formatter, "no kind is called `{name}`"),
            Self::UnknownWord(word) => write!(formatter, "no nodes are called `{word}`"),
            Self::NeverComes => formatter.write_str("`nth` counts from one"),
        }
    }
}

impl std::error::Error for PlanError {}

/// A step as it is in a file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenStep<A> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settled: Option<Settled>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on: Option<On>,
    #[serde(rename = "do")]
    action: A,
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    lasts: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<On>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    why: String,
}

impl<A> TryFrom<WrittenStep<A>> for Step<A> {
    type Error = PlanError;

    fn try_from(written: WrittenStep<A>) -> Result<Self, PlanError> {
        let WrittenStep { at, after, settled, on, action, lasts, until, why } = written;
        let gate = match (at, after, settled) {
            (Some(at), None, None) => Gate::At(at),
            (None, Some(after), None) => Gate::After(after),
            (None, None, Some(settled)) => Gate::Settled(settled),
            (None, None, None) if on.is_some() => Gate::Start,
            (_, _, _) => return Err(PlanError::When),
        };
        let lasts = match (lasts, until) {
            (Some(span), None) => Lasts::For(span),
            (None, Some(until)) => Lasts::Until(until),
            (None, None) => Lasts::On,
            (Some(_), Some(_)) => return Err(PlanError::HowLong),
        };
        Ok(Self { gate, on, action, lasts, why })
    }
}

impl<A> From<Step<A>> for WrittenStep<A> {
    fn from(step: Step<A>) -> Self {
        let Step { gate, on, action, lasts, why } = step;
        let (mut at, mut after, mut settled) = (None, None, None);
        match gate {
            Gate::Start => {}
            Gate::At(time) => at = Some(time),
            Gate::After(span) => after = Some(span),
            Gate::Settled(what) => settled = Some(what),
        }
        let (lasts, until) = match lasts {
            Lasts::On => (None, None),
            Lasts::For(span) => (Some(span), None),
            Lasts::Until(until) => (None, Some(until)),
        };
        Self { at, after, settled, on, action, lasts, until, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::broadcast::BroadcastNode;

    fn read(text: &str) -> Result<Plan, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_plan_reads_as_it_is_written() {
        let text = r#"{"steps":[
            {"on":{"moment":"sent","kind":"Value","node":"n0","nth":2},"do":{"crash":{"node":"subject"}},"for":"30ms","why":"half told"},
            {"after":"1us","do":{"hold":{"from":"all","to":"n0","kinds":["Acknowledge"]}},"until":{"moment":"booted"}},
            {"at":"2s","do":{"heal":{}}}
        ]}"#;
        let plan = read(text).unwrap();
        assert_eq!(plan.steps[0].lasts, Lasts::For(Span::from_ms(30)));
        assert_eq!(plan.steps[1].gate, Gate::After(Span::from_us(1)));
        let compact: String = text.split_whitespace().collect();
        assert_eq!(serde_json::to_string(&plan).unwrap().replace(' ', ""), compact);
        plan.check::<BroadcastNode>(|word| word.is_built_in(5)).unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (text, expected) in [
            (r#"{"steps":[{"do":{"heal":{}}}]}"#, "one of `at`, `after` and `settled`"),
            (
                r#"{"steps":[{"at":"1s","after":"1s","do":{"heal":{}}}]}"#,
                "one of `at`, `after` and `settled`",
            ),
            (
                r#"{"steps":[{"at":"1s","do":{"heal":{}},"for":"1s","until":{"moment":"booted"}}]}"#,
                "one of `for`",
            ),
            (r#"{"steps":[{"at":"1s","do":{"heal":{}},"whi":"x"}]}"#, "unknown field `whi`"),
            (
                r#"{"steps":[{"at":"1s","do":{"crash":{"node":"n0","hard":true}}}]}"#,
                "unknown field `hard`",
            ),
            (r#"{"steps":[{"at":"1 s","do":{"heal":{}}}]}"#, "no span of time"),
            (r#"{"steps":[{"at":"1s","do":{"explode":{}}}]}"#, "unknown variant `explode`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn names_that_nobody_has_are_found_before_the_run() {
        let check = |text: &str| {
            read(text)
                .unwrap()
                .check::<BroadcastNode>(|word| word.is_built_in(5))
                .map_err(|(step, error)| format!("{step}: {error}"))
        };
        for (step, expected) in [
            (
                r#"{"on":{"moment":"sent","kind":"Vote"},"do":{"heal":{}}}"#,
                "0: no kind is called `Vote`",
            ),
            (r#"{"on":{"moment":"event"},"do":{"heal":{}}}"#, "0: `Event` needs a `kind`"),
            (r#"{"on":{"moment":"booted","nth":0},"do":{"heal":{}}}"#, "0: `nth` counts from one"),
            (
                r#"{"at":"0ns","do":{"pause":{"node":"primary"}}}"#,
                "0: no nodes are called `primary`",
            ),
            (r#"{"at":"0ns","do":{"cut":{"from":"n4","to":"n5"}}}"#, "0: no nodes are called `n5`"),
            (
                r#"{"at":"0ns","do":{"hold":{"from":"n4","to":"n1","kinds":["x"]}}}"#,
                "0: no kind is called `x`",
            ),
        ] {
            assert_eq!(check(&format!("{{\"steps\":[{step}]}}")).unwrap_err(), expected);
        }
    }
}
