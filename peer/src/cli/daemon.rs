//! `peer daemon`: the profile stays online until somebody ends it.

use serde_json::json;

use super::args::Global;
use super::output::Output;
use super::session::{FIRST_LOOK, Network, Session, Stay};
use crate::rpc::{LOOK_AGAIN, RpcError};

pub(super) async fn run(global: &Global, output: &Output) -> Result<(), RpcError> {
    let mut session = Session::open(global, Network::Online, Stay::UntilEnded).await?;
    let ended = super::end_signal();
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
    let result = stay(&mut session, ended, output).await;
    let closed = session.close().await;
    result.and(closed)
}

/// Until somebody ends it.
async fn stay(
    session: &mut Session,
    ended: impl Future<Output = ()>,
    output: &Output,
) -> Result<(), RpcError> {
    tokio::pin!(ended);
    if output.is_watched() {
        tokio::select! {
            () = &mut ended => return Ok(()),
            () = tokio::time::sleep(FIRST_LOOK) => session.note_if_cut_off(output).await?,
        }
    }
    ended.await;
    Ok(())
}
