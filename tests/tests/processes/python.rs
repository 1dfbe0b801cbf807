//! The Python client: what it is made of, and its echo bot.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Binary, Process, Profile, World};
use serde_json::Value;

/// Lines that a bot may have which only says back what it is told.
const SHORT: usize = 20;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../peer/python")
}

/// Python that finds the client and the `peer` program.
fn python(script: &str) -> Result<Command> {
    let programs = Binary::Peer.path()?;
    let programs = programs.parent().context("no folder")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("python3");
    command
        .env("PYTHONPATH", folder())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
        .arg(folder().join(script));
    Ok(command)
}

#[tokio::test]
async fn the_client_is_made_of_the_schema_that_is_served() -> Result<()> {
    let world = World::start()?;
    let schema = Profile::at(&world.path("none"))
        .command(&["rpc", "--schema"])?
        .output()?;
    let file = world.path("schema.json");
    std::fs::write(&file, schema.stdout)?;
    let check = python("generate.py")?
        .arg("--check")
        .stdin(std::fs::File::open(file)?)
        .stderr(Stdio::piped())
        .output()?;
    ensure!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stderr)
    );
    Ok(())
}

#[tokio::test]
async fn an_echo_bot_in_a_few_lines_answers_also_what_came_while_it_was_dead() -> Result<()> {
    let bot = std::fs::read_to_string(folder().join("examples/echo_bot.py"))?;
    assert!(bot.lines().count() <= SHORT, "{bot}");
    let world = World::start()?;
    let (ann, echo) = (world.profile("ann")?, world.profile("echo")?);
    let start = || -> Result<Process> {
        let mut command = python("examples/echo_bot.py")?;
        Process::start(command.arg(echo.home()), &world.path("bot.log"))
    };
    let mut process = start()?;
    let line = process.line()?;
    let link = line.strip_prefix("link: ").context("no link")?;
    ann.run(&["add", link])?;
    let mut daemon = ann.daemon().await?;
    ann.run(&["send", "echo", "one", "--wait", "read", "--timeout", "60s"])?;
    echoes(&mut daemon, &["one"]).await?;
    process.kill()?;
    // The program that it had started ends with its stdin; what is sent meanwhile waits.
    ann.run(&["send", "echo", "two"])?;
    let mut process = start()?;
    echoes(&mut daemon, &["one", "two"]).await?;
    let answers = daemon
        .call("history", serde_json::json!({"to": "echo"}))
        .await?;
    let answers = answers.as_array().into_iter().flatten();
    let quoted: Vec<&Value> = answers
        .filter(|one| one["outgoing"] == false)
        .map(|one| &one["reply_to"]["text"])
        .collect();
    assert_eq!(quoted, ["one", "two"]);
    process.kill()
}

/// Waits until exactly these have come back.
async fn echoes(daemon: &mut e2e::Daemon, texts: &[&str]) -> Result<()> {
    let waited = async {
        loop {
            let received = daemon.received("echo").await?;
            if received.len() >= texts.len() {
                ensure!(received == texts, "{received:?}");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waited).await?
}
