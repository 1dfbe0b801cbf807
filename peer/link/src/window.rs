//! How much may be in flight.
//!
//! SCTP's own window grows until packets are lost, and a lost burst costs a second. So the link
//! caps what it hands over at about twice what the path carries in one round trip (the
//! bandwidth-delay product), measured: the rate at which bytes are acknowledged while the window
//! is what limits it, times the shortest round trip seen. Twice, because a window of once the
//! product could never find out that the path carries more; that makes it double each round trip
//! until the rate no longer follows.
//!
//! Knows no channel and no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Smallest window, bytes. Measured on loopback, 16 KiB messages: the fastest of 64 KiB to 1 MiB
/// (153-183 MB/s against 24-48 MB/s at 1 MiB, which overflows kernel buffers).
const DIRECT_MIN: usize = 128 * 1024;

/// Smallest window through a relay, bytes: the burst has to fit the relay's socket as well, whose
/// kernel buffer is the stock one (208 KiB, packets of 1,200 bytes counted at about twice that).
const RELAYED_MIN: usize = 64 * 1024;

/// Largest window, bytes: 80 MB/s at a round trip of 50 ms. It is also the most that one link holds
/// of what the other side has not acknowledged.
const MAX: usize = 4 * 1024 * 1024;

/// The rate is taken over at least this long, so that one burst does not look like a fast path.
const EPOCH_MIN: Duration = Duration::from_millis(50);

/// Round trips remembered. A `Ping` behind data is slow, so the shortest counts; with one every 15 s
/// an old one is forgotten after eight minutes, should the path have changed.
const ROUND_TRIPS: usize = 32;

/// See the module.
#[derive(Debug)]
pub(crate) struct Window {
    min: usize,
    size: usize,
    sent: u64,
    in_flight: usize,
    round_trips: VecDeque<Duration>,
    epoch: Option<Epoch>,
}

/// A time in which the window was the limit.
#[derive(Debug)]
struct Epoch {
    began: Instant,
    acknowledged: u64,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            min: DIRECT_MIN,
            size: DIRECT_MIN,
            sent: 0,
            in_flight: 0,
            round_trips: VecDeque::new(),
            epoch: None,
        }
    }

    /// The path is known.
    pub(crate) fn handle_path(&mut self, relayed: bool) {
        self.min = if relayed { RELAYED_MIN } else { DIRECT_MIN };
        self.size = self.min;
    }

    /// A round trip was measured.
    pub(crate) fn handle_round_trip(&mut self, round_trip: Duration) {
        if self.round_trips.len() == ROUND_TRIPS {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(round_trip);
    }

    /// Bytes were handed over.
    pub(crate) fn handle_sent(&mut self, len: usize) {
        self.sent += len as u64;
        self.in_flight += len;
    }

    /// The channel was asked how much is in flight.
    pub(crate) fn handle_in_flight(&mut self, in_flight: usize, now: Instant) {
        self.in_flight = in_flight;
        let acknowledged = self.sent.saturating_sub(in_flight as u64);
        let Some(epoch) = &self.epoch else {
            if !self.has_room() {
                self.epoch = Some(Epoch {
                    began: now,
                    acknowledged,
                });
            }
            return;
        };
        let Some(round_trip) = self.round_trips.iter().min().copied() else {
            return;
        };
        let lasted = now.saturating_duration_since(epoch.began);
        if lasted < round_trip.max(EPOCH_MIN) {
            return;
        }
        let rate = (acknowledged - epoch.acknowledged) as f64 / lasted.as_secs_f64();
        let product = rate * round_trip.as_secs_f64();
        self.size = ((2.0 * product) as usize)
            .clamp(self.size / 2, self.size * 2)
            .clamp(self.min, MAX);
        self.epoch = None;
    }

    /// The caller has nothing more to send, so the rate says nothing about the path.
    pub(crate) fn handle_idle(&mut self) {
        self.epoch = None;
    }

    /// Whether more may be handed over, as far as is known.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight < self.size
    }

    /// Bytes allowed in flight.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Bytes in flight, as far as is known.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends through a path of `rate` bytes a second and `round_trip`, always as much as is
    /// allowed, for `seconds`.
    fn window_after(rate: f64, round_trip: Duration, seconds: u64) -> usize {
        let mut window = Window::new();
        window.handle_round_trip(round_trip);
        let start = Instant::now();
        // Acknowledgements on their way: when, and how many bytes.
        let mut acks = VecDeque::new();
        let (mut bottleneck_free, mut in_flight) = (start, 0);
        let step = Duration::from_millis(1);
        let mut now = start;
        while now < start + Duration::from_secs(seconds) {
            while acks.front().is_some_and(|(at, _)| *at <= now) {
                in_flight -= acks.pop_front().map_or(0, |(_, len)| len);
            }
            window.handle_in_flight(in_flight, now);
            while window.has_room() {
                let len = 16 * 1024;
                bottleneck_free =
                    bottleneck_free.max(now) + Duration::from_secs_f64(len as f64 / rate);
                acks.push_back((bottleneck_free + round_trip, len));
                in_flight += len;
                window.handle_sent(len);
            }
            window.handle_in_flight(in_flight, now);
            now += step;
        }
        window.size()
    }

    #[test]
    fn a_short_path_keeps_the_smallest_window() {
        assert_eq!(
            window_after(150e6, Duration::from_micros(200), 5),
            DIRECT_MIN
        );
    }

    #[test]
    fn a_long_path_gets_about_twice_its_product() {
        // 20 MB/s at 50 ms: a product of 1 MB.
        let size = window_after(20e6, Duration::from_millis(50), 10);
        assert!((1_000_000..=2_500_000).contains(&size), "{size}");
    }

    #[test]
    fn no_path_gets_more_than_the_largest_window() {
        assert_eq!(window_after(1e9, Duration::from_millis(200), 20), MAX);
    }

    #[test]
    fn a_slow_path_keeps_the_smallest_window() {
        assert_eq!(window_after(1e6, Duration::from_millis(50), 10), DIRECT_MIN);
    }

    #[test]
    fn without_a_round_trip_nothing_is_guessed() {
        let mut window = Window::new();
        let now = Instant::now();
        window.handle_sent(10 * DIRECT_MIN);
        window.handle_in_flight(DIRECT_MIN, now);
        window.handle_in_flight(0, now + Duration::from_secs(1));
        assert_eq!(window.size(), DIRECT_MIN);
    }
}
