//! Being asked: a request in an invite's queue, and the answer to it.

use bytes::Bytes;
use tincan_core::{Input as SessionInput, Via};
use tincan_mls::Joined;
use tincan_protocol::IdentityId;
use tincan_protocol::content::{Body, ContactAccept, ContactRequest};
use tincan_protocol::envelope::{Envelope, Request};
use tincan_protocol::invite::RequestProof;
use tincan_protocol::limits::HELLO_GROUPS_MAX;
use tincan_protocol::origin::ServerUrl;

use super::sessions::Mailbox;
use super::turn::After;
use super::{Driver, DriverError};
use crate::error::AcceptError;
use crate::store::{ContactState, ConversationNo, JournalEvent};

/// Requests that wait for a decision. Further ones stay at the relay until some are decided, so that
/// an invite that went around does not fill the disk.
pub(super) const ASKED_MAX: usize = 200;

impl Driver {
    /// Something came into an invite's queue.
    pub(super) fn handle_request(
        &mut self,
        mailbox: Mailbox,
        index: u64,
        envelope: Bytes,
    ) -> Result<(), DriverError> {
        let left = self
            .relays
            .get(&mailbox.server)
            .is_some_and(|relay| relay.left.contains(&mailbox.queue));
        if left {
            return Ok(());
        }
        if self.is_last(&mailbox.queue, &envelope) {
            return self.end_invite(&mailbox.queue);
        }
        let Ok(Envelope::Request(request)) = Envelope::decode(envelope) else {
            tracing::debug!("not a request in an invite's queue; dropped");
            self.after(ack(mailbox, index));
            return Ok(());
        };
        if self.asked() >= ASKED_MAX {
            // It stays at the relay: when that is full, senders are told.
            tracing::warn!("too many requests wait for a decision; further ones stay at the relay");
            if let Some(relay) = self.relays.get_mut(&mailbox.server) {
                relay.left.insert(mailbox.queue);
            }
            return Ok(());
        }
        let now_ms = self.around.now().unix_ms;
        match self.mls.join(&request.welcome, now_ms) {
            Ok(joined) => self.joined(mailbox, index, joined, request)?,
            Err(tincan_mls::JoinError::AlreadyJoined) => self.after(ack(mailbox, index)),
            Err(error) => {
                tracing::info!(%error, "a contact request cannot be opened; dropped");
                self.after(ack(mailbox, index));
            }
        }
        self.refill_key_packages();
        Ok(())
    }

    /// We are a member of the sender's group; its first message says who they are.
    fn joined(
        &mut self,
        mailbox: Mailbox,
        index: u64,
        joined: Joined,
        request: Request,
    ) -> Result<(), DriverError> {
        let Joined {
            group,
            inviter,
            members,
            ..
        } = joined;
        let known = self
            .find(&inviter.identity)
            .map(|conversation| conversation.row.clone());
        let unwelcome = match &known {
            // Their two devices, or somebody else in the group: nothing this version can talk to.
            _ if members.len() != 2 => Some("a group of more than two devices"),
            Some(row) if row.device != inviter.device => Some("a contact's other device"),
            Some(row) if row.state == ContactState::Blocked => Some("somebody who is blocked"),
            Some(row) if row.groups.len() >= HELLO_GROUPS_MAX => Some("too many groups with them"),
            _ => None,
        };
        if let Some(why) = unwelcome {
            tracing::info!(why, "contact request dropped");
            self.leave(&group);
            self.after(ack(mailbox, index));
            return Ok(());
        }
        self.use_shared_invite(&mailbox.queue, inviter.identity)?;
        let (no, is_new) = match known {
            Some(row) => (self.another_group(row, group)?, false),
            None => {
                let state = ContactState::Asked {
                    text: String::new(),
                    heard: false,
                };
                let name = short_name(&inviter.identity);
                let row =
                    self.new_contact(inviter.identity, inviter.device, &name, state, vec![group])?;
                (row.no, true)
            }
        };
        let envelope = Envelope::Message(request.message).encode();
        let input = SessionInput::Envelope {
            via: Via::Mailbox { index },
            envelope,
        };
        self.with_session(no, Some(mailbox), |session, vault, now| {
            session.handle_input(input, vault, now)
        })?;
        self.answer_request(no, is_new, request.proof.as_ref())
    }

