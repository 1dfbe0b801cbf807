//! Limit on answers to requests that have proved nothing, for each source.
//!
//! Source addresses of UDP can be forged, and an answer may be longer than its request: unlimited
//! answers would make the server a reflector. Memory is fixed: sources share a table by a keyed
//! hash, so a flood from forged sources costs nothing, and at worst a source shares its allowance
//! with a few strangers.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::rate::{Rate, Taken};

/// Answers for one source (an IPv4 address, an IPv6 /64). Chosen: a household or office behind one
/// address that starts a few dozen connections at once does not notice; a reflected stream of 20
/// answers a second of 100 bytes is of no use to anybody.
const RATE: Rate = Rate::new(20, 200);

/// Entries of 16 bytes: 256 KiB.
const SLOTS: usize = 16 * 1024;

/// Says whether an answer may be sent.
#[derive(Debug)]
pub(super) struct AnswerLimit {
    hasher: RandomState,
    slots: Box<[Taken]>,
}

impl AnswerLimit {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            slots: vec![Taken::default(); SLOTS].into_boxed_slice(),
        }
    }

    /// Whether this source may get an answer now; counts it if so.
    pub(super) fn allows(&mut self, source: SocketAddr, now: Duration) -> bool {
        let hash = match source.ip() {
            IpAddr::V4(ip) => self.hasher.hash_one(ip.octets()),
            IpAddr::V6(ip) => self.hasher.hash_one(&ip.octets()[..8]),
        };
        let slot = (hash % SLOTS as u64) as usize;
        self.slots[slot].take(RATE, 1, now).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gets_its_burst_whatever_its_ports() {
        let mut limit = AnswerLimit::new();
        let answered = (0..1000)
            .filter(|port| limit.allows(SocketAddr::from(([1, 1, 1, 1], *port)), Duration::ZERO));
        assert_eq!(answered.count(), 200);
        assert!(limit.allows(
            SocketAddr::from(([1, 1, 1, 1], 1)),
            Duration::from_millis(50)
        ));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let mut limit = AnswerLimit::new();
        let answered = (0..1000u16).filter(|host| {
            limit.allows(
                SocketAddr::from(([0x2a00, 1, 2, 3, 0, 0, 0, *host], 1)),
                Duration::ZERO,
            )
        });
        assert_eq!(answered.count(), 200);
    }
}
