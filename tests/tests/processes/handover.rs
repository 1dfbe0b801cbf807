//! The process that runs a profile ends, and the commands that use it go on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Journal, Process, Profile, RelayServer, World, numbered, quiet_address};
use serde_json::{Value, json};
use tincan_peer::Home;
use tincan_peer::rpc::Client;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// A message that takes longer than this is lost.
const LOST: Duration = Duration::from_secs(60);

/// What a process does when it is told to end, or when its end is seen, takes less than this.
const SOON: Duration = Duration::from_secs(30);

/// How often it is looked whether it is so.
const LOOK: Duration = Duration::from_millis(5);

/// How a process ends.
#[derive(Clone, Copy, Debug)]
enum End {
    InOrder,
    Killed,
}

impl End {
    fn of(self, process: &mut Process) -> Result<()> {
        match self {
            Self::InOrder => ensure!(process.terminate()? == Some(0), "does not end"),
            Self::Killed => process.kill()?,
        }
        Ok(())
    }
}

#[tokio::test]
async fn regression_listen_takes_over_a_profile_whose_process_ends() -> Result<()> {
    for end in [End::InOrder, End::Killed] {
        let world = World::start()?;
        let (ann, bob) = world.ann_and_bob()?;
        let mut daemon = ann.daemon().await?;
        let mut listen = listening(&ann, &world, 2)?;
        attached(&ann).await?;
        bob.run(&["send", "ann", "before"])?;
        assert_eq!(text_of(&listen.line()?)?, "before", "{end:?}");
        end.of(&mut daemon.process)?;
        bob.run(&["send", "ann", "after", "--wait", "read"])?;
        assert_eq!(text_of(&listen.line()?)?, "after", "{end:?}");
        assert_eq!(listen.wait(SOON)?, Some(0), "{end:?}");
    }
    Ok(())
}

#[tokio::test]
async fn regression_a_daemon_waits_for_a_command_that_has_the_profile_for_a_moment() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    // Nobody reads it, so it stays for as long as it may.
    let mut send = ann.command(&["send", "bob", "x", "--wait", "read", "--timeout", "3s"])?;
    let mut send = Process::start(&mut send, &world.path("send.log"))?;
    attached(&ann).await?;
    let mut daemon = ann.daemon().await?;
    assert_eq!(send.wait(SOON)?, Some(3));
    let status = daemon.call("status", json!({})).await?;
    assert_eq!(status["process"]["id"], daemon.process.id());
    drop(bob);
    Ok(())
}

#[tokio::test]
async fn regression_commands_at_the_same_time_all_work() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let texts = numbered("at once", 12);
    let mut sending = Vec::new();
    for text in &texts {
        let mut send = ann.command(&["send", "bob", text])?;
        sending.push(Process::start(&mut send, &world.path("send.log"))?);
        let mut read = ann.command(&["history", "bob"])?;
        sending.push(Process::start(&mut read, &world.path("history.log"))?);
    }
    for process in &mut sending {
        let printed = process.rest()?;
        assert_eq!(process.wait(SOON)?, Some(0), "{printed}");
    }
    let mut daemon = bob.daemon().await?;
    let mut news = Journal::from_start(&daemon).await?;
    news.texts(texts.len(), LOST).await?;
    let mut received = daemon.received("ann").await?;
    received.sort();
    let mut expected = texts.clone();
    expected.sort();
    assert_eq!(received, expected);
    Ok(())
}

