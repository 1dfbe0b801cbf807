//! Where the TURN server may relay to: the public Internet and its own live allocations.
//!
//! Whoever has credentials chooses the peers, so without this check a relay is a door into the
//! networks its host can reach: its own services, the hosts beside it, a cloud's metadata service.
//!
//! Owns the order of the rules. Does not own the list of special ranges, which is the protocol's, and
//! knowledge of this host (which addresses and which allocations are its own): that comes in as
//! questions.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tincan_protocol::special_range::special_range;

/// What the filter has to ask about this host.
pub(super) trait Host {
    /// Whether a live allocation of this server has this relayed address.
    fn is_live_relay(&self, address: SocketAddr) -> bool;
    /// Whether this host itself has the address.
    fn is_own_address(&self, ip: IpAddr) -> bool;
}

/// The name of the special range that makes a peer forbidden, or `None` if it may be relayed to.
pub(super) fn forbidden(
    peer: SocketAddr,
    allow_loopback: bool,
    host: &impl Host,
) -> Option<&'static str> {
    if peer.port() == 0 {
        return Some("port 0");
    }
    if host.is_live_relay(peer) {
        return None;
    }
    if allow_loopback && is_plain_loopback(peer.ip()) {
        return None;
    }
    special_range(peer.ip()).or_else(|| host.is_own_address(peer.ip()).then_some("this host"))
}

/// 127.0.0.0/8 or ::1, and not another notation of it.
pub(super) fn is_plain_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Own(&'static str, &'static str);

    impl Host for Own {
        fn is_live_relay(&self, address: SocketAddr) -> bool {
            address == self.0.parse().unwrap()
        }
        fn is_own_address(&self, ip: IpAddr) -> bool {
            ip == self.1.parse::<IpAddr>().unwrap()
        }
    }

    const HOST: Own = Own("9.9.9.9:50000", "9.9.9.9");

    #[test]
    fn of_this_host_only_live_relays_are_reachable() {
        let forbidden = |peer: &str| forbidden(peer.parse().unwrap(), false, &HOST);
        assert_eq!(forbidden("9.9.9.9:50000"), None);
        assert_eq!(forbidden("9.9.9.9:50001"), Some("this host"));
        assert_eq!(forbidden("9.9.9.9:22"), Some("this host"));
        assert_eq!(forbidden("8.8.8.8:0"), Some("port 0"));
    }

    #[test]
    fn a_live_relay_on_a_private_address_is_reachable() {
        let host = Own("192.168.1.5:50000", "192.168.1.5");
        assert_eq!(
            forbidden("192.168.1.5:50000".parse().unwrap(), false, &host),
            None
        );
        assert_eq!(
            forbidden("192.168.1.6:50000".parse().unwrap(), false, &host),
            Some("private")
        );
    }

    #[test]
    fn development_allows_loopback_in_its_plain_notation() {
        let forbidden = |peer: &str| forbidden(peer.parse().unwrap(), true, &HOST);
        assert_eq!(forbidden("127.0.0.1:9"), None);
        assert_eq!(forbidden("[::1]:9"), None);
        assert_eq!(forbidden("[::ffff:127.0.0.1]:9"), Some("IPv4-mapped"));
        assert_eq!(forbidden("[2002:7f00:1::1]:9"), Some("loopback"));
        assert_eq!(forbidden("10.0.0.1:9"), Some("private"));
    }
}
