//! The receiving half: envelopes in, acknowledgements, receipts and resend requests out.

use alloc::vec::Vec;
use bytes::Bytes;
use tincan_protocol::EnvelopeId;
use tincan_protocol::MsgId;
use tincan_protocol::content::{Body, Content, DeviceAck, Resend};
use tincan_protocol::envelope::{decode_payload, encode_payload};
use tincan_protocol::limits::RESEND_MAX;
use tincan_protocol::wire::NackReason;

use super::Session;
use crate::config::{RESEND_ENVELOPES, RESEND_WANTED};
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
            Err(OpenError::KeyGone) => {
                self.dirty = true;
                self.control.ask(id, now.instant);
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

    fn apply(
        &mut self,
        id: EnvelopeId,
        payload: Bytes,
        vault: &mut dyn Vault,
        now: Now,
    ) -> Result<(), VaultError> {
        let Ok(contents) = decode_payload(payload) else {
            self.misbehaved("sent a payload that cannot be read");
            return Ok(());
        };
        let gaps = self.inbox.gaps.len();
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
        if self.inbox.gaps.len() > gaps {
            self.ask_for_gaps(now.instant);
        }
        self.apply_controls(control, vault, now.instant)
    }

    /// Of each kind the last one says all; a payload with hundreds of them costs no more than one.
    fn apply_controls(
        &mut self,
        bodies: Vec<Body>,
        vault: &dyn Vault,
        now: Instant,
    ) -> Result<(), VaultError> {
        let (mut receipt, mut resend) = (None, None);
        for body in bodies {
            match body {
                Body::Receipt(acks) => receipt = Some(acks),
                Body::Resend(wanted) => resend = Some(wanted),
                // Of a later version, and without a seq: nothing that could be kept.
                _ => {}
            }
        }
        let local = self.devices.local;
        let ack = receipt
            .into_iter()
            .flatten()
            .find(|ack| ack.device == local);
        if let Some(ack) = ack {
            self.acknowledged(&ack.received, ack.read_up_to);
        }
        match resend {
            Some(resend) => self.resend(&resend, vault, now),
            None => Ok(()),
        }
    }

    /// The other side asks for envelopes to be sealed again. That it was asked is durable before its
    /// question is acknowledged, so it need not ask twice.
    fn resend(
        &mut self,
        resend: &Resend,
        vault: &dyn Vault,
        now: Instant,
    ) -> Result<(), VaultError> {
        let found = vault.find_envelopes(&resend.env_ids)?;
        if found.len() < resend.env_ids.len() {
            // One may have been a receipt: these are not kept, the newest says it all.
            self.receipt_in(self.config.receipt_delay, now);
        }
        self.resend_wanted.extend(found);
        for &(first, last) in &resend.ranges {
            let room = RESEND_WANTED.saturating_sub(self.resend_wanted.len());
            let found = vault.find_range(first, last, room)?;
            // What is in the window is on its way already.
            let found = found
                .into_iter()
                .filter(|row| !self.outbox.is_in_window(row.0));
            self.resend_wanted.extend(found);
        }
        while self.resend_wanted.len() > RESEND_WANTED {
            self.resend_wanted.pop_last();
        }
        self.dirty = true;
        Ok(())
    }

    pub(super) fn resend_due(&self) -> Option<Instant> {
        (!self.resend_wanted.is_empty()).then_some(self.resend_at)
    }

    /// Seals again what was asked for, at a bounded pace.
    pub(super) fn reseal_wanted(
        &mut self,
        vault: &mut dyn Vault,
        now: Instant,
    ) -> Result<(), VaultError> {
        if self.resend_due().is_none_or(|at| at > now) {
            return Ok(());
        }
        self.resend_at = now.after(self.config.resend_interval);
        self.dirty = true;
        for _ in 0..RESEND_ENVELOPES {
            let Some((first, last)) = self.resend_wanted.pop_first() else {
                break;
            };
            let (delivered, failed) = (&self.delivered, &self.failed);
            if !delivered.contains_all(first, last) && !failed.contains_all(first, last) {
                self.reseal(first, last, vault)?;
            }
        }
        Ok(())
    }

    /// Seals the receipt and what must be asked for, if it is time and there is a path.
    pub(super) fn seal_control(
        &mut self,
        vault: &mut dyn Vault,
        now: Now,
    ) -> Result<(), VaultError> {
        if !self.control.is_due(now.instant) || !self.paths.any() {
            return Ok(());
        }
        let ack = DeviceAck {
            device: self.devices.remote,
            received: self.inbox.received.clone(),
            read_up_to: self.read_up_to,
        };
        let mut contents = alloc::vec![self.control_content(Body::Receipt(alloc::vec![ack]), now)];
        let env_ids = self.control.asks_now();
        let asked = env_ids.len();
        // Whatever is sealed anyway asks for all that is missing.
        let ranges = self.inbox.missing(RESEND_MAX);
        if asked > 0 || !ranges.is_empty() {
            contents.push(self.control_content(Body::Resend(Resend { env_ids, ranges }), now));
        }
        let envelope = vault.seal(encode_payload(contents))?;
        self.control
            .sealed(EnvelopeId::of(&envelope), envelope, asked);
        // The ratchet moved: the snapshot's commit makes that durable before the envelope leaves.
        self.dirty = true;
        Ok(())
    }

    fn control_content(&mut self, body: Body, now: Now) -> Bytes {
        // Contents without a seq are not shown and not kept, so their id only has to be there.
        let msg_id =
            MsgId::from_u128(u128::from(self.rng.next()) << 64 | u128::from(self.rng.next()));
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
