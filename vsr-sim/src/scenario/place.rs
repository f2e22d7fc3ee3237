//! Where in a text of JSON something stands: from the path of fields and items to line and column.

use std::fmt;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// Into an object.
    Field(String),
    /// Into a list.
    Item(usize),
    /// Into the one field of an object that says which variant it is; where the name stands by itself, it is that.
    Variant(String),
}

/// The way from the whole text to one part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<Segment>);

impl Path {
    pub(super) fn field(&self, name: &str) -> Self {
        self.with(Segment::Field(name.to_owned()))
    }

    pub(super) fn item(&self, place: usize) -> Self {
        self.with(Segment::Item(place))
    }

    pub(super) fn variant(&self, name: &str) -> Self {
        self.with(Segment::Variant(name.to_owned()))
    }

    fn with(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }
}

/// Where the reader was when it found an error.
impl From<&serde_path_to_error::Path> for Path {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment as Tracked;
        let segment = |segment: &Tracked| match segment {
            Tracked::Seq { index } => Some(Segment::Item(*index)),
            Tracked::Map { key } => Some(Segment::Field(key.clone())),
            Tracked::Enum { variant } => Some(Segment::Variant(variant.clone())),
            Tracked::Unknown => None,
        };
        Self(path.iter().map_while(segment).collect())
    }
}

/// What stands at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// What is told: a value.
    Value,
    /// The name by which it is told.
    Name,
    /// The name, where it stands for the second time.
    SecondName,
}

/// A place in a text: the line and the column in letters, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    /// The place of the byte at `offset`.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |place| place + 1);
        Self { line, column: before[start..].chars().count() + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// Where the part at the end of `path` stands in `text`, or else the last thing on the way to it that is there.
pub(super) fn locate(text: &str, path: &Path, part: Part) -> Place {
    let mut scanner = Scanner { text, offset: 0 };
    scanner.skip_space();
    let mut found = scanner.offset;
    for (depth, segment) in path.0.iter().enumerate() {
        let is_last = depth + 1 == path.0.len();
        let entered = match segment {
            Segment::Item(place) => scanner.enter_item(*place).map(|()| scanner.offset),
            Segment::Field(name) | Segment::Variant(name) => {
                let nth = if is_last && part == Part::SecondName { 2 } else { 1 };
                scanner.enter_field(name, nth)
            }
        };
        match entered {
            Some(name) if is_last && part != Part::Value => found = name,
            Some(_) => found = scanner.offset,
            None => break,
        }
    }
    Place::of(text, found)
}

/// Walks over JSON, from values into values. Whoever asks has read the text up to where it goes.
#[derive(Clone, Copy)]
struct Scanner<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.offset += 1;
        }
    }

    /// Goes past one byte and the space after it, if it is the next.
    fn pass(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| {
            self.offset += 1;
            self.skip_space();
        })
    }

    /// From a list to its item at `place`.
    fn enter_item(&mut self, place: usize) -> Option<()> {
        self.pass(b'[')?;
        for _ in 0..place {
            self.skip_value()?;
            self.pass(b',')?;
        }
        self.peek().map(drop)
    }

    /// From an object to the value of its field called `name`; gives where the name stands. Of several of that name it is the
    /// `nth`, or the last one before it.
    fn enter_field(&mut self, name: &str, nth: usize) -> Option<usize> {
        if self.peek() != Some(b'{') {
            return None;
        }
        let (mut found, mut count) = (None, 0);
        let mut inside = *self;
        inside.pass(b'{')?;
        while count < nth {
            let at = inside.offset;
            let Some(key) = inside.string() else { break };
            inside.skip_space();
            if inside.pass(b':').is_none() {
                break;
            }
            if key == name {
                found = Some((at, inside));
                count += 1;
            }
            if inside.skip_value().is_none() || inside.pass(b',').is_none() {
                break;
            }
        }
        let (at, value) = found?;
        *self = value;
        Some(at)
    }

    /// Goes past a string; gives what it says.
    fn string(&mut self) -> Option<String> {
        let start = self.offset;
        self.skip_string()?;
        serde_json::from_str(&self.text[start..self.offset]).ok()
    }

    fn skip_string(&mut self) -> Option<()> {
        if self.peek() != Some(b'"') {
            return None;
        }
        self.offset += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.offset += 2,
                _ => self.offset += 1,
            }
        }
        self.offset += 1;
        Some(())
    }

    /// Goes past a value and the space after it.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_u32;
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.offset += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.offset += 1;
                }
                b',' | b':' => self.offset += 1,
                byte if byte.is_ascii_whitespace() => self.offset += 1,
                _ => self.skip_word(),
            }
            if depth == 0 {
                self.skip_space();
                return Some(());
            }
        }
    }

    /// Goes past a number, or one of the words of JSON.
    fn skip_word(&mut self) {
        let ends = |byte: u8| b"{}[],:\"".contains(&byte) || byte.is_ascii_whitespace();
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.offset += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
  "a": [1, {"b\n": "é", "c": {"d": true}}, -2.5e3],
  "é": { "kind": "é" }, "e": [],
  "twice": 1, "twice": 2
}"#;

    fn at(path: &Path, part: Part) -> (usize, usize) {
        let Place { line, column } = locate(TEXT, path, part);
        (line, column)
    }

    #[test]
    fn every_part_is_found_where_it_stands() {
        let root = Path::default();
        let second = root.field("a").item(1);
        for (path, value, name) in [
            (root.clone(), (1, 1), (1, 1)),
            (root.field("a"), (2, 8), (2, 3)),
            (root.field("a").item(0), (2, 9), (2, 9)),
            (second.clone(), (2, 12), (2, 12)),
            (second.field("b\n"), (2, 20), (2, 13)),
            (second.field("c").field("d"), (2, 36), (2, 31)),
            (root.field("a").item(2), (2, 44), (2, 44)),
            // A column is a letter, however many bytes it takes.
            (root.field("é").field("kind"), (3, 18), (3, 10)),
            (root.field("e"), (3, 30), (3, 25)),
        ] {
            assert_eq!((at(&path, Part::Value), at(&path, Part::Name)), (value, name), "{path:?}");
        }
        assert_eq!(at(&root.field("twice"), Part::Name), (4, 3));
        assert_eq!(at(&root.field("twice"), Part::SecondName), (4, 15));
    }

    #[test]
    fn what_is_not_there_is_found_as_far_as_there_is_a_way() {
        let root = Path::default();
        assert_eq!(at(&root.field("f").item(3), Part::Value), (1, 1));
        assert_eq!(at(&root.field("a").item(1).field("x"), Part::Name), (2, 12));
        assert_eq!(at(&root.field("a").item(9), Part::Value), (2, 8));
        // A variant that is a mere name is where the name stands.
        let named = root.field("é").field("kind").with(Segment::Variant("é".to_owned()));
        assert_eq!(at(&named, Part::Name), (3, 18));
    }

    #[test]
    fn no_text_is_too_broken_to_look_at() {
        for end in 0..TEXT.len() {
            let text = &TEXT[..TEXT.floor_char_boundary(end)];
            let path = Path::default().field("a").item(1).field("c").field("d");
            locate(text, &path, Part::SecondName);
            locate(&text.replace(['"', ','], ":"), &path, Part::Name);
        }
    }
}
