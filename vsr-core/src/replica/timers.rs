//! What happens when a deadline passes: the handlers are with the part of the protocol that they belong to.

use super::Replica;
use crate::io::Effects;
use crate::state_machine::StateMachine;
use crate::timeout::Timeout;

impl<S: StateMachine> Replica<S> {
    /// Fires all that is due.
    #[cold]
    pub(super) fn on_deadline(&mut self, effects: &mut Effects) {
        while let Some(timeout) = self.timers.take_due(self.now) {
            match timeout {
                Timeout::SendCommit => self.on_send_commit_timeout(effects),
                Timeout::ResendPrepare => self.on_resend_prepare_timeout(effects),
                Timeout::CheckQuorum => self.on_check_quorum_timeout(effects),
                Timeout::SuspectPrimary => self.on_suspect_primary_timeout(effects),
                Timeout::ResendStartViewChange => self.on_resend_start_view_change_timeout(effects),
                Timeout::ForgetVotes => self.on_forget_votes_timeout(),
                Timeout::ResendDoViewChange => self.on_resend_do_view_change_timeout(effects),
                Timeout::AbandonViewChange => self.on_abandon_view_change_timeout(effects),
                Timeout::GetView => self.on_get_view_timeout(effects),
                Timeout::Repair => self.on_repair_timeout(effects),
            }
        }
    }
}
