//! News, and how far readers have come in them.

use std::time::Duration;

use futures_util::FutureExt as _;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Event;
use crate::peer::Peer;
use crate::peer::reader::Reader;
use crate::rpc::error::RpcError;
use crate::rpc::method::Method;
use crate::rpc::objects::{CursorObject, Done, EventsObject, LoggedObject};

/// Events of one `events.next`.
const EVENTS_MAX: usize = 4096;

/// Text of the messages in one `events.next`, bytes: what comes beyond it is for the next one. Chosen: far within a
/// line, and little beside what the caller has anyway.
const TEXT_MAX: usize = 1024 * 1024;

/// Commits read at once.
const EVENT_ROWS: usize = 4;

/// Longest `events.next`, milliseconds: a caller that wants more asks again.
const WAIT_MAX_MS: u64 = 600_000;

/// Waits for the first event after the cursor, and takes along what is there already. If there is none
/// and the disk is full, that is the error.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Next {
    /// The last event that the caller has; 0 for the oldest that the journal still has.
    after: u64,
    /// How long to wait for one, at most 600,000.
    #[serde(default)]
    timeout_ms: u64,
    /// At most so many, up to 4,096.
    max: Option<usize>,
}

impl Method for Next {
    const NAME: &'static str = "events.next";
    const WAITS: bool = true;
    type Answer = EventsObject;

    async fn call(self, peer: &Peer) -> Result<EventsObject, RpcError> {
        let max = self.max.unwrap_or(EVENTS_MAX).clamp(1, EVENTS_MAX);
        let wait = Duration::from_millis(self.timeout_ms.min(WAIT_MAX_MS));
        let mut reader = Reader::new(peer, self.after);
        let (mut events, mut cursor, mut bytes) = (Vec::new(), self.after, 0);
        let mut next = tokio::select! {
            biased;
            next = tokio::time::timeout(wait, reader.next(EVENT_ROWS)) => next.unwrap_or(Ok(None))?,
            // What is to be told next may be what cannot be saved.
            () = peer.disk_filled() => {
                return Err(RpcError::disk_full("what comes cannot be saved", peer.home().path()));
            }
        };
        while let Some(items) = next {
            for item in items {
                let event = item?;
                if events.len() == max || bytes > TEXT_MAX {
                    return Ok(EventsObject { events, cursor });
                }
                cursor = event.cursor;
                bytes += text_len(&event.event);
                events.push(LoggedObject::of(&event));
            }
            // What is durable already is read without a wait.
            next = reader.next(EVENT_ROWS).now_or_never().unwrap_or(Ok(None))?;
        }
        if events.is_empty() {
            // What was looked at and is nobody's any more need not be looked at again.
            cursor = cursor.max(reader.cursor());
        }
        Ok(EventsObject { events, cursor })
    }
}

fn text_len(event: &Event) -> usize {
    match event {
        Event::Message(message) => message.text.len(),
        Event::Changed {
            message: Some(message),
            ..
        } => message.text.len(),
        _ => 0,
    }
}

/// A named place in the journal that survives restarts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetCursor {
    /// Of the caller's choice.
    name: String,
}

impl Method for GetCursor {
    const NAME: &'static str = "cursor.get";
    type Answer = CursorObject;

    async fn call(self, peer: &Peer) -> Result<CursorObject, RpcError> {
        Ok(CursorObject {
            cursor: peer.cursor(&self.name)?,
            last: peer.last_cursor(),
        })
    }
}

/// Keeps a named place in the journal. Answers when it is durable.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetCursor {
    /// Of the caller's choice.
    name: String,
    /// The last event that has been dealt with.
    cursor: u64,
}

impl Method for SetCursor {
    const NAME: &'static str = "cursor.set";
    type Answer = Done;

    async fn call(self, peer: &Peer) -> Result<Done, RpcError> {
        peer.set_cursor(&self.name, self.cursor).await?;
        Ok(Done::default())
    }
}
