//! Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): 48 bits of Unix
//! milliseconds and 16 bits of counter in one integer, so that messages sort by time and still
//! never against cause and effect.

/// A remote clock may be this far ahead before its stamps are cut back. Chosen: far more than an
/// NTP-less desktop drifts in months, short enough that a wrong clock cannot pin a message to the
/// end of a conversation.
pub const MAX_AHEAD_MS: u64 = 5 * 60 * 1000;

const COUNTER_BITS: u32 = 16;

/// One stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(u64);

impl Hlc {
    /// The stamp with this number on the wire.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        Self(value)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The first stamp of a millisecond.
    #[must_use]
    pub const fn at_ms(unix_ms: u64) -> Self {
        Self(unix_ms << COUNTER_BITS)
    }

    /// The stamp's wall-clock part, Unix milliseconds.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The stamp for something that happens now, after everything stamped `self`.
    #[must_use]
    pub const fn next(self, now_ms: u64) -> Self {
        let now = Self::at_ms(now_ms);
        // A full counter runs over into the milliseconds, which keeps the order.
        if now.0 > self.0 {
            now
        } else {
            Self(self.0.saturating_add(1))
        }
    }

    /// The stamp of a remote message, cut back if the sender's clock is too far ahead.
    #[must_use]
    pub const fn clamped(self, now_ms: u64) -> Self {
        let latest = Self::at_ms(now_ms.saturating_add(MAX_AHEAD_MS));
        if self.0 > latest.0 { latest } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_stamp_is_always_later(stamp in 0..u64::MAX, now in 0..1u64 << 47) {
            prop_assert!(Hlc(stamp).next(now) > Hlc(stamp));
        }

        #[test]
        fn a_clamped_stamp_is_at_most_five_minutes_ahead(stamp: u64, now in 0..1u64 << 47) {
            prop_assert!(Hlc(stamp).clamped(now).unix_ms() <= now + MAX_AHEAD_MS);
        }
    }

    #[test]
    fn a_stamp_is_milliseconds_and_sixteen_bits() {
        assert_eq!(Hlc::at_ms(3).as_u64(), 3 * 65_536);
        assert_eq!(Hlc::at_ms(3).unix_ms(), 3);
        assert_eq!(Hlc::from_u64(4 * 65_536 - 1).unix_ms(), 3);
    }

    #[test]
    fn the_next_stamp_is_the_time_if_that_is_later() {
        assert_eq!(Hlc::at_ms(2).next(5), Hlc::at_ms(5));
        assert_eq!(Hlc::at_ms(5).next(5), Hlc(Hlc::at_ms(5).0 + 1));
        assert_eq!(Hlc::at_ms(8).next(5), Hlc(Hlc::at_ms(8).0 + 1));
    }

    #[test]
    fn a_stamp_within_five_minutes_stays_and_a_later_one_is_cut_back() {
        const NOW: u64 = 1_000_000;
        let latest = Hlc::at_ms(NOW + 300_000);
        assert_eq!(latest.clamped(NOW), latest);
        assert_eq!(Hlc::at_ms(NOW + 300_001).clamped(NOW), latest);
    }
}
