//! The crate as its caller sees it: devices that exchange bytes and keep their rows.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests fail as the tests themselves do"
)]

mod fixture;
mod groups;
mod interleaving;
mod key_packages;
mod messages;
mod state;
