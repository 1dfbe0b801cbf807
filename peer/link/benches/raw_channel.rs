//! What a link costs against the data channel under it: same WebRTC crate, same runtime, same
//! sockets, same process. Direct, and through a real TURN server (`turnserver` of Debian's package
//! coturn).
//!
//! ```text
//! cargo bench -p tincan-link
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that fails stops"
)]
#![allow(clippy::print_stdout, reason = "its result")]

#[path = "../src/transport/runtime.rs"]
#[allow(
    dead_code,
    reason = "the sources themselves: they are no part of the crate's interface"
)]
mod runtime;
#[path = "../src/transport/socket.rs"]
mod socket;
#[path = "../src/transport/strangers.rs"]
#[allow(
    dead_code,
    reason = "the sources themselves: they are no part of the crate's interface"
)]
mod strangers;
#[path = "../tests/links/support/mod.rs"]
#[allow(
    dead_code,
    reason = "what the tests share, of which a part is used here"
)]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use runtime::{PassRuntime, PathMode};
use support::coturn::Coturn;
use support::raw_pair::{RawEnd, RawPair};
use support::{Plain, loopback, put, strangers};
use tincan_link::{IcePolicy, IceServer, LinkConfig, LinkEvent, LinkHandle};
use tokio::sync::mpsc;
use webrtc::runtime::Runtime;

/// Message sizes, bytes: a short text sealed, and the largest envelope.
const SMALL: usize = 200;
const LARGE: usize = 56 * 1024;

/// How long each measurement sends.
const TIME: Duration = Duration::from_secs(2);

const ROUND_TRIPS: usize = 2_000;

/// Connections that are held open to see what one costs.
const IDLE: usize = 20;

/// Each figure is the middle one of so many, raw and link in turn, because a shared machine is never
/// quiet.
const REPEATS: usize = 3;

#[tokio::main]
async fn main() {
    // Memory is measured in processes of their own: what others have freed would hide it.
    match std::env::args().nth(1).as_deref() {
        Some("idle-raw") => return println!("{}", idle_memory(|| raw(None)).await / 1024),
        Some("idle-link") => return println!("{}", idle_memory(|| link(None)).await / 1024),
        _ => {}
    }
    println!(
        "KB per idle end: raw {}, link {}",
        in_own_process("idle-raw"),
        in_own_process("idle-link")
    );
    let coturn = Coturn::start();
    let server = coturn.ice_server();
    println!(
        "{:<18} {:>12} {:>8} {:>8} {:>12}",
        "", "200 B msg/s", "p50 us", "p99 us", "56 KiB MB/s"
    );
    for (path, turn) in [("direct", None), ("through TURN", Some(&server))] {
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..REPEATS {
            figures[0].push(measure(raw(turn).await).await);
            figures[1].push(measure(link(turn).await).await);
        }
        for (name, figures) in ["raw", "link"].iter().zip(figures) {
            let middle = |of: fn(&Figures) -> f64| {
                let mut all: Vec<f64> = figures.iter().map(of).collect();
                all.sort_by(f64::total_cmp);
                all[REPEATS / 2]
            };
            println!(
                "{:<18} {:>12.0} {:>8.0} {:>8.0} {:>12.1}",
                format!("{path}, {name}"),
                middle(|f| f.rate),
                middle(|f| f.p50_us),
                middle(|f| f.p99_us),
                middle(|f| f.megabytes)
            );
        }
    }
}

/// What one pair did.
struct Figures {
    /// Messages of [`SMALL`] bytes a second.
    rate: f64,
    p50_us: f64,
    p99_us: f64,
    /// In messages of [`LARGE`] bytes, a second.
    megabytes: f64,
}

async fn measure(mut pair: Pair) -> Figures {
    let (p50, p99) = pair.round_trips().await;
    let rate = pair.rate(SMALL).await;
    let megabytes = pair.rate(LARGE).await * LARGE as f64 / 1e6;
    pair.close().await;
    Figures {
        rate,
        p50_us: p50.as_micros() as f64,
        p99_us: p99.as_micros() as f64,
        megabytes,
    }
}

/// What one end of a connection that is up costs, bytes.
async fn idle_memory<F: Future<Output = Pair>>(make: impl Fn() -> F) -> u64 {
    let before = resident();
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(make().await);
    }
    let memory = resident().saturating_sub(before) / (2 * IDLE as u64);
    for pair in idle {
        pair.close().await;
    }
    memory
}

/// Two ends that can send and receive, whatever is between them.
struct Pair {
    ends: [End; 2],
    /// Kept to be closed.
    raw: Option<(RawPair, [Arc<PathMode>; 2])>,
}

enum End {
    Raw(RawEnd),
    Link(LinkHandle, mpsc::Receiver<LinkEvent>),
}

