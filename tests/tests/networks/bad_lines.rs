//! Lines that lose packets, and lines that are slow.

use anyhow::Result;
use e2e::network::Nat;

use crate::is_left_out;
use crate::path::has_closed;
use crate::table::{self, Row, Time};
use crate::talk::Talk;

/// What most people have on both sides.
const HOMES: [Nat; 2] = [Nat::PortRestricted, Nat::PortRestricted];

/// Messages of each side, on a line that loses some packets.
const LOSSY: usize = 200;

/// On a slow line: with their words, 500 kB of text a side.
const SLOW: usize = 500;
const SLOW_WORDS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn two_packets_of_a_hundred_are_lost_and_no_message() -> Result<()> {
    if is_left_out() {
        return Ok(());
    }
    table::settle(|| lossy("2 % of all packets are lost", 0.02)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn ten_packets_of_a_hundred_are_lost_and_no_message() -> Result<()> {
    if is_left_out() {
        return Ok(());
    }
    table::settle(|| lossy("10 % of all packets are lost", 0.1)).await
}

/// Everything is lossy, from the first packet of both on: to the servers, too.
async fn lossy(name: &str, share: f64) -> Result<Row> {
    let mut talk = Talk::begin_on(HOMES, |bed| bed.lose(share)).await?;
    let began = talk.began;
    talk.say("at once", 20).await?;
    let first = talk.heard("at once").await?.duration_since(began);
    // An attempt may fail with so much lost; the next one comes by itself.
    let link = talk.linked().await?.duration_since(began);
    talk.all_delivered().await?;
    let burst = tokio::time::Instant::now();
    talk.say("over the link", LOSSY).await?;
    talk.all_delivered().await?;
    let burst = burst.elapsed();
    talk.end().await?;
    let all = format!("{LOSSY} messages each way in");
    let times = vec![vec![
        Time::new("first message after", first),
        Time::new("link after", link),
        Time::new(&all, burst),
    ]];
    Ok(Row::new(&[name], "direct", times))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn a_line_of_a_megabit_fills_up_and_nothing_is_lost() -> Result<()> {
    if is_left_out() {
        return Ok(());
    }
    table::settle(slow).await
}

async fn slow() -> Result<Row> {
    let mut talk = Talk::begin_on(HOMES, |bed| bed.sides[0].limit("1mbit")).await?;
    talk.say("at once", 20).await?;
    let (path, _) = talk.settled().await?;
    talk.all_delivered().await?;
    let began = tokio::time::Instant::now();
    talk.say(&"word ".repeat(SLOW_WORDS / 5), SLOW).await?;
    talk.all_delivered().await?;
    let took = began.elapsed();
    let closed = [&talk.ann, &talk.bob].map(|party| has_closed(&party.since(began)));
    talk.end().await?;
    let held = if closed == [false; 2] {
        "held"
    } else {
        "did not hold"
    };
    let outcome = format!("{path}, the link {held}");
    let all = format!("{SLOW} messages of {SLOW_WORDS} bytes each way in");
    let times = vec![vec![Time::new(&all, took)]];
    Ok(Row::new(&["one side has 1 Mbit/s"], &outcome, times))
}
