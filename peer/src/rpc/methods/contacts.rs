//! Contacts, and those who ask to become one.

use schemars::JsonSchema;
use serde::Deserialize;
use tincan_protocol::IdentityId;
use tincan_protocol::limits::EXPIRES_MAX_S;

use crate::peer::Peer;
use crate::rpc::error::RpcError;
use crate::rpc::method::Method;
use crate::rpc::objects::{
    ContactObject, Done, Presence, RejectedObject, RequestObject, VerificationObject,
};
use crate::{AcceptError, AddError, Ask, ContactChange, ReadError, SafetyNumber};

/// Asks the owner of an invite link to become a contact. Messages to them can be sent at once; they go out
/// when the request is accepted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    /// The link, from "tincan:" to its end.
    link: String,
    /// What they are to be called here; what they call themselves, if this is not given.
    name: Option<String>,
    /// A few words for them, at most 1 KiB.
    message: Option<String>,
    /// Also if they are a contact already, because they have removed us. What was said stays.
    #[serde(default)]
    again: bool,
}

impl Method for Add {
    const NAME: &'static str = "add";
    const ONCE: bool = true;
    type Answer = ContactObject;

    async fn call(self, peer: &Peer) -> Result<ContactObject, RpcError> {
        let invite: crate::Invite = self.link.parse().map_err(AddError::Invite)?;
        let ask = Ask {
            text: self.message.unwrap_or_default(),
            name: self.name,
            again: self.again,
        };
        let identity = peer.add_with(invite, ask).await?;
        one_contact(peer, &identity).await
    }
}

/// Who asks to become a contact.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Requests {}

impl Method for Requests {
    const NAME: &'static str = "requests";
    type Answer = Vec<RequestObject>;

    async fn call(self, peer: &Peer) -> Result<Self::Answer, RpcError> {
        Ok(peer.requests()?.iter().map(RequestObject::of).collect())
    }
}

/// Makes somebody who asks a contact.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Accept {
    /// Their address, or their name if only one of that name asks.
    id: String,
}

impl Method for Accept {
    const NAME: &'static str = "accept";
    const ONCE: bool = true;
    type Answer = ContactObject;

    async fn call(self, peer: &Peer) -> Result<ContactObject, RpcError> {
        let who = asking(peer, &self.id)?;
        peer.accept(who).await?;
        one_contact(peer, &who).await
    }
}

/// Drops a request. Who sent it is not told.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reject {
    /// Their address, or their name if only one of that name asks.
    id: String,
}

impl Method for Reject {
    const NAME: &'static str = "reject";
    const ONCE: bool = true;
    type Answer = RejectedObject;

    async fn call(self, peer: &Peer) -> Result<RejectedObject, RpcError> {
        let who = asking(peer, &self.id)?;
        peer.reject(who).await?;
        Ok(RejectedObject {
            kind: Default::default(),
            id: who.to_string(),
        })
    }
}

/// Everybody who is a contact, or was asked to become one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Contacts {}

impl Method for Contacts {
    const NAME: &'static str = "contacts";
    type Answer = Vec<ContactObject>;

    async fn call(self, peer: &Peer) -> Result<Self::Answer, RpcError> {
        contacts(peer).await
    }
}

/// Gives a contact another name, for here alone.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    /// Name or address of the contact.
    name: String,
    /// What they are called from now on.
    to: String,
}

impl Method for Rename {
    const NAME: &'static str = "rename";
    const ONCE: bool = true;
    type Answer = ContactObject;

    async fn call(self, peer: &Peer) -> Result<ContactObject, RpcError> {
        changed(peer, &self.name, ContactChange::Rename(self.to)).await
    }
}

/// Lets nothing of somebody arrive any more, and nothing go out to them. They are not told, but can find out.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Block {
    /// Name or address of a contact, or of somebody who asks.
    name: String,
}

impl Method for Block {
    const NAME: &'static str = "block";
    type Answer = ContactObject;

    async fn call(self, peer: &Peer) -> Result<ContactObject, RpcError> {
        let who = match peer.find(&self.name) {
            Err(ReadError::UnknownContact) => {
                asking(peer, &self.name).map_err(|_| ReadError::UnknownContact)?
            }
            found => found?,
        };
        peer.change_contact(&who, ContactChange::Block).await?;
        one_contact(peer, &who).await
    }
}

/// Makes somebody who was blocked a contact again. Who had only asked is forgotten, and can ask again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unblock {
    /// Name or address.
    name: String,
}

impl Method for Unblock {
    const NAME: &'static str = "unblock";
    type Answer = Done;

    async fn call(self, peer: &Peer) -> Result<Done, RpcError> {
        let who = peer.find(&self.name)?;
        peer.change_contact(&who, ContactChange::Unblock).await?;
        Ok(Done::default())
    }
}

/// Forgets a contact, and everything that was said. They are not told.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Remove {
    /// Name or address of the contact.
    name: String,
}

impl Method for Remove {
    const NAME: &'static str = "remove";
    const ONCE: bool = true;
    type Answer = Done;

    async fn call(self, peer: &Peer) -> Result<Done, RpcError> {
        let who = peer.find(&self.name)?;
        peer.change_contact(&who, ContactChange::Remove).await?;
        Ok(Done::default())
    }
}

/// Lets nothing call attention to a contact's messages.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Mute {
    /// Name or address of the contact.
    name: String,
    /// For how long; for ever, if this is not given.
    for_ms: Option<u64>,
}

