//! Three people write to each other in all directions while their processes, the relay and the
//! signaling server are killed with `kill -9` again and again, at any point: in every second round all five
//! of them, each at a moment of its own, in the others some, also at once; and also while they start. A
//! ledger outside of all of them says in the end what must be where:
//!
//! - what `send` has returned for arrives, and so does what a sender was told is sent or delivered;
//! - nothing arrives twice, in the history or as an event, and every sender's order is kept;
//! - a call that was not answered is there whole or not at all; what its own process says of it after
//!   the kill holds;
//! - every text is what was sent, byte for byte, and in its own conversation;
//! - states only move forward, and what was told before a kill is still told afterwards;
//! - `listen` prints everything in order, and again only what [`shown`] allows.
//!
//! A kill takes no power away: what was written is in the system's memory and not lost without a sync.
//! That the syncs are where they must be is shown with disks in memory
//! (`relay/tests/relays/durability.rs`, the simulated world).
//!
//! | variable | |
//! |---|---|
//! | `CRASH_ROUNDS` | how many rounds (default 20, about a minute; the long form is 200) |
//! | `E2E_SEED` | who is killed when, as printed by a run that failed |
//! | `E2E_KEEP` | keeps the folder with all logs and profiles |
//!
//! ```text
//! CRASH_ROUNDS=200 cargo test --workspace --test crash -- --nocapture
//! ```

mod end;
mod figures;
mod killing;
mod ledger;
mod news;
mod plan;
mod receipts;
mod shown;
mod texts;
mod town;
mod victim;
mod writer;

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use figures::Figures;
use town::Town;

/// Chosen: about a minute, in which each of the five is killed about twenty times.
const ROUNDS: usize = 20;

const ROUNDS_VARIABLE: &str = "CRASH_ROUNDS";
const SEED: &str = "E2E_SEED";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_arrives_once_and_in_order_whoever_is_killed_whenever() -> Result<()> {
    let rounds = variable(ROUNDS_VARIABLE)?.unwrap_or(ROUNDS);
    let seed = variable(SEED)?.unwrap_or_else(rand::random);
    let all_die_often = all_die_often(rounds, seed);
    let figures = all_die_often
        .await
        .with_context(|| format!("{SEED}={seed} {ROUNDS_VARIABLE}={rounds}"))?;
    figures.print(rounds, seed);
    figures.check_that_it_hurt()
}

async fn all_die_often(rounds: usize, seed: u64) -> Result<Figures> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut town = Town::build()?;
    town.begin(random.random()).await?;
    let mut figures = Figures::default();
    for number in 0..rounds {
        let round = plan::Round::draw(&mut random, number);
        let killed = killing::run(&mut town, &round, &mut figures).await;
        killed.with_context(|| format!("round {number}: {round:?}"))?;
    }
    end::settle(&mut town, &mut figures).await?;
    Ok(figures)
}

fn variable<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    name: &'static str,
) -> Result<Option<T>> {
    let value = std::env::var(name).ok();
    value.map(|value| value.parse().context(name)).transpose()
}