/// What sends; the receiving half stays with the end.
#[derive(Clone)]
enum Sender {
    Raw(RawEnd),
    Link(LinkHandle),
}

impl Sender {
    async fn send(&self, message: Bytes) {
        match self {
            Self::Raw(end) => end.send(message).await,
            Self::Link(handle) => handle.send(message).await.unwrap(),
        }
    }
}

impl End {
    fn sender(&self) -> Sender {
        match self {
            Self::Raw(end) => Sender::Raw(end.clone()),
            Self::Link(handle, _) => Sender::Link(handle.clone()),
        }
    }

    async fn receive(&mut self) {
        match self {
            Self::Raw(end) => {
                end.receive().await;
            }
            Self::Link(_, events) => match events.recv().await {
                Some(LinkEvent::Frame(_)) => {}
                event => panic!("{event:?}"),
            },
        }
    }
}

async fn raw(turn: Option<&IceServer>) -> Pair {
    // The window is the link's smallest for such a path.
    let window = if turn.is_some() {
        64 * 1024
    } else {
        128 * 1024
    };
    let modes = [(); 2].map(|()| Arc::new(PathMode::connecting()));
    let runtimes = modes
        .clone()
        .map(|mode| -> Arc<dyn Runtime> { Arc::new(PassRuntime::new(mode)) });
    let pair = RawPair::connect(turn, runtimes, window).await;
    if turn.is_none() {
        modes.iter().for_each(|mode| mode.settle(false, false));
    }
    let [ann, bob] = pair.ends.clone();
    Pair {
        ends: [End::Raw(ann), End::Raw(bob)],
        raw: Some((pair, modes)),
    }
}

async fn link(turn: Option<&IceServer>) -> Pair {
    let mut config = loopback();
    if let Some(turn) = turn {
        config.ice_servers = vec![turn.clone()];
        config.policy = IcePolicy::RelayOnly;
    }
    let ((ann, ann_events), (bob, bob_events)) = connected_plain(config.clone(), config).await;
    Pair {
        ends: [End::Link(ann, ann_events), End::Link(bob, bob_events)],
        raw: None,
    }
}

impl Pair {
    async fn close(self) {
        if let Some((raw, modes)) = self.raw {
            // Closing waits for the TURN allocations' release, by a sleep that must be real.
            modes.iter().for_each(|mode| mode.end_passes());
            raw.close().await;
        }
        for end in self.ends {
            if let End::Link(handle, mut events) = end {
                handle.close("measured");
                while events.recv().await.is_some() {}
            }
        }
    }

    /// Messages a second, one way, as they arrive.
    async fn rate(&mut self, len: usize) -> f64 {
        let [ann, bob] = &mut self.ends;
        let (sender, message) = (ann.sender(), put(0, len));
        let began = Instant::now();
        let mut sending = tokio::spawn(async move {
            let mut sent = 0u64;
            while began.elapsed() < TIME {
                sender.send(message.clone()).await;
                sent += 1;
            }
            sent
        });
        let mut received = 0;
        let sent = loop {
            tokio::select! {
                sent = &mut sending => break sent.unwrap(),
                () = bob.receive() => received += 1,
            }
        };
        while received < sent {
            bob.receive().await;
            received += 1;
        }
        received as f64 / began.elapsed().as_secs_f64()
    }

    /// Round trips of a small message: middle and 99th percentile.
    async fn round_trips(&mut self) -> (Duration, Duration) {
        let [ann, bob] = &mut self.ends;
        let (to_bob, to_ann, message) = (ann.sender(), bob.sender(), put(0, SMALL));
        let mut times = Vec::with_capacity(ROUND_TRIPS);
        for _ in 0..ROUND_TRIPS {
            let sent = Instant::now();
            to_bob.send(message.clone()).await;
            bob.receive().await;
            to_ann.send(message.clone()).await;
            ann.receive().await;
            times.push(sent.elapsed());
        }
        times.sort();
        (times[ROUND_TRIPS / 2], times[ROUND_TRIPS * 99 / 100])
    }
}

fn in_own_process(what: &str) -> String {
    let own = std::env::current_exe().unwrap();
    let output = std::process::Command::new(own).arg(what).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Two links that are up, without a task between them and the test.
async fn connected_plain(ann: LinkConfig, bob: LinkConfig) -> (Plain, Plain) {
    let (mut ann, mut bob) = strangers(ann, bob).await;
    let mut up = 0;
    while up < 2 {
        let (event, to) = tokio::select! {
            event = ann.1.recv() => (event, &bob.0),
            event = bob.1.recv() => (event, &ann.0),
        };
        match event {
            Some(LinkEvent::Signal(signal)) => to.handle_signal(signal),
            Some(LinkEvent::Up { .. }) => up += 1,
            event => panic!("{event:?}"),
        }
    }
    (ann, bob)
}
