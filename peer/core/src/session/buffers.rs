//! How full the buffers are: for simulations, which hold each against its limit.

use tincan_protocol::limits::ENVELOPE_MAX;

use super::Session;
use crate::config::{
    FAILED_RANGES, GAPS, HELD_BYTES, HELD_MESSAGES, RECEIVED_RANGES, RESEND_ASKS, RESEND_WANTED,
    UNSEALED_BYTES, WINDOW_BYTES, WINDOW_ENVELOPES,
};

/// One buffer of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// What it holds.
    pub what: &'static str,
    /// How much of it.
    pub filled: usize,
    /// And how much at most.
    pub limit: usize,
}

impl Session {
    /// Every buffer that what others do could fill.
    pub fn buffers(&self) -> impl Iterator<Item = Buffer> {
        let (outbox, inbox) = (&self.outbox, &self.inbox);
        let (ids, ranges) = self.wanted.len();
        let all = [
            ("envelopes on their way", outbox.len(), WINDOW_ENVELOPES),
            // The last one that is let in may begin one byte below the limit.
            (
                "bytes on their way",
                outbox.bytes(),
                WINDOW_BYTES + ENVELOPE_MAX,
            ),
            ("bytes to be sealed", self.numbering.bytes(), UNSEALED_BYTES),
            // One more is always taken: the one that is shown next.
            ("messages held back", inbox.held_len(), HELD_MESSAGES + 1),
            // They are let go between calls, each of which brings one envelope.
            (
                "bytes of these in memory",
                inbox.held_bytes(),
                HELD_BYTES + ENVELOPE_MAX,
            ),
            ("gaps", inbox.gaps.len(), GAPS),
            (
                "ranges received",
                inbox.received.range_count(),
                RECEIVED_RANGES,
            ),
            (
                "ranges delivered",
                self.delivered.range_count(),
                RECEIVED_RANGES,
            ),
            ("ranges failed", self.failed.range_count(), FAILED_RANGES),
            ("envelopes to ask for", self.control.asks_len(), RESEND_ASKS),
            ("envelopes to seal again", ids, RESEND_WANTED),
            ("ranges to seal again", ranges, RESEND_WANTED),
        ];
        all.into_iter().map(|(what, filled, limit)| Buffer {
            what,
            filled,
            limit,
        })
    }
}
