//! Invites: made, counted, ended.
//!
//! Whoever was told that their request is on its way is heard, however late they came. So the mailbox of
//! an invite that is used up first gets another write token, which the relay learns with the next
//! connection; when everything that was deposited before has been read, the mailbox is deleted.

use std::time::Duration;

use bytes::Bytes;
use tincan_core::Instant;
use tincan_protocol::envelope::Envelope;
use tincan_protocol::invite::{Invite, InviteBody, ProofOf, RequestProof};
use tincan_protocol::keys::{AddressKey, QueueKey};
use tincan_protocol::{EnvelopeId, IdentityId, QueueId, WriteToken};

use super::surroundings::random;
use super::turn::After;
use super::{Driver, DriverError, Reply};
use crate::error::InviteError;
use crate::net::{DepositTag, RelayCommand};
use crate::store::{ContactRow, ConversationNo, InviteRow};

/// Somebody who makes an invite is answered when it works, or after this time: its mailbox and our key
/// packages must be at the relay, which takes some round trips.
const RELAY_PATIENCE: Duration = Duration::from_secs(5);

/// Answers to what we deposit for ourselves are nobody's: conversations are numbered from 1.
const NOBODY: ConversationNo = ConversationNo(0);

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
            used_by: Vec::new(),
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
            secret: Some(row.secret()),
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

    /// Whether somebody is accepted because of an invite for one use. They must have had its link: the
    /// relay knows everything else that leads here, and chooses what it says came in where. Counts the
    /// use; nobody is accepted by a used invite, nor by one that is over by our own clock.
    pub(super) fn use_single_invite(
        &mut self,
        guest: &ContactRow,
        proof: Option<&RequestProof>,
    ) -> Result<bool, DriverError> {
        let Some(queue) = proof.and_then(|proof| self.proven_invite(guest, proof)) else {
            return Ok(false);
        };
        let now_ms = self.around.now().unix_ms;
        let in_time = self
            .invites
            .get(&queue)
            .is_some_and(|invite| now_ms < invite.expires_ms);
        Ok(self.count_use(&queue, guest.identity)? && in_time)
    }

    /// The invite for one use whose link somebody has had.
    fn proven_invite(&self, guest: &ContactRow, proof: &RequestProof) -> Option<QueueId> {
        let single = self.invites.iter().filter(|(_, row)| row.max_uses == 1);
        let mut proven = single.filter(|&(queue, row)| {
            let of = ProofOf {
                host: &self.identity,
                guest: &guest.identity,
                device: &guest.device,
                queue,
            };
            row.secret().verify(of, proof)
        });
        proven.next().map(|(queue, _)| *queue)
    }

    /// Counts a use of an invite whose users are asked about in any case, and so need not prove that they
    /// have had its link.
    pub(super) fn use_shared_invite(
        &mut self,
        queue: &QueueId,
        guest: IdentityId,
    ) -> Result<(), DriverError> {
        if self.invites.get(queue).is_some_and(|row| row.max_uses > 1) {
            self.count_use(queue, guest)?;
        }
        Ok(())
    }

    /// Counts a person's use, once; true if it is a new one.
    fn count_use(&mut self, queue: &QueueId, guest: IdentityId) -> Result<bool, DriverError> {
        let Some(invite) = self.invites.get_mut(queue) else {
            return Ok(false);
        };
        if invite.is_used_up() || invite.used_by.contains(&guest) {
            return Ok(false);
        }
        invite.uses += 1;
        invite.used_by.push(guest);
        if invite.is_used_up() {
            invite.write_token = WriteToken::from_bytes(random(self.around.as_mut()));
        }
        let row = invite.clone();
        self.turn.batch()?.put_invite(&row)?;
        if row.is_used_up() {
            self.hang_up_relay(&row.relay)?;
        }
        Ok(true)
    }

    /// An invite's mailbox has been read to what was its end a moment ago. If the invite is used up, we say
    /// there that it is over: where the relay has replaced the token, what comes before this is all that
    /// was ever told to be sent; where it has not yet, it refuses us, and there is another end to come.
    pub(super) fn say_last(&mut self, queue: &QueueId) {
        let Some(row) = self.invites.get(queue).filter(|row| row.is_used_up()) else {
            return;
        };
        let envelope = last_one(row);
        let deposit = RelayCommand::Deposit {
            tag: DepositTag {
                no: NOBODY,
                id: EnvelopeId::of(&envelope),
            },
            queue: *queue,
            token: row.write_token,
            envelope,
        };
        let relay = row.relay.clone();
        self.after(After::Relay(relay, Box::new(deposit)));
    }

    /// Whether this is what we have said ourselves, so that nothing can come after it.
    pub(super) fn is_last(&self, queue: &QueueId, envelope: &Bytes) -> bool {
        let row = self.invites.get(queue);
        row.is_some_and(|row| row.is_used_up() && last_one(row) == *envelope)
    }
}

/// Nobody else can make it: nobody else has been told the token.
pub(super) fn last_one(row: &InviteRow) -> Bytes {
    Envelope::Message(row.write_token.to_vec().into()).encode()
}
