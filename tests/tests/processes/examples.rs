//! The examples of the library, run as their heads say.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Process, World};

const SOON: Duration = Duration::from_secs(60);

fn example(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    // Tests are in `deps`, beside `examples`.
    let folder = test.ancestors().nth(2).context("no target folder")?;
    let path = folder.join("examples").join(name);
    ensure!(
        path.exists(),
        "{} is not built: cargo build --workspace --examples",
        path.display()
    );
    Ok(path)
}

fn start(world: &World, name: &str, home: &str, more: &[&str]) -> Result<Process> {
    let mut command = Command::new(example(name)?);
    command
        .arg(world.path(home))
        .arg(world.server.url())
        .args(more);
    Process::start(&mut command, &world.path(&format!("{home}.log")))
}

#[test]
fn two_programs_talk() -> Result<()> {
    let world = World::start()?;
    let mut ann = start(&world, "talk", "ann", &[])?;
    let link = ann.line()?;
    let mut bob = start(&world, "talk", "bob", &[&link])?;
    assert_eq!(ann.line()?, "me: hello");
    assert_eq!(bob.line()?, "delivered");
    assert_eq!((ann.wait(SOON)?, bob.wait(SOON)?), (Some(0), Some(0)));
    Ok(())
}

#[test]
fn the_bot_answers_each_message_once_also_after_it_was_killed() -> Result<()> {
    let world = World::start()?;
    let mut bot = start(&world, "echo_bot", "echo", &[])?;
    let link = bot.line()?;
    let ann = world.profile("ann")?;
    ann.run(&["add", &link])?;
    ann.run(&["send", "echo", "one", "--wait", "read", "--timeout", "60s"])?;
    bot.kill()?;
    ann.run(&["send", "echo", "two", "--wait", "sent", "--timeout", "60s"])?;
    let _bot = start(&world, "echo_bot", "echo", &[])?;
    ann.run(&[
        "send",
        "echo",
        "three",
        "--wait",
        "read",
        "--timeout",
        "60s",
    ])?;
    let heard = ann.run(&["listen", "--count", "3", "--timeout", "60s"])?;
    let messages = heard.iter().filter(|one| one["type"] == "message");
    let texts: Vec<&str> = messages.filter_map(|one| one["text"].as_str()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    Ok(())
}
