//! Processes that are killed and started again: a peer, however its profile is run, and the servers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{Process, Profile, RelayServer, SignalServer, thread_is_at_work};
use tokio::time::Instant;

use crate::shown::{Life, Listener};
use crate::town::connect;

/// How a profile is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    /// By `peer daemon`.
    Daemon,
    /// By `peer listen`.
    Listen,
    /// By `peer daemon`, with a `peer listen` that is attached to it.
    DaemonAndListen,
}

/// Whoever is started answers within this time, also with a long history on a busy machine.
pub(crate) const START: Duration = Duration::from_secs(60);

/// Whoever is told to end has ended within this time.
const END: Duration = Duration::from_secs(30);

const LOOK: Duration = Duration::from_millis(5);

/// Somebody who dies.
#[derive(Debug)]
pub(crate) enum Victim {
    Peer(Box<Peer>),
    Relay(RelayServer),
    Signal(SignalServer),
}

/// A profile and the processes that run it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) profile: Profile,
    daemon: Option<Process>,
    listener: Option<Listener>,
    /// Of its listeners.
    pub(crate) lives: Vec<Life>,
}

impl Victim {
    /// Starts it, and waits until it answers. Returns how long that took.
    pub(crate) async fn start(&mut self, runs: Runs) -> Result<Duration> {
        let began = Instant::now();
        self.begin(runs)?;
        match self {
            Self::Peer(peer) => {
                connect(&peer.profile).await?;
                let took = began.elapsed();
                if runs == Runs::DaemonAndListen {
                    peer.listen()?;
                }
                return Ok(took);
            }
            Self::Relay(relay) => answers(relay.url(), began).await?,
            Self::Signal(signal) => answers(signal.url(), began).await?,
        }
        Ok(began.elapsed())
    }

    /// Starts it without waiting.
    pub(crate) fn begin(&mut self, runs: Runs) -> Result<()> {
        match self {
            Self::Peer(peer) if runs == Runs::Listen => peer.listen(),
            Self::Peer(peer) => peer.run(),
            Self::Relay(relay) => relay.begin_restart(),
            Self::Signal(signal) => signal.begin_restart(),
        }
    }

    /// Kills it; of a listener and its daemon the one or the other lives on for a while.
    pub(crate) async fn kill(&mut self, takeover: Option<Duration>) -> Result<()> {
        match self {
            Self::Peer(peer) => peer.kill(takeover).await,
            Self::Relay(relay) => relay.process().kill(),
            Self::Signal(signal) => signal.process().kill(),
        }
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn end(&mut self) -> Result<()> {
        match self {
            Self::Peer(peer) => peer.end().await,
            Self::Relay(relay) => end(relay.process()).await.map(|_| ()),
            Self::Signal(signal) => end(signal.process()).await.map(|_| ()),
        }
    }

    /// Fails if it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        for process in self.processes() {
            let ended = process.has_ended()?;
            ensure!(ended.is_none(), "it has ended by itself: {ended:?}");
        }
        Ok(())
    }

    /// Whether the thread that has its database computes or waits for the disk.
    pub(crate) fn is_at_work(&mut self) -> bool {
        let thread = match self {
            Self::Peer(_) => "tincan-driver",
            Self::Relay(_) => "relay-store",
            Self::Signal(_) => return false,
        };
        let processes = self.processes();
        processes
            .into_iter()
            .any(|process| thread_is_at_work(process.id(), thread).unwrap_or(false))
    }

    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        match self {
            Self::Peer(peer) => vec![peer.log("daemon"), peer.log("listen")],
            Self::Relay(relay) => vec![relay.data().join("relay.log")],
            Self::Signal(signal) => vec![signal.data().join("server.log")],
        }
    }

    fn processes(&mut self) -> Vec<&mut Process> {
        match self {
            Self::Peer(peer) => {
                let listener = peer.listener.as_mut().map(|listener| &mut listener.process);
                peer.daemon.iter_mut().chain(listener).collect()
            }
            Self::Relay(relay) => vec![relay.process()],
            Self::Signal(signal) => vec![signal.process()],
        }
    }
}

impl Peer {
    pub(crate) const fn new(profile: Profile) -> Self {
        Self {
            profile,
            daemon: None,
            listener: None,
            lives: Vec::new(),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.profile.home().join(format!("{name}.log"))
    }

    fn run(&mut self) -> Result<()> {
        let mut command = self.profile.command(&["-v", "daemon"])?;
        self.daemon = Some(Process::start(&mut command, &self.log("daemon"))?);
        Ok(())
    }

    fn listen(&mut self) -> Result<()> {
        self.listener = Some(Listener::start(&self.profile, &[], &self.log("listen"))?);
        Ok(())
    }

    async fn kill(&mut self, takeover: Option<Duration>) -> Result<()> {
        if let Some(takeover) = takeover.filter(|_| self.listener.is_some())
            && let Some(mut daemon) = self.daemon.take()
        {
            daemon.kill()?;
            tokio::time::sleep(takeover).await;
        }
        if let Some(mut listener) = self.listener.take() {
            listener.process.kill()?;
            self.lives.push(listener.printed(false)?);
        }
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<()> {
        if let Some(mut listener) = self.listener.take() {
            let in_order = end(&mut listener.process).await?;
            self.lives.push(listener.printed(in_order)?);
        }
        if let Some(mut daemon) = self.daemon.take() {
            end(&mut daemon).await?;
        }
        Ok(())
    }

    /// Runs a listener for a moment, who prints what nobody has printed yet.
    pub(crate) async fn listen_for(&mut self, time: &str) -> Result<()> {
        let args = ["--timeout", time];
        let mut listener = Listener::start(&self.profile, &args, &self.log("listen"))?;
        let code = ended(&mut listener.process).await?;
        ensure!(code == Some(0), "listen ends with {code:?}");
        self.lives.push(listener.printed(true)?);
        Ok(())
    }
}

/// Tells a process to end. False if it had not yet taken care of what happens then, and was killed by
/// the signal.
async fn end(process: &mut Process) -> Result<bool> {
    process.ask_to_end()?;
    match ended(process).await? {
        Some(0) => Ok(true),
        None => Ok(false),
        code => bail!("told to end, it ends with {code:?}"),
    }
}

async fn ended(process: &mut Process) -> Result<Option<i32>> {
    let deadline = Instant::now() + END;
    loop {
        if let Some(status) = process.has_ended()? {
            return Ok(status.code());
        }
        ensure!(Instant::now() < deadline, "does not end");
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until a server takes connections.
async fn answers(url: &str, began: Instant) -> Result<()> {
    let address = url.strip_prefix("http://").context("url")?;
    while tokio::net::TcpStream::connect(address).await.is_err() {
        ensure!(began.elapsed() < START, "{url} does not answer");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
