//! Who a profile is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::peer::Identity;

tags!(IdTag = "id", InviteTag = "invite");

/// Who this profile is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdObject {
    /// `"id"`.
    #[serde(rename = "type")]
    pub kind: IdTag,
    /// The address that others know it by.
    pub address: String,
    /// What its owner calls themselves.
    pub name: String,
    /// This device.
    pub device: String,
    /// URLs of the signaling servers.
    pub signal_servers: Vec<String>,
    /// URL of the relay with its mailboxes.
    pub relay: String,
}

impl IdObject {
    pub(in crate::rpc) fn of(identity: &Identity) -> Self {
        let servers = identity.signal_servers.iter();
        Self {
            kind: IdTag::Tag,
            address: identity.address.to_string(),
            name: identity.name.clone(),
            device: identity.device.to_string(),
            signal_servers: servers.map(ToString::to_string).collect(),
            relay: identity.relay.to_string(),
        }
    }
}

/// A link with which somebody becomes a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InviteObject {
    /// `"invite"`.
    #[serde(rename = "type")]
    pub kind: InviteTag,
    /// To be given to them.
    pub link: String,
    /// How many people may use it.
    pub uses: u32,
    /// Until when.
    pub expires_at: String,
}
