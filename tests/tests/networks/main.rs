//! Real networks: two peers behind NATs of every kind, on bad lines and on lines that fail, with the
//! relay and TURN of a public server. What they find is compared with the tables of
//! `docs/connectivity.md`, and so is how long it took.
//!
//! Each test builds an Internet of network namespaces, which only root may. For anybody else they say
//! so and test nothing.
#![allow(
    clippy::print_stderr,
    clippy::panic,
    reason = "a failure here is a failed test"
)]

mod bad_lines;
mod before_link;
mod outages;
mod pairs;
mod path;
mod table;
mod talk;
mod timeline;

/// True, with a word about it, where no network can be made.
fn is_left_out() -> bool {
    let left_out = !e2e::network::may_be_made();
    if left_out {
        eprintln!("left out: network namespaces need root");
    }
    left_out
}
