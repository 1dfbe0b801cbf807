//! Servers that do not answer, and servers that cannot start.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use e2e::{Binary, Profile, RelayServer, World, invite};
use socket2::{Domain, Socket, Type};

use super::{LIMIT, TIMED_OUT, refuse};

/// An invite of somebody whose server is of this kind, made while it does not answer.
fn invite_at(folder: &Path, url: &str) -> Result<(Profile, String)> {
    let eve = Profile::init(&folder.join("eve"), "eve", url, url)?;
    let answer = eve.answer(&["invite"])?;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(
        answer.stderr.contains("cannot be reached now"),
        "{answer:?}"
    );
    let link = answer.objects[0]["link"].as_str().unwrap().to_owned();
    Ok((eve, link))
}

/// The profile works without its servers, what needs them ends in time, and says whom it missed.
fn nobody_answers(url: &str) -> Result<()> {
    let world = World::start()?;
    let folder = world.path("elsewhere");
    let (eve, link) = invite_at(&folder, url)?;
    let bob = world.profile("bob")?;
    let start = Instant::now();
    refuse(
        &bob,
        &["add", &link],
        TIMED_OUT,
        &[url, "did not answer in time", "try again"],
    );
    assert!(start.elapsed() < LIMIT);
    assert!(bob.run(&["contacts"])?.is_empty(), "half a contact is left");
    // With a profile whose own servers are not there everything else works the same.
    let carol = world.profile("carol")?;
    let good = invite(&carol, 1)?;
    let start = Instant::now();
    eve.run(&["add", &good])?;
    eve.run(&["send", "carol", "hello"])?;
    let status = eve.run(&["status"])?;
    let server = &status[0]["signal_servers"][0];
    assert_eq!(
        (server["up"].as_bool(), server["url"].as_str()),
        (Some(false), Some(url))
    );
    assert!(start.elapsed() < LIMIT);
    // Carol is asked; what follows waits until her answer can be fetched.
    carol.run(&["contacts"])?;
    assert_eq!(carol.run(&["contacts"])?[0]["name"], "eve");
    Ok(())
}

#[test]
fn a_server_that_never_answers_is_named_and_waited_for_no_longer_than_said() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    nobody_answers(&format!("http://{}", silent.local_addr()?))
}

#[test]
fn a_closed_port_is_named_and_waited_for_no_longer_than_said() -> Result<()> {
    // Somebody has the port, so that nobody else gets it meanwhile, and does not listen.
    let held = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    held.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    let closed = held.local_addr()?.as_socket().context("no address")?;
    nobody_answers(&format!("http://{closed}"))
}

/// Runs a server that does not come up.
fn start(binary: Binary, args: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary.path()?);
    Ok(command.args(args).stdin(Stdio::null()).output()?)
}

/// It ends with code 1 and one line that says these words.
#[track_caller]
fn is_refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
}

#[test]
fn a_port_in_use_is_named_with_the_option_that_helps() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let udp = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let folder = tempfile::tempdir()?;
    let data = folder.path().display().to_string();
    let words = [address.as_str(), "--listen"];
    let relay = start(Binary::Relay, &["--listen", &address, "--data", &data])?;
    is_refused(&relay, &words);
    let server = start(Binary::SignalServer, &["--dev", "--listen", &address])?;
    is_refused(&server, &words);
    let turn = udp.local_addr()?.to_string();
    let server = start(Binary::SignalServer, &["--dev", "--turn-listen", &turn])?;
    is_refused(&server, &[&turn, "--turn-listen"]);
    Ok(())
}

#[test]
fn a_damaged_relay_database_is_named_and_left_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut relay = RelayServer::start(folder.path())?;
    let eve = Profile::init(&folder.path().join("eve"), "eve", relay.url(), relay.url())?;
    eve.run(&["invite"])?;
    assert_eq!(relay.process().terminate()?, Some(0));
    let data = folder.path().join("relay");
    let file = data.join("relay.redb");
    let good = fs::read(&file)?;
    let damaged = [
        b"this is no database at all".repeat(1000),
        good[..good.len() / 2].to_vec(),
        good[..100].to_vec(),
    ];
    for bytes in damaged {
        fs::write(&file, &bytes)?;
        let data = data.display().to_string();
        for (binary, more) in [
            (Binary::Relay, ["--listen", "127.0.0.1:0"].as_slice()),
            (Binary::SignalServer, &["--dev", "--relay"]),
        ] {
            let output = start(binary, &[&["--data", &data], more].concat())?;
            is_refused(&output, &["relay.redb"]);
        }
        assert!(fs::read(&file)? == bytes, "a damaged file was changed");
    }
    fs::write(&file, &good)?;
    relay.restart()?;
    Ok(())
}
