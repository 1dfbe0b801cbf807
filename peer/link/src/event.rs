//! What a link tells its caller.

use tincan_protocol::link::{LinkError, LinkSignal};
use tincan_protocol::wire::{FrameError, Hello, PeerFrame};

/// One event of a link, in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// To be sealed and sent to the other device.
    Signal(LinkSignal),
    /// Both sides are who they should be; frames flow from here on.
    Up {
        /// What the other side said.
        hello: Hello,
        /// Whether the path goes through a TURN server.
        relayed: bool,
    },
    /// `Put`, `Stored` or `Nack`; the link answers the other kinds itself.
    Frame(PeerFrame),
    /// The link is over and everything it held is released. The last event.
    Down {
        /// Why.
        reason: DownReason,
    },
}

/// Why a link is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownReason {
    /// [`LinkHandle::close`](crate::LinkHandle::close), or nobody holds the link any more.
    #[error("closed here: {reason}")]
    ClosedHere {
        /// As given.
        reason: String,
    },
    /// The other side said `Bye`, or ended the connection in order.
    #[error("closed by the other side: {reason}")]
    ClosedByRemote {
        /// As the other side gave it, shortened; empty if it gave none.
        reason: String,
    },
    /// The answer does not hold.
    #[error("answer: {0}")]
    BadAnswer(LinkError),
    /// No connection within the time for it.
    #[error("no connection came about in time")]
    ConnectTimeout,
    /// The certificate of the connection is not the one that the other device signed.
    #[error("the other side shows another certificate than its device signed")]
    WrongCertificate,
    /// The other side did not say `Hello` in time.
    #[error("the other side did not say hello in time")]
    HelloTimeout,
    /// The other side means another offer or answer, or speaks another protocol version.
    #[error("the other side's hello belongs to another handshake")]
    HelloMismatch,
    /// Something was sent that the protocol does not allow here.
    #[error("the other side misbehaves: {what}")]
    Misbehaved {
        /// What it did.
        what: &'static str,
    },
    /// A frame cannot be read.
    #[error("the other side misbehaves: {0}")]
    BadFrame(FrameError),
    /// Nothing was heard for two heartbeats.
    #[error("nothing was heard from the other side for two heartbeats")]
    Silent,
    /// The network path is gone.
    #[error("the network path to the other side is gone")]
    PathLost,
    /// The connection broke on this machine.
    #[error("connection failed: {text}")]
    Transport {
        /// What the transport said.
        text: String,
    },
}
