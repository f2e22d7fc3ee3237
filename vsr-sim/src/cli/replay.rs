//! `vsr-sim replay`: a failure, a kept scenario or the latest run once more, and whether it is still what it was.

use std::path::{Path, PathBuf};

use clap::Args;

use super::run::{TraceDetail, aftermath, limited, print_lines};
use super::{CliError, Format, print, print_record, resolve, say, stopwatch};
use crate::campaign::artefacts::{EVENTS, SCENARIO};
use crate::campaign::recording::{Divergence, Recorder, Recording};
use crate::campaign::regressions;
use crate::cluster::words::{count, time};
use crate::engine::time::{Span, Time};
use crate::report::grid::Grid;
use crate::report::json::{ReplayFields, RunRecord, exit_code_of_run};
use crate::report::moment::Glimpse;
use crate::report::text;
use crate::report::transcript::Transcript;
use crate::scenario::Scenario;
use crate::scenario::file;
use crate::scenario::listener::Listener;
use crate::scenario::outcome::{Outcome, Verdict};

/// The exit code where a replay is not what was recorded.
const DIVERGED: u8 = 30;

/// The exit code by which `git bisect run` is told that a commit cannot be judged.
const NOT_JUDGED: u8 = 125;

/// What to replay, and how to judge it.
///
/// The exit code of a failure's folder is that of its run. A scenario from elsewhere is judged by what it expects: 0 if that is
/// what comes of it.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The folder of a failure, a scenario, or `latest`.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Write down the run as it happens, a column a replica.
    #[arg(long, value_name = "HOW")]
    trace: Option<TraceDetail>,
    /// Leave the run at this virtual time, such as 1500ms, and write down all until then.
    #[arg(long, value_name = "TIME")]
    until: Option<Span>,
    /// Exit with 30 unless the run is the recorded one, event for event.
    #[arg(long)]
    exact: bool,
    /// For `git bisect run`: exit with 125 where this commit cannot judge, and else by the run's verdict alone.
    #[arg(long, conflicts_with = "exact")]
    bisect: bool,
    /// For whom the output is.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// Runs the command; answers its exit code.
pub(super) fn run(args: &ReplayArgs) -> Result<u8, CliError> {
    match replay(args) {
        Err(error) if args.bisect => {
            say(&error.to_string());
            Ok(NOT_JUDGED)
        }
        done => done,
    }
}

fn replay(args: &ReplayArgs) -> Result<u8, CliError> {
    let path = resolve(&args.path)?;
    let scenario = file::read(&path)?;
    let recording = recording_of(&path)?;
    if args.exact && recording.is_none() {
        let words = format!("{}: nothing was recorded to compare it with", text::path(&path));
        return Err(CliError::Usage(words));
    }
    let clock = stopwatch();
    let (outcome, mine) = run_recorded(args, &scenario);
    let wall_ns = clock();
    let comparison = recording.map(|theirs| compare(args, &scenario, mine, theirs));
    let replayed = Replayed { args, path: &path, scenario: &scenario, outcome, comparison };
    replayed.tell(wall_ns)?;
    Ok(replayed.exit_code())
}

/// The recording that lies beside the scenario of a failure.
fn recording_of(scenario: &Path) -> Result<Option<Recording>, CliError> {
    let path = scenario.with_file_name(EVENTS);
    if scenario.file_name().is_none_or(|name| name != SCENARIO) || !path.exists() {
        return Ok(None);
    }
    let refuse = |words: String| CliError::Usage(format!("{}:{words}", text::path(&path)));
    let bytes = std::fs::read(&path).map_err(|error| refuse(format!(" {error}")))?;
    let text = file::text_in(&bytes).map_err(|error| refuse(error.to_string()))?;
    Recording::parse(text).map(Some).map_err(|error| refuse(error.to_string()))
}

fn run_recorded(args: &ReplayArgs, scenario: &Scenario) -> (Outcome, Recording) {
    let until = args.until.map(|until| Time::from_ns(until.as_ns()));
    let trace = args.trace.or_else(|| args.until.map(|_| TraceDetail::Grid));
    let grid = trace.map(|detail| detail.grid(scenario.cluster.replicas));
    let (outcome, recorder) = match grid {
        None => run_heard(until, scenario, ()),
        Some(Some(grid)) => run_heard(until, scenario, grid),
        Some(None) => run_heard(until, scenario, Transcript::of(scenario)),
    };
    let recording = recorder.finish(outcome.trace_hash);
    (outcome, recording)
}

/// Runs the scenario up to a moment, if any; `listener` hears it, and tells it in the end.
fn run_heard<T: Told>(
    until: Option<Time>,
    scenario: &Scenario,
    listener: T,
) -> (Outcome, Recorder) {
    let mut runner = limited::<(Recorder, T)>(None);
    runner.stop_at(until);
    let listeners = (Recorder::default(), listener);
    let (outcome, (recorder, told)) = runner.run_watched(scenario, listeners);
    told.tell();
    (outcome, recorder)
}

/// A trace that is written to stdout when the run is over, if not before.
trait Told: Listener + Default {
    fn tell(self);
}

impl Told for () {
    fn tell(self) {}
}

impl Told for Grid {
    fn tell(mut self) {
        self.finish();
    }
}

impl Told for Transcript {
    fn tell(self) {
        print_lines(&self);
    }
}

