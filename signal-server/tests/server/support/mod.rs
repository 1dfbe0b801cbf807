//! A signaling client for tests: one WebSocket, every wait with a deadline.

pub(crate) mod coturn;

use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::time::Duration;
use tincan_protocol::SignalAddress;
use tincan_protocol::keys::AddressKey;
use tincan_protocol::origin::Origin;
use tincan_protocol::signal::{
    AddressProof, ClientMessage, Nonce, Opaque, ServerMessage, SignalErrorCode, decode, encode,
    prove_login,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Longest wait for anything; a loaded machine is slow, a hanging one must end.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn key(number: u8) -> AddressKey {
    AddressKey::from_seed(&[number; 32])
}

pub(crate) fn address(number: u8) -> SignalAddress {
    key(number).address()
}

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) nonce: Nonce,
    pub(crate) origin: Origin,
}

impl Client {
    /// Connects and takes the challenge.
    pub(crate) async fn connect(server: SocketAddr) -> Self {
        let (socket, _) = timeout(
            DEADLINE,
            connect_async_with_config(format!("ws://{server}/signal"), None, true),
        )
        .await
        .unwrap()
        .unwrap();
        let mut client = Self {
            socket,
            nonce: Nonce([0; 32]),
            origin: Origin::from_host_header(&server.to_string()),
        };
        let ServerMessage::Challenge { nonce, version: 1 } = client.next().await else {
            panic!("no challenge")
        };
        client.nonce = nonce;
        client
    }

    /// Connects and logs in.
    pub(crate) async fn log_in(server: SocketAddr, numbers: &[u8]) -> Self {
        let mut client = Self::connect(server).await;
        let proofs = numbers.iter().map(|number| client.proof(*number)).collect();
        client
            .say(&ClientMessage::Login { addresses: proofs })
            .await;
        assert!(matches!(client.next().await, ServerMessage::Welcome { .. }));
        client
    }

    pub(crate) fn proof(&self, number: u8) -> AddressProof {
        prove_login(&key(number), &self.nonce, &self.origin)
    }

    pub(crate) async fn say(&mut self, message: &ClientMessage) {
        self.send(Message::text(encode(message).unwrap())).await;
    }

    pub(crate) async fn send(&mut self, frame: Message) {
        timeout(DEADLINE, self.socket.send(frame))
            .await
            .unwrap()
            .unwrap();
    }

    pub(crate) async fn signal(&mut self, from: u8, to: u8, body: &[u8]) {
        let (to, from) = (address(to), address(from));
        self.say(&ClientMessage::Signal {
            to,
            from,
            body: Opaque(body.to_vec()),
        })
        .await;
    }

    pub(crate) async fn watch(&mut self, number: u8) {
        self.say(&ClientMessage::Watch {
            addresses: vec![address(number)],
        })
        .await;
    }

    /// The next message; panics if the connection ends instead.
    pub(crate) async fn next(&mut self) -> ServerMessage {
        self.next_or_end().await.expect("the connection ended")
    }

    /// The next message, or `None` at the end of the connection.
    pub(crate) async fn next_or_end(&mut self) -> Option<ServerMessage> {
        loop {
            match timeout(DEADLINE, self.socket.next())
                .await
                .expect("nothing came in time")
            {
                Some(Ok(Message::Text(text))) => return Some(decode(text.as_str()).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(frame)) => panic!("unexpected {frame:?}"),
            }
        }
    }

    /// The next message must be this error.
    pub(crate) async fn expect_error(&mut self, expected: SignalErrorCode) {
        match self.next().await {
            ServerMessage::Error { code, .. } => assert_eq!(code, expected),
            other => panic!("{other:?} instead of {expected:?}"),
        }
    }

    /// Nothing of what was asked before is still to come: a ping is answered next.
    pub(crate) async fn expect_silence(&mut self) {
        self.say(&ClientMessage::Ping).await;
        assert_eq!(self.next().await, ServerMessage::Pong);
    }
}
