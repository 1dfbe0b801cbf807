//! A peer that is killed and started again and again while it writes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::time::Instant;

use crate::peer::Profile;

/// One call of `send`, as its caller saw it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The texts, which are stored together or not at all.
    pub texts: Vec<String>,
    /// Whether the call returned: then they must arrive, else they may.
    pub confirmed: bool,
}

/// All calls of one sender in their order, kept outside of the processes that die.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The calls.
    pub entries: Vec<Entry>,
}

impl Ledger {
    /// Texts that must be there.
    pub fn confirmed(&self) -> impl Iterator<Item = &str> {
        let confirmed = self.entries.iter().filter(|entry| entry.confirmed);
        confirmed.flat_map(|entry| entry.texts.iter().map(String::as_str))
    }

    /// Compares it with what is somewhere: every confirmed call whole and once, every other one
    /// whole and once or not at all, in the order of the calls, and nothing else.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self, there: &[String]) -> Result<()> {
        let mut rest = there;
        for (number, entry) in self.entries.iter().enumerate() {
            match rest.strip_prefix(entry.texts.as_slice()) {
                Some(after) => rest = after,
                None if entry.confirmed => anyhow::bail!(
                    "call {number} was confirmed, but instead of {} texts from {:?} there is {:?}",
                    entry.texts.len(),
                    entry.texts.first(),
                    rest.first()
                ),
                None => {}
            }
        }
        anyhow::ensure!(
            rest.is_empty(),
            "{} texts too many, the first {:?}",
            rest.len(),
            rest.first()
        );
        Ok(())
    }
}

/// How a peer lives and dies.
#[derive(Clone, Debug)]
pub struct Fate {
    /// How often it dies.
    pub deaths: usize,
    /// How long it lives each time, at most.
    pub life: Duration,
    /// How long it stays dead each time, at most.
    pub death: Duration,
    /// Where the times come from.
    pub seed: u64,
}

/// Lives through it all. What it was told is in the ledger.
///
/// # Errors
/// If the peer does not start any more.
pub async fn live(profile: &Profile, name: &str, to: &str, fate: &Fate) -> Result<Ledger> {
    let mut random = StdRng::seed_from_u64(fate.seed);
    let mut ledger = Ledger::default();
    for life in 0..fate.deaths {
        let daemon = profile.daemon().await;
        let mut daemon = daemon.with_context(|| format!("life {life} of {name}"))?;
        let mut client = daemon.another_client().await?;
        let end = Instant::now() + fate.life.mul_f64(random.random());
        loop {
            let number = ledger.entries.len();
            let count = if random.random_ratio(1, 8) {
                random.random_range(2..40)
            } else {
                1
            };
            let texts: Vec<String> = (0..count)
                .map(|part| format!("{name} {life}/{number}/{part}"))
                .collect();
            ledger.entries.push(Entry {
                texts: texts.clone(),
                confirmed: false,
            });
            let call = client.call("send", json!({"to": to, "texts": texts}));
            match tokio::time::timeout_at(end, call).await {
                Ok(sent) => {
                    sent.with_context(|| format!("life {life} of {name}"))?;
                    if let Some(entry) = ledger.entries.last_mut() {
                        entry.confirmed = true;
                    }
                }
                // In the middle of a call.
                Err(_) => break,
            }
        }
        daemon.kill()?;
        tokio::time::sleep(fate.death.mul_f64(random.random())).await;
    }
    Ok(ledger)
}
