//! A peer that has nothing to do: a live link, both servers connected, nobody writes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{Daemon, Usage, World, send_each, wait_for_link};
use serde_json::{Value, json};

use crate::{print, variable};

/// Chosen: long enough that a tick more or less (10 ms) is a twentieth of a percent.
const SECONDS: u64 = 20;

/// What is promised, of one processor. Measured: a fifth of it.
const PERCENT: f64 = 0.5;

/// A link may take this long: an attempt that fails (`peer/link/src/session.rs`: 20 s, and 10 s), the wait
/// after it, and one that does not.
const LINK: Duration = Duration::from_secs(60);

/// What begins with a link and then ends (checks of further paths, receipts) is over by then.
const CALM: Duration = Duration::from_secs(5);

#[tokio::test]
async fn who_has_nothing_to_do_does_next_to_nothing() -> Result<()> {
    let seconds = variable("SOAK_IDLE_S", SECONDS)?;
    let mut world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let (mut a, mut b) = (ann.daemon().await?, bob.daemon().await?);
    wait_for_link(&mut a, "bob", "direct", LINK).await?;
    wait_for_link(&mut b, "ann", "direct", LINK).await?;
    send_each(&a, "bob", &["hello".to_owned()]).await?;
    tokio::time::sleep(CALM).await;

    let processes = [
        ("ann", a.process.id()),
        ("bob", b.process.id()),
        ("signal-server and relay", world.server.process().id()),
    ];
    let before = processes.map(|(_, id)| Usage::of(id));
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    for ((name, id), before) in processes.into_iter().zip(before) {
        let after = Usage::of(id).context(name)?;
        let ticks = after.ticks - before.context(name)?.ticks;
        let percent = 100.0 * ticks as f64 / Usage::TICKS_PER_S / began.elapsed().as_secs_f64();
        print(&format!(
            "{name}, idle for {seconds} s: {percent:.2} % of a processor, {} KiB of its own, {} resident, \
             {} threads, {} descriptors",
            after.anon_kib, after.rss_kib, after.threads, after.descriptors
        ));
        ensure!(
            percent < PERCENT,
            "{name} uses {percent:.2} % of a processor, at most {PERCENT}"
        );
    }
    // It was the whole time as it should be.
    for (daemon, other) in [(&mut a, "bob"), (&mut b, "ann")] {
        is_online(daemon, other).await?;
    }
    Ok(())
}

async fn is_online(daemon: &mut Daemon, other: &str) -> Result<()> {
    let status = daemon.call("status", json!({})).await?;
    let up = |server: &Value| server["up"] == true;
    ensure!(
        up(&status["signal_servers"][0])
            && up(&status["relays"][0])
            && status["contacts"][0]["link"] == "direct",
        "no more linked to {other}, or not to the servers: {status}"
    );
    Ok(())
}
