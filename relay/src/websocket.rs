//! The route `/relay` and the task of one WebSocket connection.
//!
//! Everything a connection can cost is bounded here or in its [`Session`]: frames are refused by
//! their announced length before they are buffered, the socket is not read while too many requests
//! wait for answers or an answer cannot be written, and a connection that takes nothing for
//! `write_timeout` ends. No address and no content is logged.

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Error, Router};
use bytes::Bytes;
use futures_util::SinkExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tincan_protocol::ids::StoreId;
use tincan_protocol::limits::RELAY_MESSAGE_MAX;
use tincan_protocol::origin::Origin;
use tincan_protocol::wire::{Frame, RelayReply};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::clock::Clock;
use crate::connection_addrs::ConnectionAddrs;
use crate::driver::{Input, Outgoing, outgoing_max};
use crate::limits::RelayLimits;
use crate::mailbox::{ConnectionId, Ending, Outbound, Session, Step};
use crate::origin_policy::{OriginPolicy, WRONG_ORIGIN};

/// Read buffer of a connection, bytes. The default of 128 KiB is most of what an idle connection
/// costs; larger frames grow the buffer while they come in.
const READ_BUFFER: usize = 4 * 1024;

/// Bytes gathered before they are written to the socket. Chosen: a few packets.
const WRITE_BUFFER: usize = 16 * 1024;

/// Largest unsent bytes of a connection: a frame that waits, and one that does not fit in any more. Without it
/// whoever sends pings and reads nothing fills the memory with the answers.
const WRITE_BUFFER_MAX: usize = 2 * RELAY_MESSAGE_MAX + WRITE_BUFFER;

/// Frames written in one go before the driver hears of it.
const WRITE_BURST: usize = 64;

/// Between two pings; keeps the state of NATs and proxies alive.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Silence after which a connection counts as dead: two pings unanswered, and some more.
const SILENCE_MAX: Duration = Duration::from_secs(75);

/// How long a shutdown waits for answers that are under way.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the other side may take to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What every connection shares.
pub(crate) struct Gate {
    pub(crate) origins: OriginPolicy,
    pub(crate) limits: RelayLimits,
    pub(crate) store_id: StoreId,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) clock: Clock,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) next_connection: AtomicU64,
}

/// The relay's routes.
pub(crate) fn router(gate: Arc<Gate>) -> Router {
    Router::new().route("/relay", any(upgrade)).with_state(gate)
}

async fn upgrade(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(addrs): ConnectInfo<ConnectionAddrs>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let Some(origin) = gate.origins.accept(host, addrs.local) else {
        return (StatusCode::MISDIRECTED_REQUEST, WRONG_ORIGIN).into_response();
    };
    if *gate.stop.borrow() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "this relay is shutting down\n",
        )
            .into_response();
    }
    let Ok(permit) = Arc::clone(&gate.room).try_acquire_owned() else {
        let text = "this relay has as many connections as it takes\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_message_size(RELAY_MESSAGE_MAX)
        .max_frame_size(RELAY_MESSAGE_MAX)
        .on_upgrade(move |socket| async move { serve(&gate, socket, origin, permit).await })
}

/// From the challenge to the close frame.
async fn serve(gate: &Gate, socket: WebSocket, origin: Origin, _permit: OwnedSemaphorePermit) {
    let id = ConnectionId(gate.next_connection.fetch_add(1, Ordering::Relaxed));
    let (outgoing, incoming) = mpsc::channel(outgoing_max(&gate.limits));
    if gate
        .inputs
        .send(Input::Opened {
            connection: id,
            outgoing,
        })
        .await
        .is_err()
    {
        return;
    }
    let session = Session::new(rand::random(), origin, &gate.limits, gate.clock.now());
    let mut connection = Connection {
        gate,
        id,
        socket,
        session,
        incoming,
        heard: Instant::now(),
    };
    let end = connection.run().await;
    tracing::debug!(connection = id.0, ?end, "connection ends");
    // Told before the farewell, which may take a while: nothing more shall come.
    let _ = gate.inputs.send(Input::Closed { connection: id }).await;
    connection.say_goodbye(end).await;
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The client has gone, or its connection is broken.
    Gone,
    /// Nothing heard, or nothing taken, for too long.
    Unresponsive,
    /// A text frame.
    Text,
    /// It broke the protocol.
    Session(Ending),
    /// The relay is shutting down.
    Shutdown,
}

struct Connection<'a> {
    gate: &'a Gate,
    id: ConnectionId,
    socket: WebSocket,
    session: Session,
    incoming: mpsc::Receiver<Outgoing>,
    /// When the last frame of any kind came in.
    heard: Instant,
}

