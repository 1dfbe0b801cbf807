//! Somebody whose profile is run by `peer listen`, and whose lines are checked as they come.

use std::io::BufRead as _;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, ensure};
use e2e::{Process, Profile};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Duration, timeout};

/// Bytes of a text: a short message.
const TEXT: usize = 200;

/// The first messages of each side are longer: so many, of so many bytes. Together they are more than the
/// pages that a database keeps in memory, one page each, so that these are full of them.
pub(crate) const LONG: usize = 3_000;
pub(crate) const LONG_TEXT: usize = 3_000;

/// One arena in a peer that is measured (mallopt(3); where malloc is not glibc's nobody reads it). With more
/// of them memory grows by what each arena keeps for itself, which depends on which thread frees what:
/// measured, by up to 2,430 KiB from the first to the last third of the short form, and by up to 1,250 with
/// one.
pub(crate) const ARENAS: (&str, &str) = ("MALLOC_ARENA_MAX", "1");

/// See the module.
#[derive(Debug)]
pub(crate) struct Talker {
    pub(crate) profile: Profile,
    pub(crate) process: Process,
    /// How many messages it has printed.
    printed: watch::Receiver<usize>,
    reader: Option<JoinHandle<Result<()>>>,
}

impl Talker {
    /// Starts to listen.
    pub(crate) fn start(profile: &Profile) -> Result<Self> {
        let mut command = profile.command(&["-v", "listen"])?;
        command.env(ARENAS.0, ARENAS.1);
        let mut process = Process::start(&mut command, &profile.home().join("listen.log"))?;
        let mut stdout = process.take_stdout()?;
        let (sender, printed) = watch::channel(0);
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while stdout.read_line(&mut line)? > 0 {
                let message: Value = serde_json::from_str(&line)?;
                let number = *sender.borrow();
                let expected = text(number);
                ensure!(
                    message["text"] == *expected,
                    "instead of message {number} it prints {line}"
                );
                sender.send_replace(number + 1);
                line.clear();
            }
            Ok(())
        });
        Ok(Self {
            profile: profile.clone(),
            process,
            printed,
            reader: Some(reader),
        })
    }

    /// Sends the messages with these numbers, until all are stored elsewhere.
    pub(crate) async fn send(&self, to: &str, numbers: std::ops::Range<usize>) -> Result<()> {
        send(&self.profile, to, numbers.map(text).collect(), "sent").await
    }

    /// Waits until it has printed so many messages, all of them in their order.
    pub(crate) async fn has_printed(&mut self, count: usize, limit: Duration) -> Result<()> {
        let printed = self.printed.wait_for(|printed| *printed >= count);
        let in_time = timeout(limit, printed).await.map(|result| result.is_ok());
        if in_time == Ok(true) {
            return Ok(());
        }
        let printed = *self.printed.borrow();
        if in_time == Ok(false) {
            let reader = self.reader.take().context("the reader is gone")?;
            reader.join().ok().context("the reader panicked")??;
        }
        anyhow::bail!("of {count} messages {printed} were printed")
    }
}

/// Sends texts through a `peer send`, until all have come so far.
pub(crate) async fn send(
    profile: &Profile,
    to: &str,
    texts: Vec<String>,
    until: &'static str,
) -> Result<()> {
    let (profile, to) = (profile.clone(), to.to_owned());
    let sending = move || {
        let args = ["send", &to, "-", "--wait", until, "--timeout", "300s"];
        profile.answer_to(&args, texts.join("\n"))
    };
    let answer = tokio::task::spawn_blocking(sending).await??;
    ensure!(
        answer.code == Some(0),
        "send ends with {:?}: {:?} {}",
        answer.code,
        answer.objects.last(),
        answer.stderr
    );
    Ok(())
}

/// The text of a message.
pub(crate) fn text(number: usize) -> String {
    let len = if number < LONG { LONG_TEXT } else { TEXT };
    format!("{:.<len$}", format!("{number} "))
}
