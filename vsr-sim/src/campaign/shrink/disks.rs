//! Disks that lag or fail by chance: not at all, or one of them by name.

use super::parts::reseeded;
use super::search::Candidates;
use crate::engine::{DiskRates, NodeIndex, Span, Time};
use crate::faults::{Fault, Lasts, Step};
use crate::scenario::Scenario;
use crate::scenario::action::Action;

/// How many other seeds are tried without the luck of disks, and how many with one slow disk in its place.
const SEEDS_WITHOUT: u64 = 24;
const SEEDS_SLOW: u64 = 4;

/// Whether some writes or reads are slow, or go wrong, by chance.
pub(super) const fn is_by_chance(disk: &DiskRates) -> bool {
    let DiskRates { tail_ppm, error_ppm, rot_ppm, lost_ppm, misdirected_ppm, misread_ppm, .. } =
        *disk;
    let wrong = error_ppm | rot_ppm | lost_ppm | misdirected_ppm | misread_ppm;
    tail_ppm > 0 || wrong > 0
}

/// No writes that take much longer than others; or one disk that is slow all the time, which a reader can see.
pub(super) fn by_name(scenario: &Scenario) -> Candidates<'_, Scenario> {
    let disk = scenario.disk;
    if disk.tail_ppm == 0 {
        return Box::new(std::iter::empty());
    }
    let mut without = scenario.clone();
    (without.disk.tail_ppm, without.disk.tail) = (0, Span::ZERO);
    let all = disk.tail.as_ns().saturating_mul(100) / disk.write_latency.as_ns().max(1);
    let percents = [all, all / 2, all / 4, all / 16];
    let percents = percents.into_iter().filter(|percent| *percent > 100);
    let percents = percents.filter_map(|percent| u32::try_from(percent).ok());
    let by_name = {
        let without = without.clone();
        percents.flat_map(move |percent| slow(&without, percent))
    };
    let by_name = by_name.flat_map(|slow| reseeded(slow, SEEDS_SLOW));
    Box::new(reseeded(without, SEEDS_WITHOUT).chain(by_name))
}

/// The scenario with one disk that takes so many hundredths of the time, in turn that of each replica.
fn slow(scenario: &Scenario, percent: u32) -> Vec<Scenario> {
    let words = scenario.words();
    let with = |node| {
        let node = words.name(node);
        let mut scenario = scenario.clone();
        let fault = Action::Fault(Fault::SlowDisk { node, percent, zone: None });
        let mut step = Step::at(Time::ZERO, fault);
        step.lasts = Lasts::For(scenario.duration);
        "one disk is slow".clone_into(&mut step.why);
        scenario.steps.insert(0, step);
        scenario
    };
    NodeIndex::first(scenario.cluster.replicas).map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::file;

    #[test]
    fn luck_becomes_a_slow_disk_with_a_name() {
        let scenario = file::parse(
            r#"{"format": 1, "disk": {"tail_ppm": 50000, "tail": "6ms", "error_ppm": 50}, "duration": "1s",
                "steps": [{"at": "1ms", "do": {"request": {"from": "c0", "operation": "put k0 1"}}}]}"#,
        )
        .unwrap();
        assert!(is_by_chance(&scenario.disk));
        let candidates: Vec<Scenario> = by_name(&scenario).collect();
        assert!(candidates.iter().all(|candidate| candidate.disk.tail_ppm == 0));
        let slow: Vec<&Scenario> =
            candidates.iter().filter(|candidate| candidate.steps.len() > 1).collect();
        let told = serde_json::to_string(&slow[0].steps[0]).unwrap();
        assert_eq!(
            told,
            r#"{"at":"0ns","do":{"slow-disk":{"node":"r0","percent":10000}},"for":"1s","why":"one disk is slow"}"#
        );
        for candidate in &slow {
            assert_eq!(file::parse(&file::text_of(candidate)).as_ref(), Ok(*candidate));
        }
        assert_eq!(slow.len(), 4 * 3 * 5);
        assert_eq!(by_name(slow[0]).count(), 0);
        // Were the chance left, the story would not say what it takes.
    }
}
