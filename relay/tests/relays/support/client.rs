//! A relay behind a real socket, and a client of its wire.

use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tincan_protocol::keys::QueueKey;
use tincan_protocol::origin::Origin;
use tincan_protocol::relay_auth;
use tincan_protocol::wire::relay_reply::Kind as Reply;
use tincan_protocol::wire::relay_request::Kind as Request;
use tincan_protocol::wire::{self, Frame, RelayErrorCode, RelayReply, RelayRequest};
use tincan_relay::store::Store;
use tincan_relay::{Relay, RelayConfig, RelayLimits, serve};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::TOKEN;

/// After this a test fails instead of waiting on.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A relay behind a listener on loopback.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) relay: Relay,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn open(config: RelayConfig) -> Self {
        Self::start(Relay::open(config).unwrap()).await
    }

    pub(crate) async fn on(store: impl Store + 'static, limits: RelayLimits) -> Self {
        Self::start(Relay::with_store(Box::new(store), limits, None).unwrap()).await
    }

    async fn start(relay: Relay) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, relay.router(), async {
            let _ = stopped.await;
        }));
        Self {
            address,
            relay,
            stop,
            serving,
        }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await.unwrap()
    }

    pub(crate) async fn shutdown(self) {
        let _ = self.stop.send(());
        timeout(DEADLINE, self.serving).await.unwrap().unwrap();
        timeout(DEADLINE, self.relay.shutdown()).await.unwrap();
    }
}

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    nonce: [u8; 32],
    origin: Origin,
    next_id: u64,
    /// Frames that came while an answer was awaited.
    pushed: VecDeque<RelayReply>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, tungstenite::Error> {
        let url = format!("ws://{address}/relay");
        let (socket, _) = tokio_tungstenite::connect_async(url).await?;
        let mut client = Self {
            socket,
            nonce: [0; 32],
            origin: Origin::from_host_header(&address.to_string()),
            next_id: 1,
            pushed: VecDeque::new(),
        };
        let Some(Reply::Challenge(challenge)) = client.receive().await.kind else {
            panic!("the first frame is no challenge");
        };
        client.nonce = challenge.nonce.try_into().unwrap();
        Ok(client)
    }

    pub(crate) async fn send(&mut self, kind: Request) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let frame = RelayRequest {
            id,
            kind: Some(kind),
        }
        .write();
        self.send_message(Message::Binary(frame)).await;
        id
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        timeout(DEADLINE, self.socket.send(message))
            .await
            .expect("socket takes nothing")
            .unwrap();
    }

    /// Sends to a relay that may have ended the connection.
    pub(crate) async fn try_send(&mut self, message: Message) {
        let _ = timeout(DEADLINE, self.socket.send(message))
            .await
            .expect("socket takes nothing");
    }

    /// Writes bytes past the WebSocket, until all are written or the relay takes no more.
    pub(crate) async fn write_raw(&mut self, bytes: &[u8]) -> bool {
        let MaybeTlsStream::Plain(stream) = self.socket.get_mut() else {
            panic!("no plain connection");
        };
        let written = timeout(Duration::from_secs(1), stream.write_all(bytes)).await;
        matches!(written, Ok(Ok(())))
    }

    /// Whether nothing but a close frame comes any more.
    pub(crate) async fn has_ended(&mut self) -> bool {
        matches!(self.message().await, None | Some(Message::Close(_)))
    }

    /// The next message, pings apart; `None` when the connection has ended.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        loop {
            match timeout(DEADLINE, self.socket.next())
                .await
                .expect("nothing comes")
            {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next frame.
    pub(crate) async fn receive(&mut self) -> RelayReply {
        if let Some(reply) = self.pushed.pop_front() {
            return reply;
        }
        match self.message().await {
            Some(Message::Binary(frame)) => RelayReply::read(frame).unwrap(),
            other => panic!("{other:?} instead of a frame"),
        }
    }

    /// The answer to a request; what else comes is kept for [`Self::receive`].
    pub(crate) async fn answer(&mut self, id: u64) -> Reply {
        let mut kept = VecDeque::new();
        loop {
            let reply = self.receive().await;
            if reply.id == id {
                kept.append(&mut self.pushed);
                self.pushed = kept;
                return reply.kind.unwrap();
            }
            kept.push_back(reply);
        }
    }

    pub(crate) async fn ask(&mut self, kind: Request) -> Reply {
        let id = self.send(kind).await;
        self.answer(id).await
    }

    pub(crate) fn proof(&self, key: &QueueKey) -> wire::KeyProof {
        let signature = relay_auth::prove(key, &self.nonce, &self.origin).to_vec();
        wire::KeyProof {
            key: key.queue().to_vec(),
            signature,
        }
    }

    pub(crate) async fn auth(&mut self, key: &QueueKey) -> Reply {
        let proofs = vec![self.proof(key)];
        self.ask(Request::Auth(wire::Auth { proofs })).await
    }

    /// Proves the key and makes its queue.
    pub(crate) async fn create(&mut self, key: &QueueKey, kind: wire::QueueKind) {
        assert!(matches!(self.auth(key).await, Reply::Done(_)));
        let create = wire::QueueCreate {
            queue: key.queue().to_vec(),
            kind: kind.into(),
            write_token_hash: TOKEN.hash().to_vec(),
        };
        assert!(matches!(
            self.ask(Request::QueueCreate(create)).await,
            Reply::Done(_)
        ));
    }

    /// The next delivery, which must come before anything else.
    pub(crate) async fn delivery(&mut self) -> (u64, Vec<u8>) {
        match self.receive().await.kind {
            Some(Reply::Deliver(deliver)) => (deliver.index, deliver.envelope.to_vec()),
            other => panic!("{other:?} instead of a delivery"),
        }
    }

    pub(crate) async fn drained(&mut self) {
        let reply = self.receive().await;
        assert!(matches!(reply.kind, Some(Reply::Drained(_))), "{reply:?}");
    }

    /// The close frame's code, after whatever else still comes.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        for _ in 0..100_000 {
            match self.message().await? {
                Message::Close(frame) => return frame.map(|frame| frame.code.into()),
                _ => continue,
            }
        }
        panic!("no close frame");
    }
}

pub(crate) fn key(seed: u8) -> QueueKey {
    QueueKey::from_seed(&[seed; 32])
}

pub(crate) fn deposit(key: &QueueKey, envelope: impl Into<Vec<u8>>) -> Request {
    Request::Deposit(wire::Deposit {
        queue: key.queue().to_vec().into(),
        write_token: TOKEN.to_vec().into(),
        envelope: envelope.into().into(),
    })
}

pub(crate) fn append(key: &QueueKey, after_index: u64, entry: impl Into<Vec<u8>>) -> Request {
    Request::Append(wire::Append {
        queue: key.queue().to_vec().into(),
        write_token: TOKEN.to_vec().into(),
        after_index,
        entry: entry.into().into(),
    })
}

pub(crate) fn subscribe(key: &QueueKey, after_index: u64) -> Request {
    Request::Subscribe(wire::Subscribe {
        queue: key.queue().to_vec(),
        after_index,
    })
}

pub(crate) fn ack(key: &QueueKey, index: u64) -> Request {
    Request::AckUpTo(wire::AckUpTo {
        queue: key.queue().to_vec(),
        index,
    })
}

pub(crate) fn error_code(reply: &Reply) -> Option<RelayErrorCode> {
    match reply {
        Reply::Error(error) => Some(error.code()),
        _ => None,
    }
}
