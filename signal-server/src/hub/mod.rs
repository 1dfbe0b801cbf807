//! Who holds which address, who watches whom, and what goes to whom: no I/O and no clock.
//!
//! Requests of connections go in ([`Hub::handle_request`]), commands come out
//! ([`Hub::poll_command`]) in one ordered stream. What one connection can be judged by alone is
//! [`Session`]'s.
//!
//! Invariants: an address has at most one holder, the newest connection that proved it; a signal
//! is handed only to the holder of its `to` and its `from` is held by its sender; unknown and
//! offline addresses are answered alike; a watcher that has been answered knows the current state
//! or a command that tells it is on its way; what waits for a connection stays below
//! [`HubLimits::queue_bytes`]. Iteration order is that of the addresses, so runs can be repeated.

mod limits;
mod proven;
mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tincan_protocol::SignalAddress;
use tincan_protocol::signal::{Opaque, ServerMessage, SignalErrorCode, encode};

pub use self::limits::HubLimits;
pub use self::proven::Proven;
pub(crate) use self::session::error;
use self::session::rate_limited;
pub use self::session::{Request, Session, Step};
use crate::credentials::Issuer;

/// How long a sender is told to wait whose recipient's queue is full of signals.
const FULL_QUEUE_WAIT: Duration = Duration::from_secs(1);

/// How long clients of a stopping server are told to wait: the time a restart takes.
const SHUTDOWN_WAIT_MS: u64 = 2000;

/// A connection; numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send a text frame, and report its length with [`Hub::handle_written`] once the socket has
    /// taken it.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// The frame.
        text: String,
    },
    /// Close the connection after what has been sent to it. The hub has forgotten it.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
}

/// Why the hub ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// It does not read what it is sent.
    SlowReader,
    /// The server stops.
    ShuttingDown,
}

/// Who holds which address, and who watches whom.
#[derive(Debug)]
pub struct Hub {
    limits: HubLimits,
    issuer: Option<Issuer>,
    connections: BTreeMap<ConnectionId, Connection>,
    addresses: BTreeMap<SignalAddress, Entry>,
    commands: VecDeque<Command>,
    /// Connections whose queue has overflown; closed before the current input is done.
    overflown: Vec<ConnectionId>,
}

#[derive(Debug, Default)]
struct Connection {
    held: BTreeSet<SignalAddress>,
    watched: BTreeSet<SignalAddress>,
    queued: usize,
}

/// An address that somebody holds or watches.
#[derive(Debug, Default)]
struct Entry {
    holder: Option<ConnectionId>,
    watchers: BTreeSet<ConnectionId>,
}

impl Hub {
    /// An empty hub; with an issuer, connections that log in get TURN credentials.
    #[must_use]
    pub fn new(limits: HubLimits, issuer: Option<Issuer>) -> Self {
        Self {
            limits,
            issuer,
            connections: BTreeMap::new(),
            addresses: BTreeMap::new(),
            commands: VecDeque::new(),
            overflown: Vec::new(),
        }
    }

    /// A connection has been made.
    pub fn handle_connect(&mut self, connection: ConnectionId) {
        self.connections.entry(connection).or_default();
    }

    /// A connection is gone.
    pub fn handle_disconnect(&mut self, connection: ConnectionId) {
        self.forget(connection);
        self.close_overflown();
    }

