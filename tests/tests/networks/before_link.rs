//! What is said while a link is being made goes through the relay.

use anyhow::{Context as _, Result, ensure};
use e2e::network::{Bed, Nat};
use tokio::time::Instant;

use crate::is_left_out;
use crate::path::wait_for_attempt;
use crate::table::{self, Row, Time};
use crate::talk::Talk;

/// No UDP comes in: neither from the other host nor from STUN and TURN.
const NO_UDP: &str = "INPUT -p udp -j DROP";

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn the_relay_carries_what_is_said_while_a_link_is_being_made() -> Result<()> {
    if is_left_out() {
        return Ok(());
    }
    let public = || no_udp_at_first([Nat::Public; 2], "no UDP comes in at first, without NATs");
    let homes = || no_udp_at_first([Nat::PortRestricted; 2], "no UDP comes in at first");
    let public = tokio::spawn(table::settle(public));
    let homes = tokio::spawn(table::settle(homes));
    let (public, homes) = tokio::try_join!(public, homes)?;
    public.and(homes)
}

async fn no_udp_at_first(kinds: [Nat; 2], name: &str) -> Result<Row> {
    let mut talk = Talk::begin_on(kinds, |bed| change_rules(bed, "-A")).await?;
    talk.say("at once", 20).await?;
    let first = talk.heard("at once").await?.duration_since(talk.began);
    for (party, other) in [(&mut talk.ann, "bob"), (&mut talk.bob, "ann")] {
        let attempt = wait_for_attempt(&mut party.daemon, other).await;
        attempt.with_context(|| format!("to {other}"))?;
    }
    let said = Instant::now();
    talk.say("while a link is made", 15).await?;
    let next = talk.heard("while a link is made").await?;
    talk.all_delivered().await?;
    ensure!(!talk.had_link(), "a link without UDP");

    change_rules(&talk.bed, "-D")?;
    let passes = Instant::now();
    let link = talk.linked().await?.duration_since(passes);
    talk.say("over the link", 15).await?;
    talk.end().await?;
    let times = vec![vec![
        Time::new("first message after", first),
        Time::new("next one after", next.duration_since(said)),
        Time::new("link after UDP comes in", link),
    ]];
    Ok(Row::new(&[name], "relay and then direct", times))
}

/// Adds the rule at both hosts, or deletes it.
fn change_rules(bed: &Bed, action: &str) -> Result<()> {
    let rules = format!("*filter\n{action} {NO_UDP}\nCOMMIT\n");
    bed.sides
        .iter()
        .try_for_each(|side| side.host().add_rules(&rules))
}
