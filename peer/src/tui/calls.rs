//! Calls in the background, and following the journal.

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
    let result = sessions.call(call.method, call.params).await;
    // At the end nobody listens any more.
    let _ = events.send(Event::Answer(call.purpose, result)).await;
}

/// From now on: what was before is asked for.
async fn follow(sessions: Sessions, events: mpsc::Sender<Event>) {
    if let Err(error) = tell_news(&sessions, &events).await {
        let _ = events.send(Event::Deaf(error)).await;
    }
}

async fn tell_news(sessions: &Sessions, events: &mpsc::Sender<Event>) -> Result<(), RpcError> {
    let place = sessions.call("cursor.get", json!({"name": "tui"})).await?;
    let mut cursor = place["last"].as_u64().unwrap_or_default();
    loop {
        let params = json!({"after": cursor, "timeout_ms": NEWS_WAIT_MS, "max": NEWS_MAX});
        let mut next = match sessions.call("events.next", params).await {
            // There is nothing that could be told.
            Err(error) if error.is_disk_full() => {
                let _ = events.send(Event::Deaf(error)).await;
                tokio::time::sleep(crate::cli::session::ROOM_AGAIN).await;
                continue;
            }
            next => next?,
        };
        cursor = next["cursor"].as_u64().unwrap_or(cursor);
        let news: Vec<EventObject> = match next["events"].take() {
            // Types that this version does not know are passed over.
            Value::Array(all) => all
                .into_iter()
                .filter_map(|one| serde_json::from_value(one).ok())
                .collect(),
            _ => Vec::new(),
        };
        if !news.is_empty() && events.send(Event::News(news)).await.is_err() {
            return Ok(());
        }
    }
}
