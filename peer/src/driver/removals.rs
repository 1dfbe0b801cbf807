//! What goes out of conversations: messages that disappear, texts that were taken back, and contents that have
//! said what they had to say.
//!
//! Invariant: a content of ours stays until the other side has it, or it has failed: it may have to be sealed
//! again. What shares its envelope is then sealed without it.

use std::time::Duration;

use tincan_core::Instant;

use super::{Driver, DriverError};
use crate::store::{
    ChangeName, ConversationNo, DueRemoval, JournalEvent, MessagePlace, Removal, WHEN_SETTLED, Who,
};

/// Taken out in one turn. Chosen: a few milliseconds.
const PER_TURN: usize = 256;

/// The clock is looked at as often at least: it may have been set.
const LOOK: Duration = Duration::from_secs(3600);

impl Driver {
    /// A message goes so many seconds after now; 0: it stays.
    pub(super) fn expire(
        &mut self,
        no: ConversationNo,
        who: Who,
        at: MessagePlace,
        expires_s: u32,
    ) -> Result<(), DriverError> {
        if expires_s == 0 {
            return Ok(());
        }
        let after_ms = u64::from(expires_s) * 1000;
        self.remove_at(no, who, at, Removal::Message, after_ms)
    }

    /// Something goes so many milliseconds after now.
    pub(super) fn remove_at(
        &mut self,
        no: ConversationNo,
        who: Who,
        at: MessagePlace,
        what: Removal,
        after_ms: u64,
    ) -> Result<(), DriverError> {
        let now = self.around.now();
        let removal = DueRemoval {
            due_ms: now.unix_ms.saturating_add(after_ms),
            no,
            who,
            at,
            what,
        };
        self.turn.batch()?.put_removal(&removal)?;
        let due = now.instant.after(Duration::from_millis(after_ms));
        self.removals_at = self.removals_at.min(due);
        Ok(())
    }

    /// A content of the other side that has said what it had to say.
    pub(super) fn remove_theirs(
        &mut self,
        no: ConversationNo,
        at: MessagePlace,
    ) -> Result<(), DriverError> {
        let removal = DueRemoval {
            due_ms: 0,
            no,
            who: Who::Them,
            at,
            what: Removal::Message,
        };
        self.turn.batch()?.remove_message(&removal)?;
        Ok(())
    }

    /// Before anybody reads: what disappeared while no process ran the profile is not shown once more.
    pub(super) fn remove_all_due(&mut self) -> Result<(), DriverError> {
        let now_ms = self.around.now().unix_ms;
        let next = self.turn.batch()?.next_removal()?;
        if next.is_none_or(|due_ms| due_ms > now_ms) {
            // Nothing is written at each start.
            self.turn.abandon();
            return Ok(());
        }
        while self.removals_at <= self.around.now().instant {
            self.remove_due()?;
        }
        self.commit()
    }

    pub(super) fn remove_due(&mut self) -> Result<(), DriverError> {
        let now = self.around.now();
        if self.removals_at > now.instant {
            return Ok(());
        }
        let due = self
            .turn
            .batch()?
            .take_due_removals(now.unix_ms, PER_TURN)?;
        for removal in due {
            if self.may_go(&removal) {
                self.remove(&removal)?;
            } else {
                let due_ms = WHEN_SETTLED;
                let later = DueRemoval { due_ms, ..removal };
                self.turn.batch()?.put_removal(&later)?;
            }
        }
        let next = self.turn.batch()?.next_removal()?;
        let wait = next.map_or(LOOK, |due_ms| {
            Duration::from_millis(due_ms.saturating_sub(now.unix_ms)).min(LOOK)
        });
        self.removals_at = now.instant.after(wait);
        Ok(())
    }

    /// Messages of ours have arrived, or failed: what could not go before them goes now.
    pub(super) fn remove_settled(
        &mut self,
        no: ConversationNo,
        first: u64,
        last: u64,
    ) -> Result<(), DriverError> {
        let settled = self.turn.batch()?.take_settled_removals(no, first, last)?;
        settled.iter().try_for_each(|removal| self.remove(removal))
    }

    /// Own messages may still have to be sealed again.
    fn may_go(&self, removal: &DueRemoval) -> bool {
        let Some(conversation) = self.conversations.get(&removal.no) else {
            return true;
        };
        removal.who == Who::Them || conversation.session.state_of(removal.at.seq).is_some()
    }

    fn remove(&mut self, removal: &DueRemoval) -> Result<(), DriverError> {
        let batch = self.turn.batch()?;
        let removed = batch.remove_message(removal)?;
        if let (Some(message), Removal::Message) = (removed, removal.what) {
            self.journal(JournalEvent::Changed {
                no: removal.no,
                message,
                change: ChangeName::Removed,
            });
        }
        Ok(())
    }

    /// When the next of them is due.
    pub(super) const fn removal_due(&self) -> Instant {
        self.removals_at
    }
}
