//! `peer daemon`: the profile stays online until somebody ends it.

use serde_json::json;

use super::args::Global;
use super::output::Output;
use super::session::{Network, Session, Stay};
use crate::rpc::{LOOK_AGAIN, RpcError};

pub(super) async fn run(global: &Global, output: &Output) -> Result<(), RpcError> {
    let mut session = Session::open(global, Network::Online, Stay::UntilEnded).await?;
    while !session.is_here() {
        let process = session.call("status", json!({"outbox": false})).await?["process"].take();
        if process["stays"] == true {
            return Err(RpcError::failed(
                format!(
                    "this profile is in use by another process ({})",
                    process["id"]
                ),
                "it is online already; end that process if this one shall run it",
            ));
        }
        // It is there for one command, and goes.
        tokio::time::sleep(LOOK_AGAIN).await;
        session.open_again().await?;
    }
    let id = session.call("id", json!({})).await?;
    let ready = json!({"type": "ready", "address": id["address"]});
    output.print(&ready, || {
        format!("online as {}", id["name"].as_str().unwrap_or_default())
    });
    output.flush()?;
    super::end_signal().await;
    session.close().await
}
