//! What a peer hears from servers, which may be anybody's: its clients, called by hand.

mod relay;
mod signaling;

pub use relay::relay_client;
pub use signaling::signal_client;

/// What the seeds are made with.
pub(crate) mod shared {
    pub(crate) use super::relay::Step as RelayClientStep;
    pub(crate) use super::signaling::Step as SignalClientStep;
}

/// The server that they speak with.
const URL: &str = "https://server.example:8443";

/// Steps of one input.
const STEPS_MAX: usize = 200;
