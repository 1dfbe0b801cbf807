//! The server from outside: its sockets, its program, its TURN server beside coturn.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod coturn_config;
mod program;
mod signaling;
mod support;
mod turn_uclient;
