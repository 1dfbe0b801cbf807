//! What is missing on either side, and how it comes again.

use alloc::vec::Vec;
use core::time::Duration;
use tincan_protocol::content::Resend;
use tincan_protocol::limits::{RESEND_MAX, SKIPPED_RANGES_MAX};

use super::Session;
use crate::config::RESEND_ENVELOPES;
use crate::inbox::Mailbox;
use crate::output::Persist;
use crate::time::Instant;
use crate::vault::{Vault, VaultError};

impl Session {
    /// The other side asks for envelopes to be sealed again.
    pub(super) fn resend(&mut self, resend: &Resend, now: Instant) {
        let asked = &resend.ranges;
        let is_asked = |range: &(u64, u64)| {
            let mut asked = asked.iter();
            asked.any(|&(first, last)| range.0 <= last && first <= range.1)
        };
        let skipped = self.skipped().into_iter().filter(is_asked);
        self.skipped_asked = skipped.take(SKIPPED_RANGES_MAX).collect();
        if !self.skipped_asked.is_empty() {
            // What says so may have been lost. Our receipt says it again.
            self.receipt_in(Duration::ZERO, now);
        }
        self.wanted.add(resend);
        self.dirty = true;
    }

    pub(super) fn resend_due(&self) -> Option<Instant> {
        (!self.wanted.is_empty() && self.outbox.has_keys()).then_some(self.resend_at)
    }

    /// Seals again what was asked for, at a bounded pace.
    pub(super) fn reseal_wanted(
        &mut self,
        vault: &mut dyn Vault,
        now: Instant,
    ) -> Result<(), VaultError> {
        if !self.outbox.has_keys() || self.resend_due().is_none_or(|at| at > now) {
            return Ok(());
        }
        self.resend_at = now.after(self.config.resend_interval);
        self.dirty = true;
        let ids = self.wanted.take_ids(RESEND_ENVELOPES);
        let mut rows = vault.find_envelopes(&ids)?;
        if rows.len() < ids.len() {
            // One may have been a receipt: these are not kept, the newest says it all.
            self.receipt_in(self.config.receipt_delay, now);
        }
        while rows.len() < RESEND_ENVELOPES
            && let Some((first, last)) = self.wanted.take_range()
        {
            let room = RESEND_ENVELOPES - rows.len();
            let found = vault.find_range(first, last, room)?;
            if let Some(&(_, end)) = found.last()
                && found.len() == room
            {
                self.wanted.add_range(end + 1, last);
            }
            rows.extend(found);
        }
        rows.sort_unstable();
        rows.dedup();
        for (first, last) in rows {
            // The store still has what this call has just given up.
            if !self.failed.contains_all(first, last) {
                self.reseal(first, last, vault)?;
            }
        }
        Ok(())
    }

    /// The other side's relay has lost what it kept. What has not been delivered is deposited again,
    /// the same bytes: nobody can have opened them.
    pub(super) fn relay_forgot(&mut self) {
        self.persist(Persist::RelayForgot);
        self.outbox.reload_all();
        // The store says so only after that row.
        self.unread = true;
    }

    /// Receipts and questions do not come again by themselves, where our own relay has lost them, as messages
    /// do. A receipt of ours tells the other side how far we know both directions to have come: they say
    /// what we do not know, and ask for what they do not have.
    pub(super) fn say_what_we_know(&mut self, now: Instant) {
        self.announce_when_stored();
        if self.outbox.last_seq() > 0 || self.inbox.received.highest() > 0 {
            self.receipt_in(self.config.receipt_delay, now);
        }
    }

    /// Own messages up to this seq have been stored by the other side or its relay.
    pub(super) fn stored_up_to(&self) -> u64 {
        self.outbox.first_pending() - 1
    }

    /// What is believed to be at their relay may not be there: once everything that was sent so far is
    /// stored, they are told, and ask for what they do not find.
    pub(super) fn announce_when_stored(&mut self) {
        let last = self.outbox.last_seq();
        if self.delivered.cumulative() < last {
            self.to_announce = Some(last);
            self.dirty = true;
        }
    }

    pub(super) fn announce(&mut self, now: Instant) {
        if let Some(up_to) = self.to_announce
            && self.stored_up_to() >= up_to
        {
            self.to_announce = None;
            self.dirty = true;
            if self.delivered.cumulative() < up_to {
                // A receipt says it, which is owed until it is stored itself.
                self.receipt_in(Duration::ZERO, now);
            }
        }
    }

    /// The other side says what it believes to be here or at our relay.
    pub(super) fn announced(&mut self, up_to: u64) {
        if up_to > self.missing.announced {
            self.missing.announced = up_to;
            self.dirty = true;
        }
    }

    /// Takes note of holes that are new, or filled.
    pub(super) fn note_missing(&mut self, now: Instant) {
        let received = &self.inbox.received;
        let highest = if self.missing.announced > received.highest() {
            Some(self.missing.announced)
        } else {
            received.highest_gap()
        };
        self.missing.note(highest, now);
    }

    /// When to ask for what is missing.
    pub(super) fn ask_due(&self) -> Option<Instant> {
        let patience = match self.inbox.mailbox {
            Mailbox::Drained => self.config.ask_patience,
            // It may be read in a moment; and if not, the other side can send it another way.
            Mailbox::Down => self.config.gap_patience,
            Mailbox::Reading => self.config.gap_limit,
        };
        self.missing.due(patience).filter(|_| self.paths.any())
    }

    /// The missing seqs, as asked for.
    pub(super) fn missing_ranges(&self) -> Vec<(u64, u64)> {
        let received = &self.inbox.received;
        let mut ranges = received.gaps(RESEND_MAX);
        if self.missing.announced > received.highest() {
            ranges.push((received.highest() + 1, self.missing.announced));
        }
        ranges.truncate(RESEND_MAX);
        ranges
    }
}
