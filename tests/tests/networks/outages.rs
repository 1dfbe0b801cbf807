//! What fails in the middle of a conversation, and comes back.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::Daemon;
use e2e::network::{Nat, Side};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::is_left_out;
use crate::path::{Path, has_closed};
use crate::table::{self, Row, Time};
use crate::talk::Talk;

/// What most people have on both sides.
const HOMES: [Nat; 2] = [Nat::PortRestricted, Nat::PortRestricted];

/// How long the interface is down.
const OUTAGE: Duration = Duration::from_secs(30);

/// By then whatever was broken is found out and made again, also on a busy machine.
const RECOVERED: Duration = Duration::from_secs(120);

/// How often a daemon is asked about its servers: there is no event for these.
const ASK_EVERY: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn regression_a_host_that_gets_another_address_does_not_wait_for_its_servers_silence()
-> Result<()> {
    if is_left_out() {
        return Ok(());
    }
    table::settle(|| changed("one side gets another address", Side::change_address)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn a_home_that_gets_another_public_address_talks_on() -> Result<()> {
    if is_left_out() {
        return Ok(());
    }
    let name = "one side's NAT gets another address";
    table::settle(|| changed(name, Side::change_public_address)).await
}

async fn changed(name: &str, change: fn(&Side) -> Result<()>) -> Result<Row> {
    let mut talk = linked().await?;
    change(&talk.bed.sides[0])?;
    let changed = Instant::now();
    talk.say("now", 20).await?;
    recovered(talk, name, changed).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn a_host_without_a_network_for_half_a_minute_says_and_hears_everything_then() -> Result<()> {
    if is_left_out() {
        return Ok(());
    }
    let keeps = || without_network("one side's interface is down for 30 s", false);
    let loses = || without_network("the same, and it has no address meanwhile", true);
    let keeps = tokio::spawn(table::settle(keeps));
    let loses = tokio::spawn(table::settle(loses));
    let (keeps, loses) = tokio::try_join!(keeps, loses)?;
    keeps.and(loses)
}

async fn without_network(name: &str, loses_address: bool) -> Result<Row> {
    let mut talk = linked().await?;
    talk.bed.sides[0].unplug()?;
    if loses_address {
        talk.bed.sides[0].drop_address()?;
    }
    talk.say("without a network", 10).await?;
    sleep(OUTAGE).await;
    talk.say("still without", 10).await?;
    talk.bed.sides[0].plug_in()?;
    let back = Instant::now();
    talk.say("now", 20).await?;
    recovered(talk, name, back).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn without_the_server_a_direct_link_carries_the_conversation() -> Result<()> {
    if is_left_out() {
        return Ok(());
    }
    table::settle(without_server).await
}

async fn without_server() -> Result<Row> {
    let mut talk = linked().await?;
    let began = Instant::now();
    talk.bed.cut_server_off()?;
    talk.say("as it goes", 20).await?;
    let first = talk.heard("as it goes").await?.duration_since(began);
    talk.all_delivered().await?;
    for daemon in [&mut talk.ann.daemon, &mut talk.bob.daemon] {
        wait_for_servers(daemon, false).await?;
    }
    talk.say("without it", 20).await?;
    talk.all_delivered().await?;
    talk.bed.bring_server_back()?;
    let back = Instant::now();
    for daemon in [&mut talk.ann.daemon, &mut talk.bob.daemon] {
        wait_for_servers(daemon, true).await?;
    }
    let connected = back.elapsed();
    talk.say("with it again", 20).await?;
    talk.all_delivered().await?;
    let closed = [&talk.ann, &talk.bob].map(|party| has_closed(&party.since(began)));
    talk.end().await?;
    let outcome = match closed {
        [false, false] => "direct all the time",
        _ => "the link was lost",
    };
    let times = vec![vec![
        Time::new("next message after", first),
        Time::new("server connected after its return", connected),
    ]];
    Ok(Row::new(&["the server is off the network"], outcome, times))
}

/// Ann and bob with a direct link.
async fn linked() -> Result<Talk> {
    let mut talk = Talk::begin(HOMES).await?;
    talk.say("at first", 20).await?;
    let (path, _) = talk.settled().await?;
    ensure!(path == Path::Direct, "the path is {path}");
    talk.all_delivered().await?;
    Ok(talk)
}

/// The conversation resumes by itself, and so does the link. What is said since then begins with
/// "now".
async fn recovered(mut talk: Talk, name: &str, since: Instant) -> Result<Row> {
    let heard = tokio::try_join!(talk.ann.hears("now"), talk.bob.hears("now"))?;
    let link = tokio::try_join!(talk.ann.linked(since), talk.bob.linked(since))?;
    talk.say("over the new link", 20).await?;
    talk.end().await?;
    let after = |what, at: Instant| Time::new(what, at.saturating_duration_since(since));
    let times = vec![vec![
        after("first message to it after", heard.0),
        after("from it after", heard.1),
        after("link after", link.0.max(link.1)),
    ]];
    Ok(Row::new(&[name], "direct again", times))
}

/// Until a daemon says that its servers are there, all of them, or that none is.
async fn wait_for_servers(daemon: &mut Daemon, up: bool) -> Result<()> {
    let deadline = Instant::now() + RECOVERED;
    loop {
        let status = daemon.call("status", json!({})).await?;
        let lists = [&status["signal_servers"], &status["relays"]];
        let servers = lists.map(|list| list.as_array().into_iter().flatten());
        let mut servers = servers.into_iter().flatten().peekable();
        if servers.peek().is_some() && servers.all(|server| server["up"] == up) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "servers are not {up}: {status}");
        sleep(ASK_EVERY).await;
    }
}
