//! Everybody: three people who all know each other, their relay and their signaling server.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{Profile, RelayServer, ServerOptions, SignalServer, acquaint, quiet_address};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;
use tincan_peer::Home;
use tincan_peer::rpc::Client;
use tokio::time::Instant;

use crate::news::News;
use crate::plan::VICTIMS;
use crate::victim::{Peer, Runs, START, Victim};
use crate::writer::Writer;

/// Those of [`VICTIMS`] who write.
pub(crate) const PEOPLE: [&str; 3] = [VICTIMS[0], VICTIMS[1], VICTIMS[2]];

/// Set to keep the folder.
const KEEP: &str = "E2E_KEEP";

/// See the module.
#[derive(Debug)]
pub(crate) struct Town {
    /// As in [`VICTIMS`].
    pub(crate) victims: Vec<Victim>,
    /// What everybody's program tells, as in [`PEOPLE`].
    pub(crate) news: Vec<News>,
    /// All six directions.
    pub(crate) writers: Vec<Writer>,
    _folder: TempDir,
}

impl Town {
    /// Starts the servers and makes everybody known to everybody.
    pub(crate) fn build() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("tincan-")
            .disable_cleanup(std::env::var_os(KEEP).is_some())
            .tempdir()?;
        let options = ServerOptions {
            listen: Some(quiet_address()?),
            without_relay: true,
            ..ServerOptions::default()
        };
        let signal = SignalServer::start(&folder.path().join("signal"), options)?;
        let relay = RelayServer::start_at(&folder.path().join("relay"), &quiet_address()?)?;
        let profiles = PEOPLE.map(|name| {
            let home = folder.path().join(name);
            Profile::init(&home, name, signal.url(), relay.url())
        });
        let profiles: Vec<Profile> = profiles.into_iter().collect::<Result<_>>()?;
        for (host, guest) in [(0, 1), (0, 2), (1, 2)] {
            acquaint(&profiles[host], &profiles[guest])?;
        }
        let people = profiles.into_iter().map(Peer::new);
        let people = people.map(|peer| Victim::Peer(Box::new(peer)));
        let servers = [Victim::Relay(relay), Victim::Signal(signal)];
        Ok(Self {
            victims: people.chain(servers).collect(),
            news: Vec::new(),
            writers: Vec::new(),
            _folder: folder,
        })
    }

    /// All begin to run, to read and to write.
    pub(crate) async fn begin(&mut self, seed: u64) -> Result<()> {
        let mut random = StdRng::seed_from_u64(seed);
        for victim in &mut self.victims[..PEOPLE.len()] {
            victim.start(Runs::Daemon).await?;
        }
        let profiles: Vec<Profile> = self.people().map(|peer| peer.profile.clone()).collect();
        for profile in &profiles {
            self.news.push(News::spawn(profile).await?);
        }
        for (profile, from) in profiles.iter().zip(PEOPLE) {
            for to in PEOPLE.into_iter().filter(|to| *to != from) {
                let writer = Writer::spawn(profile, from, to, random.random());
                self.writers.push(writer);
            }
        }
        Ok(())
    }

    pub(crate) fn people(&self) -> impl Iterator<Item = &Peer> {
        self.victims.iter().filter_map(|victim| match victim {
            Victim::Peer(peer) => Some(&**peer),
            _ => None,
        })
    }

    /// What somebody's program has told.
    pub(crate) fn news_of(&self, name: &str) -> Result<&News> {
        let place = PEOPLE.iter().position(|known| *known == name);
        place
            .and_then(|place| self.news.get(place))
            .context("nobody of that name")
    }
}

/// Connects to whatever process runs a profile, as soon as one does.
pub(crate) async fn connect(profile: &Profile) -> Result<Client> {
    let deadline = Instant::now() + START;
    let home = Home::at(profile.home());
    loop {
        match Client::connect(&home).await {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("{}", home.path().display()));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
