//! A run as a hash for each event, so that another build can say from which event on it goes another way.

use std::fmt::Write as _;

use crate::cluster::Node;
use crate::engine::{Observer, Time, Trace};
use crate::scenario::file::Invalid;
use crate::scenario::listener::Listener;

/// The version of the format that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// How the first line of a file begins.
const HEAD: &str = "vsr-sim events.hash, format ";

/// An event of the world, as it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHash {
    /// When it happened.
    pub at: Time,
    /// The hash of the whole run up to and with it, and with all that was done to the world before the next one.
    pub hash: u64,
}

/// What a run was, event for event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The events, in order.
    pub events: Vec<EventHash>,
    /// The hash of the whole run.
    pub trace_hash: u128,
}

/// Where a run left its recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// This event, counted from one, is not the recorded one, or was followed by something else.
    Event(u64),
    /// All events are as recorded; what was done to the world after the last one is not.
    End,
}

impl Recording {
    /// The text of the file: a line that says what it is, and a line for each event, its time in nanoseconds and its hash.
    #[must_use]
    pub fn text(&self) -> String {
        let count = self.events.len();
        let mut text = format!("{HEAD}{FORMAT}, {count} events, trace {:032x}\n", self.trace_hash);
        for EventHash { at, hash } in &self.events {
            // Writing to a string never fails.
            writeln!(text, "{} {hash:016x}", at.as_ns()).ok();
        }
        text
    }

    /// Reads such a text.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, the end included where it comes too early.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse = |line, column, message: String| Err(Invalid { line, column, message });
        if text.trim().is_empty() {
            return refuse(1, 1, "an empty file".to_owned());
        }
        let mut lines = text.split_inclusive('\n');
        let head = lines.next().unwrap_or_default();
        let Some(rest) = head.strip_prefix(HEAD) else {
            let message = "no recording of events: its first line says what it is".to_owned();
            return refuse(1, 1, message);
        };
        let version = rest.split(',').next().unwrap_or_default();
        if version != FORMAT.to_string() {
            let words = format!("format {version}, where only {FORMAT} is known");
            return refuse(1, HEAD.len() + 1, words);
        }
        let Some((count, trace_hash)) = head_of(rest) else {
            let message = "the first line does not say how many events there are, nor their hash";
            return refuse(1, HEAD.len() + 1, message.to_owned());
        };
        let mut events = Vec::new();
        for (place, line) in lines.enumerate() {
            let number = place + 2;
            let at_most = line.len().min(u16::MAX.into()) + 1;
            let Some(whole) = line.strip_suffix('\n') else {
                return refuse(number, at_most, "the file ends in the middle of a line".to_owned());
            };
            if events.len() == count {
                return refuse(number, 1, format!("more than the {count} events that it has"));
            }
            match event_of(whole) {
                Some(event) => events.push(event),
                None => {
                    let words = "no event: a time in nanoseconds and sixteen hexadecimal digits";
                    return refuse(number, 1, words.to_owned());
                }
            }
        }
        if events.len() < count {
            let words = format!("the file ends too early: {} of {count} events", events.len());
            return refuse(events.len() + 2, 1, words);
        }
        Ok(Self { events, trace_hash })
    }

    /// Where this run is not the one that was recorded, if anywhere.
    #[must_use]
    pub fn divergence_from(&self, recorded: &Self) -> Option<Divergence> {
        let differs = |(mine, theirs): (&EventHash, &EventHash)| mine != theirs;
        let place = self.events.iter().zip(&recorded.events).position(differs);
        let shorter = self.events.len().min(recorded.events.len());
        let place =
            place.or_else(|| (self.events.len() != recorded.events.len()).then_some(shorter));
        match place {
            Some(place) => Some(Divergence::Event(place as u64 + 1)),
            None if self.trace_hash != recorded.trace_hash => Some(Divergence::End),
            None => None,
        }
    }
}

/// The number of events and the hash of them all, from `1, 9 events, trace 0af3…` and the end of the line.
fn head_of(rest: &str) -> Option<(usize, u128)> {
    let mut parts = rest.strip_suffix('\n')?.split(", ").skip(1);
    let count = parts.next()?.strip_suffix(" events")?.parse().ok()?;
    let hash = parts.next()?.strip_prefix("trace ").filter(|digits| digits.len() == 32)?;
    let hash = u128::from_str_radix(hash, 16).ok()?;
    parts.next().is_none().then_some((count, hash))
}

fn event_of(line: &str) -> Option<EventHash> {
    let (at, hash) = line.split_once(' ')?;
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hash.len() != 16 || !is_digits(hash) || !is_digits(at) {
        return None;
    }
    Some(EventHash {
        at: Time::from_ns(at.parse().ok()?),
        hash: u64::from_str_radix(hash, 16).ok()?,
    })
}

/// Records a run while it happens.
#[derive(Debug, Default)]
pub struct Recorder {
    events: Vec<EventHash>,
    /// When the event under way happened.
    under_way: Option<Time>,
}

