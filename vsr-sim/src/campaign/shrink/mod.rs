//! Shrinks a failing scenario to its shortest story: what is left fails in the same way, and nothing can be taken away.
//!
//! First, while much still goes by chance, whole parts are left out and what is left may be tried under other seeds. Then
//! chance is replaced by lists (which packets met bad luck, at which moment each step had its time), and the lists are thinned
//! out. At the end the steps are told as plainly as they can be.

pub mod account;
mod disks;
mod log;
mod moments;
mod moved;
mod names;
mod parts;
mod requests;
pub mod search;
mod simpler;
mod size;
mod subject;

use std::collections::BTreeMap;

pub use self::search::Budget;
use self::search::{Effort, Pass, Search, Way};
pub use self::size::Size;
use self::subject::Scenarios;
use crate::cluster::service::AnyService;
use crate::report::story::Story;
use crate::scenario::Scenario;
use crate::scenario::outcome::{Finding, Outcome};
use crate::scenario::run::Runner;

/// How often a shrunk scenario must fail in the same way before it is believed.
const CONFIRMATIONS: usize = 3;

/// A failing scenario, as short as it could be made.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The scenario.
    pub scenario: Scenario,
    /// How it fails.
    pub outcome: Outcome,
    /// How the one that was given failed.
    pub before: Outcome,
    /// How long its story is.
    pub size: Size,
    /// How long that of the one that was given was.
    pub size_before: Size,
    /// How many scenarios were run.
    pub runs: u64,
    /// Whether nothing more can be taken away, rather than the budget having run out.
    pub is_shortest: bool,
    /// The other ways in which candidates failed, and how many of them did.
    pub others: BTreeMap<String, u64>,
    /// What each way to make it shorter came to.
    pub efforts: BTreeMap<&'static str, Effort>,
}

/// Why a scenario was not shrunk.
#[derive(Clone, Debug)]
pub enum NotShrunk {
    /// It does not fail.
    Passes(Box<Outcome>),
    /// It fails, but not each time in the same way, with the same trace: a bug of the simulator, or of a core that is no function.
    Differs,
}

/// Shrinks `scenario`, a run of this service, on so many threads.
///
/// # Errors
///
/// When it does not fail, or when what is left does not fail in the same way each time.
pub fn shrink(
    scenario: &Scenario,
    service: &AnyService,
    jobs: usize,
    budget: Budget<'_>,
) -> Result<Shrunk, NotShrunk> {
    let before = Runner::<()>::of(service.clone()).run(scenario);
    let Some(finding) = before.finding() else { return Err(NotShrunk::Passes(Box::new(before))) };
    let subject = Scenarios::failing_by(finding, service.clone());
    let events = before.counters.events;
    let mut search = Search::new(&subject, (scenario.clone(), events), jobs, budget);
    search.reduce(&while_by_chance(service));
    search.reduce_once(&written_out(service));
    search.reduce(&while_by_lists());
    search.reduce_once(&[simplify("plain words", simpler::told_plainly)]);
    search.reduce(&at_last());
    let mut best = search.best().clone();
    let outcome = confirmed(service, &best, finding)?;
    tell(service, &mut best, &outcome);
    Ok(Shrunk {
        size: Size::of(service, &best),
        size_before: Size::of(service, scenario),
        scenario: best,
        outcome,
        runs: search.runs(),
        is_shortest: !search.is_spent(),
        others: search.others().clone(),
        efforts: search.efforts().clone(),
        before,
    })
}

/// The outcome of a scenario that fails by `finding` each time, with one trace.
fn confirmed(
    service: &AnyService,
    scenario: &Scenario,
    finding: &Finding,
) -> Result<Outcome, NotShrunk> {
    let run = |_| Runner::<()>::of(service.clone()).run(scenario);
    let mut outcomes: Vec<Outcome> = (0..CONFIRMATIONS).map(run).collect();
    let is_same = |outcome: &Outcome| {
        let signature = outcome.finding().map(Finding::signature);
        signature == Some(finding.signature()) && outcome.trace_hash == outcomes[0].trace_hash
    };
    if !outcomes.iter().all(is_same) {
        return Err(NotShrunk::Differs);
    }
    Ok(outcomes.swap_remove(0))
}

/// Gives the scenario a title and a story: what its run is seen to do.
fn tell(service: &AnyService, scenario: &mut Scenario, outcome: &Outcome) {
    let Some(finding) = outcome.finding() else { return };
    let story = Story::new(scenario.cluster.replicas, finding);
    let story = Runner::<Story>::of(service.clone()).run_watched(scenario, story).1;
    scenario.title = story.title();
    scenario.story = story.sentences();
}

fn simplify(
    name: &'static str,
    candidates: impl for<'a> Fn(&'a Scenario) -> search::Candidates<'a, Scenario> + 'static,
) -> Pass<Scenario> {
    Pass { name, way: Way::Simplify(Box::new(candidates)) }
}

fn thin(
    name: &'static str,
    length: fn(&Scenario) -> usize,
    without: fn(&Scenario, std::ops::Range<usize>) -> Option<Scenario>,
) -> Pass<Scenario> {
    Pass { name, way: Way::Thin { length, without } }
}

fn steps() -> Pass<Scenario> {
    thin("steps", |scenario| scenario.steps.len(), parts::without_steps)
}

fn fates() -> Pass<Scenario> {
    thin("fates", |scenario| scenario.fates.len(), parts::without_fates)
}

fn clients() -> Pass<Scenario> {
    thin("clients", client_count, parts::without_clients)
}

fn client_count(scenario: &Scenario) -> usize {
    scenario.cluster.clients.into()
}

