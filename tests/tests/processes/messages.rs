//! Two peers with a link between them: what is sent arrives as it was, once and in order.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Answer, Daemon, Journal, Process, States, World, ids, link_of, send_each, wait_for_link,
};
use serde_json::{Value, json};

/// A message that takes longer than this is lost.
const LOST: Duration = Duration::from_secs(60);

/// How long a link may take: the attempt itself, and the wait after one that failed.
const LINK: Duration = Duration::from_secs(30);

/// Bytes of UTF-8 in a message, at most.
const TEXT_MAX: usize = 16 * 1024;

#[tokio::test]
async fn texts_of_any_size_and_script_arrive_as_they_were_in_both_directions_at_once() -> Result<()>
{
    let (_world, mut a, mut b) = linked(&[]).await?;
    let (mut at_a, mut at_b) = (Journal::from_now(&a).await?, Journal::from_now(&b).await?);
    let texts = curious_texts();

    let sending = tokio::try_join!(
        send_each(&a, "bob", &texts),
        send_each(&b, "ann", &texts),
        at_a.texts(texts.len(), LOST),
        at_b.texts(texts.len(), LOST),
    );
    let (_, _, received_a, received_b) = sending?;

    assert_eq!(received_a, texts);
    assert_eq!(received_b, texts);
    assert_eq!(a.received("bob").await?, texts);
    assert_eq!(b.received("ann").await?, texts);
    Ok(())
}

#[tokio::test]
async fn a_hundred_of_the_longest_texts_fit_into_one_call() -> Result<()> {
    let (_world, mut a, mut b) = linked(&[]).await?;
    let texts: Vec<String> = (0..100)
        .map(|number| format!("{number:-<TEXT_MAX$}"))
        .collect();
    let mut at_b = Journal::from_now(&b).await?;
    a.call("send", json!({"to": "bob", "texts": texts})).await?;
    assert_eq!(at_b.texts(texts.len(), LOST).await?, texts);
    assert_eq!(b.received("ann").await?, texts);
    Ok(())
}

#[tokio::test]
async fn a_text_that_is_empty_or_too_long_is_refused_and_nothing_of_its_call_is_sent() -> Result<()>
{
    let (_world, mut a, mut b) = linked(&[]).await?;
    for wrong in [String::new(), "x".repeat(TEXT_MAX + 1)] {
        let call = json!({"to": "bob", "texts": ["fine", wrong]});
        let error = a.call("send", call).await.expect_err("sent");
        let error = error
            .downcast_ref::<tincan_peer::rpc::RpcError>()
            .context("kind")?;
        assert_eq!(error.code, "usage", "{error:?}");
    }
    let mut at_b = Journal::from_now(&b).await?;
    a.call("send", json!({"to": "bob", "texts": ["after"]}))
        .await?;
    assert_eq!(at_b.texts(1, LOST).await?, ["after"]);
    assert_eq!(b.received("ann").await?, ["after"]);
    Ok(())
}

#[tokio::test]
async fn states_go_from_pending_to_read_and_never_back() -> Result<()> {
    let mut world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let mut a = ann.daemon().await?;
    let mut news = Journal::from_now(&a).await?;
    let mut states = States::default();
    world.server.process().kill()?;

    let texts: Vec<String> = (0..300).map(|number| format!("text {number}")).collect();
    let mut all = Vec::new();
    for batch in texts.chunks(7) {
        all.extend(ids(&a
            .call("send", json!({"to": "bob", "texts": batch}))
            .await?)?);
    }
    let first = json!({"to": "bob", "id": all.first()});
    assert_eq!(a.call("state", first).await?["state"], "pending");

    world.server.restart()?;
    states.follow(&mut news, &all, "sent", LOST).await?;
    let mut b = bob.daemon().await?;
    states.follow(&mut news, &all, "delivered", LOST).await?;
    wait_for_link(&mut a, "bob", "direct", LINK).await?;

    // And over the link, while what came before is being read.
    let mut shown = Journal::from_start(&b).await?;
    assert_eq!(shown.texts(texts.len(), LOST).await?, texts);
    let mut more = Vec::new();
    for batch in texts.chunks(10) {
        more.extend(ids(&a
            .call("send", json!({"to": "bob", "texts": batch}))
            .await?)?);
    }
    let history = b.call("history", json!({"to": "ann", "limit": 1})).await?;
    b.call("read", json!({"from": "ann", "seq": history[0]["seq"]}))
        .await?;
    states.follow(&mut news, &all, "read", LOST).await?;
    assert_eq!(shown.texts(texts.len(), LOST).await?, texts);
    let history = b.call("history", json!({"to": "ann", "limit": 1})).await?;
    b.call("read", json!({"from": "ann", "seq": history[0]["seq"]}))
        .await?;
    states.follow(&mut news, &more, "read", LOST).await?;

    all.append(&mut more);
    states.check_forward()?;
    let history = a
        .call("history", json!({"to": "bob", "limit": 10_000}))
        .await?;
    let own: Vec<&Value> = history
        .as_array()
        .into_iter()
        .flatten()
        .filter(|message| message["outgoing"] == true)
        .collect();
    assert_eq!(own.len(), all.len());
    assert!(own.iter().all(|message| message["state"] == "read"));
    Ok(())
}

