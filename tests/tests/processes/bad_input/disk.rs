//! A disk that is full, and one that cannot be written.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{Journal, Process, Profile, RelayServer, States, World, acquaint, send_each};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::small_disk::SmallDisk;
use super::{FAILED, LIMIT, history, refuse};

/// A profile takes about 2 MB.
const DISK: u64 = 8 * 1024 * 1024;

/// More than any free space within the database.
const LONG_TEXT: usize = 16 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn regression_a_full_disk_fails_the_send_and_it_goes_on_when_there_is_room() -> Result<()> {
    let Some(disk) = SmallDisk::mount(DISK) else {
        return Ok(());
    };
    let world = World::start()?;
    let url = world.server.url();
    let ann = Profile::init(&disk.path().join("ann"), "ann", url, url)?;
    let bob = world.profile("bob")?;
    acquaint(&ann, &bob)?;
    let mut a = ann.daemon().await?;
    a.call("send", json!({"to": "bob", "texts": ["before"]}))
        .await?;

    disk.fill();
    // Free pages of the database are used first, so some may still be saved.
    let mut saved = vec!["before".to_owned()];
    let deadline = Instant::now() + LIMIT;
    let error = loop {
        let text = format!("{} {}", saved.len(), "x".repeat(LONG_TEXT - 10));
        match a.call("send", json!({"to": "bob", "texts": [text]})).await {
            Ok(_) => saved.push(text),
            Err(error) => break error,
        }
        assert!(Instant::now() < deadline, "the disk is never full");
    };
    assert!(error.to_string().contains("could not be saved"), "{error}");
    let folder = ann.home().display().to_string();
    refuse(
        &ann,
        &["send", "bob", &"y".repeat(LONG_TEXT)],
        FAILED,
        &["could not be saved", &folder, "disk space"],
    );

    // There is room: the same process goes on, with all that it said was saved.
    disk.empty();
    while let Err(error) = a
        .call("send", json!({"to": "bob", "texts": ["after"]}))
        .await
    {
        assert!(Instant::now() < deadline, "it does not go on: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    saved.push("after".to_owned());
    let mut b = bob.daemon().await?;
    while b.received("ann").await?.len() < saved.len() {
        assert!(Instant::now() < deadline, "not all arrived");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(b.received("ann").await? == saved, "once and in order");
    assert_eq!(a.process.terminate()?, Some(0));
    assert!(history(&ann, "bob") == saved, "the sender has the same");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn regression_listen_names_a_full_disk_and_goes_on_when_there_is_room() -> Result<()> {
    let Some(disk) = SmallDisk::mount(DISK) else {
        return Ok(());
    };
    let world = World::start()?;
    let url = world.server.url();
    let (ann, bob) = (
        world.profile("ann")?,
        Profile::init(&disk.path().join("bob"), "bob", url, url)?,
    );
    acquaint(&ann, &bob)?;
    let mut a = ann.daemon().await?;
    let log = world.path("listen.log");
    let mut listen = Process::start(&mut bob.command(&["listen"])?, &log)?;
    a.call("send", json!({"to": "bob", "texts": ["before"]}))
        .await?;
    assert_eq!(text_of(&listen.line()?)?, "before");

    disk.fill();
    let texts = long_texts();
    for texts in texts.chunks(20) {
        a.call("send", json!({"to": "bob", "texts": texts})).await?;
    }
    let deadline = Instant::now() + LIMIT;
    let folder = bob.home().display().to_string();
    loop {
        let said = fs::read_to_string(&log)?;
        if [&folder, "is full", "free disk space"]
            .iter()
            .all(|words| said.contains(*words))
        {
            break;
        }
        assert!(Instant::now() < deadline, "the disk is not named: {said}");
        // What it was told is a reason to write.
        a.call("send", json!({"to": "bob", "texts": ["once more"]}))
            .await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    refuse(
        &bob,
        &["send", "ann", &"y".repeat(LONG_TEXT)],
        FAILED,
        &[&folder, "disk space"],
    );
    let ended = listen.has_ended()?;
    assert!(ended.is_none(), "it has ended: {ended:?}");

    disk.empty();
    a.call("send", json!({"to": "bob", "texts": ["the end"]}))
        .await?;
    let mut printed = Vec::new();
    while printed.last().is_none_or(|text| text != "the end") {
        printed.push(text_of(&listen.line()?)?);
    }
    printed.retain(|text| text != "once more" && text != "the end");
    assert!(
        printed == texts,
        "{} lines, not as they were sent",
        printed.len()
    );
    assert_eq!(listen.terminate()?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn regression_a_relay_names_its_full_disk_once_and_goes_on_when_there_is_room() -> Result<()>
{
    let Some(disk) = SmallDisk::mount(DISK) else {
        return Ok(());
    };
    let world = World::start()?;
    // Its log is on another disk.
    let folder = world.path("small-relay");
    fs::create_dir(&folder)?;
    std::os::unix::fs::symlink(disk.path(), folder.join("relay"))?;
    let mut relay = RelayServer::start(&folder)?;
    let ann = world.profile_with_relay("ann", relay.url())?;
    let bob = world.profile_with_relay("bob", relay.url())?;
    acquaint(&ann, &bob)?;
    let mut a = ann.daemon().await?;
    let mut news = Journal::from_now(&a).await?;
    let mut states = States::default();
    let mut ids = send_each(&a, "bob", &["before".to_owned()]).await?;
    states.follow(&mut news, &ids, "sent", LIMIT).await?;

    disk.fill();
    let texts = long_texts();
    ids.extend(send_each(&a, "bob", &texts).await?);
    let (deadline, log) = (Instant::now() + LIMIT, folder.join("relay.log"));
    let named = folder.join("relay").display().to_string();
    loop {
        let status = a.call("status", json!({})).await?;
        let waiting = status["contacts"][0]["waiting"].to_string();
        if waiting.contains("relay cannot take it now") {
            break;
        }
        assert!(Instant::now() < deadline, "it is not said why: {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let said = fs::read_to_string(&log)?;
    assert!(!said.contains('\u{1b}'), "colours in a file: {said}");
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).collect();
    let [error] = errors[..] else {
        panic!("said more than once, or not at all: {said}");
    };
    for words in [&named, "its disk is full", "free some space"] {
        assert!(error.contains(words), "{words}: {error}");
    }

    disk.empty();
    states.follow(&mut news, &ids, "sent", LIMIT).await?;
    states.check_forward()?;
    assert!(relay.process().has_ended()?.is_none());
    assert!(fs::read_to_string(&log)?.contains("works again"));
    let mut b = bob.daemon().await?;
    let mut at_b = Journal::from_start(&b).await?;
    at_b.texts(ids.len(), LIMIT).await?;
    let sent = [vec!["before".to_owned()], texts].concat();
    assert!(b.received("ann").await? == sent, "once and in order");
    Ok(())
}

/// More than the free pages of a database can take.
fn long_texts() -> Vec<String> {
    (0..100)
        .map(|number| format!("{number} {}", "x".repeat(LONG_TEXT - 10)))
        .collect()
}

fn text_of(line: &str) -> Result<String> {
    let message: Value = serde_json::from_str(line)?;
    Ok(message["text"].as_str().context("no text")?.to_owned())
}

#[test]
fn a_disk_without_room_makes_no_profile_and_says_so() -> Result<()> {
    let Some(disk) = SmallDisk::mount(256 * 1024) else {
        return Ok(());
    };
    let url = "http://127.0.0.1:1";
    let home = disk.path().join("ann");
    disk.fill();
    let error = Profile::init(&home, "ann", url, url)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Some(1)") && !error.contains("panicked"),
        "{error}"
    );
    assert!(!home.join("key.json").exists());
    Ok(())
}

#[test]
fn a_home_that_cannot_be_written_is_named_and_works_again_when_it_can() -> Result<()> {
    let Some(disk) = SmallDisk::mount(DISK) else {
        return Ok(());
    };
    let url = "http://127.0.0.1:1";
    let home = disk.path().join("ann");
    let ann = Profile::init(&home, "ann", url, url)?;
    let id = ann.run(&["id"])?;
    disk.set_read_only(true);
    let name = home.display().to_string();
    for command in ["id", "contacts"] {
        refuse(&ann, &[command], FAILED, &[&name, "permissions"]);
    }
    let other = disk.path().join("bob");
    let error = Profile::init(&other, "bob", url, url)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Some(1)") && error.contains("--home"),
        "{error}"
    );
    disk.set_read_only(false);
    assert_eq!(ann.run(&["id"])?, id);
    Ok(())
}
