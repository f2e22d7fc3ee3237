//! How long what must happen may take once the faults have stopped: computed from timeouts and delays, never guessed.

use vsr_core::client::Client;
use vsr_core::configuration::Configuration;
use vsr_core::timeout::BACKOFF_DOUBLINGS_MAX;

use super::Scenario;
use crate::engine::time::Span;

/// The bounds of a run, in virtual time, each counted from the moment at which its phase began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// L1: all of the core is normal in one view.
    pub view_converges: Span,
    /// L2: every request is answered.
    pub request_completes: Span,
    /// L3, L9: the whole core has the same log, executed to its end.
    pub catch_up: Span,
    /// How long nothing may change any more for a cluster to count as quiet.
    pub quiet: Span,
}

impl Bounds {
    /// The bounds of `scenario`, whose clients each ask for at most `requests` operations in the phase.
    #[must_use]
    pub fn of(scenario: &Scenario, requests: u32) -> Self {
        let configuration = scenario.cluster.configuration();
        let timeouts = &scenario.cluster.timeouts;
        let replicas = u64::from(configuration.replica_count);
        // Whatever was sent before the faults stopped may still come, as late as the network ever is.
        let link = scenario.network.latency.plus(scenario.network.jitter);
        let late = link.plus(scenario.network.tail);
        let disk = disk_round(scenario);

        // A view takes a suspicion and a view change that is given up; at worst every primary but one is outside the core,
        // and one more view is left because a late message disturbed it.
        let suspicion = longest(timeouts.suspect_primary.max(timeouts.check_quorum))
            .plus(longest(timeouts.resend_start_view_change));
        let change = longest(timeouts.abandon_view_change).plus(longest(timeouts.get_view));
        let view = suspicion.plus(change).plus(link.times(6)).plus(disk.times(4));
        let recovery = disk.times(2 * u64::from(configuration.slots) + 8);
        let view_converges = late.plus(recovery).plus(view.times(replicas + 2));

        // An entry is asked for again until somebody has it: each of the others once, at the longest wait.
        let entries = u64::from(configuration.slots);
        let repair = longest(timeouts.repair).plus(link.times(2)).plus(disk);
        let repairs =
            repair.times(replicas + entries.div_ceil(u64::from(configuration.pipeline_max)));
        let catch_up =
            view_converges.plus(longest(timeouts.get_view).times(replicas)).plus(repairs);

        let retry = retry(&configuration);
        let request = retry
            .times(3)
            .plus(longest(timeouts.resend_prepare).times(2))
            .plus(link.times(4))
            .plus(disk.times(2))
            .plus(scenario.workload.map_or(Span::ZERO, |workload| workload.think_max));
        let request_completes = catch_up.plus(request.times(u64::from(requests) + 2));
        let quiet = timeouts.suspect_primary.times(3).plus(link.times(2));
        Self {
            view_converges: slow_clocks(scenario, view_converges),
            request_completes: slow_clocks(scenario, request_completes),
            catch_up: slow_clocks(scenario, catch_up),
            quiet: slow_clocks(scenario, quiet),
        }
    }
}

/// The longest wait that a timeout of this base ever draws.
fn longest(base: Span) -> Span {
    base.times(1 << BACKOFF_DOUBLINGS_MAX).percent(150)
}

fn retry(configuration: &Configuration) -> Span {
    Span::from_ns(Client::retry_wait_max(configuration).as_ns())
}

/// The longest that a write or a read takes, for entries of the greatest size.
fn disk_round(scenario: &Scenario) -> Span {
    let disk = &scenario.disk;
    let sectors = scenario.cluster.configuration().prepare_slot_size().div_ceil(4096) + 1;
    disk.write_latency
        .max(disk.read_latency)
        .plus(disk.jitter)
        .plus(disk.sector_latency.times(sectors))
        .plus(disk.tail)
}

/// A slow clock makes every timeout longer.
fn slow_clocks(scenario: &Scenario, span: Span) -> Span {
    span.percent(101 + u64::from(scenario.clock.skew_ppm).div_ceil(10_000) * 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Seed;
    use crate::scenario::draw::Overrides;

    #[test]
    fn bounds_grow_with_the_cluster_and_its_timeouts() {
        let small =
            Scenario::draw(Seed::new(1), &Overrides { replicas: Some(3), ..Overrides::default() });
        let large =
            Scenario::draw(Seed::new(1), &Overrides { replicas: Some(7), ..Overrides::default() });
        let mut slow = small.clone();
        slow.cluster.timeouts = slow.cluster.timeouts.scaled(200);
        let bounds = Bounds::of(&small, 4);
        assert!(
            bounds.view_converges < bounds.catch_up && bounds.catch_up < bounds.request_completes
        );
        assert!(Bounds::of(&large, 4).view_converges > bounds.view_converges);
        assert!(Bounds::of(&slow, 4).view_converges > bounds.view_converges.percent(150));
        assert!(Bounds::of(&small, 40).request_completes > bounds.request_completes);
    }
}
