//! The conversation with one relay: the own mailboxes there, deposits into others, key packages.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tincan_protocol::QueueId;
use tincan_protocol::keys::QueueKey;
use tincan_protocol::limits::{LOGIN_PROOFS_MAX, RELAY_MESSAGE_MAX};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::relay_auth;
use tincan_protocol::wire::{self, Frame as _, relay_request};

use super::{DepositTag, OwnQueue, RelayCommand, RelayEvent};
use crate::driver::Input;
use crate::net::client::{ANSWER_TIMEOUT, Client, ClientOutput, Frame};
use crate::net::socket::Lost;

/// Commands that may wait for the connection. The driver treats a full queue as a lost relay.
const COMMANDS: usize = 4096;

/// Requests that may be without an answer: more than fit both queues of a busy connection.
const UNANSWERED_MAX: usize = 8_192;

/// See the module.
#[derive(Debug)]
pub struct RelayClient {
    pub(super) server: ServerUrl,
    number: u64,
    pub(super) queues: Vec<OwnQueue>,
    pub(super) connection: Option<Connection>,
    outputs: VecDeque<ClientOutput>,
}

/// What ends with the connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// The relay's challenge.
    pub(super) nonce: Option<[u8; 32]>,
    /// Keys that were proved.
    proved: BTreeSet<QueueId>,
    next_id: u64,
    /// Requests without an answer, and when they were made.
    pub(super) pending: BTreeMap<u64, (Duration, Pending)>,
    /// The mailboxes that are read, by the request that asked for it: an error with its id ends that.
    pub(super) subscribed: BTreeMap<u64, QueueId>,
    /// When it was last called.
    now: Duration,
}

/// What an answer will be about.
#[derive(Debug)]
pub(super) enum Pending {
    Auth(Vec<OwnQueue>),
    Create(QueueId),
    Subscribe(QueueId),
    Deposit(DepositTag),
    TakeKeyPackage(u64),
    Publish,
    Delete(QueueId),
    Other(&'static str),
}

impl Client for RelayClient {
    type Command = RelayCommand;

    const ENDPOINT: &'static str = "relay";
    const MESSAGE_MAX: usize = RELAY_MESSAGE_MAX;
    const COMMANDS: usize = COMMANDS;

    fn handle_connected(&mut self) {
        self.connection = Some(Connection {
            nonce: None,
            proved: BTreeSet::new(),
            next_id: 1,
            pending: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            now: Duration::ZERO,
        });
    }

    fn takes_commands(&self) -> bool {
        self.connection
            .as_ref()
            .is_none_or(|open| open.nonce.is_some())
    }

    fn handle_command(&mut self, command: RelayCommand, now: Duration) -> Result<(), Lost> {
        if let Some(connection) = &mut self.connection {
            connection.now = now;
            return self.carry_out(command);
        }
        match command {
            RelayCommand::Queues(wanted) => self.queues = wanted,
            RelayCommand::TakeKeyPackage { request, .. } => {
                let package = Err(format!("{} cannot be reached", self.server));
                self.tell(RelayEvent::KeyPackage { request, package });
            }
            // Forgotten: the session has been told that the relay is down, and makes its deposits
            // again when it is up.
            _ => {}
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: Frame, now: Duration) -> Result<(), Lost> {
        let (Some(connection), Frame::Binary(bytes)) = (&mut self.connection, frame) else {
            return Ok(());
        };
        connection.now = now;
        let reply = wire::RelayReply::read(bytes).map_err(Lost::new)?;
        self.handle_reply(reply)
    }

    fn handle_timeout(&mut self, now: Duration) -> Result<(), Lost> {
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        // The oldest has the lowest number.
        let oldest = connection.pending.values().next().map(|(since, _)| *since);
        let waiting_since = match connection.nonce {
            None => Some(Duration::ZERO),
            Some(_) => oldest,
        };
        match waiting_since {
            Some(since) if now.saturating_sub(since) > ANSWER_TIMEOUT => {
                Err(Lost::new("the relay does not answer"))
            }
            _ => Ok(()),
        }
    }

    fn handle_lost(&mut self, lost: Lost) {
        self.connection = None;
        self.tell(RelayEvent::Down(lost));
    }

    fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }
}

impl RelayClient {
    /// Without a connection; all that comes of it carries the `number`.
    #[must_use]
    pub fn new(server: ServerUrl, number: u64) -> Self {
        Self {
            server,
            number,
            queues: Vec::new(),
            connection: None,
            outputs: VecDeque::new(),
        }
    }