impl Connection<'_> {
    async fn run(&mut self) -> End {
        let challenge = self.session.challenge(self.gate.store_id);
        match self.converse(challenge).await {
            Ok(end) | Err(end) => end,
        }
    }

    async fn converse(&mut self, challenge: RelayReply) -> Result<End, End> {
        self.send(Message::Binary(challenge.write())).await?;
        let mut stop = self.gate.stop.subscribe();
        let mut flush_until: Option<Duration> =
            stop.borrow_and_update().then(|| self.flush_deadline());
        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if flush_until.is_some() && self.session.is_idle() {
                return Ok(End::Shutdown);
            }
            let clock = self.gate.clock;
            let may_read = self.session.has_room() && flush_until.is_none();
            tokio::select! {
                outgoing = self.incoming.recv() => match outgoing {
                    Some(outgoing) => self.write(outgoing).await?,
                    // The driver let this connection go.
                    None => return Err(End::Unresponsive),
                },
                message = self.socket.recv(), if may_read => self.handle_message(message).await?,
                _ = pings.tick() => self.ping(may_read).await?,
                () = clock.reach(self.session.poll_timeout()) => {
                    if let Some(ending) = self.session.handle_timeout(clock.now()) {
                        return Ok(End::Session(ending));
                    }
                }
                () = clock.reach(flush_until), if flush_until.is_some() => return Ok(End::Shutdown),
                _ = stop.changed(), if flush_until.is_none() => {
                    flush_until = Some(self.flush_deadline());
                }
            }
        }
    }

    fn flush_deadline(&self) -> Duration {
        self.gate.clock.now() + FLUSH_TIMEOUT
    }

    async fn handle_message(&mut self, message: Option<Result<Message, Error>>) -> Result<(), End> {
        self.heard = Instant::now();
        match message {
            Some(Ok(Message::Binary(frame))) => self.handle_frame(frame).await,
            Some(Ok(Message::Text(_))) => Err(End::Text),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
        }
    }

    async fn handle_frame(&mut self, frame: Bytes) -> Result<(), End> {
        match self.session.handle_frame(frame) {
            Step::Command { id, command } => {
                let input = Input::Command {
                    connection: self.id,
                    id,
                    command,
                };
                self.gate
                    .inputs
                    .send(input)
                    .await
                    .map_err(|_| End::Shutdown)
            }
            Step::Answer(reply) => self.send(Message::Binary(reply.write())).await,
            Step::End(ending, reply) => {
                if let Some(reply) = reply {
                    self.send(Message::Binary(reply.write())).await?;
                }
                Err(End::Session(ending))
            }
        }
    }

    /// Writes what the driver sent, and what else is there.
    async fn write(&mut self, first: Outgoing) -> Result<(), End> {
        let limit = self.gate.limits.write_timeout;
        let mut sent = Outbound::default();
        let mut next = Some(first);
        for _ in 0..WRITE_BURST {
            let Some(outgoing) = next.take().or_else(|| self.incoming.try_recv().ok()) else {
                break;
            };
            let frame = self.frame(outgoing, &mut sent);
            within(limit, self.socket.feed(frame)).await?;
        }
        within(limit, self.socket.flush()).await?;
        if sent != Outbound::default() {
            let input = Input::Sent {
                connection: self.id,
                sent,
            };
            self.gate
                .inputs
                .send(input)
                .await
                .map_err(|_| End::Shutdown)?;
        }
        Ok(())
    }

    fn frame(&mut self, outgoing: Outgoing, sent: &mut Outbound) -> Message {
        let reply = match outgoing {
            Outgoing::Answer { id, kind } => {
                self.session.handle_answer(id, &kind);
                RelayReply {
                    id,
                    kind: Some(kind),
                }
            }
            Outgoing::Push { reply, cost } => {
                sent.frames += cost.frames;
                sent.bytes += cost.bytes;
                reply
            }
        };
        Message::Binary(reply.write())
    }

    /// Silence counts only while the socket is read.
    async fn ping(&mut self, is_reading: bool) -> Result<(), End> {
        if !is_reading {
            self.heard = Instant::now();
        } else if self.heard.elapsed() > SILENCE_MAX {
            return Err(End::Unresponsive);
        }
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        within(self.gate.limits.write_timeout, self.socket.send(message)).await
    }

    async fn say_goodbye(mut self, end: End) {
        let (code, reason) = match end {
            End::Gone => return,
            End::Unresponsive => (close_code::POLICY, "too slow"),
            End::Text => (close_code::UNSUPPORTED, "frames are binary"),
            End::Session(ending) => (close_code::POLICY, ending.text()),
            End::Shutdown => (close_code::AWAY, "this relay is shutting down"),
        };
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // What the client still sends is taken and dropped until it has seen the close frame:
        // closing a socket with unread bytes would reset the connection under that frame.
        let farewell = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, farewell).await;
    }
}

/// A write, unless it takes too long.
async fn within(
    limit: Duration,
    write: impl Future<Output = Result<(), Error>>,
) -> Result<(), End> {
    match timeout(limit, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::Unresponsive),
    }
}
