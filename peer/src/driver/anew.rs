//! A conversation that is begun anew: somebody was removed and is added again, or comes back with a backup
//! after everything was lost.
//!
//! It is the same conversation: its messages stay, both sides' numbers go on, and only the keys are new. Who
//! goes on with it sends what was not delivered once more, and says from where on the rest need not be waited
//! for (see [`Session::begin_anew`](tincan_core::Session::begin_anew)). Who has forgotten it knows nothing but
//! where they left: a number and a stamp, kept by a hash of whom it was with.

use std::time::Duration;

use hkdf::Hkdf;
use sha2::Sha256;
use tincan_core::LeftAt;
use tincan_mls::GroupId;
use tincan_protocol::IdentityId;

use super::{Driver, DriverError};
use crate::store::{ContactRow, ConversationNo, StoreError};

/// How often in an hour a contact may begin anew: each time everything undelivered is sealed again.
pub(super) const ANEW_PER_HOUR: u32 = 20;

const LEFT_INFO: &[u8] = b"tincan/1 left conversations";

impl Driver {
    /// What is sealed from now on is sealed in this group.
    pub(super) fn go_on_in(&mut self, row: &mut ContactRow, group: GroupId) {
        for old in row.retire_groups() {
            self.by_group.remove(&old);
            self.leave(&old);
        }
        self.by_group.insert(group.clone(), row.no);
        row.groups.push(group);
    }

    /// Under new keys, and perhaps with another device: what is on its way is sealed again.
    pub(super) fn begin_anew(&mut self, no: ConversationNo) -> Result<(), DriverError> {
        let why = "the conversation is begun anew";
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(());
        };
        conversation.session.met_as(conversation.row.device);
        if conversation.link.close(why) {
            let now = self.around.now().instant;
            conversation.link.retry_in(now, Duration::ZERO);
            self.tell_link_down(no, why)?;
        }
        // What is numbered is on disk before all of it is looked through.
        self.with_session(no, None, |session, vault, now| {
            session.flush(vault, now)?;
            session.begin_anew(now);
            Ok(())
        })
    }

    /// The conversation is forgotten, but for what must never be said twice.
    pub(super) fn leave_off(&mut self, with: &IdentityId, left: LeftAt) -> Result<(), DriverError> {
        if left.next_seq > 1 {
            let with = self.hash_of(with);
            self.turn.batch()?.put_left_at(&with, left)?;
        }
        Ok(())
    }

    pub(super) fn left_at(&mut self, with: &IdentityId) -> Result<LeftAt, StoreError> {
        let with = self.hash_of(with);
        let left = self.turn.batch()?.left_at(&with)?.unwrap_or_default();
        Ok(LeftAt {
            next_seq: left.next_seq.max(self.profile.first_seq),
            ..left
        })
    }

    /// Whom it is, for nobody but this profile.
    fn hash_of(&self, with: &IdentityId) -> [u8; 32] {
        let mut hash = [0; 32];
        let hkdf = Hkdf::<Sha256>::new(Some(with.as_bytes()), &self.profile.entropy);
        // 32 bytes are never too many for it.
        let _ = hkdf.expand(LEFT_INFO, &mut hash);
        hash
    }
}
