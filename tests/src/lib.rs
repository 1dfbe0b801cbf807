//! Real processes for the end-to-end tests, the demo and the benches: servers and peers with
//! temporary homes, driven as a person or a program would drive them.
//!
//! Every process started here dies with its handle.

mod binaries;
mod journal;
pub mod network;
mod peer;
mod process;
mod screen;
mod server;
mod states;
mod typed;
mod usage;
mod world;

pub use binaries::{Binary, build};
pub use journal::Journal;
pub use peer::{Answer, Daemon, Profile, link_of, wait_for_link};
pub use process::Process;
pub use screen::{Screen, Tmux};
pub use server::{RelayServer, ServerOptions, SignalServer, quiet_address};
pub use states::{States, exchange, ids, numbered, send_each};
pub use usage::{Usage, thread_is_at_work};
pub use world::{World, acquaint, invite};
