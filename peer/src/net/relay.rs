//! The connection to one relay: the own mailboxes there, deposits into others, key packages.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tincan_core::RefusedDeposit;
use tincan_protocol::keys::QueueKey;
use tincan_protocol::limits::{LOGIN_PROOFS_MAX, RELAY_MESSAGE_MAX};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::relay_auth;
use tincan_protocol::wire::{self, Frame as _, relay_reply, relay_request};
use tincan_protocol::{EnvelopeId, QueueId, StoreId, TokenHash, WriteToken};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::handle::{Dial, ServerHandle};
use super::reconnect::Service;
use super::socket::{DEAD_AFTER, Lost, PING_AFTER, Socket};
use crate::driver::{Input, InputSender};
use crate::store::ConversationNo;

/// Commands that may wait for the connection. The driver treats a full queue as a lost relay.
const COMMANDS: usize = 4096;

/// Requests that may be without an answer: more than fit both queues of a busy connection.
const UNANSWERED_MAX: usize = 8_192;

/// A relay that has not answered a deposit for so long is dialed anew. Chosen: far above a sync of its
/// disk, so that messages do not wait for ever where only its connection works.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A mailbox of ours, as it should be at the relay.
#[derive(Clone, Debug)]
pub(crate) struct OwnQueue {
    pub(crate) key: QueueKey,
    pub(crate) token_hash: TokenHash,
}

/// Which envelope of which conversation an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DepositTag {
    pub(crate) no: ConversationNo,
    pub(crate) id: EnvelopeId,
}

/// What the driver wants of a relay.
#[derive(Debug)]
pub(crate) enum RelayCommand {
    /// All mailboxes there should be; made and subscribed on every connection.
    Queues(Vec<OwnQueue>),
    DeleteQueue(QueueKey),
    Deposit {
        tag: DepositTag,
        queue: QueueId,
        token: WriteToken,
        envelope: Bytes,
    },
    Ack {
        queue: QueueId,
        index: u64,
    },
    /// Publishes packages; without any it asks for the stock.
    Publish {
        owner: QueueKey,
        token_hash: TokenHash,
        packages: Vec<Vec<u8>>,
        last_resort: Option<Vec<u8>>,
    },
    TakeKeyPackage {
        request: u64,
        owner: QueueId,
        token: WriteToken,
    },
}

/// What a relay says.
#[derive(Debug)]
pub(crate) enum RelayEvent {
    /// With the name of what it keeps.
    Up(StoreId),
    Down(Lost),
    /// Reading of a mailbox began.
    Subscribed(QueueId),
    Drained(QueueId),
    Delivered {
        queue: QueueId,
        index: u64,
        envelope: Bytes,
    },
    /// A mailbox is there no more.
    Deleted(QueueId),
    Deposited(DepositTag),
    Refused {
        tag: DepositTag,
        reason: RefusedDeposit,
        retry_after: Option<Duration>,
    },
    Stock {
        single_use: usize,
        last_resort: bool,
    },
    KeyPackage {
        request: u64,
        package: Result<Vec<u8>, String>,
    },
}

/// Connects to a relay, until the handle is dropped.
pub(crate) fn spawn(
    dial: Dial,
    driver: InputSender,
    runtime: &tokio::runtime::Handle,
) -> ServerHandle<RelayCommand> {
    let service = Relay {
        server: dial.server.clone(),
        queues: Vec::new(),
    };
    ServerHandle::spawn(dial, service, driver, runtime)
}

/// What outlives a connection.
struct Relay {
    server: ServerUrl,
    queues: Vec<OwnQueue>,
}

impl Service for Relay {
    type Command = RelayCommand;

    const ENDPOINT: &'static str = "relay";
    const MESSAGE_MAX: usize = RELAY_MESSAGE_MAX;
    const COMMANDS: usize = COMMANDS;

    async fn speak(
        &mut self,
        socket: Socket,
        commands: &mut mpsc::Receiver<RelayCommand>,
        driver: &InputSender,
    ) -> Lost {
        Connection::new(&self.server, socket, driver)
            .run(commands, &mut self.queues)
            .await
    }

