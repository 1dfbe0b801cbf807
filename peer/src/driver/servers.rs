//! What comes from servers, and what goes to them.

use std::collections::BTreeSet;

use bytes::Bytes;
use tincan_core::{Input as SessionInput, Via};
use tincan_protocol::envelope::Envelope;
use tincan_protocol::limits::KEY_PACKAGES_MAX;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::signal::TurnCredentials;
use tincan_protocol::{EnvelopeId, QueueId, StoreId};

use super::pace::Pace;
use super::sessions::Mailbox;
use super::turn::After;
use super::{Driver, DriverError, Outlet};
use crate::net::{DepositTag, Lost, RelayCommand, RelayEvent, SignalCommand, SignalEvent};
use crate::store::{ContactRow, ContactState, ConversationNo};

/// Key packages made in an hour: some twenty refills. A relay that says again and again that it has
/// none must not have us make them without end.
pub(super) const PACKAGES_PER_HOUR: u32 = 400;

/// How often in an hour a relay may have lost what it kept: each time everything undelivered is
/// deposited again.
const FORGOT_PER_HOUR: u32 = 20;

/// The way to a server. Dropped, it ends the connection.
pub(super) struct Connection<C> {
    /// All that comes of it carries this.
    pub(super) number: u64,
    pub(super) outlet: Box<dyn Outlet<C>>,
}

/// A relay we are, or want to be, connected to.
#[derive(Default)]
pub(super) struct RelayState {
    /// None: to be dialed.
    pub(super) connection: Option<Connection<RelayCommand>>,
    pub(super) up: bool,
    pub(super) lost: Option<String>,
    /// Names what it keeps.
    pub(super) store: Option<StoreId>,
    /// How often that has changed.
    forgot: Pace,
    /// Mailboxes that are there and have been read to their end.
    drained: BTreeSet<QueueId>,
    /// Ended mailboxes that it has been told to delete, and has not confirmed.
    pub(super) deleting: BTreeSet<QueueId>,
    /// Key packages are in stock.
    stocked: bool,
    /// The next stock it tells is the answer to packages that we have published: no reason to
    /// publish more, or a relay could have us make packages without end.
    published: bool,
    /// Invites' queues with requests that were left there. An acknowledgement of a later one would
    /// delete these.
    pub(super) left: BTreeSet<QueueId>,
}

/// A signaling server we are, or want to be, connected to.
pub(super) struct SignalState {
    pub(super) connection: Connection<SignalCommand>,
    pub(super) up: bool,
    pub(super) lost: Option<String>,
    pub(super) turn: Option<TurnCredentials>,
}

impl RelayState {
    /// Whether a request can be made through an invite with this mailbox.
    pub(super) fn takes_requests(&self, queue: &QueueId) -> bool {
        self.up && self.stocked && self.drained.contains(queue)
    }
}

impl SignalState {
    pub(super) fn new(connection: Connection<SignalCommand>) -> Self {
        Self {
            connection,
            up: false,
            lost: None,
            turn: None,
        }
    }
}

impl Driver {
    // Relays.

    pub(super) fn handle_relay(
        &mut self,
        server: &ServerUrl,
        event: RelayEvent,
    ) -> Result<(), DriverError> {
        match event {
            RelayEvent::Up(store) => self.relay_up(server, store),
            RelayEvent::Down(lost) => {
                if let Lost::Special { ip, range, .. } = lost {
                    self.refuse_adds(server, ip, range);
                }
                self.relay_changed(server, false, Some(lost.to_string()))
            }
            // Only the relay where we have a mailbox speaks for it.
            RelayEvent::Subscribed(queue)
            | RelayEvent::Drained(queue)
            | RelayEvent::Delivered { queue, .. }
                if !self.is_ours_at(server, &queue) =>
            {
                tracing::warn!(%server, "a relay speaks of a mailbox that is not there; ignored");
                Ok(())
            }
            RelayEvent::Subscribed(queue) => self.mailbox_up(server, &queue),
            RelayEvent::Drained(queue) => {
                if let Some(relay) = self.relays.get_mut(server) {
                    relay.drained.insert(queue);
                }
                self.say_last(&queue);
                self.mailbox_input(&queue, SessionInput::MailboxDrained)
            }
            RelayEvent::Delivered {
                queue,
                index,
                envelope,
            } => self.handle_delivered(
                Mailbox {
                    server: server.clone(),
                    queue,
                },
                index,
                envelope,
            ),
            RelayEvent::Deleted(queue) => self.handle_deleted(server, &queue),
            RelayEvent::Deposited(tag) => self.handle_deposited(tag),
            RelayEvent::Refused {
                tag,
                reason,
                retry_after,
            } => {
                if self.is_request(&tag) {
                    return self.request_refused(tag.no, reason, retry_after);
                }
                let input = SessionInput::DepositRefused {
                    id: tag.id,
                    reason,
                    retry_after,
                };
                self.session_input(tag.no, input)
            }
            RelayEvent::Stock {
                single_use,
                last_resort,
            } => self.handle_stock(server, single_use, last_resort),
            RelayEvent::KeyPackage { request, package } => {
                self.handle_key_package(request, package)
            }
        }
    }

