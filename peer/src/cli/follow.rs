//! Following messages until they have come far enough.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::args::Until;
use super::session::{ROOM_AGAIN, Session};
use super::values::{items, text};
use crate::rpc::RpcError;

/// The messages that have not come far enough yet.
pub(super) struct Following {
    cursor: u64,
    until: Until,
    /// Id -> state as last heard.
    states: HashMap<String, String>,
    open: usize,
    reason: Option<String>,
}

impl Following {
    /// Begins before the messages are sent, so that no news is missed.
    pub(super) async fn begin(session: &mut Session, until: Until) -> Result<Self, RpcError> {
        let place = session.call("cursor.get", json!({"name": "send"})).await?;
        let cursor = place["last"].as_u64().unwrap_or_default();
        Ok(Self {
            cursor,
            until,
            states: HashMap::new(),
            open: 0,
            reason: None,
        })
    }

    pub(super) fn add(&mut self, id: String) {
        if self.states.insert(id, "pending".to_owned()).is_none() {
            self.open += 1;
        }
    }

    pub(super) fn state(&self, id: &str) -> &str {
        self.states.get(id).map_or("pending", String::as_str)
    }

    /// Why the last one waits, if that was said.
    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    pub(super) const fn open(&self) -> usize {
        self.open
    }

    /// Waits until all have come far enough. False if the time is over.
    pub(super) async fn wait(
        &mut self,
        session: &mut Session,
        limit: Duration,
    ) -> Result<bool, RpcError> {
        let deadline = Instant::now() + limit;
        while self.open > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let timeout_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
            let params = json!({"after": self.cursor, "timeout_ms": timeout_ms});
            let next = match session.call("events.next", params).await {
                // What is followed is saved; how far it has come is told when there is room.
                Err(error) if error.is_disk_full() => {
                    tokio::time::sleep(left.min(ROOM_AGAIN)).await;
                    continue;
                }
                next => next?,
            };
            self.cursor = next["cursor"].as_u64().unwrap_or(self.cursor);
            for event in items(&next["events"]).filter(|event| event["type"] == "state") {
                self.handle(event)?;
            }
        }
        Ok(true)
    }

    fn handle(&mut self, event: &Value) -> Result<(), RpcError> {
        let state = text(&event["state"]);
        for id in items(&event["ids"]).filter_map(Value::as_str) {
            let Some(known) = self.states.get_mut(id) else {
                continue;
            };
            if state == "failed" {
                return Err(RpcError::failed(
                    "the message was not delivered in time",
                    "send it again",
                ));
            }
            if state == "pending" {
                self.reason = event["reason"].as_str().map(str::to_owned);
            }
            // "delivered" may be told before "sent".
            if rank(&state) > rank(known) {
                if rank(known) < until_rank(self.until) && rank(&state) >= until_rank(self.until) {
                    self.open -= 1;
                }
                known.clone_from(&state);
            }
        }
        Ok(())
    }
}

fn rank(state: &str) -> u8 {
    match state {
        "sent" => 1,
        "delivered" => 2,
        "read" => 3,
        _ => 0,
    }
}

const fn until_rank(until: Until) -> u8 {
    match until {
        Until::Sent => 1,
        Until::Delivered => 2,
        Until::Read => 3,
    }
}
