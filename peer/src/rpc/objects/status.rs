//! How things are.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tincan_protocol::IdentityId;

use super::contacts::{Presence, Standing};
use super::tags;
use crate::status::{ContactStatus, LinkStatus, OutboxStatus, ServerStatus, StatusReport};

tags!(StatusTag = "status");

/// Links, servers, and what waits for what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusObject {
    /// `"status"`.
    #[serde(rename = "type")]
    pub kind: StatusTag,
    /// Everybody we know.
    pub contacts: Vec<ContactStatusObject>,
    /// Signaling servers.
    pub signal_servers: Vec<ServerObject>,
    /// Relays: the own one and those of contacts.
    pub relays: Vec<ServerObject>,
    /// Whether a server has given TURN credentials.
    pub turn: bool,
    /// Which process runs the profile.
    pub process: ProcessObject,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessObject {
    /// Its number.
    pub id: u32,
    /// Whether it runs until somebody ends it.
    pub stays: bool,
}

/// How a contact is reached, and what is on its way to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactStatusObject {
    /// What we call them.
    pub name: String,
    /// Who they are.
    pub address: String,
    /// How far the acquaintance has come.
    pub standing: Standing,
    /// Whether they are there.
    pub presence: Presence,
    /// The direct link.
    pub link: LinkName,
    /// Its last measured round trip.
    pub round_trip_ms: Option<f64>,
    /// Why the oldest message to them waits, if one does.
    pub waiting: Option<String>,
    /// Messages that are here only; null if they were not counted.
    pub pending: Option<u64>,
    /// Messages that wait at their relay; null if they were not counted.
    pub at_relay: Option<u64>,
}

/// A direct link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkName {
    /// There is none.
    None,
    /// One is being made.
    Connecting,
    /// From device to device.
    Direct,
    /// Through a TURN server.
    Turn,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerObject {
    /// Its URL.
    pub url: String,
    /// Whether we are connected.
    pub up: bool,
    /// Relays: whether the own mailboxes are there and have been read, so that invites work. Signaling
    /// servers: the same as `up`.
    pub ready: bool,
    /// Why not.
    pub problem: Option<String>,
}

impl StatusObject {
    /// With the messages that are on their way, if they were counted.
    pub(in crate::rpc) fn of(
        report: &StatusReport,
        outbox: Option<&BTreeMap<IdentityId, OutboxStatus>>,
        process: ProcessObject,
    ) -> Self {
        let contacts = report.contacts.iter().map(|contact| {
            let outbox = outbox.map(|all| all.get(&contact.identity).copied().unwrap_or_default());
            ContactStatusObject::of(contact, outbox)
        });
        Self {
            kind: StatusTag::Tag,
            contacts: contacts.collect(),
            signal_servers: report.signal_servers.iter().map(ServerObject::of).collect(),
            relays: report.relays.iter().map(ServerObject::of).collect(),
            turn: report.turn,
            process,
        }
    }
}

impl ContactStatusObject {
    fn of(contact: &ContactStatus, outbox: Option<OutboxStatus>) -> Self {
        let (link, round_trip) = match contact.link {
            LinkStatus::None => (LinkName::None, None),
            LinkStatus::Connecting => (LinkName::Connecting, None),
            LinkStatus::Up {
                relayed: false,
                round_trip,
            } => (LinkName::Direct, round_trip),
            LinkStatus::Up {
                relayed: true,
                round_trip,
            } => (LinkName::Turn, round_trip),
        };
        Self {
            name: contact.name.clone(),
            address: contact.identity.to_string(),
            standing: Standing::of(contact.standing),
            presence: Presence::of(contact.online),
            link,
            // To the microsecond.
            round_trip_ms: round_trip.map(|time| (time.as_secs_f64() * 1e6).round() / 1000.0),
            waiting: contact.waiting.map(str::to_owned),
            pending: outbox.map(|outbox| outbox.pending),
            at_relay: outbox.map(|outbox| outbox.at_relay),
        }
    }
}

impl ServerObject {
    fn of(server: &ServerStatus) -> Self {
        Self {
            url: server.url.to_string(),
            up: server.up,
            ready: server.ready,
            problem: server.problem.clone(),
        }
    }
}
