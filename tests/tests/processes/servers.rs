//! Servers die and come back, or are told to end, while peers use them.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Daemon, Journal, RelayServer, ServerOptions, States, World, acquaint, exchange, ids, link_of,
    numbered, wait_for_link,
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// A message that takes longer than this is lost.
const LOST: Duration = Duration::from_secs(60);

/// How long a link may take: the attempt itself, and the wait after one that failed.
const LINK: Duration = Duration::from_secs(30);

/// How long peers may take to find a server that is back: their longest wait is below it.
const BACK: Duration = Duration::from_secs(60);

/// How often the relay dies in the middle of its work.
const DEATHS: usize = 6;

#[tokio::test]
async fn a_direct_link_outlives_its_signaling_server_and_new_links_are_made_after_it_is_back()
-> Result<()> {
    let mut world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let (mut a, mut b) = (ann.daemon().await?, bob.daemon().await?);
    wait_for_link(&mut a, "bob", "direct", LINK).await?;
    wait_for_link(&mut b, "ann", "direct", LINK).await?;
    let (since_a, since_b) = (Journal::from_now(&a).await?, Journal::from_now(&b).await?);
    let (since_a, since_b) = (since_a.cursor(), since_b.cursor());

    exchange(&a, &b, &numbered("before", 100), LOST).await?;
    world.server.process().kill()?;
    exchange(&a, &b, &numbered("at once", 100), LOST).await?;
    for peer in [&mut a, &mut b] {
        wait_for_signaling(peer, false).await?;
    }
    exchange(&a, &b, &numbered("without", 100), LOST).await?;
    world.server.restart()?;
    exchange(&a, &b, &numbered("again", 100), LOST).await?;
    for (peer, other) in [(&mut a, "bob"), (&mut b, "ann")] {
        wait_for_signaling(peer, true).await?;
        wait_for_presence(peer, other, "online").await?;
        ensure!(link_of(peer, other).await? == "direct", "the link is gone");
    }
    exchange(&a, &b, &numbered("after", 100), LOST).await?;
    for (peer, since) in [(&a, since_a), (&b, since_b)] {
        let changes = links_told(peer, since).await?;
        ensure!(changes.is_empty(), "the link changed: {changes:?}");
    }

    // The server knows enough again for a link from nothing.
    b.kill()?;
    wait_for_presence(&mut a, "bob", "offline").await?;
    let mut b = bob.daemon().await?;
    wait_for_link(&mut b, "ann", "direct", LINK).await?;
    wait_for_link(&mut a, "bob", "direct", LINK).await?;
    exchange(&a, &b, &numbered("anew", 100), LOST).await
}

#[tokio::test]
async fn what_was_called_sent_survives_a_relay_that_is_killed_in_the_middle_of_its_work()
-> Result<()> {
    let world = World::with(ServerOptions {
        without_relay: true,
        ..ServerOptions::default()
    })?;
    let mut relay = RelayServer::start(&world.path("relay"))?;
    let ann = world.profile_with_relay("ann", relay.url())?;
    let bob = world.profile_with_relay("bob", relay.url())?;
    acquaint(&ann, &bob)?;

    let mut a = ann.daemon().await?;
    let mut news = Journal::from_now(&a).await?;
    let mut states = States::default();
    let mut texts: Vec<String> = Vec::new();
    let mut sent: HashMap<String, String> = HashMap::new();
    for death in 0..DEATHS {
        let first = texts.len();
        let mut all = Vec::new();
        for call in 0..60 {
            let new = [format!("{death}/{call}"), format!("{death}/{call}, more")];
            let answer = a.call("send", json!({"to": "bob", "texts": new})).await?;
            for (id, text) in ids(&answer)?.into_iter().zip(new) {
                sent.insert(id.clone(), text.clone());
                all.push(id);
                texts.push(text);
            }
        }
        // Some are there, others on their way.
        let some = all.get(death * 12).context("too few")?.clone();
        states
            .follow(&mut news, std::slice::from_ref(&some), "sent", BACK)
            .await
            .with_context(|| format!("death {death}, from message {first}"))?;
        relay.process().kill()?;
        relay.restart()?;
    }
    // What is called sent now must be enough, without its sender.
    a.kill()?;
    let promised: Vec<&String> = sent
        .iter()
        .filter(|(id, _)| states.all_reached(std::slice::from_ref(*id), "sent"))
        .map(|(_, text)| text)
        .collect();
    ensure!(promised.len() >= DEATHS * 10, "{} promised", promised.len());

    let mut b = bob.daemon().await?;
    let mut at_b = Journal::from_start(&b).await?;
    let mut received = Vec::new();
    let all_there = |received: &[String]| promised.iter().all(|text| received.contains(text));
    for _ in 0..DEATHS {
        if all_there(&received) {
            break;
        }
        received.extend(at_b.texts(1, LOST).await?);
        relay.process().kill()?;
        relay.restart()?;
    }
    let deadline = Instant::now() + LOST;
    while !all_there(&received) {
        let left = deadline.saturating_duration_since(Instant::now());
        received.extend(at_b.texts(1, left).await.with_context(|| {
            let missing = promised.iter().filter(|text| !received.contains(text));
            format!("promised but missing: {:?}", missing.collect::<Vec<_>>())
        })?);
    }

    // And with her, the rest.
    let a = ann.daemon().await?;
    let left = texts.len() - received.len();
    received.extend(at_b.texts(left, LOST).await?);
    assert_eq!(b.received("ann").await?, texts);
    drop(a);
    states.check_forward()
}

