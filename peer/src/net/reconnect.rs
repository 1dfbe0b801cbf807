//! How long to wait before the next attempt: exponential backoff with jitter over the whole upper
//! half, so that a restarted server is not met by all its clients at once.

use std::time::Duration;

/// First wait. Chosen: short, because most losses are a restart of the server.
const FIRST: Duration = Duration::from_millis(250);

/// Longest wait. Chosen: a laptop that wakes up is back within half a minute in the worst case.
const LONGEST: Duration = Duration::from_secs(30);

/// A connection that lived this long starts the waits over.
const STABLE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Reconnect {
    failures: u32,
}

impl Reconnect {
    /// The wait after a connection that lived for `lived`.
    pub(super) fn next(&mut self, lived: Duration) -> Duration {
        if lived >= STABLE {
            self.failures = 0;
        }
        let wait = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        wait / 2 + wait.mul_f64(rand::random::<f64>() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_longest_and_start_over_after_a_stable_connection() {
        let mut reconnect = Reconnect::default();
        let waits: Vec<_> = (0..20).map(|_| reconnect.next(Duration::ZERO)).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[19] >= LONGEST / 2);
        assert!(reconnect.next(STABLE) <= FIRST);
    }
}
