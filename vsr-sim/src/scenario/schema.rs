//! The JSON Schema of scenarios: made from the types, and then told the names that only the protocol knows.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use super::{FORMAT, Scenario};
use crate::cluster::event::is_about_something;
use crate::cluster::node::Node;
use crate::cluster::packet::PACKET_KINDS;
use crate::engine::Process as _;

/// The schema of a scenario whose clients ask the key-value store.
///
/// What it refuses is no scenario. What it accepts may still be none: that nodes exist, that rates add up and that a step's time can
/// come is looked at by the reader alone.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let mut schema = generator.into_root_schema_for::<Scenario>().to_value();
    name_words(&mut schema);
    speak_plainly(&mut schema);
    schema
}

/// The only format.
pub(super) fn format(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "description": "The version of the format.", "const": FORMAT })
}

/// Puts the names of the protocol where the types have nothing but strings.
fn name_words(schema: &mut Value) {
    let definitions = schema["$defs"].as_object_mut().expect("a schema has definitions");
    definitions.insert("Selector".to_owned(), selector());
    definitions.insert("On".to_owned(), on());
    let step = definitions.iter_mut().find(|(name, _)| name.starts_with("Step"));
    let (_, step) = step.expect("a scenario has steps");
    limit_step(step);
    let fate = &mut definitions["NamedFate"]["properties"];
    fate["kind"] = json!({ "enum": PACKET_KINDS });
    for end in ["from", "to"] {
        fate[end] = json!({ "description": "A single node.", "type": "string", "pattern": format!("^{NUMBERED}$") });
    }
    let commits = &mut definitions["Expectation"]["properties"]["commits"];
    commits["propertyNames"] = json!({ "$ref": "#/$defs/Selector" });
    let variants =
        definitions["Action"]["oneOf"].as_array_mut().expect("an action is one of several");
    for variant in variants {
        let contents = variant["properties"].as_object_mut().into_iter().flat_map(Map::values_mut);
        for content in contents {
            if let Some(fields) = content.get_mut("properties").and_then(Value::as_object_mut) {
                name_fields(fields);
            }
        }
    }
}

fn name_fields(fields: &mut Map<String, Value>) {
    if let Some(zone) = fields.get_mut("zone") {
        *zone = json!({ "enum": Node::ZONES });
    }
    if let Some(kind) = fields.get_mut("kind") {
        *kind = json!({ "enum": PACKET_KINDS });
    }
    if let Some(kinds) = fields.get_mut("kinds") {
        kinds["items"] = json!({ "enum": PACKET_KINDS });
    }
}

/// A replica or a client by number, as [`crate::cluster::selector::Words`] knows it.
const NUMBERED: &str = "(r0*[0-6]|c0*[0-9]{1,2})";

/// A word that stands for nodes.
fn selector() -> Value {
    let words = "primary|backup1?|busy|replicas?|clients?|subject|peer|all";
    let number = "n0*([0-9]|[1-9][0-9]|1[01][0-9]|12[0-7])";
    json!({
        "description": "Nodes by role or by number: r0, primary, backup1, replicas, c0, clients, all, subject; `busy-` before it means those of them that are at work.",
        "type": "string",
        "pattern": format!("^(busy-)?({words}|{NUMBERED}|{number})$"),
    })
}

/// What a step may wait for: the names of kinds, and what else may be said, depend on the moment.
fn on() -> Value {
    let kinds_that = |are_about: bool| -> Vec<&str> {
        let kinds = Node::EVENT_KINDS.iter().enumerate();
        kinds
            .filter(|(place, _)| is_about_something(*place) == are_about)
            .map(|(_, kind)| *kind)
            .collect()
    };
    let (numbered, others) = (kinds_that(true), kinds_that(false));
    let packet = "A packet of this kind: `node` is its sender when it is sent, its receiver when it is delivered, `peer` the other end; `identity` is the operation, view or session that it is about.";
    json!({
        "description": "Something to be seen in a world.",
        "oneOf": [
            moment(packet, &["sent", "delivered"], Some(PACKET_KINDS), &["peer", "identity"]),
            moment("A write to this zone of a disk.", &["write-started", "write-ended"], Some(Node::ZONES), &[]),
            moment("A node says this of itself; `identity` is the operation, view or session that it speaks of.", &["event"], Some(&numbered), &["identity"]),
            moment("A node says this of itself.", &["event"], Some(&others), &[]),
            moment("A node starts, or is gone.", &["booted", "crashed"], None, &[]),
        ],
    })
}

/// Moments of these names, whose kinds are these if they have any, and of which these further fields may be told.
fn moment(words: &str, names: &[&str], kinds: Option<&[&str]>, further: &[&str]) -> Value {
    let selector = json!({ "anyOf": [{ "$ref": "#/$defs/Selector" }, { "type": "null" }] });
    let number = json!({ "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX });
    let nothing = json!({ "type": "null" });
    let may = |field: &str, schema: &Value| {
        if further.contains(&field) { schema.clone() } else { nothing.clone() }
    };
    let nth = json!({
        "description": "The how manieth time, counted from one.",
        "type": "integer",
        "minimum": 1,
        "maximum": u32::MAX,
        "default": 1,
    });
    let kind = kinds.map_or_else(|| nothing.clone(), |kinds| json!({ "enum": kinds }));
    let required = if kinds.is_some() { vec!["moment", "kind"] } else { vec!["moment"] };
    json!({
        "description": words,
        "type": "object",
        "properties": {
            "moment": { "enum": names },
            "kind": kind,
            "node": selector,
            "peer": may("peer", &selector),
            "identity": may("identity", &number),
            "nth": nth,
        },
        "required": required,
        "additionalProperties": false,
    })
}

/// A step begins in one way, and ends in one way.
fn limit_step(step: &mut Value) {
    let needs = |field: &str| json!({ "required": [field] });
    let both = |one: &str, other: &str| json!({ "not": { "required": [one, other] } });
    step["anyOf"] = ["at", "after", "settled", "on"].map(needs).into_iter().collect();
    step["allOf"] = json!([
        both("at", "after"),
        both("at", "settled"),
        both("after", "settled"),
        both("for", "until"),
    ]);
}

/// Takes the brackets of links in comments of the code away from descriptions.
fn speak_plainly(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(words)) = fields.get_mut("description") {
                *words = words.replace("[`", "`").replace("`]", "`").replace('\n', " ");
            }
            fields.values_mut().for_each(speak_plainly);
        }
        Value::Array(items) => items.iter_mut().for_each(speak_plainly),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
