//! Asking somebody to become a contact: the key package, the group, the request.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use tincan_core::{Instant, RefusedDeposit, Session};
use tincan_mls::{GroupId, NewGroup};
use tincan_protocol::content::{Body, ContactAccept, ContactRequest, Content};
use tincan_protocol::envelope::{Envelope, Request};
use tincan_protocol::hlc::Hlc;
use tincan_protocol::invite::{Invite, ProofOf, RequestProof};
use tincan_protocol::limits::{HELLO_GROUPS_MAX, PAYLOAD_CONTENTS_MAX, PAYLOAD_MAX};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::{DeviceId, EnvelopeId, IdentityId};

use super::commands::{AddRequest, Reply};
use super::turn::After;
use super::{Driver, DriverError};
use crate::error::AddError;
use crate::message::Draft;
use crate::net::{DepositTag, RelayCommand};
use crate::store::{ContactRow, ContactState, ConversationNo, JournalEvent, RequestStage};

/// A relay that does not hand out a key package within this time is not there.
const ADD_TIMEOUT: Duration = Duration::from_secs(15);

/// A request that its relay could not take is tried again after this time, or later if the relay says so.
/// Chosen: nobody waits for the answer any more.
const REQUEST_AGAIN: Duration = Duration::from_secs(30);

/// It is tried again after twice that time, and twice again, so often: up to an hour.
const REFUSALS_MAX: u32 = 7;

/// Contents that go with a request: what one payload holds beside it.
const SAID_MAX: usize = PAYLOAD_CONTENTS_MAX - 1;

/// Bytes of them: the request itself has a name, a text and five URLs at most.
const SAID_BYTES_MAX: usize = PAYLOAD_MAX / 2;

/// What a request and what goes with it take, bytes: more is of nobody honest, who has not been let in yet.
pub(super) const REQUEST_BYTES_MAX: usize = SAID_BYTES_MAX + 8 * 1024;

/// Whoever adds somebody waits this long for the relay to take the request.
const DEPOSIT_TIMEOUT: Duration = Duration::from_secs(5);

/// An `add` that waits for a key package.
pub(super) struct PendingAdd {
    request: AddRequest,
    reply: Reply<Result<IdentityId, AddError>>,
    pub(super) sent: bool,
    pub(super) deadline: Instant,
}

/// A request that waits for the relay's word.
pub(super) struct PendingAsk {
    identity: IdentityId,
    reply: Reply<Result<IdentityId, AddError>>,
    /// Nothing was known of them before.
    is_new: bool,
    /// The connection has been lost since: the relay may have taken it without our knowing.
    pub(super) in_doubt: bool,
    pub(super) deadline: Instant,
}

impl PendingAdd {
    pub(super) fn relay(&self) -> &ServerUrl {
        &self.request.invite.body().relay
    }
}

impl Driver {
    /// Checks what can be checked here, and asks the invite's relay for a key package.
    pub(super) fn begin_add(
        &mut self,
        request: AddRequest,
        reply: Reply<Result<IdentityId, AddError>>,
    ) {
        if let Err(error) = self.check_add(&request) {
            return reply.send(Err(error));
        }
        let deadline = self.around.now().instant.after(ADD_TIMEOUT);
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
        // Not before the turn's end: what else it has made, and has not committed yet, would be named as well.
        self.turn.sync_servers();
        self.take_key_packages();
    }

