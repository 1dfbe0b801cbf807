//! The embedded TURN and STUN server (RFC 8656 and 8489 over UDP).
//!
//! | part | what it is |
//! |---|---|
//! | `core` | the door and the map of clients; no I/O |
//! | `client` | one client: its protocol machine (`turn-server-proto`) and its limits |
//! | `stun` | making, checking and re-signing STUN messages |
//! | `nonce`, `quota`, `answer_limit`, `peer_filter` | one rule each |
//! | `sockets`, `shell`, `wire` | sockets, thread, and the line between them and `core` |
//! | `door` | `core` without sockets, for fuzzing |

mod answer_limit;
mod client;
mod core;
mod door;
mod nonce;
mod peer_filter;
mod quota;
mod shell;
mod sockets;
mod stun;
mod wire;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

pub use self::core::REALM;
pub use self::door::{Sent, TurnDoor};
pub(crate) use self::shell::Turn;

/// Configuration of the embedded TURN server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedTurn {
    /// Address it listens on; relays are bound to the same IP address.
    pub listen: SocketAddr,
    /// Address that clients and peers reach this host at, if it is not `listen`'s: behind a 1:1
    /// NAT, or with an unspecified `listen`, where otherwise the address is taken that this host
    /// uses towards the Internet.
    pub public_ip: Option<IpAddr>,
    /// Ports of relays. The default is the dynamic range that RFC 8656, 7.2 recommends. A firewall
    /// has to let these in over UDP.
    pub relay_ports: RangeInclusive<u16>,
    /// Relay to loopback addresses too: for development, where everything runs on one machine.
    pub allow_loopback: bool,
    /// Allocations for one signal address. A device uses one or two for a link that is being made.
    pub allocations_per_user: u32,
    /// Allocations in total. Each takes a file descriptor and about 9 kB.
    pub allocations: usize,
}

impl EmbeddedTurn {
    /// The defaults with this address.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            public_ip: None,
            relay_ports: 49152..=65535,
            allow_loopback: false,
            allocations_per_user: 8,
            allocations: 4096,
        }
    }
}

impl Default for EmbeddedTurn {
    fn default() -> Self {
        Self::new(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 3478)))
    }
}

/// Why the TURN server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    /// The address cannot be bound.
    #[error(
        "cannot listen on {address} (UDP) for TURN; choose another with --turn-listen, or --no-turn"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Listening on all addresses, and none of them leads to the Internet.
    #[error(
        "cannot tell which address TURN clients reach this host at; give it with --turn-public-ip, or use --no-turn"
    )]
    NoPublicIp,
    /// IPv4 and IPv6 mixed.
    #[error(
        "TURN listens on {listen} but its public address is {public}; both must be IPv4 or both IPv6"
    )]
    Family {
        /// Configured public address.
        public: IpAddr,
        /// Configured address to listen on.
        listen: SocketAddr,
    },
    /// Anything else of the system.
    #[error("cannot start TURN")]
    Io(#[source] io::Error),
}
