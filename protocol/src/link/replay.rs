//! Remembers which link sessions have been seen, so that an old offer is never taken twice.

use std::collections::BTreeMap;

use crate::ids::{DeviceId, LinkSessionId};
use crate::limits::LINK_CLOCK_SKEW_MS;

/// Sessions remembered per device. An honest device makes one every few seconds at most; when it
/// is full, further offers of that device wait until the oldest may be forgotten.
const PER_DEVICE_MAX: usize = 256;

/// How long a session is remembered, milliseconds: an offer is refused by its clock once it is
/// older than the skew in either direction.
pub const SESSION_KEPT_MS: u64 = 2 * LINK_CLOCK_SKEW_MS;

/// The sessions seen within the time in which an offer could still be accepted.
#[derive(Clone, Debug, Default)]
pub struct SeenSessions {
    seen: BTreeMap<DeviceId, BTreeMap<LinkSessionId, u64>>,
}

impl SeenSessions {
    /// Notes a session at `now_ms` (Unix milliseconds); false if it has been seen before, or if
    /// there is no room to remember it.
    #[must_use]
    pub fn note(&mut self, device: DeviceId, session: LinkSessionId, now_ms: u64) -> bool {
        let sessions = self.seen.entry(device).or_default();
        sessions.retain(|_, at| now_ms.saturating_sub(*at) <= SESSION_KEPT_MS);
        if sessions.contains_key(&session) || sessions.len() >= PER_DEVICE_MAX {
            return false;
        }
        sessions.insert(session, now_ms);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_new_once() {
        let mut seen = SeenSessions::default();
        let device = DeviceId::from_bytes([1; 32]);
        let session = LinkSessionId::from_bytes([1; 16]);
        assert!(seen.note(device, session, 1_000));
        // An offer that was signed ahead by the whole skew passes so long.
        assert!(!seen.note(device, session, 1_000 + 2 * LINK_CLOCK_SKEW_MS));
        assert!(seen.note(DeviceId::from_bytes([2; 32]), session, 1_000));
    }

    #[test]
    fn memory_is_bounded_and_old_sessions_make_room() {
        let mut seen = SeenSessions::default();
        let device = DeviceId::from_bytes([1; 32]);
        let session = |n: usize| LinkSessionId::from_bytes((n as u128).to_be_bytes());
        let taken = (0..1_000)
            .filter(|&n| seen.note(device, session(n), 0))
            .count();
        assert_eq!(taken, PER_DEVICE_MAX);
        assert!(seen.note(device, session(5_000), SESSION_KEPT_MS + 1));
    }
}
