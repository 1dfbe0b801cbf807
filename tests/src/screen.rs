//! The terminal interface in a real terminal: tmux, which a person could attach to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::binaries::Binary;
use crate::peer::NO_BUS;

/// tmux does not tell when a screen changes, so it is looked at so often.
const LOOK: Duration = Duration::from_millis(30);

/// What has to appear does so within this time, also on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// What a program's end leaves on its screen, with its exit code.
const ENDED: &str = "ended with";

/// A tmux server of its own, which ends with its handle.
#[derive(Debug)]
pub struct Tmux {
    socket: PathBuf,
    folder: PathBuf,
    bus: String,
    editor: String,
}

/// A window with one program in it.
#[derive(Debug)]
pub struct Screen<'a> {
    tmux: &'a Tmux,
    name: String,
}

impl Tmux {
    /// With its socket, and the configuration of the programs in it, in this folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            socket: folder.join("tmux"),
            folder: folder.to_owned(),
            bus: NO_BUS.to_owned(),
            editor: "false".to_owned(),
        }
    }

    /// With this editor.
    #[must_use]
    pub fn with_editor(mut self, command: &str) -> Self {
        command.clone_into(&mut self.editor);
        self
    }

    /// With the D-Bus session at this address.
    #[must_use]
    pub fn with_bus(mut self, address: &str) -> Self {
        address.clone_into(&mut self.bus);
        self
    }

    /// Starts `peer` with these arguments on a screen of this size.
    ///
    /// # Errors
    /// If tmux cannot be run.
    pub fn peer(&self, name: &str, size: (u16, u16), args: &[&str]) -> Result<Screen<'_>> {
        let program = Binary::Peer.path()?;
        let (width, height) = (size.0.to_string(), size.1.to_string());
        let quoted: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
        let stderr = self.folder.join(format!("{name}.stderr"));
        // The screen stays when the program has ended, so that what it left there can be seen.
        let line = format!(
            "'{}' {} 2>'{}'; echo {ENDED} $?; exec sleep 3600",
            program.display(),
            quoted.join(" "),
            stderr.display()
        );
        let config = format!("XDG_CONFIG_HOME={}", self.folder.display());
        let bus = format!("DBUS_SESSION_BUS_ADDRESS={}", self.bus);
        let editor = format!("EDITOR={}", self.editor);
        self.run(&[
            "new-session",
            "-d",
            "-s",
            name,
            "-x",
            &width,
            "-y",
            &height,
            "-e",
            &config,
            "-e",
            "USER=",
            "-e",
            &bus,
            "-e",
            &editor,
            "-e",
            "VISUAL=",
            "-e",
            "LANG=C.UTF-8",
            "-e",
            "TZ=UTC",
            &line,
        ])?;
        Ok(Screen {
            tmux: self,
            name: name.to_owned(),
        })
    }

    fn run(&self, args: &[&str]) -> Result<String> {
        let mut tmux = Command::new("tmux");
        let tmux = tmux
            .arg("-u")
            .arg("-f")
            .arg("/dev/null")
            .arg("-S")
            .arg(&self.socket);
        let output = tmux.args(args).output().context("tmux is not installed")?;
        ensure!(
            output.status.success(),
            "tmux {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It may have ended with its last window.
        let _ = self.run(&["kill-server"]);
    }
}

impl Screen<'_> {
    /// What is on it.
    ///
    /// # Errors
    /// If tmux cannot be run.
    pub fn text(&self) -> Result<String> {
        self.tmux.run(&["capture-pane", "-p", "-t", &self.name])
    }

    /// Types a text.
    ///
    /// # Errors
    /// If tmux cannot be run.
    pub fn types(&self, text: &str) -> Result<()> {
        self.tmux
            .run(&["send-keys", "-t", &self.name, "-l", text])?;
        Ok(())
    }

    /// Presses a key, as tmux calls it: `Enter`, `Escape`, `C-k`, `M-a`.
    ///
    /// # Errors
    /// If tmux cannot be run.
    pub fn press(&self, key: &str) -> Result<()> {
        self.tmux.run(&["send-keys", "-t", &self.name, key])?;
        Ok(())
    }

    /// Waits until this is on the screen.
    ///
    /// # Errors
    /// If it does not appear, with what is there instead.
    pub fn shows(&self, text: &str) -> Result<String> {
        self.shows_that(&format!("{text:?}"), |screen| screen.contains(text))
    }

    /// Waits until the screen is like this.
    ///
    /// # Errors
    /// If it does not become so, with what it is instead.
    pub fn shows_that(&self, what: &str, is_so: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + SOON;
        loop {
            let screen = self.text()?;
            if is_so(&screen) {
                return Ok(screen);
            }
            if Instant::now() >= deadline {
                bail!("{} does not show {what}:\n{screen}", self.name);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Another size.
    ///
    /// # Errors
    /// If tmux cannot be run.
    pub fn resize(&self, width: u16, height: u16) -> Result<()> {
        let (width, height) = (width.to_string(), height.to_string());
        self.tmux.run(&[
            "resize-window",
            "-t",
            &self.name,
            "-x",
            &width,
            "-y",
            &height,
        ])?;
        Ok(())
    }

    /// Waits for the program's end; its exit code.
    ///
    /// # Errors
    /// If it does not end.
    pub fn ended(&self) -> Result<i32> {
        let is_code = |line: &str| line.strip_prefix(ENDED).map(str::trim).map(str::to_owned);
        let screen = self.shows_that("the end", |screen| {
            screen.lines().any(|line| is_code(line).is_some())
        })?;
        let code = screen.lines().find_map(is_code).context("no exit code")?;
        Ok(code.parse()?)
    }

    /// Takes the window away.
    ///
    /// # Errors
    /// If tmux cannot be run.
    pub fn close(self) -> Result<()> {
        self.tmux.run(&["kill-session", "-t", &self.name])?;
        Ok(())
    }

    /// The process of the program in it.
    ///
    /// # Errors
    /// If it has none.
    pub fn process(&self) -> Result<u32> {
        let shell = self
            .tmux
            .run(&["display-message", "-p", "-t", &self.name, "#{pane_pid}"])?;
        let shell = shell.trim();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"))?;
        let first = children.split_whitespace().next();
        Ok(first.context("nothing runs there")?.parse()?)
    }
}
