//! Time as the session sees it: given, never read.

use core::time::Duration;

/// A point in time on a clock that never goes back: microseconds since any fixed moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The instant this many microseconds after the clock's start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the clock's start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The instant `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// The two clocks: one for deadlines, one for stamps that people see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For deadlines. Never goes back.
    pub instant: Instant,
    /// Wall clock, Unix milliseconds. May jump.
    pub unix_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_never_back() {
        let instant = Instant::from_micros(7);
        assert_eq!(instant.as_micros(), 7);
        let later = instant.after(Duration::from_micros(5));
        assert_eq!(later.as_micros(), 12);
        assert_eq!(later.since(instant), Duration::from_micros(5));
        assert_eq!(instant.since(later), Duration::ZERO);
        assert_eq!(instant.after(Duration::MAX).as_micros(), u64::MAX);
    }
}
