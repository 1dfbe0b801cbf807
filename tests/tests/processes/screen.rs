//! Two people at two terminals, with what the README and the screen tell them.

use anyhow::{Context as _, Result, ensure};
use e2e::{Profile, Screen, Tmux, World};
use rustix::process::{Pid, Signal, kill_process};

const SIZE: (u16, u16) = (100, 30);

/// Makes a profile by what the first run asks; it ends with an invite on the screen.
fn first_run<'a>(tmux: &'a Tmux, world: &World, name: &str) -> Result<Screen<'a>> {
    let home = world.path(name).display().to_string();
    let screen = tmux.peer(name, SIZE, &["--home", &home, "--no-keyring"])?;
    screen.shows("What do you call yourself?")?;
    screen.types(name)?;
    screen.press("Enter")?;
    screen.shows("The URL of your server")?;
    screen.types(world.server.url())?;
    screen.press("Enter")?;
    let words = screen.shows("24 words")?;
    ensure!(words.contains("24 "), "{words}");
    screen.press("Enter")?;
    screen.shows("tincan:")?;
    Ok(screen)
}

fn again<'a>(tmux: &'a Tmux, world: &World, name: &str, size: (u16, u16)) -> Result<Screen<'a>> {
    let home = world.path(name).display().to_string();
    tmux.peer(name, size, &["--home", &home])
}

/// As somebody would copy it from the box.
fn link_on(screen: &str) -> String {
    let rows = screen
        .lines()
        .filter_map(|line| line.split('│').rev().nth(1));
    let rows = rows.skip_while(|row| !row.starts_with("tincan:"));
    let rows = rows.take_while(|row| !row.trim().is_empty());
    rows.map(str::trim_end).collect()
}

/// The digits of the safety number.
fn digits_on(screen: &str) -> Vec<String> {
    let words = screen.split_whitespace();
    let groups =
        words.filter(|word| word.len() == 5 && word.bytes().all(|byte| byte.is_ascii_digit()));
    groups.map(str::to_owned).collect()
}

/// The line of the conversation in which this stands.
fn line_with<'a>(screen: &'a str, text: &str) -> Option<&'a str> {
    let line = screen.lines().find(|line| line.contains(text))?;
    line.split_once('│').map(|(_, line)| line)
}

#[tokio::test]
async fn two_people_meet_verify_each_other_and_talk_also_while_one_is_away() -> Result<()> {
    let world = World::start()?;
    let tmux = Tmux::new(world.folder());
    let ann = first_run(&tmux, &world, "ann")?;
    let bob = first_run(&tmux, &world, "bob")?;
    let link = link_on(&ann.text()?);
    bob.press("Escape")?;
    bob.shows("/invite makes a link")?;
    // More keys at once than are dealt with between two pictures: none may get lost.
    bob.types(&format!("/add {link}"))?;
    bob.press("Enter")?;
    ann.shows("bob is your contact now")?;
    bob.shows("● ann")?;

    for (screen, other) in [(&ann, "bob"), (&bob, "ann")] {
        screen.press("C-k")?;
        screen.shows("Find a conversation")?;
        screen.types(other)?;
        screen.press("Enter")?;
        screen.shows("not verified")?;
    }
    ann.types("hello bob \u{1f44b} \u{4f60}\u{597d}")?;
    ann.press("Enter")?;
    bob.shows("hello bob \u{1f44b} \u{4f60}\u{597d}")?;
    bob.types("hi")?;
    bob.press("Enter")?;
    ann.shows("   hi")?;
    ann.shows_that("that it was delivered", |screen| {
        line_with(screen, "hello bob").is_some_and(|line| line.starts_with("✓✓ "))
    })?;

    ann.press("M-v")?;
    bob.press("M-v")?;
    let numbers = [
        ann.shows("is not verified.")?,
        bob.shows("is not verified.")?,
    ]
    .map(|screen| digits_on(&screen));
    assert_eq!(numbers[0].len(), 12, "{numbers:?}");
    assert_eq!(numbers[0], numbers[1]);
    ann.types("c")?;
    ann.shows("bob is verified.")?;
    ann.press("Escape")?;
    ann.shows("online, verified")?;

    bob.press("Escape")?;
    bob.types("half a sen")?;
    bob.shows("half a sen")?;
    bob.press("C-q")?;
    assert_eq!(bob.ended()?, 0);
    bob.close()?;
    ann.types("are you there?")?;
    ann.press("Enter")?;
    ann.shows_that("that it is at the relay", |screen| {
        line_with(screen, "are you there?").is_some_and(|line| line.starts_with("✓  "))
    })?;
    ann.types("/disappear soon")?;
    ann.press("Enter")?;
    ann.shows("unit")?;

    let bob = again(&tmux, &world, "bob", (40, 24))?;
    bob.shows_that("what is unread", |screen| {
        screen
            .lines()
            .any(|line| line.contains("ann") && line.contains(" + 1"))
    })?;
    bob.press("M-a")?;
    let screen = bob.shows("are you there?")?;
    ensure!(
        screen.contains(" unread ") && screen.contains("half a sen"),
        "{screen}"
    );
    ann.shows_that("that it was delivered", |screen| {
        line_with(screen, "are you there?").is_some_and(|line| line.starts_with("✓✓ "))
    })?;
    bob.resize(120, 40)?;
    bob.shows_that("both panes", |screen| {
        screen.contains("● ann") && screen.contains("are you there?")
    })?;

    // Whoever ends it by a signal finds the terminal as it was, and what was just typed is kept.
    bob.types("tence")?;
    bob.shows("half a sentence")?;
    let process = i32::try_from(bob.process()?)?;
    let process = Pid::from_raw(process).context("no process")?;
    kill_process(process, Signal::TERM)?;
    assert_eq!(bob.ended()?, 0);
    ensure!(!bob.text()?.contains("are you there?"), "{}", bob.text()?);
    bob.close()?;
    let contacts = Profile::at(&world.path("bob")).run(&["contacts"])?;
    assert_eq!(contacts[0]["draft"], "half a sentence");
    Ok(())
}

