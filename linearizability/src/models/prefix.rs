//! A key of the key-value service seen as a register, appends included.
//!
//! When no written text is the beginning of another, a value that somebody saw can be read in one way only: what was put,
//! then each append. So an append that was seen is a swap, from the value before it to the value after it, and an
//! append that was not seen is a write of something that nobody ever sees.

use crate::hash::Map;
use crate::{
    KeyValueCall as Call, KeyValueInput, KeyValueOutput as Output, Operation, RegisterStep,
    RegisterView, Symbol, Symbols,
};

type Asked = Operation<KeyValueInput, Output>;

/// The register that a key is, if what its appends and deletes left can be told from what was seen.
pub(crate) fn view(
    symbols: &Symbols,
    initial: Option<Symbol>,
    operations: &[&Asked],
) -> Option<RegisterView> {
    let mut numbers = Numbers::default();
    let versioned = operations.iter().any(|operation| {
        matches!(operation.output(), Some(Output::Deleted(_) | Output::AbsentSince(_)))
    });
    let absent = if versioned { None } else { Some(numbers.fresh()) };
    let mut viewer = Viewer { absent, numbers, tokens: Map::default(), versions: Map::default() };
    let first = match initial {
        Some(value) => viewer.value(value),
        None if versioned => viewer.version(0),
        None => absent?,
    };
    if operations.iter().any(|operation| matches!(operation.input.call, Call::Append(_))) {
        Parser::new(symbols, initial, operations)?.parse(&mut viewer, operations)?;
    }
    let steps: Option<Vec<RegisterStep>> =
        operations.iter().map(|operation| viewer.step(operation)).collect();
    let steps = steps?;
    Some(RegisterView { initial: first, values: viewer.numbers.count, steps })
}

/// Hands out numbers for values.
#[derive(Debug, Default)]
struct Numbers {
    symbols: Map<Symbol, u32>,
    count: u32,
}

impl Numbers {
    fn fresh(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }
}

/// Turns operations into steps.
#[derive(Debug)]
struct Viewer {
    /// The number of "absent", unless absences have versions.
    absent: Option<u32>,
    numbers: Numbers,
    /// What each appended text found and left, if it was seen; `None` twice over for one that was not.
    tokens: Map<Symbol, Option<(u32, u32)>>,
    versions: Map<u64, u32>,
}

impl Viewer {
    fn value(&mut self, symbol: Symbol) -> u32 {
        let fresh = self.numbers.count;
        let number = *self.numbers.symbols.entry(symbol).or_insert(fresh);
        self.numbers.count += u32::from(number == fresh);
        number
    }

    fn version(&mut self, version: u64) -> u32 {
        let fresh = self.numbers.count;
        let number = *self.versions.entry(version).or_insert(fresh);
        self.numbers.count += u32::from(number == fresh);
        number
    }

    fn maybe(&mut self, symbol: Option<Symbol>) -> Option<u32> {
        match symbol {
            Some(symbol) => Some(self.value(symbol)),
            None => self.absent,
        }
    }

    /// The step of an operation; `None` when it has none that is exact.
    fn step(&mut self, operation: &Asked) -> Option<RegisterStep> {
        Some(match (operation.input.call, operation.output()) {
            (Call::Get, None) => RegisterStep::Nothing,
            (Call::Get, Some(Output::Value(value))) => RegisterStep::Read(self.value(*value)),
            (Call::Get, Some(Output::Absent)) => RegisterStep::Read(self.absent?),
            (Call::Get, Some(Output::AbsentSince(version))) => {
                RegisterStep::Read(self.version(*version))
            }
            (Call::Put(value), Some(Output::Done) | None) => RegisterStep::Write(self.value(value)),
            (Call::Append(token), Some(Output::Done) | None) => match self.tokens.get(&token) {
                Some(&Some((from, to))) => RegisterStep::Swap { from, to },
                Some(None) | None => RegisterStep::Write(self.numbers.fresh()),
            },
            (Call::Delete, Some(Output::Done) | None) => RegisterStep::Write(self.absent?),
            (Call::Delete, Some(Output::Deleted(version))) => {
                RegisterStep::Write(self.version(*version))
            }
            (Call::Cas { expected, new }, Some(Output::Swapped) | None) => {
                RegisterStep::Swap { from: self.maybe(expected)?, to: self.value(new) }
            }
            (Call::Cas { expected, .. }, Some(Output::NotSwapped)) => {
                RegisterStep::ReadNot(self.maybe(expected)?)
            }
            (Call::Cas { expected, .. }, Some(Output::Was(value))) if *value != expected => {
                RegisterStep::Read(self.maybe(*value)?)
            }
            // An answer that cannot be: it saw what nobody wrote.
            (
                Call::Get | Call::Put(_) | Call::Append(_) | Call::Delete | Call::Cas { .. },
                Some(_),
            ) => RegisterStep::Read(self.numbers.fresh()),
        })
    }
}

/// Reads values as what was put and appended.
struct Parser<'a> {
    symbols: &'a Symbols,
    /// Everything written, in the order of its bytes; no text is the beginning of another.
    written: Vec<(&'a [u8], Symbol, bool)>,
}

