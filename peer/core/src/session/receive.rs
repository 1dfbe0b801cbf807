//! The receiving half: envelopes in, acknowledgements, receipts and resend requests out.

use alloc::vec::Vec;
use bytes::Bytes;
use tincan_protocol::EnvelopeId;
use tincan_protocol::MsgId;
use tincan_protocol::content::{Body, Content, DeviceAck, Receipt, Resend};
use tincan_protocol::envelope::Payload;
use tincan_protocol::wire::NackReason;

use super::Session;
use crate::input::Via;
use crate::output::{Event, Output, Persist, Transmit};
use crate::time::{Instant, Now};
use crate::vault::{OpenError, Vault, VaultError};

impl Session {
    pub(super) fn receive(
        &mut self,
        via: Via,
        envelope: Bytes,
        vault: &mut dyn Vault,
        now: Now,
    ) -> Result<(), VaultError> {
        let id = EnvelopeId::of(&envelope);
        if vault.is_seen(&id)? {
            self.acknowledge(via, id);
            return Ok(());
        }
        match vault.open(&envelope) {
            Ok(opened) if opened.sender == self.devices.remote => {
                self.apply(id, opened.payload, vault, now)?;
            }
            Ok(_) => self.misbehaved("sealed a message as a device that is not its own"),
            Err(OpenError::KeyGone) if !self.unreadable.take(now.instant) => {
                self.refuse(via, id);
                return Ok(());
            }
            Err(OpenError::KeyGone) => {
                self.dirty = true;
                self.control.ask(id, self.unreadable.due(now.instant));
            }
            Err(OpenError::Invalid) => {
                self.refuse(via, id);
                return Ok(());
            }
            Err(OpenError::Vault(error)) => return Err(error),
        }
        self.persist(Persist::Seen { id });
        self.acknowledge(via, id);
        Ok(())
    }

    fn acknowledge(&mut self, via: Via, id: EnvelopeId) {
        let transmit = match via {
            Via::Link => Transmit::Stored { id },
            Via::Mailbox { index } => Transmit::AckMailbox { index },
        };
        self.outputs.push_back(Output::Transmit(transmit));
    }

    /// What nobody can ever open is not kept: a mailbox is rid of it, a link is told.
    fn refuse(&mut self, via: Via, id: EnvelopeId) {
        let transmit = match via {
            Via::Link => Transmit::Nack {
                id,
                reason: NackReason::Invalid,
            },
            Via::Mailbox { index } => Transmit::AckMailbox { index },
        };
        self.outputs.push_back(Output::Transmit(transmit));
    }

    pub(super) fn apply(
        &mut self,
        id: EnvelopeId,
        payload: Bytes,
        vault: &mut dyn Vault,
        now: Now,
    ) -> Result<(), VaultError> {
        let Ok(Payload { contents, skipped }) = Payload::decode(payload) else {
            self.misbehaved("sent a payload that cannot be read");
            return Ok(());
        };
        for (first, last) in skipped {
            self.dirty |= self
                .inbox
                .skip(first, last, vault, now, &mut self.outputs)?;
        }
        let (mut all_taken, mut control) = (true, Vec::new());
        for bytes in contents {
            match Content::decode(&bytes) {
                Ok(content) if content.seq > 0 => {
                    let Self {
                        inbox,
                        config,
                        outputs,
                        ..
                    } = self;
                    all_taken &= inbox.receive(content, bytes, config, vault, now, outputs)?;
                    // Also for what is known already: its sender may not know that we have it.
                    self.receipt_in(self.config.receipt_delay, now.instant);
                }
                Ok(content) => control.push(content.body),
                Err(_) => self.misbehaved("sent a content that cannot be read"),
            }
        }
        if !all_taken {
            self.dirty = true;
            self.control
                .ask(id, now.instant.after(self.config.gap_patience));
        }
        self.apply_controls(control, now.instant);
        Ok(())
    }

