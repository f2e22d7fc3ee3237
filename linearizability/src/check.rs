//! One check: split by key, decide each part, put the parts' answers together.

use crate::engine::problem::Problem;
use crate::engine::race::{self, Runners};
use crate::engine::space::{ModelSpace, RegisterSpace, Space};
use crate::engine::zones::{self, Zones};
use crate::engine::{Meter, Outcome, plain};
use crate::{
    Budget, Exhausted, History, Model, Operation, Refusal, Resource, Verdict, Witness, evidence,
    verify,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a check goes about it.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// What it may spend.
    pub budget: Budget<'a>,
    /// Which engines it uses.
    pub engine: Engine,
    /// How far a contradiction is explained.
    pub detail: Detail,
    /// How many threads share the parts, at least one. Verdict and evidence are the same for any number.
    pub threads: usize,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            budget: Budget::default(),
            engine: Engine::Auto,
            detail: Detail::Minimal,
            threads: 1,
        }
    }
}

/// How far a contradiction is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// To the least set of operations that can be found.
    #[default]
    Minimal,
    /// To where it breaks: what an engine names without more work, or else all that had returned by then.
    Break,
}

/// Which engines decide a part. All answer the same, if they answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// The quickest for the case: what everybody wants but benchmarks and tests.
    #[default]
    Auto,
    /// Depth-first search with a memo and nothing else.
    Plain,
    /// No zones: the two searches in turns.
    Search,
    /// No zones: configuration sets alone.
    Breadth,
    /// No zones: depth-first with all the cuts alone.
    Depth,
    /// As [`Engine::Breadth`], without looking for a register in the model.
    BreadthOfModel,
    /// As [`Engine::Depth`], without looking for a register in the model.
    DepthOfModel,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Auto,
        Self::Plain,
        Self::Search,
        Self::Breadth,
        Self::Depth,
        Self::BreadthOfModel,
        Self::DepthOfModel,
    ];
}

/// Whether some order of the operations in `history` explains all answers, with one thread.
pub fn check<M>(model: &M, history: &History<M::Input, M::Output>, budget: &Budget<'_>) -> Verdict
where
    M: Model,
{
    let options = Options { budget: *budget, ..Options::default() };
    let parts = split(model, history);
    let mut decided = Vec::with_capacity(parts.len());
    for part in &parts {
        decided.push(decide_first(part, parts.len(), &options));
        if let Some((Outcome::Impossible { .. }, _)) = decided.last() {
            break;
        }
    }
    conclude(model, history, &parts, decided, &options)
}

/// As [`check`], for a caller who knows the order in which operations should have taken effect.
///
/// A simulator that saw them commit is one. If that order explains everything no search is needed; if not, that proves
/// nothing yet, and the history is checked as any other.
pub fn check_order<M>(
    model: &M,
    history: &History<M::Input, M::Output>,
    order: impl IntoIterator<Item = usize>,
    budget: &Budget<'_>,
) -> Verdict
where
    M: Model,
{
    match explain(model, history, order.into_iter().collect()) {
        Ok(witness) => Verdict::Linearizable(witness),
        Err(_) => check(model, history, budget),
    }
}

/// Whether the order explains the history, but for pending operations in it that may as well have done nothing.
pub(crate) fn explain<M: Model>(
    model: &M,
    history: &History<M::Input, M::Output>,
    mut order: Vec<usize>,
) -> Result<Witness, Refusal> {
    loop {
        match verify(model, history, order.iter().copied()) {
            // Nobody saw its answer: it may as well have done nothing, as a failed swap does.
            Err(Refusal::Answer(index)) if history.operations()[index].is_pending() => {
                order.retain(|other| *other != index);
            }
            decided => return decided,
        }
    }
}

/// As [`check`], with options.
///
/// # Panics
/// When an engine finds an order that does not explain the history: a bug of this crate, or a
/// [`Model::as_register`] that is not exact.
pub fn check_with<M>(
    model: &M,
    history: &History<M::Input, M::Output>,
    options: &Options<'_>,
) -> Verdict
where
    M: Model + Sync,
    M::Input: Sync,
    M::Output: Sync,
    M::Key: Send + Sync,
{
    let parts = split(model, history);
    let decided = decide_all(&parts, options);
    conclude(model, history, &parts, decided, options)
}

/// How many searches share the memory of the budget; more threads than this are of no use.
const SEARCHES_MAX: usize = 8;

/// An outcome, and the steps that it took.
type Decided = (Outcome, u64);

/// Decides a part in its share of the memory.
fn decide_first<M: Model>(part: &Part<'_, M>, parts: usize, options: &Options<'_>) -> Decided {
    let bytes = options.budget.bytes / parts.min(SEARCHES_MAX);
    let mut meter = Meter::new(&Budget { bytes, ..options.budget });
    (part.decide(options.engine, &mut meter), meter.steps)
}

/// Decides all parts up to the first that has no order; later ones may be missing or not.
fn decide_all<M>(parts: &[Part<'_, M>], options: &Options<'_>) -> Vec<Decided>
where
    M: Model + Sync,
    M::Input: Sync,
    M::Output: Sync,
    M::Key: Send + Sync,
{
    let threads = options.threads.clamp(1, SEARCHES_MAX).min(parts.len().max(1));
    let next = AtomicUsize::new(0);
    let bad = AtomicUsize::new(usize::MAX);
    let work = || {
        let mut decided = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            // What comes before a part without an order is always decided, so which one is found does not depend on luck.
            if index >= parts.len() || index > bad.load(Ordering::Relaxed) {
                return decided;
            }
            let decision = decide_first(&parts[index], parts.len(), options);
            if let Outcome::Impossible { .. } = decision.0 {
                bad.fetch_min(index, Ordering::Relaxed);
            }
            decided.push((index, decision));
        }
    };
    let mut decided: Vec<(usize, Decided)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut decided = work();
        for other in others {
            decided.extend(other.join().expect("a model does not panic"));
        }
        decided
    });
    decided.sort_unstable_by_key(|(index, _)| *index);
    let first_bad = bad.into_inner();
    decided
        .into_iter()
        .take_while(|(index, _)| *index <= first_bad)
        .map(|(_, decision)| decision)
        .collect()
}

