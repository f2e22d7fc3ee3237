//! One operation a line, as a JSON object, in any order.

use super::{Builder, Function, Lines, ReadError, ReadErrorKind, ReadOptions, Recording, shorten};
use crate::{Completion, KeyValueCall, KeyValueInput, KeyValueOutput, Operation, Symbol, Symbols};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::BufRead;

/// Reads lines such as
///
/// ```json
/// {"process":4,"f":"cas","key":"k0","value":["3","9"],"call":12,"return":40,"output":true}
/// ```
///
/// `f` is get (read), put (write), append, delete or cas. `value` is what is written; `[expected, new]` for a cas, where
/// `expected` may be null for an absent key; missing for get and delete. Values and keys are strings or integers; a missing
/// key is a register without a name. `return` and `output` are missing for a pending operation. `output` is, for a get, the
/// value or null for absent; for a cas `true`, `false`, or `{"ok":false,"was":value}`; for the others null. A delete may
/// answer, and a get that found nothing may carry, a `version` that tells one absence from another. Empty lines are
/// skipped; unknown fields are refused, since a misspelt `return` would make an operation pending.
///
/// # Errors
/// The first line that is wrong, or the later of two lines that contradict each other.
pub fn jsonl(reader: impl BufRead, options: &ReadOptions) -> Result<Recording, ReadError> {
    let mut builder = Builder::new(options);
    let mut lines = Lines::new(reader, options.line_bytes_max);
    loop {
        let number = lines.number + 1;
        let fail = |kind| ReadError { line: number, kind };
        let Some(line) = lines.next()? else {
            return builder.finish(lines.number.saturating_sub(1), None);
        };
        if line.trim_ascii().is_empty() {
            continue;
        }
        add(&mut builder, number, line).map_err(fail)?;
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Line<'a> {
    id: Option<u64>,
    process: u64,
    #[serde(borrow)]
    f: Cow<'a, str>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    call: i64,
    #[serde(rename = "return")]
    returned: Option<i64>,
    #[serde(borrow, default, deserialize_with = "present")]
    output: Option<&'a RawValue>,
    version: Option<u64>,
}

/// Keeps a null that is there apart from nothing at all.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed<'a> {
    ok: bool,
    #[serde(borrow, default, deserialize_with = "present")]
    was: Option<&'a RawValue>,
}

fn add(builder: &mut Builder, number: u64, text: &[u8]) -> Result<(), ReadErrorKind> {
    let line: Line<'_> = serde_json::from_slice(text).map_err(|error| at_column(&error))?;
    // Ids in files are not needed; line numbers say more.
    let _ = line.id;
    let function = super::function(&line.f, builder.options.vocabulary)?;
    let symbols = &mut builder.symbols;
    let key = match line.key {
        Some(key) => scalar(symbols, key, "key")?,
        None => symbols.intern(b""),
    };
    let input = KeyValueInput { key, call: call(symbols, function, line.value)? };
    let completion = match (line.returned, line.output) {
        (Some(at), output) => {
            let output = answer(symbols, function, output, line.version)?;
            Some(Completion { at, output })
        }
        (None, None) => None,
        (None, Some(_)) => return Err(ReadErrorKind::syntax("an output without a return")),
    };
    if let Some(completion) = &completion
        && completion.at < line.call
    {
        return Err(ReadErrorKind::History(crate::HistoryError::ReturnBeforeCall {
            id: number,
            call: line.call,
            returned: completion.at,
        }));
    }
    let (process, call) = (line.process, line.call);
    builder.operations.push(Operation { id: number, process, call, input, completion });
    builder.check_size()
}

/// `serde_json` counts lines within one value; ours is the line of the file.
fn at_column(error: &serde_json::Error) -> ReadErrorKind {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    ReadErrorKind::Syntax(format!("column {}: {}", error.column(), shorten_message(text)))
}

fn shorten_message(text: &str) -> String {
    let mut short: String = text.chars().take(200).collect();
    if short.len() < text.len() {
        short.push_str("..");
    }
    short
}

