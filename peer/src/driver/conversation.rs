//! One conversation in memory.

use tincan_core::{Instant, Session};

use super::link_slot::LinkSlot;
use super::news::News;
use super::pace::Pace;
use crate::store::{ContactRow, ContactState};

/// See the module.
pub(super) struct Conversation {
    pub(super) row: ContactRow,
    pub(super) session: Session,
    pub(super) link: LinkSlot,
    /// Whether somebody holds the contact's signal address now.
    pub(super) online: bool,
    /// When that last changed.
    pub(super) presence_told: Option<Instant>,
    /// When the way in which they are reached last changed.
    pub(super) reach_changed: Option<Instant>,
    /// How often they have begun the conversation anew.
    pub(super) anew: Pace,
    /// When our request goes to its relay again, which could not take it; or when a key package is asked for again.
    pub(super) request_again_at: Option<Instant>,
    /// How often its relay has not taken it.
    pub(super) request_refusals: u32,
    /// The offers of links that they make.
    pub(super) offers: Pace,
    /// Envelopes of theirs that cannot be opened.
    pub(super) refused: Pace,
    pub(super) news: News,
    /// Contents were sent and are not sealed yet.
    pub(super) unsealed: bool,
}

impl Conversation {
    pub(super) fn new(row: ContactRow, session: Session) -> Self {
        Self {
            row,
            session,
            link: LinkSlot::default(),
            online: false,
            presence_told: None,
            reach_changed: None,
            anew: Pace::default(),
            request_again_at: None,
            request_refusals: 0,
            offers: Pace::default(),
            refused: Pace::default(),
            news: News::default(),
            unsealed: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.session.poll_timeout().map(|(at, _)| at)
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.row.state == ContactState::Accepted
    }

    /// See [`ContactRow::may_reach`].
    pub(super) fn may_reach(&self) -> bool {
        self.row.may_reach()
    }
}
