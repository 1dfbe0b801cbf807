//! The peer's connections to servers: one task per server, each hanging on a handle that ends it.
//!
//! A task connects, proves what it must, passes what comes in to the driver, and when the
//! connection is lost starts over after a jittered wait. It keeps no message: what was not answered
//! is the session's to send again.

mod reconnect;
pub(crate) mod relay;
pub(crate) mod signal;
mod socket;

pub(crate) use relay::{DepositTag, OwnQueue, RelayCommand, RelayEvent, RelayHandle};
pub(crate) use signal::{SignalCommand, SignalEvent, SignalHandle};
