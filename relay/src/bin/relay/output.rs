//! What the program says: one line on stdout when it is ready, everything else on stderr.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one place that prints"
)]

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// The line that tells a starter that the relay is ready, and where.
pub(crate) fn listening(address: SocketAddr) {
    println!("listening on http://{address}");
}

/// One line: what went wrong, and what to do.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("relay: {error:#}");
}

/// Logs go to stderr. They name no addresses and no content; so the libraries below, which would at
/// their finer levels, are heard from warnings up only.
pub(crate) fn log_to_stderr(is_verbose: bool) {
    let level = if is_verbose {
        LevelFilter::DEBUG
    } else {
        LevelFilter::WARN
    };
    let targets = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("relay", level)
        .with_target("tincan_relay", level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // A log that cannot be written must not end the relay.
        .log_internal_errors(false);
    tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .init();
}
