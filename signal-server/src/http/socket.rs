//! One signaling WebSocket: a task between the socket, its [`Session`] and the hub.
//!
//! Text frames only. A peer that is gone without a word (half-open TCP) is found by pings; one
//! that does not read, by a write that does not get on. However the loop ends, the connection
//! leaves the hub, so its addresses go offline.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::SinkExt;
use std::time::Duration;
use tincan_protocol::limits::SIGNAL_MESSAGE_MAX;
use tincan_protocol::signal::{ServerMessage, SignalErrorCode, encode};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::clock::Clock;
use crate::config::SocketLimits;
use crate::driver::{Joined, Outgoing};
use crate::hub::{CloseReason, Session, Step, error};

/// How long a closed socket may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What is read at all, bytes. More than a message may have, because what is not read cannot be answered:
/// a connection that is closed with unread bytes is reset, and the answer is lost on the way.
pub(super) const READ_MAX: usize = 2 * SIGNAL_MESSAGE_MAX;

/// Frames written before the socket is flushed.
const BATCH: usize = 64;

/// Why a connection ends; tells how to say goodbye.
enum End {
    /// The other side is gone or says nothing any more.
    Gone,
    /// With a last message and a close code.
    Refused(ServerMessage, u16),
    /// The hub wants it closed; a last message, if any, has been sent.
    Closed(CloseReason),
}

/// Runs a connection to its end.
pub(super) async fn run(
    socket: WebSocket,
    session: Session,
    joined: Joined,
    limits: SocketLimits,
    clock: Clock,
) {
    let mut connection = Connection {
        socket,
        session,
        joined,
        limits,
        clock,
    };
    let end = connection.serve().await.err().unwrap_or(End::Gone);
    let Connection { socket, joined, .. } = connection;
    // Others are told first; the goodbye may take a moment.
    joined.leave().await;
    say_goodbye(socket, end).await;
}

struct Connection {
    socket: WebSocket,
    session: Session,
    joined: Joined,
    limits: SocketLimits,
    clock: Clock,
}

impl Connection {
    /// Returns only with a reason to end.
    async fn serve(&mut self) -> Result<(), End> {
        self.reply(&self.session.challenge()).await?;
        let mut ping = interval(self.limits.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let login_deadline = self.login_deadline();
            tokio::select! {
                outgoing = self.joined.outgoing.recv() => self.write(outgoing).await?,
                message = self.socket.recv() => {
                    heard = Instant::now();
                    self.read(message).await?;
                }
                _ = ping.tick() => {
                    if heard.elapsed() >= self.limits.silent_after {
                        return Err(End::Gone);
                    }
                    self.send(Message::Ping(Default::default())).await?;
                }
                () = sleep_until(login_deadline) => self.check_login()?,
            }
        }
    }

    async fn read(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let text = match message {
            Some(Ok(Message::Text(text))) if text.len() > SIGNAL_MESSAGE_MAX => {
                return Err(too_large());
            }
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => {
                let refusal = error(
                    SignalErrorCode::BadMessage,
                    "signaling messages are text frames",
                );
                return Err(End::Refused(refusal, close_code::UNSUPPORTED));
            }
            Some(Err(cause)) if is_too_large(&cause) => return Err(too_large()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        };
        match self
            .session
            .handle_text(text.as_str(), self.clock.now().since_start)
        {
            Step::Ask(request) => {
                self.joined.ask(request).await;
                Ok(())
            }
            Step::Reply(reply) => self.reply(&reply).await,
            Step::Refuse(refusal) => Err(End::Refused(refusal, close_code::POLICY)),
        }
    }

    /// Writes what waits, and reports how much that was.
    async fn write(&mut self, mut outgoing: Option<Outgoing>) -> Result<(), End> {
        let mut written = 0;
        for _ in 0..BATCH {
            match outgoing {
                Some(Outgoing::Text(text)) => {
                    written += text.len();
                    self.feed(Message::Text(text.into())).await?;
                }
                Some(Outgoing::Close(reason)) => return Err(End::Closed(reason)),
                None => return Err(End::Closed(CloseReason::ShuttingDown)),
            }
            match self.joined.outgoing.try_recv() {
                Ok(next) => outgoing = Some(next),
                Err(_) => break,
            }
        }
        self.flush().await?;
        self.joined.written(written).await;
        Ok(())
    }

    async fn reply(&mut self, message: &ServerMessage) -> Result<(), End> {
        match encode(message) {
            Ok(text) => self.send(Message::Text(text.into())).await,
            Err(_) => Ok(()),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        self.feed(message).await?;
        self.flush().await
    }

    async fn feed(&mut self, message: Message) -> Result<(), End> {
        in_time(self.limits.write_stall, self.socket.feed(message)).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        in_time(self.limits.write_stall, self.socket.flush()).await
    }

    /// Far away once logged in.
    fn login_deadline(&self) -> Instant {
        let deadline = self.session.poll_timeout();
        let wait = deadline.map(|deadline| deadline.saturating_sub(self.clock.now().since_start));
        Instant::now() + wait.unwrap_or(Duration::from_secs(3600))
    }

    fn check_login(&self) -> Result<(), End> {
        match self.session.handle_timeout(self.clock.now().since_start) {
            Some(refusal) => Err(End::Refused(refusal, close_code::POLICY)),
            None => Ok(()),
        }
    }
}

async fn in_time(
    limit: Duration,
    write: impl Future<Output = Result<(), axum::Error>>,
) -> Result<(), End> {
    match timeout(limit, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::Closed(CloseReason::SlowReader)),
    }
}

async fn say_goodbye(mut socket: WebSocket, end: End) {
    let (last, code, reason) = match end {
        End::Gone => return,
        End::Refused(message, code) => (encode(&message).ok(), code, "refused"),
        End::Closed(CloseReason::ShuttingDown) => (None, close_code::RESTART, "the server stops"),
        End::Closed(CloseReason::SlowReader) => (None, close_code::POLICY, "not reading"),
    };
    let goodbye = async {
        if let Some(last) = last {
            let _ = socket.feed(Message::Text(last.into())).await;
        }
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        };
        let _ = socket.send(Message::Close(Some(frame))).await;
        // Until the other side has answered: a socket closed with unread bytes is reset, and the
        // last message may be lost with it.
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let _ = timeout(GOODBYE, goodbye).await;
}

fn too_large() -> End {
    let refusal = error(
        SignalErrorCode::BadMessage,
        "signaling message is larger than 32 KiB",
    );
    End::Refused(refusal, close_code::SIZE)
}

/// Whether reading failed because a frame or message exceeds the limit.
fn is_too_large(cause: &axum::Error) -> bool {
    // The library's error type is not part of axum's interface, its text is all there is.
    std::error::Error::source(cause)
        .unwrap_or(cause)
        .to_string()
        .to_lowercase()
        .contains("too long")
}
