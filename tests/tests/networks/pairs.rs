//! Every pair of kinds of NAT.

use anyhow::{Context as _, Result, ensure};
use e2e::network::Nat;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};

use crate::is_left_out;
use crate::path::Path;
use crate::table::{self, Row, Time};
use crate::talk::Talk;

/// Beds at a time. More would be done sooner, and measure how they wait for each other.
const BEDS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn every_pair_of_nats_talks_at_once_and_over_the_best_path_there_is() -> Result<()> {
    if is_left_out() {
        return Ok(());
    }
    let meetings = pairs().map(|pair| async move {
        let meeting = tokio::spawn(table::settle(move || meet(pair))).await?;
        meeting.with_context(|| format!("{} and {}", pair[0], pair[1]))
    });
    iter(meetings).buffered(BEDS).try_collect().await
}

/// Without regard to order.
fn pairs() -> impl Iterator<Item = [Nat; 2]> {
    let kinds = Nat::ALL.into_iter().enumerate();
    kinds.flat_map(|(number, one)| {
        Nat::ALL
            .into_iter()
            .skip(number)
            .map(move |other| [one, other])
    })
}

/// They talk before, while and after a link is made.
async fn meet(kinds: [Nat; 2]) -> Result<Row> {
    let mut talk = Talk::begin(kinds).await?;
    talk.say("at once", 20).await?;
    let first = talk.heard("at once").await?.duration_since(talk.began);
    talk.say("while a link is made", 15).await?;
    let (path, link) = talk.settled().await?;
    talk.say("afterwards", 15).await?;
    let began = talk.began;
    let flaw = flaw(&talk, kinds, path);
    talk.end().await?;
    ensure!(
        link.is_none() == (path == Path::Relay),
        "the path is {path}, and a link came at {link:?}"
    );
    let link = link.map(|at| at.duration_since(began));
    let times = vec![vec![Time::new("", first)], vec![Time::new("", link)]];
    let (one, other) = (kinds[0].to_string(), kinds[1].to_string());
    Ok(Row::new(&[&one, &other], &path.to_string(), times).with_flaw(flaw))
}

fn flaw(talk: &Talk, kinds: [Nat; 2], path: Path) -> Option<&'static str> {
    if path == Path::Direct && talk.had_turn() {
        return Some("a link through TURN came before the direct one");
    }
    let needed_link = !is_linked_at_once(kinds) && talk.needed_link();
    needed_link.then_some("the link was there before the first message")
}

/// Where ICE waits for no better pair of addresses: the relay is hardly faster.
fn is_linked_at_once(kinds: [Nat; 2]) -> bool {
    matches!(kinds, [Nat::Public, Nat::Public | Nat::FullCone])
}
