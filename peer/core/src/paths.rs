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

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn the_relay_carries_what_no_link_does() {
        let mut paths = Paths::default();
        assert!(!paths.any() && !paths.use_relay());
        paths.relay_up = true;
        assert!(paths.any() && paths.use_relay());
        paths.link_up();
        assert!(paths.link_up && paths.relay_up && !paths.use_relay());
        paths.relay_up = false;
        assert!(paths.any() && !paths.use_relay());
        paths.relay_up = true;
        paths.link_down();
        assert!(!paths.link_up && paths.relay_up && paths.use_relay());
    }

    #[test]
    fn a_link_that_does_not_answer_is_helped_by_the_relay_until_it_does() {
        let mut paths = Paths {
            relay_up: true,
            ..Paths::default()
        };
        paths.link_up();
        assert_eq!(paths.stall_at(PATIENCE), None);
        paths.put(at(10));
        paths.put(at(11));
        assert_eq!(paths.stall_at(PATIENCE), Some(at(12)));
        paths.check_stall(PATIENCE, Instant::from_micros(11_999_999));
        assert!(!paths.use_relay());
        paths.check_stall(PATIENCE, at(12));
        assert!(paths.use_relay());
        assert_eq!(paths.stall_at(PATIENCE), None, "that was it");
        paths.progress(at(13), true);
        assert!(!paths.use_relay());
        assert_eq!(paths.stall_at(PATIENCE), Some(at(15)));
        paths.progress(at(14), false);
        assert_eq!(paths.stall_at(PATIENCE), None);
    }

    #[test]
    fn another_link_begins_with_nothing_on_it() {
        let mut paths = Paths {
            relay_up: true,
            ..Paths::default()
        };
        let begins: [fn(&mut Paths); 2] = [Paths::link_up, Paths::link_down];
        for begins in begins {
            paths.put(at(1));
            paths.check_stall(PATIENCE, at(9));
            begins(&mut paths);
            assert_eq!(paths.stall_at(PATIENCE), None);
            assert_eq!(paths.use_relay(), !paths.link_up);
        }
    }
}
