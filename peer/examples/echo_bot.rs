//! A bot that accepts everybody and answers each message with the same text, also those that came while it was not
//! running; none twice, because each answer has an id that is made of the message's.
//!
//! ```text
//! cargo run --example echo_bot -- /tmp/echo http://127.0.0.1:8443
//! ```

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::time::Duration;

use tincan_peer::{Draft, Event, Message, MsgId, Peer, SendError, Shown};
use tokio_stream::StreamExt as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(home), Some(server)) = (args.next(), args.next()) else {
        return Err("give a folder and a server's URL".into());
    };
    let peer = Peer::builder()
        .home(home)
        .server(server)
        .name("echo")
        .spawn()
        .await?;
    println!(
        "{}",
        peer.invite(100, Duration::from_secs(24 * 3600)).await?
    );
    let mut events = peer.events();
    while let Some(event) = events.next().await.transpose()? {
        match event.event {
            Event::Request { identity, .. } => peer.accept(identity).await?,
            Event::Message(message) if !message.outgoing => answer(&peer, &message).await?,
            _ => {}
        }
        // Only now: whatever ends the program before, what was not answered comes again.
        peer.confirm(event.cursor).await?;
    }
    Ok(())
}

async fn answer(peer: &Peer, message: &Message) -> Result<(), Box<dyn std::error::Error>> {
    let draft = Draft {
        id: answer_id(message.id),
        reply_to: Some(message.id),
        ..Draft::new(message.text.clone())
    };
    match peer.send_drafts(&message.identity, vec![draft]).await {
        // It was taken back meanwhile, or they are no contact any more.
        Ok(_) | Err(SendError::UnknownMessage | SendError::UnknownContact) => {}
        Err(error) => return Err(error.into()),
    }
    peer.mark_read(&message.identity, Shown::These(vec![message.id]))
        .await?;
    Ok(())
}

/// Another UUIDv7 of the same time, and always the same one.
fn answer_id(id: MsgId) -> MsgId {
    MsgId::from_u128(id.as_u128() ^ 1)
}
