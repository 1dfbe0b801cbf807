//! Desktop notifications, by a service on a bus of the test's own.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use e2e::{Tmux, World};
use tokio::sync::mpsc;
use zbus::zvariant::OwnedValue;

use crate::keyring::desktop::Desktop;

/// What the desktop was asked to show.
#[derive(Debug)]
struct Shown {
    replaces: u32,
    summary: String,
    body: String,
}

/// The desktop's service.
struct Service {
    shown: mpsc::UnboundedSender<Shown>,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Service {
    #[allow(clippy::too_many_arguments, reason = "the specification's")]
    fn notify(
        &self,
        _app_name: String,
        replaces_id: u32,
        _app_icon: String,
        summary: String,
        body: String,
        _actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _expire_timeout: i32,
    ) -> u32 {
        let shown = Shown {
            replaces: replaces_id,
            summary,
            body,
        };
        // The test may have ended.
        let _ = self.shown.send(shown);
        7
    }

    fn close_notification(&self, _id: u32) {}

    fn get_capabilities(&self) -> Vec<String> {
        vec!["body".to_owned()]
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        let text = |text: &str| text.to_owned();
        (text("stub"), text("tincan"), text("1"), text("1.2"))
    }
}

/// Something that would not come is not waited for: what comes after it is.
async fn next(shown: &mut mpsc::UnboundedReceiver<Shown>) -> Result<Shown> {
    let wait = tokio::time::timeout(std::time::Duration::from_secs(30), shown.recv());
    wait.await
        .context("nothing was shown")?
        .context("the service has ended")
}

#[tokio::test]
async fn what_comes_is_shown_by_the_desktop_unless_it_is_muted_or_seen() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let desktop = Desktop::start()?;
    let (sender, mut shown) = mpsc::unbounded_channel();
    let _connection = zbus::connection::Builder::address(desktop.address())?
        .name("org.freedesktop.Notifications")?
        .serve_at("/org/freedesktop/Notifications", Service { shown: sender })?
        .build()
        .await?;
    let tmux = Tmux::new(world.folder()).with_bus(desktop.address());
    let home = ann.home().display().to_string();
    let screen = tmux.peer("ann", (100, 30), &["--home", &home])?;
    screen.shows("bob")?;
    bob.run(&["send", "ann", "hello <b>you</b>"])?;
    let first = next(&mut shown).await?;
    assert_eq!(
        (first.summary.as_str(), first.body.as_str()),
        ("bob", "hello &lt;b&gt;you&lt;/b&gt;")
    );
    assert_eq!(first.replaces, 0);
    ann.run(&["mute", "bob"])?;
    let is_muted = |screen: &str| {
        screen
            .lines()
            .any(|line| line.contains("bob") && line.contains(" z"))
    };
    screen.shows_that("that bob is muted", is_muted)?;
    bob.run(&["send", "ann", "muted", "--wait", "delivered"])?;
    ann.run(&["unmute", "bob"])?;
    screen.shows_that("that bob is not", |screen| !is_muted(screen))?;
    bob.run(&["send", "ann", "again"])?;
    let second = next(&mut shown).await?;
    assert_eq!((second.body.as_str(), second.replaces), ("again", 7));
    // What is on the screen need not be told elsewhere.
    screen.press("Enter")?;
    screen.shows("hello <b>you")?;
    bob.run(&["send", "ann", "seen", "--wait", "delivered"])?;
    screen.shows("seen")?;
    screen.press("C-q")?;
    assert_eq!(screen.ended()?, 0);
    screen.close()?;

    let folder = world.path("tincan");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("tui.toml"), "notifications = \"name\"\n")?;
    let screen = tmux.peer("ann", (100, 30), &["--home", &home])?;
    screen.shows("bob")?;
    bob.run(&["send", "ann", "secret"])?;
    let hidden = next(&mut shown).await?;
    assert_eq!(
        (hidden.summary.as_str(), hidden.body.as_str()),
        ("bob", "New message")
    );
    Ok(())
}
