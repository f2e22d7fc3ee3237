//! Histories from files: one operation a line as JSON, Porcupine's two log formats, and Jepsen's EDN.
//!
//! All readers stream: memory goes to the operations themselves, to each different key and value once, and to the line (in
//! EDN: the form) at hand, and both are limited. Integers are read as their decimal text: `3` and `"3"` are one value.
//! An operation's id is the number of the line on which it began.

mod edn;
mod jsonl;
mod porcupine;

pub use edn::edn;
pub use jsonl::jsonl;
pub use porcupine::porcupine;

use crate::{
    Completion, History, HistoryError, KeyValue, KeyValueCall, KeyValueInput, KeyValueOutput,
    Operation, Symbol, Symbols,
};
use std::collections::BTreeMap;
use std::io::{self, BufRead};

/// A history that was read, and the keys and values that it speaks of.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The keys and values.
    pub symbols: Symbols,
    /// The operations.
    pub history: History<KeyValueInput, KeyValueOutput>,
    /// The value that every key starts with, where the format has a say in it.
    pub initial: Option<Symbol>,
}

impl Recording {
    /// The model to judge it by, and the history.
    pub fn into_parts(self) -> (KeyValue, History<KeyValueInput, KeyValueOutput>) {
        let model = match self.initial {
            Some(initial) => KeyValue::with_initial(self.symbols, initial),
            None => KeyValue::new(self.symbols),
        };
        (model, self.history)
    }
}

/// Which functions a file may use. A register is a key-value service with one key, which need not be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vocabulary {
    /// read and write.
    Register,
    /// read, write and cas.
    CasRegister,
    /// get, put, append, delete and cas.
    #[default]
    KeyValue,
}

/// What a reader accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// The functions.
    pub vocabulary: Vocabulary,
    /// What each key starts with; `None` is what the format says: absent, but `0` for registers in EDN.
    pub initial: Option<String>,
    /// The longest line (in EDN: the longest form), in bytes.
    pub line_bytes_max: usize,
    /// The most memory that the history may take, in bytes.
    pub bytes_max: usize,
}

impl Default for ReadOptions {
    /// All functions, lines of up to 64 MiB, and 4 GiB.
    fn default() -> Self {
        Self {
            vocabulary: Vocabulary::KeyValue,
            initial: None,
            line_bytes_max: 1 << 26,
            bytes_max: 1 << 32,
        }
    }
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct ReadError {
    /// The line to look at; the first is 1.
    pub line: u64,
    /// What is wrong there.
    pub kind: ReadErrorKind,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum ReadErrorKind {
    /// It could not be read at all.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file holds no operation.
    #[error("the file holds no operation")]
    Empty,
    /// It is longer than permitted.
    #[error("longer than {limit} bytes")]
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The history takes more memory than permitted.
    #[error("the history so far takes more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It is not what the format asks for.
    #[error("{0}")]
    Syntax(String),
    /// A function that the model does not have.
    #[error("unknown function {0:?}")]
    UnknownFunction(String),
    /// The operations are well-formed, but no history.
    #[error("{0}")]
    History(HistoryError),
}

impl ReadErrorKind {
    fn syntax(message: impl Into<String>) -> Self {
        Self::Syntax(message.into())
    }
}

/// Reads lines, counts them, and limits them.
#[derive(Debug)]
struct Lines<R> {
    reader: R,
    number: u64,
    line: Vec<u8>,
    limit: usize,
}

impl<R: BufRead> Lines<R> {
    fn new(reader: R, limit: usize) -> Self {
        Self { reader, number: 0, line: Vec::new(), limit }
    }

    /// The next line without its end; `None` after the last.
    fn next(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.line.clear();
        self.number += 1;
        let number = self.number;
        let fail = |kind| ReadError { line: number, kind };
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(fail(error.into())),
            };
            if chunk.is_empty() {
                return Ok((!self.line.is_empty()).then_some(&self.line));
            }
            let end = memchr::memchr(b'\n', chunk);
            let taken = end.unwrap_or(chunk.len());
            if self.line.len() + taken > self.limit {
                return Err(fail(ReadErrorKind::LineTooLong { limit: self.limit }));
            }
            self.line.extend_from_slice(&chunk[..taken]);
            self.reader.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some(&self.line));
            }
        }
    }
}

