//! Checks from hosts that no candidate has told.
//!
//! A check that comes from the other side's address at a TURN server before its candidate does makes ICE
//! learn the address from the check: as a peer-reflexive one, which it prefers to one that STUN has told
//! (RFC 8445, 5.1.2.2), and rtc-ice 0.21.1 leaves it at that when the candidate comes. The link then goes
//! through TURN where there was a direct path. Measured between a host with a public address and one
//! behind a full-cone NAT: every sixth time.
//!
//! So checks are heard from told hosts alone at first. That costs nothing, because ICE waits as long
//! before it nominates an address that it has learned from a check; who is not heard asks again. Behind a NAT
//! that maps each destination to another port, the host is that of the address that STUN has told.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// From the beginning of the checks. As long as webrtc waits for something better than a peer-reflexive
/// address.
const PATIENCE: Duration = Duration::from_secs(1);

/// A STUN binding request (RFC 8489, 5 and 18.2).
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];

/// Who is heard.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    told: BTreeSet<IpAddr>,
    /// `None` until the checks begin: ICE itself refuses any.
    heard_from: Option<Instant>,
}

impl Strangers {
    /// ICE has the other side's description.
    pub(crate) fn checks_begin(&self, now: Instant) {
        self.locked().heard_from.get_or_insert(now + PATIENCE);
    }

    /// A candidate has told this host.
    pub(crate) fn tell(&self, host: IpAddr) {
        self.locked().told.insert(host.to_canonical());
    }

    /// Whether a datagram is a check that comes too early.
    pub(crate) fn is_too_early(&self, datagram: &[u8], from: IpAddr, now: Instant) -> bool {
        if !datagram.starts_with(&BINDING_REQUEST) {
            return false;
        }
        let inner = self.locked();
        let is_stranger = !inner.told.contains(&from.to_canonical());
        is_stranger && inner.heard_from.is_some_and(|at| now < at)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Every change is one step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: [u8; 4] = [0, 1, 0, 0];

    fn since(now: Instant) -> Strangers {
        let strangers = Strangers::default();
        strangers.checks_begin(now);
        strangers
    }

    #[test]
    fn regression_a_check_from_turn_before_its_candidate_is_not_heard() {
        let now = Instant::now();
        let strangers = since(now);
        let turn = IpAddr::from([9, 9, 9, 9]);
        strangers.tell([9, 1, 2, 2].into());
        assert!(strangers.is_too_early(&CHECK, turn, now));
        let told = IpAddr::from([9, 1, 2, 2]);
        assert!(!strangers.is_too_early(&CHECK, told, now));
        // An IPv6 socket writes the same host in another way.
        let mapped = "::ffff:9.1.2.2".parse().unwrap();
        assert!(!strangers.is_too_early(&CHECK, mapped, now));
        strangers.tell(turn);
        assert!(!strangers.is_too_early(&CHECK, turn, now));
    }

    #[test]
    fn a_stranger_is_heard_in_the_end_and_everything_but_checks_at_once() {
        let now = Instant::now();
        let strangers = since(now);
        let stranger = IpAddr::from([9, 9, 9, 9]);
        // Once.
        strangers.checks_begin(now + PATIENCE);
        let late = now + PATIENCE - Duration::from_millis(1);
        assert!(strangers.is_too_early(&CHECK, stranger, late));
        assert!(!strangers.is_too_early(&CHECK, stranger, now + PATIENCE));
        // An answer of STUN, data from TURN, nothing.
        for datagram in [&[1, 1, 0, 0][..], &[0, 0x17], &[0x40, 0], &[0], &[]] {
            assert!(!strangers.is_too_early(datagram, stranger, now));
        }
    }
}
