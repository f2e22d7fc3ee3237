//! What can be left out of a scenario: steps, fates of packets, clients, replicas.

use std::ops::Range;

use super::names::{numbered, renamed};
use super::search::Candidates;
use crate::engine::Seed;
use crate::faults::Selector;
use crate::scenario::Scenario;

/// How many other seeds are tried where taking a node away changes the fate of all others anyhow.
const SEEDS: u64 = 48;

/// The scenario without some of its steps.
pub(super) fn without_steps(scenario: &Scenario, part: Range<usize>) -> Option<Scenario> {
    let mut scenario = scenario.clone();
    scenario.steps.drain(part);
    Some(scenario)
}

/// The scenario without some of its fates.
pub(super) fn without_fates(scenario: &Scenario, part: Range<usize>) -> Option<Scenario> {
    let mut scenario = scenario.clone();
    scenario.fates.drain(part);
    Some(scenario)
}

/// The scenario without some of its clients, if any is left; those after them move up.
pub(super) fn without_clients(scenario: &Scenario, part: Range<usize>) -> Option<Scenario> {
    let part = u8::try_from(part.start).ok()?..u8::try_from(part.end).ok()?;
    let gone = part.end - part.start;
    let mut scenario = scenario.clone();
    scenario.cluster.clients =
        scenario.cluster.clients.checked_sub(gone).filter(|left| *left > 0)?;
    renamed(&mut scenario, &|word| match numbered(word, 'c') {
        Some(number) if part.contains(&number) => None,
        Some(number) if number >= part.end => Some(Selector::new(format!("c{}", number - gone))),
        Some(_) | None => Some(word.clone()),
    });
    Some(scenario)
}

/// The scenario with fewer replicas: three, five or one less, under this seed and some others.
pub(super) fn fewer_replicas(scenario: &Scenario) -> Candidates<'_, Scenario> {
    let now = scenario.cluster.replicas;
    let counts = [3, 5, now.saturating_sub(1)].into_iter().filter(move |count| {
        // Two tolerate nothing, and one knows no protocol: such stories are another matter.
        *count < now && *count >= 3
    });
    Box::new(counts.flat_map(move |count| {
        let mut fewer = scenario.clone();
        fewer.cluster.replicas = count;
        renamed(&mut fewer, &|word| match numbered(word, 'r') {
            Some(number) if number >= count => None,
            Some(_) | None => Some(word.clone()),
        });
        reseeded(fewer, SEEDS)
    }))
}

/// The scenario without one of its steps, under some other seeds: what it takes may be had without it by other luck.
pub(super) fn fewer_steps(scenario: &Scenario) -> Candidates<'_, Scenario> {
    let places = 0..scenario.steps.len();
    let fewer = places.filter_map(|place| without_steps(scenario, place..place + 1));
    Box::new(fewer.flat_map(|fewer| reseeded(fewer, SEEDS)))
}

/// The scenario without all of its fates, or without one of them, under some other seeds.
pub(super) fn fewer_fates(scenario: &Scenario) -> Candidates<'_, Scenario> {
    let all = 0..scenario.fates.len();
    let parts = std::iter::once(all.clone()).chain(all.map(|place| place..place + 1));
    let fewer = parts.filter(|part| !part.is_empty());
    let fewer = fewer.filter_map(|part| without_fates(scenario, part));
    Box::new(fewer.flat_map(|fewer| reseeded(fewer, SEEDS)))
}

/// The scenario without one of its clients, under some other seeds.
pub(super) fn fewer_clients(scenario: &Scenario) -> Candidates<'_, Scenario> {
    let places = 0..usize::from(scenario.cluster.clients);
    let fewer = places.filter_map(|place| without_clients(scenario, place..place + 1));
    Box::new(fewer.flat_map(|fewer| reseeded(fewer, SEEDS)))
}

/// The scenario as it is, and under so many other seeds.
pub(super) fn reseeded(scenario: Scenario, count: u64) -> impl Iterator<Item = Scenario> {
    let own = scenario.clone();
    let others = (1..=count).map(move |number| {
        let mut other = scenario.clone();
        other.seed = Seed::new(number);
        other
    });
    std::iter::once(own).chain(others)
}
