//! One side is away: the relay keeps what is sent, and people get to know each other.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Daemon, Journal, Profile, States, World, exchange, invite, numbered, send_each, wait_for_link,
};
use serde_json::{Value, json};

/// A message that takes longer than this is lost.
const LOST: Duration = Duration::from_secs(60);

/// How long a link may take: the attempt itself, and the wait after one that failed.
const LINK: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_thousand_messages_wait_at_the_relay_and_come_once_and_in_order() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let mut a = ann.daemon().await?;
    let mut news = Journal::from_now(&a).await?;
    let mut states = States::default();
    let texts = numbered("ann", 1_000);
    let sent = send_each(&a, "bob", &texts).await?;
    states.follow(&mut news, &sent, "sent", LOST).await?;
    assert!(
        sent.iter()
            .all(|id| !states.of(id).iter().any(|state| state == "delivered"))
    );
    assert_eq!(waiting(&mut a, "bob").await?, Value::Null);

    let mut b = bob.daemon().await?;
    let mut at_b = Journal::from_start(&b).await?;
    assert_eq!(at_b.texts(texts.len(), LOST).await?, texts);
    states.follow(&mut news, &sent, "delivered", LOST).await?;
    assert_eq!(b.received("ann").await?, texts);
    states.check_forward()
}

#[tokio::test]
async fn the_sender_may_be_gone_when_the_receiver_comes() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let texts = numbered("ann", 200);
    let sent = say(&ann, "bob", &texts).await?;

    let mut b = bob.daemon().await?;
    let mut at_b = Journal::from_start(&b).await?;
    assert_eq!(at_b.texts(texts.len(), LOST).await?, texts);
    assert_eq!(b.received("ann").await?, texts);
    // Their receipts wait for ann.
    ensure!(b.process.terminate()? == Some(0), "bob does not end");
    let a = ann.daemon().await?;
    let mut news = Journal::from_start(&a).await?;
    let mut states = States::default();
    states.follow(&mut news, &sent, "delivered", LOST).await?;
    states.check_forward()
}

#[tokio::test]
async fn two_who_are_never_there_at_the_same_time_have_a_conversation() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let (mut by_ann, mut by_bob) = (Vec::new(), Vec::new());
    for round in 0..8 {
        let new = numbered(&format!("ann in round {round}"), 10);
        by_ann.extend_from_slice(&new);
        come_and_go(&ann, "bob", &new, &by_bob).await?;
        let new = numbered(&format!("bob in round {round}"), 10);
        by_bob.extend_from_slice(&new);
        come_and_go(&bob, "ann", &new, &by_ann).await?;
    }
    let (mut a, mut b) = (ann.daemon().await?, bob.daemon().await?);
    a.call("send", json!({"to": "bob", "texts": ["together"]}))
        .await?;
    by_ann.push("together".to_owned());
    let mut at_b = Journal::from_start(&b).await?;
    at_b.texts(by_ann.len(), LOST).await?;
    assert_eq!(b.received("ann").await?, by_ann);
    assert_eq!(a.received("bob").await?, by_bob);
    Ok(())
}

#[tokio::test]
async fn regression_who_comes_second_to_an_invite_for_one_is_asked_about() -> Result<()> {
    let world = World::start()?;
    let (ann, bob, carol) = (
        world.profile("ann")?,
        world.profile("bob")?,
        world.profile("carol")?,
    );
    let link = invite(&ann, 1)?;
    bob.run(&["add", &link, "--message", "first"])?;
    carol.run(&["add", &link, "--message", "second"])?;
    carol.run(&["send", "ann", "are you there?"])?;

    let mut a = ann.daemon().await?;
    let mut news = Journal::from_start(&a).await?;
    news.until("carol asks", LOST, |event| {
        event["type"] == "request" && event["name"] == "carol"
    })
    .await?;
    a.call("accept", json!({"id": "carol"})).await?;
    let c = carol.daemon().await?;
    let mut texts = Vec::new();
    news.until("what carol has said", LOST, |event| {
        texts.extend(event["text"].as_str().map(str::to_owned));
        texts.iter().any(|text| text == "are you there?")
    })
    .await?;
    drop(c);
    Ok(())
}

