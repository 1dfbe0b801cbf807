//! Commands that read from stdin, and whose output nobody reads yet.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::peer::{Answer, Profile};

impl Profile {
    /// Runs a command with this on its stdin, and takes its answer, whatever it is.
    ///
    /// # Errors
    /// If the program cannot be run or prints no JSON.
    pub fn answer_to(&self, args: &[&str], input: String) -> Result<Answer> {
        let mut command: Command = self.command(args)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("stdin is taken")?;
        // It may print before it has read everything.
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output()?;
        let written = writer.join();
        if output.status.success() {
            written.ok().context("the writer panicked")??;
        }
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
}
