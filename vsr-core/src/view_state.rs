//! Status, view and log view: the three change only here, and only along legal edges.

use crate::io::Status;
use crate::number::ViewNumber;

/// Where a replica stands.
///
/// Invariants, checked at every change: `log_view <= view`; equal while the status is `Normal`; neither ever decreases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewState {
    status: Status,
    view: ViewNumber,
    log_view: ViewNumber,
    /// The view that the superblock on disk names: no message carries a greater one.
    view_durable: ViewNumber,
}

impl ViewState {
    /// Before the disk is read.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            status: Status::Recovering,
            view: ViewNumber::ZERO,
            log_view: ViewNumber::ZERO,
            view_durable: ViewNumber::ZERO,
        }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// v: the view that the replica is in, or is moving to.
    #[must_use]
    pub const fn view(&self) -> ViewNumber {
        self.view
    }

    /// v': the view whose log the replica holds, whole and durable: the last in which it was `Normal`, or could have been.
    #[must_use]
    pub const fn log_view(&self) -> ViewNumber {
        self.log_view
    }

    /// The view that the disk names.
    #[must_use]
    pub const fn view_durable(&self) -> ViewNumber {
        self.view_durable
    }

    /// The disk has been read: this is what it says.
    pub fn transition_from_recovering(&mut self, view: ViewNumber, log_view: ViewNumber) {
        assert_eq!(self.status, Status::Recovering);
        assert!(log_view <= view);
        self.view = view;
        self.log_view = log_view;
        self.view_durable = view;
        self.status = if view == log_view { Status::Normal } else { Status::ViewChange };
    }

    /// The replica leaves its view for `view`. It must not say so before that is durable.
    pub fn transition_to_view_change(&mut self, view: ViewNumber) {
        assert_ne!(self.status, Status::Recovering);
        assert!(view > self.view);
        self.view = view;
        self.status = Status::ViewChange;
    }

    /// The disk names `view` now, which may be older than the one that the replica is moving to.
    pub fn on_view_durable(&mut self, view: ViewNumber) {
        assert!(view >= self.view_durable);
        assert!(view <= self.view);
        self.view_durable = view;
    }

    /// The whole log of the view is durable here: from now on it is what a promise speaks of.
    pub fn on_log_durable(&mut self) {
        assert_eq!(self.status, Status::ViewChange);
        assert_eq!(self.view_durable, self.view);
        assert!(self.log_view < self.view);
        self.log_view = self.view;
    }

    /// The disk says so too: the replica takes part in the view.
    pub fn transition_to_normal(&mut self, log_view_durable: ViewNumber) {
        assert_eq!(self.status, Status::ViewChange);
        assert_eq!(self.view_durable, self.view);
        assert_eq!(self.log_view, self.view);
        assert_eq!(log_view_durable, self.view);
        self.status = Status::Normal;
    }
}
