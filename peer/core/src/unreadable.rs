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

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: Instant = Instant::from_micros(1_000_000);

    #[test]
    fn so_many_in_an_hour_are_remembered() {
        let mut unreadable = Unreadable::default();
        let taken = |unreadable: &mut Unreadable, now| {
            let all = 0..2 * UNREADABLE_PER_HOUR;
            all.filter(|_| unreadable.take(now)).count()
        };
        let most = UNREADABLE_PER_HOUR as usize;
        assert_eq!(taken(&mut unreadable, BEGIN), most);
        let soon = BEGIN.after(HOUR - Duration::from_micros(1));
        assert_eq!(taken(&mut unreadable, soon), 0);
        assert_eq!(taken(&mut unreadable, BEGIN.after(HOUR)), most);
    }

    #[test]
    fn questions_come_ever_more_rarely_and_begin_anew_after_a_pause() {
        let (config, mut rng) = (Config::default(), SplitMix64::new(1));
        let mut unreadable = Unreadable::default();
        assert_eq!(unreadable.due(BEGIN), BEGIN);
        let mut now = BEGIN;
        let mut wait = Duration::ZERO;
        for _ in 0..12 {
            unreadable.asked(&config, &mut rng, now);
            let due = unreadable.due(now);
            wait = due.since(now);
            now = due;
            assert_eq!(unreadable.due(now), now);
        }
        assert!(wait >= config.unreadable_ask_max / 2, "{wait:?}");
        let almost = config.unreadable_ask_max - Duration::from_micros(1);
        unreadable.asked(&config, &mut rng, now.after(almost));
        let now = unreadable.due(now.after(almost));
        let pause = now.after(config.unreadable_ask_max);
        assert!(now.since(BEGIN) > config.unreadable_ask_max * 2);
        unreadable.asked(&config, &mut rng, pause);
        assert!(unreadable.due(pause).since(pause) <= config.unreadable_ask_min);
    }
}
