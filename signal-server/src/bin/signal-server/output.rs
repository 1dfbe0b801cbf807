//! Everything this program prints: the ready line on stdout, the rest on stderr.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{IsTerminal, Write};
use tincan_signal_server::Server;
use tracing_subscriber::EnvFilter;

use super::args::Args;

/// Starts the log on stderr. The TURN libraries are kept out of it: they name addresses of clients
/// and can be made to write a line for each packet.
pub(crate) fn start_log(verbose: bool) {
    let level = if verbose { "debug" } else { "info" };
    let filter =
        format!("warn,tincan_signal_server={level},tincan_relay={level},signal_server={level}");
    let filter =
        format!("{filter},turn_server_proto=off,turn_types=off,stun_proto=off,stun_types=off");
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // A log that cannot be written must not end the server.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(EnvFilter::new(filter))
        .init();
}

/// Says that the server is ready: programs wait for this one line.
pub(crate) fn announce(args: &Args, server: &Server) -> anyhow::Result<()> {
    let url = format!("http://{}", server.http_addr());
    if args.dev {
        let dialed = args
            .public_url
            .as_ref()
            .map_or_else(|| url.clone(), ToString::to_string);
        let relay = if args.relay {
            format!(" --relay {dialed}")
        } else {
            String::new()
        };
        eprintln!("peer init --server {dialed}{relay}");
    }
    if let Some(turn) = server.turn_addr() {
        tracing::info!("TURN for {turn}");
    }
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on {url}")?;
    Ok(stdout.flush()?)
}

/// One line that says what is wrong.
pub(crate) fn say_error(error: &anyhow::Error) {
    eprintln!("signal-server: {error:#}");
}
