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