    /// Deposits are forgotten: the session has been told that the relay is down, and makes them
    /// again when it is up.
    fn handle_offline(&mut self, command: RelayCommand) -> Option<Input> {
        match command {
            RelayCommand::Queues(wanted) => {
                self.queues = wanted;
                None
            }
            RelayCommand::TakeKeyPackage { request, .. } => {
                let package = Err(format!("{} cannot be reached", self.server));
                let event = RelayEvent::KeyPackage { request, package };
                Some(Input::Relay(self.server.clone(), event))
            }
            _ => None,
        }
    }

    fn down(&self, lost: Lost) -> Input {
        Input::Relay(self.server.clone(), RelayEvent::Down(lost))
    }
}

/// What an answer will be about.
enum Pending {
    Auth(Vec<OwnQueue>),
    Create(QueueId),
    Subscribe,
    Deposit(DepositTag),
    TakeKeyPackage(u64),
    Publish,
    Delete(QueueId),
    Other(&'static str),
}

struct Connection<'a> {
    server: &'a ServerUrl,
    socket: Socket,
    driver: &'a InputSender,
    nonce: Option<[u8; 32]>,
    next_id: u64,
    /// Requests without an answer, and when they were made.
    pending: BTreeMap<u64, (Instant, Pending)>,
    heard: Instant,
}

impl<'a> Connection<'a> {
    fn new(server: &'a ServerUrl, socket: Socket, driver: &'a InputSender) -> Self {
        let (nonce, pending, heard) = (None, BTreeMap::new(), Instant::now());
        Self {
            server,
            socket,
            driver,
            nonce,
            next_id: 1,
            pending,
            heard,
        }
    }

