//! How often a contact may offer a link: answering one means keys, sockets and candidates.

use std::time::Duration;

use tincan_core::Instant;

/// Offers taken in a minute. One whose attempts fail makes some seven; the waits between these start
/// over when a server tells that it came, every five seconds at most.
pub(super) const PER_MINUTE: u32 = 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OfferPace {
    /// The minute that is counted began here.
    since: Option<Instant>,
    count: u32,
}

impl OfferPace {
    /// Counts an offer; false if it is one too many.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let over = |since| now.since(since) >= Duration::from_secs(60);
        if self.since.is_none_or(over) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_offers_is_cut_and_forgiven_after_a_minute() {
        let start = Instant::from_micros(1);
        let mut pace = OfferPace::default();
        let taken = (0..1_000).filter(|_| pace.take(start)).count();
        assert_eq!(taken, PER_MINUTE as usize);
        assert!(!pace.take(start.after(Duration::from_secs(59))));
        assert!(pace.take(start.after(Duration::from_secs(60))));
    }
}
