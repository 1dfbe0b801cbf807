//! What the other side has asked to be sealed again: envelopes that it could not open, and seqs that
//! never reached it. Durable before its question is acknowledged, so that it need not ask twice.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use bytes::Bytes;
use tincan_protocol::EnvelopeId;
use tincan_protocol::content::Resend;

use crate::config::RESEND_WANTED;
use crate::snapshot::{RangeRow, Snapshot};

#[derive(Debug, Default)]
pub(crate) struct Wanted {
    ids: BTreeSet<EnvelopeId>,
    /// First seq -> last seq.
    ranges: BTreeMap<u64, u64>,
}

impl Wanted {
    pub(crate) fn restore(snapshot: &Snapshot) -> Self {
        let ids = snapshot.resend_ids.iter();
        let ranges = snapshot.resend_wanted.iter();
        Self {
            ids: ids
                .filter_map(|id| EnvelopeId::try_from(id.as_ref()).ok())
                .collect(),
            ranges: ranges.map(|row| (row.first, row.last)).collect(),
        }
    }

    /// Beyond the bounds, the last ones are left out: an honest side asks again.
    pub(crate) fn add(&mut self, resend: &Resend) {
        self.ids.extend(&resend.env_ids);
        while self.ids.len() > RESEND_WANTED {
            self.ids.pop_last();
        }
        for &(first, last) in &resend.ranges {
            self.add_range(first, last);
        }
    }

    pub(crate) fn add_range(&mut self, first: u64, last: u64) {
        let end = self.ranges.entry(first).or_insert(last);
        *end = last.max(*end);
        while self.ranges.len() > RESEND_WANTED {
            self.ranges.pop_last();
        }
    }

    /// How many ids and ranges.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.ids.len(), self.ranges.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.ranges.is_empty()
    }

    /// Takes up to `max` envelope ids out.
    pub(crate) fn take_ids(&mut self, max: usize) -> Vec<EnvelopeId> {
        let taken = core::iter::from_fn(|| self.ids.pop_first());
        taken.take(max).collect()
    }

    /// Takes the first range out.
    pub(crate) fn take_range(&mut self) -> Option<(u64, u64)> {
        self.ranges.pop_first()
    }

    pub(crate) fn ids(&self) -> Vec<Bytes> {
        let ids = self.ids.iter();
        ids.map(|id| Bytes::copy_from_slice(id.as_bytes()))
            .collect()
    }

    pub(crate) fn ranges(&self) -> Vec<RangeRow> {
        let ranges = self.ranges.iter();
        ranges
            .map(|(&first, &last)| RangeRow { first, last })
            .collect()
    }
}
