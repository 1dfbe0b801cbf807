//! Links over the real transport. One program: each would link the whole of it again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure here is a failed test"
)]

mod cycles;
mod hostile;
mod link;
mod support;
mod turn;
mod turn_defect;