/// A replay beside its recording.
struct Comparison {
    /// How many events were compared.
    events: usize,
    difference: Option<Difference>,
}

/// The first thing that is not as it was recorded.
struct Difference {
    /// The number of the event.
    event: u64,
    /// When it happens here, if it does.
    at: Option<Time>,
    /// When the recorded one happened, if there was one.
    recorded_at: Option<Time>,
    /// What happens here.
    what: String,
}

fn compare(
    args: &ReplayArgs,
    scenario: &Scenario,
    mut mine: Recording,
    mut theirs: Recording,
) -> Comparison {
    if args.until.is_some() && mine.events.len() < theirs.events.len() {
        // What the driver did after the last event is not part of it here.
        mine.events.pop();
        theirs.events.truncate(mine.events.len());
        theirs.trace_hash = mine.trace_hash;
    }
    let events = mine.events.len();
    let event = match mine.divergence_from(&theirs) {
        None => return Comparison { events, difference: None },
        Some(Divergence::Event(event)) => event,
        Some(Divergence::End) => events as u64,
    };
    let at = |recording: &Recording| {
        let place = usize::try_from(event).ok()?.checked_sub(1)?;
        recording.events.get(place).map(|event| event.at)
    };
    let (here, there) = (at(&mine), at(&theirs));
    let what = match (here, there) {
        (None, _) => format!("the run is over after {} events", count(events as u64)),
        (Some(_), _) => Glimpse::of(scenario, event),
    };
    Comparison {
        events,
        difference: Some(Difference { event, at: here, recorded_at: there, what }),
    }
}

/// A replay that is over.
struct Replayed<'a> {
    args: &'a ReplayArgs,
    path: &'a Path,
    scenario: &'a Scenario,
    outcome: Outcome,
    comparison: Option<Comparison>,
}

impl Replayed<'_> {
    /// Whether it is what a run left behind, and not a scenario that somebody keeps.
    fn is_artefact(&self) -> bool {
        self.path.with_file_name(EVENTS).exists()
    }

    fn differs(&self) -> bool {
        self.comparison.as_ref().is_some_and(|comparison| comparison.difference.is_some())
    }

    fn exit_code(&self) -> u8 {
        let verdict = &self.outcome.verdict;
        if self.args.exact && self.differs() {
            return DIVERGED;
        }
        match verdict {
            Verdict::Unknown(_) if self.args.bisect => NOT_JUDGED,
            Verdict::Pass | Verdict::Fail(_) | Verdict::Unknown(_)
                if self.args.bisect || self.is_artefact() =>
            {
                exit_code_of_run(verdict)
            }
            Verdict::Pass | Verdict::Fail(_) | Verdict::Unknown(_) => {
                let unmet = regressions::unmet(self.path, self.scenario, verdict);
                unmet.map_or(0, |unmet| unmet.exit_code)
            }
        }
    }

    fn tell(&self, wall_ns: u64) -> Result<(), CliError> {
        match self.args.format {
            Format::Json => {
                let path = Some(text::path(self.path));
                let record = RunRecord::of(&self.outcome, wall_ns, path);
                print_record(&record.of_replay(self.fields(), self.exit_code()))
            }
            Format::Human => {
                let aftermath = aftermath(self.scenario, &self.outcome, None, Some(self.path));
                print(&text::run(&self.outcome, wall_ns, &aftermath))?;
                print(&self.judged())
            }
        }
    }

    fn fields(&self) -> ReplayFields {
        let difference = self.comparison.as_ref().and_then(|told| told.difference.as_ref());
        ReplayFields {
            expected: self.scenario.expect.is_met(&self.outcome.verdict),
            exact: self.comparison.as_ref().map(|_| !self.differs()),
            diverged_at_event: difference.map(|difference| difference.event),
            diverged_at_ns: difference.and_then(|difference| difference.at).map(Time::as_ns),
            diverged_at: difference.map(|difference| difference.what.clone()),
        }
    }

    /// Whether it is what it should be, in words.
    fn judged(&self) -> String {
        let mut text = String::from("\n");
        let mut line = |label: &str, words: String| {
            text.push_str(format!("  {label:<11} {words}").trim_end());
            text.push('\n');
        };
        if !self.is_artefact() {
            match regressions::unmet(self.path, self.scenario, &self.outcome.verdict) {
                None => line("as expected", self.scenario.expect.to_string()),
                Some(unmet) => {
                    line("expected", unmet.expected);
                    line("found", unmet.found);
                }
            }
        }
        if let Some(Comparison { events, difference }) = &self.comparison {
            match difference {
                None => line("as recorded", format!("{} events", count(*events as u64))),
                Some(difference) => {
                    line("differs", difference.words());
                    for happens in difference.what.lines() {
                        line("", happens.to_owned());
                    }
                }
            }
        }
        text
    }
}

impl Difference {
    fn words(&self) -> String {
        let event = count(self.event);
        let here =
            self.at.map_or_else(|| "it never comes".to_owned(), |at| format!("at {}", time(at)));
        match self.recorded_at {
            None => format!("from the recording at event {event}, {here}: none was recorded"),
            Some(there) if self.at == Some(there) => {
                format!("from the recording at event {event}, {here}:")
            }
            Some(there) => {
                format!(
                    "from the recording at event {event}, {here} (recorded at {}):",
                    time(there)
                )
            }
        }
    }
}
