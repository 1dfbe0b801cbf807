//! Direct links: who offers, what happens when both do, when it is tried again.
//!
//! | slot | event -> next |
//! |---|---|
//! | idle | contact online and it is our turn -> starting (offer); an offer -> starting (answer) |
//! | starting | the link's task is there -> connecting; it failed -> idle, later again |
//! | connecting | up -> up; down -> idle, later again; an offer of theirs -> glare |
//! | up | down -> idle, at once again; an offer of theirs (they lost it) -> starting (answer); through TURN for long -> starting (offer), maybe there is a direct path now |
//!
//! Glare: the offer of the smaller device key wins; the other side drops its own and answers. To
//! have little of it, the smaller one offers at once and the other one waits a moment. Who has lost, and
//! does not answer for a while, has not got the winning offer (its process may be another one since), and
//! is answered after all; so is who still offers then.

use std::time::Duration;

use bytes::Bytes;
use tincan_core::{Input as SessionInput, Instant, Via};
use tincan_link::{IcePolicy, LinkConfig, LinkEvent, Parties};
use tincan_protocol::link::{LinkSignal, VerifiedDescription};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::wire::{GroupState, Hello, NackReason, PeerFrame, peer_frame};
use tincan_protocol::{EnvelopeId, SignalAddress};

use super::conversation::Conversation;
use super::link_slot::{LinkSlot, OwnOffer, SlotState};
use super::surroundings::chance;
use super::{Driver, DriverError, LinkStart, LinkStarted};
use crate::store::ConversationNo;

/// How long the larger device waits for the smaller one's offer. Chosen: most offers arrive within it, and where
/// the smaller one does not know yet that a link is gone, little time is lost.
const GRACE: Duration = Duration::from_millis(300);

/// News of a contact's presence start the waits over if they are at least this far apart.
const PRESENCE_PAUSE: Duration = Duration::from_secs(5);

/// Envelopes of a contact's link that cannot be opened, in a minute, before it is closed: more than a
/// window of them. Each costs at most 65 ms (see `tincan_mls`), so this is a tenth of a core.
pub(super) const REFUSED_PER_MINUTE: u32 = 100;

/// Before the next link after that.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);

impl Driver {
    /// When something is to be done about a conversation's link.
    pub(super) fn link_due(&self, conversation: &Conversation) -> Option<Instant> {
        let offer = self.offer_due(conversation);
        let beaten = conversation.link.beaten_due();
        offer.into_iter().chain(beaten).min()
    }

    /// When it should be offered.
    fn offer_due(&self, conversation: &Conversation) -> Option<Instant> {
        let offers = match conversation.link.state {
            SlotState::Idle => true,
            // One side is enough, and it is the one whose offers win.
            SlotState::Up { relayed: true, .. } => {
                self.settings.ice == IcePolicy::All
                    && self.device.device() < conversation.row.device
            }
            _ => false,
        };
        let wanted = offers && conversation.may_reach() && conversation.online;
        conversation.link.retry_at.filter(|_| wanted)
    }

    pub(super) fn start_due_links(&mut self) -> Result<(), DriverError> {
        let now = self.around.now().instant;
        let due = self
            .conversations
            .iter()
            .filter(|(_, conversation)| self.link_due(conversation).is_some_and(|at| at <= now));
        let due: Vec<ConversationNo> = due.map(|(&no, _)| no).collect();
        for no in due {
            let link = self.conversations.get_mut(&no).map(|due| &mut due.link);
            let beaten = link.and_then(LinkSlot::take_beaten);
            match beaten {
                Some(theirs) => self.answer_offer(no, theirs)?,
                None => self.start(no, None)?,
            }
        }
        Ok(())
    }

    /// A contact came or went.
    pub(super) fn handle_presence(&mut self, address: &SignalAddress, online: bool) {
        let now = self.around.now().instant;
        let device = self.device.device();
        let known = self
            .conversations
            .iter_mut()
            .find(|(_, conversation)| conversation.row.their_address().as_ref() == Some(address));
        let Some((&no, conversation)) = known else {
            return;
        };
        if conversation.online != online {
            conversation.online = online;
            // A server that makes a contact come and go all the time does not have us offer without
            // a pause.
            let pause = conversation.presence_told.replace(now);
            if pause.is_none_or(|at| now.since(at) >= PRESENCE_PAUSE) {
                conversation.link.failures = 0;
            }
            let grace = if device < conversation.row.device {
                Duration::ZERO
            } else {
                GRACE
            };
            if conversation.link.up().is_none() {
                conversation.link.retry_in(now, grace);
            }
            self.tell_news(no);
        }
    }

