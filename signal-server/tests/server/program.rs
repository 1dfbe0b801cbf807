//! The `signal-server` program as a person or a supervisor runs it.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

/// Exit must come within this time after SIGTERM.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signal-server"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A program that ends by itself.
async fn ends(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = timeout(DEADLINE, program(arguments).output())
        .await
        .unwrap()
        .unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A program that is ready, and its address.
async fn ready(arguments: &[&str]) -> (Child, String) {
    let mut child = program(arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(DEADLINE, lines.next_line())
        .await
        .unwrap()
        .unwrap()
        .expect("it ended");
    let url = line
        .strip_prefix("listening on http://")
        .unwrap()
        .to_owned();
    (child, url)
}

async fn stop(mut child: Child, signal: &str) -> String {
    let pid = child.id().unwrap().to_string();
    assert!(
        std::process::Command::new("kill")
            .args([signal, &pid])
            .status()
            .unwrap()
            .success()
    );
    let status = timeout(STOP_DEADLINE, child.wait())
        .await
        .expect("it does not stop")
        .unwrap();
    assert_eq!(status.code(), Some(0));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .await
        .unwrap();
    said
}

async fn status_of(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    answer.split_whitespace().nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn development_mode_runs_everything_on_loopback_and_says_how_to_use_it() {
    let (child, address) = ready(&["--dev", "--relay"]).await;
    assert!(address.starts_with("127.0.0.1:"));
    assert_eq!(status_of(&address, "/healthz").await, "200");
    assert_eq!(status_of(&address, "/readyz").await, "200");
    // The relay's route is there and wants a WebSocket.
    assert_ne!(status_of(&address, "/relay").await, "404");
    let said = stop(child, "-TERM").await;
    assert!(
        said.contains(&format!(
            "peer init --server http://{address} --relay http://{address}\n"
        )),
        "{said}"
    );
}

#[tokio::test]
async fn both_signals_end_it_in_order() {
    for signal in ["-TERM", "-INT"] {
        let (child, _) = ready(&["--dev"]).await;
        stop(child, signal).await;
    }
}

#[tokio::test]
async fn it_can_be_configured_by_environment() {
    let mut command = program(&[]);
    command
        .env("SIGNAL_SERVER_LISTEN", "127.0.0.1:0")
        .env("SIGNAL_SERVER_NO_TURN", "true");
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(DEADLINE, lines.next_line())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(line.starts_with("listening on http://127.0.0.1:"));
    stop(child, "-TERM").await;
}

#[tokio::test]
async fn the_relays_data_stays_where_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new");
    let (child, _) = ready(&["--dev", "--relay", "--data", data.to_str().unwrap()]).await;
    stop(child, "-TERM").await;
    assert!(data.join("relay.redb").exists());
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_line_that_helps() {
    let (child, address) = ready(&["--dev"]).await;
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short");
    std::fs::write(&short, "short\n").unwrap();
    let short = short.to_str().unwrap();
    let table: [(&[&str], &str); 6] = [
        (&["--listen", &address, "--no-turn"], "--listen"),
        (
            &["--listen", "127.0.0.1:0", "--no-turn", "--relay"],
            "--data",
        ),
        (
            &["--dev", "--turn-secret-file", "/nonexistent"],
            "--turn-secret-file",
        ),
        (&["--dev", "--turn-secret-file", short], "openssl rand"),
        (
            &["--dev", "--turn-listen", "192.0.2.1:3478"],
            "--turn-listen",
        ),
        (&["--dev", "--turn-public-ip", "::1"], "both must be IPv4"),
    ];
    for (arguments, help) in table {
        let (code, said) = ends(arguments).await;
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(
            said.contains(help) && said.lines().count() == 1,
            "{arguments:?}: {said}"
        );
    }
    stop(child, "-TERM").await;
}

#[tokio::test]
async fn wrong_use_is_status_two() {
    let table: [&[&str]; 6] = [
        &["--listen", "nowhere"],
        &["--public-url", "chat.example.org"],
        &["--turn-ports", "9-1"],
        &["--turn-url", "turn:turn.example.org"],
        &[
            "--no-turn",
            "--turn-secret-file",
            "x",
            "--turn-url",
            "https://turn.example.org",
        ],
        &["--dance"],
    ];
    for arguments in table {
        assert_eq!(ends(arguments).await.0, Some(2), "{arguments:?}");
    }
}
