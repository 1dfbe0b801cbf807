//! Contacts, and those who ask to become one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tincan_protocol::IdentityId;

use super::{tags, time};
use crate::MsgId;
use crate::message::{Contact, ContactStanding, RequestFrom, Verification};

tags!(
    ContactTag = "contact",
    RejectedTag = "rejected",
    RequestTag = "request",
    VerificationTag = "verification",
);

/// Somebody we know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactObject {
    /// `"contact"`.
    #[serde(rename = "type")]
    pub kind: ContactTag,
    /// What we call them.
    pub name: String,
    /// Who they are.
    pub address: String,
    /// Whether they are there.
    pub presence: Presence,
    /// Whether the safety number was compared with them, and holds.
    pub verified: bool,
    /// The same, and whether it does not hold any more.
    pub verification: Verification,
    /// How far the acquaintance has come.
    pub standing: Standing,
    /// Messages of theirs that were not shown yet.
    pub unread: u64,
    /// The first of them, by its place in their sequence.
    pub first_unread: Option<u64>,
    /// The same, by its id.
    pub first_unread_id: Option<MsgId>,
    /// When the last message was said, by its sender's clock; null if nothing was.
    pub last_at: Option<String>,
    /// What is written to them and not sent yet.
    pub draft: String,
    /// Whether nothing calls attention to their messages.
    pub muted: bool,
    /// Until when not; null if for ever, or not at all.
    pub muted_until: Option<String>,
    /// Messages of this conversation go so many seconds after they were shown; 0: they stay.
    pub expires_s: u32,
}

/// A contact's safety number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerificationObject {
    /// `"verification"`.
    #[serde(rename = "type")]
    pub kind: VerificationTag,
    /// What we call them.
    pub name: String,
    /// Who they are.
    pub address: String,
    /// 60 digits in groups of five, the same on both sides.
    pub safety_number: String,
    /// Whether it was compared with them.
    pub verification: Verification,
}

/// Whether somebody is logged in at their signaling server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "their names say it")]
pub enum Presence {
    Online,
    Offline,
}

/// How far an acquaintance has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// They ask, and are not answered yet.
    Asks,
    /// We have asked, and wait.
    Requested,
    /// Both want to talk.
    Accepted,
    /// We do not want to talk.
    Blocked,
}

impl ContactObject {
    pub(in crate::rpc) fn of(contact: &Contact, presence: Presence) -> Self {
        let now_ms = crate::clock::unix_ms();
        let muted_until = contact.muted_until_ms.filter(|&until| until > now_ms);
        Self {
            kind: ContactTag::Tag,
            name: contact.name.clone(),
            address: contact.identity.to_string(),
            presence,
            verified: contact.verification == Verification::Verified,
            verification: contact.verification,
            standing: Standing::of(Some(contact.standing)),
            unread: contact.unread,
            first_unread: contact.first_unread,
            first_unread_id: contact.first_unread_id,
            last_at: contact.last_at_ms.map(time),
            draft: contact.draft.clone(),
            muted: muted_until.is_some(),
            muted_until: muted_until.filter(|&until| until < u64::MAX).map(time),
            expires_s: contact.expires_s,
        }
    }
}

impl Presence {
    pub(in crate::rpc) const fn of(online: bool) -> Self {
        if online { Self::Online } else { Self::Offline }
    }
}

impl Standing {
    pub(super) const fn of(standing: Option<ContactStanding>) -> Self {
        match standing {
            Some(ContactStanding::Requested) => Self::Requested,
            Some(ContactStanding::Accepted) => Self::Accepted,
            Some(ContactStanding::Blocked) => Self::Blocked,
            None => Self::Asks,
        }
    }
}

/// Somebody who asks to become a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestObject {
    /// `"request"`.
    #[serde(rename = "type")]
    pub kind: RequestTag,
    /// Their address.
    pub id: String,
    /// What they call themselves.
    pub name: String,
    /// What they say.
    pub text: String,
    /// When it came; not in events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// How it is answered.
    pub help: String,
}

impl RequestObject {
    pub(in crate::rpc) fn of(request: &RequestFrom) -> Self {
        let received_at = Some(time(request.received_at_ms));
        Self::new(&request.identity, &request.name, &request.text, received_at)
    }

    pub(super) fn new(
        who: &IdentityId,
        name: &str,
        text: &str,
        received_at: Option<String>,
    ) -> Self {
        Self {
            kind: RequestTag::Tag,
            id: who.to_string(),
            name: name.to_owned(),
            text: text.to_owned(),
            received_at,
            // With the address: names of those who ask are not unique.
            help: format!("`peer accept {who}` makes them a contact, `peer reject {who}` drops it"),
        }
    }
}

/// A request was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectedObject {
    /// `"rejected"`.
    #[serde(rename = "type")]
    pub kind: RejectedTag,
    /// Whose.
    pub id: String,
}
