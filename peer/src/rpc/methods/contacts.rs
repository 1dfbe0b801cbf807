//! Contacts, and those who ask to become one.

use schemars::JsonSchema;
use serde::Deserialize;
use tincan_protocol::IdentityId;

use crate::peer::Peer;
use crate::rpc::error::RpcError;
use crate::rpc::method::Method;
use crate::rpc::objects::{ContactObject, Presence, RejectedObject, RequestObject};
use crate::{AcceptError, AddError, ReadError};

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
}

impl Method for Add {
    const NAME: &'static str = "add";
    const ONCE: bool = true;
    type Answer = ContactObject;

    async fn call(self, peer: &Peer) -> Result<ContactObject, RpcError> {
        let invite: crate::Invite = self.link.parse().map_err(AddError::Invite)?;
        let text = self.message.unwrap_or_default();
        let identity = peer.add_with(invite, &text, self.name.as_deref()).await?;
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
