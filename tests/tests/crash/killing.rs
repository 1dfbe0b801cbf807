//! One round: everybody lives, some die, all live again.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::figures::{Figures, Kill};
use crate::news::News;
use crate::plan::{Fate, Round, VICTIMS};
use crate::town::{PEOPLE, Town};
use crate::victim::{Runs, Victim};
use crate::writer::Writer;

/// A kill that is to come into a call waits for one for so long.
const CALL_SOON: Duration = Duration::from_millis(100);

/// How often it looks: a fraction of the time that a call takes.
const LOOK: Duration = Duration::from_micros(200);

/// Runs it. All answer again at its end.
pub(crate) async fn run(town: &mut Town, round: &Round, figures: &mut Figures) -> Result<()> {
    tokio::time::sleep(round.life).await;
    let witness = Witness {
        writers: &town.writers,
        news: &town.news,
    };
    let dying = town.victims.iter_mut().zip(VICTIMS).zip(&round.fates);
    let dying = dying.map(async |((victim, name), fate)| {
        victim.check().context(name)?;
        match fate {
            Some(fate) => die(victim, name, fate, &witness).await.context(name),
            None => Ok(Vec::new()),
        }
    });
    let kills = try_join_all(dying).await?;
    witness.check()?;
    figures.rounds.push(kills.concat());
    Ok(())
}

/// Dies, once or twice, and lives again.
async fn die(
    victim: &mut Victim,
    name: &'static str,
    fate: &Fate,
    witness: &Witness<'_>,
) -> Result<Vec<Kill>> {
    tokio::time::sleep(fate.after).await;
    if let Some(into) = fate.into_the_call {
        witness.wait_for_call(name).await;
        tokio::time::sleep(into).await;
    }
    let mut kills = vec![witness.see(victim, name)];
    if fate.in_order {
        kills[0].in_order = true;
        victim.end().await?;
    } else {
        victim.kill(fate.takeover).await?;
    }
    tokio::time::sleep(fate.death).await;
    if let Some(again) = fate.again {
        let runs = match fate.runs {
            Runs::DaemonAndListen => Runs::Daemon,
            runs => runs,
        };
        victim.begin(runs)?;
        tokio::time::sleep(again).await;
        let mut kill = witness.see(victim, name);
        kill.while_starting = true;
        kills.push(kill);
        victim.check().context("before the second kill")?;
        victim.kill(None).await?;
    }
    let took = victim.start(fate.runs).await?;
    for kill in &mut kills {
        kill.start = took;
    }
    Ok(kills)
}

/// Who sees what a kill interrupts.
struct Witness<'a> {
    writers: &'a [Writer],
    news: &'a [News],
}

impl Witness<'_> {
    fn see(&self, victim: &mut Victim, name: &'static str) -> Kill {
        // The servers have to do with everybody's.
        let of_victim = |from: &str| from == name || !PEOPLE.contains(&name);
        let writers = || self.writers.iter().filter(|writer| of_victim(writer.from));
        let stored: usize = writers().map(Writer::stored).sum();
        let news = self.news.iter().zip(PEOPLE);
        let news = news.filter(|(_, from)| of_victim(from));
        let delivered: usize = news.map(|(news, _)| news.told().delivered).sum();
        Kill {
            who: name,
            in_call: writers().any(Writer::is_in_call),
            at_work: victim.is_at_work(),
            under_way: stored.saturating_sub(delivered),
            in_order: false,
            while_starting: false,
            start: Duration::ZERO,
        }
    }

    async fn wait_for_call(&self, name: &str) {
        let deadline = Instant::now() + CALL_SOON;
        let mut writers = self
            .writers
            .iter()
            .filter(|writer| writer.from == name)
            .peekable();
        if writers.peek().is_none() {
            return;
        }
        let writers: Vec<&Writer> = writers.collect();
        while Instant::now() < deadline && !writers.iter().any(|writer| writer.is_in_call()) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Fails if one of those who write or read cannot go on.
    fn check(&self) -> Result<()> {
        for news in self.news {
            news.check()?;
        }
        for writer in self.writers {
            writer.check()?;
        }
        Ok(())
    }
}
