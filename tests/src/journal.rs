//! What a daemon tells, event after event.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tincan_peer::rpc::Client;
use tokio::time::Instant;

use crate::peer::Daemon;

/// A reader of a daemon's journal with a connection of its own.
#[derive(Debug)]
pub struct Journal {
    client: Client,
    cursor: u64,
}

impl Journal {
    /// Reads what happens from now on.
    ///
    /// # Errors
    /// If the daemon is gone.
    pub async fn from_now(daemon: &Daemon) -> Result<Self> {
        let mut client = daemon.another_client().await?;
        let place = client.call("cursor.get", json!({"name": "e2e"})).await?;
        let cursor = place["last"].as_u64().context("no cursor")?;
        Ok(Self { client, cursor })
    }

    /// Reads everything.
    ///
    /// # Errors
    /// If the daemon is gone.
    pub async fn from_start(daemon: &Daemon) -> Result<Self> {
        Self::after(daemon, 0).await
    }

    /// Reads on where another reader has stopped.
    ///
    /// # Errors
    /// If the daemon is gone.
    pub async fn after(daemon: &Daemon, cursor: u64) -> Result<Self> {
        let client = daemon.another_client().await?;
        Ok(Self { client, cursor })
    }

    /// Place of the last event that was read.
    #[must_use]
    pub const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Shows every event to `done` until that says true.
    ///
    /// # Errors
    /// If it does not in time; or the method's error.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&Value) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("not in time: {what}");
            }
            let timeout_ms = u64::try_from(left.as_millis())?.max(1);
            let params = json!({"after": self.cursor, "timeout_ms": timeout_ms});
            let next = self.client.call("events.next", params).await?;
            self.cursor = next["cursor"].as_u64().context("no cursor")?;
            let mut over = false;
            for event in next["events"].as_array().into_iter().flatten() {
                over |= done(event);
            }
            if over {
                return Ok(());
            }
        }
    }

    /// The next texts that others sent, as many as asked for (or more, if they came together).
    ///
    /// # Errors
    /// If there are fewer in time.
    pub async fn texts(&mut self, count: usize, limit: Duration) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        if count == 0 {
            return Ok(texts);
        }
        let read = self.until("messages", limit, |event| {
            if event["type"] == "message" && event["outgoing"] == false {
                texts.extend(event["text"].as_str().map(str::to_owned));
            }
            texts.len() >= count
        });
        let read = read.await;
        read.with_context(|| format!("{} of {count} messages", texts.len()))?;
        Ok(texts)
    }
}
