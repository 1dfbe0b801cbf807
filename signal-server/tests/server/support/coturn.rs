//! coturn's programs as test partners.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tincan_signal_server::credentials::TurnSecret;
use tokio::process::Command;
use tokio::time::timeout;

/// The secret of all servers in these tests.
pub(crate) const SECRET: &str = "a-secret-of-the-tests";

/// Longest run of the client; the longest here takes about 6 s.
const DEADLINE: Duration = Duration::from_secs(60);

/// One of coturn's programs, without input and killed when dropped.
pub(crate) fn coturn(program: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    assert!(
        found,
        "{program} is missing: install it with `apt-get install coturn` (`cargo xtask test` does)"
    );
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Username and password that are good for so long.
pub(crate) fn credentials(user: &str, good_for_s: i64) -> (String, String) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let username = format!("{}:{user}", now.checked_add_signed(good_for_s).unwrap());
    let password = TurnSecret::from_text(SECRET).unwrap().password(&username);
    (username, password)
}

/// Runs coturn's client with these options: whether it succeeded, and what it said.
pub(crate) async fn uclient(
    turn: SocketAddr,
    user: &str,
    password: &str,
    options: &[&str],
) -> (bool, String) {
    // Two clients, five packets each, no second stream for RTCP.
    let run = coturn("turnutils_uclient")
        .args([
            "-c", "-m", "2", "-n", "5", "-l", "200", "-u", user, "-w", password,
        ])
        .args(["-p", &turn.port().to_string()])
        .args(options)
        .arg(turn.ip().to_string())
        .output();
    let output = timeout(DEADLINE, run)
        .await
        .expect("turnutils_uclient hangs")
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Whether the client got back all that [`uclient`] lets it send.
pub(crate) fn lost_nothing(said: &str) -> bool {
    said.contains("tot_send_msgs=10, tot_recv_msgs=10") && said.contains("Total lost packets 0 (")
}
