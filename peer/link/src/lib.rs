//! One authenticated direct link between two devices, over a WebRTC data channel.
//!
//! A link owns its connection, its data channel, the gathering and signing of candidates, the
//! check of the answer and of the certificate that the other side really showed, the exchange of
//! `Hello`, the heartbeat and the clean end. It does not own reconnection, glare, the choice of
//! who offers, the dedupe of replayed offers (the caller hands over an offer that it has
//! verified), acknowledgements or storage: that is the peer's work.
//!
//! ```text
//!   caller                       link task                         other device
//!     | offer()                      |                                   |
//!     |<-- Signal(Offer) ------------|                                   |
//!     |  (sealed, signaling server)  |        answer(), Signal(Answer)   |
//!     | handle_signal(Answer) ------>|                                   |
//!     |<-- Signal(Candidate) ... --->|<=== ICE, DTLS, SCTP =============>|
//!     |                              |---- Hello{transcript} ----------->|
//!     |<-- Up -----------------------|<--- Hello{transcript} ------------|
//!     | send(frame) ---------------->|---- Put, Stored, Nack ----------->|
//!     |<-- Frame --------------------|<----------------------------------|
//!     |<-- Down (last event) --------|                                   |
//! ```
//!
//! Invariants:
//!
//! - No frame is taken or handed on before the `Hello` of the other side has been checked, and the
//!   certificate of the connection is the one that its device signed.
//! - Every queue is bounded. A caller that does not read its events stops the link from reading
//!   its channel, which closes the other side's window; a caller that sends faster than the path
//!   waits in [`LinkHandle::send`].
//! - [`LinkEvent::Down`] is the last event, and it comes after the connection has been closed: no
//!   socket and no task is left behind.
//! - No type of the WebRTC crate appears in this crate's interface.

// What needs no I/O is open to the fuzz targets.
#[doc(hidden)]
pub mod candidates;
mod config;
mod descriptions;
mod error;
mod event;
mod handle;
mod opening;
#[doc(hidden)]
pub mod session;
mod stats;
mod task;
mod transport;
mod window;

pub use config::{IcePolicy, IceServer, LinkConfig, Parties};
pub use error::{LinkClosed, LinkStartError, TrySendError};
pub use event::{DownReason, LinkEvent};
pub use handle::LinkHandle;
pub use session::CONNECT_TIMEOUT;
pub use stats::LinkStats;
pub use transport::PATH_LOST_AFTER;
