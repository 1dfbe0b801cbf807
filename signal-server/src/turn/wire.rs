//! What the TURN server's state machine asks of the world around it.

use std::net::{IpAddr, SocketAddr};

/// A relay socket: its number and its relayed transport address, as clients and peers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relay {
    pub(super) id: usize,
    pub(super) address: SocketAddr,
}

/// Sockets, real ones or a test's.
///
/// Sending never fails for the caller: datagrams may be lost anyway, and an unreachable peer must
/// not end an allocation (ICE always tries some that are).
pub(super) trait Wire {
    /// Sends from the server's main address.
    fn send_to_client(&mut self, client: SocketAddr, packet: &[u8]);
    /// Sends from a relay.
    fn send_to_peer(&mut self, relay: usize, peer: SocketAddr, packet: &[u8]);
    /// Opens a relay, on an even port if that is wanted; `None` if there is no room for one.
    fn open_relay(&mut self, even_port: bool) -> Option<Relay>;
    /// Closes it again.
    fn close_relay(&mut self, relay: usize);
    /// Whether relayed addresses are IPv4 (else IPv6).
    fn relays_v4(&self) -> bool;
    /// Whether this host itself has the address.
    fn is_own_address(&self, ip: IpAddr) -> bool;
}
