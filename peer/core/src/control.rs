//! Receipts and requests to seal again: contents without a seq. The newest says all that earlier
//! ones said, so at most one envelope of them is on its way, and none is kept on disk: after a
//! restart it is made again.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use tincan_protocol::EnvelopeId;
use tincan_protocol::limits::RESEND_MAX;

use crate::config::RESEND_ASKS;
use crate::outbox::Attempts;
use crate::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Control {
    /// When the next control envelope is to be sealed.
    due: Option<Instant>,
    /// The other side has not confirmed the newest receipt.
    pub(crate) receipt_pending: bool,
    /// Something changed after the envelope in flight was sealed.
    changed: bool,
    asks: VecDeque<EnvelopeId>,
    in_flight: Option<ControlEnvelope>,
}

/// A sealed control envelope.
#[derive(Debug)]
pub(crate) struct ControlEnvelope {
    pub(crate) id: EnvelopeId,
    pub(crate) envelope: Bytes,
    pub(crate) attempts: Attempts,
    /// The envelopes it asks for.
    asked: Vec<EnvelopeId>,
    /// It asks for missing seqs as well.
    asks_for_missing: bool,
}

impl Control {
    pub(crate) fn restore(receipt_pending: bool, asks: &[Bytes], now: Instant) -> Self {
        let asks: VecDeque<_> = asks
            .iter()
            .filter_map(|id| EnvelopeId::try_from(id.as_ref()).ok())
            .collect();
        let due = (receipt_pending || !asks.is_empty()).then_some(now);
        Self {
            due,
            receipt_pending,
            asks,
            ..Self::default()
        }
    }

    /// There is something new to acknowledge.
    pub(crate) fn receipt_at(&mut self, at: Instant) {
        self.receipt_pending = true;
        self.changed = true;
        self.due_at(at);
    }

    pub(crate) fn asks_len(&self) -> usize {
        self.asks.len()
    }

    /// An envelope could not be opened. Beyond the bound the oldest is forgotten: its messages show
    /// up as a gap, and gaps are asked for as well.
    pub(crate) fn ask(&mut self, id: EnvelopeId, at: Instant) {
        if self.asks.len() == RESEND_ASKS {
            self.asks.pop_front();
        }
        self.asks.push_back(id);
        self.changed = true;
        self.due_at(at);
    }

    /// Envelopes are to be asked for that no envelope on its way asks for.
    pub(crate) fn asks_waiting(&self) -> bool {
        let asked = self.in_flight.as_ref().map_or(0, |sent| sent.asked.len());
        self.asks.len() > asked
    }

    pub(crate) fn due_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Seals a control envelope at once, whether or not there is anything new to acknowledge.
    pub(crate) const fn due_now(&mut self, now: Instant) {
        self.changed = true;
        self.due = Some(now);
    }

