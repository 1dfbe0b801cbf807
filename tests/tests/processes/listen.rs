//! What `listen` prints, and how often; and what `status` says of what is still on its way.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{Answer, Daemon, Profile, World, acquaint, invite};
use serde_json::{Value, json};

/// Long enough for what waits at the relay.
const A_WHILE: &str = "3s";

#[tokio::test]
async fn regression_a_message_is_printed_once_whether_its_sender_is_listened_to_alone_or_not()
-> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let carol = world.profile("carol")?;
    acquaint(&ann, &carol)?;
    let says = |who: &Profile, text: &str| who.run(&["send", "ann", text, "--wait", "sent"]);

    says(&bob, "b1")?;
    says(&carol, "c1")?;
    let alone = listen(&ann, &["--from", "bob", "--count", "1", "--timeout", "30s"])?;
    assert_eq!(texts(&alone), ["b1"]);
    // Without bob's, which has been printed.
    assert_eq!(
        texts(&listen(&ann, &["--count", "1", "--timeout", "30s"])?),
        ["c1"]
    );
    says(&bob, "b2")?;
    says(&carol, "c2")?;
    let mut all = listen(&ann, &["--count", "2", "--timeout", "30s"])?;
    all.objects
        .sort_by_key(|message| message["text"].to_string());
    assert_eq!(texts(&all), ["b2", "c2"]);
    // And the other way round.
    for from in ["bob", "carol"] {
        let none = listen(&ann, &["--from", from, "--timeout", A_WHILE])?;
        assert_eq!(texts(&none), [""; 0], "{from}");
    }
    says(&bob, "b3")?;
    let alone = listen(&ann, &["--from", "BOB", "--count", "1", "--timeout", "30s"])?;
    assert_eq!(texts(&alone), ["b3"]);
    assert_eq!(texts(&listen(&ann, &["--timeout", A_WHILE])?), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn regression_a_strangers_words_belong_to_the_request_until_it_is_accepted() -> Result<()> {
    let world = World::start()?;
    let ann = world.profile("ann")?;
    let link = invite(&ann, 2)?;
    for name in ["bob", "carol"] {
        let words = format!("it's {name}");
        world
            .profile(name)?
            .run(&["add", &link, "--message", &words])?;
    }
    let asked = listen(&ann, &["--timeout", A_WHILE])?;
    assert_eq!(texts(&asked), ["it's bob", "it's carol"]);
    for request in &asked.objects {
        assert_eq!(request["type"], "request");
        let id = request["id"].as_str().context("no id")?;
        let help = request["help"].as_str().context("no help")?;
        assert!(help.contains(&format!("peer accept {id}")), "{help}");
    }
    assert_eq!(texts(&listen(&ann, &["--timeout", A_WHILE])?), [""; 0]);

    let rejected = ann.run(&["reject", "carol"])?;
    assert_eq!(rejected[0]["id"], asked.objects[1]["id"]);
    let bob = asked.objects[0]["id"].as_str().context("no id")?;
    ann.run(&["accept", bob])?;
    let words = listen(&ann, &["--count", "1", "--timeout", A_WHILE])?;
    assert_eq!(words.objects[0]["type"], "message");
    assert_eq!(texts(&words), ["it's bob"]);
    Ok(())
}

#[tokio::test]
async fn what_an_invite_for_one_says_is_printed_once() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = (world.profile("ann")?, world.profile("bob")?);
    let link = invite(&ann, 1)?;
    bob.run(&["add", &link, "--message", "it's bob"])?;
    let heard = listen(&ann, &["--timeout", A_WHILE])?;
    assert_eq!(texts(&heard), ["it's bob"]);
    assert_eq!(heard.objects[0]["type"], "message");
    Ok(())
}

#[tokio::test]
async fn regression_status_counts_what_is_on_its_way_and_where_it_waits() -> Result<()> {
    let mut world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let mut a = ann.daemon().await?;
    assert_eq!(on_its_way(&mut a).await?, (json!(0), json!(0)));
    for text in ["one", "two", "three"] {
        ann.run(&["send", "bob", text, "--wait", "sent"])?;
    }
    assert_eq!(on_its_way(&mut a).await?, (json!(0), json!(3)));
    world.server.process().kill()?;
    a.call("send", json!({"to": "bob", "texts": ["four", "five"]}))
        .await?;
    assert_eq!(on_its_way(&mut a).await?, (json!(2), json!(3)));
    let shown = plain(&ann, &["status"])?;
    assert!(shown.contains("3 messages wait at their relay"), "{shown}");
    assert!(shown.contains("2 messages wait here: "), "{shown}");

    world.server.restart()?;
    bob.run(&["listen", "--count", "5", "--timeout", "60s"])?;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while on_its_way(&mut a).await? != (json!(0), json!(0)) {
        assert!(tokio::time::Instant::now() < deadline, "no receipts");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn regression_who_is_linked_is_online() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let mut a = ann.daemon().await?;
    let b = bob.daemon().await?;
    e2e::wait_for_link(&mut a, "bob", "direct", Duration::from_secs(30)).await?;
    let contacts = a.call("contacts", json!({})).await?;
    assert_eq!(contacts[0]["presence"], "online");
    drop(b);
    Ok(())
}

#[test]
fn regression_a_reader_that_has_seen_enough_is_no_failure() -> Result<()> {
    let world = World::start()?;
    let (ann, _bob) = world.ann_and_bob()?;
    ann.run(&["send", "bob", "hello"])?;
    let mut history = ann
        .command(&["history", "bob"])?
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Before anything is written, so that writing fails.
    drop(history.stdout.take());
    let ended = history.wait_with_output()?;
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    assert_eq!(ended.status.code(), Some(0));
    Ok(())
}

/// How many messages to the first contact are here only, and how many at the relay.
async fn on_its_way(daemon: &mut Daemon) -> Result<(Value, Value)> {
    let mut status = daemon.call("status", json!({})).await?;
    let contact = &mut status["contacts"][0];
    Ok((contact["pending"].take(), contact["at_relay"].take()))
}

fn listen(who: &Profile, args: &[&str]) -> Result<Answer> {
    let answer = who.answer(&[&["listen"], args].concat())?;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    Ok(answer)
}

fn texts(answer: &Answer) -> Vec<&str> {
    let texts = answer.objects.iter().map(|object| &object["text"]);
    texts.filter_map(Value::as_str).collect()
}

/// What people see.
fn plain(who: &Profile, args: &[&str]) -> Result<String> {
    let command = who.command(args)?;
    let args = command.get_args().filter(|arg| *arg != "--json");
    let output = std::process::Command::new(command.get_program())
        .args(args)
        .output()?;
    Ok(String::from_utf8(output.stdout)?)
}
