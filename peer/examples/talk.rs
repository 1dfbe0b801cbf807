//! Two programs that become contacts and talk: the shortest whole use of the library.
//!
//! ```text
//! cargo run --example talk -- /tmp/ann http://127.0.0.1:8443              # prints a link, and what is said
//! cargo run --example talk -- /tmp/bob http://127.0.0.1:8443 "tincan:..." # takes it, and says hello
//! ```

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::time::Duration;

use tincan_peer::{Event, Invite, MessageState, Peer};
use tokio_stream::StreamExt as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(home), Some(server)) = (args.next(), args.next()) else {
        return Err("give a folder, a server's URL and, to say hello, a link".into());
    };
    let peer = Peer::builder().home(home).server(server).spawn().await?;
    let mut events = peer.events();
    let hello = match args.next() {
        None => {
            println!("{}", peer.invite(1, Duration::from_secs(3600)).await?);
            None
        }
        Some(link) => {
            let contact = peer.add(link.parse::<Invite>()?).await?;
            Some(peer.send(&contact, "hello").await?)
        }
    };
    while let Some(event) = events.next().await.transpose()? {
        match event.event {
            Event::Message(message) if hello.is_none() => {
                println!("{}: {}", message.from, message.text);
                peer.confirm(event.cursor).await?;
                break;
            }
            // One that was delivered is stored at the other side.
            Event::State {
                ids,
                state: MessageState::Delivered,
                ..
            } if hello.is_some_and(|id| ids.contains(&id)) => {
                println!("delivered");
                break;
            }
            _ => {}
        }
    }
    peer.shutdown().await?;
    Ok(())
}
