//! The conversation with one signaling server: the own addresses there, others' presence, sealed
//! signals.

use std::collections::VecDeque;
use std::time::Duration;

use tincan_protocol::SignalAddress;
use tincan_protocol::keys::AddressKey;
use tincan_protocol::limits::{LOGIN_PROOFS_MAX, SIGNAL_MESSAGE_MAX};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::signal::{self, ClientMessage, Nonce, Opaque, ServerMessage, TurnCredentials};

use super::{SignalCommand, SignalEvent};
use crate::driver::Input;
use crate::net::client::{ANSWER_TIMEOUT, Client, ClientOutput, Frame};
use crate::net::socket::Lost;

/// Commands that may wait for the connection; signals beyond it are dropped, and a link attempt
/// that misses one starts over.
const COMMANDS: usize = 1024;

/// A server that has complained so often on one connection is left: each complaint is a line of the log.
const COMPLAINTS_MAX: u32 = 64;

/// TURN credentials are renewed when half of their life is over.
const TURN_RENEWAL: f64 = 0.5;

/// What a server may claim as the life of its credentials, seconds: shorter would be a flood of
/// renewals, longer is no credential of ours.
const TURN_LIFE_MIN_S: u64 = 60;
const TURN_LIFE_MAX_S: u64 = 86_400;

/// See the module.
#[derive(Debug)]
pub struct SignalClient {
    server: ServerUrl,
    number: u64,
    wanted: Wanted,
    connection: Option<Connection>,
    outputs: VecDeque<ClientOutput>,
}

/// What should hold at the server, on this connection and the next.
#[derive(Debug, Default)]
struct Wanted {
    addresses: Vec<AddressKey>,
    watched: Vec<SignalAddress>,
}

/// What ends with the connection.
#[derive(Debug, Default)]
struct Connection {
    /// The server's challenge.
    nonce: Option<Nonce>,
    held: Vec<SignalAddress>,
    watched: Vec<SignalAddress>,
    renew_turn_at: Option<Duration>,
    /// Since when it owes the welcome.
    login_since: Option<Duration>,
    complaints: u32,
    /// When it was last called.
    now: Duration,
}

impl SignalClient {
    /// Without a connection; all that comes of it carries the `number`.
    #[must_use]
    pub fn new(server: ServerUrl, number: u64) -> Self {
        Self {
            server,
            number,
            wanted: Wanted::default(),
            connection: None,
            outputs: VecDeque::new(),
        }
    }

    fn log_in(&mut self) -> Result<(), Lost> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        for message in connection.login(&self.wanted.addresses, &self.server) {
            self.send(&message)?;
        }
        Ok(())
    }

    fn watch(&mut self) -> Result<(), Lost> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        for message in connection.watches(&self.wanted.watched) {
            self.send(&message)?;
        }
        Ok(())
    }

    fn handle_message(&mut self, message: ServerMessage) -> Result<(), Lost> {
        let is_challenged = self
            .connection
            .as_ref()
            .is_some_and(|open| open.nonce.is_some());
        let is_challenge = matches!(message, ServerMessage::Challenge { .. });
        // It comes first, and once.
        if is_challenged == is_challenge {
            return Err(Lost::new(
                "the server does not keep to the order of a login",
            ));
        }
        match message {
            ServerMessage::Challenge { nonce, version } => {
                if version != signal::SIGNAL_VERSION {
                    return Err(Lost::new(format_args!(
                        "the server speaks signaling version {version}"
                    )));
                }
                if let Some(connection) = &mut self.connection {
                    connection.nonce = Some(nonce);
                }
                if self.wanted.addresses.is_empty() {
                    // There is nobody to be there for yet, so no welcome will come.
                    self.tell(SignalEvent::Up);
                }
                return self.log_in();
            }
            ServerMessage::Welcome { turn, .. } => {
                if let Some(connection) = &mut self.connection {
                    connection.login_since = None;
                }
                self.take_turn(turn);
                self.tell(SignalEvent::Up);
                // Only who is logged in may watch.
                return self.watch();
            }
            ServerMessage::Turn { turn } => self.take_turn(turn),
            ServerMessage::Signal { to, from, body } => {
                let body = body.0;
                self.tell(SignalEvent::Signal { to, from, body });
            }
            ServerMessage::Presence { address, online } => {
                self.tell(SignalEvent::Presence { address, online });
            }
            ServerMessage::Displaced { address } => {
                self.bear_a_complaint()?;
                tracing::warn!(server = %self.server, ?address, "address taken over by another login");
            }
            ServerMessage::Error { code, text, .. } => {
                self.bear_a_complaint()?;
                tracing::warn!(server = %self.server, ?code, text, "server refused");
            }
            _ => {}
        }
        Ok(())
    }

    fn bear_a_complaint(&mut self) -> Result<(), Lost> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        connection.complaints += 1;
        if connection.complaints > COMPLAINTS_MAX {
            return Err(Lost::new("the server complains without an end"));
        }
        Ok(())
    }

    fn take_turn(&mut self, turn: Option<TurnCredentials>) {
        let life = turn
            .as_ref()
            .map(|turn| Duration::from_secs(turn.ttl_s.clamp(TURN_LIFE_MIN_S, TURN_LIFE_MAX_S)));
        if let Some(connection) = &mut self.connection {
            connection.renew_turn_at = life.map(|life| connection.now + life.mul_f64(TURN_RENEWAL));
        }
        self.tell(SignalEvent::Turn(turn));
    }

    fn send(&mut self, message: &ClientMessage) -> Result<(), Lost> {
        let text = signal::encode(message).map_err(Lost::new)?;
        self.outputs
            .push_back(ClientOutput::Send(Frame::Text(text)));
        Ok(())
    }

    fn tell(&mut self, event: SignalEvent) {
        let input = Input::Signal(self.server.clone(), self.number, event);
        self.outputs.push_back(ClientOutput::Tell(input));
    }
}

