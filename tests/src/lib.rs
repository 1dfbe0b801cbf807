//! Real processes for the end-to-end tests, the demo and the benches: servers and peers with
//! temporary homes, driven as a person or a program would drive them.
//!
//! Every process started here dies with its handle.

mod binaries;
mod peer;
mod process;
mod server;

pub use binaries::{Binary, build};
pub use peer::{Answer, Daemon, Profile, link_of, wait_for_link};
pub use process::Process;
pub use server::{RelayServer, ServerOptions, SignalServer};
