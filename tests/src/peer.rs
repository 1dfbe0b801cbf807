//! Peers: profiles in temporary homes, commands on them, and daemons that run them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tincan_peer::Home;
use tincan_peer::rpc::Client;
use tokio::time::Instant;

use crate::binaries::Binary;
use crate::network::command_in;
use crate::process::Process;

/// The keyring of whoever runs the tests is not theirs to use.
pub(crate) const NO_BUS: &str = "disabled:";

/// A profile.
#[derive(Clone, Debug)]
pub struct Profile {
    home: PathBuf,
    args: Vec<String>,
    bus: String,
    namespace: Option<String>,
    /// The 24 words, if it was made here.
    phrase: String,
}

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Exit code.
    pub code: Option<i32>,
    /// The JSON objects on stdout.
    pub objects: Vec<Value>,
    /// Everything on stderr.
    pub stderr: String,
}

impl Profile {
    /// The profile in this folder, whether there is one yet or not.
    #[must_use]
    pub fn at(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            args: Vec::new(),
            bus: NO_BUS.to_owned(),
            namespace: None,
            phrase: String::new(),
        }
    }

    /// Makes a profile by `peer init`, with its key in clear.
    ///
    /// # Errors
    /// If the command fails.
    pub fn init(home: &Path, name: &str, server: &str, relay: &str) -> Result<Self> {
        let mut profile = Self::at(home);
        let made = profile.run(&init_args(name, server, relay))?;
        let phrase = made.first().and_then(|one| one["phrase"].as_str());
        phrase.context("no words")?.clone_into(&mut profile.phrase);
        Ok(profile)
    }

    /// The same person with another device, which knows nothing but the 24 words.
    ///
    /// # Errors
    /// If the command fails.
    pub fn restore(&self, home: &Path, name: &str, server: &str, relay: &str) -> Result<Self> {
        let profile = Self {
            home: home.to_owned(),
            ..self.clone()
        };
        let args = [&init_args(name, server, relay)[..], &["--restore"]].concat();
        let mut init = profile.command(&args)?;
        init.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = init.spawn()?;
        let stdin = child.stdin.take();
        stdin
            .context("no stdin")?
            .write_all(self.phrase.as_bytes())?;
        let status = child.wait()?;
        anyhow::ensure!(status.success(), "init --restore: {status}");
        Ok(profile)
    }

    /// The same profile, with further arguments on every command.
    #[must_use]
    pub fn with_args(&self, args: &[&str]) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Self {
            args,
            ..self.clone()
        }
    }

    /// The same profile, with the D-Bus session at this address.
    #[must_use]
    pub fn with_bus(&self, address: &str) -> Self {
        Self {
            bus: address.to_owned(),
            ..self.clone()
        }
    }

    /// The same profile, with all its commands in this network namespace.
    #[must_use]
    pub fn in_namespace(&self, name: &str) -> Self {
        Self {
            namespace: Some(name.to_owned()),
            ..self.clone()
        }
    }

    /// Its folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A command on it, with `--json`.
    ///
    /// # Errors
    /// If the program is not built.
    pub fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = command_in(self.namespace.as_deref(), &Binary::Peer.path()?);
        command
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus)
            .arg("--home")
            .arg(&self.home)
            .arg("--json")
            .args(&self.args)
            .args(args);
        Ok(command)
    }

    /// Runs a command and takes its answer, whatever it is.
    ///
    /// # Errors
    /// If the program cannot be run or prints no JSON.
    pub fn answer(&self, args: &[&str]) -> Result<Answer> {
        let output = self.command(args)?.stdin(Stdio::null()).output()?;
        let stdout = String::from_utf8(output.stdout)?;
        let objects = stdout
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>();
        Ok(Answer {
            code: output.status.code(),
            objects: objects.with_context(|| stdout.clone())?,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub fn run(&self, args: &[&str]) -> Result<Vec<Value>> {
        let answer = self.answer(args)?;
        if answer.code != Some(0) {
            bail!(
                "peer {args:?} ended with {:?}: {:?} {}",
                answer.code,
                answer.objects,
                answer.stderr
            );
        }
        Ok(answer.objects)
    }

    /// Starts a daemon on it, and waits until it is there.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn daemon(&self) -> Result<Daemon> {
        let mut command = self.command(&["-vv", "daemon"])?;
        let mut process = Process::start(&mut command, &self.home.join("daemon.log"))?;
        process.line()?;
        let client = Client::connect(&Home::at(&self.home)).await?;
        Ok(Daemon {
            process,
            client,
            profile: self.clone(),
        })
    }
}

/// A running profile with a connection to its socket.
#[derive(Debug)]
pub struct Daemon {
    /// The process.
    pub process: Process,
    client: Client,
    profile: Profile,
}

impl Daemon {
    /// Calls a method.
    ///
    /// # Errors
    /// The method's error.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        Ok(self.client.call(method, params).await?)
    }

    /// A second connection, for calls that run at the same time.
    ///
    /// # Errors
    /// If the daemon is gone.
    pub async fn another_client(&self) -> Result<Client> {
        Ok(Client::connect(&Home::at(self.profile.home())).await?)
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// The profile it runs.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Texts of all messages received from a contact, in the order of the conversation.
    ///
    /// # Errors
    /// The method's error.
    pub async fn received(&mut self, contact: &str) -> Result<Vec<String>> {
        let params = json!({"to": contact, "limit": 10_000_000});
        let history = self.call("history", params).await?;
        let received = history.as_array().into_iter().flatten();
        let received = received.filter(|message| message["outgoing"] == false);
        Ok(received
            .filter_map(|message| message["text"].as_str().map(str::to_owned))
            .collect())
    }
}

fn init_args<'a>(name: &'a str, server: &'a str, relay: &'a str) -> [&'a str; 8] {
    [
        "--no-keyring",
        "init",
        "--name",
        name,
        "--server",
        server,
        "--relay",
        relay,
    ]
}

/// How a contact is linked now: `none`, `connecting`, `direct` or `turn`.
///
/// # Errors
/// The method's error.
pub async fn link_of(daemon: &mut Daemon, contact: &str) -> Result<String> {
    let status = daemon.call("status", json!({})).await?;
    let contacts = status["contacts"].as_array().into_iter().flatten();
    let link = contacts.into_iter().find(|known| known["name"] == contact);
    Ok(link
        .and_then(|known| known["link"].as_str())
        .unwrap_or("none")
        .to_owned())
}

/// Waits until a contact is linked in this way.
///
/// # Errors
/// If that does not happen in time.
pub async fn wait_for_link(
    daemon: &mut Daemon,
    contact: &str,
    link: &str,
    limit: Duration,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let now = link_of(daemon, contact).await?;
        if now == link {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("no {link} link to {contact} in time; it is {now}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