impl Method for Mute {
    const NAME: &'static str = "mute";
    type Answer = ContactObject;

    async fn call(self, peer: &Peer) -> Result<ContactObject, RpcError> {
        let until = |for_ms: u64| crate::clock::unix_ms().saturating_add(for_ms);
        let until_ms = Some(self.for_ms.map_or(u64::MAX, until));
        changed(peer, &self.name, ContactChange::Mute { until_ms }).await
    }
}

/// Ends that nothing calls attention to a contact's messages.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unmute {
    /// Name or address of the contact.
    name: String,
}

impl Method for Unmute {
    const NAME: &'static str = "unmute";
    type Answer = ContactObject;

    async fn call(self, peer: &Peer) -> Result<ContactObject, RpcError> {
        changed(peer, &self.name, ContactChange::Mute { until_ms: None }).await
    }
}

/// Keeps what is written to a contact and not sent yet, for whoever goes on with it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    /// Name or address of the contact.
    name: String,
    /// At most 64 KiB; empty: nothing is.
    text: String,
}

impl Method for Draft {
    const NAME: &'static str = "draft";
    type Answer = ContactObject;

    async fn call(self, peer: &Peer) -> Result<ContactObject, RpcError> {
        changed(peer, &self.name, ContactChange::Draft(self.text)).await
    }
}

/// Says how long messages of a conversation stay, on both sides.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Disappear {
    /// Name or address of the contact.
    name: String,
    /// How many seconds after they were shown, at most 31,536,000; 0: they stay.
    after_s: u32,
}

impl Method for Disappear {
    const NAME: &'static str = "disappear";
    type Answer = ContactObject;

    async fn call(self, peer: &Peer) -> Result<ContactObject, RpcError> {
        if self.after_s > EXPIRES_MAX_S {
            return Err(RpcError::usage(
                format!("{} s are too long", self.after_s),
                "give at most 365 days",
            ));
        }
        let change = ContactChange::Timer {
            expires_s: self.after_s,
        };
        changed(peer, &self.name, change).await
    }
}

/// The safety number of a contact, and whether it was compared with them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    /// Name or address of the contact.
    name: String,
    /// What the contact sees or has written: if it is the same number, they are verified from now on; if not,
    /// that is the error.
    number: Option<String>,
    /// True: the numbers were compared, and are the same. False: they are not verified any more.
    confirmed: Option<bool>,
}

impl Method for Verify {
    const NAME: &'static str = "verify";
    type Answer = VerificationObject;

    async fn call(self, peer: &Peer) -> Result<VerificationObject, RpcError> {
        let who = peer.find(&self.name)?;
        let number = peer.safety_number(&who);
        if let Some(theirs) = &self.number {
            let theirs: SafetyNumber = theirs.parse().map_err(|error| {
                RpcError::usage(error, "give all of them, as the contact sees them")
            })?;
            if theirs != number {
                return Err(RpcError::refused(
                    "the numbers are not the same: this is not the contact that you compared with",
                    "make sure that both of you look at each other's number; if they differ, somebody else may be in between: do not trust this contact",
                ));
            }
        }
        let confirmed = self.confirmed.or(self.number.map(|_| true));
        if let Some(is_verified) = confirmed {
            let change = ContactChange::Verify(is_verified);
            peer.change_contact(&who, change).await?;
        }
        let contact = one_contact(peer, &who).await?;
        Ok(VerificationObject {
            kind: Default::default(),
            name: contact.name,
            address: contact.address,
            safety_number: number.to_string(),
            verification: contact.verification,
        })
    }
}

async fn changed(
    peer: &Peer,
    name: &str,
    change: ContactChange,
) -> Result<ContactObject, RpcError> {
    let who = peer.find(name)?;
    peer.change_contact(&who, change).await?;
    one_contact(peer, &who).await
}

/// Somebody who has asked, by name or address.
fn asking(peer: &Peer, who: &str) -> Result<IdentityId, RpcError> {
    let requests = peer.requests()?;
    let found = match who.parse::<IdentityId>() {
        Ok(address) => requests.iter().find(|request| request.identity == address),
        Err(_) => {
            let mut named = requests
                .iter()
                .filter(|request| crate::names::same(&request.name, who));
            let first = named.next();
            if named.next().is_some() {
                let message = format!("more than one of that name has asked: {who}");
                return Err(RpcError::usage(
                    message,
                    "give the address that `peer requests` shows",
                ));
            }
            first
        }
    };
    found
        .map(|request| request.identity)
        .ok_or_else(|| AcceptError::NoRequest.into())
}

async fn contacts(peer: &Peer) -> Result<Vec<ContactObject>, RpcError> {
    let status = peer.status().await?;
    let is_online = |identity| {
        let mut known = status.contacts.iter();
        known.any(|contact| contact.identity == identity && contact.online)
    };
    let contacts = peer.contacts()?;
    let objects = contacts.iter().map(|contact| {
        let presence = Presence::of(is_online(contact.identity));
        ContactObject::of(contact, presence)
    });
    Ok(objects.collect())
}

async fn one_contact(peer: &Peer, who: &IdentityId) -> Result<ContactObject, RpcError> {
    let address = who.to_string();
    let found = contacts(peer).await?;
    let mut found = found.into_iter();
    found
        .find(|contact| contact.address == address)
        .ok_or_else(|| ReadError::UnknownContact.into())
}
