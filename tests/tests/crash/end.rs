//! The end: everything settles, and everything is where the ledger says.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use tincan_peer::rpc::Client;
use tokio::time::Instant;

use crate::figures::Figures;
use crate::ledger::{Outcome, Sent, short};
use crate::news::sent;
use crate::plan::VICTIMS;
use crate::shown;
use crate::town::{PEOPLE, Town, connect};
use crate::victim::Victim;
use crate::writer::Writer;

/// Everything that is still on its way has arrived within this time, and its sender knows it. Chosen:
/// the longest wait of a peer before it tries again is 30 s, and two of them may follow each other. Measured: 0.5 s.
const SETTLED: Duration = Duration::from_secs(60);

/// How often it is looked whether all has arrived.
const LOOK: Duration = Duration::from_millis(200);

/// Lines of a log that a failure shows.
const TAIL: usize = 15;

/// All that is printed by then has been printed.
const LAST_LISTEN: &str = "3s";

/// Waits until all has arrived, and checks all of it.
pub(crate) async fn settle(town: &mut Town, figures: &mut Figures) -> Result<()> {
    for writer in &mut town.writers {
        writer.stop().await?;
    }
    if let Err(error) = settled_and_right(town, figures).await {
        return Err(error.context(picture(town).await));
    }
    listeners(town, figures).await
}

async fn settled_and_right(town: &Town, figures: &mut Figures) -> Result<()> {
    let mut clients = Vec::new();
    for peer in town.people() {
        clients.push(connect(&peer.profile).await?);
    }
    let began = Instant::now();
    while let Err(error) = all_there(town, &mut clients).await? {
        ensure!(began.elapsed() < SETTLED, "not within {SETTLED:?}: {error}");
        tokio::time::sleep(LOOK).await;
    }
    figures.settled = began.elapsed();
    for writer in &town.writers {
        direction(town, &mut clients, writer, figures)
            .await
            .with_context(|| format!("{} to {}", writer.from, writer.to))?;
    }
    for ((news, client), name) in town.news.iter().zip(&mut clients).zip(PEOPLE) {
        let states = news.told().states.clone();
        states.check_forward().context(name)?;
        told_and_kept(town, name)?;
        news.compare_with_journal(client).await.context(name)?;
    }
    Ok(())
}

/// Whether everything that was confirmed has arrived, and nothing is on its way; else why not.
async fn all_there(town: &Town, clients: &mut [Client]) -> Result<Result<(), String>> {
    for writer in &town.writers {
        let missing = missing(town, writer)?;
        if !missing.is_empty() {
            let first = short(missing.first());
            let (from, to) = (writer.from, writer.to);
            return Ok(Err(format!(
                "{to} lacks {} messages of {from}, the first {first}",
                missing.len()
            )));
        }
    }
    for writer in &town.writers {
        if let Some(id) = not_delivered(town, writer)? {
            let (from, to) = (writer.from, writer.to);
            return Ok(Err(format!("{from} does not know that {id} is at {to}")));
        }
    }
    for (client, name) in clients.iter_mut().zip(PEOPLE) {
        let status = client.call("status", json!({})).await?;
        let contacts = status["contacts"].as_array().into_iter().flatten();
        for contact in contacts {
            if contact["pending"] != 0 || contact["at_relay"] != 0 {
                return Ok(Err(format!(
                    "{name} still has messages on their way: {contact}"
                )));
            }
        }
    }
    Ok(Ok(()))
}

fn missing(town: &Town, writer: &Writer) -> Result<Vec<Sent>> {
    let told = town.news_of(writer.to)?.told();
    let there: BTreeSet<&str> = told
        .from(writer.from)
        .iter()
        .map(|(id, _)| id.as_str())
        .collect();
    Ok(writer.with_ledger(|ledger| ledger.missing(&there).into_iter().cloned().collect()))
}

/// The first message that has arrived and whose sender was not told so: receipts come a little later.
fn not_delivered(town: &Town, writer: &Writer) -> Result<Option<String>> {
    let there: Vec<Sent> = town.news_of(writer.to)?.told().from(writer.from).to_vec();
    let told = town.news_of(writer.from)?.told();
    let delivered: BTreeSet<&str> = told.states.reached("delivered").collect();
    let mut there = there.into_iter().map(|(id, _)| id);
    Ok(there.find(|id| !delivered.contains(id.as_str())))
}

