//! The `relay` program as a process.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tincan_protocol::wire::QueueKind;
use tincan_protocol::wire::relay_reply::Kind as Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::client::*;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
    for name in [
        "RELAY_LISTEN",
        "RELAY_DATA",
        "RELAY_PUBLIC_URL",
        "RELAY_DEV",
    ] {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// A program that does not start.
fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(arguments).output().unwrap();
    assert!(stdout.is_empty());
    (status.code(), String::from_utf8(stderr).unwrap())
}

struct Program {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line
            .trim_end()
            .strip_prefix("listening on http://")
            .expect("the line for starters");
        let address = url.parse().unwrap();
        Self {
            child,
            stdout,
            address,
        }
    }

    fn on(data: &Path) -> Self {
        Self::start(&["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()])
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end: exit code, the rest of stdout, stderr.
    fn end(mut self) -> (Option<i32>, String, String) {
        let status = self.child.wait().unwrap();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        (status.code(), stdout, stderr)
    }
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut response))
        .await
        .unwrap()
        .unwrap();
    response
}

#[tokio::test]
async fn a_terminated_relay_says_goodbye_and_exits_with_zero() {
    for signal in ["-TERM", "-INT"] {
        let program = Program::start(&["--dev"]);
        assert!(
            get(program.address, "/healthz")
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert!(get(program.address, "/readyz").await.contains("ready"));
        let mut client = Client::connect(program.address).await.unwrap();
        program.signal(signal);
        assert_eq!(client.close_code().await, Some(1001));
        let (code, stdout, stderr) = program.end();
        assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
        assert!(!stderr.contains("127.0.0.1"), "{stderr}");
    }
}

#[tokio::test]
async fn a_killed_relay_has_kept_what_it_said_was_deposited() {
    let folder = tempfile::tempdir().unwrap();
    let mut deposited = Vec::new();
    for round in 0..5_u8 {
        let program = Program::on(folder.path());
        let mut client = Client::connect(program.address).await.unwrap();
        client.create(&key(1), QueueKind::Mailbox).await;
        for number in 0..60_u8 {
            client.send(deposit(&key(1), [round, number])).await;
        }
        // Answers of one connection's deposits into one queue come in their order.
        for number in 0..20 + round * 5 {
            assert!(matches!(
                client.receive().await.kind,
                Some(Reply::Deposited(_))
            ));
            deposited.push(vec![round, number]);
        }
        program.signal("-KILL");
        program.end();
    }
    let program = Program::on(folder.path());
    let mut client = Client::connect(program.address).await.unwrap();
    client.auth(&key(1)).await;
    client.ask(subscribe(&key(1), 0)).await;
    let mut found = Vec::new();
    let mut last = 0;
    loop {
        match client.receive().await.kind {
            Some(Reply::Deliver(deliver)) => {
                assert!(deliver.index > last);
                last = deliver.index;
                found.push(deliver.envelope.to_vec());
                client.send(ack(&key(1), last)).await;
            }
            Some(Reply::Drained(_)) => break,
            Some(Reply::Done(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(deposited.iter().all(|envelope| found.contains(envelope)));
    let once: std::collections::HashSet<_> = found.iter().collect();
    assert_eq!(once.len(), found.len());
    program.signal("-TERM");
    assert_eq!(program.end().0, Some(0));
}

#[test]
fn a_taken_port_is_one_line_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stderr) = fails(&["--dev", "--listen", &address]);
    assert_eq!(code, Some(1));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains(&address) && stderr.contains("--listen"),
        "{stderr}"
    );
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, stderr) = fails(&["--dev", "--data", file.join("below").to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("--data"), "{stderr}");
}

#[test]
fn a_damaged_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("relay.redb"),
        "not a database, but long enough to be read",
    )
    .unwrap();
    let (code, stderr) = fails(&["--dev", "--data", folder.path().to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains("damaged") && stderr.contains("backup"),
        "{stderr}"
    );
}

#[test]
fn a_database_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::on(folder.path());
    let (code, stderr) = fails(&["--dev", "--data", folder.path().to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("another relay"), "{stderr}");
    program.signal("-TERM");
    assert_eq!(program.end().0, Some(0));
}

#[test]
fn wrong_use_exits_with_two() {
    assert_eq!(fails(&["--listen", "somewhere"]).0, Some(2));
    assert_eq!(fails(&["--public-url", "relay.example.org"]).0, Some(2));
    assert_eq!(fails(&["--unknown"]).0, Some(2));
}

#[test]
fn the_environment_stands_behind_the_flags() {
    let output = command(&[])
        .env("RELAY_DEV", "1")
        .env("RELAY_LISTEN", "nowhere")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("nowhere"), "{stderr}");
}

/// Kills, spread over the time from the first file of a new relay to its being ready.
const KILLS: u32 = 60;

/// So many of them come before it is ready, at least: else none is shown to have met the making. Of the others a
/// busy machine has delayed who kills.
const EARLY: u32 = KILLS / 4;

#[test]
fn regression_a_relay_that_was_killed_while_it_made_its_database_starts_again() {
    let making = time_of_making();
    let mut early = 0;
    for kill in 0..KILLS {
        let folder = tempfile::tempdir().unwrap();
        let mut killed = begin(folder.path());
        std::thread::sleep(making * kill / KILLS);
        killed.kill().unwrap();
        let printed = killed.wait_with_output().unwrap().stdout;
        early += u32::from(printed.is_empty());
        let mut next = Program::on(folder.path());
        next.child.kill().unwrap();
        next.child.wait().unwrap();
    }
    assert!(early >= EARLY, "{early} of {KILLS}, within {making:?}");
}

/// From the first file of a new relay to the line that it is ready.
fn time_of_making() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let mut child = begin(folder.path());
    let began = Instant::now();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let took = began.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    took
}

/// A new relay that has begun to make its database.
fn begin(data: &Path) -> Child {
    let arguments = ["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    let child = command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + DEADLINE;
    while data.read_dir().unwrap().next().is_none() {
        assert!(Instant::now() < deadline, "no file");
        std::hint::spin_loop();
    }
    child
}
