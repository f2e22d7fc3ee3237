//! The two formats of the logs that Porcupine is tested with.

use super::edn::{Reading, read};
use super::{Builder, Function, Lines, ReadError, ReadErrorKind, ReadOptions, Recording, shorten};
use crate::{KeyValueCall, KeyValueInput, KeyValueOutput};
use std::io::{self, BufRead, Read as _};

/// Reads either of Porcupine's formats; which it is shows in the first byte.
///
/// Lines such as `INFO  jepsen.util - 2 :ok :cas [3 0]` tell of a register in etcd. Here a failed swap is an observation
/// (the value was another), a read that failed says nothing, and `:info` leaves its operation pending. Reads may answer
/// nil before the first write.
///
/// Maps such as `{:process 0, :type :ok, :f :append, :key "4", :value "x"}` tell of a key-value store, in which an absent
/// key and an empty one are the same, and are read as absent.
///
/// # Errors
/// The first line that is wrong.
pub fn porcupine(mut reader: impl BufRead, options: &ReadOptions) -> Result<Recording, ReadError> {
    let mut head = Vec::new();
    let fail = |error: io::Error| ReadError { line: 1, kind: error.into() };
    // Space before the first line is put back, so that lines keep their numbers.
    while head.last().is_none_or(u8::is_ascii_whitespace) && head.len() < options.line_bytes_max {
        let mut byte = [0];
        if reader.read(&mut byte).map_err(fail)? == 0 {
            break;
        }
        head.push(byte[0]);
    }
    let is_map = matches!(head.last(), Some(b'{' | b'[' | b'(' | b';' | b'#'));
    let reader = io::BufReader::new(io::Cursor::new(head).chain(reader));
    if is_map {
        return read(reader, options, Reading { registers: false, empty_is_absent: true });
    }
    let mut builder = Builder::new(options);
    let mut lines = Lines::new(reader, options.line_bytes_max);
    loop {
        let number = lines.number + 1;
        let fail = |kind| ReadError { line: number, kind };
        let Some(line) = lines.next()? else {
            return builder.finish(lines.number.saturating_sub(1), None);
        };
        let Ok(line) = std::str::from_utf8(line) else {
            return Err(fail(ReadErrorKind::syntax("not UTF-8")));
        };
        if !line.trim().is_empty() {
            add(&mut builder, number, line).map_err(fail)?;
        }
    }
}

fn add(builder: &mut Builder, number: u64, line: &str) -> Result<(), ReadErrorKind> {
    let malformed = || {
        ReadErrorKind::Syntax(format!(
            "expected `INFO  jepsen.util - process :type :f value`, found {:?}",
            shorten(line)
        ))
    };
    let (_, rest) = line.split_once(" - ").ok_or_else(malformed)?;
    let mut words = rest.split_ascii_whitespace();
    let mut word = || words.next().ok_or_else(malformed);
    let (process, kind, name) = (word()?, word()?, word()?);
    if process.starts_with(':') {
        return Ok(());
    }
    let process: u64 = process.parse().map_err(|_| malformed())?;
    let name = name.strip_prefix(':').ok_or_else(malformed)?;
    let function = super::function(name, builder.options.vocabulary)?;
    let value: Vec<&str> = words.collect();
    match kind {
        ":invoke" => {
            let input = input(builder, function, &value).ok_or_else(malformed)?;
            builder.invoke(number, process, input)
        }
        ":info" => Ok(()),
        ":ok" | ":fail" => {
            let Some(call) = builder.waiting(process) else {
                return builder.close(process).map(|_| ());
            };
            match (call, kind) {
                (KeyValueCall::Cas { .. }, ":ok") => {
                    builder.complete(process, KeyValueOutput::Swapped)
                }
                (KeyValueCall::Cas { .. }, _) if value != [":timed-out"] => {
                    builder.complete(process, KeyValueOutput::NotSwapped)
                }
                (KeyValueCall::Get, ":ok") => {
                    let output = match value[..] {
                        ["nil"] => KeyValueOutput::Absent,
                        [text] => KeyValueOutput::Value(builder.symbols.intern(text.as_bytes())),
                        _ => return Err(malformed()),
                    };
                    builder.complete(process, output)
                }
                (KeyValueCall::Get, _) => builder.discard(process),
                (KeyValueCall::Put(_) | KeyValueCall::Append(_) | KeyValueCall::Delete, ":ok") => {
                    builder.complete(process, KeyValueOutput::Done)
                }
                // It may have happened or not, now or later.
                (
                    KeyValueCall::Cas { .. }
                    | KeyValueCall::Put(_)
                    | KeyValueCall::Append(_)
                    | KeyValueCall::Delete,
                    _,
                ) => Ok(()),
            }
        }
        _ => Err(malformed()),
    }
}

fn input(builder: &mut Builder, function: Function, value: &[&str]) -> Option<KeyValueInput> {
    let key = builder.symbols.intern(b"");
    let mut intern = |text: &str| builder.symbols.intern(text.as_bytes());
    let call = match (function, value) {
        (Function::Get, ["nil"]) => KeyValueCall::Get,
        (Function::Put, [text]) => KeyValueCall::Put(intern(text)),
        (Function::Append, [text]) => KeyValueCall::Append(intern(text)),
        (Function::Delete, ["nil"]) => KeyValueCall::Delete,
        (Function::Cas, [expected, new]) => {
            let expected = expected.strip_prefix('[')?;
            KeyValueCall::Cas {
                expected: (expected != "nil").then(|| intern(expected)),
                new: intern(new.strip_suffix(']')?),
            }
        }
        (
            Function::Get | Function::Put | Function::Append | Function::Delete | Function::Cas,
            _,
        ) => {
            return None;
        }
    };
    Some(KeyValueInput { key, call })
}
