//! Homes that are in use, passphrases that are wrong, files that are damaged.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use e2e::{Journal, Process, Profile, World};
use serde_json::Value;

use super::{
    FAILED, LIMIT, NOT_FOUND, TIMED_OUT, WRONG_USE, has_not_panicked, history, is_refused, refuse,
};

const URL: &str = "http://127.0.0.1:1";

#[test]
fn a_home_without_a_profile_is_not_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ann = Profile::init(&folder.path().join("ann"), "ann", URL, URL)?;
    fs::remove_file(ann.home().join("key.json"))?;
    fs::remove_file(ann.home().join("tincan.redb"))?;
    refuse(&ann, &["id"], NOT_FOUND, &["no profile", "peer init"]);
    Ok(())
}

#[test]
fn regression_a_profile_that_has_lost_its_key_file_is_not_overwritten() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ann = Profile::init(&folder.path().join("ann"), "ann", URL, URL)?;
    let address = ann.run(&["id"])?[0]["address"].clone();
    let key = fs::read(ann.home().join("key.json"))?;
    fs::remove_file(ann.home().join("key.json"))?;
    refuse(&ann, &["id"], FAILED, &["key.json is missing", "copy"]);

    // Who makes a new one all the same still has the old one.
    Profile::init(ann.home(), "new", URL, URL)?;
    let mut old = fs::read_dir(ann.home())?;
    let old = old.find_map(|file| {
        let path = file.ok()?.path();
        let name = path.file_name()?.to_str()?;
        (name.starts_with("tincan.redb.") && name.ends_with(".old")).then_some(path)
    });
    fs::rename(
        old.context("the old database is gone")?,
        ann.home().join("tincan.redb"),
    )?;
    fs::write(ann.home().join("key.json"), key)?;
    assert_eq!(ann.run(&["id"])?[0]["address"], address);
    Ok(())
}

#[test]
fn regression_a_profile_whose_words_could_not_be_printed_is_removed_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let home = folder.path().join("ann");
    let init = ["--no-keyring", "init", "--name", "ann", "--server", URL];
    let full = File::options().write(true).open("/dev/full")?;
    let mut command = Profile::at(&home).command(&init)?;
    let output = command.stdout(full).output()?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(FAILED), "{said}");
    assert!(
        said.contains("24 words") && said.contains("peer init"),
        "{said}"
    );
    assert!(!home.join("key.json").exists() && !home.join("tincan.redb").exists());
    Profile::init(&home, "ann", URL, URL)?;
    Ok(())
}

#[test]
fn regression_a_home_in_use_whose_socket_does_not_answer_is_no_reason_to_hang() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ann = Profile::init(&folder.path().join("ann"), "ann", URL, URL)?;
    let words = ["in use by another process", "end that process"];
    let lock = File::options().write(true).open(ann.home().join("lock"))?;
    lock.lock()?;
    // No socket; one that nobody listens at; one that takes the call and never answers.
    let start = Instant::now();
    refuse(&ann, &["id"], FAILED, &words);
    let socket = ann.home().join("peer.sock");
    let listener = UnixListener::bind(&socket)?;
    refuse(&ann, &["id"], FAILED, &words);
    drop(listener);
    refuse(&ann, &["id"], FAILED, &words);
    assert!(start.elapsed() < LIMIT);
    lock.unlock()?;
    ann.run(&["id"])?;
    Ok(())
}

#[tokio::test]
async fn regression_a_process_that_stops_answering_is_not_waited_for_longer_than_said() -> Result<()>
{
    let world = World::start()?;
    let (ann, _bob) = world.ann_and_bob()?;
    let daemon = ann.daemon().await?;
    let mut news = Journal::from_now(&daemon).await?;
    let waiting = std::thread::spawn(move || {
        // Nobody reads at the other end.
        ann.answer(&["send", "bob", "hello", "--wait", "read", "--timeout", "3s"])
    });
    let is_sent = |event: &Value| event["type"] == "state" && event["state"] == "sent";
    news.until("the message is sent", LIMIT, is_sent).await?;
    daemon.process.pause()?;
    let began = Instant::now();
    let answer = waiting.join().expect("the command")?;
    daemon.process.resume()?;
    assert_eq!(answer.code, Some(TIMED_OUT), "{answer:?}");
    let said = answer
        .objects
        .iter()
        .map(|object| object["message"].to_string());
    let said: Vec<String> = said.collect();
    assert!(
        said.iter()
            .any(|said| said.contains("does not answer any more")),
        "{said:?}"
    );
    assert!(
        began.elapsed() < LIMIT,
        "it has waited {:?}",
        began.elapsed()
    );
    Ok(())
}

