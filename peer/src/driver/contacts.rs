//! How people become contacts.
//!
//! The one who has an invite takes a key package with it, makes the MLS group, and sends a
//! `Request` (the group's Welcome and the first message) into the invite's queue. The other side
//! joins; an invite for one use accepts at once, else a person decides. The answer tells how its
//! sender is reached, and from then on both sides do the same things.

use std::time::Duration;

use bytes::Bytes;
use tincan_core::{Input as SessionInput, Instant, Via};
use tincan_mls::{GroupId, Joined, Mls};
use tincan_protocol::content::{Body, ContactAccept, ContactRequest, Reach};
use tincan_protocol::envelope::{Envelope, Request};
use tincan_protocol::invite::{Invite, InviteBody};
use tincan_protocol::keys::{AddressKey, QueueKey};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::{ConversationId, DeviceId, IdentityId, QueueId, WriteToken};
use uuid::Uuid;

use super::commands::{AddRequest, Reply};
use super::conversation::Conversation;
use super::turn::After;
use super::{Driver, DriverError};
use crate::error::{AcceptError, AddError, InviteError};
use crate::net::RelayCommand;
use crate::store::{
    ContactRow, ContactState, ConversationNo, InviteRow, JournalEvent, RequestStage,
};

/// A relay that does not hand out a key package within this time is not there.
const ADD_TIMEOUT: Duration = Duration::from_secs(15);

/// Requests that wait for a decision. Beyond it further ones are dropped, so that an invite that
/// went around does not fill the disk.
const ASKED_MAX: usize = 200;

/// An `add` that waits for a key package.
pub(super) struct PendingAdd {
    request: AddRequest,
    reply: Reply<Result<IdentityId, AddError>>,
    sent: bool,
    pub(super) deadline: Instant,
}

impl PendingAdd {
    pub(super) fn relay(&self) -> ServerUrl {
        self.request.invite.body().relay.clone()
    }
}

impl Driver {
    // Invites.

