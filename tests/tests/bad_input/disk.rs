//! A disk that is full, and one that cannot be written.

use std::time::Duration;

use anyhow::Result;
use e2e::{Profile, World, acquaint};
use serde_json::json;
use tokio::time::Instant;

use crate::small_disk::SmallDisk;
use crate::{FAILED, LIMIT, history, refuse};

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
    refuse(
        &ann,
        &["send", "bob", &"y".repeat(LONG_TEXT)],
        FAILED,
        &["could not be saved", "disk space"],
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
