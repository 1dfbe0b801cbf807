//! A desktop session as far as a keyring needs one: a D-Bus session bus of its own, and the real
//! GNOME keyring on it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::Process;
use tempfile::TempDir;

/// Nothing here takes this long, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A session bus that starts no services by itself: who answers on it is the test's choice.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=FOLDER</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// Its folder, with the keyring's file, goes with it.
pub(crate) struct Desktop {
    folder: TempDir,
    _bus: Process,
    address: String,
    keyring: Option<Process>,
}

impl Desktop {
    /// Starts a bus; nobody is on it yet.
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("bus.conf");
        let text = BUS.replace("FOLDER", &folder.path().display().to_string());
        fs::write(&config, text)?;
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--print-address", "--config-file"]);
        let mut bus = Process::start(command.arg(&config), &folder.path().join("bus.log"))
            .context("dbus-daemon is missing: install it with `apt-get install dbus`")?;
        let address = bus.line()?;
        Ok(Self {
            folder,
            _bus: bus,
            address,
            keyring: None,
        })
    }

    /// Where the bus is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Starts the keyring and unlocks it. The password of a new one is this.
    pub(crate) fn unlock(&mut self, password: &str) -> Result<()> {
        let file = self.path("password");
        fs::write(&file, password)?;
        self.start_keyring(&format!("--unlock < '{}'", file.display()))
    }

    /// Starts the keyring and leaves it locked.
    pub(crate) fn lock(&mut self) -> Result<()> {
        self.start_keyring("")
    }

    /// Ends the keyring.
    pub(crate) fn end_keyring(&mut self) -> Result<()> {
        self.keyring
            .take()
            .map_or(Ok(()), |mut keyring| keyring.kill())?;
        self.wait_until("nobody has the name", |answer| {
            !answer.contains("collection")
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start_keyring(&mut self, args: &str) -> Result<()> {
        self.end_keyring()?;
        // The shell gives it its stdin, and becomes it.
        let script = format!("exec gnome-keyring-daemon --foreground --components=secrets {args}");
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("HOME", self.folder.path())
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_RUNTIME_DIR", self.folder.path());
        self.keyring = Some(Process::start(&mut command, &self.path("keyring.log"))?);
        self.wait_until(
            "gnome-keyring-daemon answers (`apt-get install gnome-keyring` installs it)",
            |answer| answer.contains("collection/login"),
        )
    }

    /// Asks where new keys go until the answer is as wanted.
    fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let answer = Command::new("dbus-send")
                .arg(format!("--bus={}", self.address))
                .args(["--print-reply", "--dest=org.freedesktop.secrets"])
                .args(["/org/freedesktop/secrets"])
                .arg("org.freedesktop.Secret.Service.ReadAlias")
                .arg("string:default")
                .output()?;
            if wanted(&String::from_utf8_lossy(&answer.stdout)) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not in time: {what}; {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
