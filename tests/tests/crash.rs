//! Both peers are killed with `kill -9` again and again, at any point, while both write. A ledger
//! outside of them says what must be where in the end.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{Daemon, Fate, Journal, Ledger, States, World, live, numbered, send_each, wait_for_link};
use serde_json::{Value, json};

/// How often each of the two dies.
const DEATHS: usize = 22;

/// How long a peer lives each time, at most. Chosen: long enough for a link in many of the lives,
/// short enough that many end while one is being made.
const LIFE: Duration = Duration::from_millis(1_400);

/// How long it stays dead, at most.
const DEATH: Duration = Duration::from_millis(400);

/// How long everything that is still on its way may take in the end.
const SETTLED: Duration = Duration::from_secs(60);

/// How long a link may take: the attempt itself, and the wait after one that failed.
const LINK: Duration = Duration::from_secs(30);

/// Set to repeat the times of a run that failed.
const SEED: &str = "E2E_SEED";

#[tokio::test]
async fn what_was_confirmed_arrives_once_and_in_order_however_often_both_sides_are_killed()
-> Result<()> {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().context(SEED)?,
        Err(_) => rand::random(),
    };
    both_die_often(seed)
        .await
        .with_context(|| format!("{SEED}={seed}"))
}

/// A receipt leaves before what waits. If that were sealed before it, the other side's ratchet could
/// not open it any more once it has followed the receipt: all of it would be asked for again.
#[tokio::test]
async fn regression_a_receipt_does_not_spoil_what_was_written_before_it() -> Result<()> {
    let mut world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let (mut a, mut b) = (ann.daemon().await?, bob.daemon().await?);
    wait_for_link(&mut a, "bob", "direct", LINK).await?;
    wait_for_link(&mut b, "ann", "direct", LINK).await?;
    // Ann owes a receipt when the link ends, and has no other way.
    world.server.process().kill()?;
    let mut at_a = Journal::from_now(&a).await?;
    send_each(&b, "ann", &numbered("bob", 1)).await?;
    at_a.texts(1, SETTLED).await?;
    b.kill()?;
    let mut news = Journal::from_now(&a).await?;
    let sent = send_each(&a, "bob", &numbered("ann", 1_000)).await?;

    world.server.restart()?;
    let mut b = bob.daemon().await?;
    let mut states = States::default();
    states
        .follow(&mut news, &sent, "delivered", SETTLED)
        .await?;
    // What is sealed again is told to be sent again.
    states.check_forward()?;
    assert_eq!(b.received("ann").await?, numbered("ann", 1_000));
    let mut news = Journal::from_start(&b).await?;
    let mut states = States::default();
    news.until("its receipt", SETTLED, |event| {
        states.note(event);
        event["state"] == "delivered"
    })
    .await
}

async fn both_die_often(seed: u64) -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let fate = |seed| Fate {
        deaths: DEATHS,
        life: LIFE,
        death: DEATH,
        seed,
    };
    let (of_ann, of_bob) = (fate(seed), fate(!seed));
    let (from_ann, from_bob) = tokio::try_join!(
        live(&ann, "ann", "bob", &of_ann),
        live(&bob, "bob", "ann", &of_bob),
    )?;

    let (mut a, mut b) = (ann.daemon().await?, bob.daemon().await?);
    // Whatever was sent before this is there when this is.
    a.call("send", json!({"to": "bob", "texts": ["the end"]}))
        .await?;
    b.call("send", json!({"to": "ann", "texts": ["the end"]}))
        .await?;
    wait_for_the_end(&b).await.context("at bob")?;
    wait_for_the_end(&a).await.context("at ann")?;
    // A gap that was shown is filled now.
    all_delivered(&mut a, "bob").await.context("sent by ann")?;
    all_delivered(&mut b, "ann").await.context("sent by bob")?;

    check(&mut a, "bob", &from_ann, &from_bob)
        .await
        .context("history of ann")?;
    check(&mut b, "ann", &from_bob, &from_ann)
        .await
        .context("history of bob")
}

async fn wait_for_the_end(at: &Daemon) -> Result<()> {
    let mut journal = Journal::from_start(at).await?;
    journal
        .until("the last message arrives", SETTLED, |event| {
            event["outgoing"] == false && event["text"] == "the end"
        })
        .await
}

/// Both halves of a conversation, as one side has it.
async fn check(at: &mut Daemon, with: &str, own: &Ledger, theirs: &Ledger) -> Result<()> {
    let texts = |history: &[Value], outgoing: bool| -> Vec<String> {
        let half = history
            .iter()
            .filter(|message| message["outgoing"] == outgoing);
        let texts = half.filter_map(|message| message["text"].as_str().map(str::to_owned));
        texts.filter(|text| text != "the end").collect()
    };
    let history = history(at, with).await?;
    own.check(&texts(&history, true)).context("what it sent")?;
    theirs
        .check(&texts(&history, false))
        .context("what it received")
}

/// In the end no message is left on its way.
async fn all_delivered(at: &mut Daemon, with: &str) -> Result<()> {
    let on_the_way = |history: &[Value]| -> Vec<Value> {
        let own = history.iter().filter(|message| message["outgoing"] == true);
        own.filter(|message| message["state"] != "delivered")
            .cloned()
            .collect()
    };
    let mut journal = Journal::from_now(at).await?;
    loop {
        let left = on_the_way(&history(at, with).await?);
        if left.is_empty() {
            return Ok(());
        }
        journal
            .until("a message comes further", SETTLED, |event| {
                event["type"] == "state"
            })
            .await
            .with_context(|| format!("{} left, the first: {:?}", left.len(), left.first()))?;
    }
}

async fn history(at: &mut Daemon, with: &str) -> Result<Vec<Value>> {
    let params = json!({"to": with, "limit": 10_000_000});
    let history = at.call("history", params).await?;
    Ok(history.as_array().context("no history")?.clone())
}
