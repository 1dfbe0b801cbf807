//! Signals about links: opened, checked and handed on; made, sealed and sent.

use tincan_protocol::link::{Expected, LinkSignal, SignedDescription, verify};
use tincan_protocol::{SignalAddress, sealed_box};

use super::link_slot::SlotState;
use super::{Driver, DriverError};
use crate::net::SignalCommand;
use crate::store::ConversationNo;

/// Offers of a contact taken in a minute: answering one means keys, sockets and candidates. One whose
/// attempts fail makes some seven; the waits between these start over when a server tells that it
/// came, every five seconds at most.
pub(super) const OFFERS_PER_MINUTE: u32 = 20;

/// Signals kept for an attempt whose task is not there yet.
pub(super) const EARLY_SIGNALS: usize = 64;

impl Driver {
    /// A sealed signal to one of our addresses.
    pub(super) fn handle_sealed_signal(
        &mut self,
        to: &SignalAddress,
        from: &SignalAddress,
        body: &[u8],
    ) -> Result<(), DriverError> {
        let Some(&no) = self.by_address.get(to) else {
            return Ok(());
        };
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        // Nobody gets a candidate, and with it an IP address, before both want to talk.
        if !conversation.may_reach() || conversation.row.their_address().as_ref() != Some(from) {
            tracing::debug!("signal from somebody else than the contact; dropped");
            return Ok(());
        }
        let opened = sealed_box::open(&conversation.row.address_key(), body).ok();
        let Some(signal) = opened.and_then(|bytes| LinkSignal::decode(&bytes).ok()) else {
            tracing::debug!("signal cannot be opened or read; dropped");
            return Ok(());
        };
        match signal {
            LinkSignal::Offer(offer) => self.handle_offer(no, &offer),
            other => {
                self.handle_other_signal(no, other);
                Ok(())
            }
        }
    }

    fn handle_offer(
        &mut self,
        no: ConversationNo,
        offer: &SignedDescription,
    ) -> Result<(), DriverError> {
        let now = self.around.now();
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(());
        };
        let expected = Expected {
            me: (self.identity, self.device.device()),
            from: (conversation.row.identity, conversation.row.device),
            now_ms: now.unix_ms,
            offer: None,
        };
        let verified = match verify(offer, &expected, &mut self.seen_sessions) {
            Ok(verified) => verified,
            Err(error) => {
                tracing::warn!(conversation = no.0, %error, "offer refused");
                return Ok(());
            }
        };
        // Only theirs count: a signaling server can make others, and must not use up what is left for these.
        if !conversation.offers.take(now.instant, OFFERS_PER_MINUTE) {
            tracing::debug!(conversation = no.0, "too many offers; dropped");
            return Ok(());
        }
        let wins = self.device.device() < conversation.row.device;
        let verified = if wins {
            conversation.link.beat(verified, now.instant)
        } else {
            Some(verified)
        };
        match verified {
            Some(verified) => self.answer_offer(no, verified),
            None => {
                tracing::debug!("both sides offered; ours stands");
                Ok(())
            }
        }
    }

    fn handle_other_signal(&mut self, no: ConversationNo, signal: LinkSignal) {
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return;
        };
        if let LinkSignal::Answer(answer) = &signal {
            conversation.link.answered(answer);
        }
        match &mut conversation.link.state {
            SlotState::Idle => {}
            SlotState::Starting { early, .. } => {
                if early.len() < EARLY_SIGNALS {
                    early.push(signal);
                }
            }
            // The link itself knows which signals are of its session.
            SlotState::Connecting { handle, .. } | SlotState::Up { handle, .. } => {
                handle.handle_signal(signal);
            }
        }
    }

    /// Seals a signal and hands it to a server that leads to the contact. False if none is up: then it is
    /// lost.
    pub(super) fn send_signal(&mut self, no: ConversationNo, signal: &LinkSignal) -> bool {
        let Some(conversation) = self.conversations.get(&no) else {
            return false;
        };
        let Some(reach) = &conversation.row.their_reach else {
            return false;
        };
        let (to, from) = (
            reach.signal_address,
            conversation.row.address_key().address(),
        );
        let mut rng = sealed_box::OsRng;
        let sealed = signal
            .encode()
            .ok()
            .and_then(|bytes| sealed_box::seal(&to, &bytes, &mut rng).ok());
        let Some(body) = sealed else { return false };
        let servers = reach
            .signal_servers
            .iter()
            .filter_map(|server| self.signals.get(server));
        let up = servers.into_iter().find(|server| server.up);
        up.is_some_and(|server| {
            server
                .connection
                .outlet
                .send(SignalCommand::Send { to, from, body })
        })
    }
}
