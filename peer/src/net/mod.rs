//! The peer's connections to servers: one task per server, each hanging on a handle that ends it.
//!
//! A task connects, proves what it must, passes what comes in to the driver, and when the
//! connection is lost starts over after a jittered wait. It keeps no message: what was not answered
//! is the session's to send again.

mod handle;
mod own_address;
mod reconnect;
mod relay;
mod server_address;
mod signal;
mod socket;

pub(crate) use handle::{Dial, ServerHandle};
pub(crate) use relay::{DepositTag, OwnQueue, RelayCommand, RelayEvent, spawn as spawn_relay};
pub(crate) use signal::{SignalCommand, SignalEvent, spawn as spawn_signal};
pub(crate) use socket::Lost;
