//! The demo: a server and two peers as real processes on this machine, what they are good for, and
//! a check of every message. Ends with 0 only if each arrived exactly once and in order.

mod exchange;
mod report;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{Daemon, Profile, ServerOptions, SignalServer, wait_for_link};
use serde_json::json;

use exchange::{Figures, burst, one_at_a_time, texts};
use report::Report;

/// Messages each way and path.
const MESSAGES: usize = 1_000;

/// Messages sent while the other side is dead or dies.
const MEANWHILE: usize = 500;

/// How long a link may take: the attempt itself, and the wait after one that failed.
const LINK: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let report = Report::start();
    match run(&report).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.failed(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(report: &Report) -> Result<()> {
    e2e::build()?;
    let folder = tempfile::tempdir()?;
    let server = SignalServer::start(&folder.path().join("server"), ServerOptions::default())?;
    report.step(&format!(
        "signal-server with TURN and relay at {}",
        server.url()
    ));
    let (ann, bob) = acquaint(folder.path(), server.url(), report)?;
    let mut expected = Expected::default();

    let mut a = ann.daemon().await?;
    let mut b = bob.daemon().await?;
    let direct = path("direct", "direct", &mut a, &mut b, &mut expected, report).await?;
    end(a, b)?;

    let turn_only = ["--ice", "relay"];
    let mut a = ann.with_args(&turn_only).daemon().await?;
    let mut b = bob.with_args(&turn_only).daemon().await?;
    let turn = path(
        "through TURN only",
        "turn",
        &mut a,
        &mut b,
        &mut expected,
        report,
    )
    .await?;
    end(a, b)?;

    let mut a = ann.daemon().await?;
    let mut b = killed_in_mid_conversation(&mut a, &bob, &mut expected, report).await?;
    expected.check(&mut a, &mut b).await?;
    report.step("every message arrived exactly once and in order");
    report.summary(&[direct, turn], &expected.counts());
    end(a, b)
}

/// Invite and acceptance, by the commands that people type.
fn acquaint(folder: &Path, url: &str, report: &Report) -> Result<(Profile, Profile)> {
    let ann = Profile::init(&folder.join("ann"), "ann", url, url)?;
    let bob = Profile::init(&folder.join("bob"), "bob", url, url)?;
    report.step("two profiles: ann and bob");
    let invite = ann.run(&["invite"])?;
    let link = invite
        .first()
        .and_then(|invite| invite["link"].as_str())
        .context("no link")?;
    report.step(&format!(
        "ann invites: {}... ({} characters)",
        &link[..40.min(link.len())],
        link.len()
    ));
    bob.run(&["add", link, "--message", "it's bob"])?;
    accepted(&ann)?;
    accepted(&bob)?;
    report.step("bob used it: they are contacts");
    Ok((ann, bob))
}

/// Waits until a profile's only contact has accepted: the answer waits at the relay, and each command
/// that goes online fetches it.
fn accepted(profile: &Profile) -> Result<()> {
    let deadline = Instant::now() + LINK;
    loop {
        let contacts = profile.run(&["contacts"])?;
        if contacts
            .iter()
            .any(|contact| contact["standing"] == "accepted")
        {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "not accepted: {contacts:?}");
    }
}

/// Messages each way over one kind of link.
async fn path(
    name: &'static str,
    link: &str,
    a: &mut Daemon,
    b: &mut Daemon,
    expected: &mut Expected,
    report: &Report,
) -> Result<Figures> {
    wait_for_link(a, "bob", link, LINK).await?;
    wait_for_link(b, "ann", link, LINK).await?;
    report.step(&format!("linked: {name}"));
    let mut latencies = one_at_a_time(a, "bob", b, &expected.next_of_a(MESSAGES)).await?;
    latencies.extend(one_at_a_time(b, "ann", a, &expected.next_of_b(MESSAGES)).await?);
    let rate_a = burst(a, "bob", b, &expected.next_of_a(MESSAGES)).await?;
    let rate_b = burst(b, "ann", a, &expected.next_of_b(MESSAGES)).await?;
    // It must still be the same kind of link.
    wait_for_link(a, "bob", link, Duration::ZERO).await?;
    let figures = Figures::new(name, latencies, rate_a.min(rate_b));
    report.step(&format!("{name}: {figures}"));
    Ok(figures)
}

/// Bob is killed while ann sends, and comes back.
async fn killed_in_mid_conversation(
    a: &mut Daemon,
    bob: &Profile,
    expected: &mut Expected,
    report: &Report,
) -> Result<Daemon> {
    let mut b = bob.daemon().await?;
    wait_for_link(a, "bob", "direct", LINK).await?;
    let texts = expected.next_of_a(MEANWHILE);
    let (before, after) = texts.split_at(MEANWHILE / 5);
    for text in before {
        a.call("send", json!({"to": "bob", "texts": [text]}))
            .await?;
    }
    b.kill()?;
    report.step(&format!(
        "bob killed with -9 after {} of {MEANWHILE} messages",
        before.len()
    ));
    for text in after {
        a.call("send", json!({"to": "bob", "texts": [text]}))
            .await?;
    }
    report.step("ann has sent the rest; bob starts again");
    let mut b = bob.daemon().await?;
    exchange::wait_for_count(&mut b, "ann", expected.counts().0).await?;
    report.step(&format!("all {MEANWHILE} are there"));
    Ok(b)
}

fn end(mut a: Daemon, mut b: Daemon) -> Result<()> {
    for daemon in [&mut a, &mut b] {
        let code = daemon.process.terminate()?;
        ensure!(code == Some(0), "a peer ended with {code:?}");
    }
    Ok(())
}

/// What must have arrived.
#[derive(Default)]
struct Expected {
    a: Vec<String>,
    b: Vec<String>,
}

impl Expected {
    fn next_of_a(&mut self, count: usize) -> Vec<String> {
        let new = texts("ann", self.a.len(), count);
        self.a.extend_from_slice(&new);
        new
    }

    fn next_of_b(&mut self, count: usize) -> Vec<String> {
        let new = texts("bob", self.b.len(), count);
        self.b.extend_from_slice(&new);
        new
    }

    fn counts(&self) -> (usize, usize) {
        (self.a.len(), self.b.len())
    }

    /// Compares what is in the two histories with what was sent.
    async fn check(&self, a: &mut Daemon, b: &mut Daemon) -> Result<()> {
        let at_b = b.received("ann").await?;
        ensure!(
            at_b == self.a,
            "bob has {} messages, not exactly the {} sent",
            at_b.len(),
            self.a.len()
        );
        let mut at_a = a.received("bob").await?;
        // The words of the request are the first message.
        ensure!(
            at_a.first().is_some_and(|text| text == "it's bob"),
            "the request's text is missing"
        );
        at_a.remove(0);
        ensure!(
            at_a == self.b,
            "ann has {} messages, not exactly the {} sent",
            at_a.len(),
            self.b.len()
        );
        Ok(())
    }
}