    fn relay_up(&mut self, server: &ServerUrl, store: StoreId) -> Result<(), DriverError> {
        let now = self.around.now().instant;
        if let Some(relay) = self.relays.get_mut(server)
            && relay.store != Some(store)
        {
            // Beyond its pace it is believed later.
            if relay.forgot.take_hourly(now, 1, FORGOT_PER_HOUR) {
                relay.store = Some(store);
            } else {
                tracing::warn!(%server, "the relay loses what it keeps again and again");
            }
        }
        self.relay_changed(server, true, None)
    }

    /// The relay towards a contact is up: the session knows first what it can no longer rely on.
    fn towards_up(
        &mut self,
        no: ConversationNo,
        store: Option<StoreId>,
    ) -> Result<(), DriverError> {
        if self.is_another_store(no, |row| &mut row.relay_store, store)? {
            self.session_input(no, SessionInput::RelayForgot)?;
        }
        self.session_input(no, SessionInput::RelayUp)
    }

    /// And so it is where our own mailbox can be read.
    fn mailbox_up(&mut self, server: &ServerUrl, queue: &QueueId) -> Result<(), DriverError> {
        let Some(&no) = self.by_queue.get(queue) else {
            return Ok(());
        };
        let store = self.relays.get(server).and_then(|relay| relay.store);
        if self.is_another_store(no, |row| &mut row.mailbox_store, store)? {
            self.session_input(no, SessionInput::MailboxForgot)?;
        }
        self.session_input(no, SessionInput::MailboxUp)
    }

