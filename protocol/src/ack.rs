//! Which sequence numbers have been received: everything up to one number, and ranges beyond it.

use std::collections::BTreeMap;

use crate::limits::RECEIPT_RANGES_MAX;
use crate::wire;

/// A set of sequence numbers from 1, kept as a cumulative number and the ranges above it.
///
/// Invariant: `cumulative + 1` is not in the set, ranges are disjoint, not adjacent, and above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeqSet {
    cumulative: u64,
    /// First seq of a range -> last seq.
    ranges: BTreeMap<u64, u64>,
}

impl SeqSet {
    /// Every seq up to and including `cumulative`.
    #[must_use]
    pub const fn up_to(cumulative: u64) -> Self {
        Self {
            cumulative,
            ranges: BTreeMap::new(),
        }
    }

    /// The highest seq below which nothing is missing; 0 if even seq 1 is missing.
    #[must_use]
    pub const fn cumulative(&self) -> u64 {
        self.cumulative
    }

    /// The ranges above the cumulative seq, ascending, both ends included.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(&first, &last)| (first, last))
    }

    /// Number of ranges above the cumulative seq.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.ranges.len()
    }

    /// The highest seq in the set, 0 if it is empty.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.ranges
            .last_key_value()
            .map_or(self.cumulative, |(_, &last)| last)
    }

    /// Whether `seq` is in the set. Seq 0 never is.
    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        if seq == 0 {
            return false;
        }
        self.run_end(seq).is_some()
    }

    /// The last of the seqs that follow on `seq` without a hole, `seq` among them; none if it is not in the set.
    #[must_use]
    pub fn run_end(&self, seq: u64) -> Option<u64> {
        if seq > 0 && seq <= self.cumulative {
            return Some(self.cumulative);
        }
        let (_, &last) = self.ranges.range(..=seq).next_back()?;
        (seq <= last).then_some(last)
    }

    /// The ranges of `first..=last` that are not in the set.
    #[must_use]
    pub fn missing_in(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let mut missing = Vec::new();
        let mut from = first.max(1).max(self.cumulative + 1);
        for (start, end) in self.ranges() {
            if end < from {
                continue;
            }
            if start > last {
                break;
            }
            if from < start {
                missing.push((from, start - 1));
            }
            from = end + 1;
        }
        if from <= last {
            missing.push((from, last));
        }
        missing
    }

    /// The ranges of the set above `seq`.
    #[must_use]
    pub fn beyond(&self, seq: u64) -> Vec<(u64, u64)> {
        let start = (self.cumulative > seq).then(|| (seq + 1, self.cumulative));
        let rest = self.ranges().filter(|&(_, last)| last > seq);
        let rest = rest.map(|(first, last)| (first.max(seq + 1), last));
        start.into_iter().chain(rest).collect()
    }

    /// Whether every seq of `first..=last` is in the set.
    #[must_use]
    pub fn contains_all(&self, first: u64, last: u64) -> bool {
        let in_one_range = || {
            let range = self.ranges.range(..=first).next_back();
            range.is_some_and(|(_, &end)| last <= end)
        };
        // The seq above the cumulative one is missing: nothing reaches over it.
        first > 0 && first <= last && (last <= self.cumulative || in_one_range())
    }

    /// Adds one seq; says whether it is new.
    pub fn insert(&mut self, seq: u64) -> bool {
        if seq == 0 || self.contains(seq) {
            return false;
        }
        self.insert_range(seq, seq);
        true
    }

    /// Adds every seq of `first..=last`. Does nothing if `first` is 0 or above `last`.
    pub fn insert_range(&mut self, first: u64, last: u64) {
        if first == 0 || first > last || last <= self.cumulative {
            return;
        }
        let (mut first, mut last) = (first.max(self.cumulative + 1), last);
        // Swallow every range that touches the new one.
        while let Some((&start, &end)) = self.ranges.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            self.ranges.remove(&start);
            first = first.min(start);
            last = last.max(end);
        }
        if first == self.cumulative + 1 {
            self.cumulative = last;
        } else {
            self.ranges.insert(first, last);
        }
    }

    /// Adds the seqs of another set, but for ranges that would be more than `limit`. Nothing is left out if this
    /// set is a part of the other one, and that has no more than `limit`.
    pub fn union_within(&mut self, other: &Self, limit: usize) {
        self.insert_range(1, other.cumulative);
        // Those first that make no further range, and may make one of several.
        let (touching, apart): (Vec<_>, Vec<_>) = other
            .ranges()
            .partition(|&(first, last)| self.touches(first, last));
        for (first, last) in touching {
            self.insert_range(first, last);
        }
        for (first, last) in apart {
            if self.ranges.len() < limit {
                self.insert_range(first, last);
            }
        }
    }

    /// Whether a range makes one with what is there.
    fn touches(&self, first: u64, last: u64) -> bool {
        let below = self.ranges.range(..=last.saturating_add(1)).next_back();
        let end = below.map_or(self.cumulative, |(_, &end)| end);
        first <= end.saturating_add(1)
    }

    /// The missing seqs between the cumulative one and the highest, as ranges, at most `limit`.
    #[must_use]
    pub fn gaps(&self, limit: usize) -> Vec<(u64, u64)> {
        let mut from = self.cumulative + 1;
        let mut gaps = Vec::new();
        for (first, last) in self.ranges().take(limit) {
            gaps.push((from, first - 1));
            from = last + 1;
        }
        gaps
    }

    /// The highest seq below the highest one that is missing.
    #[must_use]
    pub fn highest_gap(&self) -> Option<u64> {
        self.ranges.last_key_value().map(|(&first, _)| first - 1)
    }

    /// The wire form: the cumulative seq and the lowest [`RECEIPT_RANGES_MAX`] ranges.
    #[must_use]
    pub fn to_wire(&self) -> (u64, Vec<wire::SeqRange>) {
        let ranges = self
            .ranges()
            .take(RECEIPT_RANGES_MAX)
            .map(|(first, last)| wire::SeqRange { first, last })
            .collect();
        (self.cumulative, ranges)
    }

    /// Reads the wire form. Ranges that make no sense are left out, more than
    /// [`RECEIPT_RANGES_MAX`] are ignored: a receipt can only ever say less than it should.
    #[must_use]
    pub fn from_wire(cumulative: u64, ranges: &[wire::SeqRange]) -> Self {
        let mut set = Self::up_to(cumulative.min(u64::MAX - 1));
        for range in ranges.iter().take(RECEIPT_RANGES_MAX) {
            if range.last < u64::MAX {
                set.insert_range(range.first, range.last);
            }
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Clone, Debug)]
    enum Change {
        One(u64),
        /// Also ones that make no sense.
        Range(u64, u64),
        /// And how many ranges may come of it.
        Union(Vec<(u64, u64)>, usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        let range = || (0_u64..60, -1_i64..6);
        let ends = |(first, more): (u64, i64)| (first, first.saturating_add_signed(more));
        prop_oneof![
            (0_u64..60).prop_map(Change::One),
            range()
                .prop_map(ends)
                .prop_map(|(first, last)| Change::Range(first, last)),
            (vec(range().prop_map(ends), 0..6), 0_usize..8)
                .prop_map(|(ranges, limit)| Change::Union(ranges, limit)),
        ]
    }

    fn add(set: &mut SeqSet, model: &mut BTreeSet<u64>, (first, last): (u64, u64)) {
        set.insert_range(first, last);
        if first > 0 {
            model.extend(first..=last);
        }
    }

    fn make(set: &mut SeqSet, model: &mut BTreeSet<u64>, change: Change) {
        match change {
            Change::One(seq) => {
                let is_new = seq > 0 && model.insert(seq);
                assert_eq!(set.insert(seq), is_new);
            }
            Change::Range(first, last) => add(set, model, (first, last)),
            Change::Union(ranges, limit) => {
                let (mut other, mut others) = (SeqSet::default(), BTreeSet::new());
                for ends in ranges {
                    add(&mut other, &mut others, ends);
                }
                unite(set, model, (&other, &others), limit);
            }
        }
    }

    fn unite(
        set: &mut SeqSet,
        model: &mut BTreeSet<u64>,
        (other, others): (&SeqSet, &BTreeSet<u64>),
        limit: usize,
    ) {
        let before = set.range_count();
        set.union_within(other, limit);
        assert!(set.range_count() <= before.max(limit));
        let all: BTreeSet<u64> = model.union(others).copied().collect();
        let now: BTreeSet<u64> = (1..100).filter(|&seq| set.contains(seq)).collect();
        assert!(now.is_superset(model) && now.is_subset(&all));
        let is_more_of_it = others.is_superset(model) && other.range_count() <= limit;
        if is_more_of_it || set.range_count() < limit {
            assert_eq!(now, all);
        }
        *model = now;
    }

    /// Numbers near both ends.
    fn seq() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), 0_u64..4, (u64::MAX - 3)..=u64::MAX]
    }

    proptest! {
        #[test]
        fn it_is_the_set_it_claims_to_be(changes in vec(change(), 0..40)) {
            let mut set = SeqSet::default();
            let mut model = BTreeSet::new();
            for change in changes {
                make(&mut set, &mut model, change);
                for seq in 0..70 {
                    prop_assert_eq!(set.contains(seq), model.contains(&seq));
                }
                for first in 0..20 {
                    prop_assert!(!set.contains_all(first + 1, first));
                    for last in first..20 {
                        prop_assert_eq!(set.contains_all(first, last), (first..=last).all(|seq| model.contains(&seq)));
                    }
                }
                prop_assert_eq!(set.highest(), model.last().copied().unwrap_or(0));
                prop_assert!(!set.contains(set.cumulative() + 1));
                let (cumulative, ranges) = set.to_wire();
                prop_assert_eq!(SeqSet::from_wire(cumulative, &ranges), set.clone());
                let gaps = set.gaps(usize::MAX);
                prop_assert_eq!(set.range_count(), gaps.len());
                prop_assert_eq!(set.highest_gap(), gaps.last().map(|&(_, last)| last));
                let missing: BTreeSet<u64> = gaps.into_iter().flat_map(|(a, b)| a..=b).collect();
                let expected: BTreeSet<u64> = (1..set.highest()).filter(|seq| !model.contains(seq)).collect();
                prop_assert_eq!(missing, expected);
                let flat = |ranges: Vec<(u64, u64)>| -> BTreeSet<u64> {
                    ranges.into_iter().flat_map(|(first, last)| first..=last).collect()
                };
                for first in 0..20 {
                    let end = (first..).take_while(|seq| model.contains(seq)).last();
                    prop_assert_eq!(set.run_end(first), end);
                    let beyond: BTreeSet<u64> = model.range(first + 1..).copied().collect();
                    prop_assert_eq!(flat(set.beyond(first)), beyond);
                    for last in first..20 {
                        let absent = (first.max(1)..=last).filter(|seq| !model.contains(seq));
                        prop_assert_eq!(flat(set.missing_in(first, last)), absent.collect());
                    }
                }
            }
        }

        #[test]
        fn no_wire_form_panics(cumulative in seq(), ranges in vec((seq(), seq()), 0..40)) {
            let ranges: Vec<_> = ranges.into_iter().map(|(first, last)| wire::SeqRange { first, last }).collect();
            let set = SeqSet::from_wire(cumulative, &ranges);
            prop_assert!(set.range_count() <= RECEIPT_RANGES_MAX);
            prop_assert!(!set.contains(u64::MAX));
            let _ = (set.gaps(100), set.highest());
        }
    }

    #[test]
    fn the_highest_number_is_in_no_set() {
        let all = wire::SeqRange {
            first: 1,
            last: u64::MAX,
        };
        assert_eq!(SeqSet::from_wire(7, &[all]), SeqSet::up_to(7));
        assert_eq!(SeqSet::from_wire(u64::MAX, &[]).gaps(1), []);
        assert_eq!(
            SeqSet::from_wire(u64::MAX, &[]),
            SeqSet::up_to(u64::MAX - 1)
        );
    }
}
