//! The key of a profile in a real keyring: found again, and what is said where it is not.

pub(crate) mod desktop;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use e2e::Profile;
use serde_json::{Value, json};

use desktop::Desktop;

const PASSWORD: &str = "the keyring's password";

/// Nobody is there; nothing here goes online.
const URL: &str = "http://127.0.0.1:1";

const INIT: [&str; 5] = ["init", "--name", "ann", "--server", URL];

const FAILED: i32 = 1;
const WRONG_USE: i32 = 2;

/// The command fails, with these words for the person.
#[track_caller]
fn refuse(profile: &Profile, args: &[&str], code: i32, words: &[&str]) {
    let answer = profile.answer(args).unwrap();
    assert_eq!(answer.code, Some(code), "{answer:?}");
    let error = answer.objects.last().unwrap();
    let all = format!("{} {}", error["message"], error["help"]);
    for word in words {
        assert!(all.contains(word), "{word:?} is not in {all}");
    }
    assert!(!answer.stderr.contains("panicked"), "{answer:?}");
}

fn key_file(profile: &Profile) -> Result<Value> {
    let bytes = fs::read(profile.home().join("key.json"))?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// An unlocked keyring, and a profile with its key there.
fn with_profile(folder: &Path) -> Result<(Desktop, Profile)> {
    let mut desktop = Desktop::start()?;
    desktop.unlock(PASSWORD)?;
    let ann = Profile::at(&folder.join("ann")).with_bus(desktop.address());
    let made = ann.run(&INIT)?;
    assert_eq!(made[0]["key"], "keyring");
    Ok((desktop, ann))
}

#[test]
fn the_key_is_in_the_keyring_alone_and_found_again_after_both_have_ended() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut desktop, ann) = with_profile(folder.path())?;
    let id = ann.run(&["id"])?;
    let entry = json!({"mode": "keyring", "entry": id[0]["device"]});
    assert_eq!(key_file(&ann)?, entry);
    desktop.end_keyring()?;
    desktop.unlock(PASSWORD)?;
    assert_eq!(ann.run(&["id"])?, id);
    Ok(())
}

#[test]
fn a_keyring_that_is_locked_says_so_and_opens_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut desktop, ann) = with_profile(folder.path())?;
    desktop.lock()?;
    let words = ["the keyring is locked", "unlock the keyring", "24 words"];
    refuse(&ann, &["id"], FAILED, &words);
    desktop.unlock("not its password")?;
    refuse(&ann, &["id"], FAILED, &words);
    // Nor does a new profile get its key there.
    let bob = Profile::at(&folder.path().join("bob")).with_bus(desktop.address());
    let ways = ["locked", "--passphrase-file", "--no-keyring"];
    refuse(&bob, &INIT, FAILED, &ways);
    desktop.unlock(PASSWORD)?;
    ann.run(&["id"])?;
    bob.run(&INIT)?;
    Ok(())
}

#[test]
fn a_keyring_that_is_not_there_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut desktop, ann) = with_profile(folder.path())?;
    desktop.end_keyring()?;
    let words = ["no keyring", "DBUS_SESSION_BUS_ADDRESS", "24 words"];
    refuse(&ann, &["id"], FAILED, &words);
    let no_bus = format!("unix:path={}", folder.path().join("nobody").display());
    refuse(&ann.with_bus(&no_bus), &["id"], FAILED, &words);
    // A passphrase does not help.
    let file = folder.path().join("passphrase");
    fs::write(&file, "correct horse")?;
    let with_passphrase = ann.with_args(&["--passphrase-file", &file.display().to_string()]);
    refuse(&with_passphrase, &["id"], FAILED, &words);
    let bob = Profile::at(&folder.path().join("bob")).with_bus(&no_bus);
    let ways = ["no keyring", "--passphrase-file", "--no-keyring"];
    refuse(&bob, &INIT, WRONG_USE, &ways);
    Ok(())
}

#[test]
fn another_keyring_says_that_it_does_not_have_the_key() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_desktop, ann) = with_profile(folder.path())?;
    let mut other = Desktop::start()?;
    other.unlock("another password")?;
    let device = key_file(&ann)?["entry"].as_str().unwrap().to_owned();
    let words = [device.as_str(), "is not in the keyring", "24 words"];
    refuse(&ann.with_bus(other.address()), &["id"], FAILED, &words);
    ann.run(&["id"])?;
    Ok(())
}

#[test]
fn what_was_asked_for_goes_before_the_keyring() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut desktop, _ann) = with_profile(folder.path())?;
    let file = folder.path().join("passphrase");
    fs::write(&file, "correct horse")?;
    let file = file.display().to_string();
    let bob = Profile::at(&folder.path().join("bob")).with_bus(desktop.address());
    let bob = bob.with_args(&["--passphrase-file", &file]);
    assert_eq!(bob.run(&INIT)?[0]["key"], "passphrase");
    let carol = Profile::at(&folder.path().join("carol")).with_bus(desktop.address());
    let made = carol.with_args(&["--no-keyring"]).run(&INIT)?;
    assert_eq!(made[0]["key"], "plain");
    desktop.end_keyring()?;
    bob.run(&["id"])?;
    carol.run(&["id"])?;
    Ok(())
}

#[test]
fn the_same_identity_in_a_second_folder_has_a_key_of_its_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut desktop = Desktop::start()?;
    desktop.unlock(PASSWORD)?;
    let at = |name| Profile::at(&folder.path().join(name)).with_bus(desktop.address());
    let (first, second) = (at("first"), at("second"));
    let made = first.run(&INIT)?;
    let words = made[0]["phrase"].as_str().context("no words")?;
    let mut restore = second.command(&[&INIT[..], &["--restore"]].concat())?;
    let mut restore = restore
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let stdin = restore.stdin.take().context("no stdin")?;
    (&stdin).write_all(words.as_bytes())?;
    drop(stdin);
    assert!(restore.wait()?.success());
    let (a, b) = (first.run(&["id"])?, second.run(&["id"])?);
    assert_eq!(a[0]["address"], b[0]["address"]);
    assert_ne!(a[0]["device"], b[0]["device"]);
    Ok(())
}
