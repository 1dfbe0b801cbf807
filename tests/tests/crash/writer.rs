//! Somebody who writes to somebody, whatever becomes of the process that does the work.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tincan_peer::MsgId;
use tincan_peer::rpc::{Client, RpcError};
use tokio::task::JoinHandle;

use crate::ledger::{Entry, Ledger, Outcome};
use crate::texts;
use crate::town::connect;
use e2e::Profile;

/// Between two calls, at most. Chosen: six writers fill about half of two processors, so that what
/// waits does not only grow.
const PAUSE: Duration = Duration::from_millis(40);

/// One direction of a conversation.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    shared: Arc<Shared>,
    task: JoinHandle<Result<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    /// A call of `send` has begun and was not answered yet.
    in_call: AtomicBool,
    /// Messages that are known to be stored.
    stored: AtomicUsize,
    stop: AtomicBool,
}

impl Writer {
    /// Begins to write.
    pub(crate) fn spawn(
        profile: &Profile,
        from: &'static str,
        to: &'static str,
        seed: u64,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let writing = Writing {
            profile: profile.clone(),
            from,
            to,
            random: StdRng::seed_from_u64(seed),
            shared: shared.clone(),
        };
        let task = tokio::spawn(writing.run());
        Self {
            from,
            to,
            shared,
            task,
        }
    }

    /// Whether a call is being answered at this moment.
    pub(crate) fn is_in_call(&self) -> bool {
        self.shared.in_call.load(Ordering::SeqCst)
    }

    /// How many messages must arrive, as far as is known.
    pub(crate) fn stored(&self) -> usize {
        self.shared.stored.load(Ordering::SeqCst)
    }

    /// Looks at the ledger.
    pub(crate) fn with_ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.shared.ledger())
    }

    /// Fails if it could not go on; it must not end before it is told to.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(
            !self.task.is_finished(),
            "{} can write to {} no more: the last call was {}",
            self.from,
            self.to,
            self.with_ledger(|ledger| format!("{:?}", ledger.entries.last()))
        );
        Ok(())
    }

    /// Ends it after its call.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let ended = (&mut self.task).await?;
        ended.with_context(|| format!("{} to {}", self.from, self.to))
    }
}

impl Shared {
    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the last call ended.
    fn decide(&self, outcome: Outcome) {
        if let Some(entry) = self.ledger().entries.last_mut() {
            entry.outcome = outcome;
            if outcome.is_confirmed() {
                self.stored
                    .fetch_add(entry.messages.len(), Ordering::SeqCst);
            }
        }
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

struct Writing {
    profile: Profile,
    from: &'static str,
    to: &'static str,
    random: StdRng,
    shared: Arc<Shared>,
}

impl Writing {
    async fn run(mut self) -> Result<()> {
        loop {
            let mut client = connect(&self.profile).await?;
            let written = match self.ask(&mut client).await {
                Ok(()) => self.write(&mut client).await,
                Err(error) => Err(error),
            };
            match written {
                Ok(()) => return Ok(()),
                // The process died, and whoever runs the profile next is asked.
                Err(error) if error.is_ended() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What became of the last call, if it was not answered. Now and then nobody asks.
    async fn ask(&mut self, client: &mut Client) -> Result<(), RpcError> {
        let open = match self.shared.ledger().entries.last() {
            Some(entry) if entry.outcome == Outcome::Unknown => entry.messages[0].0.clone(),
            _ => return Ok(()),
        };
        if self.random.random_ratio(1, 4) {
            return Ok(());
        }
        let answer = client
            .call("state", json!({"to": self.to, "id": open}))
            .await;
        let outcome = match answer {
            Ok(_) => Outcome::Stored,
            Err(error) if error.code == "not_found" => Outcome::Absent,
            Err(error) => return Err(error),
        };
        self.shared.decide(outcome);
        Ok(())
    }

    /// Call after call, until one fails or it is enough.
    async fn write(&mut self, client: &mut Client) -> Result<(), RpcError> {
        while !self.shared.stops() {
            let number = self.shared.ledger().entries.len();
            let words = format!("{} to {} {number}", self.from, self.to);
            let texts = texts::of_one_call(&mut self.random, &words);
            let ids: Vec<String> = texts.iter().map(|_| MsgId::now_v7().to_string()).collect();
            let params = json!({"to": self.to, "texts": texts, "ids": ids});
            self.shared.ledger().entries.push(Entry {
                messages: ids.into_iter().zip(texts).collect(),
                outcome: Outcome::Unknown,
            });
            self.shared.in_call.store(true, Ordering::SeqCst);
            let answer = client.call("send", params).await;
            self.shared.in_call.store(false, Ordering::SeqCst);
            answer?;
            self.shared.decide(Outcome::Answered);
            // So that it is no other load each time.
            tokio::time::sleep(PAUSE.mul_f64(self.random.random())).await;
        }
        Ok(())
    }
}
