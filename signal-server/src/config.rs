//! What a server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tincan_protocol::origin::ServerUrl;
use tincan_relay::RelayConfig;

use crate::credentials::TurnSecret;
use crate::hub::HubLimits;
use crate::turn::EmbeddedTurn;

/// What a server is started with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where HTTP and WebSocket connections are accepted. Port 0: any free one.
    pub listen: SocketAddr,
    /// The URL that clients use. Without it only clients that dial the server's own IP address are
    /// served: a login is bound to the name that was dialed.
    pub public_url: Option<ServerUrl>,
    /// TURN.
    pub turn: TurnMode,
    /// A relay to be served on the same listener.
    pub relay: Option<RelayConfig>,
    /// Limits of single signaling connections.
    pub hub: HubLimits,
    /// Limits and times of sockets.
    pub sockets: SocketLimits,
}

impl Config {
    /// This address, embedded TURN with its defaults, no relay.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            public_url: None,
            turn: TurnMode::Embedded {
                turn: EmbeddedTurn::default(),
                secret: TurnSecret::random(),
            },
            relay: None,
            hub: HubLimits::default(),
            sockets: SocketLimits::default(),
        }
    }

    /// Everything on loopback, free ports, TURN that relays to loopback.
    #[must_use]
    pub fn loopback() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let turn = EmbeddedTurn {
            allow_loopback: true,
            ..EmbeddedTurn::new(any)
        };
        Self {
            turn: TurnMode::Embedded {
                turn,
                secret: TurnSecret::random(),
            },
            ..Self::new(any)
        }
    }
}

/// Where clients get TURN.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TurnMode {
    /// Nowhere.
    Off,
    /// In this process.
    Embedded {
        /// Its configuration.
        turn: EmbeddedTurn,
        /// Signs credentials.
        secret: TurnSecret,
    },
    /// At servers of somebody else, such as coturn with `use-auth-secret`.
    External {
        /// `turn:` and `stun:` URLs.
        urls: Vec<String>,
        /// The secret those servers have, too.
        secret: TurnSecret,
    },
}

/// Limits and times of sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketLimits {
    /// Signaling connections at a time; more get status 503.
    pub signaling: usize,
    /// How often a WebSocket is pinged.
    pub ping_every: Duration,
    /// A WebSocket that has sent nothing for this long, not even a pong, is dead. Two pings may
    /// get lost in a hand-over between networks; together with `ping_every` below 15 s, so that a
    /// contact is shown as gone within that time.
    pub silent_after: Duration,
    /// A WebSocket that takes no byte for this long is closed.
    pub write_stall: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            signaling: 16_384,
            ping_every: Duration::from_secs(4),
            silent_after: Duration::from_secs(10),
            write_stall: Duration::from_secs(10),
        }
    }
}
