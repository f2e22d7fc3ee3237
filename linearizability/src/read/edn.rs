//! Jepsen's histories: maps of EDN, one for each call and each return, bare or in one vector.

mod form;

pub(super) use form::{Form, Forms};

use super::{
    Builder, Function, ReadError, ReadErrorKind, ReadOptions, Recording, Vocabulary, shorten,
};
use crate::{KeyValueCall, KeyValueInput, KeyValueOutput, Symbol, Symbols};
use std::io::BufRead;

/// Reads maps such as `{:process 3, :type :ok, :f :cas, :value [1 2]}`, as Knossos does.
///
/// `:invoke` opens an operation of its process and `:ok` completes it; `:fail` means that it did not happen; `:info` leaves
/// it pending, and is skipped when the process has nothing open. Processes that are no numbers (the nemesis) are skipped.
/// The order of the maps is the order of time. Registers start at 0, and a read that answers nil says nothing. With keys
/// (a `:key`, or a `:value` of `[key value]` for the key-value vocabulary) everything starts absent and nil is absent.
///
/// # Errors
/// The first form that is wrong, by the line on which it begins.
pub fn edn(reader: impl BufRead, options: &ReadOptions) -> Result<Recording, ReadError> {
    let registers = options.vocabulary != Vocabulary::KeyValue;
    read(reader, options, Reading { registers, empty_is_absent: false })
}

/// What differs between the formats that are EDN.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// A register that starts at 0, whose nil reads say nothing.
    pub(super) registers: bool,
    /// The empty string stands for an absent key.
    pub(super) empty_is_absent: bool,
}

pub(super) fn read(
    reader: impl BufRead,
    options: &ReadOptions,
    reading: Reading,
) -> Result<Recording, ReadError> {
    let mut builder = Builder::new(options);
    let mut forms = Forms::new(reader, options.line_bytes_max);
    while let Some((line, form)) = forms.next_map()? {
        let fail = |kind| ReadError { line, kind };
        add(&mut builder, line, &form, reading).map_err(fail)?;
    }
    builder.finish(forms.line(), reading.registers.then_some("0"))
}

fn add(
    builder: &mut Builder,
    line: u64,
    form: &Form,
    reading: Reading,
) -> Result<(), ReadErrorKind> {
    let process = match form.field("process") {
        Some(Form::Integer(text)) => match text.parse::<u64>() {
            Ok(process) => process,
            Err(_) => return Err(ReadErrorKind::Syntax(format!("process {}", shorten(text)))),
        },
        Some(Form::Keyword(_)) => return Ok(()),
        Some(_) => return Err(ReadErrorKind::syntax("a process is a number or a keyword")),
        None => return Err(ReadErrorKind::syntax("missing :process")),
    };
    let Some(Form::Keyword(kind)) = form.field("type") else {
        return Err(ReadErrorKind::syntax("missing :type, or it is no keyword"));
    };
    match kind.as_str() {
        "invoke" => {
            let input = input(builder, form, reading)?;
            builder.invoke(line, process, input)
        }
        "ok" => {
            let Some(call) = builder.waiting(process) else {
                return builder.close(process).map(|_| ());
            };
            match output(&mut builder.symbols, call, form, reading)? {
                Some(output) => builder.complete(process, output),
                None => builder.discard(process),
            }
        }
        "fail" => builder.discard(process),
        // It stays open, for ever.
        "info" => Ok(()),
        other => Err(ReadErrorKind::Syntax(format!("unknown type {:?}", shorten(other)))),
    }
}

fn input(
    builder: &mut Builder,
    form: &Form,
    reading: Reading,
) -> Result<KeyValueInput, ReadErrorKind> {
    let Some(Form::Keyword(name)) = form.field("f") else {
        return Err(ReadErrorKind::syntax("missing :f, or it is no keyword"));
    };
    let function = super::function(name, builder.options.vocabulary)?;
    let symbols = &mut builder.symbols;
    let (key, value) = keyed(form, reading)?;
    let key = match key {
        Some(key) => scalar(symbols, key, ":key")?,
        None => symbols.intern(b""),
    };
    let call = match (function, value) {
        (Function::Get, _) => KeyValueCall::Get,
        (Function::Delete, _) => KeyValueCall::Delete,
        (Function::Put, Form::Text(text)) if reading.empty_is_absent && text.is_empty() => {
            KeyValueCall::Delete
        }
        (Function::Put, value) => KeyValueCall::Put(scalar(symbols, value, ":value")?),
        (Function::Append, value) => KeyValueCall::Append(scalar(symbols, value, ":value")?),
        (Function::Cas, Form::List(pair)) if pair.len() == 2 => KeyValueCall::Cas {
            expected: match pair[0] == Form::Nil {
                true => None,
                false => Some(scalar(symbols, &pair[0], ":value")?),
            },
            new: scalar(symbols, &pair[1], ":value")?,
        },
        (Function::Cas, _) => {
            return Err(ReadErrorKind::syntax("the :value of a cas is [expected new]"));
        }
    };
    Ok(KeyValueInput { key, call })
}

/// The key, if there is one, and the value.
fn keyed(form: &Form, reading: Reading) -> Result<(Option<&Form>, &Form), ReadErrorKind> {
    let value = form.field("value").unwrap_or(&Form::Nil);
    match (form.field("key"), value) {
        (Some(key), value) => Ok((Some(key), value)),
        (None, value) if reading.registers => Ok((None, value)),
        (None, Form::List(pair)) if pair.len() == 2 => Ok((Some(&pair[0]), &pair[1])),
        (None, _) => Err(ReadErrorKind::syntax("no :key, and :value is no [key value]")),
    }
}

/// What an `:ok` says; `None` when it says nothing.
fn output(
    symbols: &mut Symbols,
    call: KeyValueCall,
    form: &Form,
    reading: Reading,
) -> Result<Option<KeyValueOutput>, ReadErrorKind> {
    Ok(match call {
        KeyValueCall::Put(_) | KeyValueCall::Append(_) | KeyValueCall::Delete => {
            Some(KeyValueOutput::Done)
        }
        KeyValueCall::Cas { .. } => Some(KeyValueOutput::Swapped),
        KeyValueCall::Get => {
            let value = keyed(form, reading)?.1;
            let is_empty = matches!(value, Form::Text(text) if text.is_empty());
            if *value == Form::Nil && reading.registers {
                None
            } else if *value == Form::Nil || is_empty && reading.empty_is_absent {
                Some(KeyValueOutput::Absent)
            } else {
                Some(KeyValueOutput::Value(scalar(symbols, value, ":value")?))
            }
        }
    })
}

fn scalar(symbols: &mut Symbols, form: &Form, field: &str) -> Result<Symbol, ReadErrorKind> {
    match form {
        Form::Text(text) | Form::Integer(text) => Ok(symbols.intern(text.as_bytes())),
        Form::Nil | Form::Keyword(_) | Form::Other(_) | Form::List(_) | Form::Map(_) => {
            Err(ReadErrorKind::Syntax(format!("{field}: expected a string or an integer")))
        }
    }
}
