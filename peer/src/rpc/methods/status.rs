//! How things are.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::peer::Peer;
use crate::rpc::error::RpcError;
use crate::rpc::method::Method;
use crate::rpc::objects::{ProcessObject, StatusObject};

/// Links, servers, and what waits for what.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Status {
    /// Without it, what is on its way is not counted, which takes the longer the more there is.
    #[serde(default = "yes")]
    outbox: bool,
}

const fn yes() -> bool {
    true
}

impl Method for Status {
    const NAME: &'static str = "status";
    type Answer = StatusObject;

    async fn call(self, peer: &Peer) -> Result<StatusObject, RpcError> {
        let report = peer.status().await?;
        let outbox = if self.outbox {
            Some(peer.outbox().await?.into_iter().collect())
        } else {
            None
        };
        let process = ProcessObject {
            id: std::process::id(),
            stays: peer.stays(),
        };
        Ok(StatusObject::of(&report, outbox.as_ref(), process))
    }
}