    pub(super) fn make_invite(
        &mut self,
        max_uses: u32,
        lifetime_ms: u64,
    ) -> Result<Result<Invite, InviteError>, DriverError> {
        let row = InviteRow {
            queue_seed: rand::random(),
            write_token: WriteToken::from_bytes(rand::random()),
            address_seed: rand::random(),
            relay: self.profile.relay.clone(),
            expires_ms: self.clock.now().unix_ms.saturating_add(lifetime_ms),
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
                self.after(After::SyncServers);
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
        self.after(After::Relay(
            row.relay.clone(),
            Box::new(RelayCommand::DeleteQueue(row.queue_key())),
        ));
        self.after(After::SyncServers);
        Ok(())
    }

    // Asking.

    /// Checks what can be checked here, and asks the invite's relay for a key package.
    pub(super) fn begin_add(
        &mut self,
        request: AddRequest,
        reply: Reply<Result<IdentityId, AddError>>,
    ) {
        if let Err(error) = self.check_add(&request) {
            return reply.send(Err(error));
        }
        let deadline = self.clock.now().instant.after(ADD_TIMEOUT);
        let id = self.next_attempt;
        self.next_attempt += 1;
        self.pending_adds.insert(
            id,
            PendingAdd {
                request,
                reply,
                sent: false,
                deadline,
            },
        );
        self.sync_servers();
        self.take_key_packages();
    }

    fn check_add(&self, request: &AddRequest) -> Result<(), AddError> {
        let identity = request.invite.cert().identity();
        request.invite.check_time(self.clock.now().unix_ms)?;
        if identity == self.identity {
            return Err(AddError::Myself);
        }
        match self
            .find(&identity)
            .map(|conversation| &conversation.row.state)
        {
            None => Ok(()),
            Some(ContactState::Asked { .. }) => Err(AddError::TheyAsked),
            Some(_) => Err(AddError::KnownAlready),
        }
    }

    /// Asks for key packages at the relays that are up.
    pub(super) fn take_key_packages(&mut self) {
        let mut wanted = Vec::new();
        for (&request, add) in &mut self.pending_adds {
            let body = add.request.invite.body();
            if !add.sent && self.relays.get(&body.relay).is_some_and(|relay| relay.up) {
                add.sent = true;
                let (owner, token) = (body.key_package_owner, body.key_package_token);
                let command = RelayCommand::TakeKeyPackage {
                    request,
                    owner,
                    token,
                };
                wanted.push((body.relay.clone(), command));
            }
        }
        for (relay, command) in wanted {
            self.send_to_relay(&relay, command);
        }
    }

    pub(super) fn expire_adds(&mut self) {
        let now = self.clock.now().instant;
        let late = self
            .pending_adds
            .iter()
            .filter(|(_, add)| add.deadline <= now);
        let late: Vec<u64> = late.map(|(&id, _)| id).collect();
        for id in late {
            if let Some(add) = self.pending_adds.remove(&id) {
                let server = add.request.invite.body().relay.clone();
                add.reply.send(Err(AddError::NoAnswer { server }));
                self.after(After::SyncServers);
            }
        }
    }

    pub(super) fn handle_key_package(
        &mut self,
        request: u64,
        package: Result<Vec<u8>, String>,
    ) -> Result<(), DriverError> {
        let package = match package {
            Ok(package) => package,
            Err(text) => {
                // A relay that is not there yet is tried again until the deadline.
                let reachable = self.pending_adds.get(&request).is_some_and(|add| {
                    self.relays
                        .get(&add.request.invite.body().relay)
                        .is_some_and(|relay| relay.up)
                });
                if !reachable {
                    if let Some(add) = self.pending_adds.get_mut(&request) {
                        add.sent = false;
                    }
                    return Ok(());
                }
                if let Some(add) = self.pending_adds.remove(&request) {
                    add.reply.send(Err(AddError::Refused { text }));
                }
                return Ok(());
            }
        };
        let Some(PendingAdd { request, reply, .. }) = self.pending_adds.remove(&request) else {
            return Ok(());
        };
        // It may have become one meanwhile.
        if let Err(error) = self.check_add(&request) {
            reply.send(Err(error));
            return Ok(());
        }
        let identity = request.invite.cert().identity();
        let now_ms = self.clock.now().unix_ms;
        match self.mls.create_direct_group(&package, &identity, now_ms) {
            Ok(group) => {
                let result = self.ask(request, group.group, group.peer.device, group.welcome)?;
                self.answer(reply, result);
            }
            Err(error) => reply.send(Err(AddError::KeyPackage {
                text: error.to_string(),
            })),
        }
        Ok(())
    }

    /// Writes the contact and its first message.
    fn ask(
        &mut self,
        request: AddRequest,
        group: GroupId,
        device: DeviceId,
        welcome: Vec<u8>,
    ) -> Result<Result<IdentityId, AddError>, DriverError> {
        let invite = request.invite.body();
        let identity = request.invite.cert().identity();
        let stage = RequestStage {
            relay: invite.relay.clone(),
            queue: invite.queue,
            write_token: invite.write_token,
            welcome,
            envelope: None,
            deposited: false,
        };
        let name = request.name.as_deref().unwrap_or(&invite.name);
        let state = ContactState::Requesting(stage);
        let mut row = self.new_contact(identity, device, name, state, vec![group.clone()])?;
        let no = row.no;
        row.unconfirmed = Some(group);
        self.put_row(row.clone())?;
        let (name, reach) = (self.profile.name.clone(), self.reach(&row));
        let content = ContactRequest {
            name,
            text: request.text,
            reach,
        };
        self.send_body(no, Body::ContactRequest(content))?;
        // The first envelope of the session is the request.
        let batch = self.turn.batch()?;
        let envelope = batch.outbox(no, 0)?.first().map(|(_, meta)| meta.id);
        if let Some(conversation) = self.conversations.get_mut(&no) {
            if let ContactState::Requesting(stage) = &mut conversation.row.state {
                stage.envelope = envelope;
            }
            let row = conversation.row.clone();
            self.turn.batch()?.put_contact(&row)?;
        }
        self.relay_path(no)?;
        Ok(Ok(identity))
    }

    /// Wraps a conversation's first envelope into the request that carries the Welcome.
    pub(super) fn request_envelope(stage: &RequestStage, envelope: Bytes) -> Option<Bytes> {
        match Envelope::decode(envelope) {
            Ok(Envelope::Message(message)) => {
                let welcome = stage.welcome.clone().into();
                Some(Envelope::Request(Request { welcome, message }).encode())
            }
            _ => None,
        }
    }

    // Being asked.

    /// Something came into an invite's queue.
    pub(super) fn handle_request(
        &mut self,
        queue: QueueId,
        index: u64,
        envelope: Bytes,
    ) -> Result<(), DriverError> {
        let ack = After::AckMailbox { queue, index };
        let request = match Envelope::decode(envelope) {
            Ok(Envelope::Request(request)) => request,
            Ok(_) | Err(_) => {
                tracing::debug!("not a request in an invite's queue; dropped");
                self.after(ack);
                return Ok(());
            }
        };
        let now_ms = self.clock.now().unix_ms;
        match self.mls.join(&request.welcome, now_ms) {
            Ok(joined) => self.joined(queue, index, joined, request.message)?,
            Err(tincan_mls::JoinError::AlreadyJoined) => self.after(ack),
            Err(error) => {
                tracing::info!(%error, "a contact request cannot be opened; dropped");
                self.after(ack);
            }
        }
        self.refill_key_packages();
        Ok(())
    }

    /// We are a member of the sender's group; its first message says who they are.
    fn joined(
        &mut self,
        queue: QueueId,
        index: u64,
        joined: Joined,
        message: Bytes,
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
            None if self.asked() >= ASKED_MAX => Some("too many requests wait already"),
            _ => None,
        };
        if let Some(why) = unwelcome {
            tracing::info!(why, "contact request dropped");
            if let Err(error) = self.mls.delete_group(&group) {
                tracing::warn!(%error, "group not deleted");
            }
            self.after(After::AckMailbox { queue, index });
            return Ok(());
        }
        let no = match known {
            Some(row) => self.another_group(row, group)?,
            None => {
                let text = String::new();
                let state = ContactState::Asked {
                    text,
                    invite: queue,
                };
                let name = short_name(&inviter.identity);
                self.new_contact(inviter.identity, inviter.device, &name, state, vec![group])?
                    .no
            }
        };
        let envelope = Envelope::Message(message).encode();
        let input = SessionInput::Envelope {
            via: Via::Mailbox { index },
            envelope,
        };
        self.with_session(no, Some(queue), |session, vault, now| {
            session.handle_input(input, vault, now)
        })
    }

