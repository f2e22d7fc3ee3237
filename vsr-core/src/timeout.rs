//! The timeouts of a replica: a table of deadlines, spread by jitter, backed off while nothing happens.

use crate::configuration::Timeouts;
use crate::jitter::Jitter;
use crate::time::{Duration, Instant};

/// What happens when a deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// The primary sends a heartbeat.
    SendCommit,
    /// The primary sends unacknowledged prepares again.
    ResendPrepare,
    /// The primary counts who still answers.
    CheckQuorum,
    /// A backup that heard no primary votes to leave the view.
    SuspectPrimary,
    /// A vote to leave is sent again.
    ResendStartViewChange,
    /// Votes of others to leave are forgotten.
    ForgetVotes,
    /// A promise is sent again.
    ResendDoViewChange,
    /// A view change that does not end is given up for the next view.
    AbandonViewChange,
    /// The log of a view is asked for.
    GetView,
    /// What is missing from the log is asked for.
    Repair,
}

const TIMEOUT_COUNT: usize = 10;

/// How often the wait doubles at most: the longest is eight times the base, and half of that again by jitter.
pub const BACKOFF_DOUBLINGS_MAX: u32 = 3;

impl Timeout {
    const ALL: [Self; TIMEOUT_COUNT] = [
        Self::SendCommit,
        Self::ResendPrepare,
        Self::CheckQuorum,
        Self::SuspectPrimary,
        Self::ResendStartViewChange,
        Self::ForgetVotes,
        Self::ResendDoViewChange,
        Self::AbandonViewChange,
        Self::GetView,
        Self::Repair,
    ];

    const fn base(self, timeouts: &Timeouts) -> Duration {
        match self {
            Self::SendCommit => timeouts.send_commit,
            Self::ResendPrepare => timeouts.resend_prepare,
            Self::CheckQuorum => timeouts.check_quorum,
            Self::SuspectPrimary => timeouts.suspect_primary,
            Self::ResendStartViewChange => timeouts.resend_start_view_change,
            Self::ForgetVotes => timeouts.forget_votes,
            Self::ResendDoViewChange => timeouts.resend_do_view_change,
            Self::AbandonViewChange => timeouts.abandon_view_change,
            Self::GetView => timeouts.get_view,
            Self::Repair => timeouts.repair,
        }
    }
}

/// When what does not run is due. Centuries away: no timeout that runs lasts so long.
const NEVER: Instant = Instant::from_ns(u64::MAX);

/// Which timeouts run, and until when.
#[derive(Debug)]
pub struct Timers {
    base: Timeouts,
    jitter: Jitter,
    /// `NEVER` for one that does not run.
    deadlines: [Instant; TIMEOUT_COUNT],
    /// The first of them: it is asked for after each step, and changes less often.
    first: Instant,
    /// How often each has fired since something last went right; saturates.
    attempts: [u32; TIMEOUT_COUNT],
}

impl Timers {
    /// A table in which nothing runs.
    #[must_use]
    pub const fn new(base: Timeouts, jitter: Jitter) -> Self {
        Self {
            base,
            jitter,
            deadlines: [NEVER; TIMEOUT_COUNT],
            first: NEVER,
            attempts: [0; TIMEOUT_COUNT],
        }
    }

    /// Starts `timeout` anew, at its base.
    pub fn start(&mut self, timeout: Timeout, now: Instant) {
        self.attempts[timeout as usize] = 0;
        self.restart(timeout, now);
    }

    /// Starts `timeout` unless it runs already.
    pub fn ensure(&mut self, timeout: Timeout, now: Instant) {
        if !self.is_running(timeout) {
            self.start(timeout, now);
        }
    }

    /// Starts `timeout` again after it fired and did not help: the wait doubles, up to a bound.
    pub fn back_off(&mut self, timeout: Timeout, now: Instant) {
        let attempts = &mut self.attempts[timeout as usize];
        *attempts = attempts.saturating_add(1);
        self.restart(timeout, now);
    }

    /// Starts `timeout` with the wait that its attempts so far call for.
    pub fn restart(&mut self, timeout: Timeout, now: Instant) {
        let doublings = self.attempts[timeout as usize].min(BACKOFF_DOUBLINGS_MAX);
        let wait = self.jitter.around(timeout.base(&self.base).times(1 << doublings));
        // At least a nanosecond, so that no timeout fires again in the step that started it.
        let wait = Duration::from_ns(wait.as_ns().max(1));
        self.set(timeout, now.plus(wait));
    }