#[test]
fn regression_a_home_that_is_a_file_or_holds_other_things_is_refused_and_left_alone() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    fs::write(&file, "x")?;
    let init = ["--no-keyring", "init", "--name", "ann", "--server", URL];
    for args in [&["id"][..], &["send", "bob", "hello"], &init] {
        let words = ["is not a folder", "--home DIR"];
        refuse(&Profile::at(&file), args, FAILED, &words);
    }
    assert_eq!(fs::read(&file)?, b"x");
    // A folder of somebody else's things that everybody can look into.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    refuse(
        &Profile::at(folder.path()),
        &init,
        FAILED,
        &["open to other users", "an empty folder"],
    );
    assert_eq!(fs::metadata(folder.path())?.mode() & 0o777, 0o755);
    Ok(())
}

#[test]
fn regression_the_files_of_a_running_profile_are_private_and_its_path_may_be_long() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let home = folder.path().join("long".repeat(40));
    let ann = Profile::init(&home, "ann", URL, URL)?;
    let mut command = ann.command(&["daemon"])?;
    let mut daemon = Process::start(&mut command, &folder.path().join("log"))?;
    daemon.line()?;
    // Through its socket: the daemon has the lock.
    ann.run(&["contacts"])?;
    assert_eq!(fs::metadata(&home)?.mode() & 0o777, 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&home)? {
        let entry = entry?;
        assert_eq!(entry.metadata()?.mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name());
    }
    names.sort();
    assert_eq!(names, ["key.json", "lock", "peer.sock", "tincan.redb"]);
    assert_eq!(daemon.terminate()?, Some(0));
    Ok(())
}

#[test]
fn a_wrong_or_missing_passphrase_is_refused_and_the_right_one_opens_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (right, wrong) = (
        file("right", "correct horse\n"),
        file("wrong", "wrong horse\n"),
    );
    let empty = file("empty", "\n");
    let missing = folder.path().join("missing").display().to_string();
    let home = folder.path().join("ann");
    let handle = Profile::at(&home);
    let with = |file: &str| handle.with_args(&["--passphrase-file", file]);
    let init = ["init", "--name", "ann", "--server", URL];
    refuse(
        &with(&missing),
        &init,
        WRONG_USE,
        &[&missing, "give a file that you can read"],
    );
    refuse(&with(&empty), &init, WRONG_USE, &[&empty, "first line"]);
    refuse(
        &handle,
        &init,
        WRONG_USE,
        &["--passphrase-file", "--no-keyring"],
    );
    with(&right).run(&init)?;

    refuse(
        &handle,
        &["id"],
        WRONG_USE,
        &["passphrase", "--passphrase-file"],
    );
    refuse(
        &with(&wrong),
        &["id"],
        FAILED,
        &["wrong passphrase", "nothing has changed"],
    );
    // Whoever needs no key is not asked for it: the process that runs the profile has it.
    let mut daemon = with(&right).command(&["daemon"])?;
    let mut daemon = Process::start(&mut daemon, &folder.path().join("daemon.log"))?;
    daemon.line()?;
    assert_eq!(handle.run(&["id"])?[0]["name"], "ann");
    assert_eq!(daemon.terminate()?, Some(0));
    refuse(&with(&missing), &["id"], WRONG_USE, &[&missing]);
    refuse(&with(&empty), &["id"], WRONG_USE, &[&empty]);
    assert_eq!(with(&right).run(&["id"])?[0]["name"], "ann");
    Ok(())
}

