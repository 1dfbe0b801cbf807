//! Who this profile is, and links to it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::peer::Peer;
use crate::rpc::error::RpcError;
use crate::rpc::method::Method;
use crate::rpc::objects::{IdObject, InviteObject, time};

/// Invites live a week unless their maker says otherwise, milliseconds.
const INVITE_LIFETIME_MS: u64 = 7 * 24 * 3600 * 1000;

/// Address, name, device and servers of this profile.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Id {}

impl Method for Id {
    const NAME: &'static str = "id";
    type Answer = IdObject;

    async fn call(self, peer: &Peer) -> Result<IdObject, RpcError> {
        Ok(IdObject::of(peer.identity()))
    }
}

/// Makes a link with which somebody becomes a contact.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Invite {
    /// How many people may use it. One (the default): the first who uses it is accepted. More: each is a
    /// request.
    uses: Option<u32>,
    /// How long it can be used; a week, if this is not given.
    expires_ms: Option<u64>,
}

impl Method for Invite {
    const NAME: &'static str = "invite";
    type Answer = InviteObject;

    async fn call(self, peer: &Peer) -> Result<InviteObject, RpcError> {
        let uses = self.uses.unwrap_or(1);
        let lifetime = Duration::from_millis(self.expires_ms.unwrap_or(INVITE_LIFETIME_MS));
        let invite = peer.invite(uses, lifetime).await?;
        Ok(InviteObject {
            kind: Default::default(),
            link: invite.to_string(),
            uses,
            expires_at: time(invite.body().expires_ms),
        })
    }
}