#[tokio::test]
async fn listen_prints_each_message_once_and_its_sender_learns_that_it_was_read() -> Result<()> {
    let (_world, mut a, b) = linked(&[]).await?;
    let bob = b.profile().clone();
    let mut news = Journal::from_now(&a).await?;
    let mut states = States::default();
    let texts = ["one", "two", "three", "four", "five"];
    let sent = ids(&a.call("send", json!({"to": "bob", "texts": texts})).await?)?;

    let three = bob.answer(&["listen", "--count", "3", "--timeout", "30s"])?;
    assert_eq!(printed(&three), (Some(0), vec!["one", "two", "three"]));
    states.follow(&mut news, &sent[..3], "read", LOST).await?;
    assert!(!states.all_reached(&sent[3..4], "read"));

    let too_few = bob.answer(&["listen", "--count", "3", "--timeout", "300ms"])?;
    assert_eq!(printed(&too_few), (Some(3), vec!["four", "five"]));
    states.follow(&mut news, &sent, "read", LOST).await?;

    let none = bob.answer(&["listen", "--timeout", "200ms"])?;
    assert_eq!(printed(&none), (Some(0), vec![]));
    let none = bob.answer(&["listen", "--count", "1", "--timeout", "200ms"])?;
    assert_eq!(printed(&none), (Some(3), vec![]));
    let stranger = bob.answer(&["listen", "--from", "carol", "--timeout", "200ms"])?;
    assert_eq!(stranger.code, Some(4));

    // The place is kept although no daemon runs any more; what comes meanwhile is printed first.
    drop(b);
    let sent = ids(&a
        .call("send", json!({"to": "bob", "texts": ["six"]}))
        .await?)?;
    states.follow(&mut news, &sent, "sent", LOST).await?;
    let six = bob.answer(&["listen", "--count", "1", "--timeout", "30s"])?;
    assert_eq!(printed(&six), (Some(0), vec!["six"]));
    states.follow(&mut news, &sent, "read", LOST).await?;
    let none = bob.answer(&["listen", "--timeout", "200ms"])?;
    assert_eq!(printed(&none), (Some(0), vec![]));
    states.check_forward()
}

#[tokio::test]
async fn twenty_thousand_lines_from_stdin_wait_for_a_slow_reader() -> Result<()> {
    let (world, mut a, b) = linked(&[]).await?;
    let (ann, bob) = (a.profile().clone(), b.profile().clone());
    let texts: Vec<String> = (0..20_000).map(|number| format!("line {number}")).collect();
    let count = texts.len().to_string();
    let mut listen = bob.command(&["listen", "--count", &count, "--timeout", "60s"])?;
    let mut listen = Process::start(&mut listen, &world.path("listen.log"))?;

    // Nothing is read of its output until everything has been sent: the pipe is full long before.
    let input = texts.join("\n") + "\n\n";
    let args = [
        "send",
        "bob",
        "-",
        "--wait",
        "delivered",
        "--timeout",
        "60s",
    ];
    let sent = tokio::task::spawn_blocking(move || ann.answer_to(&args, input)).await??;
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert_eq!(sent.objects.len(), texts.len());

    let lines = listen.rest()?;
    let received: Vec<String> = lines.lines().map(text_of).collect::<Result<_>>()?;
    assert!(received == texts, "{} lines", received.len());
    assert_eq!(listen.wait(LOST)?, Some(0));

    let last = sent.objects.last().context("no objects")?["id"].clone();
    let mut news = Journal::from_start(&a).await?;
    let mut states = States::default();
    let last = [last.as_str().context("no id")?.to_owned()];
    states.follow(&mut news, &last, "read", LOST).await?;
    states.check_forward()?;
    drop(a.call("status", json!({})).await?);
    Ok(())
}

#[tokio::test]
async fn commands_say_the_same_whether_a_daemon_runs_the_profile_or_not() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let commands: [&[&str]; 7] = [
        &["id"],
        &["contacts"],
        &["status"],
        &["send", "bob", "hello", "--wait", "sent"],
        &["history", "bob"],
        &["invite"],
        &["requests"],
    ];
    let alone = run_all(&ann, &commands)?;
    let a = ann.daemon().await?;
    let with_daemon = run_all(&ann, &commands)?;
    for (command, (alone, with_daemon)) in commands.iter().zip(alone.iter().zip(&with_daemon)) {
        assert_eq!(kinds(alone), kinds(with_daemon), "{command:?}");
    }
    assert_eq!(alone[0], with_daemon[0]);
    assert_eq!(texts_in(&alone[4]), ["hello"]);
    assert_eq!(texts_in(&with_daemon[4]), ["hello", "hello"]);

    // A second daemon would only stand in the way.
    assert_eq!(ann.answer(&["daemon"])?.code, Some(1));
    for wrong in [&["send", "carol", "x"][..], &["history", "carol"]] {
        assert_eq!(ann.answer(wrong)?.code, Some(4));
        assert_eq!(bob.answer(wrong)?.code, Some(4));
    }
    drop(a);

    let heard = bob.answer(&["listen", "--count", "2", "--timeout", "30s"])?;
    assert_eq!(printed(&heard), (Some(0), vec!["hello", "hello"]));
    Ok(())
}

