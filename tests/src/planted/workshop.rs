//! Builds the command, as it is and with a bug in it, each in a folder of its own.
//!
//! No two builds share a target folder: cargo goes by the times of files, and a patch that comes and goes within one tick of the
//! clock has been seen to run as another. Only the compiled dependencies are copied from the clean build, for they are the same.

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

/// How fast the built command is, and how long the build takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As a release, but for debug information.
    Fast,
    /// Barely optimized: for a handful of seeds.
    Quick,
}

/// Where builds are kept between runs.
#[derive(Clone, Debug)]
pub struct Workshop {
    folder: PathBuf,
    profile: Profile,
    /// How many compilers run at once.
    jobs: u32,
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
    /// A workshop in `folder`, which need not exist, and where earlier builds are used again.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made.
    pub fn new(folder: &Path, profile: Profile, jobs: u32) -> Result<Self, BuildError> {
        let name = match profile {
            Profile::Fast => "fast",
            Profile::Quick => "quick",
        };
        let folder = folder.join(name);
        made(&folder, fs::create_dir_all(&folder))?;
        // Git must be told where to stop looking for a repository, and knows only whole paths.
        let folder = made(&folder, folder.canonicalize())?;
        Ok(Self { folder, profile, jobs })
    }

    /// The command as it is. To be built first: the others begin with its dependencies.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn clean(&self) -> Result<Build, BuildError> {
        let place = self.place_of("clean");
        let staging = place.join("staging");
        stage(&staging)?;
        update(&staging, &place.join("sources"))?;
        self.compile(&place)
    }

    /// The command with `patch` applied.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn with(&self, patch: &Patch) -> Result<Build, BuildError> {
        let place = self.place_of(&patch.id);
        let staging = place.join("staging");
        let before = stage(&staging)?;
        apply(patch, &staging, &place)?;
        if !before.iter().any(|file| differ(&workspace().join(file), &staging.join(file))) {
            return Err(BuildError::DoesNotApply("it changes nothing".into()));
        }
        update(&staging, &place.join("sources"))?;
        let (warm, target) = (self.place_of("clean").join("target"), place.join("target"));
        if warm.exists() && !target.exists() {
            run(Command::new("cp").arg("-a").arg(warm).arg(target))?;
        }
        self.compile(&place)
    }

    fn place_of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn compile(&self, place: &Path) -> Result<Build, BuildError> {
        let target = place.join("target");
        let level = match self.profile {
            Profile::Fast => "3",
            Profile::Quick => "1",
        };
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(place.join("sources"))
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
            .arg(format!("-j{}", self.jobs))
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", level)
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_PROFILE_RELEASE_LTO", "false")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            // Warnings about a bug's own code are of no interest.
            .env("RUSTFLAGS", "--cap-lints allow");
        let output = cargo.output().map_err(|error| BuildError::Io("cargo".into(), error))?;
        if !output.status.success() {
            return Err(BuildError::DoesNotCompile(said(&output)));
        }
        let name = format!("vsr-sim{}", std::env::consts::EXE_SUFFIX);
        Ok(Build { command: target.join("release").join(name) })
    }
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