    pub(super) fn answer_offer(
        &mut self,
        no: ConversationNo,
        offer: VerifiedDescription,
    ) -> Result<(), DriverError> {
        // Durable before anything of ours answers it, so that it is not taken again after a restart.
        let (device, session) = (offer.statement.from_device, offer.statement.session);
        let now_ms = self.around.now().unix_ms;
        self.turn
            .batch()?
            .put_link_session(device, session, now_ms)?;
        self.turn.hurry();
        self.start(no, Some(offer))
    }

    fn start(
        &mut self,
        no: ConversationNo,
        offer: Option<VerifiedDescription>,
    ) -> Result<(), DriverError> {
        let (config, turn) = (self.link_config(), self.turn_servers(no));
        let groups = self.group_states(no);
        let Some(parties) = self.parties(no) else {
            return Ok(());
        };
        let now = self.around.now().instant;
        let attempt = self.next_attempt;
        self.next_attempt += 1;
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(());
        };
        let was_up = conversation.link.up().is_some();
        conversation.link.close("another attempt");
        conversation.link.state = SlotState::Starting {
            attempt,
            offer: offer.is_none().then(|| OwnOffer::made(now)),
            early: Vec::new(),
        };
        let start = LinkStart {
            config,
            turn,
            parties,
            groups,
            offer,
        };
        self.around.start_link(no, attempt, start);
        if was_up {
            // The old link's own end will belong to no attempt any more.
            self.tell_link_down(no, "replaced by another attempt")?;
        }
        Ok(())
    }

    pub(super) fn handle_link_started(
        &mut self,
        no: ConversationNo,
        started: LinkStarted,
    ) -> Result<(), DriverError> {
        let now = self.around.now().instant;
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(());
        };
        let link = &mut conversation.link;
        if link.attempt() != Some(started.attempt) {
            // Overtaken by another attempt.
            if let Ok(handle) = started.result {
                handle.close("another attempt");
            }
            return Ok(());
        }
        match (std::mem::take(&mut link.state), started.result) {
            (
                SlotState::Starting {
                    attempt,
                    offer,
                    early,
                },
                Ok(handle),
            ) => {
                for signal in early {
                    handle.handle_signal(signal);
                }
                link.state = SlotState::Connecting {
                    attempt,
                    offer,
                    handle,
                };
            }
            (_, Err(error)) => {
                tracing::warn!(%error, "link not started");
                let wait = link.backoff(chance(self.around.as_mut()));
                link.retry_in(now, wait);
            }
            (state, Ok(_)) => link.state = state,
        }
        Ok(())
    }

    pub(super) fn handle_link(
        &mut self,
        no: ConversationNo,
        attempt: u64,
        event: LinkEvent,
    ) -> Result<(), DriverError> {
        let current = self
            .conversations
            .get(&no)
            .and_then(|conversation| conversation.link.attempt());
        if current != Some(attempt) {
            return Ok(());
        }
        match event {
            LinkEvent::Signal(signal) => {
                if let (LinkSignal::Offer(offer), Some(conversation)) =
                    (&signal, self.conversations.get_mut(&no))
                {
                    conversation.link.offered(offer);
                }
                let is_sent = self.send_signal(no, &signal);
                match signal {
                    // Nobody will answer it: rather another attempt when a server is up.
                    LinkSignal::Offer(_) | LinkSignal::Answer(_) if !is_sent => {
                        self.end_attempt(no, "no signaling server leads to the contact");
                    }
                    _ => {}
                }
                Ok(())
            }
            LinkEvent::Up { hello, relayed } => self.link_up(no, &hello, relayed),
            LinkEvent::Frame(frame) => self.handle_frame(no, frame),
            LinkEvent::Down { reason } => self.link_down(no, &reason.to_string()),
            _ => Ok(()),
        }
    }

    fn end_attempt(&mut self, no: ConversationNo, reason: &str) {
        let now = self.around.now().instant;
        if let Some(conversation) = self.conversations.get_mut(&no) {
            let link = &mut conversation.link;
            link.close(reason);
            let wait = link.backoff(chance(self.around.as_mut()));
            link.retry_in(now, wait);
        }
    }

    fn link_up(
        &mut self,
        no: ConversationNo,
        hello: &Hello,
        relayed: bool,
    ) -> Result<(), DriverError> {
        if self.is_forked(no, hello) {
            tracing::error!(
                conversation = no.0,
                "another state of the same group; link closed"
            );
            self.end_attempt(no, "group states differ");
            return Ok(());
        }
        let now = self.around.now().instant;
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(());
        };
        let link = &mut conversation.link;
        match std::mem::take(&mut link.state) {
            SlotState::Connecting {
                attempt, handle, ..
            } => {
                link.opened(relayed, now);
                link.state = SlotState::Up {
                    attempt,
                    handle,
                    relayed,
                };
            }
            other => {
                link.state = other;
                return Ok(());
            }
        }
        self.tell_news(no);
        self.session_input(no, SessionInput::LinkUp)
    }

    fn link_down(&mut self, no: ConversationNo, reason: &str) -> Result<(), DriverError> {
        let now = self.around.now().instant;
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(());
        };
        let link = &mut conversation.link;
        tracing::debug!(conversation = no.0, reason, "link ended");
        let was_up = matches!(std::mem::take(&mut link.state), SlotState::Up { .. });
        let wait = link.backoff(chance(self.around.as_mut()));
        link.retry_in(now, wait);
        if was_up {
            self.tell_link_down(no, reason)?;
        }
        Ok(())
    }

    /// An envelope of theirs cannot be opened: one now and then is a change somewhere on the way, but
    /// looking at very many is a burden.
    pub(super) fn envelope_refused(&mut self, no: ConversationNo) -> Result<(), DriverError> {
        let now = self.around.now().instant;
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(());
        };
        if conversation.refused.take(now, REFUSED_PER_MINUTE) || conversation.link.up().is_none() {
            return Ok(());
        }
        let reason = "too much that cannot be opened";
        tracing::warn!(conversation = no.0, reason, "link closed");
        let link = &mut conversation.link;
        link.close(reason);
        link.retry_in(now, REFUSED_PAUSE);
        self.tell_link_down(no, reason)
    }

    pub(super) fn tell_link_down(
        &mut self,
        no: ConversationNo,
        reason: &str,
    ) -> Result<(), DriverError> {
        self.tell_link_end(no, reason);
        self.session_input(no, SessionInput::LinkDown)
    }

    fn handle_frame(&mut self, no: ConversationNo, frame: PeerFrame) -> Result<(), DriverError> {
        match frame.kind {
            Some(peer_frame::Kind::Put(put)) => self.handle_put(no, put.envelope),
            Some(peer_frame::Kind::Stored(stored)) => {
                for id in &stored.env_ids {
                    if let Ok(id) = EnvelopeId::try_from(id.as_slice()) {
                        self.session_input(no, SessionInput::Stored { id })?;
                    }
                }
                Ok(())
            }
            Some(peer_frame::Kind::Nack(nack)) => {
                let reason = nack.reason();
                match EnvelopeId::try_from(nack.env_id.as_slice()) {
                    Ok(id) => self.session_input(no, SessionInput::Nack { id, reason }),
                    Err(_) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn handle_put(&mut self, no: ConversationNo, envelope: Bytes) -> Result<(), DriverError> {
        let group = self.group_of(&envelope);
        if group.and_then(|group| self.by_group.get(&group)) == Some(&no) {
            let via = Via::Link;
            return self.session_input(no, SessionInput::Envelope { via, envelope });
        }
        let transmit = tincan_core::Transmit::Nack {
            id: EnvelopeId::of(&envelope),
            reason: NackReason::Invalid,
        };
        self.after(super::turn::After::Transmit(no, transmit));
        self.envelope_refused(no)
    }

    fn parties(&self, no: ConversationNo) -> Option<Parties> {
        let row = &self.conversations.get(&no)?.row;
        Some(Parties {
            identity: self.identity,
            cert: self.cert.clone(),
            key: self.device.clone(),
            remote: (row.identity, row.device),
        })
    }

    fn link_config(&self) -> LinkConfig {
        let mut config = LinkConfig::default();
        config.policy = self.settings.ice;
        config.loopback = self.signals.keys().all(is_loopback);
        config
    }

    fn group_states(&self, no: ConversationNo) -> Vec<GroupState> {
        let groups = self
            .conversations
            .get(&no)
            .map(|conversation| &conversation.row.groups);
        let states = groups
            .into_iter()
            .flatten()
            .filter_map(|group| self.mls.group_state(group));
        states
            .take(tincan_protocol::limits::HELLO_GROUPS_MAX)
            .collect()
    }

    /// The same group and epoch with another authenticator: somebody forked the group.
    fn is_forked(&self, no: ConversationNo, hello: &Hello) -> bool {
        let row = self
            .conversations
            .get(&no)
            .map(|conversation| &conversation.row);
        hello.groups.iter().any(|theirs| {
            let ours = tincan_mls::GroupId::from_bytes(&theirs.group_id).ok();
            let ours = ours.filter(|group| row.is_some_and(|row| row.groups.contains(group)));
            let ours = ours.and_then(|group| self.mls.group_state(&group));
            ours.is_some_and(|ours| {
                ours.epoch == theirs.epoch && ours.authenticator != theirs.authenticator
            })
        })
    }
}

/// Whether a server runs on this machine.
fn is_loopback(server: &ServerUrl) -> bool {
    let (host, _) = server.host_and_port();
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
