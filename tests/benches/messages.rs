//! What a message costs: from `Peer::send` to the other side's event, durable on both sides, against
//! the raw data channel of the same WebRTC crate in the same run; direct and through TURN.
//!
//! ```text
//! cargo bench -p e2e --bench messages
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and one that fails stops"
)]

#[path = "../../peer/link/tests/links/support/raw_pair.rs"]
mod raw_pair;
#[path = "../../peer/link/src/transport/runtime.rs"]
#[allow(
    dead_code,
    reason = "the sources themselves: they are no part of the crate's interface"
)]
mod runtime;
#[path = "../../peer/link/src/transport/socket.rs"]
mod socket;
#[path = "../../peer/link/src/transport/strangers.rs"]
#[allow(
    dead_code,
    reason = "the sources themselves: they are no part of the crate's interface"
)]
mod strangers;

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::{Binary, Profile, ServerOptions, SignalServer, wait_for_link};
use raw_pair::RawPair;
use runtime::{PassRuntime, PathMode};
use tincan_link::IceServer;
use tincan_peer::{Event, Events, IcePolicy, IdentityId, LinkStatus, NewProfile, Peer, ServerUrl};
use tincan_signal_server::credentials::{Issuer, TurnSecret};
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use webrtc::runtime::Runtime;

/// A short text, bytes.
const TEXT: usize = 200;

/// Messages one at a time.
const SINGLE: usize = 1_000;

/// Messages with [`IN_FLIGHT`] of them on their way.
const MANY: usize = 20_000;

const IN_FLIGHT: usize = 64;

/// Lines through `peer send TO -`.
const BULK: usize = 100_000;

/// Pages that a commit of one message writes, seen with strace.
const COMMIT_PAGES: u64 = 10;

/// Syncs that the disk is measured with.
const SYNCS: usize = 200;

const SECRET: &str = "a secret of this bench alone, 32 B";

#[tokio::main]
async fn main() {
    e2e::build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for pages in [1, COMMIT_PAGES] {
        let sync = ms(disk_sync(folder.path(), pages));
        println!("one disk sync ({pages} x 4 KiB and fdatasync): {sync:.2} ms");
    }
    let server = start_server(folder.path());
    println!(
        "{:<26} {:>10} {:>10} {:>12}",
        "200 B", "p50 (ms)", "p99 (ms)", "messages/s"
    );
    for (path, policy) in [("direct", IcePolicy::All), ("TURN", IcePolicy::RelayOnly)] {
        let turn = (policy == IcePolicy::RelayOnly).then(|| turn_server(&server));
        raw(path, turn.as_ref()).await;
        let home = folder.path().join(path);
        peers(path, policy, &home, server.url()).await;
        bulk(
            path,
            policy,
            &folder.path().join(format!("{path}-bulk")),
            server.url(),
        )
        .await;
    }
}

