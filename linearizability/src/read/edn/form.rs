//! As much of EDN as histories use, form by form.

use crate::read::{ReadError, ReadErrorKind};
use std::io::{self, BufRead};

/// A form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::read) enum Form {
    Nil,
    /// The decimal text of an integer.
    Integer(String),
    Text(String),
    /// A keyword without its colon.
    Keyword(String),
    /// Any other token: a symbol, a fraction, a character, true or false.
    Other(String),
    /// A vector, list or set.
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl Form {
    /// The value of `:name`, if this is a map that has it.
    pub(in crate::read) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Map(entries) = self else {
            return None;
        };
        let is_name = |key: &Self| matches!(key, Self::Keyword(keyword) if keyword == name);
        entries.iter().find(|(key, _)| is_name(key)).map(|(_, value)| value)
    }
}

/// How deep forms may nest; histories need three.
const DEPTH_MAX: usize = 32;

/// Reads forms from a stream.
#[derive(Debug)]
pub(in crate::read) struct Forms<R> {
    reader: R,
    line: u64,
    /// The bytes of the form at hand, and how many there may be.
    size: usize,
    size_max: usize,
    /// The bracket that ends the vector or list around the maps, once one was opened.
    closing: Option<u8>,
}

type Parsed<T> = Result<T, ReadError>;

impl<R: BufRead> Forms<R> {
    pub(in crate::read) fn new(reader: R, size_max: usize) -> Self {
        Self { reader, line: 1, size: 0, size_max, closing: None }
    }

    /// The line that the reader has come to.
    pub(in crate::read) fn line(&self) -> u64 {
        self.line
    }

    /// The next map and the line on which it begins; `None` after the last.
    pub(in crate::read) fn next_map(&mut self) -> Parsed<Option<(u64, Form)>> {
        loop {
            self.size = 0;
            self.skip_space()?;
            let line = self.line;
            match self.peek()? {
                None if self.closing.is_some() => {
                    return Err(self.fail("the file ends inside the vector of operations"));
                }
                None => return Ok(None),
                Some(open @ (b'[' | b'(')) if self.closing.is_none() => {
                    self.closing = Some(if open == b'[' { b']' } else { b')' });
                    self.bump();
                }
                Some(close) if Some(close) == self.closing => {
                    self.bump();
                    self.skip_space()?;
                    return match self.peek()? {
                        None => Ok(None),
                        Some(_) => Err(self.fail("something follows the vector of operations")),
                    };
                }
                Some(_) => {
                    let form = self.form(0)?;
                    // Jepsen writes its operations as tagged records.
                    if let Form::Map(_) = form {
                        return Ok(Some((line, form)));
                    }
                    let kind = ReadErrorKind::syntax("expected a map such as {:process 0, ..}");
                    return Err(ReadError { line, kind });
                }
            }
        }
    }

    fn fail(&self, message: &str) -> ReadError {
        ReadError { line: self.line, kind: ReadErrorKind::syntax(message) }
    }

    fn peek(&mut self) -> Parsed<Option<u8>> {
        loop {
            match self.reader.fill_buf() {
                Ok(chunk) => return Ok(chunk.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError { line: self.line, kind: error.into() }),
            }
        }
    }

    /// Goes past the byte that was peeked.
    fn bump(&mut self) {
        self.reader.consume(1);
        self.size += 1;
    }

    fn next(&mut self) -> Parsed<Option<u8>> {
        let byte = self.peek()?;
        if let Some(byte) = byte {
            self.bump();
            self.line += u64::from(byte == b'\n');
            if self.size > self.size_max {
                let kind = ReadErrorKind::LineTooLong { limit: self.size_max };
                return Err(ReadError { line: self.line, kind });
            }
        }
        Ok(byte)
    }

