//! The window: envelopes that are on their way to the other side or its relay.
//!
//! Everything older is stored elsewhere and waits for a receipt on disk; everything newer waits on
//! disk, not sealed yet, until there is room. So memory does not grow with what is undelivered.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use tincan_protocol::EnvelopeId;
use tincan_protocol::ack::SeqSet;

use crate::backoff::Backoff;
use crate::config::{WINDOW_BYTES, WINDOW_ENVELOPES};
use crate::output::WaitReason;
use crate::time::Instant;
use crate::vault::OutboxRow;

/// One envelope on its way.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) id: EnvelopeId,
    pub(crate) envelope: Bytes,
    pub(crate) attempts: Attempts,
    pub(crate) waiting: Option<WaitReason>,
    /// It was stored elsewhere once, and that was told.
    pub(crate) told: bool,
}

/// Where one envelope has been handed to. Shared by the outbox and the control envelope.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    pub(crate) direct: Attempt,
    pub(crate) deposit: Attempt,
    pub(crate) backoff: Backoff,
}

/// One path's part in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Attempt {
    #[default]
    Idle,
    InFlight,
    /// Not again before this.
    NotBefore(Instant),
    /// Not again on this link.
    Refused,
}

impl Attempt {
    pub(crate) fn may_start(self, now: Instant) -> bool {
        match self {
            Self::Idle => true,
            Self::NotBefore(at) => at <= now,
            Self::InFlight | Self::Refused => false,
        }
    }

