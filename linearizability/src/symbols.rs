//! Keys and values by number: a history of a million operations does not keep a million strings.

use crate::hash::hash_of;
use hashbrown::HashTable;

/// A key or a value; equal exactly when the bytes are, among symbols of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub(crate) u32);

/// A table of byte strings, each kept once.
#[derive(Debug, Clone, Default)]
pub struct Symbols {
    bytes: Vec<u8>,
    /// Where each symbol ends in `bytes`; it begins where its predecessor ends.
    ends: Vec<usize>,
    table: HashTable<u32>,
}

impl Symbols {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of symbols.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The memory that the table holds, in bytes.
    pub fn size(&self) -> usize {
        // A table entry is a number and a byte of control, at a load of at most seven eighths.
        self.bytes.capacity()
            + self.ends.capacity() * size_of::<usize>()
            + self.table.capacity() * 6
    }

    /// The symbol of `text`, new or not.
    ///
    /// # Panics
    /// When there are more than 2^32 - 1 symbols.
    pub fn intern(&mut self, text: &[u8]) -> Symbol {
        if let Some(symbol) = self.find(text) {
            return symbol;
        }
        let number =
            u32::try_from(self.ends.len()).expect("fewer symbols than operations, twice over");
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        let (bytes, ends) = (&self.bytes, &self.ends);
        self.table
            .insert_unique(hash_of(text), number, |&other| hash_of(slice(bytes, ends, other)));
        Symbol(number)
    }

    /// The symbol of `text`, if it has one.
    pub fn find(&self, text: &[u8]) -> Option<Symbol> {
        self.table
            .find(hash_of(text), |&number| self.bytes(Symbol(number)) == text)
            .copied()
            .map(Symbol)
    }

    /// The bytes of `symbol`.
    pub fn bytes(&self, symbol: Symbol) -> &[u8] {
        slice(&self.bytes, &self.ends, symbol.0)
    }

    /// `symbol` for a reader: as it is when it is short and plain, else quoted and cut.
    pub fn text(&self, symbol: Symbol) -> String {
        let bytes = self.bytes(symbol);
        let text = String::from_utf8_lossy(bytes);
        let plain = |c: char| c.is_alphanumeric() || "_-.:/".contains(c);
        if !text.is_empty() && text.len() <= TEXT_MAX && text.chars().all(plain) {
            return text.into_owned();
        }
        if text.chars().count() <= TEXT_MAX {
            return format!("{text:?}");
        }
        // What tells long values apart is mostly their end: they grew by appends.
        let head: String = text.chars().take(TEXT_MAX / 2).collect();
        let tail: String = text.chars().skip(text.chars().count() - TEXT_MAX / 2).collect();
        format!("{head:?}..{tail:?} ({} bytes)", bytes.len())
    }

    /// All symbols, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = Symbol> + use<> {
        (0..u32::try_from(self.ends.len()).expect("symbols are numbered in 32 bits")).map(Symbol)
    }
}

/// The longest text, in characters, that is shown whole.
const TEXT_MAX: usize = 48;

fn slice<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] };
    &bytes[start..ends[number]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_one_symbol() {
        let mut symbols = Symbols::new();
        let words: Vec<String> = (0..1000).map(|n| format!("word {}", n % 700)).collect();
        let numbered: Vec<Symbol> =
            words.iter().map(|word| symbols.intern(word.as_bytes())).collect();
        assert_eq!(symbols.len(), 700);
        for (word, symbol) in words.iter().zip(&numbered) {
            assert_eq!(symbols.bytes(*symbol), word.as_bytes());
            assert_eq!(symbols.find(word.as_bytes()), Some(*symbol));
        }
        assert_eq!(symbols.find(b"another"), None);
        assert_eq!(symbols.iter().count(), 700);
    }

    #[test]
    fn long_text_shows_both_ends() {
        let mut symbols = Symbols::new();
        let short = symbols.intern(b"k0");
        assert_eq!(symbols.text(short), "k0");
        let empty = symbols.intern(b"");
        assert_eq!(symbols.text(empty), "\"\"");
        let long = symbols.intern(&[b'a'; 100]);
        assert!(symbols.text(long).ends_with("(100 bytes)"));
    }
}