    /// Notes what a relay keeps; true if it kept something else when it was last there.
    fn is_another_store(
        &mut self,
        no: ConversationNo,
        noted: fn(&mut ContactRow) -> &mut Option<StoreId>,
        store: Option<StoreId>,
    ) -> Result<bool, DriverError> {
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(false);
        };
        let noted = noted(&mut conversation.row);
        if *noted == store {
            return Ok(false);
        }
        let before = std::mem::replace(noted, store);
        let row = conversation.row.clone();
        self.turn.batch()?.put_contact(&row)?;
        Ok(before.is_some())
    }

    /// `lost`: why it is down, unless we have ended the connection ourselves.
    fn relay_changed(
        &mut self,
        server: &ServerUrl,
        up: bool,
        lost: Option<String>,
    ) -> Result<(), DriverError> {
        let Some(state) = self.relays.get_mut(server) else {
            return Ok(());
        };
        (state.up, state.lost) = (up, lost);
        let store = state.store;
        state.stocked = false;
        state.published = false;
        state.drained.clear();
        state.deleting.clear();
        state.left.clear();
        let numbers: Vec<ConversationNo> = self.conversations.keys().copied().collect();
        for no in numbers {
            if self.asks_at(no) == Some(server) {
                self.request_path(no, store.filter(|_| up))?;
            }
            if self
                .package_wanted(no)
                .is_some_and(|at| at.relay == *server)
            {
                self.lost_relay_down(no);
                if up {
                    self.ask_lost(no);
                }
            }
            if self.relay_towards(no).as_ref() == Some(server) {
                if up {
                    self.towards_up(no, store)?;
                } else {
                    self.session_input(no, SessionInput::RelayDown)?;
                }
            }
            if !up && self.profile.relay == *server {
                self.session_input(no, SessionInput::MailboxDown)?;
            }
        }
        if !up {
            // An answer that was on its way is lost.
            let adds = self.pending_adds.values_mut();
            adds.filter(|add| add.relay() == server)
                .for_each(|add| add.sent = false);
        }
        if up {
            self.delete_ended_queues(server);
            self.take_key_packages();
            if self.profile.relay == *server {
                self.refill_key_packages();
            }
        }
        Ok(())
    }

    /// The relay that leads to a contact now, if any.
    fn relay_towards(&self, no: ConversationNo) -> Option<ServerUrl> {
        let row = &self.conversations.get(&no)?.row;
        let reach = row.their_reach.as_ref().filter(|_| row.may_reach())?;
        Some(reach.relay.clone())
    }

    /// Where a request goes.
    fn asks_at(&self, no: ConversationNo) -> Option<&ServerUrl> {
        match &self.conversations.get(&no)?.row.state {
            ContactState::Requesting(stage) => Some(&stage.relay),
            _ => None,
        }
    }

    /// The relay that a request goes to is up, and keeps this; or it is down.
    fn request_path(
        &mut self,
        no: ConversationNo,
        store: Option<StoreId>,
    ) -> Result<(), DriverError> {
        if let Some(ask) = self.pending_asks.get_mut(&no) {
            ask.in_doubt = true;
        }
        if store.is_none() {
            return Ok(());
        }
        if self.is_another_store(no, |row| &mut row.relay_store, store)?
            && let Some(conversation) = self.conversations.get_mut(&no)
            && let ContactState::Requesting(stage) = &mut conversation.row.state
        {
            // It has lost what it had.
            stage.deposited = false;
            let row = conversation.row.clone();
            self.turn.batch()?.put_contact(&row)?;
        }
        self.deposit_request(no);
        Ok(())
    }

    /// The way to a contact has changed: whatever is on it starts over.
    pub(super) fn relay_path(&mut self, no: ConversationNo) -> Result<(), DriverError> {
        self.session_input(no, SessionInput::RelayDown)?;
        let server = self.relay_towards(no);
        match server.and_then(|server| self.relays.get(&server)) {
            Some(relay) if relay.up => self.towards_up(no, relay.store),
            _ => Ok(()),
        }
    }

    fn mailbox_input(&mut self, queue: &QueueId, input: SessionInput) -> Result<(), DriverError> {
        match self.by_queue.get(queue) {
            Some(&no) => self.session_input(no, input),
            None => Ok(()),
        }
    }

    /// Whether we have this mailbox at this relay.
    fn is_ours_at(&self, server: &ServerUrl, queue: &QueueId) -> bool {
        match self.invites.get(queue) {
            Some(invite) => invite.relay == *server,
            None => self.by_queue.contains_key(queue) && self.profile.relay == *server,
        }
    }

    fn handle_delivered(
        &mut self,
        mailbox: Mailbox,
        index: u64,
        envelope: Bytes,
    ) -> Result<(), DriverError> {
        if self.invites.contains_key(&mailbox.queue) {
            return self.handle_request(mailbox, index, envelope);
        }
        let Some(&no) = self.by_queue.get(&mailbox.queue) else {
            return Ok(());
        };
        if let Ok(Envelope::Request(request)) = Envelope::decode(envelope.clone()) {
            let id = EnvelopeId::of(&envelope);
            return self.handle_request_of(no, mailbox, index, (id, request));
        }
        let via = Via::Mailbox { index };
        let input = SessionInput::Envelope { via, envelope };
        self.with_session(no, Some(mailbox), |session, vault, now| {
            session.handle_input(input, vault, now)
        })
    }

    /// Hands an envelope to the relay that leads to the contact.
    pub(super) fn deposit(&mut self, no: ConversationNo, id: EnvelopeId, envelope: Bytes) {
        let Some(conversation) = self.conversations.get(&no) else {
            return;
        };
        let row = &conversation.row;
        let tag = DepositTag { no, id };
        let Some(reach) = row.their_reach.as_ref().filter(|_| row.may_reach()) else {
            return;
        };
        let deposit = RelayCommand::Deposit {
            tag,
            queue: reach.queue,
            token: reach.write_token,
            envelope,
        };
        let server = reach.relay.clone();
        self.send_to_relay(&server, deposit);
    }

    fn handle_deposited(&mut self, tag: DepositTag) -> Result<(), DriverError> {
        if self.is_request(&tag) {
            if let Some(conversation) = self.conversations.get_mut(&tag.no)
                && let ContactState::Requesting(stage) = &mut conversation.row.state
                && !stage.deposited
            {
                stage.deposited = true;
                let row = conversation.row.clone();
                self.turn.batch()?.put_contact(&row)?;
                self.request_deposited(tag.no);
            }
            return Ok(());
        }
        self.session_input(tag.no, SessionInput::Deposited { id: tag.id })
    }

    /// A relay whose queue of commands is full has stopped to take them: it is dialed anew.
    pub(super) fn send_to_relay(&mut self, server: &ServerUrl, command: RelayCommand) {
        let relay = self.relays.get(server);
        let connection = relay.and_then(|relay| relay.connection.as_ref());
        if connection.is_some_and(|connection| !connection.outlet.send(command))
            && let Err(error) = self.hang_up_relay(server)
        {
            // Memory may be ahead of the disk now: the turn fails.
            self.broken = Some(error);
        }
    }

    /// Gives up the connection for a new one, on which all mailboxes are read again. It is dialed after the
    /// next commit: a mailbox of this turn is not durable yet, and must not be named before.
    pub(super) fn hang_up_relay(&mut self, server: &ServerUrl) -> Result<(), DriverError> {
        if let Some(relay) = self.relays.get_mut(server) {
            relay.connection = None;
        }
        self.turn.sync_servers();
        self.relay_changed(server, false, None)
    }

    /// Publishes what is missing. The packages' secrets are durable before the relay has them.
    fn handle_stock(
        &mut self,
        server: &ServerUrl,
        single_use: usize,
        last_resort: bool,
    ) -> Result<(), DriverError> {
        let Some(relay) = self.relays.get_mut(server) else {
            return Ok(());
        };
        let answered = std::mem::take(&mut relay.published);
        let mut stock = (single_use, last_resort);
        if self.profile.has_stale_packages && *server == self.profile.relay {
            if answered {
                self.profile.has_stale_packages = false;
                let profile = self.profile.clone();
                self.turn.batch()?.put_profile(&profile)?;
            } else {
                // A full stock of new ones takes the place of those.
                stock = (0, false);
            }
        }
        let (single_use, last_resort) = stock;
        let missing = KEY_PACKAGES_MAX.saturating_sub(single_use);
        let Some(relay) = self.relays.get_mut(server) else {
            return Ok(());
        };
        relay.stocked = last_resort;
        if *server != self.profile.relay || answered || (missing == 0 && last_resort) {
            return Ok(());
        }
        let now = self.around.now().instant;
        let some = u32::try_from(missing).unwrap_or(u32::MAX).saturating_add(1);
        if !self.packages.take_hourly(now, some, PACKAGES_PER_HOUR) {
            tracing::warn!(%server, "the relay asks for too many key packages; none are made now");
            return Ok(());
        }
        relay.published = true;
        let mut packages = Vec::with_capacity(missing);
        for _ in 0..missing {
            packages.push(self.key_package(false)?);
        }
        let last = if last_resort {
            None
        } else {
            Some(self.key_package(true)?)
        };
        // Opens the transaction that carries the secrets.
        self.turn.batch()?;
        let command = self.publish_command(packages, last);
        let relay = self.profile.relay.clone();
        self.after(After::Relay(relay, Box::new(command)));
        Ok(())
    }

    fn key_package(&mut self, last_resort: bool) -> Result<Vec<u8>, DriverError> {
        self.mls
            .create_key_package(last_resort)
            .map_err(|error| DriverError::Mls(error.to_string()))
    }

    /// Whether everything that others need of us is at a relay.
    pub(super) fn relay_ready(&self, server: &ServerUrl, state: &RelayState) -> bool {
        let queues = self.own_queues(server);
        let all = queues
            .iter()
            .all(|queue| state.drained.contains(&queue.key.queue()));
        state.up && all && (state.stocked || self.profile.relay != *server)
    }

    // Signaling servers.

    pub(super) fn handle_signal(
        &mut self,
        server: &ServerUrl,
        event: SignalEvent,
    ) -> Result<(), DriverError> {
        match event {
            SignalEvent::Up => {
                if let Some(state) = self.signals.get_mut(server) {
                    (state.up, state.lost) = (true, None);
                }
            }
            SignalEvent::Down(lost) => self.signal_down(server, Some(lost.to_string())),
            SignalEvent::Turn(turn) => {
                if let Some(state) = self.signals.get_mut(server) {
                    state.turn = turn;
                }
            }
            SignalEvent::Signal { to, from, body } => {
                self.handle_sealed_signal(&to, &from, &body)?;
            }
            SignalEvent::Presence { address, online } => self.handle_presence(&address, online),
        }
        Ok(())
    }

    /// Whom we watched there is unknown now; open links stay.
    pub(super) fn signal_down(&mut self, server: &ServerUrl, lost: Option<String>) {
        let Some(state) = self.signals.get_mut(server) else {
            return;
        };
        (state.up, state.lost) = (false, lost);
        let here = self.conversations.values_mut().filter(|conversation| {
            let reach = conversation.row.their_reach.as_ref();
            reach.is_some_and(|reach| reach.signal_servers.contains(server))
        });
        for conversation in here {
            conversation.online = false;
        }
    }
}