#[tokio::test]
async fn regression_a_relay_that_has_lost_everything_is_given_it_again_in_order() -> Result<()> {
    let world = World::with(ServerOptions {
        without_relay: true,
        ..ServerOptions::default()
    })?;
    let mut relay = RelayServer::start(&world.path("relay"))?;
    let ann = world.profile_with_relay("ann", relay.url())?;
    let bob = world.profile_with_relay("bob", relay.url())?;
    acquaint(&ann, &bob)?;

    // Lost while ann is there.
    let mut a = ann.daemon().await?;
    let mut states = States::default();
    let mut news = Journal::from_now(&a).await?;
    for text in ["one", "two", "three"] {
        let answer = a
            .call("send", json!({"to": "bob", "texts": [text]}))
            .await?;
        states
            .follow(&mut news, &ids(&answer)?, "sent", LOST)
            .await?;
    }
    relay.restart_empty()?;
    // There is no mailbox before bob makes it again.
    let mut b = bob.daemon().await?;
    let mut at_b = Journal::from_start(&b).await?;
    assert_eq!(at_b.texts(3, LOST).await?, ["one", "two", "three"]);

    // Lost while both are away: nobody was there to notice.
    ensure!(b.process.terminate()? == Some(0), "bob does not end");
    let answer = a
        .call("send", json!({"to": "bob", "texts": ["four"]}))
        .await?;
    states
        .follow(&mut news, &ids(&answer)?, "sent", LOST)
        .await?;
    ensure!(a.process.terminate()? == Some(0), "ann does not end");
    relay.restart_empty()?;
    let b = bob.daemon().await?;
    let mut at_b = Journal::after(&b, at_b.cursor()).await?;
    let a = ann.daemon().await?;
    assert_eq!(at_b.texts(1, LOST).await?, ["four"]);
    drop(a);
    states.check_forward()
}

#[tokio::test]
async fn servers_end_in_order_when_told_to_while_peers_are_connected() -> Result<()> {
    let mut world = World::start()?;
    let mut relay = RelayServer::start(&world.path("relay"))?;
    let ann = world.profile("ann")?;
    let bob = world.profile_with_relay("bob", relay.url())?;
    acquaint(&ann, &bob)?;
    let (mut a, mut b) = (ann.daemon().await?, bob.daemon().await?);
    wait_for_link(&mut a, "bob", "direct", LINK).await?;
    wait_for_link(&mut b, "ann", "direct", LINK).await?;

    assert_eq!(relay.process().terminate()?, Some(0));
    assert_eq!(world.server.process().terminate()?, Some(0));
    exchange(&a, &b, &numbered("without any server", 100), LOST).await?;

    world.server.restart()?;
    relay.restart()?;
    for peer in [&mut a, &mut b] {
        wait_for_signaling(peer, true).await?;
    }
    // The relays still have what they had: messages come by them.
    let mut news = Journal::from_now(&a).await?;
    ensure!(b.process.terminate()? == Some(0), "bob does not end");
    let answer = a.call("send", json!({"to": "bob", "texts": ["by relay"]}));
    let sent = ids(&answer.await?)?;
    let mut states = States::default();
    states.follow(&mut news, &sent, "sent", LOST).await?;
    ensure!(a.process.terminate()? == Some(0), "ann does not end");
    let b = bob.daemon().await?;
    let mut at_b = Journal::from_start(&b).await?;
    at_b.until("the message is there", LOST, |event| {
        event["text"] == "by relay"
    })
    .await
}

/// Events about links after a cursor.
async fn links_told(peer: &Daemon, after: u64) -> Result<Vec<Value>> {
    let mut client = peer.another_client().await?;
    let mut told = Vec::new();
    let mut cursor = after;
    loop {
        let next = client
            .call("events.next", json!({"after": cursor, "timeout_ms": 0}))
            .await?;
        let events = next["events"].as_array().context("no events")?;
        if events.is_empty() {
            return Ok(told);
        }
        told.extend(
            events
                .iter()
                .filter(|event| event["type"] == "link")
                .cloned(),
        );
        cursor = next["cursor"].as_u64().context("no cursor")?;
    }
}

async fn wait_for_signaling(peer: &mut Daemon, up: bool) -> Result<()> {
    wait_for(peer, &format!("signaling is up: {up}"), |status| {
        status["signal_servers"][0]["up"] == up
    })
    .await
}

async fn wait_for_presence(peer: &mut Daemon, contact: &str, presence: &str) -> Result<()> {
    wait_for(peer, &format!("{contact} is {presence}"), |status| {
        let mut contacts = status["contacts"].as_array().into_iter().flatten();
        contacts.any(|known| known["name"] == contact && known["presence"] == presence)
    })
    .await
}

/// Looks at the status until it is so: connections to servers are in no event.
async fn wait_for(peer: &mut Daemon, what: &str, done: impl Fn(&Value) -> bool) -> Result<()> {
    let deadline = Instant::now() + BACK;
    loop {
        let status = peer.call("status", json!({})).await?;
        if done(&status) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "not in time: {what}: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