    /// What comes of a request whose first message has been taken.
    fn answer_request(
        &mut self,
        no: ConversationNo,
        is_new: bool,
        proof: Option<&RequestProof>,
    ) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let (row, heard_up_to) = (conversation.row.clone(), conversation.session.shown_up_to());
        if matches!(row.state, ContactState::Asked { heard: false, .. }) {
            tracing::info!("a contact request without its first message; dropped");
            self.forget_unnamed(no)?;
            return Ok(());
        }
        let is_invited = self.use_single_invite(&row, proof)?;
        match row.state {
            ContactState::Asked { .. } if is_invited => self.say_yes(no, heard_up_to),
            ContactState::Asked { .. } if is_new => {
                self.journal(JournalEvent::Request { no });
                Ok(())
            }
            // They have asked again, or we have asked as well, and each has heard the other by now.
            _ => Ok(()),
        }
    }

    /// The first content of a group that we were made a member of. Heard once: a contact who says it
    /// again changes nothing.
    pub(super) fn handle_contact_request(
        &mut self,
        no: ConversationNo,
        seq: u64,
        request: ContactRequest,
    ) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let mut row = conversation.row.clone();
        let is_wanted = match &mut row.state {
            ContactState::Asked { text, heard } if !*heard => {
                *heard = true;
                *text = request.text;
                row.name = crate::names::clean(&request.name);
                false
            }
            // Both asked at the same time: both want to.
            ContactState::Requesting(_) => true,
            ContactState::Asked { .. } | ContactState::Accepted | ContactState::Blocked => {
                return Ok(());
            }
        };
        row.their_reach = Some(request.reach);
        self.put_row(row)?;
        if is_wanted {
            self.say_yes(no, seq)?;
        }
        Ok(())
    }

    /// Whether somebody asks to be a contact and was not answered yet.
    pub(super) fn is_asking(&self, no: ConversationNo) -> bool {
        let known = self.conversations.get(&no);
        known.is_some_and(|known| matches!(known.row.state, ContactState::Asked { .. }))
    }

    /// A person has decided: a request becomes a contact, or is forgotten.
    pub(super) fn decide(
        &mut self,
        who: &IdentityId,
        welcome: bool,
    ) -> Result<Result<(), AcceptError>, DriverError> {
        let asked = self
            .find(who)
            .filter(|known| matches!(known.row.state, ContactState::Asked { .. }));
        let asked = asked.map(|known| (known.row.no, known.session.shown_up_to()));
        let Some((no, heard)) = asked else {
            return Ok(Err(AcceptError::NoRequest));
        };
        if welcome {
            self.say_yes(no, heard)?;
        } else {
            self.forget(no)?;
        }
        self.read_left_requests()?;
        Ok(Ok(()))
    }

    /// There is room again for requests that were left at their relay: they come once more.
    pub(super) fn read_left_requests(&mut self) -> Result<(), DriverError> {
        let left = self
            .relays
            .iter()
            .filter(|(_, relay)| !relay.left.is_empty());
        let left: Vec<ServerUrl> = left.map(|(server, _)| server.clone()).collect();
        for server in left {
            self.hang_up_relay(&server)?;
        }
        Ok(())
    }

    /// Becomes a contact and tells them how we are reached. What they have said so far, up to the seq
    /// `heard`, becomes messages.
    fn say_yes(&mut self, no: ConversationNo, heard: u64) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let mut row = conversation.row.clone();
        let news = row.state != ContactState::Accepted;
        if matches!(row.state, ContactState::Asked { .. }) {
            row.name = self.free_name(&row.name, Some(no));
            for (place, seq) in self.turn.batch()?.received(no, heard)? {
                self.turn.received(no, place, seq);
            }
        }
        row.state = ContactState::Accepted;
        let accept = ContactAccept {
            name: self.profile.name.clone(),
            reach: self.reach(&row),
        };
        self.put_row(row)?;
        self.send_body(no, Body::ContactAccept(accept))?;
        if news {
            self.journal(JournalEvent::Accepted { no });
        }
        self.relay_path(no)?;
        self.turn.sync_servers();
        Ok(())
    }
}

fn ack(mailbox: Mailbox, index: u64) -> After {
    let Mailbox { server, queue } = mailbox;
    After::AckMailbox {
        server,
        queue,
        index,
    }
}

fn short_name(identity: &IdentityId) -> String {
    identity.to_string().chars().take(12).collect()
}
