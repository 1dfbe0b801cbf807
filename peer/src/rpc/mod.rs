//! JSON-RPC 2.0 over a socket that only this user can reach: how one process uses a profile that
//! another one runs. One JSON object a line in both directions; answers come in any order.
//!
//! The methods are the commands ([`methods`]); a face that runs in the same process calls them
//! without the socket, through [`Client`].

mod client;
mod error;
mod lines;
mod method;
pub mod methods;
pub mod objects;
mod openrpc;
mod server;
mod socket;

pub use client::{Client, ConnectError};
#[cfg(feature = "cli")]
pub(crate) use client::{LOOK_AGAIN, SERVING_SOON};
pub use error::RpcError;
#[cfg(feature = "cli")]
pub(crate) use lines::{Answering, serve};
pub use method::Entry;
pub use openrpc::document;
pub use server::{ServeError, Server};

/// A line, bytes. Chosen: a batch of texts at the limit of one turn, in JSON's worst escaping, fits.
pub(crate) const LINE_MAX: usize = 16 * 1024 * 1024;
