//! Pairs of sessions. One program for all of it, compiled once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod anew;
mod asked;
mod faults;
mod holding;
mod lost;
mod pair;
mod paths;
mod receipts;
mod refused_contents;
mod resend;
mod scenarios;
mod sealing;
