//! Limits of the hub and its sessions, each with its reason.

use crate::rate::Rate;

/// Limits for one connection, and what a connection may do to others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubLimits {
    /// Addresses held by one connection: a person uses one for each contact.
    pub addresses: usize,
    /// Addresses watched by one connection.
    pub watches: usize,
    /// Connections that may watch one address, so that one coming and going is a bounded number of
    /// messages.
    pub watchers: usize,
    /// Bytes waiting to be sent to one connection. A connection that would need more is closed: it
    /// does not read.
    pub queue_bytes: usize,
    /// Bytes of the queue that signals may fill. Beyond it the sender is told to wait, so that a
    /// flood of signals costs its sender and not the recipient's connection.
    pub queue_signal_bytes: usize,
    /// Signals from one connection. Making a link takes about 20 to 80.
    pub signals: Rate,
    /// Everything else from one connection; a proof and a watched address count as one each. The
    /// burst lets a connection log in and watch with the most addresses at once.
    pub control: Rate,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            addresses: 1024,
            watches: 1024,
            watchers: 1024,
            queue_bytes: 1024 * 1024,
            queue_signal_bytes: 512 * 1024,
            signals: Rate::new(50, 200),
            control: Rate::new(50, 4096),
        }
    }
}