impl Recorder {
    /// The recording of a run that came to this hash.
    #[must_use]
    pub fn finish(mut self, trace_hash: u128) -> Recording {
        self.close(trace_hash);
        Recording { events: self.events, trace_hash }
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    fn close(&mut self, hash: u128) {
        if let Some(at) = self.under_way.take() {
            self.events.push(EventHash { at, hash: hash as u64 });
        }
    }
}

impl Observer<Node> for Recorder {
    fn event_begins(&mut self, now: Time, _: u64, trace: &Trace) {
        if self.under_way.is_some() {
            self.close(trace.hash());
        }
        self.under_way = Some(now);
    }
}

impl Listener for Recorder {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Seed;
    use crate::scenario::Scenario;
    use crate::scenario::draw::Overrides;
    use crate::scenario::run::Runner;

    fn record(scenario: &Scenario) -> Recording {
        let (outcome, recorder) =
            Runner::<Recorder>::default().run_watched(scenario, Recorder::default());
        let recording = recorder.finish(outcome.trace_hash);
        assert_eq!(recording.events.len() as u64, outcome.counters.events);
        let plain = Runner::<()>::default().run(scenario);
        assert_eq!(plain.trace_hash, recording.trace_hash, "recording changes nothing");
        recording
    }

    #[test]
    fn a_recording_is_read_as_it_was_written() {
        let scenario = Scenario::draw(Seed::new(3), &Overrides::default());
        let recording = record(&scenario);
        assert_eq!(Recording::parse(&recording.text()), Ok(recording.clone()));
        assert_eq!(record(&scenario).divergence_from(&recording), None);
    }

    /// One crash, later by a millisecond: all is the same up to the first event after it should have been, and never again.
    #[test]
    fn the_first_event_that_differs_is_named() {
        let overrides = Overrides { replicas: Some(3), ..Overrides::default() };
        let mut scenario = Scenario::draw(Seed::new(1), &overrides);
        scenario.steps.clear();
        let calm = record(&scenario);
        let crash = r#"{"at":"40ms","do":{"crash":{"node":"r0"}}}"#;
        scenario.steps.push(serde_json::from_str(crash).unwrap());
        let crashed = record(&scenario);
        let Some(Divergence::Event(event)) = crashed.divergence_from(&calm) else {
            panic!("a crash leaves a trace")
        };
        let place = usize::try_from(event).unwrap() - 1;
        assert_eq!(crashed.events[..place], calm.events[..place]);
        let (before, after) = (crashed.events[place], crashed.events[place + 1]);
        let crash = Time::from_ns(40_000_000);
        assert!(before.at <= crash && crash <= after.at, "{before:?} {after:?}");
        assert_ne!(after.hash, calm.events[place + 1].hash);
    }

    #[test]
    fn a_run_that_is_longer_or_ends_otherwise_differs_too() {
        let event = |ns, hash| EventHash { at: Time::from_ns(ns), hash };
        let recorded = Recording { events: vec![event(1, 7), event(2, 8)], trace_hash: 9 };
        let mut other = recorded.clone();
        other.trace_hash = 10;
        assert_eq!(other.divergence_from(&recorded), Some(Divergence::End));
        other.events.push(event(3, 9));
        assert_eq!(other.divergence_from(&recorded), Some(Divergence::Event(3)));
        other.events.truncate(1);
        assert_eq!(other.divergence_from(&recorded), Some(Divergence::Event(2)));
        other.events[0].at = Time::from_ns(2);
        assert_eq!(other.divergence_from(&recorded), Some(Divergence::Event(1)));
    }

    #[test]
    fn a_recording_that_is_damaged_is_refused_at_its_line() {
        let event = |ns, hash| EventHash { at: Time::from_ns(ns), hash };
        let whole = Recording { events: vec![event(1, 7), event(22, 8)], trace_hash: 9 }.text();
        let refuse = |text: &str, place: (usize, usize), words: &str| {
            let error = Recording::parse(text).unwrap_err();
            assert_eq!((error.line, error.column), place, "{error}\nin {text}");
            assert!(error.message.contains(words), "{error}\nin {text}");
        };
        refuse("", (1, 1), "an empty file");
        refuse("{}\n", (1, 1), "no recording");
        refuse(&whole.replace("format 1", "format 2"), (1, 29), "format 2");
        refuse(&whole.replace("2 events", "2"), (1, 29), "how many events");
        refuse(&whole.replace("22 ", "22  "), (3, 1), "no event");
        refuse(&whole.replace("22 ", "2x "), (3, 1), "no event");
        refuse(&format!("{whole}3 0000000000000009\n"), (4, 1), "more than the 2 events");
        // Cut anywhere, it is refused.
        for end in 0..whole.len() {
            assert!(Recording::parse(&whole[..end]).is_err(), "{end}");
        }
        refuse(&whole[..whole.len() - 1], (3, 20), "in the middle of a line");
        refuse(&whole[..whole.len() - 20], (3, 1), "ends too early: 1 of 2 events");
    }
}