fn print(what: &str, p50: Option<Duration>, p99: Option<Duration>, rate: Option<f64>) {
    let time =
        |time: Option<Duration>| time.map_or(String::new(), |time| format!("{:.2}", ms(time)));
    let rate = rate.map_or(String::new(), |rate| format!("{rate:.0}"));
    println!("{what:<26} {:>10} {:>10} {rate:>12}", time(p50), time(p99));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The middle time of a write that is made durable: so many pages of 4 KiB, far from each other, as a
/// commit of redb writes them.
fn disk_sync(folder: &Path, pages: u64) -> Duration {
    let file = std::fs::File::create(folder.join("sync")).unwrap();
    let mut times: Vec<Duration> = (0..SYNCS as u64)
        .map(|turn| {
            let start = Instant::now();
            for page in 0..pages {
                let at = (page * 64 + turn % 64) * 4096;
                file.write_all_at(&[turn as u8; 4096], at).unwrap();
            }
            file.sync_data().unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[SYNCS / 2]
}

fn start_server(folder: &Path) -> SignalServer {
    let secret = folder.join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let args = vec![
        "--turn-secret-file".to_owned(),
        secret.display().to_string(),
    ];
    let options = ServerOptions {
        args,
        ..ServerOptions::default()
    };
    SignalServer::start(&folder.join("server"), options).unwrap()
}

/// Credentials as the server gives them to those who have logged in.
fn turn_server(server: &SignalServer) -> IceServer {
    let log = std::fs::read_to_string(server.data().join("server.log")).unwrap();
    let address = log
        .lines()
        .find_map(|line| line.split("TURN for ").nth(1))
        .unwrap();
    let urls = vec![format!("turn:{}?transport=udp", address.trim())];
    let issuer = Issuer::new(TurnSecret::from_text(SECRET).unwrap(), urls);
    let unix_s = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let turn = issuer.issue(&tincan_protocol::SignalAddress::from_bytes([7; 32]), unix_s);
    IceServer {
        urls: turn.urls,
        username: turn.username,
        credential: turn.credential,
    }
}

/// The channel alone: half a round trip, and messages as they arrive.
async fn raw(path: &str, turn: Option<&IceServer>) {
    let modes = [(); 2].map(|()| Arc::new(PathMode::connecting()));
    let runtimes = modes
        .clone()
        .map(|mode| -> Arc<dyn Runtime> { Arc::new(PassRuntime::new(mode)) });
    let pair = RawPair::connect(turn, runtimes, 128 * 1024).await;
    if turn.is_none() {
        modes.iter().for_each(|mode| mode.settle(false, false));
    }
    let times = pair.round_trips(SINGLE).await;
    let (p50, p99) = (times[SINGLE / 2] / 2, times[SINGLE * 99 / 100] / 2);
    let [ann, bob] = pair.ends.clone();
    let start = Instant::now();
    let sending = tokio::spawn(async move {
        for _ in 0..BULK {
            ann.send(Bytes::from_static(&[7; TEXT])).await;
        }
    });
    for _ in 0..BULK {
        bob.receive().await;
    }
    let rate = BULK as f64 / start.elapsed().as_secs_f64();
    sending.await.unwrap();
    modes.iter().for_each(|mode| mode.end_passes());
    pair.close().await;
    print(
        &format!("{path}, raw channel"),
        Some(p50),
        Some(p99),
        Some(rate),
    );
}

/// The library: two peers in this process.
async fn peers(path: &str, policy: IcePolicy, home: &Path, url: &str) {
    let (ann, bob) = (
        open(&home.join("ann"), "ann", policy, url).await,
        open(&home.join("bob"), "bob", policy, url).await,
    );
    let invite = ann.invite(1, Duration::from_secs(600)).await.unwrap();
    wait_until(&ann, |status| status.relays.iter().all(|relay| relay.ready)).await;
    let to_ann = bob.add(invite).await.unwrap();
    wait_until(&bob, |status| {
        status
            .contacts
            .iter()
            .any(|contact| matches!(contact.link, LinkStatus::Up { .. }))
    })
    .await;
    let text = "x".repeat(TEXT);

    let mut events = ann.events_after(ann.last_cursor());
    let mut times = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        let start = Instant::now();
        let (sent, ()) = tokio::join!(bob.send(&to_ann, &text), message(&mut events));
        sent.unwrap();
        times.push(start.elapsed());
    }
    let rate = SINGLE as f64 / times.iter().sum::<Duration>().as_secs_f64();
    times.sort();
    let (p50, p99) = (times[SINGLE / 2], times[SINGLE * 99 / 100]);
    print(
        &format!("{path}, one at a time"),
        Some(p50),
        Some(p99),
        Some(rate),
    );

    let (times, rate) = in_flight(&bob, &to_ann, &mut events, &text).await;
    let (p50, p99) = (times[MANY / 2], times[MANY * 99 / 100]);
    print(
        &format!("{path}, {IN_FLIGHT} in flight"),
        Some(p50),
        Some(p99),
        Some(rate),
    );
    ann.shutdown().await.unwrap();
    bob.shutdown().await.unwrap();
}

/// Keeps [`IN_FLIGHT`] messages between `send` and the other side's event.
async fn in_flight(
    bob: &Peer,
    to: &IdentityId,
    events: &mut Events,
    text: &str,
) -> (Vec<Duration>, f64) {
    let start = Instant::now();
    let (mut sending, mut started) = (JoinSet::new(), std::collections::VecDeque::new());
    let mut times = Vec::with_capacity(MANY);
    let mut sent = 0;
    while times.len() < MANY {
        while sent < MANY && started.len() < IN_FLIGHT {
            let (peer, to, text) = (bob.clone(), *to, text.to_owned());
            started.push_back(Instant::now());
            sending.spawn(async move { peer.send(&to, &text).await.unwrap() });
            sent += 1;
        }
        message(events).await;
        times.push(started.pop_front().unwrap().elapsed());
        while sending.try_join_next().is_some() {}
    }
    let rate = MANY as f64 / start.elapsed().as_secs_f64();
    times.sort();
    (times, rate)
}

/// The programs: lines through `peer send TO -`, until the last is delivered, and printed.
async fn bulk(path: &str, policy: IcePolicy, home: &Path, url: &str) {
    let ice = if policy == IcePolicy::All {
        "all"
    } else {
        "relay"
    };
    let link = if policy == IcePolicy::All {
        "direct"
    } else {
        "turn"
    };
    let ann = Profile::init(&home.join("ann"), "ann", url, url)
        .unwrap()
        .with_args(&["--ice", ice]);
    let bob = Profile::init(&home.join("bob"), "bob", url, url)
        .unwrap()
        .with_args(&["--ice", ice]);
    let invite = ann.run(&["invite"]).unwrap();
    bob.run(&["add", invite[0]["link"].as_str().unwrap()])
        .unwrap();
    let (mut a, _b) = (ann.daemon().await.unwrap(), bob.daemon().await.unwrap());
    wait_for_link(&mut a, "bob", link, Duration::from_secs(30))
        .await
        .unwrap();

    let lines: String = (0..BULK)
        .map(|number| format!("{:.<TEXT$}\n", format!("{number} ")))
        .collect();
    let start = Instant::now();
    let mut send = Command::new(Binary::Peer.path().unwrap());
    send.arg("--home").arg(ann.home()).args([
        "send",
        "bob",
        "-",
        "--wait",
        "delivered",
        "--timeout",
        "120s",
    ]);
    let mut child = send
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let status = tokio::task::spawn_blocking(move || child.wait())
        .await
        .unwrap()
        .unwrap();
    writing.join().unwrap().unwrap();
    assert!(status.success());
    print(
        &format!("{path}, {BULK} lines"),
        None,
        None,
        Some(BULK as f64 / start.elapsed().as_secs_f64()),
    );
}

async fn open(home: &Path, name: &str, policy: IcePolicy, url: &str) -> Peer {
    let server: ServerUrl = url.parse().unwrap();
    let new = NewProfile {
        name: name.to_owned(),
        signal_servers: vec![server.clone()],
        relay: server,
        restore: None,
    };
    Peer::builder().home(home).init(new).unwrap();
    Peer::builder()
        .home(home)
        .ice_policy(policy)
        .spawn()
        .await
        .unwrap()
}

async fn wait_until(peer: &Peer, holds: impl Fn(&tincan_peer::StatusReport) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds(&peer.status().await.unwrap()) {
        assert!(Instant::now() < deadline, "{:?}", peer.status().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The next message.
async fn message(events: &mut Events) {
    loop {
        match events.next().await.unwrap().unwrap().event {
            Event::Message(_) => return,
            _ => continue,
        }
    }
}
