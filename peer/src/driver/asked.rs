//! Being asked, in an invite's queue or in the mailbox of a conversation that is begun anew, and the answer.

use bytes::Bytes;
use tincan_mls::{GroupId, Joined, Member};
use tincan_protocol::content::{Body, ContactAccept, ContactRequest, Content};
use tincan_protocol::envelope::{Envelope, Payload, Request};
use tincan_protocol::invite::RequestProof;
use tincan_protocol::limits::HELLO_GROUPS_MAX;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::{DeviceId, EnvelopeId, IdentityId, QueueId};

use super::anew::ANEW_PER_HOUR;
use super::asking::REQUEST_BYTES_MAX;
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
        let id = EnvelopeId::of(&envelope);
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
        self.use_request(&mailbox.queue, id, &request, None)?;
        self.after(ack(mailbox, index));
        Ok(())
    }

    /// A request in the mailbox of a conversation: its other side begins it anew.
    pub(super) fn handle_request_of(
        &mut self,
        no: ConversationNo,
        mailbox: Mailbox,
        index: u64,
        (id, request): (EnvelopeId, Request),
    ) -> Result<(), DriverError> {
        let of = self.conversations.get(&no);
        let of = of.map(|conversation| conversation.row.identity);
        self.use_request(&mailbox.queue, id, &request, of)?;
        self.after(ack(mailbox, index));
        Ok(())
    }

    /// `of`: who alone may have made it.
    fn use_request(
        &mut self,
        queue: &QueueId,
        id: EnvelopeId,
        request: &Request,
        of: Option<IdentityId>,
    ) -> Result<(), DriverError> {
        if self.turn.batch()?.is_seen(&id)? {
            return Ok(());
        }
        let now_ms = self.around.now().unix_ms;
        match self.mls.join(&request.welcome, now_ms) {
            Ok(joined) => {
                let group = joined.group.clone();
                if let Err(why) = self.joined(queue, id, joined, request, of)? {
                    tracing::info!(why, "contact request dropped");
                    self.leave(&group);
                }
            }
            Err(tincan_mls::JoinError::AlreadyJoined) => {}
            Err(error) => tracing::info!(%error, "a contact request cannot be opened; dropped"),
        }
        self.refill_key_packages();
        Ok(())
    }

    /// We are a member of the sender's group, whose first message says who they are. Or why nothing comes of it.
    fn joined(
        &mut self,
        queue: &QueueId,
        id: EnvelopeId,
        joined: Joined,
        request: &Request,
        of: Option<IdentityId>,
    ) -> Result<Result<(), &'static str>, DriverError> {
        let Joined {
            group,
            inviter,
            members,
            ..
        } = joined;
        // Their two devices, or somebody else in the group: nothing this version can talk to.
        if members.len() != 2 {
            return Ok(Err("a group of more than two devices"));
        }
        if inviter.identity == self.identity || of.is_some_and(|of| of != inviter.identity) {
            return Ok(Err("of somebody else than may make it"));
        }
        let known = self.find(&inviter.identity).map(|known| known.row.no);
        if let Some(why) = known.and_then(|no| self.unwelcome(no, &inviter.device)) {
            return Ok(Err(why));
        }
        let payload = match self.mls.open(&request.message) {
            Ok(opened) if opened.group == group && opened.sender == inviter => opened.payload,
            _ => return Ok(Err("without a first message that can be opened")),
        };
        let payload = Bytes::from(payload);
        if payload.len() > REQUEST_BYTES_MAX {
            return Ok(Err("with more than a request has"));
        }
        let Some(words) = first_words(&payload) else {
            return Ok(Err("without a first message that asks for anything"));
        };
        self.use_shared_invite(queue, inviter.identity)?;
        let no = match known {
            Some(no) => {
                self.asked_again(no, group, inviter.device, words)?;
                no
            }
            None => self.asked_first(inviter, group, words)?,
        };
        self.with_session(no, None, |session, vault, now| {
            session.take_opened(id, payload, vault, now)
        })?;
        self.answer_request(no, known.is_none(), request.proof.as_ref())?;
        Ok(Ok(()))
    }

    /// Why somebody who is known is not heard.
    fn unwelcome(&mut self, no: ConversationNo, device: &DeviceId) -> Option<&'static str> {
        let now = self.around.now().instant;
        let known = self.conversations.get_mut(&no)?;
        if known.row.former_devices.contains(device) {
            return Some("of a device that they have replaced");
        }
        if known.row.state == ContactState::Blocked {
            return Some("of somebody who is blocked");
        }
        if known.row.groups.len() >= HELLO_GROUPS_MAX {
            return Some("one group too many");
        }
        let in_time = known.anew.take_hourly(now, 1, ANEW_PER_HOUR);
        (!in_time).then_some("of somebody who asks again and again")
    }

    fn asked_first(
        &mut self,
        who: Member,
        group: GroupId,
        words: ContactRequest,
    ) -> Result<ConversationNo, DriverError> {
        let ContactRequest { name, text, reach } = words;
        let state = ContactState::Asked { text };
        let Member { identity, device } = who;
        let mut row = self.new_contact(identity, device, "", state, vec![group])?;
        row.name = crate::names::clean(&name);
        row.their_reach = Some(reach);
        let no = row.no;
        self.put_row(row)?;
        Ok(no)
    }

    /// Somebody asks who is known: once more, or at the same time as we do, or because they have lost what they
    /// knew of the conversation, or have another device.
    fn asked_again(
        &mut self,
        no: ConversationNo,
        group: GroupId,
        device: DeviceId,
        words: ContactRequest,
    ) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let mut row = conversation.row.clone();
        let is_other_device = row.device != device;
        row.meet_as(device);
        match &mut row.state {
            ContactState::Requesting(_) => {
                self.by_group.insert(group.clone(), no);
                row.groups.push(group);
            }
            ContactState::Asked { text } => {
                *text = words.text;
                row.name = crate::names::clean(&words.name);
                self.go_on_in(&mut row, group);
            }
            ContactState::Accepted | ContactState::Lost | ContactState::Blocked => {
                self.go_on_in(&mut row, group);
            }
        }
        row.their_reach = Some(words.reach);
        (row.next_reach, row.relay_store) = (None, None);
        self.put_row(row)?;
        self.begin_anew(no)?;
        if is_other_device {
            self.journal(JournalEvent::Contact { no });
        }
        Ok(())
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
        let row = conversation.row.clone();
        let is_invited = self.use_single_invite(&row, proof)?;
        match row.state {
            // We have asked as well; or they begin anew, and must be told how we are reached.
            ContactState::Requesting(_) | ContactState::Accepted | ContactState::Lost => {
                self.say_yes(no)
            }
            ContactState::Asked { .. } if is_invited => self.say_yes(no),
            ContactState::Asked { .. } if is_new => {
                self.journal(JournalEvent::Request { no });
                Ok(())
            }
            _ => Ok(()),
        }
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
        let Some(no) = asked.map(|known| known.row.no) else {
            return Ok(Err(AcceptError::NoRequest));
        };
        if welcome {
            self.say_yes(no)?;
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

    /// Becomes a contact, if they are none yet, and tells them how we are reached. What they have said so far
    /// becomes messages.
    fn say_yes(&mut self, no: ConversationNo) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let heard = conversation.session.shown_up_to();
        let mut row = conversation.row.clone();
        let news = row.state != ContactState::Accepted;
        let goes_on = matches!(row.state, ContactState::Accepted | ContactState::Lost);
        let expires_s = row.settings.expires_s;
        if matches!(row.state, ContactState::Asked { .. }) {
            row.name = self.free_name(&row.name, Some(no));
            for (place, seq) in self.turn.batch()?.received(no, heard)? {
                self.turn.received(no, place, seq);
            }
        }
        if row.groups.is_empty() {
            // Another device was asked.
            row.state = ContactState::Lost;
            self.put_row(row)?;
            self.ask_lost(no);
            self.turn.sync_servers();
            return Ok(());
        }
        row.state = ContactState::Accepted;
        let accept = ContactAccept {
            name: self.profile.name.clone(),
            reach: self.reach(&row),
        };
        self.put_row(row)?;
        self.send_body(no, Body::ContactAccept(accept))?;
        if goes_on && expires_s > 0 {
            // They may have forgotten how long messages stay, and would keep ours for ever.
            self.say_timer(no, expires_s)?;
        }
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

/// What somebody says who asks.
fn first_words(payload: &Bytes) -> Option<ContactRequest> {
    let payload = Payload::decode(payload.clone()).ok()?;
    let mut contents = payload.contents.iter();
    contents.find_map(|bytes| match Content::decode(bytes).ok()?.body {
        Body::ContactRequest(request) => Some(request),
        _ => None,
    })
}
