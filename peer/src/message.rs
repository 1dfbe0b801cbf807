//! What callers see of contacts and messages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tincan_protocol::{ConversationId, IdentityId, MsgId};

/// A message of either side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its id.
    pub id: MsgId,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// The contact whose conversation that is.
    pub identity: IdentityId,
    /// What we call them.
    pub contact: String,
    /// The contact's name, or the own one.
    pub from: String,
    /// Whether it is ours.
    pub outgoing: bool,
    /// Place in its sender's sequence, from 1.
    pub seq: u64,
    /// What it says.
    pub text: String,
    /// When its sender made it, by the sender's clock, Unix milliseconds.
    pub sent_at_ms: u64,
    /// When it was stored here, Unix milliseconds.
    pub received_at_ms: u64,
    /// How far it has come.
    pub state: MessageState,
}

/// How far a message has come.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageState {
    /// Durable here, on its way.
    Pending,
    /// Durable at the contact's device or relay.
    Sent,
    /// Not delivered within 14 days.
    Failed,
    /// Opened and stored by the contact's device.
    Delivered,
    /// Shown to the contact.
    Read,
    /// Somebody else's message, received here.
    Received,
}

impl MessageState {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Received => "received",
        }
    }
}

/// Somebody we know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contact {
    /// Who.
    pub identity: IdentityId,
    /// What we call them.
    pub name: String,
    /// How far the acquaintance has come.
    pub standing: ContactStanding,
    /// The conversation with them.
    pub conversation: ConversationId,
}

/// How far an acquaintance has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContactStanding {
    /// We have asked and wait.
    Requested,
    /// Both want to talk.
    Accepted,
    /// We do not want to talk.
    Blocked,
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestFrom {
    /// Who.
    pub identity: IdentityId,
    /// What they call themselves, made unique among contacts.
    pub name: String,
    /// What they say.
    pub text: String,
    /// When it came, Unix milliseconds.
    pub received_at_ms: u64,
}
