//! The servers, as real processes on loopback.

use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::binaries::Binary;
use crate::network::command_in;
use crate::process::Process;

/// Above the ports of well-known services, below those of connections that go out.
const QUIET_PORTS: Range<u16> = 20_000..32_000;

/// Of finding a free port.
const ATTEMPTS: usize = 100;

/// How a signaling server is started.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// `127.0.0.1:0` unless it shall be an earlier one's.
    pub listen: Option<String>,
    /// The network namespace it runs in, as a public server there: with addresses of its own, and not
    /// for development.
    pub namespace: Option<String>,
    /// Without the relay.
    pub without_relay: bool,
    /// Further arguments.
    pub args: Vec<String>,
}

/// A `signal-server` process.
#[derive(Debug)]
pub struct SignalServer {
    process: Process,
    url: String,
    data: PathBuf,
    options: ServerOptions,
}

impl SignalServer {
    /// Starts one, with embedded TURN and a relay, and waits until it listens. Its data and log go
    /// to `folder`.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(folder: &Path, options: ServerOptions) -> Result<Self> {
        let data = folder.to_owned();
        std::fs::create_dir_all(&data)?;
        let mut process = Self::spawn(&data, &options)?;
        let url = listening(&mut process)?;
        Ok(Self {
            process,
            url,
            data,
            options,
        })
    }

    fn spawn(data: &Path, options: &ServerOptions) -> Result<Process> {
        let namespace = options.namespace.as_deref();
        let mut command = command_in(namespace, &Binary::SignalServer.path()?);
        let listen = options.listen.as_deref().unwrap_or("127.0.0.1:0");
        command.args(["-v", "--listen", listen]);
        if namespace.is_none() {
            command.arg("--dev");
        }
        if !options.without_relay {
            command.arg("--relay").arg("--data").arg(data.join("relay"));
        }
        command.args(&options.args);
        Process::start(&mut command, &data.join("server.log"))
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The process.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts it again, at the same address and with the same data.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.begin_restart()?;
        listening(&mut self.process)?;
        Ok(())
    }

    /// The same without waiting until it listens.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn begin_restart(&mut self) -> Result<()> {
        let address = self.url.strip_prefix("http://").context("url")?.to_owned();
        let options = ServerOptions {
            listen: Some(address),
            ..self.options.clone()
        };
        self.process = Self::spawn(&self.data, &options)?;
        Ok(())
    }
}

/// A `relay` process.
#[derive(Debug)]
pub struct RelayServer {
    process: Process,
    url: String,
    data: PathBuf,
}

impl RelayServer {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::start_at(folder, "127.0.0.1:0")
    }

    /// Starts one at this address and waits until it listens.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start_at(folder: &Path, listen: &str) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut process = Self::spawn(folder, listen)?;
        let url = listening(&mut process)?;
        Ok(Self {
            process,
            url,
            data: folder.to_owned(),
        })
    }

    fn spawn(data: &Path, listen: &str) -> Result<Process> {
        let mut command = Command::new(Binary::Relay.path()?);
        command
            .args(["-v", "--listen", listen, "--data"])
            .arg(data.join("relay"));
        Process::start(&mut command, &data.join("relay.log"))
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The process.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts it again, at the same address and with the same data.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn restart(&mut self) -> Result<()> {
        self.begin_restart()?;
        listening(&mut self.process)?;
        Ok(())
    }

    /// The same without waiting until it listens.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn begin_restart(&mut self) -> Result<()> {
        let address = self.url.strip_prefix("http://").context("url")?;
        self.process = Self::spawn(&self.data, address)?;
        Ok(())
    }

    /// Kills it and starts it again with nothing of what it had.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn restart_empty(&mut self) -> Result<()> {
        self.process.kill()?;
        std::fs::remove_dir_all(self.data.join("relay"))?;
        self.restart()
    }
}

/// An address on loopback for a server that is down now and then: no connection that goes out takes its
/// port meanwhile, because those have higher ones (Linux: `ip_local_port_range` begins at 32768).
///
/// # Errors
/// If no port is free.
pub fn quiet_address() -> Result<String> {
    for _ in 0..ATTEMPTS {
        let address = format!("127.0.0.1:{}", rand::random_range(QUIET_PORTS));
        if TcpListener::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port within {QUIET_PORTS:?}")
}

fn listening(process: &mut Process) -> Result<String> {
    let line = process.line()?;
    let url = line
        .strip_prefix("listening on ")
        .with_context(|| format!("unexpected: {line}"))?;
    Ok(url.to_owned())
}
