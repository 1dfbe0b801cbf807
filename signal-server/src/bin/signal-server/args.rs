//! The command line, and the configuration it makes.

use anyhow::{Context, anyhow, bail};
use clap::Parser;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::turn_url::TurnUrl;
use tincan_relay::RelayConfig;
use tincan_signal_server::credentials::TurnSecret;
use tincan_signal_server::{Config, EmbeddedTurn, TurnMode};

/// The relay's database within the data folder.
const RELAY_FILE: &str = "relay.redb";

/// Signaling server of Tincan with embedded TURN, and a relay with --relay
#[derive(Debug, Parser)]
#[command(name = "signal-server", version, max_term_width = 100)]
pub(crate) struct Args {
    /// Address for HTTP and WebSocket; port 0 takes any free one [default: 0.0.0.0:8443; with --dev 127.0.0.1:0]
    #[arg(long, value_name = "IP:PORT", env = "SIGNAL_SERVER_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,

    /// URL that clients use, if it is not the address itself: needed behind a proxy or with a name
    #[arg(long, value_name = "URL", env = "SIGNAL_SERVER_PUBLIC_URL")]
    pub(crate) public_url: Option<ServerUrl>,

    /// Address for TURN and STUN (UDP) [default: 0.0.0.0:3478; with --dev 127.0.0.1:0]
    #[arg(long, value_name = "IP:PORT", env = "SIGNAL_SERVER_TURN_LISTEN")]
    turn_listen: Option<SocketAddr>,

    /// Address that TURN clients reach this host at, if --turn-listen does not name it
    #[arg(long, value_name = "IP", env = "SIGNAL_SERVER_TURN_PUBLIC_IP")]
    turn_public_ip: Option<IpAddr>,

    /// UDP ports of TURN relays; the firewall has to let them in
    #[arg(long, value_name = "LOW-HIGH", default_value = "49152-65535", value_parser = ports, env = "SIGNAL_SERVER_TURN_PORTS")]
    turn_ports: RangeInclusive<u16>,

    /// File with the secret that signs TURN credentials [default: a new one at each start]
    #[arg(long, value_name = "FILE", env = "SIGNAL_SERVER_TURN_SECRET_FILE")]
    turn_secret_file: Option<PathBuf>,

    /// No embedded TURN
    #[arg(long, env = "SIGNAL_SERVER_NO_TURN")]
    no_turn: bool,

    /// turn: or stun: URL of an external TURN server that has the same secret; may be repeated
    #[arg(long = "turn-url", value_name = "URL", requires_all = ["no_turn", "turn_secret_file"],
          value_delimiter = ',', value_parser = turn_url, env = "SIGNAL_SERVER_TURN_URLS")]
    turn_urls: Vec<String>,

    /// Serve a relay on the same address
    #[arg(long, env = "SIGNAL_SERVER_RELAY")]
    pub(crate) relay: bool,

    /// Folder for the relay's data; with --dev a temporary one by default
    #[arg(long, value_name = "DIR", env = "SIGNAL_SERVER_DATA")]
    data: Option<PathBuf>,

    /// For development: loopback, free ports, temporary data, TURN to loopback
    #[arg(long, env = "SIGNAL_SERVER_DEV")]
    pub(crate) dev: bool,

    /// Log more
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

impl Args {
    /// The folder for temporary data, if some is needed.
    pub(crate) fn temporary_data(&self) -> std::io::Result<Option<TempDir>> {
        let needed = self.dev && self.relay && self.data.is_none();
        needed
            .then(|| tempfile::Builder::new().prefix("tincan-dev-").tempdir())
            .transpose()
    }

    /// The server's configuration.
    pub(crate) fn config(&self, temporary: Option<&TempDir>) -> anyhow::Result<Config> {
        let mut config = Config::new(self.listen.unwrap_or_else(|| self.default_address(8443)));
        config.public_url = self.public_url.clone();
        config.turn = self.turn()?;
        if self.relay {
            let data = self.data.as_deref().or(temporary.map(TempDir::path));
            config.relay = Some(self.relay_config(data)?);
        }
        Ok(config)
    }

    fn default_address(&self, port: u16) -> SocketAddr {
        match self.dev {
            true => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            false => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        }
    }

    fn turn(&self) -> anyhow::Result<TurnMode> {
        let secret = self
            .turn_secret_file
            .as_deref()
            .map(read_secret)
            .transpose()?;
        if self.no_turn {
            return Ok(match secret {
                Some(secret) if !self.turn_urls.is_empty() => TurnMode::External {
                    urls: self.turn_urls.clone(),
                    secret,
                },
                _ => TurnMode::Off,
            });
        }
        let mut turn = EmbeddedTurn::new(
            self.turn_listen
                .unwrap_or_else(|| self.default_address(3478)),
        );
        turn.public_ip = self.turn_public_ip;
        turn.relay_ports = self.turn_ports.clone();
        turn.allow_loopback = self.dev;
        Ok(TurnMode::Embedded {
            turn,
            secret: secret.unwrap_or_else(TurnSecret::random),
        })
    }

    fn relay_config(&self, data: Option<&Path>) -> anyhow::Result<RelayConfig> {
        let data = data.ok_or_else(|| {
            anyhow!("--relay needs a folder for its data; give one with --data DIR")
        })?;
        std::fs::create_dir_all(data).with_context(|| {
            format!(
                "cannot make the folder {}; choose another with --data",
                data.display()
            )
        })?;
        let mut config = RelayConfig::new(data.join(RELAY_FILE));
        config.public_url = self.public_url.clone();
        Ok(config)
    }
}

fn read_secret(file: &Path) -> anyhow::Result<TurnSecret> {
    let text = std::fs::read_to_string(file).with_context(|| {
        format!(
            "cannot read the TURN secret {}; check --turn-secret-file",
            file.display()
        )
    })?;
    TurnSecret::from_text(&text).ok_or_else(|| {
        anyhow!(
            "the TURN secret in {} is too short; make one with: openssl rand -hex 32",
            file.display()
        )
    })
}

fn ports(text: &str) -> anyhow::Result<RangeInclusive<u16>> {
    let (low, high) = text
        .split_once('-')
        .context("two ports are needed, like 49152-65535")?;
    let (low, high) = (low.parse::<u16>()?, high.parse::<u16>()?);
    if low == 0 || low > high {
        bail!("the first port must be at least 1 and not above the second");
    }
    Ok(low..=high)
}

fn turn_url(text: &str) -> anyhow::Result<String> {
    let url: TurnUrl = text.parse()?;
    if !url.is_udp() {
        bail!("peers reach TURN servers by UDP only so far; leave ?transport=tcp out");
    }
    Ok(text.to_owned())
}
