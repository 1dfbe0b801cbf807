//! Time as the state machines of this crate take it: they never read a clock themselves.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Since the server started; never goes back. All deadlines are in this.
    pub(crate) since_start: Duration,
    /// Unix seconds, for the expiry in TURN credentials and nothing else.
    pub(crate) unix_s: u64,
}

/// The real clocks, for the shells.
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

    pub(crate) fn now(&self) -> Now {
        Now {
            since_start: self.start.elapsed(),
            unix_s: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        }
    }
}
