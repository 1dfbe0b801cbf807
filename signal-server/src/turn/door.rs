//! The TURN server without its sockets, for tests that bring packets of their own: the fuzz targets.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::EmbeddedTurn;
use super::core::{Core, CoreConfig};
use super::wire::{Relay, Wire};
use crate::clock::Now;
use crate::credentials::TurnSecret;

/// A TURN server that sends nothing: what it would send is handed to the caller.
#[derive(Debug)]
pub struct TurnDoor {
    core: Core,
    outside: Outside,
}

/// A packet that would have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The relayed address it would come from; `None` for the server's main address.
    pub relay: Option<SocketAddr>,
    /// Where it would go.
    pub to: SocketAddr,
    /// Its bytes.
    pub packet: Vec<u8>,
}

impl TurnDoor {
    /// A server that listens on `config.listen` and relays from ports of `config.relay_ports` of the
    /// same address.
    #[must_use]
    pub fn new(config: &EmbeddedTurn, secret: TurnSecret, nonce_key: [u8; 32]) -> Self {
        let own = config.listen.ip();
        let core = Core::new(CoreConfig {
            listen: config.listen,
            own: vec![own],
            secret,
            allow_loopback: config.allow_loopback,
            allocations_per_user: config.allocations_per_user,
            allocations: config.allocations,
            nonce_key,
        });
        let outside = Outside {
            ip: own,
            free: config.relay_ports.clone().rev().collect(),
            open: Vec::new(),
            sent: Vec::new(),
        };
        Self { core, outside }
    }

    /// A packet that reached the main address. `since_start` never goes back; `unix_s` dates
    /// credentials.
    pub fn handle_client(
        &mut self,
        from: SocketAddr,
        packet: &[u8],
        since_start: Duration,
        unix_s: u64,
    ) -> Vec<Sent> {
        let now = Now {
            since_start,
            unix_s,
        };
        self.core
            .handle_client(from, packet, &mut self.outside, now);
        std::mem::take(&mut self.outside.sent)
    }

    /// A packet that reached a relayed address.
    pub fn handle_peer(
        &mut self,
        relayed: SocketAddr,
        peer: SocketAddr,
        packet: &[u8],
        since_start: Duration,
        unix_s: u64,
    ) -> Vec<Sent> {
        let now = Now {
            since_start,
            unix_s,
        };
        self.core
            .handle_peer(relayed, peer, packet, &mut self.outside, now);
        std::mem::take(&mut self.outside.sent)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, since_start: Duration, unix_s: u64) {
        let now = Now {
            since_start,
            unix_s,
        };
        self.core.handle_timeout(&mut self.outside, now);
    }

    /// The relayed addresses in use.
    #[must_use]
    pub fn relays(&self) -> Vec<SocketAddr> {
        let open = self.outside.open.iter();
        open.map(|port| SocketAddr::new(self.outside.ip, *port))
            .collect()
    }
}

/// Keeps what is sent. A relay's number is its port.
#[derive(Debug)]
struct Outside {
    ip: IpAddr,
    free: Vec<u16>,
    open: Vec<u16>,
    sent: Vec<Sent>,
}

impl Wire for Outside {
    fn send_to_client(&mut self, client: SocketAddr, packet: &[u8]) {
        self.sent.push(Sent {
            relay: None,
            to: client,
            packet: packet.to_vec(),
        });
    }

    fn send_to_peer(&mut self, relay: usize, peer: SocketAddr, packet: &[u8]) {
        let port = u16::try_from(relay).unwrap_or_default();
        self.sent.push(Sent {
            relay: Some(SocketAddr::new(self.ip, port)),
            to: peer,
            packet: packet.to_vec(),
        });
    }

    fn open_relay(&mut self, even_port: bool) -> Option<Relay> {
        let fits = |port: &u16| !even_port || port.is_multiple_of(2);
        let at = self.free.iter().rposition(fits)?;
        let port = self.free.remove(at);
        self.open.push(port);
        Some(Relay {
            id: usize::from(port),
            address: SocketAddr::new(self.ip, port),
        })
    }

    fn close_relay(&mut self, relay: usize) {
        let Some(at) = self
            .open
            .iter()
            .position(|port| usize::from(*port) == relay)
        else {
            return;
        };
        self.free.push(self.open.remove(at));
    }

    fn relays_v4(&self) -> bool {
        self.ip.is_ipv4()
    }

    fn is_own_address(&self, ip: IpAddr) -> bool {
        ip == self.ip
    }
}