#[tokio::test]
async fn regression_somebody_who_was_rejected_can_use_another_invite() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = (world.profile("ann")?, world.profile("bob")?);
    let link = invite(&ann, 2)?;
    bob.run(&["add", &link, "--name", "Annie"])?;
    bob.run(&["send", "Annie", "hello?"])?;
    let mut a = ann.daemon().await?;
    let mut news = Journal::from_start(&a).await?;
    let asks = |event: &Value| event["type"] == "request";
    news.until("bob asks", LOST, asks).await?;
    a.call("reject", json!({"id": "bob"})).await?;
    let another = a.call("invite", json!({"uses": 1, "expires_ms": 600_000}));
    let another = another.await?["link"].as_str().context("link")?.to_owned();

    let mut b = bob.daemon().await?;
    b.call("add", json!({"link": another})).await?;
    let mut at_a = Journal::from_start(&a).await?;
    assert_eq!(at_a.texts(1, LOST).await?, ["hello?"]);
    let history = b.call("history", json!({"to": "Annie"})).await?;
    let texts: Vec<&str> = history
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|message| message["text"].as_str())
        .collect();
    assert_eq!(texts, ["hello?"]);
    Ok(())
}

#[tokio::test]
async fn an_invite_for_several_asks_for_each_of_them() -> Result<()> {
    let world = World::start()?;
    let ann = world.profile("ann")?;
    let link = invite(&ann, 3)?;
    let guests: Vec<Profile> = ["bob", "carol", "dave", "eve"]
        .iter()
        .map(|name| world.profile(name))
        .collect::<Result<_>>()?;
    for guest in &guests[..3] {
        let words = format!("it's {}", name(guest));
        let added = guest.run(&["add", &link, "--message", &words])?;
        assert_eq!(added[0]["standing"], "requested");
    }
    // Before anybody has answered.
    let [bob, carol, dave, eve] = &guests[..] else {
        anyhow::bail!("guests");
    };
    bob.run(&["send", "ann", "are you there?"])?;

    let mut a = ann.daemon().await?;
    let mut news = Journal::from_start(&a).await?;
    let mut asked = Vec::new();
    news.until("three ask", LOST, |event| {
        if event["type"] == "request" {
            asked.extend(event["name"].as_str().map(str::to_owned));
        }
        asked.len() == 3
    })
    .await?;
    asked.sort();
    assert_eq!(asked, ["bob", "carol", "dave"]);
    let requests = ann.run(&["requests"])?;
    assert!(requests.iter().any(|request| request["text"] == "it's bob"));
    assert_eq!(ann.run(&["contacts"])?.len(), 0);
    assert_eq!(ann.answer(&["accept", "eve"])?.code, Some(4));

    // The fourth comes too late; her request never shows, whatever she is told.
    let late = eve.answer(&["add", &link, "--message", "it's eve"])?;
    assert!(matches!(late.code, Some(0 | 5)), "{late:?}");

    ann.run(&["accept", "bob"])?;
    ann.run(&["reject", "carol"])?;
    let left: Vec<Value> = ann.run(&["requests"])?;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["name"], "dave");
    let contacts = ann.run(&["contacts"])?;
    assert_eq!(contacts.len(), 1);
    assert_eq!(contacts[0]["name"], "bob");

    // What bob said meanwhile comes now, after the words of the request.
    let mut b = bob.daemon().await?;
    let texts_of_bob = ["it's bob", "are you there?"];
    let mut at_a = Journal::from_start(&a).await?;
    at_a.until("bob's first message", LOST, |event| {
        event["text"] == "are you there?"
    })
    .await?;
    assert_eq!(a.received("bob").await?, texts_of_bob);
    a.call("send", json!({"to": "bob", "texts": ["yes"]}))
        .await?;
    let mut at_b = Journal::from_start(&b).await?;
    assert_eq!(at_b.texts(1, LOST).await?, ["yes"]);
    assert_eq!(b.received("ann").await?, ["yes"]);
    for waiting in [carol, dave] {
        let contacts = waiting.run(&["contacts"])?;
        assert_eq!(contacts[0]["standing"], "requested");
    }
    assert_eq!(ann.run(&["requests"])?.len(), 1);
    ann.run(&["accept", "dave"])?;
    let mut d = dave.daemon().await?;
    wait_for_link(&mut d, "ann", "direct", LINK).await
}

#[tokio::test]
async fn two_invites_that_cross_make_one_conversation_while_both_are_there() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = (world.profile("ann")?, world.profile("bob")?);
    let (mut a, mut b) = (ann.daemon().await?, bob.daemon().await?);
    let (by_ann, by_bob) = (invite(&ann, 1)?, invite(&bob, 1)?);
    let added = tokio::join!(
        a.call("add", json!({"link": by_bob, "message": "ann asks"})),
        b.call("add", json!({"link": by_ann, "message": "bob asks"})),
    );
    // One may have come before the other was made; then it says so.
    for added in [&added.0, &added.1] {
        if let Err(error) = added {
            let text = error.to_string();
            ensure!(text.contains("already") || text.contains("asked"), "{text}");
        }
    }
    ensure!(added.0.is_ok() || added.1.is_ok(), "{added:?}");
    one_conversation(&mut a, &mut b).await
}

