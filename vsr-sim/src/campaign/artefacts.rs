//! What a command leaves behind: a folder for each time that it is run, and in it one for each failure.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Serialize;

use super::recording::Recorder;
use crate::cluster::service::AnyService;
use crate::report::grid::{Detail, Grid};
use crate::report::history::History;
use crate::report::story::Story;
use crate::report::text::{self, Aftermath, Kept};
use crate::scenario::Scenario;
use crate::scenario::file::{text_of, write_atomically};
use crate::scenario::outcome::{Finding, Outcome};
use crate::scenario::run::Runner;

/// Where everything goes that this program writes by itself.
pub const ROOT: &str = "target/vsr-sim";

/// The name that stands for the newest folder in [`ROOT`].
pub const LATEST: &str = "latest";

/// The file with the whole scenario.
pub const SCENARIO: &str = "scenario.json";

/// The file with a hash for each event.
pub const EVENTS: &str = "events.hash";

/// Of a run of more events no hashes are kept.
const EVENTS_MAX: u64 = 1 << 21;

/// The most bytes of a trace that are kept, those of its end.
const TRACE_MAX: usize = 16 << 20;

/// The folder of one run of a command.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    events: File,
}

impl Folder {
    /// The folder `out`, if it is given; else a new one in [`ROOT`], called by the date and the command, to which
    /// [`LATEST`] leads from now on.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn create(out: Option<&Path>, date: &str, command: &str) -> io::Result<Self> {
        let path = match out {
            Some(out) => {
                fs::create_dir_all(out)?;
                out.to_owned()
            }
            None => create_new(&Path::new(ROOT).join("runs"), &format!("{date}-{command}"))?,
        };
        let events = File::options().create(true).append(true).open(path.join("events.ndjson"))?;
        if out.is_none() {
            lead_to(&path)?;
        }
        Ok(Self { path, events })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to the file of what happens; it is there even if the process is killed next.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn note(&mut self, record: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_string(record)?;
        line.push('\n');
        self.events.write_all(line.as_bytes())
    }

    /// Writes what the command came to.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn conclude(&self, record: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(record)?;
        text.push('\n');
        write_atomically(&self.path.join("summary.json"), text.as_bytes())
    }
}

/// Makes a folder of this name, or with a number after it if there is one already.
fn create_new(runs: &Path, name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(runs)?;
    let mut path = runs.join(name);
    for number in 2.. {
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = runs.join(format!("{name}-{number}"));
            }
            done => return done.map(|()| path),
        }
    }
    unreachable!("there are more numbers than folders")
}

/// Lets [`LATEST`] lead to a folder below `runs`.
#[cfg(unix)]
fn lead_to(path: &Path) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let link = Path::new(ROOT).join(LATEST);
    let beside = link.with_file_name(format!("{LATEST}.{}.tmp", std::process::id()));
    std::os::unix::fs::symlink(Path::new("runs").join(name), &beside)?;
    fs::rename(&beside, &link)
}

