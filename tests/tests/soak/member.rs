//! Somebody whose profile is run by `peer daemon`.

use anyhow::Result;
use e2e::{Process, Profile};
use tincan_peer::Home;
use tincan_peer::rpc::Client;

use crate::talker::ARENAS;

/// See the module.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) profile: Profile,
    pub(crate) process: Process,
    pub(crate) client: Client,
}

impl Member {
    /// Starts to run it, and waits until it is there.
    pub(crate) async fn start(profile: &Profile) -> Result<Self> {
        let mut command = profile.command(&["-v", "daemon"])?;
        command.env(ARENAS.0, ARENAS.1);
        let mut process = Process::start(&mut command, &profile.home().join("daemon.log"))?;
        process.line()?;
        Ok(Self {
            profile: profile.clone(),
            process,
            client: Client::connect(&Home::at(profile.home())).await?,
        })
    }
}
