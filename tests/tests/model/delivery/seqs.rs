//! A set of sequence numbers from 1 to 8, as one byte: what `tincan_protocol::ack::SeqSet` is there.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seqs(u8);

impl Seqs {
    pub(crate) fn from_range(first: u8, last: u8) -> Self {
        (first..=last).fold(Self::default(), |set, seq| set.with(seq))
    }

    pub(crate) const fn with(self, seq: u8) -> Self {
        Self(self.0 | 1 << (seq - 1))
    }

    pub(crate) const fn has(self, seq: u8) -> bool {
        self.0 & (1 << (seq - 1)) != 0
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (1..=8).filter(move |&seq| self.has(seq))
    }

    /// The highest seq below which nothing is missing.
    pub(crate) const fn cumulative(self) -> u8 {
        self.0.trailing_ones() as u8
    }

    pub(crate) const fn highest(self) -> u8 {
        8 - self.0.leading_zeros() as u8
    }

    /// What is missing below the highest one, as ranges.
    pub(crate) fn gaps(self) -> Vec<(u8, u8)> {
        let mut gaps: Vec<(u8, u8)> = Vec::new();
        for seq in (1..self.highest()).filter(|&seq| !self.has(seq)) {
            match gaps.last_mut() {
                Some((_, last)) if *last + 1 == seq => *last = seq,
                _ => gaps.push((seq, seq)),
            }
        }
        gaps
    }
}