#[tokio::test]
async fn peers_that_use_turn_only_are_linked_through_it_and_talk() -> Result<()> {
    let (mut world, mut a, mut b) = linked(&["--ice", "relay"]).await?;
    let (mut at_a, mut at_b) = (Journal::from_now(&a).await?, Journal::from_now(&b).await?);
    let texts = curious_texts();
    let sending = tokio::try_join!(
        send_each(&a, "bob", &texts),
        send_each(&b, "ann", &texts),
        at_a.texts(texts.len(), LOST),
        at_b.texts(texts.len(), LOST),
    );
    let (_, _, received_a, received_b) = sending?;
    assert_eq!(received_a, texts);
    assert_eq!(received_b, texts);
    for (peer, contact) in [(&mut a, "bob"), (&mut b, "ann")] {
        assert_eq!(link_of(peer, contact).await?, "turn");
    }
    // The TURN server is the way, and not only its name: without it the link ends.
    world.server.process().kill()?;
    wait_for_no_link(&mut a, "bob").await?;
    Ok(())
}

async fn wait_for_no_link(peer: &mut Daemon, contact: &str) -> Result<()> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let mut news = Journal::from_now(peer).await?;
    while link_of(peer, contact).await? == "turn" {
        ensure!(
            tokio::time::Instant::now() < deadline,
            "still linked without a TURN server"
        );
        news.until("a link closes", LINK, |event| event["type"] == "link")
            .await?;
    }
    Ok(())
}

/// Ann and bob with daemons and a link between them: direct, unless arguments say otherwise.
async fn linked(args: &[&str]) -> Result<(World, Daemon, Daemon)> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let mut a = ann.with_args(args).daemon().await?;
    let mut b = bob.with_args(args).daemon().await?;
    let link = if args.contains(&"relay") {
        "turn"
    } else {
        "direct"
    };
    wait_for_link(&mut a, "bob", link, LINK).await?;
    wait_for_link(&mut b, "ann", link, LINK).await?;
    Ok((world, a, b))
}

/// From one byte to the longest, in several scripts, with what separates lines and words.
fn curious_texts() -> Vec<String> {
    let longest_in_japanese = "猫".repeat(TEXT_MAX / 3);
    let mut texts: Vec<String> = [
        "x",
        " ",
        "\n",
        "two\nlines\r\nand\ta tab\n",
        "\u{0}\u{1b}[31m\u{7f}\u{2028}\u{feff}",
        "Grüße, שלום, नमस्ते, 👩‍👩‍👧‍👦🏳️‍🌈",
        r#"{"type":"message","text":"\u0041"}"#,
        "ends in spaces   ",
    ]
    .map(str::to_owned)
    .into();
    texts.push(longest_in_japanese);
    for len in [2, 255, 256, 257, 1_023, 4_096, TEXT_MAX - 1, TEXT_MAX] {
        texts.push("y".repeat(len));
    }
    texts
}

fn run_all(profile: &e2e::Profile, commands: &[&[&str]]) -> Result<Vec<Vec<Value>>> {
    commands
        .iter()
        .map(|command| profile.run(command))
        .collect()
}

/// The kinds of objects that a command prints, each with its fields.
fn kinds(objects: &[Value]) -> Vec<Vec<String>> {
    let mut kinds: Vec<Vec<String>> = objects
        .iter()
        .map(|object| {
            let fields = object.as_object().into_iter().flatten();
            let mut fields: Vec<String> = fields.map(|(name, _)| name.clone()).collect();
            fields.push(object["type"].to_string());
            fields
        })
        .collect();
    kinds.dedup();
    kinds
}

fn printed(answer: &Answer) -> (Option<i32>, Vec<&str>) {
    let messages = answer
        .objects
        .iter()
        .filter(|object| object["type"] == "message");
    let texts = messages.filter_map(|message| message["text"].as_str());
    (answer.code, texts.collect())
}

fn texts_in(objects: &[Value]) -> Vec<&str> {
    objects
        .iter()
        .filter_map(|message| message["text"].as_str())
        .collect()
}

fn text_of(line: &str) -> Result<String> {
    let message: Value = serde_json::from_str(line)?;
    Ok(message["text"].as_str().context("no text")?.to_owned())
}
