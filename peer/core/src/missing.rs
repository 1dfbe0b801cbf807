//! When the other side is asked for messages that have not come.
//!
//! A hole in what was received is asked for as soon as nothing that is on its way by itself can fill
//! it any more. It is asked for again on every new link, and ever more rarely otherwise: what the
//! other side has given up never comes, and questions must not fill its mailbox.

use core::time::Duration;

use crate::backoff::Backoff;
use crate::config::Config;
use crate::rng::SplitMix64;
use crate::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// The other side's messages up to here are here or at our relay, it says.
    pub(crate) announced: u64,
    /// Since when there is a hole that was not asked for.
    since: Option<Instant>,
    /// Holes up to here have been asked for.
    asked_up_to: u64,
    again_at: Option<Instant>,
    backoff: Backoff,
}

impl Missing {
    pub(crate) fn restore(announced: u64) -> Self {
        Self {
            announced,
            ..Self::default()
        }
    }

    /// Takes note of the highest missing seq, after whatever may have changed it.
    pub(crate) fn note(&mut self, highest: Option<u64>, now: Instant) {
        match highest {
            None => *self = Self::restore(self.announced),
            Some(seq) if seq > self.asked_up_to => {
                self.since.get_or_insert(now);
            }
            Some(_) => self.since = None,
        }
    }

    /// What was asked for may have been lost with the link before.
    pub(crate) const fn link_up(&mut self, now: Instant) {
        if self.again_at.is_some() {
            self.again_at = Some(now);
        }
    }

    /// When to ask, if a new hole is given `patience` to be filled.
    pub(crate) fn due(&self, patience: Duration) -> Option<Instant> {
        let first = self.since.map(|since| since.after(patience));
        first.into_iter().chain(self.again_at).min()
    }

    /// Everything missing up to `seq` was asked for.
    pub(crate) fn asked(&mut self, seq: u64, config: &Config, rng: &mut SplitMix64, now: Instant) {
        self.since = None;
        self.asked_up_to = seq;
        let wait = self
            .backoff
            .next(config.ask_again_min, config.ask_again_max, rng);
        self.again_at = Some(now.after(wait));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn asked() -> Missing {
        let (config, mut rng) = (Config::default(), SplitMix64::new(1));
        let mut missing = Missing::default();
        missing.note(Some(4), at(10));
        assert_eq!(missing.due(PATIENCE), Some(at(11)));
        missing.asked(4, &config, &mut rng, at(11));
        missing
    }

    #[test]
    fn what_was_asked_for_is_asked_for_again_later_or_on_a_new_link() {
        let mut missing = asked();
        let again = missing.due(PATIENCE).unwrap();
        let config = Config::default();
        assert!(again >= at(11).after(config.ask_again_min / 2));
        assert!(again <= at(11).after(config.ask_again_min));
        missing.note(Some(4), at(12));
        assert_eq!(missing.due(PATIENCE), Some(again), "no other hole");
        missing.link_up(at(20));
        assert_eq!(missing.due(PATIENCE), Some(at(20)));
    }

    #[test]
    fn another_hole_is_asked_for_soon_and_one_that_is_filled_never() {
        let mut missing = asked();
        missing.note(Some(5), at(12));
        missing.note(Some(6), at(13));
        assert_eq!(missing.due(PATIENCE), Some(at(13)), "since the first one");
        missing.note(Some(4), at(14));
        assert!(missing.due(PATIENCE) > Some(at(40)));
        missing.note(None, at(15));
        assert_eq!(missing.due(PATIENCE), None);
    }

    #[test]
    fn a_new_link_alone_asks_for_nothing() {
        let mut missing = Missing::default();
        missing.link_up(at(1));
        assert_eq!(missing.due(PATIENCE), None);
    }

    #[test]
    fn what_was_announced_outlasts_holes_and_restarts() {
        let mut missing = Missing::restore(7);
        assert_eq!(missing.announced, 7);
        missing.note(Some(3), at(1));
        missing.note(None, at(2));
        assert_eq!(missing.announced, 7);
    }
}
