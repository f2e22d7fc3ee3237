//! Makes a failing case smaller for as long as it fails in the same way: delta debugging over whatever can be run.
//!
//! Candidates are tried in an order that does not depend on how many threads try them: of those that still fail so, the first
//! in order is taken, not the first to be done. So the result of a search that came to its end, or whose budget is a number of
//! runs, is the same on any machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many candidates are handed to the threads at a time.
const CHUNK: usize = 16;

/// A candidate may cost so many times what the best case so far costs, and a little more, before it is given up.
const COST_FACTOR: u64 = 2;
const COST_SPARE: u64 = 1_000;

/// What can be made smaller. Another protocol has its failures shrunk by implementing it.
pub trait Reducible: Sync {
    /// What fails.
    type Case: Clone + Send + Sync;
    /// The memory that runs use again, one after the other; it stays on its thread.
    type Runner;

    /// Memory that no run has used yet.
    fn runner(&self) -> Self::Runner;

    /// A number that tells cases apart.
    fn key(&self, case: &Self::Case) -> u128;

    /// Whether the case fails as the first one did. After about `cost_max` it may be given up.
    fn run(&self, runner: &mut Self::Runner, case: &Self::Case, cost_max: u64) -> Trial;
}

/// What came of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It fails in the same way.
    Same {
        /// What that took, such as events.
        cost: u64,
    },
    /// It fails in another way, which has this name.
    Other(String),
    /// It does not fail, or not soon enough.
    Fine,
}

/// Smaller or simpler cases, the boldest first.
pub type Candidates<'a, C> = Box<dyn Iterator<Item = C> + 'a>;

/// Gives simpler cases.
pub type Simplify<C> = Box<dyn for<'a> Fn(&'a C) -> Candidates<'a, C>>;

/// One way to make cases smaller.
pub struct Pass<C> {
    /// What it does, for people.
    pub name: &'static str,
    /// How it does it.
    pub way: Way<C>,
}

/// How a case is made smaller.
pub enum Way<C> {
    /// By leaving out of a list what can be left out.
    Thin {
        /// How long the list is.
        length: fn(&C) -> usize,
        /// The case without a part of the list, where that makes sense.
        without: fn(&C, Range<usize>) -> Option<C>,
    },
    /// By taking the first candidate that still fails, again and again.
    Simplify(Simplify<C>),
}

/// How much a search may take.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Shows nanoseconds of wall time.
    pub clock: &'a (dyn Fn() -> u64 + Sync),
    /// When the clock shows this much, it is over.
    pub ends_ns: u64,
    /// After so many runs it is over.
    pub runs_max: u64,
}

/// What one pass came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Candidates that were run.
    pub runs: u64,
    /// Those of them that were taken.
    pub taken: u64,
    /// Nanoseconds of wall time.
    pub wall_ns: u64,
}

/// A search under way.
pub struct Search<'a, S: Reducible> {
    subject: &'a S,
    budget: Budget<'a>,
    jobs: usize,
    best: S::Case,
    cost: u64,
    runs: u64,
    /// The cases that need not be tried again.
    seen: BTreeSet<u128>,
    others: BTreeMap<String, u64>,
    efforts: BTreeMap<&'static str, Effort>,
    is_spent: bool,
}

impl<C> fmt::Debug for Pass<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pass").field(&self.name).finish()
    }
}

impl<C> fmt::Debug for Way<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Thin { .. } => "Thin",
            Self::Simplify(_) => "Simplify",
        })
    }
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clock: _, ends_ns, runs_max } = self;
        let mut told = formatter.debug_struct("Budget");
        told.field("ends_ns", ends_ns).field("runs_max", runs_max).finish_non_exhaustive()
    }
}

impl<S: Reducible> fmt::Debug for Search<'_, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, cost, runs, is_spent, .. } = self;
        let mut told = formatter.debug_struct("Search");
        told.field("budget", budget).field("cost", cost).field("runs", runs);
        told.field("is_spent", is_spent).finish_non_exhaustive()
    }
}

impl<'a, S: Reducible> Search<'a, S> {
    /// A search that begins with `case`, which failed at this cost, on so many threads.
    pub fn new(
        subject: &'a S,
        (case, cost): (S::Case, u64),
        jobs: usize,
        budget: Budget<'a>,
    ) -> Self {
        let seen = [subject.key(&case)].into();
        Self {
            subject,
            budget,
            jobs: jobs.max(1),
            best: case,
            cost,
            runs: 0,
            seen,
            others: BTreeMap::new(),
            efforts: BTreeMap::new(),
            is_spent: false,
        }
    }

