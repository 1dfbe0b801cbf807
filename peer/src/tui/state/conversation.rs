//! The conversation that is open, and which part of it is on its way.
//!
//! One part is asked for at a time, and an answer to what was asked before the last question is nobody's any more. What
//! happens while a part is on its way may or may not be in it: then what is loaded is asked for again.

use super::event::Part;
use super::timeline::Timeline;
use crate::MsgId;

/// See the module.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// Of the contact.
    pub(crate) address: String,
    pub(crate) timeline: Timeline,
    /// The message with which something is to be done.
    pub(crate) selected: Option<MsgId>,
    /// The part that is on its way, and the number of its question.
    loading: Option<(Part, u64)>,
    /// Whether a first part has come.
    pub(crate) is_begun: bool,
    /// Whether something is not as it is loaded.
    is_stale: bool,
    /// Whether nothing is asked for until some time has passed, because the last answer was an error.
    is_blocked: bool,
}

impl Conversation {
    pub(crate) const fn new(address: String, timeline: Timeline) -> Self {
        Self {
            address,
            timeline,
            selected: None,
            loading: None,
            is_begun: false,
            is_stale: false,
            is_blocked: false,
        }
    }

    /// A part is asked for by the question of this number.
    pub(crate) const fn ask(&mut self, part: Part, number: u64) {
        if matches!(part, Part::Begin(_) | Part::Again(_)) {
            self.is_stale = false;
        }
        self.loading = Some((part, number));
    }

    /// Whether this is the answer to the last question.
    pub(crate) fn is_answer(&mut self, number: u64) -> bool {
        let is_last = self.loading.is_some_and(|(_, asked)| asked == number);
        if is_last {
            self.loading = None;
        }
        is_last
    }

    pub(crate) const fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// Something has changed that cannot be put into its place.
    pub(crate) const fn handle_stale(&mut self) {
        self.is_stale = true;
    }

    pub(crate) const fn block(&mut self) {
        self.is_blocked = true;
    }

    pub(crate) const fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Which part is to be asked for now.
    pub(crate) fn wanted(&self) -> Option<Part> {
        if self.loading.is_some() || self.is_blocked {
            return None;
        }
        if !self.is_begun {
            return Some(Part::Begin(None));
        }
        if self.is_stale {
            let around = self.timeline.first_visible_message();
            return Some(Part::Again(around.filter(|_| !self.timeline.is_at_end())));
        }
        match self.timeline.wants() {
            Some(true) => Some(Part::Older),
            Some(false) => Some(Part::Newer),
            None => None,
        }
    }
}
