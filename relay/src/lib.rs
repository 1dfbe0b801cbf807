//! Store-and-forward relay of Tincan: mailboxes, commit logs, key packages.
//!
//! A message for somebody who is away waits here, sealed: the relay sees queues, sizes and times.
//! It says `Deposited` only when the envelope is on disk, delivers in order to whoever proves the
//! queue's key, and deletes what the reader has acknowledged. [`Relay`] runs alone (the `relay`
//! binary) or inside another server, which mounts [`Relay::router`].
//!
//! Inside: [`mailbox`] is the state machine without I/O, [`store`] what it keeps; a driver task and
//! a store thread carry the two, one task each WebSocket.

mod clock;
pub mod config;
pub mod connection_addrs;
mod driver;
pub mod limits;
pub mod mailbox;
pub mod origin_policy;
mod relay;
mod serve;
pub mod store;
mod store_thread;
mod websocket;

pub use config::RelayConfig;
pub use connection_addrs::ConnectionAddrs;
pub use limits::RelayLimits;
pub use origin_policy::OriginPolicy;
pub use relay::{Readiness, Relay};
pub use serve::serve;
pub use store::OpenError;
