//! Every pair of kinds of NAT.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::network::Nat;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};

use crate::is_left_out;
use crate::path::Path;
use crate::table::{self, Row, seconds};
use crate::talk::Talk;

/// Beds at a time. More would be done sooner, and measure how they wait for each other.
const BEDS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn every_pair_of_nats_talks_at_once_and_over_the_best_path_there_is() -> Result<()> {
    if is_left_out() {
        return Ok(());
    }
    let meetings = pairs().map(|pair| async move {
        let meeting = tokio::spawn(meet(pair)).await?;
        meeting.with_context(|| format!("{} and {}", pair[0], pair[1]))
    });
    let rows: Vec<Row> = iter(meetings).buffered(BEDS).try_collect().await?;
    table::settle(&rows)
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

/// From the start of both programs to the first message at each of them: the promise for a machine that
/// does nothing else. Measured: a tenth of it.
const USABLE: Duration = Duration::from_secs(2);

/// Two peers meet. The machine may be busy for a moment with something else: who is late, or takes a
/// detour through TURN to a direct link, meets once more.
async fn meet(kinds: [Nat; 2]) -> Result<Row> {
    let (row, late) = meet_once(kinds).await?;
    let Some(late) = late else { return Ok(row) };
    eprintln!("{kinds:?}: {late}; once more");
    let (row, again) = meet_once(kinds).await?;
    ensure!(again.is_none(), "{late}, and then {again:?}");
    Ok(row)
}

/// They talk before, while and after a link is made. Also returns what was not as it should be.
async fn meet_once(kinds: [Nat; 2]) -> Result<(Row, Option<String>)> {
    let mut talk = Talk::begin(kinds).await?;
    talk.say("at once", 20).await?;
    let first = talk.heard("at once").await?.duration_since(talk.began);
    talk.say("while a link is made", 15).await?;
    let (path, link) = talk.settled().await?;
    talk.say("afterwards", 15).await?;
    let began = talk.began;
    let detour = path == Path::Direct && talk.had_turn();
    talk.end().await?;
    ensure!(
        link.is_none() == (path == Path::Relay),
        "the path is {path}, and a link came at {link:?}"
    );
    let link = link.map(|at| seconds(at.duration_since(began)));
    let measured = [seconds(first), link.unwrap_or_else(|| "none".to_owned())];
    let (one, other) = (kinds[0].to_string(), kinds[1].to_string());
    let row = Row::new(&[&one, &other], &path.to_string(), &measured);
    let late = if first > USABLE {
        Some(format!("the first message took {first:?}"))
    } else {
        detour.then(|| "a link through TURN came before the direct one".to_owned())
    };
    Ok((row, late))
}