/// A value on the way from the empty text to the one being read.
#[derive(Debug, Clone, Copy)]
struct Node {
    length: usize,
    number: u32,
}

impl<'a> Parser<'a> {
    /// `None` unless values can be read in one way only.
    fn new(symbols: &'a Symbols, initial: Option<Symbol>, operations: &[&Asked]) -> Option<Self> {
        let mut written: Vec<(&[u8], Symbol, bool)> = Vec::with_capacity(operations.len());
        written.extend(initial.map(|value| (symbols.bytes(value), value, false)));
        for operation in operations {
            let (symbol, appended) = match operation.input.call {
                Call::Put(value) | Call::Cas { new: value, .. } => (value, false),
                Call::Append(token) => (token, true),
                Call::Get | Call::Delete => continue,
            };
            written.push((symbols.bytes(symbol), symbol, appended));
        }
        written.sort_unstable();
        let clash = written.windows(2).any(|pair| {
            let twice = pair[0].1 == pair[1].1;
            if twice { pair[0].2 || pair[1].2 } else { pair[1].0.starts_with(pair[0].0) }
        });
        let empty = written.first().is_some_and(|(bytes, _, _)| bytes.is_empty());
        written.dedup();
        (!clash && !empty).then_some(Self { symbols, written })
    }

    /// Finds out what each append found and left.
    fn parse(&self, viewer: &mut Viewer, operations: &[&Asked]) -> Option<()> {
        let (certain, doubtful) = seen(operations);
        let mut sorted: Vec<&[u8]> =
            certain.iter().map(|&symbol| self.symbols.bytes(symbol)).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut path: Vec<Node> = Vec::new();
        let mut before: &[u8] = &[];
        for text in sorted {
            let shared = before.iter().zip(text).take_while(|(left, right)| left == right).count();
            while path.last().is_some_and(|node| node.length > shared) {
                path.pop();
            }
            before = text;
            self.read(viewer, text, &mut path)?;
        }
        // A value that only an operation of unknown or negative outcome speaks of does not say what was appended to what.
        for symbol in doubtful {
            let known = viewer.numbers.symbols.contains_key(&symbol);
            let text = self.symbols.bytes(symbol);
            let appended =
                self.token(text).is_some_and(|(bytes, _, appended)| appended || bytes != text);
            if !known && appended {
                return None;
            }
        }
        Some(())
    }

    /// The written text that `text` begins with.
    fn token(&self, text: &[u8]) -> Option<(&'a [u8], Symbol, bool)> {
        let end = self.written.partition_point(|(bytes, _, _)| *bytes <= text);
        let candidate = self.written[..end].last()?;
        text.starts_with(candidate.0).then_some(*candidate)
    }

    /// Reads one value that was seen; `path` holds the values that it is known to have grown from.
    fn read(&self, viewer: &mut Viewer, text: &[u8], path: &mut Vec<Node>) -> Option<()> {
        loop {
            let length = path.last().map_or(0, |node| node.length);
            if length == text.len() {
                return Some(());
            }
            let Some((bytes, symbol, appended)) = self.token(&text[length..]) else {
                // Nobody wrote what comes next. The value keeps a number of its own, without a writer.
                return Some(());
            };
            let length = length + bytes.len();
            let number = match (appended, path.last()) {
                (false, None) => viewer.value(symbol),
                // What was put cannot follow anything.
                (false, Some(_)) => return Some(()),
                (true, before) => {
                    let from = match before {
                        Some(node) => node.number,
                        None => viewer.absent?,
                    };
                    let whole = self.symbols.find(&text[..length]);
                    let to = match whole {
                        Some(whole) => viewer.value(whole),
                        None => viewer.numbers.fresh(),
                    };
                    // One append cannot have followed two values: the second has no writer.
                    let known = viewer.tokens.entry(symbol).or_insert(Some((from, to)));
                    if *known != Some((from, to)) {
                        return self.orphan(viewer, text, path);
                    }
                    to
                }
            };
            path.push(Node { length, number });
        }
    }

    /// Gives `text` and what it grew from since the contradiction numbers without a writer.
    fn orphan(&self, viewer: &mut Viewer, text: &[u8], path: &mut Vec<Node>) -> Option<()> {
        let whole = self.symbols.find(text)?;
        let number = viewer.value(whole);
        path.push(Node { length: text.len(), number });
        Some(())
    }
}

/// The values that were certainly seen, and those that were perhaps seen or not.
fn seen(operations: &[&Asked]) -> (Vec<Symbol>, Vec<Symbol>) {
    let (mut certain, mut doubtful) = (Vec::new(), Vec::new());
    for operation in operations {
        match (operation.input.call, operation.output()) {
            (Call::Get, Some(Output::Value(value))) => certain.push(*value),
            (Call::Cas { expected, .. }, Some(Output::Swapped)) => certain.extend(expected),
            (Call::Cas { .. }, Some(Output::Was(value))) => certain.extend(*value),
            (Call::Cas { expected, .. }, Some(Output::NotSwapped) | None) => {
                doubtful.extend(expected);
            }
            (Call::Get | Call::Put(_) | Call::Append(_) | Call::Delete | Call::Cas { .. }, _) => {}
        }
    }
    (certain, doubtful)
}
