//! One network namespace: made with a name that says whose it is, gone with its handle.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Where `ip` keeps the names.
const NAMES: &str = "/run/netns";

/// Begins every name; the process that made the namespace comes next.
const PREFIX: &str = "tincan-";

/// Makes the names of one process differ.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// See the module.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

/// Whether this user may make namespaces at all: root only. What root lacks is an error when the
/// first one is made, and no reason to leave anything out.
#[must_use]
pub fn may_be_made() -> bool {
    geteuid().is_root()
}

impl Namespace {
    /// A new one with nothing in it but its loopback.
    ///
    /// # Errors
    /// If the system refuses, or `ip` is missing.
    pub fn new(role: &str) -> Result<Self> {
        static STALE: Once = Once::new();
        STALE.call_once(remove_stale);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{role}", std::process::id());
        finish(Command::new("ip").args(["netns", "add", &name]), "")?;
        let namespace = Self { name };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Its name, for `ip netns exec`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Joins two of them by a cable. Each end is the name of an interface to be and its address.
    ///
    /// # Errors
    /// If `ip` does not like it.
    pub fn join(one: (&Self, &str, &str), other: (&Self, &str, &str)) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["link", "add", one.1, "netns", &one.0.name, "type", "veth"]);
        command.args(["peer", "name", other.1, "netns", &other.0.name]);
        finish(&mut command, "")?;
        for (namespace, interface, address) in [one, other] {
            namespace.ip(&format!("addr add {address} dev {interface}"))?;
            namespace.ip(&format!("link set {interface} up"))?;
        }
        Ok(())
    }

    /// `ip` in it.
    ///
    /// # Errors
    /// If that fails.
    pub fn ip(&self, args: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]);
        finish(command.args(args.split_whitespace()), "")
    }

    /// `tc` in it.
    ///
    /// # Errors
    /// If that fails.
    pub fn tc(&self, args: &str) -> Result<()> {
        let mut command = Command::new("tc");
        command.args(["-n", &self.name]);
        finish(command.args(args.split_whitespace()), "")
    }

    /// Adds rules of iptables, in the form of `iptables-save`.
    ///
    /// # Errors
    /// If there is something wrong with them, or iptables is missing.
    pub fn add_rules(&self, rules: &str) -> Result<()> {
        let mut command = command_in(Some(&self.name), Path::new("iptables-restore"));
        finish(command.arg("--noflush"), rules)
    }

    /// Has it pass packets on between its interfaces.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn forward(&self) -> Result<()> {
        let mut command = command_in(Some(&self.name), Path::new("sh"));
        finish(
            command.args(["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]),
            "",
        )
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// A command in a namespace, or where this program is.
#[must_use]
pub(crate) fn command_in(namespace: Option<&str>, program: &Path) -> Command {
    let Some(namespace) = namespace else {
        return Command::new(program);
    };
    // `ip` becomes the program, so that the process that is started is the one that is meant.
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

/// Runs a command that must succeed, with this on its stdin.
fn finish(command: &mut Command, input: &str) -> Result<()> {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child
        .with_context(|| format!("{command:?}: install the Debian packages iproute2, iptables"))?;
    let mut stdin = child.stdin.take().context("stdin is taken")?;
    // One that ends without reading says why.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let Output { status, stderr, .. } = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "{command:?}: {status}: {stderr} {input}");
    Ok(())
}

fn remove(name: &str) {
    // Nobody is there to be told.
    let _ = Command::new("ip").args(["netns", "del", name]).output();
}

/// A test that was killed has left its namespaces, and maybe processes in them.
fn remove_stale() {
    let entries = std::fs::read_dir(NAMES).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(PREFIX);
        let maker = maker.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        let is_stale = |maker| !Path::new(&format!("/proc/{maker}")).exists();
        if maker.is_some_and(is_stale) {
            inhabitants(&name).for_each(|process| {
                // It may end by itself.
                let _ = kill_process(process, Signal::KILL);
            });
            remove(&name);
        }
    }
}

fn inhabitants(name: &str) -> impl Iterator<Item = Pid> {
    let output = Command::new("ip").args(["netns", "pids", name]).output();
    let stdout = output.map(|output| output.stdout).unwrap_or_default();
    let numbers: Vec<i32> = String::from_utf8_lossy(&stdout)
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    numbers.into_iter().filter_map(Pid::from_raw)
}
