//! Operations of the key-value store as text: what [`words::operation`](crate::cluster::words::operation) prints is what is read here.
//!
//! An operation is one of these, in which a value is a word without spaces, or a JSON string where it is empty or has any:
//!
//! ```text
//! get KEY
//! put KEY VALUE
//! append KEY VALUE
//! delete KEY
//! swap KEY VALUE for VALUE
//! ```
//!
//! A long value is printed cut short, as its beginning and its size: `c0.1;xxxxxxxxxxx…(5000 bytes)`. Read back, it is filled up
//! with its last letter, which is how a story asks for a large value, and what workloads fill theirs with.

use std::fmt;

use super::{KEY_SIZE_MAX, Operation};

/// The most bytes that a value may be filled up to.
const FILLED_SIZE_MAX: usize = 1 << 20;

/// Why text is no operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrammarError {
    /// It begins with a word that names none.
    Unknown(String),
    /// It ends where this should follow.
    Missing(&'static str),
    /// This should follow where something else does.
    Unexpected(&'static str, String),
    /// Something follows after its end.
    More(String),
    /// A JSON string that is none.
    Quoted(String),
    /// A size that a value cannot be filled up to.
    Filled(String),
    /// A key of so many bytes.
    LongKey(usize),
}

impl fmt::Display for GrammarError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(
                formatter,
                "no operation is called `{word}`: there are get, put, append, delete and swap"
            ),
            Self::Missing(what) => {
                write!(formatter, "an operation that ends where {what} should follow")
            }
            Self::Unexpected(what, text) => {
                write!(formatter, "`{text}` stands where {what} should")
            }
            Self::More(text) => write!(formatter, "an operation that is complete before `{text}`"),
            Self::Quoted(why) => write!(formatter, "a quoted value that is no JSON string: {why}"),
            Self::Filled(text) => write!(
                formatter,
                "`{text}` is no size that a value can be filled up to, such as `x…(5000 bytes)`"
            ),
            Self::LongKey(size) => {
                write!(formatter, "a key of {size} bytes: it has {KEY_SIZE_MAX} at most")
            }
        }
    }
}

impl std::error::Error for GrammarError {}

/// The bytes of the operation that `text` says.
///
/// # Errors
///
/// Why it is none.
pub fn parse(text: &str) -> Result<Vec<u8>, GrammarError> {
    let mut reader = Reader { rest: text };
    let name = reader.word();
    if !["get", "put", "append", "delete", "swap"].contains(&name) {
        return Err(GrammarError::Unknown(name.to_owned()));
    }
    let key = reader.value("a key")?;
    if key.len() > KEY_SIZE_MAX {
        return Err(GrammarError::LongKey(key.len()));
    }
    let key = key.as_slice();
    let mut bytes = Vec::new();
    match name {
        "get" => Operation::Get { key }.encode(&mut bytes),
        "delete" => Operation::Delete { key }.encode(&mut bytes),
        "put" => {
            let value = &reader.value("a value")?;
            Operation::Put { key, value }.encode(&mut bytes);
        }
        "append" => {
            let suffix = &reader.value("a value")?;
            Operation::Append { key, suffix }.encode(&mut bytes);
        }
        _ => {
            let expected = &reader.value("the value that is expected")?;
            reader.exactly("for")?;
            let new = &reader.value("the new value")?;
            Operation::Swap { key, expected, new }.encode(&mut bytes);
        }
    }
    match reader.rest.trim_start_matches(' ') {
        "" => Ok(bytes),
        more => Err(GrammarError::More(more.to_owned())),
    }
}

