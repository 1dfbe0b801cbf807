//! The relay from outside: its store, its inside with a disk that fails, its sockets, its program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod durability;
mod model;
mod program;
mod store;
mod support;
mod websocket;
