//! A scenario in sentences, for whoever wants to know what it is about without running it.

use std::fmt::Write as _;

use crate::cluster::words::count;
use crate::faults::{Fault, Gate, Lasts, MomentName, On, Selector, Settled, Step};
use crate::scenario::Scenario;
use crate::scenario::action::Action;

/// What a scenario is called, or where it comes from if it has no title.
#[must_use]
pub fn title(scenario: &Scenario) -> String {
    match scenario.title.as_str() {
        "" => format!("without a title: drawn from seed {}, or like it", scenario.seed.number()),
        title => title.to_owned(),
    }
}

/// The title, the story and the steps.
#[must_use]
pub fn scenario(scenario: &Scenario) -> String {
    let mut text = title(scenario) + "\n\n";
    let mut line = |words: String| {
        text.push_str(words.trim_end());
        text.push('\n');
    };
    for sentence in &scenario.story {
        line(format!("  {sentence}"));
    }
    if !scenario.story.is_empty() {
        line(String::new());
    }
    let cluster = &scenario.cluster;
    let asked = scenario.workload.map_or_else(
        || "ask for nothing by themselves".to_owned(),
        |workload| format!("ask for {} operations", count(workload.requests.into())),
    );
    let (replicas, clients) = (cluster.replicas, cluster.clients);
    line(format!(
        "  {replicas} replicas; {clients} clients that {asked}; {} at most",
        scenario.duration
    ));
    if !scenario.fates.is_empty() {
        line(format!("  {} packets have bad luck that is listed", scenario.fates.len()));
    }
    if !scenario.steps.is_empty() {
        line(String::new());
    }
    for (place, told) in scenario.steps.iter().enumerate() {
        line(format!("  {:>2}. {}", place + 1, step(told)));
    }
    line(format!("\n  expect {}", scenario.expect));
    for state in &scenario.expect.states {
        line(format!("  in the end {state}"));
    }
    text
}

/// A step: when, what, for how long, and why.
#[must_use]
pub fn step(step: &Step<Action>) -> String {
    let mut text = match step.gate {
        Gate::Start => String::new(),
        Gate::At(at) => format!("at {at}"),
        Gate::After(span) if span.as_ns() == 0 => "then".to_owned(),
        Gate::After(span) => format!("{span} later"),
        Gate::Settled(Settled::Answered) => "when all is answered".to_owned(),
        Gate::Settled(Settled::Quiet) => "when all is quiet".to_owned(),
    };
    if let Some(on) = &step.on {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&format!("when {}", self::on(on)));
    }
    text.push_str(": ");
    text.push_str(&match &step.action {
        Action::Fault(fault) => self::fault(fault),
        Action::Request(request) => request.to_string(),
        Action::Expect(expectation) => format!("expect {expectation}"),
    });
    match &step.lasts {
        Lasts::On => {}
        // Writing to a string never fails.
        Lasts::For(span) => drop(write!(text, ", for {span}")),
        Lasts::Until(until) => drop(write!(text, ", until {}", on(until))),
    }
    if !step.why.is_empty() {
        text.push_str(&format!(" ({})", step.why));
    }
    text
}

fn on(on: &On) -> String {
    let kind = on.kind.as_deref().unwrap_or_default();
    let who = on.node.as_ref().map_or("somebody", Selector::word);
    let peer = |preposition: &str| {
        on.peer.as_ref().map_or_else(String::new, |peer| format!(" {preposition} {peer}"))
    };
    let mut text = match on.moment {
        MomentName::Sent => format!("{who} sends a {kind}{}", peer("to")),
        MomentName::Delivered => format!("{who} gets a {kind}{}", peer("from")),
        MomentName::WriteStarted => format!("{who} begins to write {kind}"),
        MomentName::WriteEnded => format!("{who} has written {kind}"),
        MomentName::Event => format!("{who} says {kind}"),
        MomentName::Booted => format!("{who} starts"),
        MomentName::Crashed => format!("{who} crashes"),
    };
    if let Some(identity) = on.identity {
        text.push_str(&format!(" about {identity}"));
    }
    if on.nth > 1 {
        text.push_str(&format!(" for time {}", on.nth));
    }
    text
}

/// A fault: its name, and what it is done to.
fn fault(fault: &Fault) -> String {
    let mut text = fault.name().to_owned();
    let Ok(serde_json::Value::Object(words)) = serde_json::to_value(fault) else { return text };
    for (name, value) in words.values().filter_map(serde_json::Value::as_object).flatten() {
        text.push(' ');
        text.push_str(&match name.as_str() {
            "node" | "nodes" | "sides" => value_in_words(value),
            _ => format!("{name} {}", value_in_words(value)),
        });
    }
    text
}

fn value_in_words(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_array) && !items.is_empty() => {
            let sides: Vec<String> =
                items.iter().map(|side| format!("{{{}}}", value_in_words(side))).collect();
            sides.join(" | ")
        }
        Value::Array(items) => items.iter().map(value_in_words).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => {
            let parts =
                fields.iter().map(|(name, value)| format!("{name} {}", value_in_words(value)));
            parts.collect::<Vec<_>>().join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::file;

    #[test]
    fn a_scenario_reads_as_a_story() {
        let text = r#"{
            "format": 1, "title": "A wish.", "story": ["Somebody wishes.", "Nobody hears."],
            "cluster": { "replicas": 3, "clients": 2 }, "duration": "5s",
            "steps": [
                { "at": "1s", "do": { "partition": { "sides": [["r0", "r1"], ["r2"]] } }, "for": "30ms", "why": "apart" },
                { "on": { "moment": "delivered", "kind": "Prepare", "node": "r1", "peer": "primary", "identity": 9, "nth": 2 }, "do": { "crash": { "node": "subject" } }, "until": { "moment": "event", "kind": "Voted" } },
                { "after": "0ns", "do": { "hold": { "from": "r0", "to": "all", "kinds": ["Commit", "Prepare"] } } },
                { "after": "2ms", "on": { "moment": "booted" }, "do": { "skew": { "node": "r0", "ppm": -7 } } },
                { "settled": "answered", "do": { "request": { "from": "c0", "operation": "put k0 7" } } },
                { "settled": "quiet", "do": { "expect": { "nodes": "replicas", "view": 1 } } }
            ],
            "expect": { "verdict": "pass", "states": [{ "nodes": "c0", "answer": "done" }] }
        }"#;
        let expected = "\
A wish.

  Somebody wishes.
  Nobody hears.

  3 replicas; 2 clients that ask for nothing by themselves; 5s at most

   1. at 1.000000s: partition {r0 r1} | {r2}, for 30ms (apart)
   2. when r1 gets a Prepare from primary about 9 for time 2: crash subject, until somebody says Voted
   3. then: hold from r0 kinds Commit Prepare to all
   4. 2ms later, when somebody starts: skew r0 ppm -7
   5. when all is answered: c0 asks put k0 7
   6. when all is quiet: expect replicas: view 1

  expect pass
  in the end c0: answer done
";
        assert_eq!(scenario(&file::parse(text).unwrap()), expected);
    }
}