impl Client for SignalClient {
    type Command = SignalCommand;

    const ENDPOINT: &'static str = "signal";
    const MESSAGE_MAX: usize = SIGNAL_MESSAGE_MAX;
    const COMMANDS: usize = COMMANDS;

    fn handle_connected(&mut self) {
        self.connection = Some(Connection::default());
    }

    fn takes_commands(&self) -> bool {
        self.connection
            .as_ref()
            .is_none_or(|open| open.nonce.is_some())
    }

    fn handle_command(&mut self, command: SignalCommand, now: Duration) -> Result<(), Lost> {
        if let Some(connection) = &mut self.connection {
            connection.now = now;
        }
        match command {
            SignalCommand::Addresses(addresses) => {
                self.wanted.addresses = addresses;
                self.log_in()
            }
            SignalCommand::Watch(watched) => {
                self.wanted.watched = watched;
                self.watch()
            }
            SignalCommand::Send { .. } if self.connection.is_none() => Ok(()),
            SignalCommand::Send { to, from, body } => {
                let body = Opaque(body);
                self.send(&ClientMessage::Signal { to, from, body })
            }
        }
    }

    fn handle_frame(&mut self, frame: Frame, now: Duration) -> Result<(), Lost> {
        let (Some(connection), Frame::Text(text)) = (&mut self.connection, frame) else {
            return Ok(());
        };
        connection.now = now;
        self.handle_message(signal::decode(&text).map_err(Lost::new)?)
    }

    fn handle_timeout(&mut self, now: Duration) -> Result<(), Lost> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        if connection.renew_turn_at.is_some_and(|at| at <= now) {
            connection.renew_turn_at = None;
            return self.send(&ClientMessage::Turn);
        }
        let waiting_since = match connection.nonce {
            None => Some(Duration::ZERO),
            Some(_) => connection.login_since,
        };
        if waiting_since.is_some_and(|since| now.saturating_sub(since) > ANSWER_TIMEOUT) {
            return Err(Lost::new("the server does not answer"));
        }
        match connection.nonce {
            Some(_) => self.send(&ClientMessage::Ping),
            None => Ok(()),
        }
    }

    fn handle_lost(&mut self, lost: Lost) {
        self.connection = None;
        self.tell(SignalEvent::Down(lost));
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.connection.as_ref()?.renew_turn_at
    }

    fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }
}