/// The rest of the text that is read.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// The next word; empty at the end.
    fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start_matches(' ');
        let end = rest.find(' ').unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    fn exactly(&mut self, word: &'static str) -> Result<(), GrammarError> {
        match self.word() {
            "" => Err(GrammarError::Missing(word)),
            other if other == word => Ok(()),
            other => Err(GrammarError::Unexpected(word, other.to_owned())),
        }
    }

    fn value(&mut self, what: &'static str) -> Result<Vec<u8>, GrammarError> {
        self.rest = self.rest.trim_start_matches(' ');
        if self.rest.is_empty() {
            return Err(GrammarError::Missing(what));
        }
        let mut text = String::new();
        if self.rest.starts_with('"') {
            let mut strings = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
            text = match strings.next() {
                Some(Ok(text)) => text,
                Some(Err(error)) => return Err(GrammarError::Quoted(error.to_string())),
                None => return Err(GrammarError::Missing(what)),
            };
            self.rest = &self.rest[strings.byte_offset()..];
            if !self.rest.is_empty() && !self.rest.starts_with([' ', '…']) {
                return Err(GrammarError::Unexpected("a space", self.word().to_owned()));
            }
        } else {
            let end = self.rest.find([' ', '…']).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            text.push_str(word);
            self.rest = rest;
        }
        let mut bytes = text.into_bytes();
        if self.rest.starts_with('…') {
            self.fill(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Fills `bytes` up with the last of them, as `…(5000 bytes)` says.
    fn fill(&mut self, bytes: &mut Vec<u8>) -> Result<(), GrammarError> {
        let end = self.rest.find(')').map_or(self.rest.len(), |place| place + 1);
        let (told, rest) = self.rest.split_at(end);
        self.rest = rest;
        let size = told.strip_prefix("…(").and_then(|told| told.strip_suffix(" bytes)"));
        let size = size.and_then(|size| size.parse::<usize>().ok());
        let is_apart = rest.is_empty() || rest.starts_with(' ');
        match (size, bytes.last()) {
            (Some(size), Some(last))
                if last.is_ascii()
                    && is_apart
                    && (bytes.len()..=FILLED_SIZE_MAX).contains(&size) =>
            {
                bytes.resize(size, *last);
                Ok(())
            }
            _ => Err(GrammarError::Filled(told.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::key_value::Answer;
    use crate::cluster::key_value::script::KeyValueScript;
    use crate::cluster::service::{Assignment, Script as _};
    use crate::cluster::words;
    use crate::cluster::workload::Workload;
    use crate::engine::random::Seed;

    #[test]
    fn what_is_printed_is_read_back() {
        for text in [
            "get k0",
            "put k0 7",
            "append k0 a-b,c",
            "delete k12",
            "swap k0 old for new",
            "swap for for for for",
            r#"put k0 """#,
            r#"put "a b" "say \"no\"""#,
            "put k0 xxxxxxxxxxxxxxxx…(5000 bytes)",
            r#"append k0 "a bbbbbbbbbbbbbb"…(40 bytes)"#,
        ] {
            let bytes = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(words::operation(&bytes), text);
        }
        assert_eq!(parse("  put   k0  7 "), parse("put k0 7"));
        assert_eq!(parse("put k0 ab…(5 bytes)"), parse("put k0 abbbb"));
    }

    #[test]
    fn what_workloads_ask_for_is_read_back_from_what_is_printed() {
        let workload = Workload { large_ppm: 300_000, ..Workload::default() };
        let (seed, body_size_max) = (Seed::new(3), 7_936);
        let assignment = Assignment { workload, seed, client: 1, body_size_max };
        let mut script = KeyValueScript::new(&assignment);
        for number in 0..500 {
            let (mut asked, mut answer) = (Vec::new(), Vec::new());
            Operation::Get { key: b"k1" }.encode(&mut asked);
            Answer::Value(Some(b"c0.7;")).encode(&mut answer);
            script.answered(&asked, &answer);
            let mut bytes = Vec::new();
            script.operation(number, &mut bytes);
            assert_eq!(parse(&words::operation(&bytes)), Ok(bytes), "operation {number}");
        }
    }

    #[test]
    fn what_is_no_operation_says_why() {
        for (text, words) in [
            ("", "no operation is called ``"),
            ("fetch k0", "no operation is called `fetch`"),
            ("get", "a key should follow"),
            ("put k0", "a value should follow"),
            ("get k0 k1", "complete before `k1`"),
            ("swap k0 1 2", "`2` stands where for should"),
            ("swap k0 1", "for should follow"),
            ("put k0 \"x", "no JSON string"),
            ("put k0 \"x\"y", "`y` stands where a space should"),
            ("put k0 x…(many bytes)", "no size"),
            ("put k0 xxx…(2 bytes)", "no size"),
            ("put k0 …(2 bytes)", "no size"),
            ("put k0 x…(99999999999 bytes)", "no size"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        let long = "k".repeat(256);
        assert_eq!(parse(&format!("get {long}")), Err(GrammarError::LongKey(256)));
    }
}