    /// The first content of a group that we were made a member of.
    pub(super) fn handle_contact_request(
        &mut self,
        no: ConversationNo,
        request: ContactRequest,
    ) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let mut row = conversation.row.clone();
        row.their_reach = Some(request.reach);
        let accept = match &mut row.state {
            ContactState::Asked { text, invite } => {
                *text = request.text;
                row.name = self.free_name(&request.name, Some(no));
                let queue = *invite;
                self.use_invite(&queue)?
            }
            // Both asked at the same time: both want to.
            ContactState::Requesting(_) | ContactState::Accepted => true,
            ContactState::Blocked => false,
        };
        self.put_row(row)?;
        if accept {
            self.say_yes(no)
        } else {
            self.journal(JournalEvent::Request { no });
            Ok(())
        }
    }

    /// Counts a use; true if whoever uses this invite is accepted.
    fn use_invite(&mut self, queue: &QueueId) -> Result<bool, DriverError> {
        let Some(invite) = self.invites.get_mut(queue) else {
            return Ok(false);
        };
        invite.uses += 1;
        let (single, used_up) = (invite.max_uses == 1, invite.uses >= invite.max_uses);
        let row = invite.clone();
        self.turn.batch()?.put_invite(&row)?;
        if used_up {
            self.end_invite(queue)?;
        }
        Ok(single)
    }

    pub(super) fn accept(
        &mut self,
        who: &IdentityId,
    ) -> Result<Result<(), AcceptError>, DriverError> {
        let Some(conversation) = self.find(who) else {
            return Ok(Err(AcceptError::NoRequest));
        };
        if !matches!(conversation.row.state, ContactState::Asked { .. }) {
            return Ok(Err(AcceptError::NoRequest));
        }
        let no = conversation.row.no;
        self.say_yes(no)?;
        Ok(Ok(()))
    }

    pub(super) fn reject(
        &mut self,
        who: &IdentityId,
    ) -> Result<Result<(), AcceptError>, DriverError> {
        let Some(conversation) = self.find(who) else {
            return Ok(Err(AcceptError::NoRequest));
        };
        if !matches!(conversation.row.state, ContactState::Asked { .. }) {
            return Ok(Err(AcceptError::NoRequest));
        }
        let no = conversation.row.no;
        self.forget(no)?;
        Ok(Ok(()))
    }

    /// Becomes a contact and tells them how we are reached.
    fn say_yes(&mut self, no: ConversationNo) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let mut row = conversation.row.clone();
        let news = row.state != ContactState::Accepted;
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
        self.after(After::SyncServers);
        Ok(())
    }

    /// They said yes.
    pub(super) fn handle_accepted(
        &mut self,
        no: ConversationNo,
        accept: ContactAccept,
    ) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let mut row = conversation.row.clone();
        let news = matches!(row.state, ContactState::Requesting(_));
        if news {
            row.state = ContactState::Accepted;
        }
        row.their_reach = Some(accept.reach);
        self.put_row(row)?;
        if news {
            self.journal(JournalEvent::Accepted { no });
        }
        self.relay_path(no)?;
        self.after(After::SyncServers);
        Ok(())
    }

    /// They are reached another way now.
    pub(super) fn handle_reach(
        &mut self,
        no: ConversationNo,
        reach: Reach,
    ) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let mut row = conversation.row.clone();
        row.their_reach = Some(reach);
        self.put_row(row)?;
        self.relay_path(no)?;
        self.after(After::SyncServers);
        Ok(())
    }

    // Rows.

    fn new_contact(
        &mut self,
        identity: IdentityId,
        device: DeviceId,
        name: &str,
        state: ContactState,
        groups: Vec<GroupId>,
    ) -> Result<ContactRow, DriverError> {
        let no = ConversationNo(self.profile.next_conversation);
        self.profile.next_conversation += 1;
        let row = ContactRow {
            no,
            conversation: ConversationId::direct(&self.identity, &identity),
            identity,
            device,
            name: self.free_name(name, None),
            state,
            groups,
            unconfirmed: None,
            queue_seed: rand::random(),
            write_token: WriteToken::from_bytes(rand::random()),
            address_seed: rand::random(),
            their_reach: None,
            created_ms: self.clock.now().unix_ms,
        };
        let profile = self.profile.clone();
        let batch = self.turn.batch()?;
        batch.put_profile(&profile)?;
        batch.put_contact(&row)?;
        let session = self.new_session(&row);
        self.insert(Conversation::new(row.clone(), session));
        self.after(After::SyncServers);
        Ok(row)
    }

    /// Both sides asked at once: one conversation, read in both groups.
    fn another_group(
        &mut self,
        mut row: ContactRow,
        group: GroupId,
    ) -> Result<ConversationNo, DriverError> {
        let no = row.no;
        self.by_group.insert(group.clone(), no);
        row.groups.push(group);
        self.put_row(row)?;
        Ok(no)
    }

    fn put_row(&mut self, row: ContactRow) -> Result<(), DriverError> {
        self.turn.batch()?.put_contact(&row)?;
        if let Some(conversation) = self.conversations.get_mut(&row.no) {
            conversation.row = row;
        }
        Ok(())
    }

    fn forget(&mut self, no: ConversationNo) -> Result<(), DriverError> {
        let Some(mut conversation) = self.conversations.remove(&no) else {
            return Ok(());
        };
        conversation.link.close("no contact any more");
        self.turn.batch()?.remove_contact(no)?;
        for group in &conversation.row.groups {
            self.by_group.remove(group);
            if let Err(error) = self.mls.delete_group(group) {
                tracing::warn!(%error, "group not deleted");
            }
        }
        self.by_queue.remove(&conversation.row.queue_key().queue());
        self.by_address
            .remove(&conversation.row.address_key().address());
        let relay = self.profile.relay.clone();
        self.after(After::Relay(
            relay,
            Box::new(RelayCommand::DeleteQueue(conversation.row.queue_key())),
        ));
        self.after(After::SyncServers);
        Ok(())
    }

    /// Sends a content of our own making and seals it in this turn.
    fn send_body(&mut self, no: ConversationNo, body: Body) -> Result<(), DriverError> {
        self.number(no, Uuid::now_v7(), body)?;
        self.with_session(no, None, tincan_core::Session::flush)
    }

    /// How we are reached in a conversation.
    fn reach(&self, row: &ContactRow) -> Reach {
        Reach {
            relay: self.profile.relay.clone(),
            queue: row.queue_key().queue(),
            write_token: row.write_token,
            signal_servers: self.profile.signal_servers.clone(),
            signal_address: row.address_key().address(),
        }
    }

    pub(super) fn find(&self, who: &IdentityId) -> Option<&Conversation> {
        self.conversations
            .values()
            .find(|conversation| conversation.row.identity == *who)
    }

    fn asked(&self) -> usize {
        let states = self
            .conversations
            .values()
            .map(|conversation| &conversation.row.state);
        states
            .filter(|state| matches!(state, ContactState::Asked { .. }))
            .count()
    }

    /// A name that no other contact has: the wished one, or with a number behind it.
    fn free_name(&self, wished: &str, but: Option<ConversationNo>) -> String {
        let wished = crate::names::clean(wished);
        let taken = |name: &str| {
            self.conversations.values().any(|conversation| {
                Some(conversation.row.no) != but && conversation.row.name.eq_ignore_ascii_case(name)
            })
        };
        let numbered = (2u32..).map(|number| format!("{wished}-{number}"));
        std::iter::once(wished.clone())
            .chain(numbered)
            .find(|name| !taken(name))
            .unwrap_or(wished)
    }

    /// Tops up the key packages at the relay, by asking for the stock.
    pub(super) fn refill_key_packages(&mut self) {
        let command = self.publish_command(Vec::new(), None);
        self.after(After::Relay(self.profile.relay.clone(), Box::new(command)));
    }

    pub(super) fn publish_command(
        &self,
        packages: Vec<Vec<u8>>,
        last_resort: Option<Vec<u8>>,
    ) -> RelayCommand {
        let owner = QueueKey::from_seed(&self.profile.key_package_seed);
        let token_hash = self.profile.key_package_token.hash();
        RelayCommand::Publish {
            owner,
            token_hash,
            packages,
            last_resort,
        }
    }
}

fn short_name(identity: &IdentityId) -> String {
    identity.to_string().chars().take(12).collect()
}

/// The group of an envelope, for routing.
pub(super) fn group_of(envelope: &Bytes) -> Option<GroupId> {
    match Envelope::decode(envelope.clone()) {
        Ok(Envelope::Message(message)) => Mls::group_of(&message).ok(),
        _ => None,
    }
}
