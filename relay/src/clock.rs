//! Time since the relay's start, as its inside counts it.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Time since the relay's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Duration {
        self.start.elapsed()
    }

    /// Returns at that time, or never.
    pub(crate) async fn reach(self, time: Option<Duration>) {
        match time {
            Some(time) => sleep_until(self.start + time).await,
            None => std::future::pending().await,
        }
    }
}
