//! How often something of others is taken, where each time costs us more than them.

use std::time::Duration;

use tincan_core::Instant;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// What is counted began here.
    since: Option<Instant>,
    count: u32,
}

impl Pace {
    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    /// Counts one; false if it is more than `per_minute`.
    pub(super) fn take(&mut self, now: Instant, per_minute: u32) -> bool {
        self.take_in(Self::MINUTE, now, 1, per_minute)
    }

    /// Counts some; false if they are more than `per_hour`. One that is used with this is not used
    /// with [`Pace::take`].
    pub(super) fn take_hourly(&mut self, now: Instant, some: u32, per_hour: u32) -> bool {
        self.take_in(Self::HOUR, now, some, per_hour)
    }

    fn take_in(&mut self, time: Duration, now: Instant, some: u32, most: u32) -> bool {
        if self.since.is_none_or(|since| now.since(since) >= time) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count = self.count.saturating_add(some);
        self.count <= most
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