impl Connection {
    /// Proves the addresses that are not held yet, and gives up those that are not wanted any more.
    fn login(&mut self, wanted: &[AddressKey], server: &ServerUrl) -> Vec<ClientMessage> {
        let Some(nonce) = self.nonce else {
            return Vec::new();
        };
        let origin = server.origin();
        let addresses: Vec<SignalAddress> = wanted.iter().map(AddressKey::address).collect();
        let unwanted = self
            .held
            .extract_if(.., |address| !addresses.contains(address));
        let mut messages: Vec<ClientMessage> = unwanted
            .map(|address| ClientMessage::Logout { address })
            .collect();
        let new = wanted
            .iter()
            .filter(|key| !self.held.contains(&key.address()));
        let proofs: Vec<_> = new
            .map(|key| signal::prove_login(key, &nonce, &origin))
            .collect();
        for chunk in proofs.chunks(LOGIN_PROOFS_MAX) {
            self.held.extend(chunk.iter().map(|proof| proof.address));
            self.login_since.get_or_insert(self.now);
            let addresses = chunk.to_vec();
            messages.push(ClientMessage::Login { addresses });
        }
        messages
    }

    /// Nothing before the server's first word: it is said again with the welcome.
    fn watches(&mut self, wanted: &[SignalAddress]) -> Vec<ClientMessage> {
        if self.nonce.is_none() {
            return Vec::new();
        }
        let only_in = |one: &[SignalAddress], other: &[SignalAddress]| -> Vec<SignalAddress> {
            let only = one.iter().filter(|address| !other.contains(address));
            only.copied().collect()
        };
        let old = only_in(&self.watched, wanted);
        let new = only_in(wanted, &self.watched);
        self.watched = wanted.to_vec();
        let mut messages = Vec::new();
        if !old.is_empty() {
            messages.push(ClientMessage::Unwatch { addresses: old });
        }
        if !new.is_empty() {
            messages.push(ClientMessage::Watch { addresses: new });
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regression_a_server_that_never_welcomes_is_left() {
        let mut client = SignalClient::new("http://signal.example".parse().unwrap(), 1);
        let addresses = vec![AddressKey::from_seed(&[1; 32])];
        let _ = client.handle_command(SignalCommand::Addresses(addresses), Duration::ZERO);
        client.handle_connected();
        let late = ANSWER_TIMEOUT + Duration::from_millis(1);
        assert!(client.handle_timeout(ANSWER_TIMEOUT).is_ok());
        assert!(client.handle_timeout(late).is_err(), "no challenge");
        let challenge = ServerMessage::Challenge {
            nonce: Nonce([7; 32]),
            version: signal::SIGNAL_VERSION,
        };
        let text = signal::encode(&challenge).unwrap();
        let heard = client.handle_frame(Frame::Text(text), Duration::from_secs(1));
        heard.unwrap();
        assert!(client.handle_timeout(late).is_ok(), "it has time");
        let late = late + Duration::from_secs(1);
        assert!(client.handle_timeout(late).is_err(), "no welcome");
    }

    #[test]
    fn regression_a_server_that_complains_without_an_end_is_left() {
        let mut client = SignalClient::new("http://signal.example".parse().unwrap(), 1);
        client.handle_connected();
        let hears = |client: &mut SignalClient, message: &ServerMessage| {
            let text = signal::encode(message).unwrap();
            client.handle_frame(Frame::Text(text), Duration::ZERO)
        };
        let challenge = ServerMessage::Challenge {
            nonce: Nonce([7; 32]),
            version: signal::SIGNAL_VERSION,
        };
        hears(&mut client, &challenge).unwrap();
        let address = AddressKey::from_seed(&[1; 32]).address();
        let complaint = ServerMessage::Displaced { address };
        for _ in 0..COMPLAINTS_MAX {
            hears(&mut client, &complaint).unwrap();
        }
        assert!(hears(&mut client, &complaint).is_err());
    }

    #[test]
    fn regression_a_server_that_welcomes_before_its_challenge_is_left() {
        let mut client = SignalClient::new("http://signal.example".parse().unwrap(), 1);
        client.handle_connected();
        let welcome = ServerMessage::Welcome {
            addresses: Vec::new(),
            turn: None,
        };
        let text = signal::encode(&welcome).unwrap();
        let heard = client.handle_frame(Frame::Text(text), Duration::ZERO);
        assert!(heard.is_err());
        assert!(client.poll_output().is_none(), "it was believed");
    }
}
