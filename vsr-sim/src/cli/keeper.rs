//! Keeps failures while a sweep is under way, on a thread of its own: what was found is on the disk even if the rest never is.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use super::OverrideArgs;
use super::run::command_of_seed;
use crate::campaign::artefacts::{self, Folder, KeptFailure};
use crate::cluster::service::AnyService;
use crate::report::json::EventRecord;
use crate::report::summary::SEEDS_PER_SIGNATURE;
use crate::scenario::Scenario;
use crate::scenario::outcome::Outcome;

/// What the threads of a sweep tell the keeper.
#[derive(Debug)]
pub(super) enum News {
    /// So many seeds are done.
    Progress(u64),
    /// A seed did not pass.
    Outcome(Box<Outcome>),
}

/// The failures of a sweep.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) folder: Folder,
    overrides: OverrideArgs,
    /// By signature the shortest runs that failed so, the shortest first: as many as a summary keeps.
    kept: BTreeMap<u64, Vec<Kept>>,
    /// A seed that was not the same run when it was run again.
    pub(super) differs: Option<u64>,
    /// Why not everything could be kept.
    error: Option<io::Error>,
}

#[derive(Debug)]
struct Kept {
    events: u64,
    seed: u64,
    failure: KeptFailure,
}

impl Keeper {
    pub(super) const fn new(folder: Folder, overrides: OverrideArgs) -> Self {
        Self { folder, overrides, kept: BTreeMap::new(), differs: None, error: None }
    }

    /// Takes all news until nobody is left to tell any.
    pub(super) fn take_all(mut self, news: impl IntoIterator<Item = News>) -> Self {
        for news in news {
            if let Err(error) = self.take(&news) {
                self.error.get_or_insert(error);
            }
        }
        self
    }

    fn take(&mut self, news: &News) -> io::Result<()> {
        match news {
            News::Progress(done) => self.folder.note(&EventRecord::progress(*done)),
            News::Outcome(outcome) => {
                if let Some(record) = EventRecord::of(outcome) {
                    self.folder.note(&record)?;
                }
                self.keep(outcome)
            }
        }
    }

    fn keep(&mut self, outcome: &Outcome) -> io::Result<()> {
        let Some(finding) = outcome.finding() else { return Ok(()) };
        let kept = self.kept.entry(finding.signature()).or_default();
        let rank = (outcome.counters.events, outcome.seed.number());
        let place = kept.partition_point(|other| (other.events, other.seed) < rank);
        if place >= SEEDS_PER_SIGNATURE {
            return Ok(());
        }
        let scenario = Scenario::draw(outcome.seed, &self.overrides.overrides());
        let by_seed = Some(command_of_seed(outcome.seed.number(), self.overrides));
        let service = AnyService::default();
        let failure = artefacts::keep(self.folder.path(), &service, &scenario, outcome, by_seed)?;
        if !failure.is_same {
            self.differs = self.differs.or(Some(rank.1));
        }
        kept.insert(place, Kept { events: rank.0, seed: rank.1, failure });
        if kept.len() <= SEEDS_PER_SIGNATURE {
            return Ok(());
        }
        kept.pop().map_or(Ok(()), |longer| fs::remove_dir_all(longer.failure.folder))
    }

    /// What stands in the way of believing that everything was kept, if anything.
    pub(super) const fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// The shortest failure with this signature.
    pub(super) fn shortest(&self, signature: u64) -> Option<&KeptFailure> {
        Some(&self.kept.get(&signature)?.first()?.failure)
    }
}
