//! Messages and how far they have come.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{tags, time};
use crate::MsgId;
use crate::message::{Message, MessageState};

tags!(MessageTag = "message", StateTag = "state");

/// A message of either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageObject {
    /// `"message"`.
    #[serde(rename = "type")]
    pub kind: MessageTag,
    /// Its id.
    pub id: MsgId,
    /// What we call the contact whose conversation it is in.
    pub conversation: String,
    /// That contact's address.
    pub address: String,
    /// The contact's name, or the own one.
    pub from: String,
    /// Whether it is ours.
    pub outgoing: bool,
    /// Its place in its sender's sequence, from 1.
    pub seq: u64,
    /// What it says.
    pub text: String,
    /// When its sender made it, by the sender's clock.
    pub sent_at: String,
    /// When it was stored here.
    pub received_at: String,
    /// How far it has come.
    pub state: MessageState,
}

impl MessageObject {
    pub(in crate::rpc) fn of(message: &Message) -> Self {
        Self {
            kind: MessageTag::Tag,
            id: message.id,
            conversation: message.contact.clone(),
            address: message.identity.to_string(),
            from: message.from.clone(),
            outgoing: message.outgoing,
            seq: message.seq,
            text: message.text.clone(),
            sent_at: time(message.sent_at_ms),
            received_at: time(message.received_at_ms),
            state: message.state,
        }
    }
}

/// Messages are durable here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SentObject {
    /// Theirs, in the order of the texts.
    pub ids: Vec<MsgId>,
}

/// How far a message has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateObject {
    /// `"state"`.
    #[serde(rename = "type")]
    pub kind: StateTag,
    /// The message.
    pub id: MsgId,
    /// How far.
    pub state: MessageState,
}
