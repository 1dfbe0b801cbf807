//! The conversation that is open.

use super::composer::Composer;
use super::timeline::Timeline;
use crate::MsgId;

/// See the module.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// Of the contact.
    pub(crate) address: String,
    pub(crate) timeline: Timeline,
    pub(crate) composer: Composer,
    /// The message with which something is to be done.
    pub(crate) selected: Option<MsgId>,
    /// Which part has been asked for and has not come yet.
    pub(crate) is_loading: bool,
    /// Whether its first part has come.
    pub(crate) is_begun: bool,
    /// Whether there may be something new since a part was asked for.
    pub(crate) is_behind: bool,
}

impl Conversation {
    pub(crate) fn new(address: String, timeline: Timeline, draft: &str) -> Self {
        Self {
            address,
            timeline,
            composer: Composer::new(draft),
            selected: None,
            is_loading: false,
            is_begun: false,
            is_behind: false,
        }
    }
}
