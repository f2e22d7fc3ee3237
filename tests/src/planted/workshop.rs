//! Builds the command, as it is and with a bug in it.
//!
//! Nearly all of the work is the same for every bug. So the clean sources are built once, on a bench, and a copy of the bench is put
//! aside. For each bug the bench is first made equal to that copy, times of files included, then the patch is applied, and the
//! compiler finds what little has changed. No build ever begins where another bug's ended: two patches in one target folder have
//! been seen to get mixed, because cargo goes by the times of files.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::Patch;

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are a folder of the workspace").to_path_buf()
}

/// Where builds are made, and kept between runs.
#[derive(Clone, Debug)]
pub struct Workshop {
    folder: PathBuf,
}

/// A command that has been built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The executable.
    pub command: PathBuf,
}

/// Why there is no build.
#[derive(Debug)]
pub enum BuildError {
    /// A file or a program of the system did not do what it should.
    Io(String, io::Error),
    /// The patch does not fit the sources any more, or changes nothing: it is to be made anew.
    DoesNotApply(String),
    /// The sources do not compile.
    DoesNotCompile(String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(what, error) => write!(formatter, "{what}: {error}"),
            Self::DoesNotApply(why) => write!(formatter, "the patch does not apply: {why}"),
            Self::DoesNotCompile(why) => write!(formatter, "the sources do not compile: {why}"),
        }
    }
}

impl std::error::Error for BuildError {}

impl Workshop {
    /// A workshop in `folder`, which need not exist; what was built there before is used again. Only one at a time may use it.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made.
    pub fn new(folder: &Path) -> Result<Self, BuildError> {
        made(folder, fs::create_dir_all(folder))?;
        // Git must be told where to stop looking for a repository, and knows only whole paths.
        let folder = made(folder, folder.canonicalize())?;
        Ok(Self { folder })
    }

    /// The command as it is. To be built before the others, which begin with it.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn clean(&self) -> Result<Build, BuildError> {
        stage(&self.staging())?;
        self.build("clean", || self.put_bench_aside())
    }

    /// The command with `patch` applied.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn with(&self, patch: &Patch) -> Result<Build, BuildError> {
        let staging = self.staging();
        let files = stage(&staging)?;
        apply(patch, &staging, &self.folder)?;
        if !files.iter().any(|file| differ(&workspace().join(file), &staging.join(file))) {
            return Err(BuildError::DoesNotApply("it changes nothing".into()));
        }
        self.build(&patch.id, || Ok(()))
    }

    /// Builds what is staged, unless `name` was last built from the very same sources.
    fn build(
        &self,
        name: &str,
        and_then: impl FnOnce() -> Result<(), BuildError>,
    ) -> Result<Build, BuildError> {
        let place = self.folder.join("builds").join(name);
        let command = place.join(format!("vsr-sim{}", std::env::consts::EXE_SUFFIX));
        let (stamp_path, stamp) = (place.join("stamp"), stamp_of(&self.staging())?);
        if command.exists() && fs::read(&stamp_path).is_ok_and(|before| before == stamp) {
            return Ok(Build { command });
        }
        mirror(&self.aside(), &self.bench())?;
        update(&self.staging(), &self.bench().join("sources"))?;
        let built = self.compile()?;
        made(&place, fs::create_dir_all(&place))?;
        made(&command, fs::copy(built, &command))?;
        and_then()?;
        made(&stamp_path, fs::write(&stamp_path, stamp))?;
        Ok(Build { command })
    }

    fn put_bench_aside(&self) -> Result<(), BuildError> {
        mirror(&self.bench(), &self.aside())
    }

    /// The sources that are wanted, as they would be checked out.
    fn staging(&self) -> PathBuf {
        self.folder.join("staging")
    }

    /// Where all building is done: always at the same path, or the compiler would begin anew.
    fn bench(&self) -> PathBuf {
        self.folder.join("bench")
    }

    /// The bench as it was after the clean build.
    fn aside(&self) -> PathBuf {
        self.folder.join("aside")
    }

    /// Builds what is on the bench: fast code, but neither whole-program optimization nor debug information.
    fn compile(&self) -> Result<PathBuf, BuildError> {
        let target = self.bench().join("target");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(self.bench().join("sources"))
            .args([
                "build",
                "--release",
                "--locked",
                "--quiet",
                "-p",
                "vsr-sim",
                "--bin",
                "vsr-sim",
            ])
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256")
            // Warnings about a bug's own code are of no interest.
            .env("RUSTFLAGS", "--cap-lints allow");
        let output = cargo.output().map_err(|error| BuildError::Io("cargo".into(), error))?;
        if !output.status.success() {
            return Err(BuildError::DoesNotCompile(said(&output)));
        }
        let name = format!("vsr-sim{}", std::env::consts::EXE_SUFFIX);
        Ok(target.join("release").join(name))
    }
}

