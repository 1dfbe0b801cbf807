//! Sending and counting, with times.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::Daemon;
use serde_json::{Value, json};
use tokio::time::Instant;

/// A message that takes longer than this is lost.
const LOST: Duration = Duration::from_secs(30);

/// What a path was like.
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) per_second: f64,
}

impl Figures {
    pub(crate) fn new(name: &'static str, mut latencies: Vec<Duration>, per_second: f64) -> Self {
        latencies.sort_unstable();
        let at = |share: usize| {
            latencies
                .get(latencies.len() * share / 100)
                .copied()
                .unwrap_or_default()
        };
        Self {
            name,
            p50: at(50),
            p99: at(99),
            per_second,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms, {:.0} messages/s",
            ms(self.p50),
            ms(self.p99),
            self.per_second
        )
    }
}

/// Numbered texts of 200 bytes.
pub(crate) fn texts(from: &str, start: usize, count: usize) -> Vec<String> {
    (start..start + count)
        .map(|number| format!("{:.<200}", format!("{from} {number} ")))
        .collect()
}

/// Sends one after the other, each when the one before has arrived; from the call to the event at the
/// other side, durable on both.
pub(crate) async fn one_at_a_time(
    from: &mut Daemon,
    to: &str,
    at: &mut Daemon,
    texts: &[String],
) -> Result<Vec<Duration>> {
    let mut cursor = last_cursor(at).await?;
    let mut latencies = Vec::with_capacity(texts.len());
    let mut sender = from.another_client().await?;
    for text in texts {
        let start = Instant::now();
        let send = sender.call("send", json!({"to": to, "texts": [text]}));
        let receive = next_messages(at, &mut cursor);
        let (sent, received) = tokio::join!(send, receive);
        sent?;
        latencies.push(start.elapsed());
        let received = received?;
        ensure!(
            received == [text.as_str()],
            "expected {text}, got {received:?}"
        );
    }
    Ok(latencies)
}

/// Sends all at once; messages per second until the last has arrived.
pub(crate) async fn burst(
    from: &mut Daemon,
    to: &str,
    at: &mut Daemon,
    texts: &[String],
) -> Result<f64> {
    let mut cursor = last_cursor(at).await?;
    let start = Instant::now();
    from.call("send", json!({"to": to, "texts": texts})).await?;
    let mut received = Vec::new();
    while received.len() < texts.len() {
        received.extend(next_messages(at, &mut cursor).await?);
    }
    let per_second = texts.len() as f64 / start.elapsed().as_secs_f64();
    ensure!(
        received == texts,
        "the burst did not arrive once and in order"
    );
    Ok(per_second)
}

/// Waits until this many messages of a contact are there, besides the words of a request.
pub(crate) async fn wait_for_count(at: &mut Daemon, contact: &str, count: usize) -> Result<()> {
    let deadline = Instant::now() + LOST;
    loop {
        let received = at.received(contact).await?.len();
        if received >= count {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("only {received} of {count} messages arrived");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn last_cursor(daemon: &mut Daemon) -> Result<u64> {
    let place = daemon.call("cursor.get", json!({"name": "demo"})).await?;
    place["last"].as_u64().context("no cursor")
}

/// The next messages: at least one.
async fn next_messages(at: &mut Daemon, cursor: &mut u64) -> Result<Vec<String>> {
    let deadline = Instant::now() + LOST;
    while Instant::now() < deadline {
        let params = json!({"after": *cursor, "timeout_ms": 5_000});
        let next = at.call("events.next", params).await?;
        *cursor = next["cursor"].as_u64().unwrap_or(*cursor);
        let messages = next["events"].as_array().into_iter().flatten();
        let texts: Vec<String> = messages
            .filter(|event| event["type"] == "message")
            .filter_map(|event| event["text"].as_str().map(str::to_owned))
            .collect();
        if !texts.is_empty() {
            return Ok(texts);
        }
    }
    bail!(
        "no message arrived within {LOST:?}: {:?}",
        Value::from(*cursor)
    )
}
