//! What callers see of contacts and messages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tincan_protocol::{ConversationId, IdentityId, MsgId};

/// What is kept of a text that is not sent yet, bytes. Chosen: four messages of the longest kind; it is written
/// again with every pause in typing, and read with every list of contacts.
pub const DRAFT_MAX: usize = 64 * 1024;

/// How somebody is asked to become a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ask {
    /// A few words for them, at most [`REQUEST_TEXT_MAX`](tincan_protocol::limits::REQUEST_TEXT_MAX) bytes.
    pub text: String,
    /// What they are to be called here; what they call themselves, if this is none.
    pub name: Option<String>,
    /// Also if they are a contact: they have removed us, and must be asked once more. What was said stays, and
    /// what they have not received is sent when they have accepted.
    pub again: bool,
}

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
    /// What it says, as it was edited last; empty if it was deleted.
    pub text: String,
    /// Whether it said something else before.
    pub edited: bool,
    /// Whether its author has taken it back.
    pub deleted: bool,
    /// Whether it was written elsewhere and passed on.
    pub forwarded: bool,
    /// The message that it answers.
    pub reply_to: Option<Quote>,
    /// What both sides have to say of it in one sign.
    pub reactions: Vec<SignFrom>,
    /// It goes so many seconds after it was shown; 0: it stays.
    pub expires_s: u32,
    /// Whether it is somebody else's and was not shown yet.
    pub unread: bool,
    /// When its sender made it, by the sender's clock, Unix milliseconds.
    pub sent_at_ms: u64,
    /// When it was stored here, Unix milliseconds.
    pub received_at_ms: u64,
    /// How far it has come.
    pub state: MessageState,
}

/// What an answer shows of the message that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quote {
    /// The message.
    pub id: MsgId,
    /// Who has written it; `None` if it is not here.
    pub from: Option<String>,
    /// Whether it is ours.
    pub outgoing: bool,
    /// Its beginning; `None` if it is not here, or was deleted.
    pub text: Option<String>,
}

/// A reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignFrom {
    /// The contact's name, or the own one.
    pub from: String,
    /// Whether it is ours.
    pub outgoing: bool,
    /// The sign.
    pub emoji: String,
}

/// Which part of a conversation is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryPart {
    /// Its end.
    Newest,
    /// Its beginning.
    Oldest,
    /// What stands before this message.
    Before(MsgId),
    /// What stands after this message.
    After(MsgId),
    /// This message, and as much before as after it.
    Around(MsgId),
}

/// Something that has a place in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryItem {
    /// A message.
    Message(Message),
    /// From here on messages disappear, or stay.
    Timer(TimerChange),
}

/// Somebody has said how long messages stay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimerChange {
    /// Its id.
    pub id: MsgId,
    /// The contact whose conversation that is.
    pub identity: IdentityId,
    /// What we call them.
    pub contact: String,
    /// The contact's name, or the own one.
    pub from: String,
    /// Whether it was us.
    pub outgoing: bool,
    /// How many seconds after they were shown; 0: they stay.
    pub expires_s: u32,
    /// When it was said, Unix milliseconds.
    pub sent_at_ms: u64,
}

/// A message that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Of the caller's making, a UUIDv7: what has it already is not sent again.
    pub id: MsgId,
    /// What it says.
    pub text: String,
    /// The message of the same conversation that it answers.
    pub reply_to: Option<MsgId>,
    /// It was written elsewhere, and is passed on.
    pub forwarded: bool,
}

impl Draft {
    /// A text and nothing else, with an id of its own.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            id: MsgId::now_v7(),
            text: text.into(),
            reply_to: None,
            forwarded: false,
        }
    }
}

/// What is done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It says something else; own ones only.
    Edit(String),
    /// It is taken back, on both sides; own ones only.
    Delete,
    /// It goes here, and stays on the other side.
    Forget,
    /// A sign for it, which replaces an earlier one; empty takes that back.
    React(String),
}

/// What was shown to the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All messages of the contact up to this place in their sequence.
    UpTo(u64),
    /// These, and no other ones.
    These(Vec<MsgId>),
}

/// What is decided about a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContactChange {
    /// They are called this from now on.
    Rename(String),
    /// Nothing of theirs arrives any more, and nothing goes out to them.
    Block,
    /// They are a contact again.
    Unblock,
    /// They are no contact any more, and everything that was said is gone here.
    Remove,
    /// Whether the safety number was compared with them.
    Verify(bool),
    /// Nothing calls attention to their messages until then.
    Mute {
        /// Unix milliseconds; `u64::MAX` for ever, `None` for an end of it.
        until_ms: Option<u64>,
    },
    /// This is written to them and not sent yet; empty: nothing is.
    Draft(String),
    /// Messages of this conversation go on both sides after they were shown.
    Timer {
        /// After so many seconds; 0: they stay.
        expires_s: u32,
    },
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
    /// Whether they are who they say.
    pub verification: Verification,
    /// Messages of theirs that were not shown yet.
    pub unread: u64,
    /// The first of them, by its place in their sequence.
    pub first_unread: Option<u64>,
    /// The same, by its id.
    pub first_unread_id: Option<MsgId>,
    /// When the last message was said, by its sender's clock, Unix milliseconds.
    pub last_at_ms: Option<u64>,
    /// What is written to them and not sent yet.
    pub draft: String,
    /// Nothing calls attention to their messages until then, Unix milliseconds; `u64::MAX`: for ever.
    pub muted_until_ms: Option<u64>,
    /// Messages of this conversation go so many seconds after they were shown; 0: they stay.
    pub expires_s: u32,
}

/// Whether a contact is who they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verification {
    /// Nobody has compared the safety number.
    Unverified,
    /// Somebody has.
    Verified,
    /// Somebody has, and the contact uses another device since: nothing is sent until it is confirmed.
    Changed,
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
