//! Fuzz targets for everything that takes bytes from outside.
//!
//! A target is a function of bytes that panics if a property does not hold: what is accepted can be
//! written again and is then read as the same; canonical formats come out byte for byte; no limit of
//! [`tincan_protocol::limits`] is passed; no parser allocates far beyond its input; and nothing panics.
//! [`TARGETS`] lists them. Each has a folder `corpus/NAME`: the files `seed-*` are made by [`seeds`] with
//! the real encoders, the others were found by fuzzing.
//!
//! Owns the targets, their seeds and corpora. Does not own libFuzzer and its flags: the program in
//! `libfuzzer/` calls them, and `cargo xtask fuzz` builds it with instrumentation and runs it.
//! `cargo test` replays the corpora.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a target tells by panicking"
)]

pub mod bounded;
pub mod clients;
pub mod core;
pub mod link;
pub mod mls;
pub mod peer;
pub mod protocol;
pub mod script;
pub mod seeds;
pub mod servers;
mod targets;

pub use targets::{TARGETS, Target};
