//! The report on links, servers and what waits.

use std::time::Duration;

use tincan_protocol::IdentityId;
use tincan_protocol::origin::ServerUrl;

use crate::message::ContactStanding;

/// How things are now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StatusReport {
    /// Everybody we know.
    pub contacts: Vec<ContactStatus>,
    /// Signaling servers.
    pub signal_servers: Vec<ServerStatus>,
    /// Relays: the own one and those of contacts.
    pub relays: Vec<ServerStatus>,
    /// Whether a server has given TURN credentials.
    pub turn: bool,
}

/// One contact's links.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ContactStatus {
    /// Who.
    pub identity: IdentityId,
    /// What we call them.
    pub name: String,
    /// How far the acquaintance has come; `None`: they ask, and are not answered yet.
    pub standing: Option<ContactStanding>,
    /// Whether they are logged in at their signaling server.
    pub online: bool,
    /// The direct link.
    pub link: LinkStatus,
    /// Why the oldest message to them waits, if one does.
    pub waiting: Option<&'static str>,
}

/// Messages to one contact that are on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// How many are here only.
    pub pending: u64,
    /// How many wait at the contact's relay.
    pub at_relay: u64,
}

/// A direct link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkStatus {
    /// There is none.
    None,
    /// One is being made.
    Connecting,
    /// It is open.
    Up {
        /// Whether it goes through TURN.
        relayed: bool,
        /// The last measured round trip.
        round_trip: Option<Duration>,
    },
}

/// One server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Its URL.
    pub url: ServerUrl,
    /// Whether we are connected.
    pub up: bool,
    /// Relays: whether the own mailboxes are there and have been read, and key packages are in stock,
    /// so that invites work. Signaling servers: the same as `up`.
    pub ready: bool,
    /// Why not.
    pub problem: Option<String>,
}
