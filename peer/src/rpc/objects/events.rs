//! News.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contacts::RequestObject;
use super::messages::{MessageObject, TimerObject};
use super::{Presence, tags};
use crate::MsgId;
use crate::event::{Event, LoggedEvent};
use crate::message::{MessageState, Verification};
use crate::store::ChangeName;

tags!(
    StateTag = "state",
    GapTag = "gap",
    AcceptedTag = "accepted",
    LinkTag = "link",
    MissedTag = "missed",
    ChangedTag = "changed",
    ReadTag = "read",
    ContactTag = "contact_changed",
    RemovedTag = "removed",
    PresenceTag = "presence",
);

/// Events, and where the next ones begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventsObject {
    /// In their order.
    pub events: Vec<LoggedObject>,
    /// To be given as `after` next time.
    pub cursor: u64,
}

/// An event at its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedObject {
    /// Its place in the journal.
    pub cursor: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: EventObject,
}

/// Something that happened. A caller passes over types that it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[non_exhaustive]
#[allow(missing_docs, reason = "their types say it")]
pub enum EventObject {
    Message(Box<MessageObject>),
    State(StateEvent),
    Gap(GapEvent),
    Request(RequestObject),
    Accepted(AcceptedEvent),
    Link(LinkEvent),
    Missed(MissedEvent),
    Changed(ChangedEvent),
    Timer(TimerObject),
    Read(ReadEvent),
    Contact(ContactEvent),
    Removed(RemovedEvent),
    Presence(PresenceEvent),
}

/// Own messages have come further, or wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateEvent {
    /// `"state"`.
    #[serde(rename = "type")]
    pub kind: StateTag,
    /// What we call the contact.
    pub conversation: String,
    /// The contact's address.
    pub address: String,
    /// Which messages.
    pub ids: Vec<MsgId>,
    /// How far.
    pub state: MessageState,
    /// Why they wait.
    pub reason: Option<String>,
}

/// Messages of a contact are missing; what comes after them is shown already. They are asked for and take
/// their place when they come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GapEvent {
    /// `"gap"`.
    #[serde(rename = "type")]
    pub kind: GapTag,
    /// What we call the contact.
    pub conversation: String,
    /// The contact's address.
    pub address: String,
    /// First missing place in the contact's sequence.
    pub first: u64,
    /// Last missing place.
    pub last: u64,
}

/// Somebody became a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptedEvent {
    /// `"accepted"`.
    #[serde(rename = "type")]
    pub kind: AcceptedTag,
    /// Their address.
    pub address: String,
    /// What we call them.
    pub name: String,
}

/// A direct link opened or closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkEvent {
    /// `"link"`.
    #[serde(rename = "type")]
    pub kind: LinkTag,
    /// The contact's address.
    pub address: String,
    /// Whether it is open.
    pub up: bool,
    /// Whether it goes through TURN.
    pub relayed: bool,
    /// Why it closed.
    pub reason: Option<String>,
}

/// Events are gone, because nobody has read them for too long. The messages among them are in the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissedEvent {
    /// `"missed"`.
    #[serde(rename = "type")]
    pub kind: MissedTag,
    /// How many.
    pub count: u64,
}

/// Something was done with a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangedEvent {
    /// `"changed"`.
    #[serde(rename = "type")]
    pub kind: ChangedTag,
    /// What we call the contact.
    pub conversation: String,
    /// The contact's address.
    pub address: String,
    /// The message.
    pub id: MsgId,
    /// What was done.
    pub change: ChangeName,
    /// The message as it is now; null if it is not here any more.
    pub message: Option<Box<MessageObject>>,
}

/// Messages of a contact were shown here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadEvent {
    /// `"read"`.
    #[serde(rename = "type")]
    pub kind: ReadTag,
    /// What we call the contact.
    pub conversation: String,
    /// The contact's address.
    pub address: String,
    /// Up to this one, by its place in their sequence.
    pub up_to_seq: u64,
}