#[tokio::test]
async fn two_invites_that_cross_while_the_other_is_away_make_one_conversation() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = (world.profile("ann")?, world.profile("bob")?);
    let (by_ann, by_bob) = (invite(&ann, 1)?, invite(&bob, 1)?);
    // Neither process is there while the other asks; each asks before it has looked.
    ann.run(&["add", &by_bob, "--message", "ann asks"])?;
    say(&ann, "bob", &["from ann, early".to_owned()]).await?;
    bob.answer(&["add", &by_ann, "--message", "bob asks"])?;
    let (mut a, mut b) = (ann.daemon().await?, bob.daemon().await?);
    one_conversation(&mut a, &mut b).await?;
    assert!(
        b.received("ann")
            .await?
            .contains(&"from ann, early".to_owned())
    );
    Ok(())
}

/// Whatever way they came together: each knows the other once, and messages go both ways, also when
/// both have been down between.
async fn one_conversation(a: &mut Daemon, b: &mut Daemon) -> Result<()> {
    for (peer, other) in [(&mut *a, "bob"), (&mut *b, "ann")] {
        wait_for_contact(peer, other).await?;
    }
    let first = numbered("first", 50);
    exchange(a, b, &first, LOST).await?;
    let (ann, bob) = (a.profile().clone(), b.profile().clone());
    for daemon in [&mut *a, &mut *b] {
        ensure!(daemon.process.terminate()? == Some(0), "does not end");
    }
    (*a, *b) = (ann.daemon().await?, bob.daemon().await?);
    let again = numbered("again", 50);
    exchange(a, b, &again, LOST).await?;
    wait_for_link(a, "bob", "direct", LINK).await?;
    let linked = numbered("linked", 50);
    exchange(a, b, &linked, LOST).await?;

    let expected: Vec<String> = [first, again, linked].concat();
    for (peer, other) in [(&mut *a, "bob"), (&mut *b, "ann")] {
        let contacts = peer.call("contacts", json!({})).await?;
        let contacts = contacts.as_array().context("no contacts")?;
        assert_eq!(contacts.len(), 1, "{contacts:?}");
        assert_eq!(contacts[0]["name"], other);
        assert_eq!(contacts[0]["standing"], "accepted");
        assert_eq!(peer.call("requests", json!({})).await?, json!([]));
        let mut received = peer.received(other).await?;
        received.retain(|text| !text.ends_with("asks") && !text.ends_with("early"));
        assert_eq!(received, expected);
    }
    Ok(())
}

async fn wait_for_contact(peer: &mut Daemon, name: &str) -> Result<()> {
    let mut news = Journal::from_now(peer).await?;
    loop {
        let contacts = peer.call("contacts", json!({})).await?;
        let mut contacts = contacts.as_array().into_iter().flatten();
        if contacts.any(|known| known["name"] == name && known["standing"] == "accepted") {
            return Ok(());
        }
        news.until("they become contacts", LOST, |event| {
            event["type"] == "accepted"
        })
        .await?;
    }
}

/// A short visit: hears what there is, says something, and leaves when that has left.
async fn come_and_go(who: &Profile, to: &str, say: &[String], heard: &[String]) -> Result<()> {
    let mut daemon = who.daemon().await?;
    let mut news = Journal::from_start(&daemon).await?;
    assert_eq!(news.texts(heard.len(), LOST).await?, heard);
    let mut news = Journal::from_now(&daemon).await?;
    let mut states = States::default();
    let sent = send_each(&daemon, to, say).await?;
    states.follow(&mut news, &sent, "sent", LOST).await?;
    ensure!(
        daemon.process.terminate()? == Some(0),
        "{to} does not end in order"
    );
    Ok(())
}

/// Says something by a process that is there for nothing else. Returns the ids.
async fn say(who: &Profile, to: &str, texts: &[String]) -> Result<Vec<String>> {
    let (who, to, input) = (who.clone(), to.to_owned(), texts.join("\n"));
    let run = move || who.answer_to(&["send", &to, "-"], input);
    let answer = tokio::task::spawn_blocking(run).await??;
    ensure!(answer.code == Some(0), "{answer:?}");
    let ids = answer
        .objects
        .iter()
        .map(|sent| sent["id"].as_str().context("no id").map(str::to_owned));
    ids.collect()
}

/// Why something for a contact waits.
async fn waiting(daemon: &mut Daemon, contact: &str) -> Result<Value> {
    let status = daemon.call("status", json!({})).await?;
    let mut contacts = status["contacts"].as_array().into_iter().flatten();
    let known = contacts.find(|known| known["name"] == contact);
    Ok(known.context("not a contact")?["waiting"].clone())
}

fn name(profile: &Profile) -> &str {
    let name = profile.home().file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}
