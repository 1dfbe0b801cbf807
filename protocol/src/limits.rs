//! Every limit of the protocol, with its unit and its reason.
//!
//! Limits of one program alone (queue quotas, timers) stand with the program; what both ends of a
//! wire must agree on stands here.

/// Signaling message, bytes of JSON. An offer of the longest SDP with its signatures and base64
/// fits; a server buffers at most twice as much per connection before it has parsed anything.
pub const SIGNAL_MESSAGE_MAX: usize = 32 * 1024;

/// SDP, bytes. A data-channel offer has about 500, with many candidates below 4 KiB.
pub const SDP_MAX: usize = 16 * 1024;

/// One ICE candidate line, bytes.
pub const CANDIDATE_MAX: usize = 512;

/// ICE candidates of one side in one link session. A host with several interfaces, two address
/// families and a relay has below 20.
pub const CANDIDATES_MAX: u32 = 40;

/// Frame on a data channel, bytes. The default maximum of a WebRTC data-channel message is 65,536
/// (RFC 8841, 6.1); some room is left for framing.
pub const FRAME_MAX: usize = 60 * 1024;

/// An application envelope, bytes: what is left of a frame for the sealed unit.
pub const ENVELOPE_MAX: usize = 56 * 1024;

/// The contents sealed into one envelope, bytes together before encryption: MLS adds below 200
/// bytes and pads to 256.
pub const PAYLOAD_MAX: usize = ENVELOPE_MAX - 1024;

/// Contents in one envelope. Chosen: at 256 the shared costs (encryption, signature, disk sync)
/// are already below a tenth of the whole, and a reader's work per envelope stays bounded.
pub const PAYLOAD_CONTENTS_MAX: usize = 256;

/// Ranges of skipped numbers in one payload.
pub const SKIPPED_RANGES_MAX: usize = 16;

/// A payload with the numbers that are skipped before its contents, bytes: a range takes 22 at most, and what
/// is left of [`ENVELOPE_MAX`] is enough for MLS.
pub const PAYLOAD_SEALED_MAX: usize = PAYLOAD_MAX + 352;

/// The highest number that may be skipped: 2^53 - 1, the largest that every program can read from JSON, and more
/// than anybody ever sends.
pub const SKIPPED_SEQ_MAX: u64 = 9_007_199_254_740_991;

/// A text message, bytes of UTF-8.
pub const TEXT_MAX: usize = 16 * 1024;

/// A reaction, bytes of UTF-8. The longest emoji sequence of Unicode 16 (a kiss between two people with skin
/// tones) has 35.
pub const REACTION_MAX: usize = 64;

/// Longest time after which a message disappears, seconds: 365 days. Chosen: more is as good as staying.
pub const EXPIRES_MAX_S: u32 = 365 * 24 * 3600;

/// A contact request's text, bytes of UTF-8: strangers get little room.
pub const REQUEST_TEXT_MAX: usize = 1024;

/// A name, bytes of UTF-8.
pub const NAME_MAX: usize = 128;

/// A server's URL, bytes.
pub const URL_MAX: usize = 256;

/// URL of a STUN or TURN server, bytes: `turn:`, a DNS name of 253 (RFC 1035, 2.3.4), a port and a
/// transport. No URL that is valid is longer.
pub const TURN_URL_MAX: usize = 278;

/// STUN and TURN URLs of one signaling server that a link uses. Each may cost a question to a
/// resolver and an allocation for each address family. An embedded server names two.
pub const TURN_URLS_MAX: usize = 8;

/// Signaling servers named in an invite or a `Reach`.
pub const SIGNAL_SERVERS_MAX: usize = 3;

/// An invite link, bytes of text. A QR code holds up to 2,953.
pub const INVITE_MAX: usize = 2048;

/// MLS Welcome or commit, bytes; these go through the relay only. 64 devices with the hybrid
/// suite stay below a third of it.
pub const HANDSHAKE_MAX: usize = 1024 * 1024;

/// A relay request or reply, bytes: the largest payload plus its frame.
pub const RELAY_MESSAGE_MAX: usize = HANDSHAKE_MAX + 1024;

/// An MLS key package, bytes. The hybrid suite's has 2,641.
pub const KEY_PACKAGE_MAX: usize = 8 * 1024;

/// Single-use key packages of one owner at a relay.
pub const KEY_PACKAGES_MAX: usize = 20;

/// Ranges beyond the cumulative seq in one receipt.
pub const RECEIPT_RANGES_MAX: usize = 32;

/// Envelope ids and ranges in one `Resend`.
pub const RESEND_MAX: usize = 32;

/// Envelope ids in one `Stored` frame: 64 are in flight at most.
pub const STORED_MAX: usize = 64;

/// Group states in one `Hello`: the groups of one conversation between two people.
pub const HELLO_GROUPS_MAX: usize = 8;

/// Signed offers and answers are taken if their clock is at most this far from ours, milliseconds.
pub const LINK_CLOCK_SKEW_MS: u64 = 120 * 1000;

/// A login at a signaling server or relay must follow the challenge within this time, milliseconds.
pub const LOGIN_TIMEOUT_MS: u64 = 30 * 1000;

/// Addresses or queues proved in one login. A desktop with more contacts logs in in several steps.
pub const LOGIN_PROOFS_MAX: usize = 100;
