//! What somebody's program tells, event after event, over all the lives of the process that runs it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};
use e2e::{Profile, States};
use serde_json::{Value, json};
use tincan_peer::rpc::{Client, RpcError};
use tokio::task::JoinHandle;

use crate::ledger::Sent;
use crate::town::connect;

/// One call waits this long for news, milliseconds.
const WAIT_MS: u64 = 60_000;

/// Everything that was told so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Up to where it was read.
    cursor: u64,
    /// Of the messages that this one sends.
    pub(crate) states: States,
    /// Messages by the contact who sent them, in the order of the events.
    pub(crate) received: BTreeMap<String, Vec<Sent>>,
    /// All of them, in the order of the events.
    pub(crate) ids: Vec<String>,
    /// Of own messages that came so far; more than once is found by [`States::check_forward`].
    pub(crate) delivered: usize,
    /// Cursors of all events, with what stands for their contents.
    events: Vec<(u64, u64)>,
}

impl Told {
    fn note(&mut self, event: &Value) {
        self.states.note(event);
        let ids = || event["ids"].as_array().into_iter().flatten();
        if event["state"] == "delivered" {
            self.delivered += ids().count();
        }
        if event["type"] == "message" && event["outgoing"] == false {
            let (from, message) = (text(&event["conversation"]), sent(event));
            self.ids.push(message.0.clone());
            self.received.entry(from).or_default().push(message);
        }
        let mut hasher = DefaultHasher::new();
        // A message is told as it is now, and it may have been read since.
        let mut content = event.clone();
        if let Some(content) = content.as_object_mut() {
            content.remove("unread");
        }
        content.to_string().hash(&mut hasher);
        let cursor = event["cursor"].as_u64().unwrap_or_default();
        self.events.push((cursor, hasher.finish()));
    }

    /// Messages that have come from a contact.
    pub(crate) fn from(&self, contact: &str) -> &[Sent] {
        self.received.get(contact).map_or(&[], Vec::as_slice)
    }
}

/// Reads on and on.
#[derive(Debug)]
pub(crate) struct News {
    told: Arc<Mutex<Told>>,
    task: JoinHandle<Result<()>>,
}

impl News {
    /// Begins with what is told from now on.
    pub(crate) async fn spawn(profile: &Profile) -> Result<Self> {
        let mut client = connect(profile).await?;
        let place = client.call("cursor.get", json!({"name": "e2e"})).await?;
        let cursor = place["last"].as_u64().context("no cursor")?;
        let told = Told {
            cursor,
            ..Told::default()
        };
        let told = Arc::new(Mutex::new(told));
        let task = tokio::spawn(read(profile.clone(), told.clone()));
        Ok(Self { told, task })
    }

    /// What was told until now.
    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It must not end.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.task.is_finished(), "events can be read no more");
        Ok(())
    }

    /// Stops, and checks that the journal still tells the same, every event once.
    pub(crate) async fn compare_with_journal(&self, client: &mut Client) -> Result<()> {
        self.task.abort();
        let (events, mut cursor) = {
            let told = self.told();
            (told.events.clone(), told.cursor)
        };
        let Some(&(first, _)) = events.first() else {
            return Ok(());
        };
        let end = std::mem::replace(&mut cursor, first - 1);
        let mut again = Told::default();
        while cursor < end {
            cursor = next(client, cursor, 0, |event| again.note(event)).await?;
        }
        let different = events.iter().zip(&again.events).find(|(a, b)| a != b);
        ensure!(
            different.is_none() && events.len() <= again.events.len(),
            "of {} events that were told {} are left; the first that is another one: {different:?}",
            events.len(),
            again.events.len()
        );
        Ok(())
    }
}

async fn read(profile: Profile, told: Arc<Mutex<Told>>) -> Result<()> {
    let locked = || told.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let mut client = connect(&profile).await?;
        loop {
            let after = locked().cursor;
            match next(&mut client, after, WAIT_MS, |event| locked().note(event)).await {
                Ok(cursor) => {
                    locked().cursor = cursor;
                }
                Err(error) if error.is_ended() => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Shows what comes next; returns the place after it.
async fn next(
    client: &mut Client,
    after: u64,
    timeout_ms: u64,
    mut show: impl FnMut(&Value),
) -> Result<u64, RpcError> {
    let params = json!({"after": after, "timeout_ms": timeout_ms});
    let next = client.call("events.next", params).await?;
    next["events"]
        .as_array()
        .into_iter()
        .flatten()
        .for_each(&mut show);
    Ok(next["cursor"].as_u64().unwrap_or(after))
}

/// The id and the text of a message as JSON.
pub(crate) fn sent(message: &Value) -> Sent {
    (text(&message["id"]), text(&message["text"]))
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
