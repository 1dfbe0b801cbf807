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

    /// Nothing, if `first` is behind `last`.
    pub(crate) fn add_range(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
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

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn id(number: usize) -> EnvelopeId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        EnvelopeId::from_bytes(bytes)
    }

    #[test]
    fn a_range_with_nothing_in_it_is_not_wanted() {
        let mut wanted = Wanted::default();
        wanted.add_range(6, 5);
        assert!(wanted.is_empty());
        wanted.add_range(5, 5);
        assert_eq!(wanted.take_range(), Some((5, 5)));
    }

    #[test]
    fn what_is_wanted_is_taken_out_once_and_in_order() {
        let mut wanted = Wanted::default();
        assert!(wanted.is_empty());
        wanted.add(&Resend {
            env_ids: vec![id(2), id(1), id(3)],
            ranges: vec![(5, 6), (2, 3)],
        });
        assert_eq!(wanted.len(), (3, 2));
        assert_eq!(wanted.take_ids(2), [id(1), id(2)]);
        assert_eq!(wanted.take_range(), Some((2, 3)));
        assert_eq!(wanted.len(), (1, 1));
        assert_eq!(wanted.take_ids(2), [id(3)]);
        assert!(!wanted.is_empty());
        assert_eq!(wanted.take_range(), Some((5, 6)));
        assert!(wanted.is_empty() && wanted.take_range().is_none());
    }

    #[test]
    fn of_two_ranges_with_one_beginning_the_longer_one_is_wanted() {
        let mut wanted = Wanted::default();
        for last in [4, 9, 6] {
            wanted.add_range(3, last);
        }
        assert_eq!(wanted.take_range(), Some((3, 9)));
    }

    #[test]
    fn beyond_the_bounds_the_last_ones_are_left_out() {
        let mut wanted = Wanted::default();
        let more = RESEND_WANTED + 3;
        wanted.add(&Resend {
            env_ids: (0..more).map(id).collect(),
            ranges: (0..more as u64)
                .map(|seq| (2 * seq + 1, 2 * seq + 1))
                .collect(),
        });
        assert_eq!(wanted.len(), (RESEND_WANTED, RESEND_WANTED));
        assert_eq!(wanted.take_range(), Some((1, 1)));
        let ids: Vec<EnvelopeId> = (0..RESEND_WANTED).map(id).collect();
        assert_eq!(wanted.take_ids(more), ids);
    }

    #[test]
    fn what_is_written_down_is_wanted_again_after_a_restart() {
        let mut wanted = Wanted::default();
        wanted.add(&Resend {
            env_ids: vec![id(1), id(2)],
            ranges: vec![(2, 3)],
        });
        let again = Wanted::restore(&Snapshot {
            resend_ids: wanted.ids(),
            resend_wanted: wanted.ranges(),
            ..Snapshot::default()
        });
        assert_eq!((again.ids, again.ranges), (wanted.ids, wanted.ranges));
    }
}
