//! A signaling server: its real hub and sessions, without sockets.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tincan_protocol::origin::Origin;
use tincan_protocol::signal::{Nonce, encode};
use tincan_signal_server::hub::{Command, ConnectionId, Hub, HubLimits, Session, Step};

/// What the server sends to a connection, or that it ends it.
#[derive(Debug)]
pub(crate) enum ToClient {
    Text(u64, String),
    Close(u64),
}

/// Small queues, so that they have no room for a signal now and then: they hold two, and some news of contacts.
fn limits() -> HubLimits {
    let mut limits = HubLimits::default();
    (limits.queue_signal_bytes, limits.queue_bytes) = (2_500, 2_700);
    limits
}

/// Its machine: nothing of it outlives the process.
#[derive(Debug)]
pub(crate) struct Signaling {
    process: Option<Process>,
    rng: SmallRng,
}

#[derive(Debug)]
struct Process {
    hub: Hub,
    sessions: BTreeMap<u64, Session>,
    unread: Unread,
}

/// Invariant 9: what waits for each connection until its client has read it. As in the real server what the hub
/// sends counts, and a session's own answers do not.
#[derive(Debug)]
struct Unread {
    limit: usize,
    connections: BTreeMap<u64, Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Of each text in turn how many bytes count.
    texts: VecDeque<usize>,
    bytes: usize,
}

impl Signaling {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            process: None,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn start(&mut self) {
        let limits = limits();
        self.process = Some(Process {
            unread: Unread::new(limits.queue_bytes),
            hub: Hub::new(limits, None),
            sessions: BTreeMap::new(),
        });
    }

    pub(crate) fn crash(&mut self) {
        self.process = None;
    }

    pub(crate) fn open(&mut self, connection: u64, origin: Origin, now: Duration) -> Vec<ToClient> {
        let nonce = Nonce(self.rng.random());
        let Some(process) = &mut self.process else {
            return vec![ToClient::Close(connection)];
        };
        let session = Session::new(nonce, origin, &limits(), now);
        let challenge = encode(&session.challenge()).unwrap();
        process.sessions.insert(connection, session);
        process.hub.handle_connect(ConnectionId(connection));
        vec![process.unread.answer(connection, challenge)]
    }

    pub(crate) fn close(&mut self, connection: u64) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        process.sessions.remove(&connection);
        process.unread.connections.remove(&connection);
        process.hub.handle_disconnect(ConnectionId(connection));
        process.commands()
    }

    pub(crate) fn handle_text(
        &mut self,
        connection: u64,
        text: &str,
        now: Duration,
        unix_s: u64,
    ) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        let Some(session) = process.sessions.get_mut(&connection) else {
            return Vec::new();
        };
        match session.handle_text(text, now) {
            Step::Ask(request) => {
                let id = ConnectionId(connection);
                process.hub.handle_request(id, request, unix_s);
                process.commands()
            }
            Step::Reply(reply) => {
                vec![process.unread.answer(connection, encode(&reply).unwrap())]
            }
            Step::Refuse(reply) => {
                let mut all = vec![
                    process.unread.answer(connection, encode(&reply).unwrap()),
                    ToClient::Close(connection),
                ];
                all.extend(self.close(connection));
                all
            }
        }
    }

    /// A client has taken the next text.
    pub(crate) fn handle_written(&mut self, connection: u64) {
        if let Some(process) = &mut self.process {
            let bytes = process.unread.read(connection);
            process.hub.handle_written(ConnectionId(connection), bytes);
        }
    }
}

impl Process {
    fn commands(&mut self) -> Vec<ToClient> {
        let mut all = Vec::new();
        while let Some(command) = self.hub.poll_command() {
            all.push(match command {
                Command::Send { connection, text } => {
                    self.unread.wait(connection.0, text.len());
                    ToClient::Text(connection.0, text)
                }
                Command::Close { connection, .. } => {
                    self.sessions.remove(&connection.0);
                    self.unread.connections.remove(&connection.0);
                    ToClient::Close(connection.0)
                }
            });
        }
        all
    }
}

impl Unread {
    const fn new(limit: usize) -> Self {
        Self {
            limit,
            connections: BTreeMap::new(),
        }
    }

    /// A session's own answer.
    fn answer(&mut self, connection: u64, text: String) -> ToClient {
        let waiting = self.connections.entry(connection).or_default();
        waiting.texts.push_back(0);
        ToClient::Text(connection, text)
    }

    /// A text of the hub.
    fn wait(&mut self, connection: u64, bytes: usize) {
        let waiting = self.connections.entry(connection).or_default();
        waiting.texts.push_back(bytes);
        waiting.bytes += bytes;
        assert!(
            waiting.bytes <= self.limit,
            "9: {} bytes wait for a connection of the signaling server",
            waiting.bytes
        );
    }

    /// How much of the next text counts.
    fn read(&mut self, connection: u64) -> usize {
        let Some(waiting) = self.connections.get_mut(&connection) else {
            return 0;
        };
        let bytes = waiting.texts.pop_front().unwrap_or(0);
        waiting.bytes -= bytes;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_does_not_wait() {
        let mut unread = Unread::new(100);
        for _ in 0..3 {
            unread.answer(1, String::new());
            unread.wait(1, 100);
            assert_eq!([unread.read(1), unread.read(1)], [0, 100]);
        }
    }

    #[test]
    #[should_panic(expected = "9: 120 bytes wait for a connection")]
    fn more_waits_for_a_connection_than_may() {
        let mut unread = Unread::new(100);
        unread.wait(1, 60);
        unread.wait(2, 60);
        unread.wait(1, 60);
    }
}
