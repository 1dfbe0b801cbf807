//! Rate limits: the generic cell rate algorithm, one `Duration` of state for each limited party.
//!
//! A taker that has been idle may take `burst` at once and `per_second` from then on. A refusal
//! changes nothing, so hammering does not lengthen the wait.

use std::time::Duration;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    period: Duration,
    burst: Duration,
}

impl Rate {
    /// `per_second` in the long run, `burst` at once. A rate of zero counts as one.
    #[must_use]
    pub const fn new(per_second: u32, burst: u32) -> Self {
        let per_second = if per_second == 0 { 1 } else { per_second };
        let period = Duration::from_nanos(1_000_000_000 / per_second as u64);
        Self {
            period,
            burst: Duration::from_nanos(period.as_nanos() as u64 * burst as u64),
        }
    }
}

/// What one party has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// When everything taken so far is paid off.
    paid_off: Duration,
}

impl Taken {
    /// Takes `cost` at `now`.
    ///
    /// # Errors
    /// How long to wait before the same would be granted. What costs more than a whole burst is
    /// never granted; the wait is then that of a whole burst.
    pub fn take(&mut self, rate: Rate, cost: u32, now: Duration) -> Result<(), Duration> {
        let paid_off = self.paid_off.max(now) + rate.period * cost;
        let allowed = now + rate.burst;
        if paid_off > allowed {
            return Err((paid_off - allowed).min(rate.burst));
        }
        self.paid_off = paid_off;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate::new(50, 200);

    #[test]
    fn a_burst_is_granted_and_then_the_rate() {
        let mut taken = Taken::default();
        let now = Duration::from_secs(7);
        assert!((0..200).all(|_| taken.take(RATE, 1, now).is_ok()));
        assert_eq!(taken.take(RATE, 1, now), Err(Duration::from_millis(20)));
        assert_eq!(taken.take(RATE, 1, now + Duration::from_millis(20)), Ok(()));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate(steps in proptest::collection::vec((0u64..100, 1u32..20), 1..300)) {
            let (mut taken, mut now, mut granted) = (Taken::default(), Duration::ZERO, 0);
            for (wait_ms, cost) in steps {
                now += Duration::from_millis(wait_ms);
                if taken.take(RATE, cost, now).is_ok() {
                    granted += u64::from(cost);
                }
                prop_assert!(granted <= 200 + now.as_millis() as u64 / 20);
            }
        }

        #[test]
        fn the_wait_named_in_a_refusal_suffices(cost in 1u32..200) {
            let mut taken = Taken::default();
            while taken.take(RATE, cost, Duration::ZERO).is_ok() {}
            let wait = taken.take(RATE, cost, Duration::ZERO).unwrap_err();
            prop_assert_eq!(taken.take(RATE, cost, wait), Ok(()));
        }
    }
}
