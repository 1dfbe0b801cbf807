//! The peer's connections: one task per server, each hanging on a handle that ends it, and the tasks of
//! direct links.
//!
//! What is said to a server, and what its words mean, is decided without a socket: [`RelayClient`]
//! and [`SignalClient`]. Their task connects, passes what comes in to them and what they tell to the
//! driver, and starts over after a jittered wait when the connection is lost. It keeps no message:
//! what was not answered is the session's to send again.

mod client;
mod counted;
mod handle;
mod link;
mod network;
mod own_address;
mod reconnect;
mod relay;
mod server_address;
mod signaling;
mod socket;
mod turn_servers;

#[cfg(feature = "tui")]
use tincan_protocol::limits::SIGNAL_MESSAGE_MAX;
#[cfg(feature = "tui")]
use tincan_protocol::origin::ServerUrl;

pub use client::{Client, ClientOutput, Frame};
pub use handle::Dial;
pub(crate) use network::Network;
pub use reconnect::{RETRY_FIRST, RETRY_LONGEST, STABLE};
pub use relay::{DepositTag, OwnQueue, RelayClient, RelayCommand, RelayEvent};
pub use signaling::{SignalClient, SignalCommand, SignalEvent};
pub use socket::{DEAD_AFTER, Lost, PING_AFTER};

/// Whether a signaling server of one's own answers; if not, why.
#[cfg(feature = "tui")]
pub(crate) async fn look_for(server: &ServerUrl) -> Result<(), Lost> {
    let dial = Dial {
        server: server.clone(),
        own: std::sync::Arc::from([server.clone()]),
    };
    let endpoint = <SignalClient as Client>::ENDPOINT;
    socket::connect(&dial, endpoint, SIGNAL_MESSAGE_MAX)
        .await
        .map(drop)
}
