//! What a step of a scenario does: a fault, a request of a client, or a look whether all is as it should be.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserializer, EnumAccess, Error, IntoDeserializer as _, VariantAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use super::expectation::Expectation;
use crate::faults::{Fault, Selector};

/// What a step does. In a file all of them are objects with one field, the name of what is done: `{"crash": {"node": "r0"}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something goes wrong.
    Fault(Fault),
    /// A client is asked to ask for something.
    Request(Request),
    /// Something must be so at this moment.
    Expect(Expectation),
}

/// One operation that clients are to ask for, once each.
///
/// A client asks for it when everything that it had to ask for before is answered: its share of the workload, and the requests of
/// earlier steps. One that is down does so when it is back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Which clients.
    pub from: Selector,
    /// The operation, in the words in which traces show it: `put k0 7`, `swap k0 7 for 8`.
    pub operation: String,
}

impl Action {
    /// The names of all actions: those of faults, then the others.
    pub const NAMES: [&'static str; Fault::NAMES.len() + 2] = {
        let mut names = ["request"; Fault::NAMES.len() + 2];
        let mut place = 0;
        while place < Fault::NAMES.len() {
            names[place] = Fault::NAMES[place];
            place += 1;
        }
        names[place + 1] = "expect";
        names
    };

    /// The name, as in scenarios.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.name(),
            Self::Request(_) => "request",
            Self::Expect(_) => "expect",
        }
    }

    /// The fault, if it is one.
    #[must_use]
    pub const fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::Request(_) | Self::Expect(_) => None,
        }
    }

    /// The fault, if it is one, to be changed.
    pub const fn fault_mut(&mut self) -> Option<&mut Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::Request(_) | Self::Expect(_) => None,
        }
    }

    /// Whether a run in which it never has its time has not done what the scenario says.
    ///
    /// Faults are drawn for moments that may never come; a request or an expectation is always meant.
    #[must_use]
    pub const fn must_happen(&self) -> bool {
        match self {
            Self::Fault(_) => false,
            Self::Request(_) | Self::Expect(_) => true,
        }
    }
}

impl From<Fault> for Action {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asks = if self.from.word().ends_with('s') { "ask" } else { "asks" };
        write!(formatter, "{} {asks} {}", self.from, self.operation)
    }
}

/// Faults as they are by themselves, the others beside them.
impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fault(fault) => fault.serialize(serializer),
            Self::Request(request) => {
                serializer.serialize_newtype_variant("Action", 0, "request", request)
            }
            Self::Expect(expectation) => {
                serializer.serialize_newtype_variant("Action", 1, "expect", expectation)
            }
        }
    }
}

/// By the name and then straight on, so that an error is found where it stands.
impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Action", &Self::NAMES, ActionVisitor)
    }
}

/// What faults may be, and the others beside them.
impl JsonSchema for Action {
    fn schema_name() -> Cow<'static, str> {
        "Action".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Fault::json_schema(generator);
        let others = [
            ("request", generator.subschema_for::<Request>()),
            ("expect", generator.subschema_for::<Expectation>()),
        ];
        let variants = schema.get_mut("oneOf").and_then(Value::as_array_mut);
        let variants = variants.expect("a fault is one of several");
        for (name, content) in others {
            variants.push(json!({
                "type": "object",
                "properties": { name: content },
                "required": [name],
                "additionalProperties": false,
            }));
        }
        let words = "What a step does: an object with one field, the name of what is done.";
        schema.insert("description".to_owned(), words.into());
        schema
    }
}

struct ActionVisitor;

impl<'de> Visitor<'de> for ActionVisitor {
    type Value = Action;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a fault, a request or an expectation")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Action, A::Error> {
        let (name, content) = data.variant::<Name>()?;
        match name.0 {
            "request" => content.newtype_variant().map(Action::Request),
            "expect" => content.newtype_variant().map(Action::Expect),
            fault => Fault::deserialize(Named { name: fault, content }).map(Action::Fault),
        }
    }
}

/// One of [`Action::NAMES`].
struct Name(&'static str);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of an action")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                let known = Action::NAMES.into_iter().find(|name| *name == text);
                known.map(Name).ok_or_else(|| E::unknown_variant(text, &Action::NAMES))
            }
        }
        deserializer.deserialize_identifier(Text)
    }
}

/// An enum whose variant's name was read already.
struct Named<A> {
    name: &'static str,
    content: A,
}

impl<'de, A: VariantAccess<'de>> Deserializer<'de> for Named<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: VariantAccess<'de>> EnumAccess<'de> for Named<A> {
    type Error = A::Error;
    type Variant = A;

    fn variant_seed<V: serde::de::DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, A), A::Error> {
        Ok((seed.deserialize(self.name.into_deserializer())?, self.content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_actions_share_one_space_of_names() {
        for text in [
            r#"{"crash":{"node":"r0"}}"#,
            r#"{"heal":{}}"#,
            r#"{"request":{"from":"c0","operation":"put k0 7"}}"#,
            r#"{"expect":{"nodes":"backup1","status":"normal","view":1,"commit":3}}"#,
        ] {
            let action: Action = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&action).unwrap(), text);
            assert!(text.contains(action.name()));
        }
        let names: std::collections::BTreeSet<&str> = Action::NAMES.into_iter().collect();
        assert_eq!(names.len(), Action::NAMES.len());
        assert!(names.contains("request") && names.contains("expect"));
    }

    #[test]
    fn what_is_no_action_is_refused_by_name() {
        for (text, words) in [
            (r#"{"explode":{}}"#, "unknown variant `explode`, expected one of `crash`"),
            (r#"{"request":{"from":"c0"}}"#, "missing field `operation`"),
            (
                r#"{"request":{"from":"c0","operation":"get k0","twice":true}}"#,
                "unknown field `twice`",
            ),
            (r#"{"crash":{"node":"r0","hard":true}}"#, "unknown field `hard`"),
            (r#"{"expect":{"status":"fine"}}"#, "unknown variant `fine`"),
        ] {
            let error = serde_json::from_str::<Action>(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
