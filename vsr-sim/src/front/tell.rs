//! What a test says of a run: the text of the command line, with the commands of a test.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use super::Failed;
use super::environment::{Environment, SCENARIO, SEED, TRACE};
use super::overheard::overheard;
use super::seeds::{Sweep, is_pass};
use crate::campaign::artefacts;
use crate::campaign::shrink::{Budget, NotShrunk, Shrunk, shrink};
use crate::cluster::words::count;
use crate::report::grid::{Detail, Grid};
use crate::report::story::Story;
use crate::report::text::{self, Aftermath};
use crate::scenario::outcome::{Finding, Outcome, Verdict};
use crate::scenario::run::Runner;
use crate::scenario::{Scenario, file};

/// Tells what became of runs of this sweep, in this environment.
pub(super) struct Teller<'a> {
    pub(super) sweep: &'a Sweep,
    pub(super) environment: &'a Environment,
}

impl Teller<'_> {
    /// A run that was asked for alone, and passes: whoever asked wants to hear of it.
    #[expect(
        clippy::print_stdout,
        reason = "the test's own output, which is shown where it is asked for"
    )]
    pub(super) fn passes(&self, scenario: &Scenario, outcome: &Outcome) {
        println!(
            "{}PASS  seed {}  {} requests answered, {} events, {} view changes, trace {:032x}",
            self.trace(scenario),
            outcome.seed.number(),
            count(outcome.requests),
            count(outcome.counters.events),
            count(outcome.view_changes),
            outcome.trace_hash
        );
    }

    /// A run that is no pass; of the scenario in a file, or of one that was drawn, which is shrunk.
    pub(super) fn failed(
        &self,
        scenario: &Scenario,
        outcome: &Outcome,
        path: Option<&Path>,
    ) -> Failed {
        let mut told = Failed::because(format!("\n{}", self.trace(scenario)));
        match (outcome.finding(), path) {
            (Some(finding), None) => self.shrunk(&mut told, scenario, outcome, finding),
            (Some(_), Some(path)) => {
                told.text.push_str(&self.verdict(scenario, outcome));
                self.reproduce(&mut told.text, path);
            }
            (None, path) => {
                told.text.push_str(&undecided(outcome));
                match path {
                    Some(path) => self.reproduce(&mut told.text, path),
                    None => self.by_seed(&mut told.text, scenario),
                }
            }
        }
        told
    }

    /// Seeds that are no pass, in order: the shortest story among them, and a line for each of the others.
    pub(super) fn shortest(&self, scenarios: &[Scenario]) -> Failed {
        let length = |failed: &Failed| {
            failed.shrunk.as_ref().map_or((u64::MAX, u64::MAX), |shrunk| {
                (shrunk.size.faults + shrunk.size.requests, shrunk.size.events)
            })
        };
        let told: Vec<(&Scenario, Outcome, Failed)> = scenarios
            .iter()
            .map(|scenario| {
                let outcome = self.sweep.once(scenario);
                let failed = self.failed(scenario, &outcome, None);
                (scenario, outcome, failed)
            })
            .collect();
        let shortest = told.iter().min_by_key(|(.., failed)| length(failed));
        let Some((shortest, _, failed)) = shortest else { return Failed::because(String::new()) };
        let mut failed = failed.clone();
        for (scenario, outcome, _) in &told {
            if scenario != shortest {
                let property = outcome.finding().map_or("no verdict", |finding| finding.property);
                let words = format!("seed {} ({property})", scenario.seed.number());
                line(&mut failed.text, "also fails", &words);
            }
        }
        failed
    }

    /// A failure of a seed: shrunk, written down, told.
    fn shrunk(&self, told: &mut Failed, scenario: &Scenario, outcome: &Outcome, finding: &Finding) {
        let folder = artefacts::failure_directory(&self.environment.out, scenario, finding);
        let budget = Budget { clock: &|| 0, ends_ns: u64::MAX, runs_max: self.sweep.shrink_runs };
        match shrink(scenario, &self.sweep.service, self.sweep.jobs, budget) {
            Ok(shrunk) => {
                // Under the seed that failed, whatever seed the shortest story of it has.
                let as_drawn = Outcome { seed: scenario.seed, ..shrunk.outcome.clone() };
                told.text.push_str(&self.verdict(&shrunk.scenario, &as_drawn));
                self.by_seed(&mut told.text, scenario);
                self.write(&mut told.text, &folder.join("scenario.json"), scenario, "drawn");
                let path = folder.join("shrunk.json");
                if self.write(&mut told.text, &path, &shrunk.scenario, "shrunk") {
                    self.reproduce(&mut told.text, &path);
                }
                told.text.push_str(&how_much(&shrunk));
                told.shrunk = Some(Box::new(shrunk));
            }
            Err(NotShrunk::Differs | NotShrunk::Passes(_)) => {
                told.text.push_str(&self.verdict(scenario, outcome));
                self.by_seed(&mut told.text, scenario);
                self.write(&mut told.text, &folder.join("scenario.json"), scenario, "drawn");
                told.text.push_str(
                    "\n  Not shrunk: the same scenario gave two different runs. Something in the service, its operations or its\n  model depends on more than what it is given: time, entropy, addresses, or the order of a hash map.\n",
                );
            }
        }
    }

    /// What was violated, both sides, and what led there.
    fn verdict(&self, scenario: &Scenario, outcome: &Outcome) -> String {
        let Some(finding) = outcome.finding() else {
            return text::run(outcome, 0, &Aftermath::default());
        };
        let story = Story::new(scenario.cluster.replicas, finding);
        let (service, heard) = overheard(&self.sweep.service);
        let story = Runner::<Story>::of(service).run_watched(scenario, story).1.lines();
        let message = finding.message.clone() + &heard.glossary(&finding.message);
        let verdict = Verdict::Fail(Box::new(Finding { message, ..finding.clone() }));
        let outcome = Outcome { verdict, ..outcome.clone() };
        text::run(&outcome, 0, &Aftermath { story, ..Aftermath::default() })
    }

    fn by_seed(&self, text: &mut String, scenario: &Scenario) {
        let seed = format!("0x{:x}", scenario.seed.number());
        line(text, "by seed", &self.environment.command_with(&[(SEED, &seed)]));
    }

    fn reproduce(&self, text: &mut String, path: &Path) {
        let path = path.display().to_string();
        let alone = (SCENARIO, path.as_str());
        line(text, "reproduce", &self.environment.command_with(&[alone]));
        line(text, "look", &self.environment.command_with(&[(TRACE, "grid"), alone]));
    }

    /// Writes a scenario down, and says where it is, or why it is not; answers whether it is.
    fn write(&self, text: &mut String, path: &Path, scenario: &Scenario, label: &str) -> bool {
        match file::write(path, scenario) {
            Ok(()) => {
                line(text, label, &path.display().to_string());
                true
            }
            Err(error) => {
                line(text, label, &format!("not written: {error}"));
                false
            }
        }
    }

    /// The run as it happens, where that was asked for.
    fn trace(&self, scenario: &Scenario) -> String {
        if !self.environment.is_traced {
            return String::new();
        }
        let memory = Memory::default();
        let grid = Grid::new(Box::new(memory.clone()), Detail::Grid, scenario.cluster.replicas);
        let mut runner = Runner::<Grid>::of(self.sweep.service.clone());
        runner.run_watched(scenario, grid).1.finish();
        let bytes = memory.0.borrow();
        format!("{}\n", String::from_utf8_lossy(&bytes))
    }
}

/// A run of which it is not known whether anything is wrong.
fn undecided(outcome: &Outcome) -> String {
    match &outcome.verdict {
        Verdict::Pass if !is_pass(outcome) => format!(
            "FAIL  seed {}  nothing was exercised: no request was answered\n\n",
            outcome.seed.number()
        ),
        Verdict::Pass | Verdict::Fail(_) | Verdict::Unknown(_) => {
            text::run(outcome, 0, &Aftermath::default())
        }
    }
}

fn how_much(shrunk: &Shrunk) -> String {
    let end = if shrunk.is_shortest { "" } else { ", which was all it may take" };
    format!(
        "\n  Shrunk from {} to {} in {} runs{end}\n",
        shrunk.size_before,
        shrunk.size,
        count(shrunk.runs)
    )
}

fn line(text: &mut String, label: &str, words: &str) {
    text.push_str(&format!("  {label:<11} {words}\n"));
}

/// Text that is kept while it is written.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