/// While steps still wait for the work to come to some point, whatever its details, and luck is still drawn.
fn while_by_chance(service: &AnyService) -> Vec<Pass<Scenario>> {
    let service = service.clone();
    vec![
        simplify("steps never met", move |scenario| simpler::met(&service, scenario)),
        steps(),
        simplify("calm", simpler::calmer),
        simplify("replicas", parts::fewer_replicas),
        clients(),
        simplify("log", log::shorter),
        simplify("requests", simpler::fewer_requests),
        simplify("earlier moments", simpler::earlier),
        simplify("usual sizes", simpler::plainer),
        simplify("wishes", simpler::plainer_workload),
        simplify("duration", simpler::sooner),
    ]
}

/// Lists in the place of chance: of the packets that met bad luck, and of the moments at which steps had their time.
fn written_out(service: &AnyService) -> Vec<Pass<Scenario>> {
    let (one, other, last) = (service.clone(), service.clone(), service.clone());
    vec![
        simplify("bad luck written out", move |scenario| {
            subject::told_without_chances(&one, scenario)
        }),
        simplify("moments written out", move |scenario| simpler::fixed(&other, scenario)),
        simplify("requests written out", move |scenario| requests::written_out(&last, scenario)),
    ]
}

/// When every step has its moment, and every unlucky packet its name.
fn while_by_lists() -> Vec<Pass<Scenario>> {
    vec![
        thin("requests before", moved::request_count, moved::without_requests),
        fates(),
        steps(),
        clients(),
        thin("clients before", client_count, moved::without_clients_before),
        simplify("log", log::shorter),
        simplify("requests", simpler::fewer_requests),
        simplify("replicas", parts::fewer_replicas),
        simplify("calm", simpler::calmer),
        simplify("wishes", simpler::plainer_workload),
        simplify("slow disks by name", disks::by_name),
        simplify("even", simpler::even),
        simplify("narrow", simpler::narrower),
        simplify("duration", simpler::sooner),
        simplify("without late requests", simpler::without_late_requests),
        simplify("fates, other seeds", parts::fewer_fates),
        simplify("steps, other seeds", parts::fewer_steps),
        simplify("clients, other seeds", parts::fewer_clients),
    ]
}

/// When nothing more can be left out.
fn at_last() -> Vec<Pass<Scenario>> {
    vec![
        steps(),
        fates(),
        simplify("shorter faults", simpler::shorter_faults),
        simplify("earlier moments", simpler::earlier),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A busy run with much that goes wrong, in which r1 should be up at a moment at which it is not.
    const BUSY: &str = r#"{
        "format": 1, "seed": 7, "duration": "3s",
        "cluster": {"replicas": 5, "clients": 4},
        "network": {"loss_ppm": 20000, "duplicate_ppm": 10000, "latency": "400us", "jitter": "300us",
                    "tail_ppm": 10000, "tail": "9ms"},
        "clock": {"skew_ppm": 300, "wall_offset": "2s"},
        "workload": {"requests": 60},
        "steps": [
            {"at": "20ms", "do": {"isolate": {"node": "r4"}}, "for": "30ms"},
            {"on": {"moment": "event", "kind": "Committed", "nth": 40}, "do": {"pause": {"node": "backup"}}, "for": "5ms"},
            {"on": {"moment": "event", "kind": "Prepared", "nth": 30}, "do": {"crash": {"node": "backup1"}}, "for": "900ms"},
            {"after": "3ms", "do": {"cut": {"from": "r2", "to": "replicas"}}, "for": "20ms"},
            {"on": {"moment": "sent", "kind": "Eviction"}, "do": {"heal": {}}},
            {"at": "600ms", "do": {"expect": {"nodes": "r1", "up": true}}}
        ]}"#;

    fn shrunk(text: &str, jobs: usize, runs_max: u64) -> Result<Shrunk, NotShrunk> {
        let scenario: Scenario =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}"));
        let budget = Budget { clock: &|| 0, ends_ns: u64::MAX, runs_max };
        shrink(&scenario, &AnyService::default(), jobs, budget)
    }

    #[test]
    fn only_the_crash_that_matters_is_left_and_what_was_expected() {
        let one = shrunk(BUSY, 1, u64::MAX).unwrap();
        let two = shrunk(BUSY, 2, u64::MAX).unwrap();
        assert_eq!(one.scenario, two.scenario);
        assert_eq!((one.runs, &one.others), (two.runs, &two.others));
        assert!(one.is_shortest);
        assert_eq!((one.size.faults, one.size.requests), (1, 0), "{:?}", one.scenario.steps);
        assert_eq!((one.outcome.replicas, one.outcome.clients), (3, 1));
        assert!(one.size_before.faults > 20 && one.size_before.requests > 20);
        let finding = one.outcome.finding().unwrap();
        assert_eq!(finding.property, "expectation");
        assert!(one.scenario.title.ends_with("r1 is down"), "{}", one.scenario.title);
        assert!(one.scenario.story.iter().any(|told| told.contains("r1 crashes")));
        // Were the quickest candidate taken, or a candidate that fails elsewhere, the two would differ.
    }

    #[test]
    fn a_budget_of_runs_gives_one_result_on_any_machine() {
        for runs_max in [0, 10, 60] {
            let one = shrunk(BUSY, 1, runs_max).unwrap();
            let two = shrunk(BUSY, 2, runs_max).unwrap();
            assert_eq!((one.runs, one.is_shortest), (runs_max, false));
            assert_eq!(one.scenario, two.scenario);
        }
    }

    #[test]
    fn what_passes_is_not_shrunk() {
        let text = BUSY.replace("\"up\": true", "\"up\": false");
        let Err(NotShrunk::Passes(outcome)) = shrunk(&text, 2, u64::MAX) else {
            panic!("there is nothing to shrink")
        };
        assert_eq!(outcome.finding(), None);
    }
}
