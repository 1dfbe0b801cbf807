//! When to look for what is too old: a few queues at a time, round and round.

use std::time::Duration;
use tincan_protocol::ids::QueueId;

/// Pause between two steps. A million queues are gone through in three hours, which is little
/// against a life of weeks; a store that failed is asked again as often.
const PAUSE: Duration = Duration::from_secs(10);

/// Queues looked at in one step.
pub(super) const QUEUES_PER_STEP: usize = 1_024;

/// Where the search stands.
#[derive(Debug)]
pub(super) struct Sweep {
    next: Option<QueueId>,
    /// `None` while a step is under way.
    due: Option<Duration>,
}

impl Sweep {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            next: None,
            due: Some(now),
        }
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Where the step begins, if one is due.
    pub(super) fn start(&mut self, now: Duration) -> Option<Option<QueueId>> {
        self.due.take_if(|due| *due <= now).map(|_| self.next)
    }

    /// A step ended, or failed and is taken again.
    pub(super) fn finish(&mut self, next: Result<Option<QueueId>, ()>, now: Duration) {
        if let Ok(next) = next {
            self.next = next;
        }
        self.due = Some(now.saturating_add(PAUSE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_taken_again_after_a_pause() {
        let mut sweep = Sweep::new(Duration::ZERO);
        assert_eq!(sweep.start(Duration::ZERO), Some(None));
        assert_eq!(sweep.start(PAUSE), None);
        let queue = QueueId::from_bytes([3; 32]);
        sweep.finish(Ok(Some(queue)), PAUSE);
        assert_eq!(sweep.start(2 * PAUSE), Some(Some(queue)));
        sweep.finish(Err(()), 2 * PAUSE);
        assert_eq!(sweep.start(2 * PAUSE), None);
        assert_eq!(sweep.start(3 * PAUSE), Some(Some(queue)));
    }
}
