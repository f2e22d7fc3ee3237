//! How long things may take, worked out from what they consist of.

use vsr_core::client::Client;
use vsr_core::configuration::Configuration;
use vsr_core::time::Duration;
use vsr_core::timeout::BACKOFF_DOUBLINGS_MAX;

use crate::engine::time::Span;

/// How slow the world is at worst while no fault is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The longest that a packet takes. Loss is not over while faults stop, so every exchange is allowed [`TRIES`] of them.
    pub packet_delay: Span,
    /// The longest that a write takes.
    pub write_latency: Span,
    /// The longest that a read takes.
    pub read_latency: Span,
    /// How much slower than the world a node's clock may run, in millionths.
    pub clock_slow_ppm: u64,
    /// How many clients there are.
    pub clients: u64,
    /// How many operations the longest log has, and is going to have.
    pub operations: u64,
}

/// How often an exchange may fail before the bound speaks of a bug: what was lost before faults stopped, or overtaken.
pub const TRIES: u64 = 3;

/// How many entries or headers a replica asks for at once, at least.
const BATCH: u64 = 8;

/// By when, after faults have stopped, something must have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The core is normal in one view.
    pub view_converges: Span,
    /// A request is answered, counted from when it was first sent, but not before faults stopped.
    pub request_completes: Span,
    /// Every replica of the core has executed everything.
    pub catch_up: Span,
}

impl Bounds {
    /// The bounds of a cluster.
    ///
    /// Every wait of the protocol is taken at its longest: backed off as far as it goes, with all of its jitter, on a slow
    /// clock.
    #[must_use]
    pub fn of(configuration: &Configuration, environment: &Environment) -> Self {
        let timeouts = &configuration.timeouts;
        let wait = |base: Duration| longest(base, environment);
        let replicas = u64::from(configuration.replica_count);
        // There and back, with a superblock's two pairs of writes, or an entry's two, at both ends.
        let round = environment.packet_delay.times(2).plus(environment.write_latency.times(4));
        let exchange = |base: Duration| wait(base).plus(round).times(TRIES);

        // Reading the disk: superblock, headers, entries one after the other; and making the start durable.
        let boot = environment
            .read_latency
            .times(environment.operations + 5)
            .plus(environment.write_latency.times(4));
        let batches = environment.operations / BATCH + 1;
        let transfer = wait(timeouts.repair).plus(round).times(2 * batches);
        // A view ends because its primary is not there: it is suspected, or hears nobody; votes meet; promises meet.
        let one_view = wait(timeouts.abandon_view_change)
            .plus(exchange(timeouts.resend_start_view_change))
            .plus(wait(timeouts.forget_votes))
            .plus(exchange(timeouts.resend_do_view_change))
            .plus(exchange(timeouts.get_view));
        let notice = wait(timeouts.suspect_primary).plus(wait(timeouts.check_quorum));
        // Round-robin meets a primary of the core within one turn; the turn may begin anew once, from the greatest view.
        let view_converges = boot.plus(notice).plus(one_view.times(2 * replicas)).plus(transfer);

        let commit = exchange(timeouts.resend_prepare).plus(exchange(timeouts.send_commit));
        let retry = Client::retry_wait_max(configuration);
        let retry = slowed(Span::from_ns(retry.as_ns()), environment).plus(round).times(TRIES);
        // All clients ask at once, and each of their requests waits for all others.
        let request_completes =
            view_converges.plus(retry).plus(commit.times(environment.clients.max(1)));
        let catch_up = view_converges.plus(commit).plus(transfer);
        Self { view_converges, request_completes, catch_up }
    }

    /// The longest of them.
    #[must_use]
    pub fn longest(&self) -> Span {
        self.view_converges.max(self.request_completes).max(self.catch_up)
    }
}

/// The longest that a wait around `base` can be.
fn longest(base: Duration, environment: &Environment) -> Span {
    let backed_off = Span::from_ns(base.times(1 << BACKOFF_DOUBLINGS_MAX).as_ns());
    slowed(backed_off.percent(150), environment)
}

fn slowed(span: Span, environment: &Environment) -> Span {
    let more = span.as_ns() / 1_000_000 * environment.clock_slow_ppm;
    span.plus(Span::from_ns(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRONMENT: Environment = Environment {
        packet_delay: Span::from_ms(5),
        write_latency: Span::from_ms(1),
        read_latency: Span::from_ms(1),
        clock_slow_ppm: 0,
        clients: 4,
        operations: 100,
    };

    #[test]
    fn bounds_grow_with_all_that_makes_a_cluster_slow() {
        let bounds =
            |count, environment: &Environment| Bounds::of(&Configuration::of(count), environment);
        let base = bounds(3, &ENVIRONMENT);
        assert!(base.view_converges < base.request_completes);
        assert!(base.view_converges < base.catch_up);
        let slower = [
            Environment { packet_delay: Span::from_ms(50), ..ENVIRONMENT },
            Environment { write_latency: Span::from_ms(50), ..ENVIRONMENT },
            Environment { read_latency: Span::from_ms(50), ..ENVIRONMENT },
            Environment { clock_slow_ppm: 100_000, ..ENVIRONMENT },
            Environment { operations: 1_000, ..ENVIRONMENT },
        ];
        for environment in slower {
            let slow = bounds(3, &environment);
            assert!(slow.view_converges > base.view_converges, "{environment:?}");
            assert!(slow.longest() > base.longest(), "{environment:?}");
        }
        assert!(bounds(5, &ENVIRONMENT).view_converges > base.view_converges);
        let crowded = Environment { clients: 8, ..ENVIRONMENT };
        assert!(bounds(3, &crowded).request_completes > base.request_completes);
        // A constant would be too short for the slow cluster, or let the quick one sleep.
    }
}