/// One direction: the events and both histories are as the ledger says, and all was delivered.
async fn direction(
    town: &Town,
    clients: &mut [Client],
    writer: &Writer,
    figures: &mut Figures,
) -> Result<()> {
    let events = town.news_of(writer.to)?.told().from(writer.from).to_vec();
    writer
        .with_ledger(|ledger| ledger.check(&events))
        .context("events")?;
    for (name, with, outgoing) in [
        (writer.from, writer.to, true),
        (writer.to, writer.from, false),
    ] {
        let place = PEOPLE.iter().position(|known| *known == name);
        let client = &mut clients[place.context("nobody of that name")?];
        let history = client
            .call("history", json!({"to": with, "limit": 10_000_000}))
            .await?;
        let half = history.as_array().into_iter().flatten();
        let half: Vec<&Value> = half
            .filter(|message| message["outgoing"] == outgoing)
            .collect();
        let messages: Vec<Sent> = half.iter().map(|message| sent(message)).collect();
        writer
            .with_ledger(|ledger| ledger.check(&messages))
            .with_context(|| format!("history of {name}"))?;
        if outgoing {
            let early = half
                .iter()
                .find(|message| !matches!(message["state"].as_str(), Some("delivered" | "read")));
            ensure!(early.is_none(), "not delivered: {early:?}");
            figures.messages += messages.len();
        }
    }
    writer.with_ledger(|ledger| {
        figures.answered += ledger.calls(Outcome::Answered);
        figures.interrupted_stored += ledger.calls(Outcome::Stored);
        figures.interrupted_absent += ledger.calls(Outcome::Absent);
        figures.interrupted_unknown += ledger.calls(Outcome::Unknown);
    });
    Ok(())
}

/// Whatever a sender was told to be sent or delivered, in whichever life, has arrived. (States are told
/// of what the program itself has to say to a new contact, too; nobody sent that by a call.)
fn told_and_kept(town: &Town, sender: &str) -> Result<()> {
    let (mut sent, mut there) = (BTreeSet::new(), BTreeSet::new());
    for writer in town.writers.iter().filter(|writer| writer.from == sender) {
        writer.with_ledger(|ledger| {
            let messages = ledger.entries.iter().flat_map(|entry| &entry.messages);
            sent.extend(messages.map(|(id, _)| id.clone()));
        });
        let told = town.news_of(writer.to)?.told();
        there.extend(told.from(sender).iter().map(|(id, _)| id.clone()));
    }
    let told = town.news_of(sender)?.told();
    let mut reached = told.states.reached("sent");
    let lost = reached.find(|id| sent.contains(*id) && !there.contains(*id));
    ensure!(
        lost.is_none(),
        "{sender} was told that {lost:?} was sent, and it did not arrive"
    );
    Ok(())
}

/// Everybody ends in order, and what was never printed is printed.
async fn listeners(town: &mut Town, figures: &mut Figures) -> Result<()> {
    for (victim, name) in town.victims.iter_mut().zip(PEOPLE) {
        victim.end().await.context(name)?;
    }
    for (place, name) in PEOPLE.into_iter().enumerate() {
        let Some(Victim::Peer(peer)) = town.victims.get_mut(place) else {
            return Err(anyhow!("{name} is no peer"));
        };
        peer.listen_for(LAST_LISTEN).await.context(name)?;
        let told = town.news[place].told();
        figures.printed_again += shown::check(&peer.lives, &told.ids)
            .with_context(|| format!("what {name} was shown"))?;
        let lives = peer.lives.iter();
        figures.listeners += lives.filter(|life| !life.ids.is_empty()).count();
    }
    Ok(())
}

/// Who lacks what, and how everybody is: what is needed to understand a failure.
async fn picture(town: &Town) -> String {
    let mut lines = Vec::new();
    for writer in &town.writers {
        let (from, to) = (writer.from, writer.to);
        let missing = missing(town, writer).unwrap_or_default();
        let Some(first) = missing.first() else {
            continue;
        };
        let states = town
            .news_of(from)
            .map(|news| news.told().states.of(&first.0).to_vec());
        lines.push(format!(
            "{to} lacks {} messages of {from}; the first is {}, of which {from} was told {:?}",
            missing.len(),
            short(Some(first)),
            states.unwrap_or_default()
        ));
    }
    for (peer, name) in town.people().zip(PEOPLE) {
        let status = match connect(&peer.profile).await {
            Ok(mut client) => client.call("status", json!({})).await.map_err(Into::into),
            Err(error) => Err(error),
        };
        match status {
            Ok(status) => lines.push(format!("status of {name}: {status}")),
            Err(error) => lines.push(format!("no status of {name}: {error:#}")),
        }
    }
    for (victim, name) in town.victims.iter().zip(VICTIMS) {
        for log in victim.logs() {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(TAIL).collect();
            lines.push(format!("end of {} of {name}:", log.display()));
            lines.extend(tail.into_iter().rev().map(|line| format!("  {line}")));
        }
    }
    lines.join("\n")
}
