//! How far messages have come, as their sender is told; and that it only ever gets further.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

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
