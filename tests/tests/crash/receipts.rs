//! Receipts, and what waits beside them.

use std::time::Duration;

use anyhow::Result;
use e2e::{Journal, States, World, numbered, send_each, wait_for_link};

/// How long everything that is still on its way may take in the end.
const SETTLED: Duration = Duration::from_secs(60);

/// How long a link may take: the attempt itself, and the wait after one that failed.
const LINK: Duration = Duration::from_secs(30);

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
