//! How often something of a contact is taken in a minute, where each time costs us more than them.

use std::time::Duration;

use tincan_core::Instant;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The minute that is counted began here.
    since: Option<Instant>,
    count: u32,
}

impl Pace {
    const MINUTE: Duration = Duration::from_secs(60);

    /// Counts one; false if it is more than `per_minute`.
    pub(super) fn take(&mut self, now: Instant, per_minute: u32) -> bool {
        if self
            .since
            .is_none_or(|since| now.since(since) >= Self::MINUTE)
        {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= per_minute
    }

    /// When the minute that is counted is over.
    pub(super) fn next(&self) -> Option<Instant> {
        self.since.map(|since| since.after(Self::MINUTE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_forgiven_after_a_minute() {
        let start = Instant::from_micros(1);
        let mut pace = Pace::default();
        let taken = (0..1_000).filter(|_| pace.take(start, 20)).count();
        assert_eq!(taken, 20);
        assert!(!pace.take(start.after(Duration::from_secs(59)), 20));
        assert!(pace.take(start.after(Duration::from_secs(60)), 20));
    }
}