/// The process through which lines are sent ends in the middle of them.
#[tokio::test]
async fn what_is_sent_through_a_process_that_ends_is_sent_once() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let mut expected = Vec::new();
    for round in 0..3 {
        for end in [End::Killed, End::InOrder] {
            let texts = numbered(&format!("{end:?} in round {round}"), 4_000);
            let mut daemon = ann.daemon().await?;
            let mut news = Journal::from_now(&daemon).await?;
            let (sender, input) = (ann.clone(), texts.join("\n"));
            let send = move || sender.answer_to(&["send", "bob", "-", "--wait", "sent"], input);
            let send = tokio::task::spawn_blocking(send);
            news.until("some are sent", LOST, |event| event["type"] == "state")
                .await?;
            end.of(&mut daemon.process)?;
            let answer = send.await??;
            assert_eq!(answer.code, Some(0), "{end:?}: {}", answer.stderr);
            assert_eq!(answer.objects.len(), texts.len());
            expected.extend(texts);
        }
    }
    let mut daemon = bob.daemon().await?;
    let mut news = Journal::from_start(&daemon).await?;
    news.texts(expected.len(), LOST).await?;
    let received = daemon.received("ann").await?;
    assert!(
        received == expected,
        "{} of {}",
        received.len(),
        expected.len()
    );
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_being_answered_when_the_process_ends_is_answered() -> Result<()> {
    let calls = async |bob: Profile, link: String| {
        // It does not look elsewhere if it gets no answer.
        let mut client = Client::connect(&Home::at(bob.home())).await?;
        Ok(client.call("add", json!({"link": link})).await?)
    };
    assert_eq!(added_while_the_process_ends(calls).await?["name"], "ann");
    Ok(())
}

#[tokio::test]
async fn a_command_goes_on_when_the_process_ends_that_answers_it() -> Result<()> {
    let types = async |bob: Profile, link: String| {
        tokio::task::spawn_blocking(move || bob.run(&["add", &link])).await?
    };
    let added = added_while_the_process_ends(types).await?;
    assert_eq!(added[0]["name"], "ann");
    Ok(())
}

/// What bob's attempt to add ann returns. His daemon is told to end when it has begun to answer it, and ann's
/// relay, without which it cannot, comes back when it takes no further calls.
async fn added_while_the_process_ends<T>(
    add: impl AsyncFnOnce(Profile, String) -> Result<T>,
) -> Result<T> {
    let world = World::start()?;
    let mut relay = RelayServer::start_at(&world.path("relay"), &quiet_address()?)?;
    let ann = world.profile_with_relay("ann", relay.url())?;
    let link = e2e::invite(&ann, 1)?;
    relay.process().kill()?;
    let address = relay.url().strip_prefix("http://").context("url")?;
    let in_its_place = TcpListener::bind(address).await?;

    let bob = world.profile("bob")?;
    let mut daemon = bob.daemon().await?;
    let mut asks = daemon.another_client().await?;
    let ending = async {
        // Bob has nothing else to do with that relay.
        let dialed = timeout(SOON, in_its_place.accept()).await??;
        daemon.process.ask_to_end()?;
        until_it_takes_no_calls(&mut asks).await?;
        drop((dialed, in_its_place));
        relay.restart()
    };
    let (added, ()) = tokio::try_join!(add(bob.clone(), link), ending)?;
    ensure!(daemon.process.wait(SOON)? == Some(0), "does not end");
    ensure!(bob.run(&["contacts"])?.len() == 1, "not a contact");
    Ok(added)
}

/// Until a process that was told to end does.
async fn until_it_takes_no_calls(client: &mut Client) -> Result<()> {
    let refused = async {
        loop {
            if let Err(error) = client.call("id", json!({})).await {
                return error;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let error = timeout(SOON, refused).await?;
    ensure!(error.is_ended(), "{error}");
    Ok(())
}

fn listening(who: &Profile, world: &World, count: u32) -> Result<Process> {
    let count = count.to_string();
    let mut listen = who.command(&["listen", "--count", &count, "--timeout", "60s"])?;
    Process::start(&mut listen, &world.path("listen.log"))
}

/// Waits until a process runs the profile and answers.
async fn attached(who: &Profile) -> Result<()> {
    Client::connect(&Home::at(who.home())).await?;
    Ok(())
}

fn text_of(line: &str) -> Result<String> {
    let message: Value = serde_json::from_str(line)?;
    Ok(message["text"].as_str().context("no text")?.to_owned())
}