/// How a function, as files name it, is written down.
fn function(name: &str, vocabulary: Vocabulary) -> Result<Function, ReadErrorKind> {
    let function = match name {
        "get" | "read" => Function::Get,
        "put" | "write" => Function::Put,
        "append" => Function::Append,
        "delete" => Function::Delete,
        "cas" => Function::Cas,
        _ => return Err(ReadErrorKind::UnknownFunction(shorten(name))),
    };
    let known = match function {
        Function::Get | Function::Put => true,
        Function::Cas => vocabulary != Vocabulary::Register,
        Function::Append | Function::Delete => vocabulary == Vocabulary::KeyValue,
    };
    if known { Ok(function) } else { Err(ReadErrorKind::UnknownFunction(shorten(name))) }
}

/// Text for a message: not the whole of a line of ten megabytes.
fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push_str("..");
    }
    short
}

/// A function of the key-value service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Get,
    Put,
    Append,
    Delete,
    Cas,
}

/// A history while it is read.
#[derive(Debug)]
struct Builder {
    options: ReadOptions,
    symbols: Symbols,
    operations: Vec<Operation<KeyValueInput, KeyValueOutput>>,
    /// Operations that did not happen after all.
    dropped: Vec<usize>,
    /// The open operation of each process, for formats that tell calls and returns apart.
    open: BTreeMap<u64, usize>,
    events: i64,
}

impl Builder {
    fn new(options: &ReadOptions) -> Self {
        Self {
            options: options.clone(),
            symbols: Symbols::new(),
            operations: Vec::new(),
            dropped: Vec::new(),
            open: BTreeMap::new(),
            events: 0,
        }
    }

    /// Checks that the history fits.
    fn check_size(&self) -> Result<(), ReadErrorKind> {
        let size = self.operations.capacity()
            * size_of::<Operation<KeyValueInput, KeyValueOutput>>()
            + self.symbols.size();
        let limit = self.options.bytes_max;
        if size > limit { Err(ReadErrorKind::TooLarge { limit }) } else { Ok(()) }
    }

    /// Adds a call at the next moment; moments are events of the file.
    fn invoke(
        &mut self,
        line: u64,
        process: u64,
        input: KeyValueInput,
    ) -> Result<(), ReadErrorKind> {
        let call = self.tick();
        let index = self.operations.len();
        if let Some(&first) = self.open.get(&process) {
            return Err(ReadErrorKind::History(HistoryError::StillOpen {
                process,
                first: self.operations[first].id,
                second: line,
                call,
            }));
        }
        self.open.insert(process, index);
        self.operations.push(Operation { id: line, process, call, input, completion: None });
        self.check_size()
    }

    /// The call that a return belongs to; it is open no longer.
    fn close(&mut self, process: u64) -> Result<usize, ReadErrorKind> {
        let at = self.tick();
        self.open
            .remove(&process)
            .ok_or(ReadErrorKind::History(HistoryError::NothingOpen { process, at }))
    }

    /// The call that a process waits for.
    fn waiting(&self, process: u64) -> Option<KeyValueCall> {
        self.open.get(&process).map(|&index| self.operations[index].input.call)
    }

    fn complete(&mut self, process: u64, output: KeyValueOutput) -> Result<(), ReadErrorKind> {
        let index = self.close(process)?;
        self.operations[index].completion = Some(Completion { at: self.events, output });
        Ok(())
    }

    /// Forgets a call that had no effect and saw nothing.
    fn discard(&mut self, process: u64) -> Result<(), ReadErrorKind> {
        let index = self.close(process)?;
        self.dropped.push(index);
        Ok(())
    }

    fn tick(&mut self) -> i64 {
        self.events += 1;
        self.events
    }

    /// Ends the reading; `line` is the last one.
    fn finish(mut self, line: u64, initial: Option<&str>) -> Result<Recording, ReadError> {
        if self.operations.is_empty() {
            return Err(ReadError { line: line.max(1), kind: ReadErrorKind::Empty });
        }
        let initial = self.options.initial.as_deref().or(initial).map(str::to_owned);
        let initial = initial.map(|text| self.symbols.intern(text.as_bytes()));
        if !self.dropped.is_empty() {
            self.dropped.sort_unstable();
            let mut dropped = self.dropped.iter().copied().peekable();
            let mut index = 0;
            self.operations.retain(|_| {
                let drop = dropped.next_if_eq(&index).is_some();
                index += 1;
                !drop
            });
        }
        let history = History::from_operations(self.operations).map_err(|error| ReadError {
            line: error.operation().unwrap_or(line),
            kind: ReadErrorKind::History(error),
        })?;
        Ok(Recording { symbols: self.symbols, history, initial })
    }
}