    pub(crate) const fn wake_at(self) -> Option<Instant> {
        match self {
            Self::NotBefore(at) => Some(at),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Outbox {
    window: BTreeMap<u64, Entry>,
    by_id: BTreeMap<EnvelopeId, u64>,
    bytes: usize,
    /// Envelopes from this seq on are not in the window.
    next_load: u64,
    /// One more than the last seq that is sealed.
    end: u64,
    /// There are no keys to seal with: everything waits on disk.
    has_no_keys: bool,
}

impl Outbox {
    /// After a restart: everything sealed before `end` may still be pending.
    pub(crate) const fn new(end: u64) -> Self {
        Self {
            window: BTreeMap::new(),
            by_id: BTreeMap::new(),
            bytes: 0,
            next_load: 1,
            end,
            has_no_keys: false,
        }
    }

    /// Whether the next new envelope comes into the window: there is room, and no others wait.
    pub(crate) fn takes_next(&self) -> bool {
        !self.has_no_keys && self.next_load == self.end && self.has_room()
    }

    /// Takes a new envelope; it stays on disk alone if there is no room or others wait there already.
    pub(crate) fn admit(&mut self, row: OutboxRow) {
        let takes_it = self.takes_next();
        self.end = row.last + 1;
        if takes_it {
            self.next_load = self.end;
            self.insert(row);
        }
    }

    /// Room in the window and envelopes on disk that could fill it.
    pub(crate) fn wants_more(&self) -> bool {
        !self.has_no_keys && self.has_room() && self.next_load < self.end
    }

    /// Nothing can be sealed until all of it is to be sealed anew.
    pub(crate) const fn without_keys(&mut self) {
        self.has_no_keys = true;
    }

    pub(crate) const fn has_keys(&self) -> bool {
        !self.has_no_keys
    }

    /// From which seq, how many envelopes and how many bytes to load.
    pub(crate) fn wanted(&self) -> (u64, usize, usize) {
        (
            self.next_load,
            WINDOW_ENVELOPES - self.window.len(),
            WINDOW_BYTES - self.bytes,
        )
    }

    /// Takes what was loaded.
    pub(crate) fn loaded(&mut self, row: OutboxRow) {
        self.next_load = self.next_load.max(row.last + 1);
        if !self.window.contains_key(&row.first) {
            self.insert(row);
        }
    }

    /// Any envelope may be pending again.
    pub(crate) const fn reload_all(&mut self) {
        self.next_load = 1;
    }

    /// All of it will be sealed anew.
    pub(crate) fn begin_anew(&mut self) {
        self.window.clear();
        self.by_id.clear();
        self.has_no_keys = false;
        self.bytes = 0;
        self.reload_all();
    }

    /// The last seq that was given to an envelope.
    pub(crate) const fn last_seq(&self) -> u64 {
        self.end - 1
    }

    /// The first seq that may be stored nowhere else yet; one more than the last one if there is none.
    pub(crate) fn first_pending(&self) -> u64 {
        let on_disk = self.next_load.min(self.end);
        self.window
            .first_key_value()
            .map_or(on_disk, |(&first, _)| first.min(on_disk))
    }

    /// Whether the envelope with this seq is among those that are still to be loaded.
    pub(crate) const fn will_load(&self, seq: u64) -> bool {
        self.next_load <= seq && seq < self.end
    }

    /// Nothing more waits on disk.
    pub(crate) const fn nothing_pending(&mut self) {
        self.next_load = self.end;
    }

    /// Pending envelopes from `first` on are looked for on disk again.
    pub(crate) fn reload_from(&mut self, first: u64) {
        self.next_load = self.next_load.min(first);
        self.remove(first);
    }

    pub(crate) fn settle(&mut self, id: &EnvelopeId) -> Option<Entry> {
        let first = *self.by_id.get(id)?;
        self.remove(first)
    }

    /// Drops what a receipt covers.
    pub(crate) fn drop_delivered(&mut self, delivered: &SeqSet) {
        let covered: Vec<u64> = self
            .window
            .values()
            .filter(|entry| delivered.contains_all(entry.first, entry.last))
            .map(|entry| entry.first)
            .collect();
        for first in covered {
            self.remove(first);
        }
    }

    pub(crate) fn remove(&mut self, first: u64) -> Option<Entry> {
        let entry = self.window.remove(&first)?;
        self.by_id.remove(&entry.id);
        self.bytes -= entry.envelope.len();
        Some(entry)
    }

    pub(crate) fn by_id(&mut self, id: &EnvelopeId) -> Option<&mut Entry> {
        self.window.get_mut(self.by_id.get(id)?)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.window.values()
    }

    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.window.values_mut()
    }

    pub(crate) fn is_in_window(&self, first: u64) -> bool {
        self.window.contains_key(&first)
    }

    pub(crate) fn len(&self) -> usize {
        self.window.len()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether another envelope may be on its way.
    pub(crate) fn has_room(&self) -> bool {
        self.window.len() < WINDOW_ENVELOPES && self.bytes < WINDOW_BYTES
    }

    fn insert(&mut self, row: OutboxRow) {
        let id = EnvelopeId::of(&row.envelope);
        self.bytes += row.envelope.len();
        self.by_id.insert(id, row.first);
        let OutboxRow {
            first,
            last,
            envelope,
            told,
        } = row;
        let entry = Entry {
            first,
            last,
            id,
            envelope,
            attempts: Attempts::default(),
            waiting: None,
            told,
        };
        self.window.insert(first, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(first: u64, last: u64, bytes: usize) -> OutboxRow {
        let mut envelope = first.to_be_bytes().to_vec();
        envelope.resize(bytes, 0);
        OutboxRow {
            first,
            last,
            envelope: envelope.into(),
            told: false,
        }
    }

    #[test]
    fn what_is_in_the_window_is_counted() {
        let mut outbox = Outbox::new(1);
        assert_eq!(outbox.wanted(), (1, WINDOW_ENVELOPES, WINDOW_BYTES));
        outbox.admit(row(1, 2, 100));
        outbox.admit(row(3, 3, 50));
        assert_eq!((outbox.len(), outbox.bytes()), (2, 150));
        assert_eq!(
            outbox.wanted(),
            (4, WINDOW_ENVELOPES - 2, WINDOW_BYTES - 150)
        );
        assert!(outbox.is_in_window(1) && outbox.is_in_window(3));
        assert!(!outbox.is_in_window(2));
        outbox.drop_delivered(&SeqSet::up_to(1));
        assert_eq!(outbox.len(), 2, "a part of an envelope");
        outbox.drop_delivered(&SeqSet::up_to(2));
        assert_eq!((outbox.len(), outbox.bytes()), (1, 50));
        let settled = outbox.settle(&EnvelopeId::of(&row(3, 3, 50).envelope));
        assert_eq!(settled.map(|entry| entry.first), Some(3));
        assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
    }

    #[test]
    fn a_full_window_takes_no_more_and_loads_it_when_there_is_room() {
        for (envelopes, bytes) in [
            (WINDOW_ENVELOPES as u64, 8),
            (2, WINDOW_BYTES / 2),
            (1, WINDOW_BYTES),
        ] {
            let mut outbox = Outbox::new(1);
            for seq in 1..=envelopes {
                assert!(outbox.has_room() && outbox.takes_next(), "{seq}");
                outbox.admit(row(seq, seq, bytes));
            }
            assert!(!outbox.has_room());
            let next = envelopes + 1;
            outbox.admit(row(next, next, 8));
            assert!(!outbox.is_in_window(next) && !outbox.wants_more());
            assert!(outbox.will_load(next) && !outbox.will_load(next + 1));
            assert!(!outbox.will_load(next - 1));
            outbox.remove(1);
            assert!(
                outbox.wants_more() && !outbox.takes_next(),
                "in their order"
            );
            outbox.loaded(row(next, next, 8));
            assert!(outbox.is_in_window(next) && !outbox.wants_more());
        }
    }

    #[test]
    fn what_may_be_pending_again_is_looked_for_on_disk() {
        let mut outbox = Outbox::new(6);
        assert_eq!((outbox.first_pending(), outbox.last_seq()), (1, 5));
        outbox.nothing_pending();
        assert_eq!(outbox.first_pending(), 6);
        outbox.admit(row(6, 7, 8));
        outbox.admit(row(8, 8, 8));
        assert_eq!((outbox.first_pending(), outbox.last_seq()), (6, 8));
        outbox.remove(6);
        assert_eq!(outbox.first_pending(), 8);
        outbox.reload_from(8);
        assert!(outbox.will_load(8) && !outbox.is_in_window(8));
        outbox.reload_all();
        assert!(outbox.will_load(1) && outbox.wants_more());
        // What is in the window already stays there once.
        outbox.loaded(row(8, 8, 8));
        outbox.loaded(row(8, 8, 8));
        assert_eq!((outbox.len(), outbox.bytes()), (1, 8));
        assert!(!outbox.wants_more());
    }
}
