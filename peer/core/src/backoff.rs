//! Exponential backoff with full-range jitter in its upper half: `wait/2 ..= wait`.

use core::time::Duration;

use crate::rng::SplitMix64;

#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait, doubling from `min` to `max`.
    pub(crate) fn next(&mut self, min: Duration, max: Duration, rng: &mut SplitMix64) -> Duration {
        let factor = 1u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let wait = min.saturating_mul(factor).min(max);
        let half = wait / 2;
        let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_micros(rng.next() % micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_within_its_bounds() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(300));
        let mut rng = SplitMix64::new(1);
        let mut backoff = Backoff::default();
        for failures in 0..50u32 {
            let wait = backoff.next(min, max, &mut rng);
            let full = min.saturating_mul(2u32.saturating_pow(failures)).min(max);
            assert!(wait >= full / 2 && wait <= full, "{failures}: {wait:?}");
        }
    }
}
