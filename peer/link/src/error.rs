//! Why a link cannot be started or does not take a frame.

use bytes::Bytes;
use tincan_protocol::limits::FRAME_MAX;
use tincan_protocol::link::LinkError;

use crate::transport::TransportError;

/// Why no link was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkStartError {
    /// The certificate is not for this identity and device, or the offer is not between these
    /// parties: a mistake of the caller.
    #[error("the certificate or the offer does not fit the parties of the link")]
    Parties,
    /// The other side's offer cannot be used.
    #[error("offer: {0}")]
    Offer(LinkError),
    /// The connection could not be made on this machine: no network interface, no file handles, or
    /// a server address that cannot be read.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The runtime is shutting down.
    #[error("the runtime is shutting down")]
    Interrupted,
}

/// The link is down; the frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("link is closed")]
pub struct LinkClosed;

/// Why a frame was not taken at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError {
    /// What was sent before has not left yet.
    #[error("send queue of the link is full")]
    Full(Bytes),
    /// The link is down.
    #[error("link is closed")]
    Closed(Bytes),
    /// The other side would take this for misbehaviour.
    #[error("frame has {len} bytes, at most {FRAME_MAX} are allowed")]
    TooLarge {
        /// Length of the frame, in bytes.
        len: usize,
    },
}