    async fn run(
        mut self,
        commands: &mut mpsc::Receiver<RelayCommand>,
        queues: &mut Vec<OwnQueue>,
    ) -> Lost {
        let mut ping = tokio::time::interval(PING_AFTER);
        loop {
            let step = tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.handle_message(message, queues).await,
                    Some(Err(error)) => Err(Lost::new(error)),
                    None => Err(Lost::new("the relay closed the connection")),
                },
                command = commands.recv(), if self.nonce.is_some() => match command {
                    Some(command) => self.handle_command(command, queues).await,
                    None => Err(Lost::new("no longer needed")),
                },
                _ = ping.tick() => self.check_alive().await,
            };
            if let Err(lost) = step {
                return lost;
            }
        }
    }

    async fn check_alive(&mut self) -> Result<(), Lost> {
        if self.heard.elapsed() > DEAD_AFTER {
            return Err(Lost::new("the relay is silent"));
        }
        let deposits = self.pending.values();
        let mut deposits = deposits.filter(|(_, request)| matches!(request, Pending::Deposit(_)));
        if let Some((since, _)) = deposits.next()
            && since.elapsed() > ANSWER_TIMEOUT
        {
            return Err(Lost::new("the relay does not answer"));
        }
        self.socket
            .send(Message::Ping(Bytes::new()))
            .await
            .map_err(Lost::new)
    }

    async fn handle_command(
        &mut self,
        command: RelayCommand,
        queues: &mut Vec<OwnQueue>,
    ) -> Result<(), Lost> {
        use relay_request::Kind;
        match command {
            RelayCommand::Queues(wanted) => {
                let known: Vec<QueueId> = queues.iter().map(|queue| queue.key.queue()).collect();
                let new = wanted
                    .iter()
                    .filter(|queue| !known.contains(&queue.key.queue()));
                let new: Vec<OwnQueue> = new.cloned().collect();
                *queues = wanted;
                self.authenticate(&new).await
            }
            RelayCommand::DeleteQueue(key) => {
                queues.retain(|queue| queue.key.queue() != key.queue());
                // It may be from before this connection.
                self.prove(std::slice::from_ref(&key), Pending::Other("auth"))
                    .await?;
                let queue = key.queue();
                let delete = wire::QueueDelete {
                    queue: queue.to_vec(),
                };
                self.request(Kind::QueueDelete(delete), Pending::Delete(queue))
                    .await
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
                    .await
            }
            RelayCommand::Ack { queue, index } => {
                let ack = wire::AckUpTo {
                    queue: queue.to_vec(),
                    index,
                };
                self.request(Kind::AckUpTo(ack), Pending::Other("ack"))
                    .await
            }
            RelayCommand::Publish {
                owner,
                token_hash,
                packages,
                last_resort,
            } => {
                self.prove(std::slice::from_ref(&owner), Pending::Other("auth"))
                    .await?;
                let publish = wire::KeyPackagePublish {
                    owner: owner.queue().to_vec(),
                    token_hash: token_hash.to_vec(),
                    packages,
                    last_resort: last_resort.unwrap_or_default(),
                };
                self.request(Kind::KeyPackagePublish(publish), Pending::Publish)
                    .await
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
                    .await
            }
        }
    }

    /// Proves queues; when that is confirmed they are made and subscribed to.
    async fn authenticate(&mut self, queues: &[OwnQueue]) -> Result<(), Lost> {
        for chunk in queues.chunks(LOGIN_PROOFS_MAX) {
            let keys: Vec<QueueKey> = chunk.iter().map(|queue| queue.key.clone()).collect();
            self.prove(&keys, Pending::Auth(chunk.to_vec())).await?;
        }
        Ok(())
    }

    async fn prove(&mut self, keys: &[QueueKey], pending: Pending) -> Result<(), Lost> {
        let Some(nonce) = self.nonce else {
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
        self.request(relay_request::Kind::Auth(auth), pending).await
    }

    async fn request(&mut self, kind: relay_request::Kind, pending: Pending) -> Result<(), Lost> {
        let id = self.next_id;
        self.next_id += 1;
        if self.pending.len() >= UNANSWERED_MAX {
            return Err(Lost::new("the relay does not answer"));
        }
        self.pending.insert(id, (Instant::now(), pending));
        let frame = wire::RelayRequest {
            id,
            kind: Some(kind),
        }
        .write();
        self.socket
            .send(Message::Binary(frame))
            .await
            .map_err(Lost::new)
    }

    async fn handle_message(&mut self, message: Message, queues: &[OwnQueue]) -> Result<(), Lost> {
        self.heard = Instant::now();
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return Err(Lost::new("the relay closed the connection")),
            _ => return Ok(()),
        };
        let reply = wire::RelayReply::read(bytes).map_err(Lost::new)?;
        match reply.kind {
            Some(relay_reply::Kind::Challenge(_)) if self.nonce.is_some() => {
                Err(Lost::new("the relay began anew in the middle"))
            }
            Some(relay_reply::Kind::Challenge(challenge)) => {
                let nonce = challenge.nonce.as_slice().try_into();
                self.nonce =
                    Some(nonce.map_err(|_| Lost::new("the relay sent a wrong challenge"))?);
                let store = StoreId::try_from(challenge.store_id.as_slice());
                let store = store.map_err(|_| Lost::new("the relay sent a wrong challenge"))?;
                self.tell(RelayEvent::Up(store)).await?;
                self.authenticate(queues).await
            }
            Some(relay_reply::Kind::Deliver(deliver)) => {
                let Ok(queue) = QueueId::try_from(deliver.queue.as_ref()) else {
                    return Ok(());
                };
                let (index, envelope) = (deliver.index, deliver.envelope);
                self.tell(RelayEvent::Delivered {
                    queue,
                    index,
                    envelope,
                })
                .await
            }
            Some(relay_reply::Kind::Drained(drained)) => {
                let Ok(queue) = QueueId::try_from(drained.queue.as_slice()) else {
                    return Ok(());
                };
                self.tell(RelayEvent::Drained(queue)).await
            }
            Some(kind) => match self.pending.remove(&reply.id) {
                Some((_, pending)) => self.handle_answer(pending, kind, queues).await,
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    async fn handle_answer(
        &mut self,
        pending: Pending,
        kind: relay_reply::Kind,
        queues: &[OwnQueue],
    ) -> Result<(), Lost> {
        use relay_reply::Kind;
        // What was deleted meanwhile must not be made again.
        let wanted = |id: QueueId| queues.iter().any(|queue| queue.key.queue() == id);
        match (pending, kind) {
            (Pending::Auth(proved), Kind::Done(_)) => {
                for queue in proved {
                    if !wanted(queue.key.queue()) {
                        continue;
                    }
                    let create = wire::QueueCreate {
                        queue: queue.key.queue().to_vec(),
                        kind: wire::QueueKind::Mailbox.into(),
                        write_token_hash: queue.token_hash.to_vec(),
                    };
                    self.request(
                        relay_request::Kind::QueueCreate(create),
                        Pending::Create(queue.key.queue()),
                    )
                    .await?;
                }
                Ok(())
            }
            (Pending::Create(queue), _) if !wanted(queue) => Ok(()),
            (Pending::Create(queue), Kind::Done(_)) => {
                let subscribe = wire::Subscribe {
                    queue: queue.to_vec(),
                    after_index: 0,
                };
                self.tell(RelayEvent::Subscribed(queue)).await?;
                self.request(
                    relay_request::Kind::Subscribe(subscribe),
                    Pending::Subscribe,
                )
                .await
            }
            (Pending::Deposit(tag), Kind::Deposited(_)) => {
                self.tell(RelayEvent::Deposited(tag)).await
            }
            (Pending::Deposit(tag), Kind::Error(error)) => {
                let reason = match error.code() {
                    wire::RelayErrorCode::QueueFull => RefusedDeposit::QueueFull,
                    wire::RelayErrorCode::Unauthorized
                    | wire::RelayErrorCode::NoSuchQueue
                    | wire::RelayErrorCode::BadRequest
                    | wire::RelayErrorCode::TooLarge => RefusedDeposit::Rejected,
                    _ => RefusedDeposit::Unavailable,
                };
                let after = Duration::from_millis(error.retry_after_ms);
                let retry_after = (!after.is_zero()).then_some(after);
                self.tell(RelayEvent::Refused {
                    tag,
                    reason,
                    retry_after,
                })
                .await
            }
            (Pending::TakeKeyPackage(request), Kind::KeyPackage(package)) => {
                let package = Ok(package.package);
                self.tell(RelayEvent::KeyPackage { request, package }).await
            }
            (Pending::TakeKeyPackage(request), Kind::Error(error)) => {
                let package = Err(error.text);
                self.tell(RelayEvent::KeyPackage { request, package }).await
            }
            (Pending::Publish, Kind::KeyPackageStock(stock)) => {
                let single_use = usize::try_from(stock.single_use).unwrap_or(usize::MAX);
                self.tell(RelayEvent::Stock {
                    single_use,
                    last_resort: stock.last_resort,
                })
                .await
            }
            (Pending::Delete(queue), Kind::Done(_)) => self.tell(RelayEvent::Deleted(queue)).await,
            (Pending::Delete(_), Kind::Error(error)) => {
                tracing::warn!(server = %self.server, text = error.text, "mailbox not deleted; tried again on the next connection");
                Ok(())
            }
            // Without its mailboxes this connection is of little use: start over, with a wait.
            (Pending::Auth(_) | Pending::Create(_) | Pending::Subscribe, Kind::Error(error)) => {
                Err(Lost::new(format_args!(
                    "the relay refused a mailbox: {}",
                    error.text
                )))
            }
            (Pending::Publish, Kind::Error(error)) => {
                tracing::warn!(server = %self.server, text = error.text, "key packages refused");
                Ok(())
            }
            (Pending::Other(what), Kind::Error(error)) => {
                tracing::warn!(server = %self.server, what, text = error.text, "relay refused");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn tell(&self, event: RelayEvent) -> Result<(), Lost> {
        let input = Input::Relay(self.server.clone(), event);
        self.driver
            .send(input)
            .await
            .map_err(|_| Lost::new("shutting down"))
    }
}
