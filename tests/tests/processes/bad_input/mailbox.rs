//! A mailbox that is full.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{Journal, World};
use serde_json::json;
use tokio::time::Instant;

use super::{TIMED_OUT, refuse};

/// Envelopes that a relay keeps for one mailbox.
const MAILBOX: usize = 1_000;

/// A thousand envelopes go to the disks of both one after the other.
const LONG: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn a_full_mailbox_is_named_to_the_sender_and_loses_nothing() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let mut a = ann.daemon().await?;
    let texts: Vec<String> = (0..MAILBOX + 100).map(|n| format!("message {n}")).collect();
    let mut told = Journal::from_now(&a).await?;
    // One after the other, each in an envelope of its own.
    for text in &texts {
        a.call("send", json!({"to": "bob", "texts": [text]}))
            .await?;
    }
    told.until("the full mailbox", LONG, |event| {
        event["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("mailbox is full"))
    })
    .await?;
    let status = a.call("status", json!({})).await?;
    let waiting = status["contacts"][0]["waiting"]
        .as_str()
        .context("nothing waits")?;
    assert!(waiting.contains("mailbox is full"), "{waiting}");
    let late = [
        "send",
        "bob",
        "late",
        "--wait",
        "delivered",
        "--timeout",
        "3s",
    ];
    refuse(&ann, &late, TIMED_OUT, &["mailbox is full", "are saved"]);

    // The receiver comes: all of it, once and in order.
    let mut b = bob.daemon().await?;
    let deadline = Instant::now() + LONG;
    while b.received("ann").await?.len() <= texts.len() {
        assert!(Instant::now() < deadline, "not all arrived");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let expected: Vec<String> = texts.into_iter().chain(["late".to_owned()]).collect();
    assert!(b.received("ann").await? == expected, "once and in order");
    let status = a.call("status", json!({})).await?;
    assert!(status["contacts"][0]["waiting"].is_null(), "{status}");
    Ok(())
}
