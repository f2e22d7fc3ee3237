//! The patches, as they lie in their folder.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What marks every line that a patch makes wrong, so that nobody takes it for the real thing.
const MARK: &str = "PLANTED";

/// One planted bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// A letter for the family and a number, such as `N-15`.
    pub id: String,
    /// A few words with hyphens.
    pub name: String,
    /// What is wrong, in a sentence.
    pub story: String,
    /// Where the patch is.
    pub path: PathBuf,
}

/// Why a folder of patches cannot be used.
#[derive(Debug)]
pub enum PatchError {
    /// A file or the folder cannot be read.
    Io(PathBuf, io::Error),
    /// A file does not begin with an id and a name, then a sentence, then an empty line.
    Header(PathBuf),
    /// A file is not named after its id and name.
    Name(PathBuf),
    /// No added line carries the mark.
    Unmarked(PathBuf),
    /// No patch has this id.
    Unknown(String),
}

impl fmt::Display for PatchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(formatter, "{}: {error}", path.display()),
            Self::Header(path) => write!(
                formatter,
                "{}: begins with a line of id and name, a line that says what is wrong, and an empty one",
                path.display()
            ),
            Self::Name(path) => {
                write!(formatter, "{}: is not named after its id and name", path.display())
            }
            Self::Unmarked(path) => {
                write!(formatter, "{}: no added line says {MARK}", path.display())
            }
            Self::Unknown(id) => write!(formatter, "no planted bug is called {id}"),
        }
    }
}

impl std::error::Error for PatchError {}

impl Patch {
    /// All patches of `folder`, by id.
    ///
    /// # Errors
    ///
    /// The first file that is not what it should be.
    pub fn all(folder: &Path) -> Result<Vec<Self>, PatchError> {
        let io_error = |error| PatchError::Io(folder.to_path_buf(), error);
        let mut patches = Vec::new();
        for file in fs::read_dir(folder).map_err(io_error)? {
            let path = file.map_err(io_error)?.path();
            if path.extension() == Some(OsStr::new("patch")) {
                let text = fs::read_to_string(&path);
                let text = text.map_err(|error| PatchError::Io(path.clone(), error))?;
                patches.push(Self::parse(path, &text)?);
            }
        }
        patches.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(patches)
    }

    /// Those of `folder` that `ids` names, in the order of `ids`; all of them if it names none.
    ///
    /// # Errors
    ///
    /// As [`Patch::all`], and the first id that no patch has.
    pub fn only(folder: &Path, ids: &[String]) -> Result<Vec<Self>, PatchError> {
        let all = Self::all(folder)?;
        if ids.is_empty() {
            return Ok(all);
        }
        let find = |id: &String| {
            let found = all.iter().find(|patch| patch.id == *id).cloned();
            found.ok_or_else(|| PatchError::Unknown(id.clone()))
        };
        ids.iter().map(find).collect()
    }

    fn parse(path: PathBuf, text: &str) -> Result<Self, PatchError> {
        let mut lines = text.lines();
        let title = lines.next().and_then(|line| line.split_once(' '));
        let (Some((id, name)), Some(story), Some("")) = (title, lines.next(), lines.next()) else {
            return Err(PatchError::Header(path));
        };
        if path.file_stem() != Some(OsStr::new(&format!("{id}-{name}"))) {
            return Err(PatchError::Name(path));
        }
        if !lines.any(|line| line.starts_with('+') && line.contains(MARK)) {
            return Err(PatchError::Unmarked(path));
        }
        Ok(Self { id: id.into(), name: name.into(), story: story.into(), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str) -> Result<Patch, String> {
        Patch::parse(PathBuf::from(name), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_patch_says_what_it_is_and_marks_what_it_does() {
        let text = "N-15 reply-early\nToo early.\n\n--- a/x\n+++ b/x\n+y // PLANTED\n";
        let patch = parse("N-15-reply-early.patch", text).unwrap();
        assert_eq!(
            (&*patch.id, &*patch.name, &*patch.story),
            ("N-15", "reply-early", "Too early.")
        );
        let unmarked = text.replace("// PLANTED", "");
        assert!(parse("N-15-reply-early.patch", &unmarked).unwrap_err().contains("PLANTED"));
        assert!(parse("N-16-reply-early.patch", text).unwrap_err().contains("named after"));
        let headless = text.replacen("\n\n", "\n", 1);
        assert!(parse("N-15-reply-early.patch", &headless).unwrap_err().contains("begins with"));
        // A table that names another bug than the one that ran is worse than none.
    }

    #[test]
    fn every_patch_of_the_folder_is_well_formed() {
        let folder = crate::planted::workspace().join("tests/planted");
        let patches = Patch::all(&folder).unwrap();
        assert!(patches.len() >= 15, "{}", patches.len());
        let ids: std::collections::BTreeSet<_> = patches.iter().map(|patch| &patch.id).collect();
        assert_eq!(ids.len(), patches.len(), "two of one id would share a folder");
    }
}
