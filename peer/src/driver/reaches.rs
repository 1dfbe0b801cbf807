//! How contacts are reached, as it changes. Each change closes and opens connections, so a contact
//! gets one a minute; of those that come sooner the newest one is kept, durably, for its time.

use std::time::Duration;

use tincan_core::Instant;
use tincan_protocol::content::Reach;

use super::conversation::Conversation;
use super::{Driver, DriverError};
use crate::store::ConversationNo;

/// Time between two changes. Chosen: people change servers a few times in their life.
const PAUSE: Duration = Duration::from_secs(60);

impl Conversation {
    /// When the kept change is applied.
    pub(super) fn reach_due(&self) -> Option<Instant> {
        self.row.next_reach.as_ref()?;
        let at_once = Instant::from_micros(0);
        Some(self.reach_changed.map_or(at_once, |at| at.after(PAUSE)))
    }
}

impl Driver {
    /// A contact is reached another way now.
    pub(super) fn handle_reach(
        &mut self,
        no: ConversationNo,
        reach: Reach,
    ) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let mut row = conversation.row.clone();
        if !conversation.is_accepted() || row.newest_reach() == Some(&reach) {
            return Ok(());
        }
        row.next_reach = Some(reach);
        self.put_row(row)?;
        self.apply_due_reaches()
    }

    pub(super) fn apply_due_reaches(&mut self) -> Result<(), DriverError> {
        let now = self.around.now().instant;
        let due = self
            .conversations
            .iter()
            .filter(|(_, conversation)| conversation.reach_due().is_some_and(|at| at <= now));
        let due: Vec<ConversationNo> = due.map(|(&no, _)| no).collect();
        for no in due {
            self.apply_reach(no, now)?;
        }
        Ok(())
    }

    fn apply_reach(&mut self, no: ConversationNo, now: Instant) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(());
        };
        conversation.reach_changed = Some(now);
        let mut row = conversation.row.clone();
        row.their_reach = row.next_reach.take();
        self.put_row(row)?;
        self.relay_path(no)?;
        self.turn.sync_servers();
        Ok(())
    }
}
