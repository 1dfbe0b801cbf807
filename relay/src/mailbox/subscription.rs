//! One reader of one queue: how far it has got, and its window.
//!
//! Invariants: indices are delivered in ascending order, each once per subscription, none left out
//! that the store still has; what is delivered and not acknowledged fits the window, but for a
//! single envelope that is larger than the whole window.

use std::collections::VecDeque;
use tincan_protocol::ids::QueueId;

use super::mailboxes::ConnectionId;
use crate::limits::RelayLimits;
use crate::store::{Page, QueueKind, Read};

/// Names a subscription. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SubscriptionId(pub(super) u64);

/// Bytes of one read. Chosen: a small part of what may wait for a connection, so that many
/// subscriptions of one connection are filled side by side.
const PAGE_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) connection: ConnectionId,
    pub(super) queue: QueueId,
    /// The request that made it; errors about it carry this id.
    pub(super) request: u64,
    /// Known from the first read on.
    pub(super) kind: Option<QueueKind>,
    /// Everything up to this index has been delivered, or is not in the store.
    position: u64,
    /// The highest index known to exist.
    last_index: u64,
    /// `Drained` is due at this position.
    drain_at: Option<u64>,
    reading: bool,
    unacked: VecDeque<(u64, usize)>,
    unacked_bytes: usize,
}

impl Subscription {
    pub(super) fn new(
        connection: ConnectionId,
        queue: QueueId,
        request: u64,
        after_index: u64,
    ) -> Self {
        Self {
            connection,
            queue,
            request,
            kind: None,
            position: after_index,
            last_index: 0,
            drain_at: None,
            reading: false,
            unacked: VecDeque::new(),
            unacked_bytes: 0,
        }
    }

    /// Whether [`Self::next_read`] has one.
    pub(super) fn wants_read(&self, limits: &RelayLimits) -> bool {
        let is_behind = self.kind.is_none() || self.last_index > self.position;
        is_behind && !self.reading && self.is_open(limits)
    }

    /// The read that brings it forward.
    pub(super) fn start_read(&mut self, limits: &RelayLimits) -> Read {
        self.reading = true;
        let window = limits.window_bytes.saturating_sub(self.unacked_bytes);
        Read {
            queue: self.queue,
            after_index: self.position,
            max_entries: limits.window_envelopes.saturating_sub(self.unacked.len()),
            // Where something waits for an ack, an entry that is too large for the rest of the
            // window comes all the same: reads give one entry at least. It is bounded by the
            // largest envelope.
            max_bytes: window.min(PAGE_BYTES),
        }
    }

    /// Takes notice of a read's outcome; its entries are delivered by the caller.
    pub(super) fn handle_page(&mut self, page: &Page) {
        self.reading = false;
        self.last_index = self.last_index.max(page.last_index);
        if self.kind.is_none() {
            self.kind = Some(page.kind);
            self.drain_at = Some(page.last_index);
            if self.position > page.last_index {
                // A cursor from a database that was lost: nothing of this one has been read.
                self.position = 0;
                return;
            }
        }
        for (index, envelope) in &page.entries {
            self.handle_delivered(*index, envelope.len());
        }
        if !page.more {
            self.position = self.position.max(page.last_index);
        }
    }

    /// Takes notice that an index exists now. `true`: it is the next one, nothing else is under
    /// way and the window is open, so it may be delivered as it is.
    pub(super) fn handle_new(&mut self, index: u64, limits: &RelayLimits) -> bool {
        self.last_index = self.last_index.max(index);
        let is_next = self.position.checked_add(1) == Some(index);
        self.kind.is_some() && is_next && !self.reading && self.is_open(limits)
    }

    pub(super) fn handle_delivered(&mut self, index: u64, len: usize) {
        self.position = index;
        self.unacked.push_back((index, len));
        self.unacked_bytes += len;
    }

    /// Opens the window. Who was held up by it hears `Drained` again once caught up.
    pub(super) fn handle_ack(&mut self, index: u64) {
        while let Some((_, len)) = self
            .unacked
            .pop_front_if(|(delivered, _)| *delivered <= index)
        {
            self.unacked_bytes = self.unacked_bytes.saturating_sub(len);
        }
        if self.kind.is_some() && self.drain_at.is_none() && self.last_index > self.position {
            self.drain_at = Some(self.last_index);
        }
    }

    /// Whether `Drained` is to be said now.
    pub(super) fn take_drained(&mut self) -> bool {
        self.drain_at
            .take_if(|drain_at| self.position >= *drain_at)
            .is_some()
    }

    fn is_open(&self, limits: &RelayLimits) -> bool {
        self.unacked.len() < limits.window_envelopes && self.unacked_bytes < limits.window_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn limits() -> RelayLimits {
        RelayLimits {
            window_envelopes: 2,
            window_bytes: 100,
            ..RelayLimits::default()
        }
    }

    fn subscription(after_index: u64) -> Subscription {
        let mut subscription = Subscription::new(
            ConnectionId(1),
            QueueId::from_bytes([1; 32]),
            1,
            after_index,
        );
        let _ = subscription.start_read(&limits());
        subscription
    }

    fn page(last_index: u64, indices: &[u64], more: bool) -> Page {
        let entries = indices
            .iter()
            .map(|index| (*index, Bytes::from_static(&[0; 10])))
            .collect();
        Page {
            kind: QueueKind::Mailbox,
            last_index,
            entries,
            more,
        }
    }

    #[test]
    fn an_empty_queue_is_drained_at_once() {
        let mut subscription = subscription(0);
        subscription.handle_page(&page(0, &[], false));
        assert!(subscription.take_drained());
        assert!(!subscription.take_drained());
        assert!(!subscription.wants_read(&limits()));
    }

    #[test]
    fn a_full_window_waits_for_its_ack_and_is_drained_again() {
        let mut subscription = subscription(0);
        subscription.handle_page(&page(3, &[1, 2], true));
        assert!(!subscription.take_drained());
        assert!(!subscription.wants_read(&limits()));
        subscription.handle_ack(1);
        assert!(subscription.wants_read(&limits()));
        let read = subscription.start_read(&limits());
        assert_eq!((read.after_index, read.max_entries), (2, 1));
        subscription.handle_page(&page(3, &[3], false));
        assert!(subscription.take_drained());
        assert!(!subscription.handle_new(4, &limits()));
        assert!(!subscription.take_drained());
        subscription.handle_ack(3);
        let _ = subscription.start_read(&limits());
        subscription.handle_page(&page(4, &[4], false));
        assert!(subscription.take_drained());
    }

    #[test]
    fn a_gap_before_a_new_index_is_read_and_not_jumped_over() {
        let mut subscription = subscription(0);
        subscription.handle_page(&page(1, &[], false));
        assert!(subscription.handle_new(2, &limits()));
        subscription.handle_delivered(2, 10);
        // Index 3 became durable in a commit that reported a failure.
        assert!(!subscription.handle_new(4, &limits()));
        assert!(subscription.wants_read(&limits()));
    }

    #[test]
    fn an_index_that_comes_during_a_read_is_read_afterwards() {
        let mut subscription = subscription(0);
        assert!(!subscription.handle_new(1, &limits()));
        subscription.handle_page(&page(0, &[], false));
        assert!(subscription.take_drained());
        assert!(subscription.wants_read(&limits()));
    }

    #[test]
    fn a_cursor_beyond_the_last_index_starts_from_the_beginning() {
        let mut subscription = subscription(500);
        subscription.handle_page(&page(3, &[], false));
        assert!(!subscription.take_drained());
        assert_eq!(subscription.start_read(&limits()).after_index, 0);
    }
}
