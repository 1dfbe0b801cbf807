//! Messages and how far they have come.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{tags, time};
use crate::MsgId;
use crate::message::{HistoryItem, Message, MessageState, Quote, SignFrom, TimerChange};

tags!(
    MessageTag = "message",
    StateTag = "state",
    TimerTag = "timer",
);

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
    /// What it says, as it was edited last; empty if it was deleted.
    pub text: String,
    /// Whether it said something else before.
    pub edited: bool,
    /// Whether its author has taken it back.
    pub deleted: bool,
    /// Whether it was written elsewhere and passed on.
    pub forwarded: bool,
    /// The message that it answers.
    pub reply_to: Option<QuoteObject>,
    /// What both sides have to say of it in one sign.
    pub reactions: Vec<ReactionObject>,
    /// It goes so many seconds after it was shown; 0: it stays.
    pub expires_s: u32,
    /// Whether it is somebody else's and was not shown yet.
    pub unread: bool,
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
            edited: message.edited,
            deleted: message.deleted,
            forwarded: message.forwarded,
            reply_to: message.reply_to.as_ref().map(QuoteObject::of),
            reactions: message.reactions.iter().map(ReactionObject::of).collect(),
            expires_s: message.expires_s,
            unread: message.unread,
            sent_at: time(message.sent_at_ms),
            received_at: time(message.received_at_ms),
            state: message.state,
        }
    }
}

/// What an answer shows of the message that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteObject {
    /// The message.
    pub id: MsgId,
    /// Who has written it; null if it is not here.
    pub from: Option<String>,
    /// Whether it is ours.
    pub outgoing: bool,
    /// Its beginning; null if it is not here, or was deleted.
    pub text: Option<String>,
}

/// What somebody has to say of a message in one sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReactionObject {
    /// The contact's name, or the own one.
    pub from: String,
    /// Whether it is ours.
    pub outgoing: bool,
    /// The sign.
    pub emoji: String,
}

/// Something that has a place in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[non_exhaustive]
#[allow(missing_docs, reason = "their types say it")]
pub enum HistoryObject {
    Message(Box<MessageObject>),
    Timer(TimerObject),
}

/// Somebody has said how long messages stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimerObject {
    /// `"timer"`.
    #[serde(rename = "type")]
    pub kind: TimerTag,
    /// Its id.
    pub id: MsgId,
    /// What we call the contact whose conversation it is in.
    pub conversation: String,
    /// That contact's address.
    pub address: String,
    /// The contact's name, or the own one.
    pub from: String,
    /// Whether it was us.
    pub outgoing: bool,
    /// How many seconds after they were shown; 0: they stay.
    pub expires_s: u32,
    /// When it was said.
    pub sent_at: String,
}

impl QuoteObject {
    fn of(quote: &Quote) -> Self {
        Self {
            id: quote.id,
            from: quote.from.clone(),
            outgoing: quote.outgoing,
            text: quote.text.clone(),
        }
    }
}

impl ReactionObject {
    fn of(sign: &SignFrom) -> Self {
        Self {
            from: sign.from.clone(),
            outgoing: sign.outgoing,
            emoji: sign.emoji.clone(),
        }
    }
}

impl HistoryObject {
    pub(in crate::rpc) fn of(item: &HistoryItem) -> Self {
        match item {
            HistoryItem::Message(message) => Self::Message(Box::new(MessageObject::of(message))),
            HistoryItem::Timer(timer) => Self::Timer(TimerObject::of(timer)),
        }
    }
}

impl TimerObject {
    pub(super) fn of(timer: &TimerChange) -> Self {
        Self {
            kind: TimerTag::Tag,
            id: timer.id,
            conversation: timer.contact.clone(),
            address: timer.identity.to_string(),
            from: timer.from.clone(),
            outgoing: timer.outgoing,
            expires_s: timer.expires_s,
            sent_at: time(timer.sent_at_ms),
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
