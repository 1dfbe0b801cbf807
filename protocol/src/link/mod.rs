//! The handshake of a direct link: signed offers, answers and candidates.
//!
//! A signaling server passes these on and could change them. It cannot sit in the link, because a
//! device signs the certificate fingerprint that its DTLS will show, together with both
//! identities, a nonce and the hash of the SDP. Both sides then say the transcript hash of the two
//! statements in their first frame on the channel.
//!
//! [`Statement`] is the fixed layout that is signed, [`LinkSignal`] the JSON that carries it,
//! [`verify`] the checks in the order that the protocol demands, [`sdp`] and
//! [`candidate`] what is read from an SDP and a candidate.

pub mod candidate;
mod replay;
pub mod sdp;
mod signal;
mod statement;
mod verify;

pub use replay::{SESSION_KEPT_MS, SeenSessions};
pub use signal::{LinkSignal, LinkSignalError, SignedBye, SignedCandidate, SignedDescription};
pub use statement::{Role, Statement, StatementError, Transcript};
pub use verify::{Expected, LinkError, VerifiedDescription, verify};

/// Protocol version carried in statements and `Hello`. A different major version cannot talk to
/// this one.
pub const PROTO_MAJOR: u16 = 1;
/// Grows with every compatible change.
pub const PROTO_MINOR: u16 = 0;
