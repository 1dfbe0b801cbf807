//! What one side of a conversation was told: invariants 3, 5 and 6, as the journal's readers see them.

use std::collections::BTreeMap;

use tincan_protocol::ack::SeqSet;

use crate::tally::Tally;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The last message of the other side that was shown in order.
    pub(super) shown_up_to: u64,
    shown: SeqSet,
    pub(super) gaps: SeqSet,
    /// Messages that were shown after their gap.
    late: u64,
    /// How far own messages have come, see [`rank`].
    states: BTreeMap<u64, u8>,
    pub(super) failed: SeqSet,
}

/// The last of the states.
const READ: u8 = 4;

/// States only move forward: whoever was told that a message is sent is not told any more that it waits, or
/// for another reason. What was given up may still have arrived.
fn rank(state: &str) -> u8 {
    match state {
        "pending" => 0,
        "sent" => 1,
        "failed" => 2,
        "delivered" => 3,
        "read" => READ,
        other => panic!("6: nobody knows the state {other}"),
    }
}

impl Told {
    /// A message of the other side takes its place.
    pub(super) fn shows(&mut self, seq: u64) {
        assert!(self.shown.insert(seq), "3: {seq} is shown twice");
        if seq > self.shown_up_to {
            self.shown_up_to = seq;
        } else {
            self.late += 1;
            assert!(
                self.gaps.contains(seq),
                "5: {seq} is shown after {} without a gap",
                self.shown_up_to
            );
        }
    }

    /// Messages of the other side are missing.
    pub(super) fn misses(&mut self, first: u64, last: u64) {
        assert!(
            last > self.shown_up_to,
            "5: a gap up to {last} is told after {} was shown",
            self.shown_up_to
        );
        self.gaps.insert_range(first, last);
        self.shown_up_to = self.shown_up_to.max(last);
    }

    /// An own message comes further.
    pub(super) fn comes_to(&mut self, seq: u64, state: &str) {
        let rank = rank(state);
        let before = self.states.insert(seq, rank).unwrap_or(0);
        assert!(before <= rank, "6: {seq} goes back to {state}");
        if state == "failed" {
            self.failed.insert(seq);
        }
    }

    pub(super) fn count(&self, tally: &mut Tally) {
        tally.gaps += self.gaps.range_count() as u64;
        tally.late += self.late;
        let failed = self.failed.ranges();
        tally.failed += failed.map(|(first, last)| last - first + 1).sum::<u64>();
        tally.read += self.states.values().filter(|rank| **rank == READ).count() as u64;
    }
}
