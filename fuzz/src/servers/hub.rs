//! Connections before a signaling server.

use std::collections::BTreeMap;
use std::time::Duration;

use tincan_protocol::SignalAddress;
use tincan_protocol::keys::AddressKey;
use tincan_protocol::limits::SIGNAL_MESSAGE_MAX;
use tincan_protocol::origin::Origin;
use tincan_protocol::signal::{
    ClientMessage, Nonce, Opaque, ServerMessage, SignalErrorCode, decode, encode, prove_login,
};
use tincan_signal_server::hub::{
    Command, ConnectionId, Hub, HubLimits, Request, Session, Step as Answer,
};

use super::names::NOW_S;
use crate::script::{self, Script};

/// Connections at a time.
const CONNECTIONS: u8 = 3;

/// Different addresses.
const ADDRESSES: u8 = 4;

/// Steps of one input.
const STEPS_MAX: usize = 200;

/// One kind of step; a script names one by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Any text.
    Text,
    /// A login with a right or a wrong proof.
    Login,
    Signal,
    Watch,
    Unwatch,
    Logout,
    Turn,
    /// The socket has taken what it was sent.
    Written,
    Reconnect,
    /// Time passes.
    Pause,
}

const STEPS: [Step; 10] = [
    Step::Text,
    Step::Login,
    Step::Signal,
    Step::Watch,
    Step::Unwatch,
    Step::Logout,
    Step::Turn,
    Step::Written,
    Step::Reconnect,
    Step::Pause,
];

/// Three connections and the hub behind them, with small limits.
pub fn signal_session(data: &[u8]) {
    let mut world = World::new();
    script::play(data, &STEPS, STEPS_MAX, |step, script| {
        let at = script.byte() % CONNECTIONS;
        world.play(step, at, script);
    });
}

struct World {
    limits: HubLimits,
    hub: Hub,
    connections: Vec<Connection>,
    /// Who holds an address: the newest connection that proved it.
    holders: BTreeMap<SignalAddress, ConnectionId>,
    next: u64,
    now: Duration,
}

struct Connection {
    id: ConnectionId,
    nonce: Nonce,
    session: Session,
    /// Lengths of what was sent to it and not taken by its socket.
    queued: Vec<usize>,
    proved: bool,
}

fn origin() -> Origin {
    Origin::from_host_header("chat.example.org")
}

pub(crate) fn key(script: &mut Script<'_>) -> AddressKey {
    AddressKey::from_seed(&[script.byte() % ADDRESSES + 1; 32])
}

fn addresses(script: &mut Script<'_>) -> Vec<SignalAddress> {
    (0..=script.byte() % 4)
        .map(|_| key(script).address())
        .collect()
}

impl World {
    fn new() -> Self {
        let mut limits = HubLimits::default();
        limits.addresses = 2;
        limits.watches = 2;
        limits.watchers = 2;
        limits.queue_bytes = 4096;
        limits.queue_signal_bytes = 2048;
        let mut world = Self {
            hub: Hub::new(limits.clone(), None),
            limits,
            connections: Vec::new(),
            holders: BTreeMap::new(),
            next: 0,
            now: Duration::ZERO,
        };
        for _ in 0..CONNECTIONS {
            let connection = world.connect();
            world.connections.push(connection);
        }
        world
    }

