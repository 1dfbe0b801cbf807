//! The sending half: sealing, paths, acknowledgements, expiry.

use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use tincan_protocol::EnvelopeId;
use tincan_protocol::ack::SeqSet;
use tincan_protocol::envelope::Payload;
use tincan_protocol::limits::SKIPPED_RANGES_MAX;
use tincan_protocol::wire::NackReason;

use super::Session;
use crate::config::{EXPIRE_ENVELOPES, RECEIVED_RANGES};
use crate::input::RefusedDeposit;
use crate::outbox::{Attempt, Attempts};
use crate::output::{DeliveryState, Event, Output, Persist, SentVia, Transmit, WaitReason};
use crate::time::{Instant, Now};
use crate::vault::{OutboxRow, Vault, VaultError};

impl Session {
    pub(super) fn seal_contents(
        &mut self,
        vault: &mut dyn Vault,
        now: Now,
    ) -> Result<(), VaultError> {
        loop {
            let contents = self.numbering.next_payload();
            let (Some(first), Some(last)) = (contents.first(), contents.last()) else {
                return Ok(());
            };
            let (first, last) = (first.seq, last.seq);
            // What has no room in the window yet is sealed when it gets there: a receipt that is sealed
            // meanwhile leaves before it, and the other side's ratchet, once it has followed the receipt,
            // opens only the last few hundred envelopes that were sealed before.
            let envelope = if self.outbox.takes_next() {
                let contents = contents
                    .iter()
                    .map(|content| (content.seq, content.content.clone()));
                vault.seal(self.payload(contents.collect()).encode())?
            } else {
                Bytes::new()
            };
            let id = EnvelopeId::of(&envelope);
            self.outbox.admit(OutboxRow {
                first,
                last,
                envelope: envelope.clone(),
                told: false,
            });
            let created_ms = now.unix_ms;
            let lasts = contents.iter().any(|content| content.lasts);
            self.persist(Persist::Outgoing {
                first,
                last,
                id,
                envelope,
                created_ms,
                lasts,
                contents,
            });
        }
    }

    /// Fills the window from disk, and seals what is not sealed yet; not where rows have just changed,
    /// because that is not on disk before its `Persist` has been polled. `poll_timeout` then asks for
    /// another call at once.
    pub(super) fn load(&mut self, vault: &mut dyn Vault) -> Result<(), VaultError> {
        while self.outbox.wants_more() && !self.unread {
            let (from_seq, max_count, max_bytes) = self.outbox.wanted();
            let rows = vault.pending(from_seq, max_count, max_bytes)?;
            if rows.is_empty() {
                self.outbox.nothing_pending();
            }
            for mut row in rows {
                // What was not sealed came without its size.
                if !self.outbox.has_room() {
                    break;
                }
                if row.envelope.is_empty() && !self.outbox.is_in_window(row.first) {
                    row.envelope = self.seal_again(row.first, row.last, vault)?;
                }
                self.outbox.loaded(row);
            }
        }
        Ok(())
    }

    /// Hands every envelope of the window to the paths that it should be on.
    pub(super) fn transmit(&mut self, now: Instant) {
        let Self {
            outbox,
            control,
            paths,
            outputs,
            ..
        } = self;
        let entries = outbox
            .entries_mut()
            .map(|entry| (entry.id, &entry.envelope, &mut entry.attempts));
        let control = control
            .in_flight_mut()
            .map(|control| (control.id, &control.envelope, &mut control.attempts));
        for (id, envelope, attempts) in entries.chain(control) {
            if paths.link_up && attempts.direct.may_start(now) {
                attempts.direct = Attempt::InFlight;
                paths.put(now);
                let envelope = envelope.clone();
                outputs.push_back(Output::Transmit(Transmit::Put { id, envelope }));
            }
            let refused = attempts.direct == Attempt::Refused && paths.relay_up;
            if (paths.use_relay() || refused) && attempts.deposit.may_start(now) {
                attempts.deposit = Attempt::InFlight;
                let envelope = envelope.clone();
                outputs.push_back(Output::Transmit(Transmit::Deposit { id, envelope }));
            }
        }
    }

