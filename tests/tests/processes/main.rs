//! The programs as users run them: real processes, real sockets, real disks. One test program for all of
//! it, since each would link the whole peer again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod anew;
mod backup;
mod bad_input;
mod canary;
mod changes;
mod conversation;
mod coturn;
mod embedding;
mod examples;
mod handover;
mod hostile_signaling;
mod keyring;
mod listen;
mod messages;
mod notifications;
mod offline;
mod python;
mod rpc;
mod screen;
mod servers;
mod shell;
