//! What has happened in a schedule: a search that never meets something proves nothing about it.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use crate::links::Disturbance;

/// Counts, over one schedule or many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Things that went on.
    pub(crate) transitions: u64,
    pub(crate) texts: u64,
    /// Processes that died between two operations of one turn.
    pub(crate) peers_killed_in_a_turn: u64,
    pub(crate) relays_killed_at_work: u64,
    pub(crate) lost_relays: u64,
    /// Processes that died while they began.
    pub(crate) killed_at_start: u64,
    pub(crate) signaling_crashes: u64,
    /// Processes that ended in order.
    pub(crate) ended: u64,
    /// Frames and commands that found a full queue.
    pub(crate) full_queues: u64,
    /// Who was accepted by somebody who had to be asked.
    pub(crate) accepted: u64,
    /// Who could not reach whom.
    pub(crate) partitions: u64,
    /// Frames on links.
    pub(crate) lost_frames: u64,
    pub(crate) repeated_frames: u64,
    pub(crate) swapped_frames: u64,
    pub(crate) changed_frames: u64,
    pub(crate) set_clocks: u64,
    /// Who became contacts.
    pub(crate) friends: u64,
    /// Turns that failed because the disk was full.
    pub(crate) full_disks: u64,
    pub(crate) broken_links: u64,
    /// Buffers that were full after a turn.
    pub(crate) full_buffers: u64,
    /// The most that each held, as far as it was written down.
    pub(crate) buffers: BTreeMap<&'static str, usize>,
    /// Gaps that somebody was shown.
    pub(crate) gaps: u64,
    /// Messages that came after their gap.
    pub(crate) late: u64,
    /// Messages that were given up.
    pub(crate) failed: u64,
    /// Messages whose sender was told that they are read.
    pub(crate) read: u64,
}

impl Tally {
    /// A buffer holds so much.
    pub(crate) fn holds(&mut self, what: &'static str, filled: usize) {
        let most = self.buffers.entry(what).or_default();
        *most = filled.max(*most);
    }

    /// Where such frames are counted.
    pub(crate) fn disturbed(&mut self, how: Disturbance) -> &mut u64 {
        match how {
            Disturbance::Lose => &mut self.lost_frames,
            Disturbance::Repeat => &mut self.repeated_frames,
            Disturbance::Swap => &mut self.swapped_frames,
            Disturbance::Flip => &mut self.changed_frames,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.transitions += other.transitions;
        self.texts += other.texts;
        self.peers_killed_in_a_turn += other.peers_killed_in_a_turn;
        self.relays_killed_at_work += other.relays_killed_at_work;
        self.lost_relays += other.lost_relays;
        self.killed_at_start += other.killed_at_start;
        self.signaling_crashes += other.signaling_crashes;
        self.ended += other.ended;
        self.full_queues += other.full_queues;
        self.accepted += other.accepted;
        self.partitions += other.partitions;
        self.lost_frames += other.lost_frames;
        self.repeated_frames += other.repeated_frames;
        self.swapped_frames += other.swapped_frames;
        self.changed_frames += other.changed_frames;
        self.set_clocks += other.set_clocks;
        self.friends += other.friends;
        self.full_disks += other.full_disks;
        self.broken_links += other.broken_links;
        self.full_buffers += other.full_buffers;
        for (what, filled) in other.buffers {
            self.holds(what, filled);
        }
        self.gaps += other.gaps;
        self.late += other.late;
        self.failed += other.failed;
        self.read += other.read;
    }
}
