//! What a daemon tells, with the time at which it was told.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{Daemon, Journal};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3600);

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) event: Value,
}

/// All events since the profile was made; more come by themselves.
#[derive(Debug)]
pub(crate) struct Timeline {
    seen: watch::Receiver<Vec<Seen>>,
    reader: JoinHandle<()>,
}

impl Timeline {
    pub(crate) async fn of(daemon: &Daemon) -> Result<Self> {
        let mut journal = Journal::from_start(daemon).await?;
        let (sender, seen) = watch::channel(Vec::new());
        let reader = tokio::spawn(async move {
            let read = journal.until("the end", FOREVER, |event| {
                let (at, event) = (Instant::now(), event.clone());
                sender.send_modify(|seen| seen.push(Seen { at, event }));
                false
            });
            // The daemon has ended, or the test.
            let _ = read.await;
        });
        Ok(Self { seen, reader })
    }

    /// What there is so far.
    pub(crate) fn so_far(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits until all events together make this.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut find: impl FnMut(&[Seen]) -> Option<T>,
    ) -> Result<T> {
        let mut seen = self.seen.clone();
        let waited = async {
            loop {
                if let Some(found) = find(&seen.borrow_and_update()) {
                    return anyhow::Ok(found);
                }
                seen.changed().await.context("the daemon has ended")?;
            }
        };
        let waited = timeout(limit, waited).await;
        waited.with_context(|| format!("not in time: {what}"))?
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Seen {
    /// The text of a message of the other side.
    pub(crate) fn text(&self) -> Option<&str> {
        let event = &self.event;
        let received = event["type"] == "message" && event["outgoing"] == false;
        received.then(|| event["text"].as_str()).flatten()
    }

    /// Whether a link was opened, and whether that goes through TURN.
    pub(crate) fn link_up(&self) -> Option<bool> {
        let up = self.event["type"] == "link" && self.event["up"] == true;
        up.then(|| self.event["relayed"] == true)
    }

    /// Whether a link was closed.
    pub(crate) fn is_link_down(&self) -> bool {
        self.event["type"] == "link" && self.event["up"] == false
    }
}