fn call(
    symbols: &mut Symbols,
    function: Function,
    value: Option<&RawValue>,
) -> Result<KeyValueCall, ReadErrorKind> {
    let needed = || ReadErrorKind::syntax("missing field `value`");
    Ok(match function {
        Function::Get | Function::Delete if value.is_some() => {
            return Err(ReadErrorKind::syntax("a get or delete has no value"));
        }
        Function::Get => KeyValueCall::Get,
        Function::Delete => KeyValueCall::Delete,
        Function::Put => KeyValueCall::Put(scalar(symbols, value.ok_or_else(needed)?, "value")?),
        Function::Append => {
            KeyValueCall::Append(scalar(symbols, value.ok_or_else(needed)?, "value")?)
        }
        Function::Cas => {
            let pair: Result<[&RawValue; 2], _> =
                serde_json::from_str(value.ok_or_else(needed)?.get());
            let [expected, new] =
                pair.map_err(|_| ReadErrorKind::syntax("the value of a cas is [expected, new]"))?;
            KeyValueCall::Cas {
                expected: maybe(symbols, expected, "value")?,
                new: scalar(symbols, new, "value")?,
            }
        }
    })
}

fn answer(
    symbols: &mut Symbols,
    function: Function,
    output: Option<&RawValue>,
    version: Option<u64>,
) -> Result<KeyValueOutput, ReadErrorKind> {
    let text = output.map(RawValue::get);
    if version.is_some() && !matches!(function, Function::Get | Function::Delete) {
        return Err(ReadErrorKind::syntax("only absences have a version"));
    }
    match function {
        Function::Get => {
            let output = output.ok_or_else(|| ReadErrorKind::syntax("missing field `output`"))?;
            match (maybe(symbols, output, "output")?, version) {
                (Some(value), None) => Ok(KeyValueOutput::Value(value)),
                (None, None) => Ok(KeyValueOutput::Absent),
                (None, Some(version)) => Ok(KeyValueOutput::AbsentSince(version)),
                (Some(_), Some(_)) => Err(ReadErrorKind::syntax("only absences have a version")),
            }
        }
        Function::Put | Function::Append | Function::Delete => match (text, version) {
            (None | Some("null"), None) => Ok(KeyValueOutput::Done),
            (None | Some("null"), Some(0)) => {
                Err(ReadErrorKind::syntax("version 0 is the absence before all deletes"))
            }
            (None | Some("null"), Some(version)) => Ok(KeyValueOutput::Deleted(version)),
            (Some(other), _) => Err(wrong("output", "null", other)),
        },
        Function::Cas => match text {
            Some("true") => Ok(KeyValueOutput::Swapped),
            Some("false") => Ok(KeyValueOutput::NotSwapped),
            Some(object) if object.starts_with('{') => failed(symbols, object),
            Some(other) => Err(wrong("output", "a bool or an object", other)),
            None => Err(ReadErrorKind::syntax("missing field `output`")),
        },
    }
}

fn failed(symbols: &mut Symbols, object: &str) -> Result<KeyValueOutput, ReadErrorKind> {
    let failed: Failed<'_> = serde_json::from_str(object).map_err(|error| at_column(&error))?;
    match (failed.ok, failed.was) {
        (true, None) => Ok(KeyValueOutput::Swapped),
        (true, Some(_)) => Err(ReadErrorKind::syntax("a swap that worked does not say what was")),
        (false, None) => Ok(KeyValueOutput::NotSwapped),
        (false, Some(was)) => Ok(KeyValueOutput::Was(maybe(symbols, was, "was")?)),
    }
}

fn maybe(
    symbols: &mut Symbols,
    raw: &RawValue,
    field: &str,
) -> Result<Option<Symbol>, ReadErrorKind> {
    if raw.get() == "null" { Ok(None) } else { scalar(symbols, raw, field).map(Some) }
}

/// A string, or an integer as its text.
fn scalar(symbols: &mut Symbols, raw: &RawValue, field: &str) -> Result<Symbol, ReadErrorKind> {
    let text = raw.get();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if text.starts_with('"') {
        let text: Cow<'_, str> =
            serde_json::from_str::<Text<'_>>(text).map_err(|error| at_column(&error))?.0;
        Ok(symbols.intern(text.as_bytes()))
    } else if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        // Minus zero is zero.
        Ok(symbols.intern(if unsigned == "0" { b"0" } else { text.as_bytes() }))
    } else {
        Err(wrong(field, "a string or an integer", text))
    }
}

/// A string that is borrowed when it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn wrong(field: &str, expected: &str, found: &str) -> ReadErrorKind {
    ReadErrorKind::Syntax(format!("{field}: expected {expected}, found {}", shorten(found)))
}
