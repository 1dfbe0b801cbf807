//! The connection to one signaling server: the own addresses there, others' presence, sealed
//! signals.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tincan_protocol::SignalAddress;
use tincan_protocol::keys::AddressKey;
use tincan_protocol::limits::{LOGIN_PROOFS_MAX, SIGNAL_MESSAGE_MAX};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::signal::{self, ClientMessage, Nonce, Opaque, ServerMessage, TurnCredentials};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::handle::{Dial, ServerHandle};
use super::reconnect::Service;
use super::socket::{DEAD_AFTER, Lost, PING_AFTER, Socket};
use crate::driver::{Input, InputSender};

/// Commands that may wait for the connection; signals beyond it are dropped, and a link attempt
/// that misses one starts over.
const COMMANDS: usize = 1024;

/// TURN credentials are renewed when half of their life is over.
const TURN_RENEWAL: f64 = 0.5;

/// What a server may claim as the life of its credentials, seconds: shorter would be a flood of
/// renewals, longer is no credential of ours.
const TURN_LIFE_MIN_S: u64 = 60;
const TURN_LIFE_MAX_S: u64 = 86_400;

/// What the driver wants of a signaling server.
#[derive(Debug)]
pub(crate) enum SignalCommand {
    /// All addresses that should be held there.
    Addresses(Vec<AddressKey>),
    /// All addresses whose presence matters.
    Watch(Vec<SignalAddress>),
    Send {
        to: SignalAddress,
        from: SignalAddress,
        body: Vec<u8>,
    },
}

/// What a signaling server says.
#[derive(Debug)]
pub(crate) enum SignalEvent {
    /// Logged in.
    Up,
    Down(Lost),
    Turn(Option<TurnCredentials>),
    Signal {
        to: SignalAddress,
        from: SignalAddress,
        body: Vec<u8>,
    },
    Presence {
        address: SignalAddress,
        online: bool,
    },
}

/// Connects to a signaling server, until the handle is dropped.
pub(crate) fn spawn(
    dial: Dial,
    driver: InputSender,
    runtime: &tokio::runtime::Handle,
) -> ServerHandle<SignalCommand> {
    let service = Signaling {
        server: dial.server.clone(),
        wanted: Wanted::default(),
    };
    ServerHandle::spawn(dial, service, driver, runtime)
}

/// What outlives a connection.
struct Signaling {
    server: ServerUrl,
    wanted: Wanted,
}

/// What should hold at the server, on this connection and the next.
#[derive(Default)]
struct Wanted {
    addresses: Vec<AddressKey>,
    watched: Vec<SignalAddress>,
}

impl Service for Signaling {
    type Command = SignalCommand;

    const ENDPOINT: &'static str = "signal";
    const MESSAGE_MAX: usize = SIGNAL_MESSAGE_MAX;
    const COMMANDS: usize = COMMANDS;

    async fn speak(
        &mut self,
        socket: Socket,
        commands: &mut mpsc::Receiver<SignalCommand>,
        driver: &InputSender,
    ) -> Lost {
        Connection::new(&self.server, socket, driver)
            .run(commands, &mut self.wanted)
            .await
    }

    fn handle_offline(&mut self, command: SignalCommand) -> Option<Input> {
        match command {
            SignalCommand::Addresses(addresses) => self.wanted.addresses = addresses,
            SignalCommand::Watch(watched) => self.wanted.watched = watched,
            SignalCommand::Send { .. } => {}
        }
        None
    }

    fn down(&self, lost: Lost) -> Input {
        Input::Signal(self.server.clone(), SignalEvent::Down(lost))
    }
}

struct Connection<'a> {
    server: &'a ServerUrl,
    socket: Socket,
    driver: &'a InputSender,
    nonce: Option<Nonce>,
    held: Vec<SignalAddress>,
    watched: Vec<SignalAddress>,
    renew_turn_at: Option<Instant>,
    heard: Instant,
}

impl<'a> Connection<'a> {
    fn new(server: &'a ServerUrl, socket: Socket, driver: &'a InputSender) -> Self {
        Self {
            server,
            socket,
            driver,
            nonce: None,
            held: Vec::new(),
            watched: Vec::new(),
            renew_turn_at: None,
            heard: Instant::now(),
        }
    }