    pub(super) fn link_up(&mut self, now: Instant) {
        self.paths.link_up();
        self.each_attempt(|attempts| attempts.direct = Attempt::Idle);
        self.missing.link_up(now);
        self.announce_when_stored();
        if self.delivered.cumulative() < self.stored_up_to() {
            self.control.due_now(now);
        }
    }

    pub(super) fn link_down(&mut self) {
        self.paths.link_down();
        self.each_attempt(|attempts| attempts.direct = Attempt::Idle);
    }

    pub(super) fn relay_down(&mut self) {
        self.paths.relay_up = false;
        self.each_attempt(|attempts| {
            if attempts.deposit == Attempt::InFlight {
                attempts.deposit = Attempt::Idle;
            }
        });
    }

    /// The other side has an envelope.
    pub(super) fn stored(&mut self, id: &EnvelopeId, now: Instant) {
        self.settled(id, SentVia::Peer, now);
        let waiting = self
            .outbox
            .entries()
            .any(|entry| entry.attempts.direct == Attempt::InFlight)
            || self
                .control
                .in_flight()
                .is_some_and(|control| control.attempts.direct == Attempt::InFlight);
        self.paths.progress(now, waiting);
    }

    /// The relay has an envelope.
    pub(super) fn deposited(&mut self, id: &EnvelopeId, now: Instant) {
        self.settled(id, SentVia::Relay, now);
    }

    fn settled(&mut self, id: &EnvelopeId, via: SentVia, now: Instant) {
        if let Some(entry) = self.outbox.settle(id) {
            let (first, last) = (entry.first, entry.last);
            self.persist(Persist::OutboxStored { first, via });
            self.row_changed(first);
            let state = match via {
                SentVia::Peer => DeliveryState::SentToPeer,
                SentVia::Relay => DeliveryState::SentToRelay,
            };
            if !entry.told {
                self.undelivered(first, last, state);
            }
        } else if self.control.settle(id, self.unreadable.due(now)) {
            self.dirty = true;
        }
    }

    pub(super) fn nack(&mut self, id: &EnvelopeId, reason: NackReason, now: Instant) {
        let busy = now.after(self.config.busy_delay);
        let attempt = match reason {
            NackReason::Busy => Attempt::NotBefore(busy),
            NackReason::Invalid | NackReason::Unspecified => Attempt::Refused,
        };
        if let Some(entry) = self.outbox.by_id(id) {
            entry.attempts.direct = attempt;
            let (first, last) = (entry.first, entry.last);
            self.wait_for(first, last, WaitReason::RefusedByPeer);
        } else if let Some(control) = self.control.in_flight_mut().filter(|c| c.id == *id) {
            control.attempts.direct = attempt;
        }
    }

    pub(super) fn deposit_refused(
        &mut self,
        id: &EnvelopeId,
        reason: RefusedDeposit,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        let (min, max) = (
            self.config.deposit_backoff_min,
            self.config.deposit_backoff_max,
        );
        let Self {
            outbox,
            control,
            rng,
            ..
        } = self;
        let entry = outbox.by_id(id);
        let range = entry.as_ref().map(|entry| (entry.first, entry.last));
        let attempts = match entry {
            Some(entry) => &mut entry.attempts,
            None => match control.in_flight_mut().filter(|control| control.id == *id) {
                Some(control) => &mut control.attempts,
                None => return,
            },
        };
        let wait = attempts
            .backoff
            .next(min, max, rng)
            .max(retry_after.unwrap_or_default());
        attempts.deposit = Attempt::NotBefore(now.after(wait.min(max)));
        if let Some((first, last)) = range {
            let reason = match reason {
                RefusedDeposit::QueueFull => WaitReason::QueueFull,
                RefusedDeposit::Rejected => WaitReason::Rejected,
                RefusedDeposit::Unavailable => WaitReason::RelayUnavailable,
            };
            self.wait_for(first, last, reason);
        }
    }