    /// Space, commas and comments.
    fn skip_space(&mut self) -> Parsed<()> {
        while let Some(byte) = self.peek()? {
            match byte {
                b';' => {
                    while self.peek()?.is_some_and(|byte| byte != b'\n') {
                        self.next()?;
                    }
                }
                b',' | b' ' | b'\t' | b'\r' | b'\n' | 0x0c => {
                    self.next()?;
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn form(&mut self, depth: usize) -> Parsed<Form> {
        if depth > DEPTH_MAX {
            return Err(self.fail("nested too deeply"));
        }
        self.skip_space()?;
        match self.next()? {
            None => Err(self.fail("the file ends inside a form")),
            Some(b'"') => self.text().map(Form::Text),
            Some(b'[') => self.list(b']', depth).map(Form::List),
            Some(b'(') => self.list(b')', depth).map(Form::List),
            Some(b'{') => self.map(depth),
            Some(b'#') => self.dispatch(depth),
            Some(b']' | b')' | b'}') => Err(self.fail("a bracket closes nothing")),
            Some(first) => self.token(first),
        }
    }

    /// What follows a `#`: a set, something to skip, or a tag and what it tags.
    fn dispatch(&mut self, depth: usize) -> Parsed<Form> {
        match self.peek()? {
            Some(b'{') => {
                self.bump();
                self.list(b'}', depth).map(Form::List)
            }
            Some(b'_') => {
                self.bump();
                self.form(depth + 1)?;
                self.form(depth + 1)
            }
            Some(_) => {
                let Form::Other(_) = self.form(depth + 1)? else {
                    return Err(self.fail("a tag is a symbol"));
                };
                self.form(depth + 1)
            }
            None => Err(self.fail("the file ends after #")),
        }
    }

    fn list(&mut self, close: u8, depth: usize) -> Parsed<Vec<Form>> {
        let mut forms = Vec::new();
        loop {
            self.skip_space()?;
            match self.peek()? {
                Some(byte) if byte == close => {
                    self.bump();
                    return Ok(forms);
                }
                Some(_) => forms.push(self.form(depth + 1)?),
                None => return Err(self.fail("the file ends inside a form")),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Parsed<Form> {
        let mut forms = self.list(b'}', depth)?.into_iter();
        let mut entries = Vec::with_capacity(forms.len() / 2);
        while let Some(key) = forms.next() {
            let Some(value) = forms.next() else {
                return Err(self.fail("a map with a key and no value"));
            };
            entries.push((key, value));
        }
        Ok(Form::Map(entries))
    }

    /// A string, after its first quote.
    fn text(&mut self) -> Parsed<String> {
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                None => return Err(self.fail("the file ends inside a string")),
                Some(b'"') => break,
                Some(b'\\') => match self.next()? {
                    Some(b'n') => bytes.push(b'\n'),
                    Some(b't') => bytes.push(b'\t'),
                    Some(b'r') => bytes.push(b'\r'),
                    Some(byte @ (b'"' | b'\\')) => bytes.push(byte),
                    Some(_) | None => return Err(self.fail("unknown escape in a string")),
                },
                Some(byte) => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).map_err(|_| self.fail("a string that is not UTF-8"))
    }

    fn token(&mut self, first: u8) -> Parsed<Form> {
        let mut bytes = vec![first];
        let ends = |byte: u8| b" \t\r\n\x0c,;\"[](){}".contains(&byte);
        while self.peek()?.is_some_and(|byte| !ends(byte)) {
            bytes.extend(self.next()?);
        }
        let Ok(token) = String::from_utf8(bytes) else {
            return Err(self.fail("a token that is not UTF-8"));
        };
        if token == "nil" {
            return Ok(Form::Nil);
        }
        if let Some(keyword) = token.strip_prefix(':') {
            return Ok(Form::Keyword(keyword.to_owned()));
        }
        let digits = token.strip_prefix(['-', '+']).unwrap_or(&token);
        let digits = digits.strip_suffix('N').unwrap_or(digits);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let digits = digits.trim_start_matches('0');
            let digits = if digits.is_empty() { "0" } else { digits };
            let minus = if token.starts_with('-') && digits != "0" { "-" } else { "" };
            return Ok(Form::Integer(format!("{minus}{digits}")));
        }
        Ok(Form::Other(token))
    }
}