/// What is kept of a contact has changed; `contacts` tells what it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactEvent {
    /// `"contact_changed"`.
    #[serde(rename = "type")]
    pub kind: ContactTag,
    /// What we call them.
    pub name: String,
    /// Their address.
    pub address: String,
    /// Whether the safety number was compared with them, and still holds.
    pub verification: Verification,
}

/// Somebody is no contact any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemovedEvent {
    /// `"removed"`.
    #[serde(rename = "type")]
    pub kind: RemovedTag,
    /// What we called them.
    pub name: String,
    /// Their address.
    pub address: String,
}

/// A contact came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PresenceEvent {
    /// `"presence"`.
    #[serde(rename = "type")]
    pub kind: PresenceTag,
    /// The contact's address.
    pub address: String,
    /// Whether they are there.
    pub presence: Presence,
}

impl LoggedObject {
    pub(in crate::rpc) fn of(logged: &LoggedEvent) -> Self {
        Self {
            cursor: logged.cursor,
            event: EventObject::of(&logged.event),
        }
    }
}

impl EventObject {
    fn of(event: &Event) -> Self {
        match event {
            Event::Message(message) => Self::Message(Box::new(MessageObject::of(message))),
            Event::State {
                identity,
                name,
                ids,
                state,
                reason,
                ..
            } => Self::State(StateEvent {
                kind: StateTag::Tag,
                conversation: name.clone(),
                address: identity.to_string(),
                ids: ids.clone(),
                state: *state,
                reason: reason.clone(),
            }),
            Event::Gap {
                identity,
                name,
                first,
                last,
                ..
            } => Self::Gap(GapEvent {
                kind: GapTag::Tag,
                conversation: name.clone(),
                address: identity.to_string(),
                first: *first,
                last: *last,
            }),
            Event::Request {
                identity,
                name,
                text,
            } => Self::Request(RequestObject::new(identity, name, text, None)),
            Event::Accepted { identity, name } => Self::Accepted(AcceptedEvent {
                kind: AcceptedTag::Tag,
                address: identity.to_string(),
                name: name.clone(),
            }),
            Event::Link {
                identity,
                up,
                relayed,
                reason,
            } => Self::Link(LinkEvent {
                kind: LinkTag::Tag,
                address: identity.to_string(),
                up: *up,
                relayed: *relayed,
                reason: reason.clone(),
            }),
            Event::Changed {
                identity,
                name,
                id,
                change,
                message,
                ..
            } => Self::Changed(ChangedEvent {
                kind: ChangedTag::Tag,
                conversation: name.clone(),
                address: identity.to_string(),
                id: *id,
                change: *change,
                message: message
                    .as_ref()
                    .map(|message| Box::new(MessageObject::of(message))),
            }),
            Event::Timer(timer) => Self::Timer(TimerObject::of(timer)),
            Event::Read {
                identity,
                name,
                up_to_seq,
            } => Self::Read(ReadEvent {
                kind: ReadTag::Tag,
                conversation: name.clone(),
                address: identity.to_string(),
                up_to_seq: *up_to_seq,
            }),
            Event::Contact(contact) => Self::Contact(ContactEvent {
                kind: ContactTag::Tag,
                name: contact.name.clone(),
                address: contact.identity.to_string(),
                verification: contact.verification,
            }),
            Event::Removed { identity, name } => Self::Removed(RemovedEvent {
                kind: RemovedTag::Tag,
                name: name.clone(),
                address: identity.to_string(),
            }),
            Event::Missed { count } => Self::Missed(MissedEvent {
                kind: MissedTag::Tag,
                count: *count,
            }),
            Event::Presence { identity, online } => Self::Presence(PresenceEvent {
                kind: PresenceTag::Tag,
                address: identity.to_string(),
                presence: Presence::of(*online),
            }),
        }
    }
}

/// A named place in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CursorObject {
    /// Where it is; null if it was never set.
    pub cursor: Option<u64>,
    /// The last event there is.
    pub last: u64,
}
