//! A child process that dies with its handle.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long an orderly end may take.
const END: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a program with its stderr in a file.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command, stderr: &Path) -> Result<Self> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(stderr)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn();
        let mut child = child.with_context(|| format!("{command:?}"))?;
        let stdout = child.stdout.take().map(BufReader::new);
        Ok(Self { child, stdout })
    }

    /// The next line of its stdout.
    ///
    /// # Errors
    /// If there is none any more.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().context("stdout is taken")?;
        if stdout.read_line(&mut line)? == 0 {
            bail!("the process has ended: {:?}", self.child.wait()?);
        }
        Ok(line.trim_end().to_owned())
    }

    /// Everything that is left of its stdout, until it ends.
    ///
    /// # Errors
    /// If that is no text.
    pub fn rest(&mut self) -> Result<String> {
        let mut text = String::new();
        self.stdout
            .as_mut()
            .context("stdout is taken")?
            .read_to_string(&mut text)?;
        Ok(text)
    }

    /// Its stdout, for somebody who reads it from another thread.
    ///
    /// # Errors
    /// If it was taken before.
    pub fn take_stdout(&mut self) -> Result<BufReader<ChildStdout>> {
        self.stdout.take().context("stdout is taken")
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGSTOP: it does nothing until [`Process::resume`].
    ///
    /// # Errors
    /// If the system refuses.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.context("no process")?, signal)?)
    }

    /// SIGTERM, and waits. Returns the exit code.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn terminate(&mut self) -> Result<Option<i32>> {
        self.ask_to_end()?;
        self.wait(END)
    }

    /// SIGTERM alone.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn ask_to_end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            self.signal(Signal::TERM)?;
        }
        Ok(())
    }

    /// Waits for its end. Returns the exit code.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<i32>> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("process {} does not end", self.child.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