    /// Tells the person why, once; not where they know it as sent, however often that has to be done again.
    fn wait_for(&mut self, first: u64, last: u64, reason: WaitReason) {
        let Some(entry) = self.outbox.entries_mut().find(|entry| entry.first == first) else {
            return;
        };
        if entry.told || entry.waiting.replace(reason) == Some(reason) {
            return;
        }
        for (first, last) in self.not_delivered(first, last) {
            self.outputs.push_back(Output::Event(Event::Waiting {
                first,
                last,
                reason,
            }));
        }
    }

    /// A receipt: what the other side has received and shown of ours.
    pub(super) fn acknowledged(&mut self, received: &SeqSet, read_up_to: u64) {
        // What is numbered and not sealed yet cannot have been received: if it counted as delivered, the
        // envelope that it gets afterwards would stay in the outbox until it expires.
        let last_sent = self.outbox.last_seq();
        if received.highest() > last_sent || read_up_to > last_sent {
            let what = "acknowledged messages that were never sent";
            self.outputs
                .push_back(Output::Event(Event::Misbehaved { what }));
            return;
        }
        self.delivered_by_receipt(received);
        // What has not come in order cannot have been shown.
        let read_up_to = read_up_to.min(self.delivered.cumulative());
        if read_up_to > self.read_by_peer {
            let first = self.read_by_peer + 1;
            self.read_by_peer = read_up_to;
            self.dirty = true;
            let mut shown = SeqSet::default();
            shown.insert_range(first, read_up_to);
            for (first, last) in difference(&shown, &self.not_read) {
                let state = DeliveryState::Read;
                self.outputs
                    .push_back(Output::Event(Event::State { first, last, state }));
            }
        }
    }

    /// The row of the envelope with this seq is about to be changed. If it is still to be loaded, the
    /// store would show it as it was: it would be sent again, and what was told of it taken back.
    const fn row_changed(&mut self, seq: u64) {
        if self.outbox.will_load(seq) {
            self.unread = true;
        }
    }

    /// Says how far an envelope has come, but for those of its messages that have come further.
    fn undelivered(&mut self, first: u64, last: u64, state: DeliveryState) {
        for (first, last) in self.not_delivered(first, last) {
            self.outputs
                .push_back(Output::Event(Event::State { first, last, state }));
        }
    }

    /// Those of an envelope's messages that have not come further already.
    fn not_delivered(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let mut range = SeqSet::default();
        range.insert_range(first, last);
        difference(&range, &self.delivered)
    }

    fn delivered_by_receipt(&mut self, received: &SeqSet) {
        let before = self.delivered.clone();
        // No honest reader has more holes: what is beyond so many counts when they are filled.
        self.delivered.union_within(received, RECEIVED_RANGES);
        let new = difference(&self.delivered, &before);
        if new.is_empty() {
            return;
        }
        self.arrived_late();
        self.dirty = true;
        self.outbox.drop_delivered(&self.delivered);
        self.persist(Persist::Delivered {
            delivered: self.delivered.clone(),
            new: new.clone(),
        });
        for (first, last) in new {
            self.row_changed(last);
            let state = DeliveryState::Delivered;
            self.outputs
                .push_back(Output::Event(Event::State { first, last, state }));
        }
    }

    /// What was delivered after it had failed has not failed any more.
    fn arrived_late(&mut self) {
        let mut failed = SeqSet::default();
        for (first, last) in difference(&self.failed, &self.delivered) {
            failed.insert_range(first, last);
        }
        self.failed = failed;
    }

    /// Seals contents of the outbox again; they keep their ids and seqs.
    pub(super) fn reseal(
        &mut self,
        first: u64,
        last: u64,
        vault: &mut dyn Vault,
    ) -> Result<(), VaultError> {
        self.seal_again(first, last, vault)?;
        self.outbox.reload_from(first);
        self.unread = true;
        Ok(())
    }

