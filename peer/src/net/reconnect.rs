//! A connection that is made again whenever it is lost, after a wait: exponential backoff with
//! jitter over the whole upper half, so that a restarted server is not met by all its clients at
//! once.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Client, ClientOutput, Frame};
use super::handle::Dial;
use super::own_address;
use super::socket::{self, Connected, DEAD_AFTER, Lost, PING_AFTER, Socket};
use crate::driver::InputSender;

/// First wait. Chosen: short, because most losses are a restart of the server.
pub const RETRY_FIRST: Duration = Duration::from_millis(250);

/// Longest wait. Chosen: a laptop that wakes up is back within half a minute in the worst case.
pub const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// A connection that lived this long starts the waits over.
pub const STABLE: Duration = Duration::from_secs(10);

/// Nobody wants the connection any more.
struct Unwanted;

/// How a wait has ended.
enum Wait {
    IsOver,
    EndedByNewAddress,
}

/// Connects again and again, until nobody wants it any more.
pub(super) async fn keep_connected<C: Client>(
    dial: Dial,
    mut client: C,
    mut commands: mpsc::Receiver<C::Command>,
    driver: InputSender,
) {
    let mut waits = Waits::default();
    loop {
        let began = Instant::now();
        let lost = match socket::connect(&dial, C::ENDPOINT, C::MESSAGE_MAX).await {
            Ok(Connected {
                socket,
                own,
                incoming,
            }) => tokio::select! {
                lost = speak(socket, &incoming, &mut client, &mut commands, &driver) => lost,
                () = own_address::gone(own) => Lost::new("this machine has another address now"),
            },
            Err(lost) => lost,
        };
        tracing::debug!(server = %dial.server, endpoint = C::ENDPOINT, %lost, "connection ended");
        client.handle_lost(lost);
        let wait = waits.next(began.elapsed());
        match wait_offline(wait, &mut client, &mut commands, &driver).await {
            Ok(Wait::IsOver) => {}
            Ok(Wait::EndedByNewAddress) => waits = Waits::default(),
            Err(Unwanted) => return,
        }
    }
}

/// Takes commands while there is no connection.
async fn wait_offline<C: Client>(
    wait: Duration,
    client: &mut C,
    commands: &mut mpsc::Receiver<C::Command>,
    driver: &InputSender,
) -> Result<Wait, Unwanted> {
    let retry = tokio::time::sleep(wait);
    let changed = own_address::changed();
    tokio::pin!(retry, changed);
    loop {
        while let Some(output) = client.poll_output() {
            if let ClientOutput::Tell(input) = output {
                driver.send(input).await.map_err(|_| Unwanted)?;
            }
        }
        tokio::select! {
            () = &mut retry => return Ok(Wait::IsOver),
            () = &mut changed => return Ok(Wait::EndedByNewAddress),
            command = commands.recv() => {
                let command = command.ok_or(Unwanted)?;
                // Without a connection there is none that could be lost.
                let _ = client.handle_command(command, Duration::ZERO);
            }
        }
    }
}

/// Speaks with the server until the connection is lost.
async fn speak<C: Client>(
    mut socket: Socket,
    incoming: &AtomicU64,
    client: &mut C,
    commands: &mut mpsc::Receiver<C::Command>,
    driver: &InputSender,
) -> Lost {
    let began = Instant::now();
    let mut line = Line::new(began);
    let mut ping = tokio::time::interval(PING_AFTER);
    client.handle_connected();
    loop {
        let wake = client.poll_timeout();
        let wake_at = began + wake.unwrap_or(DEAD_AFTER);
        let step = tokio::select! {
            message = socket.next() => {
                match message {
                    Some(Ok(message)) => handle_message(message, client, began.elapsed()),
                    Some(Err(error)) => Err(Lost::new(error)),
                    None => Err(Lost::new("the server closed the connection")),
                }
            }
            command = commands.recv(), if client.takes_commands() => match command {
                Some(command) => client.handle_command(command, began.elapsed()),
                None => Err(Lost::new("no longer needed")),
            },
            () = tokio::time::sleep_until(wake_at), if wake.is_some() => {
                client.handle_timeout(began.elapsed())
            }
            _ = ping.tick() => {
                if line.is_dead(incoming.load(Ordering::Relaxed), Instant::now()) {
                    Err(Lost::new("the server is silent"))
                } else {
                    let sent = write(&mut socket, Message::Ping(Bytes::new()), DEAD_AFTER).await;
                    sent.and_then(|()| client.handle_timeout(began.elapsed()))
                }
            }
        };
        if let Err(lost) = step {
            return lost;
        }
        if let Err(lost) = let_out(&mut socket, client, driver).await {
            return lost;
        }
    }
}