    /// The connection's socket has taken this many bytes of what it was sent.
    pub fn handle_written(&mut self, connection: ConnectionId, bytes: usize) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.queued = connection.queued.saturating_sub(bytes);
        }
    }

    /// A connection asks for something. `unix_s` dates TURN credentials.
    pub fn handle_request(&mut self, connection: ConnectionId, request: Request, unix_s: u64) {
        if !self.connections.contains_key(&connection) {
            return;
        }
        match request {
            Request::Login(proven) => self.log_in(connection, &proven, unix_s),
            Request::Logout(address) => self.log_out(connection, address),
            Request::Signal { to, from, body } => self.signal(connection, to, from, body),
            Request::Watch(addresses) => self.watch(connection, &addresses),
            Request::Unwatch(addresses) => addresses
                .iter()
                .for_each(|address| self.unwatch(connection, address)),
            Request::Turn => self.issue(connection, unix_s),
        }
        self.close_overflown();
    }

    /// The server stops: tells everybody and closes.
    pub fn handle_shutdown(&mut self) {
        let text = "the server is about to stop".to_owned();
        let message = ServerMessage::Error {
            code: SignalErrorCode::ShuttingDown,
            text,
            retry_after_ms: Some(SHUTDOWN_WAIT_MS),
        };
        let connections: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for connection in connections {
            self.send(connection, &message);
            self.commands.push_back(Command::Close {
                connection,
                reason: CloseReason::ShuttingDown,
            });
        }
        // Nobody is left to be told of the others' going.
        self.connections.clear();
        self.addresses.clear();
        self.overflown.clear();
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn log_in(&mut self, connection: ConnectionId, proven: &Proven, unix_s: u64) {
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        let addresses = proven.addresses();
        let new: BTreeSet<SignalAddress> = addresses
            .iter()
            .filter(|it| !state.held.contains(it))
            .copied()
            .collect();
        if state.held.len() + new.len() > self.limits.addresses {
            let text = format!(
                "a connection holds at most {} addresses",
                self.limits.addresses
            );
            return self.send(connection, &error(SignalErrorCode::TooMany, &text));
        }
        state.held.extend(&new);
        for address in new {
            self.hand_over(address, connection);
        }
        let turn = self
            .issuer
            .as_ref()
            .zip(addresses.first())
            .map(|(issuer, address)| issuer.issue(address, unix_s));
        self.send(
            connection,
            &ServerMessage::Welcome {
                addresses: addresses.to_vec(),
                turn,
            },
        );
    }

    /// Makes a connection the holder of an address, and tells who held it before.
    fn hand_over(&mut self, address: SignalAddress, connection: ConnectionId) {
        let before = self
            .addresses
            .entry(address)
            .or_default()
            .holder
            .replace(connection);
        let Some(before) = before else {
            return self.tell_watchers(&address, true);
        };
        if let Some(state) = self.connections.get_mut(&before) {
            state.held.remove(&address);
        }
        self.send(before, &ServerMessage::Displaced { address });
    }

    fn log_out(&mut self, connection: ConnectionId, address: SignalAddress) {
        let held = self
            .connections
            .get_mut(&connection)
            .is_some_and(|state| state.held.remove(&address));
        if held {
            self.vacate(address);
        }
    }

    /// Nobody holds the address any more.
    fn vacate(&mut self, address: SignalAddress) {
        if let Some(entry) = self.addresses.get_mut(&address) {
            entry.holder = None;
        }
        self.tell_watchers(&address, false);
        self.drop_if_unused(&address);
    }

    fn signal(
        &mut self,
        connection: ConnectionId,
        to: SignalAddress,
        from: SignalAddress,
        body: Opaque,
    ) {
        if !self
            .connections
            .get(&connection)
            .is_some_and(|state| state.held.contains(&from))
        {
            let text = "`from` is not an address of this connection";
            return self.send(connection, &error(SignalErrorCode::Unauthorized, text));
        }
        let Some(recipient) = self.addresses.get(&to).and_then(|entry| entry.holder) else {
            return;
        };
        let Ok(text) = encode(&ServerMessage::Signal { to, from, body }) else {
            return;
        };
        let queued = self
            .connections
            .get(&recipient)
            .map_or(0, |state| state.queued);
        if queued + text.len() > self.limits.queue_signal_bytes {
            return self.send(connection, &rate_limited(FULL_QUEUE_WAIT));
        }
        self.send_text(recipient, text);
    }

    fn watch(&mut self, connection: ConnectionId, addresses: &[SignalAddress]) {
        for address in addresses {
            let Some(state) = self.connections.get_mut(&connection) else {
                return;
            };
            let entry = self.addresses.entry(*address).or_default();
            let is_new = !state.watched.contains(address);
            if is_new
                && (state.watched.len() >= self.limits.watches
                    || entry.watchers.len() >= self.limits.watchers)
            {
                self.drop_if_unused(address);
                let text = format!("{address} cannot be watched: too many watches");
                self.send(connection, &error(SignalErrorCode::TooMany, &text));
                continue;
            }
            state.watched.insert(*address);
            entry.watchers.insert(connection);
            let online = entry.holder.is_some();
            self.send(
                connection,
                &ServerMessage::Presence {
                    address: *address,
                    online,
                },
            );
        }
    }

    fn unwatch(&mut self, connection: ConnectionId, address: &SignalAddress) {
        if let Some(state) = self.connections.get_mut(&connection) {
            state.watched.remove(address);
        }
        if let Some(entry) = self.addresses.get_mut(address) {
            entry.watchers.remove(&connection);
        }
        self.drop_if_unused(address);
    }

    fn issue(&mut self, connection: ConnectionId, unix_s: u64) {
        let address = self
            .connections
            .get(&connection)
            .and_then(|state| state.held.first().copied());
        let Some(address) = address else {
            let text = "TURN credentials are for connections that hold an address";
            return self.send(connection, &error(SignalErrorCode::Unauthorized, text));
        };
        let turn = self
            .issuer
            .as_ref()
            .map(|issuer| issuer.issue(&address, unix_s));
        self.send(connection, &ServerMessage::Turn { turn });
    }

    fn tell_watchers(&mut self, address: &SignalAddress, online: bool) {
        let watchers = self
            .addresses
            .get(address)
            .map(|entry| entry.watchers.clone())
            .unwrap_or_default();
        for watcher in watchers {
            self.send(
                watcher,
                &ServerMessage::Presence {
                    address: *address,
                    online,
                },
            );
        }
    }

    fn send(&mut self, connection: ConnectionId, message: &ServerMessage) {
        // The largest of these, a welcome of a hundred addresses, has below 6 KiB.
        if let Ok(text) = encode(message) {
            self.send_text(connection, text);
        }
    }

    fn send_text(&mut self, connection: ConnectionId, text: String) {
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        if state.queued + text.len() > self.limits.queue_bytes {
            self.overflown.push(connection);
            return;
        }
        state.queued += text.len();
        self.commands.push_back(Command::Send { connection, text });
    }

    /// Closing one tells its watchers, which may be too much for one of them, and so on.
    fn close_overflown(&mut self) {
        while let Some(connection) = self.overflown.pop() {
            if self.connections.contains_key(&connection) {
                self.commands.push_back(Command::Close {
                    connection,
                    reason: CloseReason::SlowReader,
                });
                self.forget(connection);
            }
        }
    }

    fn forget(&mut self, connection: ConnectionId) {
        let Some(state) = self.connections.remove(&connection) else {
            return;
        };
        for address in &state.watched {
            if let Some(entry) = self.addresses.get_mut(address) {
                entry.watchers.remove(&connection);
            }
            self.drop_if_unused(address);
        }
        state
            .held
            .into_iter()
            .for_each(|address| self.vacate(address));
    }

    fn drop_if_unused(&mut self, address: &SignalAddress) {
        if self
            .addresses
            .get(address)
            .is_some_and(|entry| entry.holder.is_none() && entry.watchers.is_empty())
        {
            self.addresses.remove(address);
        }
    }
}

#[cfg(test)]
mod tests;
