//! What is wanted of a signaling server, and what it says.

mod client;

use tincan_protocol::SignalAddress;
use tincan_protocol::keys::AddressKey;
use tincan_protocol::signal::TurnCredentials;

pub use client::SignalClient;

use super::socket::Lost;

/// What the driver wants of a signaling server.
#[derive(Debug)]
pub enum SignalCommand {
    /// All addresses that should be held there.
    Addresses(Vec<AddressKey>),
    /// All addresses whose presence matters.
    Watch(Vec<SignalAddress>),
    /// A sealed signal for somebody.
    Send {
        /// To whom.
        to: SignalAddress,
        /// The own address that they know.
        from: SignalAddress,
        /// Sealed to their address.
        body: Vec<u8>,
    },
}

/// What a signaling server says.
#[derive(Debug)]
pub enum SignalEvent {
    /// Logged in.
    Up,
    /// There is no connection.
    Down(Lost),
    /// The right to use its TURN server.
    Turn(Option<TurnCredentials>),
    /// A sealed signal.
    Signal {
        /// The own address it was sent to.
        to: SignalAddress,
        /// Who sent it.
        from: SignalAddress,
        /// Sealed to `to`.
        body: Vec<u8>,
    },
    /// Somebody came or went.
    Presence {
        /// Who.
        address: SignalAddress,
        /// Whether they are there.
        online: bool,
    },
}