    fn set(&mut self, timeout: Timeout, at: Instant) {
        let before = core::mem::replace(&mut self.deadlines[timeout as usize], at);
        if at <= self.first {
            self.first = at;
        } else if before == self.first {
            self.first = self.deadlines.iter().fold(NEVER, |first, at| first.min(*at));
        }
    }

    /// Something went right: the next wait of `timeout` is at its base again.
    pub const fn forget_attempts(&mut self, timeout: Timeout) {
        self.attempts[timeout as usize] = 0;
    }

    /// Stops `timeout`.
    pub fn stop(&mut self, timeout: Timeout) {
        self.set(timeout, NEVER);
    }

    /// Stops all of them; attempts are kept.
    pub const fn stop_all(&mut self) {
        self.deadlines = [NEVER; TIMEOUT_COUNT];
        self.first = NEVER;
    }

    /// Whether `timeout` runs.
    #[must_use]
    pub const fn is_running(&self, timeout: Timeout) -> bool {
        self.deadlines[timeout as usize].as_ns() < NEVER.as_ns()
    }

    /// When the first of them fires.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        (self.first < NEVER).then_some(self.first)
    }

    /// Takes one that is due at `now`, if any: it runs no more.
    pub fn take_due(&mut self, now: Instant) -> Option<Timeout> {
        let due = |at: &Instant| *at <= now && *at < NEVER;
        let index = self.deadlines.iter().position(due)?;
        let timeout = Timeout::ALL[index];
        self.stop(timeout);
        Some(timeout)
    }

    /// The table's randomness, for choices that want spread too.
    pub const fn jitter(&mut self) -> &mut Jitter {
        &mut self.jitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_back_off_to_a_bound_and_come_back() {
        let mut timers = Timers::new(Timeouts::default(), Jitter::new(3));
        let base = Timeouts::default().repair.as_ns();
        for attempt in 0..100_u32 {
            timers.back_off(Timeout::Repair, Instant::ZERO);
            let wait = timers.deadline().unwrap().as_ns();
            let longest = base << attempt.saturating_add(1).min(BACKOFF_DOUBLINGS_MAX);
            assert!(wait >= longest / 2 && wait < longest + longest / 2, "{wait}");
        }
        timers.start(Timeout::Repair, Instant::ZERO);
        assert!(timers.deadline().unwrap().as_ns() < base + base / 2);
        // A count of attempts that wrapped would hammer the network after a long partition.
    }

    #[test]
    fn the_first_deadline_is_the_first_whatever_is_started_and_stopped() {
        let mut timers = Timers::new(Timeouts::default(), Jitter::new(3));
        let mut choice = Jitter::new(5);
        for ms in 0..2_000 {
            let now = Instant::ZERO.plus(Duration::from_ms(ms));
            let which = usize::try_from(choice.below(TIMEOUT_COUNT as u64)).unwrap();
            match choice.below(3) {
                0 => timers.start(Timeout::ALL[which], now),
                1 => timers.stop(Timeout::ALL[which]),
                _ => drop(timers.take_due(now)),
            }
            let first = timers.deadlines.iter().min().copied().filter(|first| *first < NEVER);
            assert_eq!(timers.deadline(), first);
        }
        // A deadline that is told too late is a timeout that never fires.
    }

    #[test]
    fn what_is_due_fires_once_in_order_of_the_table() {
        let mut timers = Timers::new(Timeouts::default(), Jitter::new(3));
        timers.start(Timeout::Repair, Instant::ZERO);
        timers.start(Timeout::SendCommit, Instant::ZERO);
        let late = Instant::ZERO.plus(Duration::from_ms(1_000));
        assert_eq!(timers.take_due(Instant::ZERO), None);
        assert_eq!(timers.take_due(late), Some(Timeout::SendCommit));
        assert_eq!(timers.take_due(late), Some(Timeout::Repair));
        assert_eq!(timers.take_due(late), None);
        assert_eq!(timers.deadline(), None);
        for (index, timeout) in Timeout::ALL.into_iter().enumerate() {
            assert_eq!(timeout as usize, index, "the table is in the order of the enum");
        }
    }
}
