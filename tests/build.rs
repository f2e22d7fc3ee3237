//! Makes a test of each scenario in `scenarios/regressions`, so that whoever keeps one need not write one.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[expect(clippy::disallowed_methods, reason = "how cargo tells its build scripts where things are")]
fn main() -> io::Result<()> {
    let home = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let folder = home.join("../scenarios/regressions");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    if folder.is_dir() {
        find(&folder, &folder, &mut files)?;
    }
    files.sort();
    let tests: String = files.iter().map(|file| test_of(file)).collect();
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    fs::write(out.join("regressions.rs"), tests)
}

/// The scenarios in a folder and below it, as they are called from `root`.
fn find(root: &Path, folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.strip_prefix(root).map_err(io::Error::other)?;
            files.push(name.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

fn test_of(file: &str) -> String {
    let stem = file.strip_suffix(".json").unwrap_or(file);
    let is_letter = |letter: char| letter.is_ascii_alphanumeric();
    let name: String =
        stem.chars().map(|letter| if is_letter(letter) { letter } else { '_' }).collect();
    format!("#[test]\nfn regression_{}() {{\n    replay({file:?});\n}}\n\n", name.to_lowercase())
}