#[test]
fn a_damaged_key_file_is_named_and_left_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ann = Profile::init(&folder.path().join("ann"), "ann", URL, URL)?;
    let file = ann.home().join("key.json");
    let good = fs::read(&file)?;
    let half = good[..good.len() / 2].to_vec();
    for bytes in [
        b"".to_vec(),
        b"garbage".to_vec(),
        b"{}".to_vec(),
        half,
        vec![0xff; 200],
    ] {
        fs::write(&file, &bytes)?;
        refuse(&ann, &["id"], FAILED, &["key.json", "damaged", "restore"]);
        assert_eq!(fs::read(&file)?, bytes);
    }
    // The key of another profile: it is a key, and opens nothing.
    let bob = Profile::init(&folder.path().join("bob"), "bob", URL, URL)?;
    fs::copy(bob.home().join("key.json"), &file)?;
    refuse(&ann, &["id"], FAILED, &["decrypted"]);
    fs::write(&file, &good)?;
    ann.run(&["id"])?;
    Ok(())
}

/// A profile with some messages in its database.
fn with_history() -> Result<(World, Profile, Vec<String>)> {
    let world = World::start()?;
    let (ann, _bob) = world.ann_and_bob()?;
    let lines: Vec<String> = (0..100)
        .map(|n| format!("message {n} {}", "x".repeat(500)))
        .collect();
    let answer = ann.answer_to(&["send", "bob", "-"], lines.join("\n"))?;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    Ok((world, ann, lines))
}

#[test]
fn a_database_that_is_garbage_or_cut_is_named_and_left_alone() -> Result<()> {
    let (_world, ann, lines) = with_history()?;
    let file = ann.home().join("tincan.redb");
    let good = fs::read(&file)?;
    let mut cuts: Vec<Vec<u8>> = [1, 100, 512, 4_096, good.len() / 2, good.len() - 4_096]
        .map(|len| good[..len].to_vec())
        .into();
    cuts.push(Vec::new());
    cuts.push(b"this is no database at all ".repeat(10_000));
    cuts.push(vec![0; good.len()]);
    for bytes in cuts {
        fs::write(&file, &bytes)?;
        for args in [&["id"][..], &["history", "bob"], &["send", "bob", "hello"]] {
            let answer = ann.answer(args)?;
            let len = bytes.len();
            assert_ne!(
                answer.code,
                Some(0),
                "{len} of {} bytes: {answer:?}",
                good.len()
            );
            is_refused(&answer, FAILED, &["damaged", "keep the folder", "24 words"]);
        }
        assert!(
            fs::read(&file)? == bytes,
            "a damaged file of {} bytes was changed",
            bytes.len()
        );
    }
    fs::write(&file, &good)?;
    assert_eq!(history(&ann, "bob"), lines);
    Ok(())
}

/// Flips a byte in the middle of each of these places, one at a time.
fn damage(ann: &Profile, file: &Path, good: &[u8], at: usize) -> Result<usize> {
    let mut bytes = good.to_vec();
    bytes[at] ^= 0xff;
    fs::write(file, &bytes)?;
    let mut failures = 0;
    for args in [
        &["id"][..],
        &["history", "bob", "--limit", "1000"],
        &["send", "bob", "hello"],
    ] {
        let answer = ann.answer(args)?;
        has_not_panicked(&answer);
        match answer.code {
            Some(0) => {}
            code => {
                is_refused(&answer, FAILED, &[]);
                assert_eq!(code, Some(FAILED), "byte {at}");
                failures += 1;
            }
        }
    }
    Ok(failures)
}

#[test]
fn regression_a_flipped_byte_of_the_database_is_an_error_and_never_a_panic() -> Result<()> {
    let (_world, ann, lines) = with_history()?;
    let file = ann.home().join("tincan.redb");
    let good = fs::read(&file)?;
    let mut places: Vec<usize> = (0..320).step_by(16).collect();
    // Pages that hold something, at their head and in their middle.
    let pages = good.chunks(4_096).enumerate();
    let used: Vec<usize> = pages
        .filter(|(_, page)| page.iter().any(|byte| *byte != 0))
        .map(|(number, _)| number * 4_096)
        .collect();
    let step = used.len().div_ceil(24).max(1);
    let pages = used.iter().step_by(step);
    places.extend(pages.flat_map(|page| [*page, page + 5, page + 2_048]));
    places.retain(|at| *at < good.len());
    assert!(places.len() > 60, "only {} places", places.len());
    let mut failures = 0;
    for at in places {
        failures += damage(&ann, &file, &good, at)?;
    }
    assert!(failures > 20, "damage was noticed only {failures} times");
    fs::write(&file, &good)?;
    assert_eq!(history(&ann, "bob"), lines);
    Ok(())
}