fn conclude<M: Model>(
    model: &M,
    history: &History<M::Input, M::Output>,
    parts: &[Part<'_, M>],
    mut decided: Vec<Decided>,
    options: &Options<'_>,
) -> Verdict {
    for (part, (outcome, steps)) in parts.iter().zip(&mut decided) {
        // One at a time, a search may have all the memory.
        if let Outcome::Exhausted { resource: Resource::Bytes, .. } = outcome
            && parts.len() > 1
        {
            let mut meter = Meter::new(&options.budget);
            *outcome = part.decide(options.engine, &mut meter);
            *steps += meter.steps;
        }
    }
    let is_bad = |(outcome, _): &Decided| matches!(outcome, Outcome::Impossible { .. });
    if let Some(bad) = decided.iter().position(is_bad) {
        let evidence = evidence::explain(&parts[bad], bad, &decided[bad].0, options);
        return Verdict::NotLinearizable(Box::new(evidence));
    }
    if let Some(exhausted) = exhausted(parts, &decided) {
        return Verdict::Unknown(exhausted);
    }
    let order = merge(history, parts, &decided);
    let witness = verify(model, history, order);
    Verdict::Linearizable(witness.expect("each part's order explains it, and keeps real time"))
}

fn exhausted<M: Model>(parts: &[Part<'_, M>], decided: &[Decided]) -> Option<Exhausted> {
    let open = |(outcome, _): &Decided| matches!(outcome, Outcome::Exhausted { .. });
    let first = decided.iter().position(open)?;
    let Outcome::Exhausted { resource, placed } = decided[first].0 else {
        return None;
    };
    Some(Exhausted {
        resource,
        steps: decided.iter().map(|(_, steps)| steps).sum(),
        partitions_decided: decided.iter().filter(|decision| !open(decision)).count(),
        partitions: parts.len(),
        placed: (placed, parts[first].operations.len()),
    })
}

/// The operations of one key, by time of call.
#[derive(Debug)]
pub(crate) struct Part<'a, M: Model> {
    pub(crate) model: &'a M,
    pub(crate) key: M::Key,
    pub(crate) operations: Vec<&'a Operation<M::Input, M::Output>>,
    /// Where each operation stands in the history.
    pub(crate) indices: Vec<u32>,
}

fn split<'a, M: Model>(
    model: &'a M,
    history: &'a History<M::Input, M::Output>,
) -> Vec<Part<'a, M>> {
    let operations = history.operations();
    let mut keys: BTreeMap<M::Key, Vec<u32>> = BTreeMap::new();
    for (index, operation) in (0_u32..).zip(operations) {
        keys.entry(model.key(&operation.input)).or_default().push(index);
    }
    keys.into_iter()
        .map(|(key, mut indices)| {
            indices.sort_by_key(|&index| {
                let operation = &operations[index as usize];
                (operation.call, operation.returned())
            });
            let operations = indices.iter().map(|&index| &operations[index as usize]).collect();
            Part { model, key, operations, indices }
        })
        .collect()
}

