//! A signaling server: its real hub and sessions, without sockets.

use std::collections::BTreeMap;
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
        self.process = Some(Process {
            hub: Hub::new(HubLimits::default(), None),
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
        let session = Session::new(nonce, origin, &HubLimits::default(), now);
        let challenge = encode(&session.challenge()).unwrap();
        process.sessions.insert(connection, session);
        process.hub.handle_connect(ConnectionId(connection));
        vec![ToClient::Text(connection, challenge)]
    }

    pub(crate) fn close(&mut self, connection: u64) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        process.sessions.remove(&connection);
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
            Step::Reply(reply) => vec![ToClient::Text(connection, encode(&reply).unwrap())],
            Step::Refuse(reply) => {
                let mut all = vec![
                    ToClient::Text(connection, encode(&reply).unwrap()),
                    ToClient::Close(connection),
                ];
                all.extend(self.close(connection));
                all
            }
        }
    }

    /// A client has taken this much.
    pub(crate) fn handle_written(&mut self, connection: u64, bytes: usize) {
        if let Some(process) = &mut self.process {
            process.hub.handle_written(ConnectionId(connection), bytes);
        }
    }
}

impl Process {
    fn commands(&mut self) -> Vec<ToClient> {
        let mut all = Vec::new();
        while let Some(command) = self.hub.poll_command() {
            all.push(match command {
                Command::Send { connection, text } => ToClient::Text(connection.0, text),
                Command::Close { connection, .. } => {
                    self.sessions.remove(&connection.0);
                    ToClient::Close(connection.0)
                }
            });
        }
        all
    }
}
