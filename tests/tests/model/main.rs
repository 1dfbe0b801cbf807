//! A small model of what the protocol promises, searched exhaustively, and tied to the code that
//! keeps the promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says how far it looked"
)]

mod commit_log;
#[path = "../../../peer/core/tests/sessions/pair/disk.rs"]
#[allow(
    dead_code,
    reason = "the store of the core's own tests, of which a part is used here"
)]
mod core_disk;
mod delivery;
mod fair;
mod relay;
#[path = "../../../relay/tests/relays/support/disk.rs"]
#[allow(
    dead_code,
    reason = "the disk of the relay's own tests, of which a part is used here"
)]
mod relay_disk;
mod rules;

/// If this is set, to anything, everything here goes further: minutes instead of seconds.
/// `docs/testing.md` says how far.
const WIDE: &str = "TINCAN_MODEL_WIDE";