impl<M: Model> Part<'_, M> {
    /// Whether the part has an order.
    pub(crate) fn decide(&self, engine: Engine, meter: &mut Meter<'_>) -> Outcome {
        let problem = Problem::new(&self.operations);
        let view = match engine {
            Engine::Plain | Engine::BreadthOfModel | Engine::DepthOfModel => None,
            Engine::Auto | Engine::Search | Engine::Breadth | Engine::Depth => {
                self.model.as_register(&self.key, &self.operations)
            }
        };
        let Some(view) = view else {
            let mut space = ModelSpace::new(self.model, &self.key, &self.operations);
            if engine == Engine::Auto
                && let Some(outcome) = try_plain(&problem, &mut space, meter)
            {
                return outcome;
            }
            return search(&problem, &mut space, engine, meter);
        };
        assert_eq!(view.steps.len(), self.operations.len());
        if engine == Engine::Auto {
            match zones::decide(&problem, &view) {
                Zones::Order(order) => return Outcome::Order(order),
                Zones::Impossible(conflict) => {
                    return Outcome::Impossible { core: Some(conflict.operations()), level: None };
                }
                Zones::Undecided => {}
            }
        }
        search(&problem, &mut RegisterSpace::new(&view), engine, meter)
    }
}

/// The longest part that the plain search has a try at; its memory is a bit for each operation and step.
const PLAIN_LENGTH_MAX: usize = 1 << 12;

/// Without a register most of the cuts are of no use, and what is easy is done soonest without them.
fn try_plain<S: Space>(problem: &Problem, space: &mut S, meter: &mut Meter<'_>) -> Option<Outcome> {
    if problem.len() > PLAIN_LENGTH_MAX {
        return None;
    }
    let mut first = meter.part(64 * problem.len() as u64);
    let outcome = plain::search(problem, space, &mut first);
    meter.steps += first.steps;
    match outcome {
        Outcome::Order(_) | Outcome::Impossible { .. } => Some(outcome),
        Outcome::Exhausted { .. } => None,
    }
}

fn search<S: Space>(
    problem: &Problem,
    space: &mut S,
    engine: Engine,
    meter: &mut Meter<'_>,
) -> Outcome {
    let runners = match engine {
        Engine::Plain => return plain::search(problem, space, meter),
        Engine::Auto | Engine::Search => Runners::Both,
        Engine::Breadth | Engine::BreadthOfModel => Runners::Breadth,
        Engine::Depth | Engine::DepthOfModel => Runners::Depth,
    };
    race::search(problem, space, runners, meter)
}

/// One order out of those of the parts.
///
/// An operation takes effect as early as its part's order and its own call permit. That moment lies within its
/// interval, so sorting by it keeps real time between parts as well.
fn merge<M: Model>(
    history: &History<M::Input, M::Output>,
    parts: &[Part<'_, M>],
    decided: &[Decided],
) -> Vec<usize> {
    let mut moments: Vec<(i64, u32, u32)> = Vec::with_capacity(history.len());
    for (part, (outcome, _)) in parts.iter().zip(decided) {
        let Outcome::Order(order) = outcome else {
            continue;
        };
        let mut moment = i64::MIN;
        for &operation in order {
            moment = moment.max(part.operations[operation as usize].call);
            let place = u32::try_from(moments.len()).expect("a history is indexed in 31 bits");
            moments.push((moment, place, part.indices[operation as usize]));
        }
    }
    moments.sort_unstable();
    moments.into_iter().map(|(_, _, index)| index as usize).collect()
}
