//! Which paths to the other device there are, and whether the direct one still answers.
//!
//! A path is only ever *added* to what an envelope uses: a stalled link makes the relay carry the
//! same envelopes too, and the link is left only when its owner reports it down.

use core::time::Duration;

use crate::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Paths {
    pub(crate) link_up: bool,
    pub(crate) relay_up: bool,
    /// When the link last showed progress, while something is in flight on it.
    waiting_since: Option<Instant>,
    stalled: bool,
}

impl Paths {
    pub(crate) const fn link_up(&mut self) {
        *self = Self {
            link_up: true,
            relay_up: self.relay_up,
            waiting_since: None,
            stalled: false,
        };
    }

    pub(crate) const fn link_down(&mut self) {
        *self = Self {
            link_up: false,
            relay_up: self.relay_up,
            waiting_since: None,
            stalled: false,
        };
    }

    /// Whether envelopes should go to the relay now.
    pub(crate) const fn use_relay(&self) -> bool {
        self.relay_up && (!self.link_up || self.stalled)
    }

    pub(crate) const fn any(&self) -> bool {
        self.link_up || self.relay_up
    }

    /// Something was put on the link.
    pub(crate) fn put(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
    }

    /// The other side answered; `still_waiting` if more is in flight.
    pub(crate) fn progress(&mut self, now: Instant, still_waiting: bool) {
        self.stalled = false;
        self.waiting_since = still_waiting.then_some(now);
    }

    /// When the link counts as stalled unless it answers before.
    pub(crate) fn stall_at(&self, patience: Duration) -> Option<Instant> {
        if self.stalled {
            None
        } else {
            self.waiting_since.map(|since| since.after(patience))
        }
    }

    pub(crate) fn check_stall(&mut self, patience: Duration, now: Instant) {
        if self.stall_at(patience).is_some_and(|at| at <= now) {
            self.stalled = true;
        }
    }
}
