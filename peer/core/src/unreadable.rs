//! The pace of what envelopes that cannot be opened may cause. A relay, or whoever else delivers them,
//! can make as many as it wants out of one that it has seen.

use core::time::Duration;

use crate::backoff::Backoff;
use crate::config::{Config, UNREADABLE_PER_HOUR};
use crate::rng::SplitMix64;
use crate::time::Instant;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    /// The hour that is counted began here.
    since: Option<Instant>,
    count: u32,
    /// The next question for some of them is not due before this.
    not_before: Option<Instant>,
    backoff: Backoff,
}

impl Unreadable {
    /// Counts one; false if it is not to be remembered.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.since(since) >= HOUR) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= UNREADABLE_PER_HOUR
    }

    /// When they may be asked for.
    pub(crate) fn due(&self, now: Instant) -> Instant {
        self.not_before.map_or(now, |at| at.max(now))
    }

    /// Some were asked for.
    pub(crate) fn asked(&mut self, config: &Config, rng: &mut SplitMix64, now: Instant) {
        let quiet = |at: Instant| now.since(at) >= config.unreadable_ask_max;
        if self.not_before.is_some_and(quiet) {
            self.backoff = Backoff::default();
        }
        let (min, max) = (config.unreadable_ask_min, config.unreadable_ask_max);
        let wait = self.backoff.next(min, max, rng);
        self.not_before = Some(now.after(wait));
    }
}