    fn connect(&mut self) -> Connection {
        self.next += 1;
        let id = ConnectionId(self.next);
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&self.next.to_be_bytes());
        let nonce = Nonce(nonce);
        self.hub.handle_connect(id);
        Connection {
            id,
            nonce,
            session: Session::new(nonce, origin(), &self.limits, self.now),
            queued: Vec::new(),
            proved: false,
        }
    }

    fn play(&mut self, step: Step, at: u8, script: &mut Script<'_>) {
        let message = match step {
            Step::Text => return self.text(at, &script.text()),
            Step::Login => {
                let nonce = self.at(at).nonce;
                let proofs = (0..=script.byte() % 3).map(|_| {
                    let key = key(script);
                    let nonce = if script.byte() == 255 {
                        Nonce([0; 32])
                    } else {
                        nonce
                    };
                    prove_login(&key, &nonce, &origin())
                });
                ClientMessage::Login {
                    addresses: proofs.collect(),
                }
            }
            Step::Signal => ClientMessage::Signal {
                to: key(script).address(),
                from: key(script).address(),
                body: Opaque(script.chunk().to_vec()),
            },
            Step::Watch => ClientMessage::Watch {
                addresses: addresses(script),
            },
            Step::Unwatch => ClientMessage::Unwatch {
                addresses: addresses(script),
            },
            Step::Logout => ClientMessage::Logout {
                address: key(script).address(),
            },
            Step::Turn => ClientMessage::Turn,
            Step::Written => {
                let connection = self.at(at);
                let id = connection.id;
                for bytes in std::mem::take(&mut connection.queued) {
                    self.hub.handle_written(id, bytes);
                }
                return;
            }
            Step::Reconnect => return self.reconnect(at),
            Step::Pause => {
                self.now += Duration::from_millis(script.number().min(100_000));
                let now = self.now;
                let connection = self.at(at);
                let late = connection.session.handle_timeout(now).is_some();
                assert!(!late || !connection.proved, "sent away after its login");
                return;
            }
        };
        if let Ok(text) = encode(&message) {
            self.text(at, &text);
        }
    }

    fn at(&mut self, at: u8) -> &mut Connection {
        &mut self.connections[usize::from(at)]
    }

    fn reconnect(&mut self, at: u8) {
        let id = self.at(at).id;
        self.hub.handle_disconnect(id);
        self.forget(id);
        *self.at(at) = self.connect();
        self.take_commands();
    }

    fn forget(&mut self, id: ConnectionId) {
        self.holders.retain(|_, holder| *holder != id);
    }

    fn text(&mut self, at: u8, text: &str) {
        let now = self.now;
        let connection = self.at(at);
        let id = connection.id;
        match connection.session.handle_text(text, now) {
            Answer::Ask(request) => {
                if let Request::Login(proven) = &request {
                    assert!(!proven.addresses().is_empty());
                    connection.proved = true;
                }
                assert!(connection.proved, "asked before a login: {request:?}");
                self.ask(id, request);
            }
            Answer::Reply(message) => {
                assert!(encode(&message).is_ok());
            }
            Answer::Refuse(message) => {
                let ServerMessage::Error { code, .. } = &message else {
                    panic!("refused with {message:?}");
                };
                assert_eq!(*code, SignalErrorCode::BadMessage);
                // What an error repeats of a text must not make it larger than a message may be.
                assert!(encode(&message).unwrap().len() <= text.len() * 6 + 1024);
                self.reconnect(at);
            }
        }
    }

    fn ask(&mut self, id: ConnectionId, request: Request) {
        let before = self.holders.clone();
        match &request {
            Request::Login(proven) => {
                let held = before.values().filter(|holder| **holder == id).count();
                let mut new: Vec<_> = proven.addresses().to_vec();
                new.sort_unstable();
                new.dedup();
                new.retain(|address| before.get(address) != Some(&id));
                if held + new.len() <= self.limits.addresses {
                    self.holders
                        .extend(new.into_iter().map(|address| (address, id)));
                }
            }
            Request::Logout(address) if before.get(address) == Some(&id) => {
                self.holders.remove(address);
            }
            _ => {}
        }
        self.hub.handle_request(id, request.clone(), NOW_S);
        self.take_commands_of(&request, id);
    }

    fn take_commands(&mut self) {
        while let Some(command) = self.hub.poll_command() {
            self.take(command);
        }
    }

    fn take_commands_of(&mut self, request: &Request, asker: ConnectionId) {
        while let Some(command) = self.hub.poll_command() {
            if let Command::Send { connection, text } = &command
                && let Ok(ServerMessage::Signal { to, from, body }) = decode(text)
            {
                assert_eq!(self.holders.get(&to), Some(connection), "not the holder's");
                assert_eq!(self.holders.get(&from), Some(&asker), "in another's name");
                assert_eq!(*request, Request::Signal { to, from, body });
            }
            self.take(command);
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Send { connection, text } => {
                assert!(text.len() <= SIGNAL_MESSAGE_MAX);
                decode::<ServerMessage>(&text).unwrap();
                let mut all = self.connections.iter_mut();
                if let Some(to) = all.find(|it| it.id == connection) {
                    to.queued.push(text.len());
                    let queued: usize = to.queued.iter().sum();
                    assert!(queued <= self.limits.queue_bytes);
                }
            }
            Command::Close { connection, .. } => {
                self.forget(connection);
                let at = self.connections.iter().position(|it| it.id == connection);
                if let Some(at) = at {
                    self.connections[at] = self.connect();
                }
            }
        }
    }
}