    /// The envelope that is on its way asks for missing seqs: what replaces it has to ask too.
    pub(crate) fn asks_for_missing(&self) -> bool {
        self.in_flight
            .as_ref()
            .is_some_and(|envelope| envelope.asks_for_missing)
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The envelope ids to ask for now.
    pub(crate) fn asks_now(&self) -> Vec<EnvelopeId> {
        self.asks.iter().take(RESEND_MAX).copied().collect()
    }

    /// A control envelope was sealed; it replaces the one in flight.
    pub(crate) fn sealed(
        &mut self,
        id: EnvelopeId,
        envelope: Bytes,
        asked: Vec<EnvelopeId>,
        asks_for_missing: bool,
    ) {
        self.due = None;
        self.changed = false;
        self.in_flight = Some(ControlEnvelope {
            id,
            envelope,
            attempts: Attempts::default(),
            asked,
            asks_for_missing,
        });
    }

    /// The envelope with this id is stored; false if it is not a control envelope. What is still to be
    /// asked for is due at `next`.
    pub(crate) fn settle(&mut self, id: &EnvelopeId, next: Instant) -> bool {
        if self
            .in_flight
            .as_ref()
            .is_none_or(|envelope| envelope.id != *id)
        {
            return false;
        }
        let asked = self.in_flight.take().map(|envelope| envelope.asked);
        let asked = asked.unwrap_or_default();
        self.asks.retain(|id| !asked.contains(id));
        if !self.changed {
            self.receipt_pending = false;
        }
        if !self.asks.is_empty() {
            self.due_at(next);
        }
        true
    }

    pub(crate) const fn in_flight_mut(&mut self) -> Option<&mut ControlEnvelope> {
        self.in_flight.as_mut()
    }

    pub(crate) const fn in_flight(&self) -> Option<&ControlEnvelope> {
        self.in_flight.as_ref()
    }

    pub(crate) fn asks(&self) -> Vec<Bytes> {
        self.asks
            .iter()
            .map(|id| Bytes::copy_from_slice(id.as_bytes()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_micros(1_000);
    const LATER: Instant = Instant::from_micros(2_000);

    fn id(number: usize) -> EnvelopeId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        EnvelopeId::from_bytes(bytes)
    }

    /// With so many envelopes to ask for, at once.
    fn asking(envelopes: usize) -> Control {
        let mut control = Control::default();
        (0..envelopes).for_each(|number| control.ask(id(number), NOW));
        control
    }

    /// Seals what is to be asked for, and returns the envelope's id.
    fn seal(control: &mut Control, asks_for_missing: bool) -> EnvelopeId {
        let sealed = id(usize::MAX);
        let asked = control.asks_now();
        control.sealed(sealed, Bytes::new(), asked, asks_for_missing);
        sealed
    }

    #[test]
    fn what_was_owed_at_the_end_of_a_process_is_due_at_once_in_the_next_one() {
        let asks = asking(2).asks();
        let due = |receipt_pending, asks: &[Bytes]| {
            let control = Control::restore(receipt_pending, asks, NOW);
            assert_eq!(control.receipt_pending, receipt_pending);
            assert_eq!(control.asks(), asks);
            control.due()
        };
        assert_eq!(due(true, &[]), Some(NOW));
        assert_eq!(due(false, &asks), Some(NOW));
        assert_eq!(due(true, &asks), Some(NOW));
        assert_eq!(due(false, &[]), None);
    }

    #[test]
    fn it_is_due_at_the_earliest_time_that_was_named() {
        let mut control = Control::default();
        control.receipt_at(LATER);
        assert!(control.receipt_pending && !control.is_due(NOW) && control.is_due(LATER));
        control.due_at(NOW);
        control.due_at(LATER);
        assert_eq!(control.due(), Some(NOW));
        assert!(control.is_due(NOW) && control.is_due(LATER));
        control.due_now(LATER);
        assert_eq!(control.due(), Some(LATER));
        assert!(!Control::default().is_due(LATER));
    }

    #[test]
    fn beyond_the_bound_the_oldest_is_asked_for_no_more() {
        let mut control = asking(RESEND_ASKS);
        assert_eq!(control.asks_len(), RESEND_ASKS);
        control.ask(id(RESEND_ASKS), NOW);
        assert_eq!(control.asks_len(), RESEND_ASKS);
        assert_eq!(control.asks_now().first(), Some(&id(1)));
        assert_eq!(
            control.asks().last().unwrap()[..],
            id(RESEND_ASKS).as_bytes()[..]
        );
    }

    #[test]
    fn what_one_envelope_has_no_room_for_waits_for_the_next() {
        let mut control = asking(RESEND_MAX);
        assert!(control.asks_waiting());
        seal(&mut control, false);
        assert!(!control.asks_waiting() && control.due().is_none());
        control.ask(id(RESEND_MAX), LATER);
        assert!(control.asks_waiting());
        assert_eq!(control.asks_now().len(), RESEND_MAX);
    }

    #[test]
    fn what_was_asked_for_is_forgotten_when_the_envelope_is_stored() {
        let mut control = asking(1);
        control.receipt_at(NOW);
        let sealed = seal(&mut control, true);
        assert!(control.asks_for_missing());
        assert!(!control.settle(&id(0), LATER), "another envelope");
        assert!(control.in_flight().is_some() && control.receipt_pending);
        assert!(control.settle(&sealed, LATER));
        assert!(control.in_flight().is_none() && !control.asks_for_missing());
        assert!(!control.receipt_pending && control.asks().is_empty() && control.due().is_none());
        assert!(!control.settle(&sealed, LATER), "stored twice");
    }

    #[test]
    fn what_came_while_the_envelope_was_on_its_way_is_still_owed() {
        let mut control = Control::default();
        control.receipt_at(NOW);
        let sealed = seal(&mut control, false);
        assert!(!control.asks_for_missing());
        control.receipt_at(LATER);
        assert!(control.settle(&sealed, NOW) && control.receipt_pending);
        let sealed = seal(&mut control, false);
        control.ask(id(7), LATER);
        control.due = None;
        assert!(control.settle(&sealed, LATER));
        assert!(control.receipt_pending, "the envelope did not say it");
        assert_eq!((control.asks_len(), control.due()), (1, Some(LATER)));
    }
}