/// Where there are no such links the newest folder is found by its name.
#[cfg(not(unix))]
fn lead_to(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The newest folder, if there is one.
fn latest() -> Option<PathBuf> {
    let root = Path::new(ROOT);
    let link = root.join(LATEST);
    if link.exists() {
        return Some(link);
    }
    let runs = fs::read_dir(root.join("runs")).ok()?;
    runs.filter_map(|entry| Some(entry.ok()?.path())).max()
}

/// The scenario that is meant by a path: a file, that of a failure's folder, or that of the first failure of a command's folder;
/// [`LATEST`] is the folder of the newest command. Nothing, if there is none.
#[must_use]
pub fn resolve(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    let folder =
        if path == Path::new(LATEST) && !path.exists() { latest()? } else { path.to_owned() };
    let scenario = folder.join(SCENARIO);
    if scenario.is_file() {
        return Some(scenario);
    }
    let failures = fs::read_dir(folder.join("failures")).ok()?;
    let scenarios = failures.filter_map(|entry| Some(entry.ok()?.path().join(SCENARIO)));
    scenarios.filter(|scenario| scenario.is_file()).min()
}

/// The folder of one failure below `directory`.
#[must_use]
pub fn failure_directory(directory: &Path, scenario: &Scenario, finding: &Finding) -> PathBuf {
    let name = format!("{:016x}-seed-{:x}", finding.signature(), scenario.seed.number());
    directory.join("failures").join(name)
}

/// A failure that was written down.
#[derive(Clone, Debug)]
pub struct KeptFailure {
    /// Its folder.
    pub folder: PathBuf,
    /// What led to it, and how to come back to it.
    pub aftermath: Aftermath,
    /// Whether it failed in the same way, event for event, when it was run again to be written down.
    pub is_same: bool,
}

impl KeptFailure {
    /// The file with its scenario.
    #[must_use]
    pub fn scenario(&self) -> PathBuf {
        self.folder.join(SCENARIO)
    }
}

/// Writes down all about a run that failed, below `directory`: runs it again and listens this time.
///
/// `by_seed` is the command that runs its seed, if it has one. The scenario is written last, so that a folder that has it has all
/// of it.
///
/// # Errors
///
/// When the file system says no.
///
/// # Panics
///
/// When the run did not fail.
pub fn keep(
    directory: &Path,
    service: &AnyService,
    scenario: &Scenario,
    outcome: &Outcome,
    by_seed: Option<String>,
) -> io::Result<KeptFailure> {
    let finding = outcome.finding().expect("what is kept has failed");
    let folder = failure_directory(directory, scenario, finding);
    let heard = listen(service, scenario, finding);
    let replay = text::argument(&folder);
    let kept = Kept { replay, scenario: text::argument(&folder.join(SCENARIO)) };
    let aftermath = Aftermath { story: heard.story.lines(), by_seed, kept: Some(kept) };
    let is_same = heard.outcome.trace_hash == outcome.trace_hash;
    let write = |name: &str, text: &str| write_atomically(&folder.join(name), text.as_bytes());
    write("README.md", &readme(outcome, &aftermath))?;
    write("history.jsonl", &heard.history.lines())?;
    write_atomically(&folder.join("trace.txt"), &heard.trace.take())?;
    if outcome.counters.events <= EVENTS_MAX {
        let recording = heard.recorder.finish(heard.outcome.trace_hash);
        write(EVENTS, &recording.text())?;
    }
    write(SCENARIO, &text_of(scenario))?;
    Ok(KeptFailure { folder, aftermath, is_same })
}

/// What was heard of a run.
struct Heard {
    outcome: Outcome,
    story: Story,
    recorder: Recorder,
    history: History,
    trace: Tail,
}

fn listen(service: &AnyService, scenario: &Scenario, finding: &Finding) -> Heard {
    let trace = Tail::default();
    let replicas = scenario.cluster.replicas;
    let listeners = (
        (Story::new(replicas, finding), Recorder::default()),
        (History::default(), Grid::new(Box::new(trace.clone()), Detail::Grid, replicas)),
    );
    let mut runner = Runner::<((Story, Recorder), (History, Grid))>::of(service.clone());
    let (outcome, ((story, recorder), (history, mut grid))) =
        runner.run_watched(scenario, listeners);
    grid.finish();
    Heard { outcome, story, recorder, history, trace }
}

/// What somebody finds who comes upon the folder.
fn readme(outcome: &Outcome, aftermath: &Aftermath) -> String {
    let told = text::run(outcome, 0, aftermath);
    format!(
        "# A failure\n\n```\n{told}```\n\n\
         | file | holds |\n|---|---|\n\
         | `scenario.json` | all that the run is a function of, written out |\n\
         | `history.jsonl` | what the clients saw; `vsr-sim check` judges it |\n\
         | `trace.txt` | what the nodes did, a column a replica |\n\
         | `events.hash` | a hash for each event, by which a replay on another build says from where on it differs |\n\
         | `shrunk.json` | the shortest story that fails in the same way, once `vsr-sim shrink` was run |\n"
    )
}

/// Keeps the end of what is written to it.
#[derive(Clone, Debug, Default)]
struct Tail(Rc<RefCell<Vec<u8>>>);

impl Tail {
    fn take(&self) -> Vec<u8> {
        self.0.take()
    }
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.borrow_mut();
        if kept.len() > 2 * TRACE_MAX {
            let cut = kept.len() - TRACE_MAX;
            let line = kept[cut..].iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            kept.drain(..cut + line);
        }
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_trace_without_end_the_end_is_kept() {
        let mut tail = Tail::default();
        let line = [b"x".repeat(1_023), b"\n".to_vec()].concat();
        for _ in 0..3 * TRACE_MAX / line.len() {
            tail.write_all(&line).unwrap();
        }
        tail.write_all(b"the last\n").unwrap();
        let kept = tail.take();
        assert!((TRACE_MAX / 2..=2 * TRACE_MAX + 2 * line.len()).contains(&kept.len()));
        assert!(kept.starts_with(&line) && kept.ends_with(b"x\nthe last\n"));
        // A run that never ends must not fill the memory, and how it ends is what matters.
    }
}