    pub(super) fn is_challenged(&self) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|open| open.nonce.is_some())
    }

    fn carry_out(&mut self, command: RelayCommand) -> Result<(), Lost> {
        use relay_request::Kind;
        match command {
            RelayCommand::Queues(wanted) => {
                let known = self.queues.iter().map(|queue| queue.key.queue());
                let known: Vec<QueueId> = known.collect();
                let new = wanted
                    .iter()
                    .filter(|queue| !known.contains(&queue.key.queue()));
                let new: Vec<OwnQueue> = new.cloned().collect();
                self.queues = wanted;
                self.authenticate(&new)
            }
            RelayCommand::DeleteQueue(key) => {
                self.queues.retain(|queue| queue.key.queue() != key.queue());
                // It may be from before this connection.
                self.prove_once(&key)?;
                let queue = key.queue();
                let delete = wire::QueueDelete {
                    queue: queue.to_vec(),
                };
                self.request(Kind::QueueDelete(delete), Pending::Delete(queue))
            }
            RelayCommand::Deposit {
                tag,
                queue,
                token,
                envelope,
            } => {
                let deposit = wire::Deposit {
                    queue: queue.to_vec().into(),
                    write_token: token.to_vec().into(),
                    envelope,
                };
                self.request(Kind::Deposit(deposit), Pending::Deposit(tag))
            }
            RelayCommand::Ack { queue, index } => {
                let ack = wire::AckUpTo {
                    queue: queue.to_vec(),
                    index,
                };
                self.request(Kind::AckUpTo(ack), Pending::Other("ack"))
            }
            RelayCommand::Publish {
                owner,
                token_hash,
                packages,
                last_resort,
            } => {
                self.prove_once(&owner)?;
                let publish = wire::KeyPackagePublish {
                    owner: owner.queue().to_vec(),
                    token_hash: token_hash.to_vec(),
                    packages,
                    last_resort: last_resort.unwrap_or_default(),
                };
                self.request(Kind::KeyPackagePublish(publish), Pending::Publish)
            }
            RelayCommand::TakeKeyPackage {
                request,
                owner,
                token,
            } => {
                let take = wire::KeyPackageTake {
                    owner: owner.to_vec(),
                    token: token.to_vec(),
                };
                self.request(Kind::KeyPackageTake(take), Pending::TakeKeyPackage(request))
            }
        }
    }

    /// Proves queues; when that is confirmed they are made and subscribed to.
    pub(super) fn authenticate(&mut self, queues: &[OwnQueue]) -> Result<(), Lost> {
        for chunk in queues.chunks(LOGIN_PROOFS_MAX) {
            let keys: Vec<QueueKey> = chunk.iter().map(|queue| queue.key.clone()).collect();
            self.prove(&keys, Pending::Auth(chunk.to_vec()))?;
        }
        Ok(())
    }

    /// A relay ends connections that prove nothing. Where we only write, and there may be nothing to write
    /// yet, a key is proved that nobody uses: made of the challenge, so that it tells nothing of us.
    pub(super) fn log_in_as_guest(&mut self) -> Result<(), Lost> {
        let nonce = self.connection.as_ref().and_then(|open| open.nonce);
        let key = nonce.map(|nonce| QueueKey::from_seed(&nonce));
        self.prove(key.as_slice(), Pending::Other("auth"))
    }

    /// A relay counts the proofs on a connection, and takes only so many.
    fn prove_once(&mut self, key: &QueueKey) -> Result<(), Lost> {
        let connection = self.connection.as_ref();
        if connection.is_some_and(|open| open.proved.contains(&key.queue())) {
            return Ok(());
        }
        self.prove(std::slice::from_ref(key), Pending::Other("auth"))
    }

    fn prove(&mut self, keys: &[QueueKey], pending: Pending) -> Result<(), Lost> {
        let nonce = self.connection.as_ref().and_then(|open| open.nonce);
        let Some(nonce) = nonce else {
            return Err(Lost::new("no challenge yet"));
        };
        let origin = self.server.origin();
        let proofs = keys.iter().map(|key| wire::KeyProof {
            key: key.queue().to_vec(),
            signature: relay_auth::prove(key, &nonce, &origin).to_vec(),
        });
        let auth = wire::Auth {
            proofs: proofs.collect(),
        };
        if let Some(connection) = &mut self.connection {
            connection.proved.extend(keys.iter().map(QueueKey::queue));
        }
        self.request(relay_request::Kind::Auth(auth), pending)
    }

    pub(super) fn request(
        &mut self,
        kind: relay_request::Kind,
        pending: Pending,
    ) -> Result<(), Lost> {
        let Some(connection) = &mut self.connection else {
            return Err(Lost::new("no connection"));
        };
        let id = connection.next_id;
        connection.next_id += 1;
        if connection.pending.len() >= UNANSWERED_MAX {
            return Err(Lost::new("the relay does not answer"));
        }
        connection.pending.insert(id, (connection.now, pending));
        let kind = Some(kind);
        let frame = wire::RelayRequest { id, kind }.write();
        self.outputs
            .push_back(ClientOutput::Send(Frame::Binary(frame)));
        Ok(())
    }

    pub(super) fn tell(&mut self, event: RelayEvent) {
        let input = Input::Relay(self.server.clone(), self.number, event);
        self.outputs.push_back(ClientOutput::Tell(input));
    }
}