    async fn run(
        mut self,
        commands: &mut mpsc::Receiver<SignalCommand>,
        wanted: &mut Wanted,
    ) -> Lost {
        let mut ping = tokio::time::interval(PING_AFTER);
        loop {
            let renew = self
                .renew_turn_at
                .unwrap_or_else(|| Instant::now() + DEAD_AFTER);
            let step = tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.handle_message(message, wanted).await,
                    Some(Err(error)) => Err(Lost::new(error)),
                    None => Err(Lost::new("the server closed the connection")),
                },
                command = commands.recv(), if self.nonce.is_some() => match command {
                    Some(command) => self.handle_command(command, wanted).await,
                    None => Err(Lost::new("no longer needed")),
                },
                () = tokio::time::sleep_until(renew), if self.renew_turn_at.is_some() => {
                    self.renew_turn_at = None;
                    self.send(&ClientMessage::Turn).await
                }
                _ = ping.tick() => self.check_alive().await,
            };
            if let Err(lost) = step {
                return lost;
            }
        }
    }

    async fn check_alive(&mut self) -> Result<(), Lost> {
        if self.heard.elapsed() > DEAD_AFTER {
            return Err(Lost::new("the server is silent"));
        }
        if self.nonce.is_some() {
            self.send(&ClientMessage::Ping).await?;
        }
        Ok(())
    }

    async fn handle_command(
        &mut self,
        command: SignalCommand,
        wanted: &mut Wanted,
    ) -> Result<(), Lost> {
        match command {
            SignalCommand::Addresses(addresses) => {
                wanted.addresses = addresses;
                self.log_in(wanted).await
            }
            SignalCommand::Watch(watched) => {
                wanted.watched = watched;
                self.watch(wanted).await
            }
            SignalCommand::Send { to, from, body } => {
                self.send(&ClientMessage::Signal {
                    to,
                    from,
                    body: Opaque(body),
                })
                .await
            }
        }
    }

    /// Proves the addresses that are not held yet, and gives up those that are not wanted any more.
    async fn log_in(&mut self, wanted: &Wanted) -> Result<(), Lost> {
        let Some(nonce) = self.nonce else {
            return Ok(());
        };
        let origin = self.server.origin();
        let addresses: Vec<SignalAddress> =
            wanted.addresses.iter().map(AddressKey::address).collect();
        let unwanted: Vec<SignalAddress> = self
            .held
            .iter()
            .filter(|held| !addresses.contains(held))
            .copied()
            .collect();
        for address in unwanted {
            self.held.retain(|held| *held != address);
            self.send(&ClientMessage::Logout { address }).await?;
        }
        let new = wanted
            .addresses
            .iter()
            .filter(|key| !self.held.contains(&key.address()));
        let proofs: Vec<_> = new
            .map(|key| signal::prove_login(key, &nonce, &origin))
            .collect();
        for chunk in proofs.chunks(LOGIN_PROOFS_MAX) {
            self.held.extend(chunk.iter().map(|proof| proof.address));
            self.send(&ClientMessage::Login {
                addresses: chunk.to_vec(),
            })
            .await?;
        }
        Ok(())
    }

    async fn watch(&mut self, wanted: &Wanted) -> Result<(), Lost> {
        let new: Vec<_> = wanted
            .watched
            .iter()
            .filter(|address| !self.watched.contains(address))
            .copied()
            .collect();
        let old: Vec<_> = self
            .watched
            .iter()
            .filter(|address| !wanted.watched.contains(address))
            .copied()
            .collect();
        self.watched.clone_from(&wanted.watched);
        if !old.is_empty() {
            self.send(&ClientMessage::Unwatch { addresses: old })
                .await?;
        }
        if !new.is_empty() {
            self.send(&ClientMessage::Watch { addresses: new }).await?;
        }
        Ok(())
    }

    async fn handle_message(&mut self, message: Message, wanted: &Wanted) -> Result<(), Lost> {
        self.heard = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => return Err(Lost::new("the server closed the connection")),
            _ => return Ok(()),
        };
        match signal::decode::<ServerMessage>(&text).map_err(Lost::new)? {
            ServerMessage::Challenge { nonce, version } => {
                if version != signal::SIGNAL_VERSION {
                    return Err(Lost::new(format_args!(
                        "the server speaks signaling version {version}"
                    )));
                }
                self.nonce = Some(nonce);
                if wanted.addresses.is_empty() {
                    // There is nobody to be there for yet, so no welcome will come.
                    self.tell(SignalEvent::Up).await?;
                }
                self.log_in(wanted).await
            }
            ServerMessage::Welcome { turn, .. } => {
                self.take_turn(turn).await?;
                self.tell(SignalEvent::Up).await?;
                // Only who is logged in may watch.
                self.watch(wanted).await
            }
            ServerMessage::Turn { turn } => self.take_turn(turn).await,
            ServerMessage::Signal { to, from, body } => {
                self.tell(SignalEvent::Signal {
                    to,
                    from,
                    body: body.0,
                })
                .await
            }
            ServerMessage::Presence { address, online } => {
                self.tell(SignalEvent::Presence { address, online }).await
            }
            ServerMessage::Displaced { address } => {
                tracing::warn!(server = %self.server, ?address, "address taken over by another login");
                Ok(())
            }
            ServerMessage::Error { code, text, .. } => {
                tracing::warn!(server = %self.server, ?code, text, "server refused");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn take_turn(&mut self, turn: Option<TurnCredentials>) -> Result<(), Lost> {
        let life = turn
            .as_ref()
            .map(|turn| Duration::from_secs(turn.ttl_s.clamp(TURN_LIFE_MIN_S, TURN_LIFE_MAX_S)));
        self.renew_turn_at = life.map(|life| Instant::now() + life.mul_f64(TURN_RENEWAL));
        self.tell(SignalEvent::Turn(turn)).await
    }

    async fn send(&mut self, message: &ClientMessage) -> Result<(), Lost> {
        let text = signal::encode(message).map_err(Lost::new)?;
        self.socket
            .send(Message::Text(text.into()))
            .await
            .map_err(Lost::new)
    }

    async fn tell(&self, event: SignalEvent) -> Result<(), Lost> {
        let input = Input::Signal(self.server.clone(), event);
        self.driver
            .send(input)
            .await
            .map_err(|_| Lost::new("shutting down"))
    }
}