    /// Seals contents that are on disk.
    fn seal_again(
        &mut self,
        first: u64,
        last: u64,
        vault: &mut dyn Vault,
    ) -> Result<Bytes, VaultError> {
        let mut contents = vault.sent_contents(first, last)?;
        if self.has_begun_anew {
            contents.retain(|(seq, _)| !self.delivered.contains(*seq));
        }
        let is_there = |seq: &u64| contents.iter().any(|(there, _)| there == seq);
        let missing = (first..=last).find(|seq| !is_there(seq) && !self.delivered.contains(*seq));
        if let Some(seq) = missing {
            let text = alloc::format!("message {seq} is not in the store and was not delivered");
            return Err(VaultError(text));
        }
        let envelope = vault.seal(self.payload(contents).encode())?;
        self.persist(Persist::Resealed {
            first,
            id: EnvelopeId::of(&envelope),
            envelope: envelope.clone(),
        });
        Ok(envelope)
    }

    /// What is never sent again, if the other side has to be told.
    pub(super) fn skipped(&self) -> Vec<(u64, u64)> {
        if self.has_begun_anew {
            all_ranges(&self.delivered)
        } else {
            Vec::new()
        }
    }

    /// What is sealed together, with the numbers that are skipped before one of these contents.
    #[must_use]
    pub fn payload(&self, contents: Vec<(u64, Bytes)>) -> Payload {
        let comes_before = |range: &(u64, u64)| {
            let mut seqs = contents.iter().map(|(seq, _)| seq.saturating_sub(1));
            seqs.any(|before| range.0 <= before && before <= range.1)
        };
        let skipped = self.skipped().into_iter();
        let skipped = skipped
            .filter(comes_before)
            .take(SKIPPED_RANGES_MAX)
            .collect();
        let contents = contents.into_iter().map(|(_, content)| content);
        Payload {
            contents: contents.collect(),
            skipped,
        }
    }

    /// Gives up what is too old.
    pub(super) fn expire(&mut self, vault: &dyn Vault, now: Now) -> Result<(), VaultError> {
        if now.instant < self.expiry_at {
            return Ok(());
        }
        self.expiry_at = now.instant.after(self.config.expiry_check);
        let before = now.unix_ms.saturating_sub(self.config.expiry_ms);
        let expired = vault.created_before(before, EXPIRE_ENVELOPES)?;
        if expired.len() == EXPIRE_ENVELOPES {
            // More may be waiting: go on soon, so that one pass stays short.
            self.expiry_at = now.instant.after(Duration::from_millis(1));
        }
        for (first, last) in expired {
            self.outbox.remove(first);
            self.failed.insert_range(first, last);
            self.dirty = true;
            self.persist(Persist::Expired { first });
            self.row_changed(first);
            self.undelivered(first, last, DeliveryState::Failed);
        }
        Ok(())
    }

    fn each_attempt(&mut self, change: impl Fn(&mut Attempts)) {
        for entry in self.outbox.entries_mut() {
            change(&mut entry.attempts);
        }
        if let Some(control) = self.control.in_flight_mut() {
            change(&mut control.attempts);
        }
    }
}

/// The ranges of a set, also the one that begins it.
fn all_ranges(set: &SeqSet) -> Vec<(u64, u64)> {
    let start = (set.cumulative() > 0).then_some((1, set.cumulative()));
    start.into_iter().chain(set.ranges()).collect()
}

/// The ranges of `set` that are not in `other`.
fn difference(set: &SeqSet, other: &SeqSet) -> Vec<(u64, u64)> {
    let known = all_ranges(other);
    let mut new = Vec::new();
    for (mut first, last) in all_ranges(set) {
        for &(known_first, known_last) in &known {
            if known_last < first || known_first > last {
                continue;
            }
            if first < known_first {
                new.push((first, known_first - 1));
            }
            first = known_last + 1;
        }
        if first <= last {
            new.push((first, last));
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_what_is_new() {
        let mut old = SeqSet::up_to(3);
        old.insert_range(6, 7);
        let mut new = SeqSet::up_to(8);
        new.insert_range(11, 12);
        assert_eq!(difference(&new, &old), [(4, 5), (8, 8), (11, 12)]);
        assert_eq!(difference(&old, &new), []);
    }
}
