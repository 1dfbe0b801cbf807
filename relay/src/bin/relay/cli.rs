//! The command line, and the environment behind it.

use clap::Parser;
use clap::builder::BoolishValueParser;
use std::net::SocketAddr;
use std::path::PathBuf;
use tincan_protocol::origin::ServerUrl;

/// Store-and-forward relay of Tincan: keeps sealed messages for peers that are away.
#[derive(Debug, Parser)]
#[command(name = "relay", version)]
pub(crate) struct Cli {
    /// Where to listen: IP and port; port 0 takes a free one. [default: 0.0.0.0:8444, with --dev
    /// 127.0.0.1:0]
    #[arg(long, env = "RELAY_LISTEN", value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    /// Folder of the database; made if it is missing. [default: relay-data, with --dev a temporary
    /// one]
    #[arg(long, env = "RELAY_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The URL that clients use. Without it the relay serves only clients that dial its own IP
    /// address.
    #[arg(long, env = "RELAY_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<ServerUrl>,

    /// For trying things out: loopback, a temporary folder, debug logs.
    #[arg(long, env = "RELAY_DEV", value_parser = BoolishValueParser::new())]
    pub(crate) dev: bool,

    /// More logs on stderr.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
