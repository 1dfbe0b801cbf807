//! Figures of a link that its handle can read at any time without asking the task.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// A snapshot of a link's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Whether the path goes through a TURN server; `None` before it is known.
    pub relayed: Option<bool>,
    /// The last measured round trip of a `Ping`; `None` before the first.
    pub round_trip: Option<Duration>,
    /// Frames given to the channel, without the link's own.
    pub sent_frames: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames taken from the channel and handed to the caller.
    pub received_frames: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Bytes allowed in flight.
    pub window: usize,
    /// Bytes in flight when the channel was last asked.
    pub in_flight: usize,
}

/// What the task writes and handles read.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    relayed: AtomicU8,
    round_trip_us: AtomicU64,
    sent_frames: AtomicU64,
    sent_bytes: AtomicU64,
    received_frames: AtomicU64,
    received_bytes: AtomicU64,
    window: AtomicUsize,
    in_flight: AtomicUsize,
}

const UNKNOWN: u8 = 0;
const DIRECT: u8 = 1;
const RELAYED: u8 = 2;

impl Counters {
    pub(crate) fn snapshot(&self) -> LinkStats {
        let round_trip_us = self.round_trip_us.load(Relaxed);
        LinkStats {
            relayed: match self.relayed.load(Relaxed) {
                UNKNOWN => None,
                state => Some(state == RELAYED),
            },
            round_trip: (round_trip_us > 0).then(|| Duration::from_micros(round_trip_us)),
            sent_frames: self.sent_frames.load(Relaxed),
            sent_bytes: self.sent_bytes.load(Relaxed),
            received_frames: self.received_frames.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            window: self.window.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
        }
    }

    pub(crate) fn set_relayed(&self, relayed: bool) {
        self.relayed
            .store(if relayed { RELAYED } else { DIRECT }, Relaxed);
    }

    pub(crate) fn set_round_trip(&self, round_trip: Duration) {
        // Below a microsecond is still a measurement.
        let us = u64::try_from(round_trip.as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        self.round_trip_us.store(us, Relaxed);
    }

    pub(crate) fn set_window(&self, window: usize, in_flight: usize) {
        self.window.store(window, Relaxed);
        self.in_flight.store(in_flight, Relaxed);
    }

    pub(crate) fn count_sent(&self, len: usize) {
        self.sent_frames.fetch_add(1, Relaxed);
        self.sent_bytes.fetch_add(len as u64, Relaxed);
    }

    pub(crate) fn count_received(&self, len: usize) {
        self.received_frames.fetch_add(1, Relaxed);
        self.received_bytes.fetch_add(len as u64, Relaxed);
    }
}