/// All files below `folder`, one after the other, each with its path and size in front: equal only for equal sources.
fn stamp_of(folder: &Path) -> Result<Vec<u8>, BuildError> {
    let mut stamp = Vec::new();
    for file in files_of(folder)? {
        let bytes = made(&file, fs::read(folder.join(&file)))?;
        stamp.extend_from_slice(format!("{} {}\n", file.display(), bytes.len()).as_bytes());
        stamp.extend_from_slice(&bytes);
    }
    Ok(stamp)
}

/// Makes `to` equal to `from`, times of files included; what is equal by size and time already is left alone.
fn mirror(from: &Path, to: &Path) -> Result<(), BuildError> {
    let (wanted, found) = (files_of(from)?, files_of(to)?);
    for file in found.difference(&wanted) {
        made(file, fs::remove_file(to.join(file)))?;
    }
    for file in &wanted {
        let (from, to) = (from.join(file), to.join(file));
        let source = made(&from, fs::metadata(&from))?;
        let modified = made(&from, source.modified())?;
        let is_same = fs::metadata(&to).is_ok_and(|target| {
            target.len() == source.len() && target.modified().is_ok_and(|time| time == modified)
        });
        if !is_same {
            let parent = to.parent().expect("below the folder");
            made(parent, fs::create_dir_all(parent))?;
            // Not over what is there: cargo links files to each other.
            if to.exists() {
                made(&to, fs::remove_file(&to))?;
            }
            made(&to, fs::copy(&from, &to))?;
            made(&to, fs::File::open(&to).and_then(|file| file.set_modified(modified)))?;
        }
    }
    Ok(())
}

/// Copies the sources as they are now into an empty `staging`; answers the paths of the files.
fn stage(staging: &Path) -> Result<Vec<PathBuf>, BuildError> {
    if staging.exists() {
        made(staging, fs::remove_dir_all(staging))?;
    }
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = run(Command::new("git").current_dir(workspace()).args(listing))?;
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut files = Vec::new();
    for file in listing.split_terminator('\0').map(PathBuf::from) {
        let (from, to) = (workspace().join(&file), staging.join(&file));
        if from.is_file() {
            let parent = to.parent().expect("below the folder");
            made(parent, fs::create_dir_all(parent))?;
            made(&to, fs::copy(from, &to))?;
            files.push(file);
        }
    }
    Ok(files)
}

fn apply(patch: &Patch, staging: &Path, ceiling: &Path) -> Result<(), BuildError> {
    let mut git = Command::new("git");
    // Inside a repository, git would skip what is not below its root, and say nothing.
    git.current_dir(staging).env("GIT_CEILING_DIRECTORIES", ceiling).arg("apply").arg(&patch.path);
    let output = git.output().map_err(|error| BuildError::Io("git".into(), error))?;
    if output.status.success() { Ok(()) } else { Err(BuildError::DoesNotApply(said(&output))) }
}

/// Makes `sources` equal to `staging`. Files that are equal already are not touched, so that cargo sees only what has changed.
fn update(staging: &Path, sources: &Path) -> Result<(), BuildError> {
    let (wanted, found) = (files_of(staging)?, files_of(sources)?);
    for file in found.difference(&wanted) {
        made(file, fs::remove_file(sources.join(file)))?;
    }
    for file in &wanted {
        let (from, to) = (staging.join(file), sources.join(file));
        if differ(&from, &to) {
            let parent = to.parent().expect("below the folder");
            made(parent, fs::create_dir_all(parent))?;
            made(&to, fs::copy(from, &to))?;
        }
    }
    Ok(())
}

/// The paths of all files below `folder`; none if there is no such folder.
fn files_of(folder: &Path) -> Result<BTreeSet<PathBuf>, BuildError> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        if !next.exists() {
            continue;
        }
        for file in made(&next, fs::read_dir(&next))? {
            let path = made(&next, file)?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).expect("found below it").to_path_buf());
            }
        }
    }
    Ok(files)
}

fn differ(one: &Path, other: &Path) -> bool {
    match (fs::read(one), fs::read(other)) {
        (Ok(one), Ok(other)) => one != other,
        (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => true,
    }
}

fn run(command: &mut Command) -> Result<Output, BuildError> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) if output.status.success() => Ok(output),
        Ok(output) => Err(BuildError::Io(name, io::Error::other(said(&output)))),
        Err(error) => Err(BuildError::Io(name, error)),
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

fn made<T>(what: &Path, result: io::Result<T>) -> Result<T, BuildError> {
    result.map_err(|error| BuildError::Io(what.display().to_string(), error))
}
