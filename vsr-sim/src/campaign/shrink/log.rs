//! A log of the usual length, or a shorter one: what happens only when a log is used again, or at a checkpoint, takes fewer requests then.

use super::search::Candidates;
use crate::scenario::{Cluster, Scenario};

/// The usual log, which is hardly ever used again; where that will not do, one with checkpoints more often, or a shorter pipeline.
pub(super) fn shorter(scenario: &Scenario) -> Candidates<'_, Scenario> {
    let (now, usual) = (scenario.cluster, Cluster::default());
    let log = |cluster: &Cluster| (cluster.slots, cluster.checkpoint_interval);
    if log(&now) == log(&usual) {
        return Box::new(std::iter::empty());
    }
    let (slots, checkpoint_interval) = log(&usual);
    let usual = Cluster { slots, checkpoint_interval, ..now };
    let fitted = |mut cluster: Cluster| {
        cluster.fit_slots();
        cluster
    };
    let intervals =
        [1, 2, 4, 8, 16].into_iter().filter(move |less| *less < now.checkpoint_interval);
    let intervals = intervals.map(move |less| Cluster { checkpoint_interval: less, ..now });
    let pipelines = [1, 2, 4].into_iter().filter(move |less| *less < now.pipeline);
    let pipelines = pipelines.map(move |less| Cluster { pipeline: less, ..now });
    let shorter = intervals.chain(pipelines).map(fitted);
    let all = std::iter::once(usual).chain(shorter).chain(std::iter::once(fitted(now)));
    Box::new(
        all.filter(move |cluster| *cluster != now)
            .map(|cluster| Scenario { cluster, ..scenario.clone() }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Seed;
    use crate::scenario::draw::Overrides;

    #[test]
    fn a_shorter_log_still_has_room_and_the_usual_one_is_left_alone() {
        let mut count = 0;
        for number in 0..200 {
            let drawn = Scenario::draw(Seed::new(number), &Overrides::default());
            for candidate in shorter(&drawn) {
                let cluster = candidate.cluster;
                assert_eq!(cluster.configuration().validate(), Ok(()), "seed {number}");
                count += 1;
            }
            let usual = shorter(&drawn).next().unwrap();
            assert_eq!(shorter(&usual).count(), 0);
        }
        assert!(count > 800, "{count}");
    }
}