    fn check_add(&self, request: &AddRequest) -> Result<(), AddError> {
        let identity = request.invite.cert().identity();
        request.invite.check_time(self.around.now().unix_ms)?;
        if identity == self.identity {
            return Err(AddError::Myself);
        }
        match self
            .find(&identity)
            .map(|conversation| &conversation.row.state)
        {
            None => Ok(()),
            // What was asked may never have reached them, or they have said no: it is asked anew.
            Some(ContactState::Requesting(_)) => Ok(()),
            Some(ContactState::Asked { .. }) => Err(AddError::TheyAsked),
            Some(ContactState::Lost) => Ok(()),
            // They have removed us, says a person who should know.
            Some(ContactState::Accepted) if request.is_again => Ok(()),
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
        let now = self.around.now().instant;
        let late = self
            .pending_adds
            .iter()
            .filter(|(_, add)| add.deadline <= now);
        let late: Vec<u64> = late.map(|(&id, _)| id).collect();
        for id in late {
            if let Some(add) = self.pending_adds.remove(&id) {
                let server = add.relay().clone();
                add.reply.send(Err(AddError::NoAnswer { server }));
                self.turn.sync_servers();
            }
        }
        // It is durable, and goes out when the relay takes it.
        let late = self
            .pending_asks
            .iter()
            .filter(|(_, ask)| ask.deadline <= now);
        let late: Vec<ConversationNo> = late.map(|(&no, _)| no).collect();
        for no in late {
            self.request_deposited(no);
        }
    }

    /// A relay must not be dialed: who waits for it waits in vain.
    pub(super) fn refuse_adds(&mut self, server: &ServerUrl, ip: IpAddr, range: &'static str) {
        let refused: Vec<_> = self
            .pending_adds
            .extract_if(.., |_, add| add.relay() == server)
            .collect();
        for (_, add) in refused {
            let server = server.clone();
            add.reply
                .send(Err(AddError::LocalServer { server, ip, range }));
            self.turn.sync_servers();
        }
    }

    pub(super) fn handle_key_package(
        &mut self,
        request: u64,
        package: Result<Vec<u8>, String>,
    ) -> Result<(), DriverError> {
        if let Some(no) = self.pending_lost.remove(&request) {
            return self.handle_lost_package(no, package);
        }
        let package = match package {
            Ok(package) => package,
            Err(text) => {
                // A relay that is not there yet is tried again until the deadline.
                let reachable = self
                    .pending_adds
                    .get(&request)
                    .is_some_and(|add| self.relays.get(add.relay()).is_some_and(|relay| relay.up));
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
        let now_ms = self.around.now().unix_ms;
        match self.mls.create_direct_group(&package, &identity, now_ms) {
            Ok(group) => {
                let known = self.find(&identity).map(|known| known.row.clone());
                if let Some(row) = &known
                    && row.is_verified_but(&group.peer.device)
                {
                    self.leave(&group.group);
                    self.meet_changed(row.no, group.peer.device)?;
                    self.answer(reply, Err(AddError::Changed));
                    return Ok(());
                }
                let is_new = known.is_none();
                let no = self.ask(known, request, group)?;
                let deadline = self.around.now().instant.after(DEPOSIT_TIMEOUT);
                let ask = PendingAsk {
                    identity,
                    reply,
                    is_new,
                    in_doubt: false,
                    deadline,
                };
                self.pending_asks.insert(no, ask);
            }
            Err(error) => reply.send(Err(AddError::KeyPackage {
                text: error.to_string(),
            })),
        }
        Ok(())
    }

    /// Writes the contact, or asks again in the conversation that there is, and what goes to them.
    fn ask(
        &mut self,
        known: Option<ContactRow>,
        request: AddRequest,
        made: NewGroup,
    ) -> Result<ConversationNo, DriverError> {
        let invite = request.invite.body();
        let identity = request.invite.cert().identity();
        let stage = RequestStage {
            relay: invite.relay.clone(),
            queue: invite.queue,
            write_token: invite.write_token,
            key_packages: Some((invite.key_package_owner, invite.key_package_token)),
            envelope: Bytes::new(),
            deposited: false,
            before: Vec::new(),
            was_lost: false,
        };
        let NewGroup {
            group,
            peer,
            welcome,
        } = made;
        let (name, device) = (request.name.as_deref(), peer.device);
        let no = match known {
            Some(row) => self.ask_again(row, stage, group.clone(), device, name)?,
            None => {
                let name = name.unwrap_or(&invite.name);
                let state = ContactState::Requesting(Box::new(stage));
                let mut row =
                    self.new_contact(identity, device, name, state, vec![group.clone()])?;
                let no = row.no;
                row.unconfirmed.push(group.clone());
                self.put_row(row)?;
                no
            }
        };
        if !request.text.is_empty() {
            let draft = Draft {
                id: self.new_msg_id(),
                text: request.text.clone(),
                reply_to: None,
                forwarded: false,
            };
            // Nothing is in the way of whoever is being asked.
            let _ = self.send(no, vec![draft])?;
            self.with_session(no, None, Session::flush)?;
        }
        let proof = self.prove(&request.invite);
        self.seal_request(no, &group, &request.text, welcome, proof)?;
        self.relay_path(no)?;
        Ok(no)
    }

    /// What goes to them: who asks, and what was said so far, so that they have it although we may be away when
    /// they answer.
    pub(super) fn seal_request(
        &mut self,
        no: ConversationNo,
        group: &GroupId,
        text: &str,
        welcome: Vec<u8>,
        proof: Option<RequestProof>,
    ) -> Result<(), DriverError> {
        let msg_id = self.new_msg_id();
        let said = self
            .turn
            .batch()?
            .first_undelivered(no, SAID_MAX, SAID_BYTES_MAX)?;
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let mut row = conversation.row.clone();
        let words = ContactRequest {
            name: self.profile.name.clone(),
            text: text.to_owned(),
            reach: self.reach(&row),
        };
        let words = Content {
            msg_id,
            seq: 0,
            hlc: Hlc::default(),
            body: Body::ContactRequest(words),
        };
        let contents = std::iter::once((0, words.encode())).chain(said).collect();
        let payload = conversation.session.payload(contents).encode();
        let message = self
            .mls
            .seal(group, &payload)
            .map_err(|error| DriverError::Mls(error.to_string()))?;
        if let ContactState::Requesting(stage) = &mut row.state {
            let request = Request {
                welcome: welcome.into(),
                message: message.into(),
                proof,
            };
            stage.envelope = Envelope::Request(request).encode();
            // If it keeps something else when it is there again, it has lost the request.
            let relay = self.relays.get(&stage.relay);
            row.relay_store = relay.and_then(|relay| relay.store);
        }
        self.put_row(row)?;
        self.deposit_request(no);
        Ok(())
    }

    /// Hands the request to its relay after the commit, if it is there.
    pub(super) fn deposit_request(&mut self, no: ConversationNo) {
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return;
        };
        let ContactState::Requesting(stage) = &conversation.row.state else {
            return;
        };
        if stage.deposited || stage.envelope.is_empty() {
            return;
        }
        conversation.request_again_at = None;
        let id = EnvelopeId::of(&stage.envelope);
        let deposit = RelayCommand::Deposit {
            tag: DepositTag { no, id },
            queue: stage.queue,
            token: stage.write_token,
            envelope: stage.envelope.clone(),
        };
        let relay = stage.relay.clone();
        self.after(After::Relay(relay, Box::new(deposit)));
    }

    /// Those that a relay could not take are tried again.
    pub(super) fn deposit_due_requests(&mut self) {
        let now = self.around.now().instant;
        let due = self.conversations.iter().filter(|(_, conversation)| {
            let again_at = conversation.request_again_at;
            again_at.is_some_and(|at| at <= now)
        });
        let due: Vec<ConversationNo> = due.map(|(&no, _)| no).collect();
        for no in due {
            // Also where nothing is left to be tried: what stays due wakes the driver without end.
            if let Some(conversation) = self.conversations.get_mut(&no) {
                conversation.request_again_at = None;
            }
            self.deposit_request(no);
            self.ask_lost(no);
        }
    }

    /// Whether this is what a conversation asks with.
    pub(super) fn is_request(&self, tag: &DepositTag) -> bool {
        let known = self.conversations.get(&tag.no);
        known.is_some_and(|known| match &known.row.state {
            ContactState::Requesting(stage) => EnvelopeId::of(&stage.envelope) == tag.id,
            _ => false,
        })
    }

    /// That we have had the link.
    fn prove(&self, invite: &Invite) -> Option<RequestProof> {
        let body = invite.body();
        let of = ProofOf {
            host: &invite.cert().identity(),
            guest: &self.identity,
            device: &self.device.device(),
            queue: &body.queue,
        };
        body.secret.map(|secret| secret.prove(of))
    }

    /// They may have an earlier request and be about to answer it, or never have heard of it, or have forgotten
    /// us: so the conversation, its numbers and its mailbox stay what they are.
    pub(super) fn ask_again(
        &mut self,
        mut row: ContactRow,
        mut stage: RequestStage,
        group: GroupId,
        device: DeviceId,
        name: Option<&str>,
    ) -> Result<ConversationNo, DriverError> {
        let no = row.no;
        if let Some(ask) = self.pending_asks.remove(&no) {
            self.answer(ask.reply, Err(AddError::KnownAlready));
        }
        if matches!(row.state, ContactState::Accepted | ContactState::Lost) {
            stage.before.clone_from(&row.groups);
            stage.was_lost = row.state == ContactState::Lost;
            self.go_on_in(&mut row, group.clone());
        } else {
            while row.groups.len() >= HELLO_GROUPS_MAX && !row.unconfirmed.is_empty() {
                let oldest = row.unconfirmed.remove(0);
                row.groups.retain(|known| *known != oldest);
                self.by_group.remove(&oldest);
                self.leave(&oldest);
            }
            self.by_group.insert(group.clone(), no);
            row.groups.push(group.clone());
        }
        if let ContactState::Requesting(earlier) = &row.state {
            stage.before.clone_from(&earlier.before);
            stage.was_lost = earlier.was_lost;
        }
        row.unconfirmed.push(group);
        row.meet_as(device);
        if let Some(name) = name {
            row.name = self.free_name(name, Some(no));
        }
        row.state = ContactState::Requesting(Box::new(stage));
        self.put_row(row)?;
        self.begin_anew(no)?;
        Ok(no)
    }

    /// The relay has a conversation's request: whoever asked for it learns that it is on its way.
    pub(super) fn request_deposited(&mut self, no: ConversationNo) {
        if let Some(ask) = self.pending_asks.remove(&no) {
            self.answer(ask.reply, Ok(ask.identity));
        }
    }

    /// The relay does not take a conversation's request. If it never will, the conversation was made for it, and the
    /// request cannot have got there before, it is as if it had never been.
    pub(super) fn request_refused(
        &mut self,
        no: ConversationNo,
        reason: RefusedDeposit,
        retry_after: Option<Duration>,
    ) -> Result<(), DriverError> {
        let now = self.around.now().instant;
        if let Some(conversation) = self.conversations.get_mut(&no) {
            // The mailbox may be made again, where its relay has lost it.
            let wait = REQUEST_AGAIN * (1 << conversation.request_refusals.min(REFUSALS_MAX));
            conversation.request_refusals += 1;
            let wait = retry_after.unwrap_or_default().max(wait);
            conversation.request_again_at = Some(now.after(wait));
        }
        if reason != RefusedDeposit::Rejected {
            return Ok(());
        }
        let is_taken_up = self.take_up_again(no)?;
        if let Some(ask) = self.pending_asks.remove(&no) {
            if ask.is_new && !ask.in_doubt && !is_taken_up {
                self.forget(no)?;
            }
            self.answer(ask.reply, Err(AddError::UsedUp));
        }
        Ok(())
    }

    /// Who was a contact before they were asked once more is one again, or lost as before. True if that is so.
    fn take_up_again(&mut self, no: ConversationNo) -> Result<bool, DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(false);
        };
        let mut row = conversation.row.clone();
        let ContactState::Requesting(stage) = &mut row.state else {
            return Ok(false);
        };
        let (before, was_lost) = (std::mem::take(&mut stage.before), stage.was_lost);
        if was_lost {
            row.state = ContactState::Lost;
            self.put_row(row)?;
            self.turn.sync_servers();
            return Ok(true);
        }
        if before.is_empty() {
            return Ok(false);
        }
        row.take_up_again(before);
        row.state = ContactState::Accepted;
        self.put_row(row)?;
        self.begin_anew(no)?;
        self.relay_path(no)?;
        self.turn.sync_servers();
        Ok(true)
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
        if !matches!(row.state, ContactState::Requesting(_)) {
            // Nobody accepts what was not asked; who says it again may be reached another way.
            return self.handle_reach(no, accept.reach);
        }
        row.state = ContactState::Accepted;
        row.their_reach = Some(accept.reach);
        let has_asked_again = row.groups.len() > 1;
        self.put_row(row)?;
        if has_asked_again {
            // It may be sealed in a group that they have not heard of.
            self.begin_anew(no)?;
        }
        self.journal(JournalEvent::Accepted { no });
        self.relay_path(no)?;
        self.turn.sync_servers();
        Ok(())
    }
}