/// Whether something comes in: also of a message that takes longer than a connection may be silent, on a slow
/// line, and behind which the answers to pings are.
struct Line {
    incoming: u64,
    heard: Instant,
}

impl Line {
    const fn new(now: Instant) -> Self {
        Self {
            incoming: 0,
            heard: now,
        }
    }

    /// `incoming`: bytes that have come in.
    fn is_dead(&mut self, incoming: u64, now: Instant) -> bool {
        if incoming != self.incoming {
            *self = Self {
                incoming,
                heard: now,
            };
        }
        now.duration_since(self.heard) > DEAD_AFTER
    }
}

fn handle_message<C: Client>(message: Message, client: &mut C, now: Duration) -> Result<(), Lost> {
    match message {
        Message::Text(text) => client.handle_frame(Frame::Text(text.as_str().to_owned()), now),
        Message::Binary(bytes) => client.handle_frame(Frame::Binary(bytes), now),
        Message::Close(_) => Err(Lost::new("the server closed the connection")),
        _ => Ok(()),
    }
}

/// Waits where the socket or the driver is busy: that closes the connection's window.
async fn let_out<C: Client>(
    socket: &mut Socket,
    client: &mut C,
    driver: &InputSender,
) -> Result<(), Lost> {
    while let Some(output) = client.poll_output() {
        match output {
            ClientOutput::Send(frame) => {
                let message = match frame {
                    Frame::Text(text) => Message::Text(text.into()),
                    Frame::Binary(bytes) => Message::Binary(bytes),
                };
                write(socket, message, DEAD_AFTER).await?;
            }
            ClientOutput::Tell(input) => {
                let told = driver.send(input).await;
                told.map_err(|_| Lost::new("shutting down"))?;
            }
        }
    }
    Ok(())
}

/// A server that takes nothing for so long is as dead as one that says nothing: what it says is not read
/// meanwhile, and what is asked of it has no answer.
async fn write<S>(socket: &mut S, message: Message, limit: Duration) -> Result<(), Lost>
where
    S: Sink<Message, Error: Display> + Unpin,
{
    match tokio::time::timeout(limit, socket.send(message)).await {
        Ok(sent) => sent.map_err(Lost::new),
        Err(_) => Err(Lost::new("the server takes nothing")),
    }
}

#[derive(Debug, Default)]
struct Waits {
    failures: u32,
}

impl Waits {
    /// The wait after a connection that lived for `lived`.
    fn next(&mut self, lived: Duration) -> Duration {
        if lived >= STABLE {
            self.failures = 0;
        }
        let wait = RETRY_FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(RETRY_LONGEST);
        self.failures = self.failures.saturating_add(1);
        wait / 2 + wait.mul_f64(rand::random::<f64>() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::sink;

    /// It waited for as long as the kernel did: a quarter of an hour, or for ever.
    #[tokio::test]
    async fn regression_a_server_that_takes_nothing_is_given_up() {
        let mut stuck = Box::pin(sink::unfold((), |(), _: Message| {
            std::future::pending::<Result<(), Lost>>()
        }));
        let limit = Duration::from_millis(10);
        let written = write(&mut stuck, Message::Ping(Bytes::new()), limit).await;
        assert_eq!(written, Err(Lost::new("the server takes nothing")));
    }

    #[test]
    fn waits_double_to_the_longest_and_start_over_after_a_stable_connection() {
        let mut all = Waits::default();
        let waits: Vec<_> = (0..20).map(|_| all.next(Duration::ZERO)).collect();
        assert!(waits[0] <= RETRY_FIRST && waits[0] >= RETRY_FIRST / 2);
        assert!(waits.iter().all(|wait| *wait <= RETRY_LONGEST));
        assert!(waits[19] >= RETRY_LONGEST / 2);
        assert!(all.next(STABLE) <= RETRY_FIRST);
    }

    /// It was, and came again on the next connection, and what was behind it never did.
    #[test]
    fn regression_a_long_message_on_a_slow_line_is_no_silence() {
        let mut now = Instant::now();
        let mut line = Line::new(now);
        for incoming in 1..10 {
            now += PING_AFTER;
            assert!(!line.is_dead(incoming, now));
        }
        now += DEAD_AFTER;
        assert!(!line.is_dead(9, now));
        now += Duration::from_millis(1);
        assert!(line.is_dead(9, now));
    }
}
