//! Ann and bob in conversation: both write at the same time, and nothing may be missing, doubled or
//! out of order, whatever happens to their network.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::network::{Bed, Nat};
use e2e::{Daemon, Profile, States, send_each};
use tokio::time::Instant;

use crate::path::{self, Path};
use crate::timeline::{Seen, Timeline};

/// A message that takes longer than this is lost.
const LOST: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Debug)]
pub(crate) struct Talk {
    /// Before either of them ran.
    pub(crate) began: Instant,
    pub(crate) ann: Party,
    pub(crate) bob: Party,
    pub(crate) bed: Bed,
}

/// One of the two.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) daemon: Daemon,
    pub(crate) timeline: Timeline,
    /// The other one's name.
    other: &'static str,
    /// Texts in the order in which they were written, and their ids.
    said: Vec<String>,
    ids: Vec<String>,
}

impl Talk {
    /// Starts both at once, between NATs of these kinds; they are contacts already.
    pub(crate) async fn begin(kinds: [Nat; 2]) -> Result<Self> {
        Self::begin_on(kinds, |_| Ok(())).await
    }

    /// The same on a network that something is done to before they start.
    pub(crate) async fn begin_on(
        kinds: [Nat; 2],
        spoil: impl FnOnce(&Bed) -> Result<()>,
    ) -> Result<Self> {
        let bed = Bed::new(kinds)?;
        let (ann, bob) = bed.ann_and_bob()?;
        spoil(&bed)?;
        let began = Instant::now();
        let ann = tokio::spawn(Party::start(ann, "bob"));
        let bob = tokio::spawn(Party::start(bob, "ann"));
        let (ann, bob) = tokio::try_join!(ann, bob)?;
        Ok(Self {
            began,
            ann: ann?,
            bob: bob?,
            bed,
        })
    }

    /// Both say so much, in a call for each text.
    pub(crate) async fn say(&mut self, words: &str, count: usize) -> Result<()> {
        tokio::try_join!(self.ann.say(words, count), self.bob.say(words, count))?;
        Ok(())
    }

    /// When the first message of this kind had arrived at the one and at the other: the later of
    /// both.
    pub(crate) async fn heard(&self, words: &str) -> Result<Instant> {
        let (ann, bob) = tokio::try_join!(self.ann.hears(words), self.bob.hears(words))?;
        Ok(ann.max(bob))
    }

    /// The path that both sides agree on in the end, and when the later of them had it.
    pub(crate) async fn settled(&mut self) -> Result<(Path, Option<Instant>)> {
        let (ann, bob) = tokio::try_join!(self.ann.settled(), self.bob.settled())?;
        ensure!(ann.0 == bob.0, "ann says {}, bob {}", ann.0, bob.0);
        Ok((ann.0, ann.1.max(bob.1)))
    }

    /// When both had a direct link, however many attempts it takes.
    pub(crate) async fn linked(&self) -> Result<Instant> {
        let began = self.began;
        let (ann, bob) = tokio::try_join!(self.ann.linked(began), self.bob.linked(began))?;
        Ok(ann.max(bob))
    }

    /// Whether there has been a link through TURN.
    pub(crate) fn had_turn(&self) -> bool {
        self.parties().any(|party| {
            let seen = party.timeline.so_far();
            seen.iter().any(|seen| seen.link_up() == Some(true))
        })
    }

    /// Whether there has been a link.
    pub(crate) fn had_link(&self) -> bool {
        self.parties().any(|party| party.first_link().is_some())
    }

    /// Whether one of them had a link before the first message.
    pub(crate) fn needed_link(&self) -> bool {
        self.parties().any(|party| {
            let link = party.first_link();
            link.is_some_and(|link| party.first_message().is_none_or(|first| link < first))
        })
    }

    fn parties(&self) -> impl Iterator<Item = &Party> {
        [&self.ann, &self.bob].into_iter()
    }

    /// Until everything that was said so far has arrived, and whoever said it knows.
    pub(crate) async fn all_delivered(&self) -> Result<()> {
        tokio::try_join!(self.ann.delivered(), self.bob.delivered())?;
        Ok(())
    }

    /// Everything has arrived on both sides, once and in order.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.all_delivered().await?;
        let at_bob = self.bob.daemon.received("ann").await?;
        let at_ann = self.ann.daemon.received("bob").await?;
        ensure!(at_bob == self.ann.said, "ann's messages at bob: {at_bob:?}");
        ensure!(at_ann == self.bob.said, "bob's messages at ann: {at_ann:?}");
        for party in [&mut self.ann, &mut self.bob] {
            let code = party.daemon.process.terminate()?;
            ensure!(code == Some(0), "a daemon has ended with {code:?}");
        }
        Ok(())
    }
}

impl Party {
    async fn start(profile: Profile, other: &'static str) -> Result<Self> {
        let daemon = profile.daemon().await?;
        let timeline = Timeline::of(&daemon).await?;
        Ok(Self {
            daemon,
            timeline,
            other,
            said: Vec::new(),
            ids: Vec::new(),
        })
    }

    pub(crate) async fn say(&mut self, words: &str, count: usize) -> Result<()> {
        let texts = e2e::numbered(words, count);
        self.ids
            .extend(send_each(&self.daemon, self.other, &texts).await?);
        self.said.extend(texts);
        Ok(())
    }

    /// When the other's first message that begins so came.
    pub(crate) async fn hears(&self, words: &str) -> Result<Instant> {
        let heard = self.timeline.until(words, LOST, |seen| {
            let mut seen = seen.iter();
            let first = seen.find(|seen| seen.text().is_some_and(|text| text.starts_with(words)));
            first.map(|seen| seen.at)
        });
        let heard = heard.await;
        heard.with_context(|| format!("from {}", self.other))
    }

    async fn settled(&mut self) -> Result<(Path, Option<Instant>)> {
        path::settled(&mut self.daemon, self.other, &self.timeline).await
    }

    /// When there was a direct link, after that.
    pub(crate) async fn linked(&self, since: Instant) -> Result<Instant> {
        let link = self.timeline.until("a direct link", LOST, |seen| {
            let mut seen = seen.iter().filter(|seen| seen.at >= since);
            let link = seen.find(|seen| seen.link_up() == Some(false));
            link.map(|seen| seen.at)
        });
        link.await.with_context(|| format!("to {}", self.other))
    }

    async fn delivered(&self) -> Result<()> {
        let (mut states, mut read) = (States::default(), 0);
        let delivered = self.timeline.until("all is delivered", LOST, |seen| {
            for seen in seen.iter().skip(read) {
                states.note(&seen.event);
            }
            read = seen.len();
            states.all_reached(&self.ids, "delivered").then_some(())
        });
        let delivered = delivered.await;
        delivered.with_context(|| format!("to {}", self.other))?;
        states.check_forward()
    }

    /// The place of the first link among the events.
    fn first_link(&self) -> Option<usize> {
        let seen = self.timeline.so_far();
        seen.iter().position(|seen| seen.link_up().is_some())
    }

    /// The place of the other's first message.
    fn first_message(&self) -> Option<usize> {
        let seen = self.timeline.so_far();
        seen.iter().position(|seen| seen.text().is_some())
    }

    /// Events since then.
    pub(crate) fn since(&self, instant: Instant) -> Vec<Seen> {
        let mut seen = self.timeline.so_far();
        seen.retain(|seen| seen.at >= instant);
        seen
    }
}
