//! What a relay keeps for one side.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use tincan_protocol::EnvelopeId;

/// The relay's queue for one side.
#[derive(Default)]
pub(crate) struct Mailbox {
    pub(super) next_index: u64,
    pub(super) entries: VecDeque<(u64, Bytes)>,
    pub(super) known: BTreeSet<EnvelopeId>,
    pub(super) delivered_up_to: u64,
    pub(crate) full: bool,
    /// Deposits that were tried, taken or not.
    pub(crate) tries: usize,
}

impl Mailbox {
    /// Envelopes that were ever taken.
    pub(crate) fn deposits(&self) -> usize {
        self.known.len()
    }

    /// Envelopes that wait.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What was put in last comes out first.
    pub(crate) fn turn_round(&mut self) {
        let envelopes: Vec<_> = self
            .entries
            .iter()
            .rev()
            .map(|entry| entry.1.clone())
            .collect();
        for (entry, envelope) in self.entries.iter_mut().zip(envelopes) {
            entry.1 = envelope;
        }
    }
}
