//! How far messages have come, as their sender is told; and that it only ever gets further.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::journal::Journal;
use crate::peer::Daemon;

/// States of messages by id.
#[derive(Clone, Debug, Default)]
pub struct States {
    /// Every state that was told, in that order.
    told: BTreeMap<String, Vec<String>>,
}

impl States {
    /// Takes note of an event.
    pub fn note(&mut self, event: &Value) {
        if event["type"] != "state" {
            return;
        }
        let state = event["state"].as_str().unwrap_or_default();
        for id in event["ids"].as_array().into_iter().flatten() {
            let id = id.as_str().unwrap_or_default().to_owned();
            self.told.entry(id).or_default().push(state.to_owned());
        }
    }

    /// Whether all of these have come at least so far.
    #[must_use]
    pub fn all_reached(&self, ids: &[String], state: &str) -> bool {
        ids.iter().all(|id| {
            let told = self.told.get(id).into_iter().flatten();
            told.map(|told| rank(told)).max() >= Some(rank(state))
        })
    }

    /// Reads on until all of these have come at least so far.
    ///
    /// # Errors
    /// If they do not in time.
    pub async fn follow(
        &mut self,
        news: &mut Journal,
        ids: &[String],
        state: &str,
        limit: Duration,
    ) -> Result<()> {
        if self.all_reached(ids, state) {
            return Ok(());
        }
        let what = format!("all are {state}");
        let followed = news.until(&what, limit, |event| {
            self.note(event);
            event["type"] == "state" && self.all_reached(ids, state)
        });
        let followed = followed.await;
        followed.with_context(|| {
            let there = ids
                .iter()
                .filter(|id| self.all_reached(std::slice::from_ref(*id), state));
            format!("{} of {} are", there.count(), ids.len())
        })
    }

    /// All that have come at least so far.
    pub fn reached(&self, state: &str) -> impl Iterator<Item = &str> {
        let least = rank(state);
        let reached = self.told.iter();
        let reached = reached.filter(move |(_, told)| told.iter().any(|told| rank(told) >= least));
        reached.map(|(id, _)| id.as_str())
    }

    /// What was told of a message.
    #[must_use]
    pub fn of(&self, id: &str) -> &[String] {
        self.told.get(id).map_or(&[], Vec::as_slice)
    }

    /// Checks that no state was told after a later one, or twice.
    ///
    /// # Errors
    /// If one was: the message and what was told of it.
    pub fn check_forward(&self) -> Result<()> {
        for (id, told) in &self.told {
            let waits = told.iter().filter(|state| *state == "pending").count();
            let ranks: Vec<u8> = told.iter().map(|state| rank(state)).collect();
            // Why a message waits may change, so that may be told again.
            let further = ranks.get(waits.saturating_sub(1)..).unwrap_or_default();
            ensure!(
                ranks.is_sorted() && further.windows(2).all(|pair| pair[0] < pair[1]),
                "states of {id}: {told:?}"
            );
        }
        Ok(())
    }
}

/// Sends texts, each in a call of its own. Returns the ids.
///
/// # Errors
/// The first call's that fails.
pub async fn send_each(from: &Daemon, to: &str, texts: &[String]) -> Result<Vec<String>> {
    let mut client = from.another_client().await?;
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        let call = client.call("send", json!({"to": to, "texts": [text]}));
        all.extend(ids(&call.await?)?);
    }
    Ok(all)
}

/// Ann and bob both write these at once; all of it arrives, and they are told so.
///
/// # Errors
/// If it does not in time.
pub async fn exchange(a: &Daemon, b: &Daemon, texts: &[String], limit: Duration) -> Result<()> {
    let one_way = async |from: &Daemon, to: &str| {
        let mut news = Journal::from_now(from).await?;
        let sent = send_each(from, to, texts).await?;
        let mut states = States::default();
        states
            .follow(&mut news, &sent, "delivered", limit)
            .await
            .with_context(|| format!("to {to}: {:?}", texts.first()))?;
        states.check_forward()
    };
    tokio::try_join!(one_way(a, "bob"), one_way(b, "ann"))?;
    Ok(())
}

/// Numbered texts.
#[must_use]
pub fn numbered(words: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{words} {number}"))
        .collect()
}

/// The ids that `send` returned.
///
/// # Errors
/// If there are none.
pub fn ids(sent: &Value) -> Result<Vec<String>> {
    let ids = sent["ids"].as_array().context("no ids")?;
    let ids = ids
        .iter()
        .map(|id| id.as_str().context("no id").map(str::to_owned));
    ids.collect()
}

fn rank(state: &str) -> u8 {
    match state {
        "sent" => 1,
        "failed" => 2,
        "delivered" => 3,
        "read" => 4,
        _ => 0,
    }
}
