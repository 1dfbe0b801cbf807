//! Whether two are linked, as the process that runs a profile says.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tincan_peer::rpc::Client;

/// How often it is asked: a fraction of the time that a link takes.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Waits until there is a direct link, or none.
pub(crate) async fn wait_for_link(
    client: &mut Client,
    with: &str,
    up: bool,
    limit: Duration,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let status = client.call("status", json!({"outbox": false})).await?;
        let mut contacts = status["contacts"].as_array().into_iter().flatten();
        let contact = contacts.find(|contact| contact["name"] == with);
        if contact.is_some_and(|contact| (contact["link"] == "direct") == up) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the link to {with} is not {up}: {status}"
        );
        tokio::time::sleep(ASK_EVERY).await;
    }
}
