//! What somebody at the terminal interface waits for, and what it costs while nothing happens: the real program in
//! a pseudoterminal, from the key to the picture, against `less` on the same lines in the same run.
//!
//! ```text
//! cargo bench -p e2e --bench screen
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and one that fails stops"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use e2e::{Binary, Profile, Usage, World, acquaint};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Messages of the long conversation.
const LINES: usize = 100_000;

/// Contacts of the profile that does nothing.
const CONTACTS: usize = 50;

/// How often each thing is measured.
const STARTS: usize = 20;
const PAGES: usize = 200;

/// So long nothing happens.
const IDLE: Duration = Duration::from_secs(30);

const ROWS: u16 = 40;
const COLUMNS: u16 = 120;

/// What takes longer is a failure.
const SOON: Duration = Duration::from_secs(60);

fn main() {
    e2e::build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(long_conversation());
    runtime.block_on(many_contacts());
}

/// A conversation of [`LINES`] messages is opened and scrolled through.
async fn long_conversation() {
    let world = World::start().unwrap();
    let (ann, bob) = world.ann_and_bob().unwrap();
    let mut daemon = ann.daemon().await.unwrap();
    let lines: Vec<String> = (0..LINES).map(|n| format!("line {n:06} of many")).collect();
    let text = lines.join("\n");
    let sent = bob
        .answer_to(
            &[
                "send",
                "ann",
                "-",
                "--wait",
                "delivered",
                "--timeout",
                "10m",
            ],
            text.clone(),
        )
        .unwrap();
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    let contacts = daemon
        .call("contacts", serde_json::json!({}))
        .await
        .unwrap();
    assert_eq!(contacts[0]["unread"], LINES);
    drop(daemon);

    // All of it unread: it opens where that begins.
    let opened = measure(1, || {
        let mut screen = start_peer(&ann);
        screen.wait(|text| text.contains("bob"));
        let opened = screen.time(b"\r", |text| text.contains("line 000000"));
        screen.end();
        opened
    });
    println!("open at the first of {LINES} unread messages: {opened}");
    let mut daemon = ann.daemon().await.unwrap();
    daemon
        .call("read", serde_json::json!({"from": "bob", "seq": u64::MAX}))
        .await
        .unwrap();
    drop(daemon);

    let last = format!("line {:06}", LINES - 1);
    let opened = measure(STARTS, || {
        let mut screen = start_peer(&ann);
        screen.wait(|text| text.contains("bob"));
        let opened = screen.time(b"\r", |text| text.contains(&last));
        screen.end();
        opened
    });
    println!("open {LINES} messages at the end: {opened}");

    let mut screen = start_peer(&ann);
    screen.wait(|text| text.contains("bob"));
    screen.time(b"\r", |text| text.contains(&last));
    let pages = measure(PAGES, || screen.page_up());
    println!("a screen up in them: {pages}");
    screen.end();

    let file = world.path("lines.txt");
    std::fs::write(&file, text).unwrap();
    let mut less = Command::new("less");
    less.arg("+G").arg(&file);
    let mut screen = Screen::start(less);
    screen.wait(|text| text.contains(&last));
    let pages = measure(PAGES, || screen.page_up());
    println!("a screen up in less: {pages}");
    screen.end();
}

/// A profile with [`CONTACTS`] contacts is started, and then nothing happens.
async fn many_contacts() {
    let world = World::start().unwrap();
    let ann = world.profile("ann").unwrap();
    for n in 0..CONTACTS {
        let other = world.profile(&format!("contact-{n:02}")).unwrap();
        acquaint(&ann, &other).unwrap();
    }
    let started = measure(STARTS, || {
        let begin = Instant::now();
        let mut screen = start_peer(&ann);
        screen.wait(|text| text.contains("contact-00") || text.contains("contact-49"));
        let started = begin.elapsed();
        screen.end();
        started
    });
    println!("start to the list of {CONTACTS} contacts: {started}");
    let screen = start_peer(&ann);
    std::thread::sleep(Duration::from_secs(5));
    let process = screen.child.id();
    let before = Usage::of(process).unwrap();
    std::thread::sleep(IDLE);
    let after = Usage::of(process).unwrap();
    let ticks = (after.ticks - before.ticks) as f64 / Usage::TICKS_PER_S;
    println!(
        "idle with {CONTACTS} contacts: {:.2} % of a core, {:.1} MB resident",
        100.0 * ticks / IDLE.as_secs_f64(),
        after.rss_kib as f64 / 1024.0
    );
}

fn start_peer(profile: &Profile) -> Screen {
    let mut peer = Command::new(Binary::Peer.path().unwrap());
    peer.arg("--home").arg(profile.home());
    Screen::start(peer)
}

/// A program in a pseudoterminal, and what it draws.
struct Screen {
    child: Child,
    input: File,
    output: mpsc::Receiver<Vec<u8>>,
    parser: vt100::Parser,
}

impl Screen {
    fn start(mut command: Command) -> Self {
        let host = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&host).unwrap();
        unlockpt(&host).unwrap();
        let name = ptsname(&host, Vec::new()).unwrap();
        let path = Path::new(name.to_str().unwrap());
        let open = || -> OwnedFd {
            let file = File::options().read(true).write(true).open(path).unwrap();
            file.into()
        };
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&host, size).unwrap();
        let child = command
            .env("TERM", "xterm-256color")
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .stdin(Stdio::from(open()))
            .stdout(Stdio::from(open()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = File::from(host.try_clone().unwrap());
        let mut reader = File::from(host);
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(len @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            input,
            output,
            parser: vt100::Parser::new(ROWS, COLUMNS, 0),
        }
    }

    fn text(&self) -> String {
        self.parser.screen().contents()
    }

    /// Until it draws this.
    fn wait(&mut self, is_drawn: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + SOON;
        while !is_drawn(&self.text()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.output.recv_timeout(left) else {
                panic!("it does not draw that:\n{}", self.text());
            };
            self.parser.process(&bytes);
        }
    }

    /// From a key to the picture that it makes.
    fn time(&mut self, key: &[u8], is_drawn: impl Fn(&str) -> bool) -> Duration {
        let begin = Instant::now();
        self.input.write_all(key).unwrap();
        self.wait(is_drawn);
        begin.elapsed()
    }

    /// The line that stood at the top has gone down by more than half of the screen.
    fn page_up(&mut self) -> Duration {
        let top = first_line(&self.text()).unwrap();
        self.time(b"\x1b[5~", |text| {
            first_line(text).is_some_and(|first| first + usize::from(ROWS) / 2 <= top)
        })
    }

    fn end(mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// The number of the first line of the conversation on the screen.
fn first_line(text: &str) -> Option<usize> {
    let (_, rest) = text.split_once("line ")?;
    rest.get(..6)?.parse().ok()
}

struct Times(Vec<Duration>);

fn measure(count: usize, mut once: impl FnMut() -> Duration) -> Times {
    let mut times: Vec<Duration> = (0..count).map(|_| once()).collect();
    times.sort();
    Times(times)
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |part: usize| self.0[(self.0.len() - 1) * part / 100].as_secs_f64() * 1000.0;
        write!(
            f,
            "median {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
            at(50),
            at(99),
            at(100)
        )
    }
}
