//! Invites: made, counted, ended.

use std::time::Duration;

use tincan_core::Instant;
use tincan_protocol::QueueId;
use tincan_protocol::WriteToken;
use tincan_protocol::invite::{Invite, InviteBody};
use tincan_protocol::keys::{AddressKey, QueueKey};

use super::surroundings::random;
use super::{Driver, DriverError, Reply};
use crate::error::InviteError;
use crate::store::InviteRow;

/// Somebody who makes an invite is answered when it works, or after this time: its mailbox and our key
/// packages must be at the relay, which takes some round trips.
const RELAY_PATIENCE: Duration = Duration::from_secs(5);

/// An invite that may not work yet.
pub(super) struct PendingInvite {
    invite: Invite,
    reply: Reply<Result<Invite, InviteError>>,
    pub(super) deadline: Instant,
}

impl Driver {
    pub(super) fn answer_when_it_works(
        &mut self,
        invite: Invite,
        reply: Reply<Result<Invite, InviteError>>,
    ) {
        let deadline = self.around.now().instant.after(RELAY_PATIENCE);
        self.turn.hurry();
        self.pending_invites.push(PendingInvite {
            invite,
            reply,
            deadline,
        });
    }

    pub(super) fn answer_invites(&mut self) {
        if self.pending_invites.is_empty() {
            return;
        }
        let now = self.around.now().instant;
        let relay = self.relays.get(&self.profile.relay);
        let works = |pending: &PendingInvite| {
            let queue = pending.invite.body().queue;
            relay.is_some_and(|relay| relay.takes_requests(&queue))
        };
        let over = self.settings.offline;
        let due = |pending: &PendingInvite| over || works(pending) || pending.deadline <= now;
        let (answered, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending_invites)
            .into_iter()
            .partition(due);
        self.pending_invites = waiting;
        for pending in answered {
            self.answer(pending.reply, Ok(pending.invite));
        }
    }

    pub(super) fn make_invite(
        &mut self,
        max_uses: u32,
        lifetime_ms: u64,
    ) -> Result<Result<Invite, InviteError>, DriverError> {
        let row = InviteRow {
            queue_seed: random(self.around.as_mut()),
            write_token: WriteToken::from_bytes(random(self.around.as_mut())),
            address_seed: random(self.around.as_mut()),
            relay: self.profile.relay.clone(),
            expires_ms: self.around.now().unix_ms.saturating_add(lifetime_ms),
            max_uses,
            uses: 0,
        };
        let body = InviteBody {
            name: self.profile.name.clone(),
            signal_servers: self.profile.signal_servers.clone(),
            relay: row.relay.clone(),
            queue: row.queue_key().queue(),
            write_token: row.write_token,
            key_package_owner: QueueKey::from_seed(&self.profile.key_package_seed).queue(),
            key_package_token: self.profile.key_package_token,
            signal_address: AddressKey::from_seed(&row.address_seed).address(),
            expires_ms: row.expires_ms,
            max_uses,
        };
        match Invite::sign(body, self.cert.clone(), &self.device) {
            Ok(invite) => {
                self.turn.batch()?.put_invite(&row)?;
                self.invites.insert(row.queue_key().queue(), row);
                self.turn.sync_servers();
                Ok(Ok(invite))
            }
            Err(error) => Ok(Err(InviteError::Sign(error))),
        }
    }

    pub(super) fn end_invite(&mut self, queue: &QueueId) -> Result<(), DriverError> {
        let Some(row) = self.invites.remove(queue) else {
            return Ok(());
        };
        self.turn.batch()?.remove_invite(&row)?;
        self.end_queue(row.queue_seed, row.relay)
    }

    /// Counts a use; true if whoever uses this invite is accepted.
    pub(super) fn use_invite(&mut self, queue: &QueueId) -> Result<bool, DriverError> {
        let Some(invite) = self.invites.get_mut(queue) else {
            return Ok(false);
        };
        // Whoever came too late but was there before the invite ended is asked about.
        if invite.uses >= invite.max_uses {
            return Ok(false);
        }
        invite.uses += 1;
        let (single, used_up) = (invite.max_uses == 1, invite.uses >= invite.max_uses);
        let row = invite.clone();
        self.turn.batch()?.put_invite(&row)?;
        if used_up {
            self.end_if_used_up(queue)?;
        }
        Ok(single)
    }

    /// An invite that is used up ends when everything that waits in its mailbox has been read: it was
    /// told to be sent.
    pub(super) fn end_if_used_up(&mut self, queue: &QueueId) -> Result<(), DriverError> {
        let Some(invite) = self.invites.get(queue) else {
            return Ok(());
        };
        let relay = self.relays.get(&invite.relay);
        let read = relay.is_none_or(|relay| relay.has_drained(queue));
        if read && invite.uses >= invite.max_uses {
            self.end_invite(queue)?;
        }
        Ok(())
    }
}
