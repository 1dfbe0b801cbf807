//! The slot of one conversation's link: its state and its retries.

use std::time::Duration;

use bytes::Bytes;
use tincan_core::Instant;
use tincan_protocol::LinkSessionId;
use tincan_protocol::link::{LinkSignal, SignedDescription, Statement, VerifiedDescription};

use super::Link;

/// First and longest wait after a failed attempt.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// First and longest wait until a link through TURN is given up for an attempt to have a direct one:
/// often the direct path was only slow to answer, or the network has changed since. Four times as
/// long each time, because the attempt costs the open link, and may never succeed.
const BETTER_FIRST: Duration = Duration::from_secs(10);
const BETTER_LONGEST: Duration = Duration::from_secs(6 * 3600);

/// How long an offer may take through a signaling server. Chosen: several times as long as through one on
/// another continent; whoever offers later than this has not got ours.
pub(super) const OFFER_TRAVELS: Duration = Duration::from_secs(3);

/// One conversation's link.
#[derive(Debug, Default)]
pub(super) struct LinkSlot {
    pub(super) state: SlotState,
    /// Not before this.
    pub(super) retry_at: Option<Instant>,
    pub(super) failures: u32,
    /// Links through TURN since the last direct one.
    relayed_in_a_row: u32,
}

#[derive(Debug, Default)]
pub(super) enum SlotState {
    #[default]
    Idle,
    Starting {
        attempt: u64,
        /// None: theirs is answered.
        offer: Option<OwnOffer>,
        early: Vec<LinkSignal>,
    },
    Connecting {
        attempt: u64,
        offer: Option<OwnOffer>,
        handle: Box<dyn Link>,
    },
    Up {
        attempt: u64,
        handle: Box<dyn Link>,
        relayed: bool,
    },
}

/// An offer of ours that nobody has answered yet.
#[derive(Debug)]
pub(super) struct OwnOffer {
    at: Instant,
    /// Its session, once it has gone out.
    session: Option<LinkSessionId>,
    /// One of theirs that came meanwhile and lost against ours.
    beaten: Option<VerifiedDescription>,
}

impl OwnOffer {
    pub(super) const fn made(at: Instant) -> Self {
        Self {
            at,
            session: None,
            beaten: None,
        }
    }

    /// Until then it may be on its way: later it is lost, or its answer is.
    fn arrives_by(&self) -> Instant {
        self.at.after(OFFER_TRAVELS)
    }
}

impl LinkSlot {
    /// Queues a frame. A link whose queue is full is not keeping up with what it acknowledges:
    /// it is closed, and what was on it is sent again.
    pub(super) fn send(&mut self, frame: Bytes) {
        if let SlotState::Up { handle, .. } = &self.state
            && !handle.send(frame)
        {
            handle.close("too slow");
        }
    }

    /// The link is open. If it goes through TURN, a better one is wanted later.
    pub(super) fn opened(&mut self, relayed: bool, now: Instant) {
        self.failures = 0;
        if !relayed {
            self.relayed_in_a_row = 0;
            return;
        }
        let wait = BETTER_FIRST
            .saturating_mul(4u32.saturating_pow(self.relayed_in_a_row))
            .min(BETTER_LONGEST);
        self.relayed_in_a_row = self.relayed_in_a_row.saturating_add(1);
        self.retry_in(now, wait);
    }

    /// True if there was a link.
    pub(super) fn close(&mut self, reason: &str) -> bool {
        match std::mem::take(&mut self.state) {
            SlotState::Idle | SlotState::Starting { .. } => false,
            SlotState::Connecting { handle, .. } | SlotState::Up { handle, .. } => {
                handle.close(reason);
                true
            }
        }
    }

    /// The open link and whether it goes through TURN.
    pub(super) fn up(&self) -> Option<(&dyn Link, bool)> {
        match &self.state {
            SlotState::Up {
                handle, relayed, ..
            } => Some((handle.as_ref(), *relayed)),
            _ => None,
        }
    }

    pub(super) const fn is_connecting(&self) -> bool {
        matches!(
            self.state,
            SlotState::Starting { .. } | SlotState::Connecting { .. }
        )
    }

    pub(super) const fn attempt(&self) -> Option<u64> {
        match &self.state {
            SlotState::Idle => None,
            SlotState::Starting { attempt, .. }
            | SlotState::Connecting { attempt, .. }
            | SlotState::Up { attempt, .. } => Some(*attempt),
        }
    }

    /// How many signals wait for the link's task.
    pub(super) const fn early_signals(&self) -> usize {
        match &self.state {
            SlotState::Starting { early, .. } => early.len(),
            _ => 0,
        }
    }

    const fn own_offer(&mut self) -> Option<&mut OwnOffer> {
        match &mut self.state {
            SlotState::Starting { offer, .. } | SlotState::Connecting { offer, .. } => {
                offer.as_mut()
            }
            _ => None,
        }
    }

    /// Both sides have offered, and ours wins: theirs is kept, in case that ours does not arrive. Given back if
    /// ours is not on its way any more.
    pub(super) fn beat(
        &mut self,
        theirs: VerifiedDescription,
        now: Instant,
    ) -> Option<VerifiedDescription> {
        match self.own_offer() {
            Some(ours) if now < ours.arrives_by() => {
                ours.beaten = Some(theirs);
                None
            }
            _ => Some(theirs),
        }
    }

    /// Our offer goes out.
    pub(super) fn offered(&mut self, offer: &SignedDescription) {
        if let Some(ours) = self.own_offer() {
            ours.session = session(offer);
        }
    }

    /// Somebody has got our offer, if this is about it. The link checks it later; signaling servers cannot make
    /// one, because they do not know what an offer says.
    pub(super) fn answered(&mut self, answer: &SignedDescription) {
        if let Some(ours) = self.own_offer()
            && ours.session.is_some()
            && ours.session == session(answer)
        {
            ours.beaten = None;
        }
    }

    /// When an offer that lost against ours is answered after all.
    pub(super) fn beaten_due(&self) -> Option<Instant> {
        match &self.state {
            SlotState::Starting { offer, .. } | SlotState::Connecting { offer, .. } => {
                let beats = offer.as_ref().filter(|ours| ours.beaten.is_some())?;
                Some(beats.arrives_by())
            }
            _ => None,
        }
    }

    pub(super) fn take_beaten(&mut self) -> Option<VerifiedDescription> {
        self.own_offer()?.beaten.take()
    }

    pub(super) fn retry_in(&mut self, now: Instant, wait: Duration) {
        self.retry_at = Some(now.after(wait));
    }

    /// The wait after a failed attempt, with jitter over its upper half: `chance` is from 0 to 1.
    pub(super) fn backoff(&mut self, chance: f64) -> Duration {
        let wait = RETRY_FIRST
            .saturating_mul(1 << self.failures.min(8))
            .min(RETRY_LONGEST);
        self.failures = self.failures.saturating_add(1);
        wait / 2 + wait.mul_f64(chance / 2.0)
    }
}

fn session(description: &SignedDescription) -> Option<LinkSessionId> {
    let statement = Statement::decode(&description.statement.0).ok()?;
    Some(statement.session)
}
