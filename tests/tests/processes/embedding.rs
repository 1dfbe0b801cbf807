//! The library as the programs of others use it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::World;
use tincan_peer::{Event, Events, Message, OpenError, Peer};
use tokio_stream::StreamExt as _;

/// A message that takes longer than this is lost.
const LOST: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_talk_in_ten_lines_each_and_go_on_where_they_confirmed() -> Result<()> {
    let world = World::start()?;
    let url = world.server.url();
    let (ann_home, bob_home) = (world.path("ann"), world.path("bob"));

    let ann = Peer::builder().home(&ann_home).server(url).name("ann");
    let ann = ann.spawn().await?;
    let mut heard = ann.events();
    let invite = ann.invite(1, Duration::from_secs(600)).await?;

    let bob = Peer::builder().home(&bob_home).server(url).name("bob");
    let bob = bob.spawn().await?;
    let contact = bob.add(invite).await?;
    assert_eq!(contact, ann.identity().address);
    let id = bob.send(&contact, "hello").await?;
    bob.send(&contact, "are you there?").await?;

    let (cursor, message) = next_message(&mut heard).await?;
    assert_eq!((message.id, message.text.as_str()), (id, "hello"));
    ann.confirm(cursor).await?;
    let words = ann.phrase()?.words();
    bob.shutdown().await?;
    ann.shutdown().await?;

    // A profile that is there keeps what it is; events go on behind the confirmed one.
    let ann = Peer::builder().home(&ann_home).server("http://127.0.0.1:1");
    let ann = ann.spawn().await?;
    assert_eq!(*ann.phrase()?.words(), *words);
    assert_eq!(ann.identity().name, "ann");
    assert_eq!(ann.identity().signal_servers[0].to_string(), url);
    let (_, message) = next_message(&mut ann.events()).await?;
    assert_eq!(message.text, "are you there?");
    ann.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn without_a_profile_and_a_server_there_is_a_clear_error() -> Result<()> {
    let world = World::start()?;
    let none = Peer::builder().home(world.path("nobody")).spawn().await;
    assert!(matches!(none, Err(OpenError::NoProfile { .. })), "{none:?}");
    let wrong = Peer::builder().home(world.path("nobody")).server("chat");
    let wrong = wrong.spawn().await;
    assert!(matches!(wrong, Err(OpenError::Server(_))), "{wrong:?}");
    Ok(())
}

/// The next message of somebody else, and its place.
async fn next_message(events: &mut Events) -> Result<(u64, Message)> {
    let next = async {
        while let Some(event) = events.next().await.transpose()? {
            if let Event::Message(message) = event.event
                && !message.outgoing
            {
                return Ok((event.cursor, message));
            }
        }
        anyhow::bail!("the events ended")
    };
    tokio::time::timeout(LOST, next)
        .await
        .context("no message")?
}
