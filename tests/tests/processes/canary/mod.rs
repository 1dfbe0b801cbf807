//! Nothing that people write or call each other leaves their machines in clear, nor lies in clear
//! on a disk: not in a frame, a file of the relay, a line of a log or a page of a database.

mod alone;
mod capture;
mod search;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Daemon, Journal, Profile, States, World, ids, invite, wait_for_link};
use serde_json::json;

use capture::Capture;
use search::Canary;

/// Nothing here takes this long, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Messages of each path and direction, so that one that is cut by a packet's end is not the only
/// one.
const MESSAGES: usize = 20;

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else if path.is_file() {
                vec![path]
            } else {
                Vec::new()
            }
        })
        .collect()
}

/// Fails where one of these is found, and names what and where. Key files are for their owner only.
fn check_files(folder: &Path, canaries: &[(&str, &Canary)]) -> Result<usize> {
    let files: Vec<PathBuf> = files(folder)
        .into_iter()
        .filter(|path| !path.ends_with("key.json"))
        .collect();
    for path in &files {
        check(&path.display().to_string(), &fs::read(path)?, canaries)?;
    }
    Ok(files.len())
}

fn check(place: &str, bytes: &[u8], canaries: &[(&str, &Canary)]) -> Result<()> {
    for (what, canary) in canaries {
        let shapes = canary.found_in(bytes);
        ensure!(shapes.is_empty(), "{what} is in {place}: {shapes:?}");
    }
    Ok(())
}

fn port(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().parse().unwrap()
}

/// Sends the canary many times, and waits until all of it has come this far.
async fn say(from: &mut Daemon, to: &str, canary: &Canary, until: &str) -> Result<()> {
    let texts: Vec<String> = (0..MESSAGES)
        .map(|n| format!("{n} {} {n}", canary.text))
        .collect();
    let mut told = Journal::from_now(from).await?;
    let mut states = States::default();
    let mut all = Vec::new();
    for text in texts {
        let sent = from
            .call("send", json!({"to": to, "texts": [text]}))
            .await?;
        all.extend(ids(&sent)?);
    }
    told.until(until, LIMIT, |event| {
        states.note(event);
        states.all_reached(&all, until)
    })
    .await
}

fn end(daemons: Vec<Daemon>) -> Result<()> {
    for mut daemon in daemons {
        ensure!(daemon.process.terminate()? == Some(0));
    }
    Ok(())
}

/// Both ways over one kind of link.
async fn over_a_link(
    (ann, bob): (&Profile, &Profile),
    (to_ann, to_bob): (&str, &str),
    args: &[&str],
    link: &str,
    canary: &Canary,
) -> Result<()> {
    let mut a = ann.with_args(args).daemon().await?;
    let mut b = bob.with_args(args).daemon().await?;
    wait_for_link(&mut a, to_bob, link, LIMIT).await?;
    wait_for_link(&mut b, to_ann, link, LIMIT).await?;
    say(&mut a, to_bob, canary, "delivered").await?;
    say(&mut b, to_ann, canary, "delivered").await?;
    wait_for_link(&mut a, to_bob, link, Duration::ZERO).await?;
    end(vec![a, b])
}

#[tokio::test(flavor = "multi_thread")]
async fn no_plaintext_is_on_the_wire_in_a_log_at_the_relay_or_in_a_database() -> Result<()> {
    if alone::run_alone() {
        return Ok(());
    }
    let world = World::start()?;
    let wire = Capture::start(world.folder(), &[port(world.server.url())]);
    // What must not be found: words and names. And one that must be.
    let (text, request, names) = (
        Canary::new(),
        Canary::new(),
        [(); 3].map(|()| Canary::new()),
    );
    let [ann_name, bob_name, bobs_for_ann] = &names;
    let control = Canary::new();

    let server = world.server.url().to_owned();
    let (ann_home, bob_home) = (world.path("ann"), world.path("bob"));
    let ann = Profile::init(&ann_home, &ann_name.text, &server, &server)?;
    let bob = Profile::init(&bob_home, &bob_name.text, &server, &server)?;
    let (ann, bob) = (ann.with_args(&["-v"]), bob.with_args(&["-v"]));

    // A request with words, that waits for a decision; and a name of one's own for the other.
    let link = invite(&ann, 2)?;
    let a = ann.daemon().await?;
    let mut asked = Journal::from_start(&a).await?;
    let b = bob.daemon().await?;
    let to_ann = bobs_for_ann.text.as_str();
    bob.run(&["add", &link, "--name", to_ann, "--message", &request.text])?;
    asked
        .until("the request", LIMIT, |event| event["type"] == "request")
        .await?;
    let requests = ann.run(&["requests"])?;
    assert_eq!(requests[0]["text"], request.text.as_str());
    ann.run(&["accept", &bob_name.text])?;
    end(vec![a, b])?;
    let to_bob = bob_name.text.as_str();

    // Direct, through TURN, and by the relay while the other is away.
    let both = (&ann, &bob);
    over_a_link(both, (to_ann, to_bob), &["-v"], "direct", &text).await?;
    let turn_only = ["-v", "--ice", "relay"];
    over_a_link(both, (to_ann, to_bob), &turn_only, "turn", &text).await?;
    for (from, to) in [(&ann, to_bob), (&bob, to_ann)] {
        let mut daemon = from.daemon().await?;
        say(&mut daemon, to, &text, "sent").await?;
        // It lies in the mailbox now.
        check_files(&world.path("server"), &[("a message", &text)])?;
        end(vec![daemon])?;
    }
    let mut b = bob.daemon().await?;
    let mut a = ann.daemon().await?;
    say(&mut b, to_ann, &text, "delivered").await?;
    say(&mut a, to_bob, &text, "delivered").await?;
    let received = a.received(to_bob).await?;
    assert_eq!(received.len(), 1 + 4 * MESSAGES);
    end(vec![a, b])?;
    for (_, shape) in control.shapes() {
        wire.send_in_clear(shape);
    }
    let frames = wire.end();
    let planted = control.found_in(&frames);
    assert_eq!(planted.len(), control.shapes().len(), "only {planted:?}");
    let mut secrets = vec![("a message", &text), ("the words of a request", &request)];
    secrets.extend(names.iter().map(|name| ("a name", name)));
    check("the captured frames", &frames, &secrets)?;

    // Everything else that was written: the relay's files, logs, databases.
    fs::remove_file(world.path("wire.pcap"))?;
    let checked = check_files(world.folder(), &secrets)?;
    assert!(checked >= 7, "only {checked} files");
    let says_something = |path: PathBuf| fs::metadata(path).is_ok_and(|file| file.len() > 100);
    for file in [
        "server/server.log",
        "server/relay/relay.redb",
        "ann/tincan.redb",
        "bob/tincan.redb",
        "ann/daemon.log",
        "bob/daemon.log",
    ] {
        assert!(says_something(world.path(file)), "{file} says nothing");
    }
    // The same search finds what lies there in clear.
    for (name, shape) in control.shapes() {
        fs::write(world.path("ann/planted"), shape)?;
        let found = check_files(world.folder(), &[("the control", &control)]);
        assert!(found.is_err(), "{name}");
    }
    Ok(())
}
