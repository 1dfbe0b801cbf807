//! What a link is made with.

use std::time::Duration;

use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::{DeviceId, IdentityId};

/// Time between two `Ping`s. Protocol decision: two of them without any sign of life end the link.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How connections are made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinkConfig {
    /// STUN and TURN servers (`stun:host:port`, `turn:host:port`; over UDP).
    pub ice_servers: Vec<IceServer>,
    /// Which paths may be used.
    pub policy: IcePolicy,
    /// Binds 127.0.0.1 instead of every interface, and takes the other side's loopback addresses:
    /// for tests, the demo and `--dev`.
    pub loopback: bool,
    /// Time between two `Ping`s; two of them without any sign of life end the link. 15 s by
    /// default; shorter finds dead peers sooner and wakes phones more often.
    pub heartbeat: Duration,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            ice_servers: Vec::new(),
            policy: IcePolicy::default(),
            loopback: false,
            heartbeat: HEARTBEAT,
        }
    }
}

impl LinkConfig {
    /// Direct and relayed paths through these servers.
    #[must_use]
    pub fn new(ice_servers: Vec<IceServer>) -> Self {
        Self {
            ice_servers,
            ..Self::default()
        }
    }
}

/// A STUN or TURN server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IceServer {
    /// Its URLs.
    pub urls: Vec<String>,
    /// TURN user name; empty for STUN.
    pub username: String,
    /// TURN password; empty for STUN.
    pub credential: String,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// Which paths may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IcePolicy {
    /// The best one that works.
    #[default]
    All,
    /// TURN alone: the other side never learns this machine's addresses.
    RelayOnly,
}

/// Both ends of a link.
#[derive(Clone, Debug)]
pub struct Parties {
    /// This side's identity.
    pub identity: IdentityId,
    /// This device's certificate by `identity`.
    pub cert: DeviceCert,
    /// This device's key.
    pub key: DeviceKey,
    /// The other side: an accepted contact and one of their devices.
    pub remote: (IdentityId, DeviceId),
}

impl Parties {
    /// This side's identity and device.
    pub(crate) fn local(&self) -> (IdentityId, DeviceId) {
        (self.identity, self.key.device())
    }
}