    /// Of each kind the last one says all; a payload with hundreds of them costs no more than one.
    fn apply_controls(&mut self, bodies: Vec<Body>, now: Instant) {
        let (mut receipt, mut resend) = (None, None);
        for body in bodies {
            match body {
                Body::Receipt(newest) => receipt = Some(newest),
                Body::Resend(wanted) => resend = Some(wanted),
                // Of a later version, and without a seq: nothing that could be kept.
                _ => {}
            }
        }
        if let Some(receipt) = receipt {
            self.announced(receipt.stored_up_to);
            let behind = receipt.delivered_up_to < self.inbox.received.cumulative()
                || receipt.read_up_to < self.read_up_to;
            if behind && !self.control.receipt_pending {
                self.receipt_in(self.config.receipt_delay, now);
            }
            let local = self.devices.local;
            if let Some(ack) = receipt.acks.iter().find(|ack| ack.device == local) {
                self.acknowledged(&ack.received, ack.read_up_to);
            }
        }
        if let Some(resend) = resend {
            self.resend(&resend, now);
        }
    }

    /// Seals the receipt and what must be asked for, if it is time and there is a path.
    pub(super) fn seal_control(
        &mut self,
        vault: &mut dyn Vault,
        now: Now,
    ) -> Result<(), VaultError> {
        let ask = self.ask_due().is_some_and(|at| at <= now.instant);
        if !(ask || self.control.is_due(now.instant)) || !self.paths.any() {
            return Ok(());
        }
        let ack = DeviceAck {
            device: self.devices.remote,
            received: self.inbox.received.clone(),
            read_up_to: self.read_up_to,
        };
        let receipt = Receipt {
            acks: alloc::vec![ack],
            stored_up_to: self.stored_up_to(),
            delivered_up_to: self.delivered.cumulative(),
            read_up_to: self.read_by_peer,
        };
        let mut contents = alloc::vec![self.control_content(Body::Receipt(receipt), now)];
        // What provokes these questions must not provoke them as often as it wants.
        let asked = if self.unreadable.due(now.instant) <= now.instant {
            self.control.asks_now()
        } else {
            Vec::new()
        };
        if !asked.is_empty() {
            self.unreadable
                .asked(&self.config, &mut self.rng, now.instant);
        }
        let ranges = if ask || self.control.asks_for_missing() {
            self.missing_ranges()
        } else {
            Vec::new()
        };
        if let Some(&(_, last)) = ranges.last() {
            self.missing
                .asked(last, &self.config, &mut self.rng, now.instant);
        }
        let asks_for_missing = !ranges.is_empty();
        if asks_for_missing || !asked.is_empty() {
            let env_ids = asked.clone();
            contents.push(self.control_content(Body::Resend(Resend { env_ids, ranges }), now));
        }
        let skipped = core::mem::take(&mut self.skipped_asked);
        let envelope = vault.seal(Payload { contents, skipped }.encode())?;
        let id = EnvelopeId::of(&envelope);
        self.control.sealed(id, envelope, asked, asks_for_missing);
        if self.control.asks_waiting() {
            self.control.due_at(self.unreadable.due(now.instant));
        }
        // The ratchet moved: the snapshot's commit makes that durable before the envelope leaves.
        self.dirty = true;
        Ok(())
    }

    fn control_content(&mut self, body: Body, now: Now) -> Bytes {
        // Contents without a seq are not shown and not kept, so their id only has to be there.
        let msg_id = MsgId::from_u64_pair(self.rng.next(), self.rng.next());
        let hlc = self.numbering.hlc.next(now.unix_ms);
        Content {
            msg_id,
            seq: 0,
            hlc,
            body,
        }
        .encode()
    }

    /// The person has been shown messages of the other side.
    pub(super) fn read(&mut self, up_to: u64, now: Instant) {
        let up_to = up_to.min(self.inbox.next_shown - 1);
        if up_to > self.read_up_to {
            self.read_up_to = up_to;
            self.receipt_in(self.config.receipt_delay, now);
        }
    }

    fn misbehaved(&mut self, what: &'static str) {
        self.outputs
            .push_back(Output::Event(Event::Misbehaved { what }));
    }
}