    /// The smallest case so far.
    pub const fn best(&self) -> &S::Case {
        &self.best
    }

    /// How many candidates were run.
    pub const fn runs(&self) -> u64 {
        self.runs
    }

    /// Whether the budget ran out.
    pub const fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// The other ways in which candidates failed, and how many did.
    pub const fn others(&self) -> &BTreeMap<String, u64> {
        &self.others
    }

    /// What each pass came to, by its name.
    pub const fn efforts(&self) -> &BTreeMap<&'static str, Effort> {
        &self.efforts
    }

    /// Does all passes in order, again and again, until none of them makes the case smaller or the budget is spent.
    pub fn reduce(&mut self, passes: &[Pass<S::Case>]) {
        while self.reduce_once(passes) && !self.is_spent {}
    }

    /// Does all passes once; answers whether any made the case smaller.
    pub fn reduce_once(&mut self, passes: &[Pass<S::Case>]) -> bool {
        let mut taken = false;
        for pass in passes {
            taken |= self.pass(pass);
        }
        taken
    }

    fn pass(&mut self, pass: &Pass<S::Case>) -> bool {
        let (begin, runs) = ((self.budget.clock)(), self.runs);
        let taken = match &pass.way {
            Way::Thin { length, without } => self.thin(*length, *without),
            Way::Simplify(candidates) => self.simplify(candidates),
        };
        let effort = self.efforts.entry(pass.name).or_default();
        effort.runs += self.runs - runs;
        effort.taken += taken;
        effort.wall_ns += (self.budget.clock)().saturating_sub(begin);
        taken > 0
    }

    /// Leaves out all, then halves, quarters and so on, down to single things.
    fn thin(
        &mut self,
        length: fn(&S::Case) -> usize,
        without: fn(&S::Case, Range<usize>) -> Option<S::Case>,
    ) -> u64 {
        let mut taken = 0;
        let mut size = length(&self.best);
        while size > 0 && !self.is_spent {
            let mut start = 0;
            loop {
                let case = self.best.clone();
                let all = length(&case);
                let part = |place| start + place * size..all.min(start + (place + 1) * size);
                let parts = (0..).map(part).take_while(|part| part.start < all);
                // A part that cannot be left out keeps its place in the order.
                let mut candidates = parts.map(|part| without(&case, part));
                let Some(place) = self.first_good(&mut candidates) else { break };
                start += place * size;
                taken += 1;
            }
            size /= 2;
        }
        taken
    }

    fn simplify(&mut self, candidates: &Simplify<S::Case>) -> u64 {
        let mut taken = 0;
        loop {
            let case = self.best.clone();
            if self.first_good(&mut candidates(&case).map(Some)).is_none() {
                return taken;
            }
            taken += 1;
        }
    }

    /// Takes the first candidate that fails in the same way; answers its place.
    fn first_good(
        &mut self,
        candidates: &mut dyn Iterator<Item = Option<S::Case>>,
    ) -> Option<usize> {
        let mut places = candidates.enumerate();
        loop {
            let mut chunk = Vec::new();
            let room = self.budget.runs_max.saturating_sub(self.runs);
            let room = usize::try_from(room).map_or(CHUNK, |room| room.min(CHUNK));
            while chunk.len() < room.max(1) {
                let Some((place, candidate)) = places.next() else { break };
                let Some(case) = candidate else { continue };
                if self.seen.insert(self.subject.key(&case)) {
                    chunk.push((place, case));
                }
            }
            if chunk.is_empty() {
                return None;
            }
            if room == 0 || (self.budget.clock)() >= self.budget.ends_ns {
                self.is_spent = true;
                return None;
            }
            let trials = self.try_all(&chunk);
            let mut good = None;
            for ((place, case), trial) in chunk.into_iter().zip(trials) {
                if good.is_some() {
                    // Nobody looked, or looked in vain: it may be tried again.
                    self.seen.remove(&self.subject.key(&case));
                    continue;
                }
                self.runs += 1;
                match trial.expect("all before the first good one are tried") {
                    Trial::Same { cost } => {
                        (self.best, self.cost) = (case, cost);
                        good = Some(place);
                    }
                    Trial::Other(name) => *self.others.entry(name).or_default() += 1,
                    Trial::Fine => {}
                }
            }
            if good.is_some() {
                return good;
            }
        }
    }

    /// Runs candidates, all of them up to the first that is good at least.
    fn try_all(&self, chunk: &[(usize, S::Case)]) -> Vec<Option<Trial>> {
        let cost_max = self.cost.saturating_mul(COST_FACTOR).saturating_add(COST_SPARE);
        let (next, good) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let subject = self.subject;
        let work = || {
            let mut runner = subject.runner();
            let mut done = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some((_, case)) = chunk.get(place) else { return done };
                if place > good.load(Ordering::Relaxed) {
                    return done;
                }
                let trial = subject.run(&mut runner, case, cost_max);
                if matches!(trial, Trial::Same { .. }) {
                    good.fetch_min(place, Ordering::Relaxed);
                }
                done.push((place, trial));
            }
        };
        let mut trials = vec![None; chunk.len()];
        let mut note = |done: Vec<(usize, Trial)>| {
            for (place, trial) in done {
                trials[place] = Some(trial);
            }
        };
        let threads = self.jobs.min(chunk.len());
        if threads == 1 {
            note(work());
            return trials;
        }
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                match worker.join() {
                    Ok(done) => note(done),
                    Err(payload) => resume_unwind(payload),
                }
            }
        });
        trials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of numbers, and a number of its own. It fails "so" when the list holds 7 and 11 and the number is at least 5.
    struct Arithmetic;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Sum {
        terms: Vec<u64>,
        least: u64,
    }

    impl Reducible for Arithmetic {
        type Case = Sum;
        type Runner = ();

        fn runner(&self) {}

        fn key(&self, case: &Sum) -> u128 {
            xxhash_rust::xxh3::xxh3_128(format!("{case:?}").as_bytes())
        }

        fn run(&self, (): &mut (), case: &Sum, cost_max: u64) -> Trial {
            let cost = case.terms.iter().sum::<u64>() + case.least;
            let has = |term| case.terms.contains(&term);
            match (has(7), has(11)) {
                _ if cost > cost_max => Trial::Fine,
                (true, true) if case.least >= 5 => Trial::Same { cost },
                (true, false) => Trial::Other("seven alone".to_owned()),
                (true, true) | (false, _) => Trial::Fine,
            }
        }
    }

    fn passes() -> [Pass<Sum>; 2] {
        [
            Pass {
                name: "terms",
                way: Way::Thin {
                    length: |case| case.terms.len(),
                    without: |case, part| {
                        let mut case = case.clone();
                        case.terms.drain(part);
                        Some(case)
                    },
                },
            },
            Pass {
                name: "least",
                way: Way::Simplify(Box::new(|case| {
                    let less = [0, case.least / 2, case.least.saturating_sub(1)];
                    Box::new(less.into_iter().map(|least| Sum { least, ..case.clone() }))
                })),
            },
        ]
    }

    fn search(jobs: usize, runs_max: u64) -> (Sum, u64, BTreeMap<String, u64>, bool) {
        let case = Sum { terms: (0..100).collect(), least: 1_000 };
        let budget = Budget { clock: &|| 0, ends_ns: u64::MAX, runs_max };
        let mut search = Search::new(&Arithmetic, (case, 10_000), jobs, budget);
        search.reduce(&passes());
        (search.best().clone(), search.runs(), search.others().clone(), search.is_spent())
    }

    #[test]
    fn what_is_left_is_what_it_takes_and_no_more() {
        let (best, runs, others, is_spent) = search(1, u64::MAX);
        assert_eq!(best, Sum { terms: vec![7, 11], least: 5 });
        assert!(runs < 200, "{runs}");
        assert!(others["seven alone"] > 0);
        assert!(!is_spent);
    }

    #[test]
    fn threads_change_nothing_but_the_time_it_takes() {
        for runs_max in [0, 1, 7, 23, 60, u64::MAX] {
            assert_eq!(search(1, runs_max), search(4, runs_max), "{runs_max} runs");
        }
        let (_, runs, _, is_spent) = search(2, 23);
        assert_eq!((runs, is_spent), (23, true));
        // Were the quickest candidate taken, two people would shrink one failure to two stories.
    }

    #[test]
    fn a_clock_that_has_run_out_ends_it_at_once() {
        let case = Sum { terms: vec![7, 11, 13], least: 9 };
        let budget = Budget { clock: &|| 60, ends_ns: 60, runs_max: u64::MAX };
        let mut search = Search::new(&Arithmetic, (case.clone(), 40), 2, budget);
        search.reduce(&passes());
        assert_eq!((search.best(), search.runs(), search.is_spent()), (&case, 0, true));
    }
}
