//! What the servers read.

mod hub;
mod names;
mod relay;
mod turn;
mod turn_client;

pub use hub::signal_session;
pub use names::{host_header, turn_username};
pub use relay::relay_session;
pub use turn::turn;

/// What the seeds are made with.
pub(crate) mod shared {
    pub(crate) use super::hub::Step as HubStep;
    pub(crate) use super::relay::Step as RelayStep;
    pub(crate) use super::turn::Step as TurnStep;
}
