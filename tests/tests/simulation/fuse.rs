//! Where a process dies: after so many operations that somebody else can see.
//!
//! Every write, every sync and every word to the world counts. So a crash can fall between any two of
//! them, and what comes after it has no effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// It never burns.
const UNLIT: i64 = i64::MAX;

/// One process's fuse.
#[derive(Clone, Debug)]
pub(crate) struct Fuse(Arc<AtomicI64>);

impl Fuse {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(UNLIT)))
    }

    /// The process dies after so many more operations.
    pub(crate) fn light(&self, operations: u16) {
        if !self.is_burnt() {
            self.0.store(i64::from(operations), Ordering::Relaxed);
        }
    }

    /// It dies now.
    pub(crate) fn burn(&self) {
        self.0.store(-1, Ordering::Relaxed);
    }

    pub(crate) fn is_burnt(&self) -> bool {
        self.0.load(Ordering::Relaxed) < 0
    }

    /// Counts an operation; false if the process does not live to do it.
    pub(crate) fn spend(&self) -> bool {
        match self.0.load(Ordering::Relaxed) {
            UNLIT => true,
            left => {
                self.0.store((left - 1).max(-1), Ordering::Relaxed);
                left > 0
            }
        }
    }
}
