//! The path that a link takes in the end.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::{Daemon, link_of};
use tokio::time::{Instant, sleep};

use crate::timeline::{Seen, Timeline};

/// A path is there by then, if there will ever be one; also on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// An attempt that lasted so long and failed has tried every path; it has twice that time. One that
/// failed sooner was overtaken by another one.
const TRIED: Duration = Duration::from_secs(10);

/// How often a daemon is asked about an attempt: there is no event for one that fails.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// What carries a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// A link from host to host.
    Direct,
    /// A link through the TURN server.
    Turn,
    /// No link: the store-and-forward relay.
    Relay,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Turn => "TURN",
            Self::Relay => "relay",
        })
    }
}

/// The path, once it stays as it is, and when its link opened: a direct one stays; one through TURN
/// does if the next attempt, which is made by itself, comes to no more than that; and there is none
/// if an attempt has tried everything without ever having made a link.
pub(crate) async fn settled(
    daemon: &mut Daemon,
    contact: &str,
    timeline: &Timeline,
) -> Result<(Path, Option<Instant>)> {
    let deadline = Instant::now() + LIMIT;
    let mut connecting_since = None;
    while Instant::now() < deadline {
        let seen = timeline.so_far();
        let ups: Vec<(bool, Instant)> = seen
            .iter()
            .filter_map(|seen| Some((seen.link_up()?, seen.at)))
            .collect();
        if let Some((_, at)) = ups.iter().find(|(relayed, _)| !relayed) {
            return Ok((Path::Direct, Some(*at)));
        }
        if let [(_, first), _, ..] = ups[..] {
            return Ok((Path::Turn, Some(first)));
        }
        let link = link_of(daemon, contact).await?;
        if link == "connecting" {
            connecting_since.get_or_insert_with(Instant::now);
        } else if let Some(since) = connecting_since.take()
            && since.elapsed() >= TRIED
            && link == "none"
            && ups.is_empty()
        {
            return Ok((Path::Relay, None));
        }
        sleep(ASK_EVERY).await;
    }
    bail!("no path to {contact} is settled: {:?}", timeline.so_far())
}

/// Until a link is being made.
pub(crate) async fn wait_for_attempt(daemon: &mut Daemon, contact: &str) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let link = link_of(daemon, contact).await?;
        if link == "connecting" {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the link is {link}");
        sleep(ASK_EVERY).await;
    }
}

/// Whether a link has been closed among these.
pub(crate) fn has_closed(seen: &[Seen]) -> bool {
    seen.iter().any(Seen::is_link_down)
}
