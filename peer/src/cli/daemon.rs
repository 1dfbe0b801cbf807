//! `peer daemon`: the profile stays online until somebody ends it.

use serde_json::json;

use super::args::Global;
use super::output::Output;
use super::session::{Network, Session};
use crate::rpc::RpcError;

pub(super) async fn run(global: &Global, output: &Output) -> Result<(), RpcError> {
    let mut session = Session::open(global, Network::Online).await?;
    if !session.is_here() {
        return Err(RpcError::failed(
            "this profile is in use by another process",
            "it is online already",
        ));
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
