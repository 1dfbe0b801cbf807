//! What a relay gives to each queue, connection and batch.
//!
//! Limits that both ends of the wire must agree on stand in [`tincan_protocol::limits`].

use std::ops::RangeInclusive;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// How long a mailbox may keep an envelope. Below the lower end a sender's own limit of 14 days
/// (protocol, "Delivery") would be longer than the relay's patience; above the upper end ciphertext
/// lies around for nobody.
pub const MAILBOX_TTL: RangeInclusive<Duration> =
    Duration::from_hours(14 * 24)..=Duration::from_hours(30 * 24);

/// Limits of one relay. The defaults are those of the protocol.
///
/// Memory: a connection costs at most `outbound_bytes` + 1 MiB of what waits to be sent to it and one
/// frame that is being read (1 MiB), and all connections together `inbound_bytes` + 64 MiB of
/// requests that wait for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayLimits {
    /// Life of an envelope in a mailbox, and of the memory of its id; within [`MAILBOX_TTL`].
    pub mailbox_ttl: Duration,
    /// Envelopes in one mailbox.
    pub mailbox_envelopes: u64,
    /// Bytes of envelopes in one mailbox.
    pub mailbox_bytes: u64,
    /// Life of an entry in a commit log.
    pub log_ttl: Duration,
    /// Entries in one commit log.
    pub log_entries: u64,
    /// Bytes of entries in one commit log. Chosen: 10,000 commits of a large group.
    pub log_bytes: u64,
    /// Connections that may follow one log: each device of a group.
    pub log_readers: usize,
    /// Ids remembered per queue, waiting envelopes included; the oldest is forgotten first. Chosen:
    /// ten full mailboxes, about 1.5 MB of disk. A duplicate that comes later is delivered again
    /// and recognised by the reader.
    pub ids_per_queue: u64,
    /// Envelopes delivered on one subscription and not yet acknowledged.
    pub window_envelopes: usize,
    /// Bytes delivered on one subscription and not yet acknowledged; one envelope always fits.
    pub window_bytes: usize,
    /// Bytes waiting to be written to one connection; above it nothing more is delivered there.
    pub outbound_bytes: usize,
    /// Frames waiting to be written to one connection; above it nothing more is delivered there.
    pub outbound_frames: usize,
    /// Requests of one connection that wait for their answer; above it the socket is not read.
    pub in_flight: usize,
    /// Bytes of requests of all connections that wait for the store; above it no socket is read.
    pub inbound_bytes: usize,
    /// Connections at a time; above it new ones get HTTP 503.
    pub connections: usize,
    /// Keys that one connection may prove, and signatures it may have checked.
    pub keys_per_connection: usize,
    /// How long a write to a connection may make no progress before the connection ends.
    pub write_timeout: Duration,
    /// Operations in one transaction. More makes a sync cheaper per envelope and a batch longer.
    pub batch_operations: usize,
    /// Bytes of envelopes in one transaction.
    pub batch_bytes: usize,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            mailbox_ttl: 30 * DAY,
            mailbox_envelopes: 1_000,
            mailbox_bytes: 32 << 20,
            log_ttl: 90 * DAY,
            log_entries: 10_000,
            log_bytes: 256 << 20,
            log_readers: 64,
            ids_per_queue: 10_000,
            window_envelopes: 64,
            window_bytes: 1 << 20,
            outbound_bytes: 2 << 20,
            outbound_frames: 512,
            in_flight: 64,
            inbound_bytes: 64 << 20,
            connections: 10_000,
            keys_per_connection: 4_096,
            write_timeout: Duration::from_secs(30),
            batch_operations: 1_024,
            batch_bytes: 16 << 20,
        }
    }
}
