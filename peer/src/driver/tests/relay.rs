//! With a relay that is really there.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tempfile::TempDir;
use tincan_protocol::invite::{Invite, InviteBody};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::wire::{self, Frame as _, RelayErrorCode, relay_reply, relay_request};
use tincan_relay::{Relay, RelayConfig};
use tokio::net::TcpListener;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::bench::Bench;
use crate::peer::Peer;

/// Nothing here takes this long, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

struct Served {
    url: ServerUrl,
    _relay: Relay,
    _folder: TempDir,
}

async fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(RelayConfig::new(folder.path().join("relay.redb"))).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = relay.router();
    tokio::spawn(tincan_relay::serve(
        listener,
        router,
        std::future::pending(),
    ));
    Served {
        url: url.parse().unwrap(),
        _relay: relay,
        _folder: folder,
    }
}

/// Opens the profile and waits until its relay has and knows everything.
async fn online(folder: &TempDir) -> Peer {
    let peer = Peer::builder().home(folder.path()).spawn().await.unwrap();
    let ready = async {
        while !peer.status().await.unwrap().relays[0].ready {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ready).await.unwrap();
    peer
}

/// Deposits something into an invite's queue; why not, if it is refused.
async fn deposit(invite: &InviteBody) -> Option<RelayErrorCode> {
    let (mut socket, _) = connect_async(invite.relay.websocket("relay"))
        .await
        .unwrap();
    let deposit = wire::Deposit {
        queue: invite.queue.to_vec().into(),
        write_token: invite.write_token.to_vec().into(),
        envelope: Bytes::from_static(b"not a request"),
    };
    let request = wire::RelayRequest {
        id: 1,
        kind: Some(relay_request::Kind::Deposit(deposit)),
    };
    socket.send(Message::Binary(request.write())).await.unwrap();
    loop {
        let Message::Binary(bytes) = socket.next().await.unwrap().unwrap() else {
            continue;
        };
        match wire::RelayReply::read(bytes).unwrap().kind {
            Some(relay_reply::Kind::Deposited(_)) => return None,
            Some(relay_reply::Kind::Error(error)) => return Some(error.code()),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn regression_a_mailbox_that_ended_while_its_relay_was_away_is_deleted_later() {
    let relay = serve().await;
    let folder = Bench::at(&relay.url).close();
    let peer = online(&folder).await;
    let invite: Invite = peer.invite(1, Duration::from_secs(600)).await.unwrap();
    peer.shutdown().await.unwrap();
    let peer = online(&folder).await;
    let body = invite.body();
    assert_eq!(deposit(body).await, None);
    peer.shutdown().await.unwrap();

    // Without a connection.
    let mut ann = Bench::open(folder);
    ann.driver.end_invite(&body.queue).unwrap();
    ann.commit();
    let folder = ann.close();
    assert_eq!(deposit(body).await, None);

    let peer = online(&folder).await;
    // Strangers are not told what is there: a mailbox that is gone takes no token.
    assert_eq!(deposit(body).await, Some(RelayErrorCode::Unauthorized));
    peer.shutdown().await.unwrap();
    assert!(Bench::open(folder).driver.ended_queues.is_empty());
}