#[tokio::test]
async fn the_persons_own_editor_gets_the_text_and_the_terminal_each_time() -> Result<()> {
    let world = World::start()?;
    world.ann_and_bob()?;
    let tmux = Tmux::new(world.folder()).with_editor("sed -i s/$/+/");
    let screen = again(&tmux, &world, "ann", SIZE)?;
    screen.shows("bob")?;
    screen.press("Enter")?;
    screen.shows("nothing was said yet")?;
    screen.types("text")?;
    screen.shows("text")?;
    // It was a matter of luck who read an answer of the terminal.
    for times in 1..=8 {
        screen.press("C-e")?;
        let edited = format!("text{}", "+".repeat(times));
        screen.shows(&edited)?;
    }
    screen.press("C-q")?;
    assert_eq!(screen.ended()?, 0);
    screen.close()?;
    let tmux = tmux.with_editor("false");
    let screen = again(&tmux, &world, "bob", SIZE)?;
    screen.shows("ann")?;
    screen.press("Enter")?;
    screen.shows("nothing was said yet")?;
    screen.types("text")?;
    screen.press("C-e")?;
    screen.shows("false ended with")?;
    screen.press("C-q")?;
    assert_eq!(screen.ended()?, 0);
    Ok(())
}

#[tokio::test]
async fn it_attaches_to_whoever_runs_the_profile_and_takes_over_when_that_ends() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let tmux = Tmux::new(world.folder());
    let daemon = ann.daemon().await?;
    let screen = again(&tmux, &world, "ann", SIZE)?;
    screen.shows_that("bob in the list", |screen| {
        screen.contains("● bob") || screen.contains("○ bob")
    })?;
    screen.press("Enter")?;
    screen.shows("nothing was said yet")?;
    bob.run(&["send", "ann", "one", "--wait", "delivered"])?;
    screen.shows("   one")?;
    drop(daemon);
    screen.types("two")?;
    screen.press("Enter")?;
    let heard = bob.run(&["listen", "--count", "1", "--timeout", "60s"])?;
    assert_eq!(heard[0]["text"], "two");
    // What another face of the profile sends is seen at once.
    ann.run(&["send", "bob", "three"])?;
    screen.shows("three")?;
    screen.press("C-q")?;
    assert_eq!(screen.ended()?, 0);
    Ok(())
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_before_the_terminal_is_touched() -> Result<()> {
    let world = World::start()?;
    world.ann_and_bob()?;
    let tmux = Tmux::new(world.folder());
    let folder = world.path("tincan");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("tui.toml"), "[keys]\nfly = [\"f1\"]\n")?;
    let screen = again(&tmux, &world, "ann", SIZE)?;
    assert_eq!(screen.ended()?, 2);
    let stderr = std::fs::read_to_string(world.path("ann.stderr"))?;
    ensure!(
        stderr.contains("tui.toml") && stderr.contains("\"fly\""),
        "{stderr}"
    );
    std::fs::write(folder.join("tui.toml"), "[keys]\nquit = [\"f10\"]\n")?;
    let screen = again(&tmux, &world, "bob", SIZE)?;
    screen.shows("ann")?;
    screen.press("F10")?;
    assert_eq!(screen.ended()?, 0);
    Ok(())
}
