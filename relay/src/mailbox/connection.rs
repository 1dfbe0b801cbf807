//! What waits to be written to one connection, and its bound.

use std::collections::{BTreeMap, VecDeque};
use tincan_protocol::ids::QueueId;

use super::subscription::SubscriptionId;
use crate::limits::RelayLimits;

/// Frames nobody asked for (deliveries, drained marks) on their way to one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    /// Number of frames.
    pub frames: usize,
    /// Their bytes, with what each costs in memory.
    pub bytes: usize,
}

impl Outbound {
    pub(super) fn add(&mut self, other: Self) {
        self.frames = self.frames.saturating_add(other.frames);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    pub(super) fn subtract(&mut self, other: Self) {
        self.frames = self.frames.saturating_sub(other.frames);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// One connection, for the mailboxes.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// Written by nobody yet, or reserved for a read that is under way.
    outbound: Outbound,
    pub(super) subscriptions: BTreeMap<QueueId, SubscriptionId>,
    /// Subscriptions that go on when the connection has room again, first come first served.
    starved: VecDeque<SubscriptionId>,
}

impl Connection {
    pub(super) fn has_room(&self, limits: &RelayLimits) -> bool {
        self.outbound.frames < limits.outbound_frames && self.outbound.bytes < limits.outbound_bytes
    }

    pub(super) fn occupy(&mut self, part: Outbound) {
        self.outbound.add(part);
    }

    pub(super) fn release(&mut self, part: Outbound) {
        self.outbound.subtract(part);
    }

    pub(super) fn starve(&mut self, subscription: SubscriptionId) {
        if !self.starved.contains(&subscription) {
            self.starved.push_back(subscription);
        }
    }

    /// Who goes on next, if there is room.
    pub(super) fn next_starved(&mut self, limits: &RelayLimits) -> Option<SubscriptionId> {
        if self.has_room(limits) {
            self.starved.pop_front()
        } else {
            None
        }
    }
}
