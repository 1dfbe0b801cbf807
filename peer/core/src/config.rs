//! What can be set, and the bounds of every buffer.

use core::time::Duration;

/// Envelopes on their way at once. With 512 KiB they keep a 50 ms path busy at 10 MB/s.
pub const WINDOW_ENVELOPES: usize = 64;

/// Bytes of envelopes on their way at once; also what the session keeps in memory of the outbox.
pub const WINDOW_BYTES: usize = 512 * 1024;

/// Contents that wait to be sealed, bytes. The caller seals after each batch, so this only bounds
/// one batch.
pub const UNSEALED_BYTES: usize = 4 * 1024 * 1024;

/// Messages held back for order. Their bodies are on disk; memory holds 24 bytes for each. Chosen
/// above what 64 envelopes in flight can carry, so that an honest sender whose first envelope takes
/// the slow path never overflows it.
pub const HELD_MESSAGES: usize = 64 * 256;

/// Bodies of held messages that stay in memory, bytes; beyond it they are read back from disk.
pub const HELD_BYTES: usize = 2 * 1024 * 1024;

/// Ranges of received seqs beyond the cumulative one. An honest sender makes at most one per
/// envelope in flight; contents that would need more are dropped and asked for again.
pub const RECEIVED_RANGES: usize = 256;

/// Ranges of own seqs that have failed: as many as what was delivered can lie between, and as many for a clock
/// that was set back, which lets later messages fail before earlier ones.
pub const FAILED_RANGES: usize = 2 * RECEIVED_RANGES;

/// Unreadable envelopes remembered until they have been asked for again.
pub const RESEND_ASKS: usize = 256;

/// Envelopes sealed again in one interval (see [`Config::resend_interval`]): sealing costs us more
/// than asking costs the other side. At 0.15 ms each this is at most 4 % of a core.
pub const RESEND_ENVELOPES: usize = 64;

/// Envelope ids, and ranges of seqs, that the other side has asked for and that wait to be sealed
/// again. An honest reader asks for no more ids than were in flight, and again for what it misses.
pub const RESEND_WANTED: usize = 256;

/// Envelopes in an hour that cannot be opened any more, are remembered and asked for. Whoever delivers
/// them needs no key to make them: beyond it they leave no trace.
pub const UNREADABLE_PER_HOUR: u32 = 1_024;

/// Contents whose fingerprints are remembered. Chosen: more than can be in flight, so that every honest
/// retransmission and its original fall inside.
pub const RECENT_CONTENTS: usize = 64 * 256;

/// Gaps shown at once; further ones wait until these are filled.
pub const GAPS: usize = 256;

/// Messages given up in one pass.
pub const EXPIRE_ENVELOPES: usize = 64;

/// Timers of a session. The defaults are the protocol's; tests shorten some.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Without any `Stored` on a live link for this long, what is in flight goes to the relay as
    /// well.
    pub direct_patience: Duration,
    /// Receipts wait this long for company.
    pub receipt_delay: Duration,
    /// A missing message holds back later ones at least this long.
    pub gap_patience: Duration,
    /// And at most this long, if the mailbox cannot be read to its end.
    pub gap_limit: Duration,
    /// A missing message is asked for after this time, if the mailbox is read to its end: longer
    /// than two paths are apart, much shorter than what comes after it is held back.
    pub ask_patience: Duration,
    /// First wait between two questions for envelopes that could not be opened; it doubles, because
    /// anybody on the way can provoke such questions, and each one moves our ratchet on.
    pub unreadable_ask_min: Duration,
    /// Longest wait between two of them; after a pause of this length they begin anew.
    pub unreadable_ask_max: Duration,
    /// First wait before missing messages are asked for again; it doubles.
    pub ask_again_min: Duration,
    /// Longest wait before they are asked for again.
    pub ask_again_max: Duration,
    /// First wait after a refused deposit; it doubles.
    pub deposit_backoff_min: Duration,
    /// Longest wait between two deposits of one envelope.
    pub deposit_backoff_max: Duration,
    /// The other side's "busy" holds an envelope back this long.
    pub busy_delay: Duration,
    /// At most [`RESEND_ENVELOPES`] are sealed again in this time.
    pub resend_interval: Duration,
    /// A message that is not delivered within this time has failed, milliseconds of wall clock.
    pub expiry_ms: u64,
    /// How often expired messages are looked for.
    pub expiry_check: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            direct_patience: Duration::from_secs(2),
            receipt_delay: Duration::from_millis(500),
            gap_patience: Duration::from_secs(2),
            gap_limit: Duration::from_secs(30),
            ask_patience: Duration::from_millis(300),
            unreadable_ask_min: Duration::from_secs(1),
            unreadable_ask_max: Duration::from_secs(10 * 60),
            ask_again_min: Duration::from_secs(60),
            ask_again_max: Duration::from_secs(24 * 3600),
            deposit_backoff_min: Duration::from_secs(1),
            deposit_backoff_max: Duration::from_secs(5 * 60),
            busy_delay: Duration::from_secs(1),
            resend_interval: Duration::from_millis(250),
            expiry_ms: 14 * 24 * 3600 * 1000,
            expiry_check: Duration::from_secs(3600),
        }
    }
}
