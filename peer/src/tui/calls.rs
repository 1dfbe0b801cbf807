//! Calls in the background, and following the journal.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::state::{Call, Event};
use crate::cli::sessions::Sessions;
use crate::rpc::RpcError;
use crate::rpc::objects::EventObject;

/// Answers that wait to be taken. Chosen: far more than calls at a time.
const ANSWERS: usize = 256;

/// Writes that wait for those before them. Chosen: nobody types so fast; a paste is one.
const WRITES: usize = 256;

/// How long one call waits for news, milliseconds.
const NEWS_WAIT_MS: u64 = 60_000;

/// Events of one call.
const NEWS_MAX: usize = 256;

/// So long after an error the journal is followed again.
const AGAIN: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Calls {
    sessions: Sessions,
    events: mpsc::Sender<Event>,
    writes: mpsc::Sender<Call>,
    tasks: JoinSet<()>,
}

impl Calls {
    /// Begins to follow the journal. What comes of everything is to be read from the other end.
    pub(super) fn begin(sessions: Sessions) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(ANSWERS);
        let (writes, queue) = mpsc::channel(WRITES);
        let mut tasks = JoinSet::new();
        tasks.spawn(write(sessions.clone(), queue, events.clone()));
        tasks.spawn(follow(sessions.clone(), events.clone()));
        let calls = Self {
            sessions,
            events,
            writes,
            tasks,
        };
        (calls, receiver)
    }

    /// Where others tell what happens.
    #[cfg(feature = "notifications")]
    pub(super) fn events(&self) -> mpsc::Sender<Event> {
        self.events.clone()
    }

    /// Beside everything else.
    pub(super) fn call(&mut self, call: Call) {
        let (sessions, events) = (self.sessions.clone(), self.events.clone());
        self.tasks
            .spawn(async move { answer(&sessions, call, &events).await });
        // Those that have ended are nobody's concern.
        while self.tasks.try_join_next().is_some() {}
    }

    /// After everything that was to be written before it. Returns what happens if that is too much.
    pub(super) fn write(&self, call: Call) -> Option<Event> {
        let refused = self.writes.try_send(call).err()?;
        let (mpsc::error::TrySendError::Full(call) | mpsc::error::TrySendError::Closed(call)) =
            refused;
        let error = RpcError::failed("too much waits to be saved", "try again in a moment");
        Some(Event::Answer(call.purpose, Err(error)))
    }

    pub(super) async fn end(mut self) -> Result<(), RpcError> {
        self.tasks.shutdown().await;
        self.sessions.close().await
    }
}

async fn write(sessions: Sessions, mut queue: mpsc::Receiver<Call>, events: mpsc::Sender<Event>) {
    while let Some(call) = queue.recv().await {
        answer(&sessions, call, &events).await;
    }
}

async fn answer(sessions: &Sessions, call: Call, events: &mpsc::Sender<Event>) {
    let calling = AssertUnwindSafe(sessions.call(call.method, call.params));
    // Somebody waits for the answer, whatever happens.
    let result = calling.catch_unwind().await.unwrap_or_else(|_| {
        let message = format!("a defect of this program: {} has failed", call.method);
        Err(RpcError::failed(
            message,
            "end it and start it again; the log (-v) says more",
        ))
    });
    // At the end nobody listens any more.
    let _ = events.send(Event::Answer(call.purpose, result)).await;
}

/// From now on: what was before is asked for. What keeps it from following is told once, and it goes on when it can.
async fn follow(sessions: Sessions, events: mpsc::Sender<Event>) {
    let mut cursor = None;
    let mut is_deaf = false;
    loop {
        let news = match next_news(&sessions, cursor).await {
            Ok(news) => news,
            Err(error) => {
                if !std::mem::replace(&mut is_deaf, true)
                    && events.send(Event::Deaf(error)).await.is_err()
                {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let (next, told) = news;
        cursor = Some(next);
        if std::mem::take(&mut is_deaf) && events.send(Event::Heard).await.is_err() {
            return;
        }
        if !told.is_empty() && events.send(Event::News(told)).await.is_err() {
            return;
        }
    }
}

/// What comes after this place, or, without one, the place where the journal ends now.
async fn next_news(
    sessions: &Sessions,
    cursor: Option<u64>,
) -> Result<(u64, Vec<EventObject>), RpcError> {
    let Some(cursor) = cursor else {
        let place = sessions.call("cursor.get", json!({"name": "tui"})).await?;
        return Ok((place["last"].as_u64().unwrap_or_default(), Vec::new()));
    };
    let params = json!({"after": cursor, "timeout_ms": NEWS_WAIT_MS, "max": NEWS_MAX});
    let mut next = sessions.call("events.next", params).await?;
    let news = match next["events"].take() {
        // Types that this version does not know are passed over.
        Value::Array(all) => all
            .into_iter()
            .filter_map(|one| serde_json::from_value(one).ok())
            .collect(),
        _ => Vec::new(),
    };
    Ok((next["cursor"].as_u64().unwrap_or(cursor), news))
}
