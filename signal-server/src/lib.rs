//! Signaling server of Tincan with embedded TURN.
//!
//! Three parts that know nothing of each other's insides: the [`hub`] (who holds which signal
//! address, who watches whom: no I/O), HTTP and WebSocket around it, and the TURN server on a
//! thread of its own. [`credentials`] connects them: whoever logs in gets TURN credentials that
//! the TURN server can check without asking. A relay can be served on the same listener.
//!
//! ```no_run
//! # async fn example() -> Result<(), tincan_signal_server::SpawnError> {
//! use tincan_signal_server::{Config, Server};
//!
//! let server = Server::spawn(Config::loopback()).await?;
//! println!("listening on http://{}", server.http_addr());
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod clock;
mod config;
pub mod credentials;
mod driver;
mod http;
pub mod hub;
pub mod rate;
mod server;
mod turn;

pub use config::{Config, SocketLimits, TurnMode};
pub use server::{Server, SpawnError};
pub use turn::{EmbeddedTurn, REALM, TurnError};
#[doc(hidden)]
pub use turn::{Sent, TurnDoor};
