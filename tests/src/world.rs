//! A signaling server with a relay, and profiles that know each other: what most tests begin with.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::peer::Profile;
use crate::server::{ServerOptions, SignalServer};

/// Set to keep the folders of a test, with the logs of all its processes.
const KEEP: &str = "E2E_KEEP";

/// An acceptance is there within this time, also on a busy machine.
const ACCEPTANCE: Duration = Duration::from_secs(30);

/// See the module. Its folder goes with it.
#[derive(Debug)]
pub struct World {
    /// Signaling, TURN and relay.
    pub server: SignalServer,
    folder: TempDir,
}

impl World {
    /// Starts a server with all it has.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start() -> Result<Self> {
        Self::with(ServerOptions::default())
    }

    /// Starts a server of this kind.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn with(options: ServerOptions) -> Result<Self> {
        let keep = std::env::var_os(KEEP).is_some();
        let folder = tempfile::Builder::new()
            .prefix("tincan-")
            .disable_cleanup(keep)
            .tempdir()?;
        let server = SignalServer::start(&folder.path().join("server"), options)?;
        Ok(Self { server, folder })
    }

    /// A path in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new profile that uses its server and relay.
    ///
    /// # Errors
    /// If `peer init` fails.
    pub fn profile(&self, name: &str) -> Result<Profile> {
        self.profile_with_relay(name, self.server.url())
    }

    /// A new profile with its mailboxes elsewhere.
    ///
    /// # Errors
    /// If `peer init` fails.
    pub fn profile_with_relay(&self, name: &str, relay: &str) -> Result<Profile> {
        Profile::init(&self.path(name), name, self.server.url(), relay)
    }

    /// Ann and bob, who are contacts; no process runs either of them. Nothing was said yet.
    ///
    /// # Errors
    /// If they do not become contacts.
    pub fn ann_and_bob(&self) -> Result<(Profile, Profile)> {
        let (ann, bob) = (self.profile("ann")?, self.profile("bob")?);
        acquaint(&ann, &bob)?;
        Ok((ann, bob))
    }

    /// The same person with another device, which knows nothing but the 24 words.
    ///
    /// # Errors
    /// If `peer init --restore` fails.
    pub fn same_person_elsewhere(&self, who: &Profile, name: &str) -> Result<Profile> {
        who.restore(&self.path(name), name, self.server.url(), self.server.url())
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The first invites the second, by the commands that people type.
///
/// # Errors
/// If they do not become contacts.
pub fn acquaint(host: &Profile, guest: &Profile) -> Result<()> {
    let link = invite(host, 1)?;
    guest.run(&["add", &link])?;
    // The command waits neither until the mailbox has been read nor until the answer is on its way: so both are
    // there again until both know.
    let deadline = Instant::now() + ACCEPTANCE;
    loop {
        let contacts = [host, guest].map(|profile| profile.run(&["contacts"]));
        let [hosts, guests] = contacts;
        let (hosts, guests) = (hosts?, guests?);
        if [&hosts, &guests]
            .iter()
            .all(|list| list.iter().any(is_accepted))
        {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "not accepted: {hosts:?} {guests:?}"
        );
    }
}

/// A link for so many people.
///
/// # Errors
/// If there is none.
pub fn invite(host: &Profile, uses: u32) -> Result<String> {
    let answer = host.run(&["invite", "--uses", &uses.to_string()])?;
    let link = answer.first().and_then(|invite| invite["link"].as_str());
    Ok(link.context("no link")?.to_owned())
}

fn is_accepted(contact: &Value) -> bool {
    contact["standing"] == "accepted"
}
