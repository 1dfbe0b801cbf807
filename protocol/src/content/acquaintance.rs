//! How people become contacts, and how they are reached.

use super::{ContentError, limited};
use crate::ids::{QueueId, SignalAddress, WriteToken};
use crate::limits::{NAME_MAX, REQUEST_TEXT_MAX, SIGNAL_SERVERS_MAX};
use crate::origin::ServerUrl;
use crate::wire;

/// How a device is reached in one conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The relay with its mailbox.
    pub relay: ServerUrl,
    /// The mailbox.
    pub queue: QueueId,
    /// The right to deposit there.
    pub write_token: WriteToken,
    /// Where it listens for signals, at most [`SIGNAL_SERVERS_MAX`].
    pub signal_servers: Vec<ServerUrl>,
    /// Under which address.
    pub signal_address: SignalAddress,
    /// Where a key package of the device is to be had, if that is offered.
    pub key_packages: Option<KeyPackagesAt>,
}

/// Key packages at the relay of a [`Reach`]. With one of them, who has lost a conversation's keys begins it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPackagesAt {
    /// Whose they are: a key that the relay knows them by.
    pub owner: QueueId,
    /// The right to take one.
    pub token: WriteToken,
}

/// "I would like to talk to you." Comes in a [`Request`](crate::envelope::Request).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactRequest {
    /// What the sender calls themselves.
    pub name: String,
    /// At most [`REQUEST_TEXT_MAX`] bytes.
    pub text: String,
    /// Where the answer goes.
    pub reach: Reach,
}

/// "Let us talk."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactAccept {
    /// What the sender calls themselves.
    pub name: String,
    /// How they are reached.
    pub reach: Reach,
}

impl ContactRequest {
    pub(super) fn to_wire(&self) -> wire::ContactRequest {
        wire::ContactRequest {
            name: self.name.clone(),
            text: self.text.clone(),
            reach: Some(self.reach.to_wire()),
        }
    }

    pub(super) fn from_wire(request: wire::ContactRequest) -> Result<Self, ContentError> {
        Ok(Self {
            name: limited("name", request.name, NAME_MAX)?,
            text: limited("contact request", request.text, REQUEST_TEXT_MAX)?,
            reach: reach_field(request.reach)?,
        })
    }
}

impl ContactAccept {
    pub(super) fn to_wire(&self) -> wire::ContactAccept {
        wire::ContactAccept {
            name: self.name.clone(),
            reach: Some(self.reach.to_wire()),
        }
    }

    pub(super) fn from_wire(accept: wire::ContactAccept) -> Result<Self, ContentError> {
        Ok(Self {
            name: limited("name", accept.name, NAME_MAX)?,
            reach: reach_field(accept.reach)?,
        })
    }
}

impl Reach {
    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> wire::Reach {
        wire::Reach {
            relay: self.relay.to_string(),
            queue: self.queue.to_vec(),
            write_token: self.write_token.to_vec(),
            signal_servers: self
                .signal_servers
                .iter()
                .map(ToString::to_string)
                .collect(),
            signal_address: self.signal_address.to_vec(),
            key_package_owner: self
                .key_packages
                .map_or_else(Vec::new, |at| at.owner.to_vec()),
            key_package_token: self
                .key_packages
                .map_or_else(Vec::new, |at| at.token.to_vec()),
        }
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// [`ContentError`] for wrong URLs and lengths. Servers beyond [`SIGNAL_SERVERS_MAX`] are left
    /// out.
    pub fn from_wire(reach: wire::Reach) -> Result<Self, ContentError> {
        Ok(Self {
            relay: ServerUrl::parse(&reach.relay)?,
            queue: QueueId::try_from(reach.queue.as_slice())?,
            write_token: WriteToken::try_from(reach.write_token.as_slice())?,
            signal_servers: reach
                .signal_servers
                .iter()
                .take(SIGNAL_SERVERS_MAX)
                .map(|url| ServerUrl::parse(url))
                .collect::<Result<_, _>>()?,
            signal_address: SignalAddress::try_from(reach.signal_address.as_slice())?,
            key_packages: key_packages(&reach.key_package_owner, &reach.key_package_token)?,
        })
    }
}

fn key_packages(owner: &[u8], token: &[u8]) -> Result<Option<KeyPackagesAt>, ContentError> {
    if owner.is_empty() && token.is_empty() {
        return Ok(None);
    }
    let (owner, token) = (QueueId::try_from(owner)?, WriteToken::try_from(token)?);
    Ok(Some(KeyPackagesAt { owner, token }))
}

fn reach_field(reach: Option<wire::Reach>) -> Result<Reach, ContentError> {
    Reach::from_wire(reach.ok_or(ContentError::Missing { field: "reach" })?)
}
