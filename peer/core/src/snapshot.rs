//! What a session is rebuilt from after a restart, besides the outbox and the held messages.

use alloc::vec::Vec;
use bytes::Bytes;
use tincan_protocol::ack::SeqSet;

/// One row per conversation, replaced in every transaction that changes it. A protobuf message, so
/// that later versions can add to it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Snapshot {
    /// The next seq to give out.
    #[prost(uint64, tag = "1")]
    pub next_seq: u64,
    /// The last clock stamp given out.
    #[prost(uint64, tag = "2")]
    pub hlc: u64,
    /// What the other side has received of ours.
    #[prost(message, repeated, tag = "3")]
    pub delivered: Vec<RangeRow>,
    /// Up to where the other side has shown ours.
    #[prost(uint64, tag = "4")]
    pub read_by_peer: u64,
    /// Ours that were not delivered in time.
    #[prost(message, repeated, tag = "5")]
    pub failed: Vec<RangeRow>,
    /// What we have received of theirs.
    #[prost(message, repeated, tag = "6")]
    pub received: Vec<RangeRow>,
    /// The next of theirs to take its place in the timeline.
    #[prost(uint64, tag = "7")]
    pub next_shown: u64,
    /// Place of the last of theirs in the timeline.
    #[prost(uint64, tag = "8")]
    pub last_place: u64,
    /// Up to where theirs have been shown to the person.
    #[prost(uint64, tag = "9")]
    pub read_up_to: u64,
    /// Theirs that are missing although later ones are in the timeline.
    #[prost(message, repeated, tag = "10")]
    pub gaps: Vec<GapRow>,
    /// Envelopes that could not be opened and have not been asked for yet.
    #[prost(bytes = "bytes", repeated, tag = "11")]
    pub resend_asks: Vec<Bytes>,
    /// The other side does not know all of `received` and `read_up_to` yet.
    #[prost(bool, tag = "12")]
    pub receipt_pending: bool,
    /// Seqs of ours that the other side misses and that are to be sealed again.
    #[prost(message, repeated, tag = "13")]
    pub resend_wanted: Vec<RangeRow>,
    /// Envelopes of ours that the other side could not open.
    #[prost(bytes = "bytes", repeated, tag = "14")]
    pub resend_ids: Vec<Bytes>,
    /// Theirs up to here are here or at our relay, they say.
    #[prost(uint64, tag = "15")]
    pub announced: u64,
    /// Once ours up to here are stored, the other side is told so; 0 if it need not be.
    #[prost(uint64, tag = "16")]
    pub to_announce: u64,
    /// The other side may have forgotten what was delivered to it.
    #[prost(bool, tag = "17")]
    pub has_begun_anew: bool,
    /// Ours that were delivered to a former life of the other side, which had not shown them as far as we know.
    #[prost(message, repeated, tag = "18")]
    pub not_read: Vec<RangeRow>,
}

/// A range of seqs, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct RangeRow {
    /// First seq.
    #[prost(uint64, tag = "1")]
    pub first: u64,
    /// Last seq.
    #[prost(uint64, tag = "2")]
    pub last: u64,
}

/// Missing messages and where they belong.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct GapRow {
    /// First missing seq.
    #[prost(uint64, tag = "1")]
    pub first: u64,
    /// Last missing seq.
    #[prost(uint64, tag = "2")]
    pub last: u64,
    /// Place in the timeline.
    #[prost(uint64, tag = "3")]
    pub place: u64,
    /// Nobody waits for them: their sender has skipped these numbers. If one comes after all, this is where.
    #[prost(bool, tag = "4")]
    pub skipped: bool,
}

impl Snapshot {
    /// What is delivered, as a set.
    #[must_use]
    pub fn delivered_set(&self) -> SeqSet {
        to_set(&self.delivered)
    }

    /// What has failed, as a set.
    #[must_use]
    pub fn failed_set(&self) -> SeqSet {
        to_set(&self.failed)
    }

    /// Whether the other side has shown an own message, as far as it has said so.
    #[must_use]
    pub fn is_read(&self, seq: u64) -> bool {
        seq <= self.read_by_peer && !to_set(&self.not_read).contains(seq)
    }

    /// The same conversation, whose numbers go on at `next_seq`: whatever this device has called by those before
    /// it, and is not in the outbox, is not sent any more.
    #[must_use]
    pub fn continued_at(self, next_seq: u64) -> Self {
        let mut delivered = self.delivered_set();
        let next_seq = next_seq.max(self.next_seq).max(1);
        // Nothing has these numbers: they count as done.
        delivered.insert_range(self.next_seq.max(1), next_seq - 1);
        Self {
            next_seq,
            delivered: to_rows(&delivered),
            has_begun_anew: self.has_begun_anew || next_seq > 1,
            ..self
        }
    }

    /// What has been received, as a set.
    #[must_use]
    pub fn received_set(&self) -> SeqSet {
        to_set(&self.received)
    }
}

pub(crate) fn to_rows(set: &SeqSet) -> Vec<RangeRow> {
    let start = (set.cumulative() > 0).then_some((1, set.cumulative()));
    start
        .into_iter()
        .chain(set.ranges())
        .map(|(first, last)| RangeRow { first, last })
        .collect()
}

pub(crate) fn to_set(rows: &[RangeRow]) -> SeqSet {
    let mut set = SeqSet::default();
    for row in rows {
        set.insert_range(row.first, row.last);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_come_back_as_they_were() {
        let mut holes = SeqSet::up_to(3);
        holes.insert_range(6, 7);
        holes.insert(9);
        for set in [SeqSet::default(), SeqSet::up_to(1), holes] {
            let rows = to_rows(&set);
            assert_eq!(rows.is_empty(), set == SeqSet::default());
            let snapshot = |rows: Vec<RangeRow>| Snapshot {
                delivered: rows.clone(),
                failed: rows.clone(),
                received: rows,
                ..Snapshot::default()
            };
            let snapshot = snapshot(rows);
            let sets = [
                snapshot.delivered_set(),
                snapshot.failed_set(),
                snapshot.received_set(),
            ];
            assert_eq!(sets, [set.clone(), set.clone(), set]);
        }
    }
}
