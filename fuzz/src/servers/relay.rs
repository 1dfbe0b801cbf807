//! Connections before a relay, with its mailboxes and its real store on memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use redb::Database;
use redb::backends::InMemoryBackend;
use tincan_protocol::keys::QueueKey;
use tincan_protocol::limits::{
    HANDSHAKE_MAX, KEY_PACKAGE_MAX, KEY_PACKAGES_MAX, RELAY_MESSAGE_MAX,
};
use tincan_protocol::origin::Origin;
use tincan_protocol::wire::relay_reply::Kind as Reply;
use tincan_protocol::wire::relay_request::Kind as Request;
use tincan_protocol::wire::{self, Frame as _, RelayReply, RelayRequest};
use tincan_protocol::{EnvelopeId, QueueId, WriteToken, relay_auth};
use tincan_relay::RelayLimits;
use tincan_relay::mailbox::{
    Command, ConnectionId, Ending, Mailboxes, Operation, Outbound, Outcome, Output, Session,
    Step as Answer,
};
use tincan_relay::store::{RedbStore, Store as _, StoreError, Write};

use crate::script::{self, Script};

const CONNECTIONS: u8 = 2;
const QUEUES: u8 = 3;
const WINDOW: usize = 3;

/// Unix milliseconds.
const NOW_MS: u64 = 1_900_000_000_000;

/// Steps of one input.
const STEPS_MAX: usize = 100;

/// One kind of step; a script names one by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Any frame.
    Frame,
    /// A login with right or wrong proofs.
    Login,
    Create,
    Delete,
    Deposit,
    Append,
    Subscribe,
    Ack,
    Publish,
    Take,
    /// The socket has taken what was pushed.
    Sent,
    Reconnect,
    /// Time passes.
    Pause,
    /// From now on the store fails, or no longer.
    Store,
}

const STEPS: [Step; 14] = [
    Step::Frame,
    Step::Login,
    Step::Create,
    Step::Delete,
    Step::Deposit,
    Step::Append,
    Step::Subscribe,
    Step::Ack,
    Step::Publish,
    Step::Take,
    Step::Sent,
    Step::Reconnect,
    Step::Pause,
    Step::Store,
];

/// Two connections, whatever frames they send.
pub fn relay_session(data: &[u8]) {
    let mut world = World::new();
    script::play(data, &STEPS, STEPS_MAX, |step, script| {
        let at = usize::from(script.byte() % CONNECTIONS);
        world.play(step, at, script);
        world.run();
    });
}

struct World {
    limits: RelayLimits,
    store: RedbStore,
    store_fails: bool,
    mailboxes: Mailboxes,
    connections: Vec<Connection>,
    /// What each index of a mailbox or log has ever stood for.
    entries: BTreeMap<(QueueId, u64), EnvelopeId>,
    next: u64,
    now: Duration,
}

struct Connection {
    id: ConnectionId,
    nonce: [u8; 32],
    session: Session,
    next_request: u64,
    proved: BTreeSet<QueueId>,
    /// Commands without an answer.
    unanswered: BTreeMap<u64, Command>,
    /// The last index delivered, for each queue; anew with each subscription.
    delivered: BTreeMap<QueueId, u64>,
    unacked: BTreeMap<QueueId, usize>,
    unsent: Vec<Outbound>,
}

pub(crate) fn origin() -> Origin {
    Origin::from_host_header("chat.example.org")
}

fn key(script: &mut Script<'_>) -> QueueKey {
    QueueKey::from_seed(&[script.byte() % QUEUES + 1; 32])
}

fn token(script: &mut Script<'_>) -> WriteToken {
    // Nearly always the same one.
    WriteToken::from_bytes([script.byte() / 128 + 7; 16])
}

impl World {
    fn new() -> Self {
        let mut limits = RelayLimits::default();
        limits.mailbox_envelopes = 8;
        limits.mailbox_bytes = 4096;
        limits.log_entries = 8;
        limits.log_readers = 1;
        limits.ids_per_queue = 12;
        limits.window_envelopes = WINDOW;
        limits.outbound_frames = 8;
        limits.in_flight = 4;
        limits.keys_per_connection = 8;
        let open = || {
            Database::builder()
                .set_cache_size(1 << 20)
                .create_with_backend(InMemoryBackend::new())
        };
        let store = RedbStore::open_with(Path::new("memory"), limits.clone(), open).unwrap();
        let mut world = Self {
            mailboxes: Mailboxes::new(limits.clone(), Duration::ZERO),
            limits,
            store,
            store_fails: false,
            connections: Vec::new(),
            entries: BTreeMap::new(),
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
        // The seeds hold frames that were signed for the first connection.
        let nonce = [self.next.to_le_bytes()[0].wrapping_add(6); 32];
        self.mailboxes.handle_opened(id);
        Connection {
            id,
            nonce,
            session: Session::new(nonce, origin(), &self.limits, self.now),
            next_request: 1,
            proved: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            delivered: BTreeMap::new(),
            unacked: BTreeMap::new(),
            unsent: Vec::new(),
        }
    }

    fn play(&mut self, step: Step, at: usize, script: &mut Script<'_>) {
        match step {
            Step::Frame => self.frame(at, Bytes::copy_from_slice(script.chunk())),
            Step::Sent => {
                let id = self.connections[at].id;
                for cost in std::mem::take(&mut self.connections[at].unsent) {
                    self.mailboxes.handle_sent(id, cost);
                }
            }
            Step::Reconnect => self.reconnect(at),
            Step::Pause => self.pause(at, Duration::from_millis(script.number().min(1 << 36))),
            Step::Store => self.store_fails = script.byte() % 2 == 1,
            request => {
                let nonce = self.connections[at].nonce;
                if let Some(kind) = request_of(request, &nonce, script) {
                    self.request(at, kind);
                }
            }
        }
    }

    fn request(&mut self, at: usize, kind: Request) {
        let connection = &mut self.connections[at];
        let id = connection.next_request;
        connection.next_request += 1;
        let request = RelayRequest {
            id,
            kind: Some(kind),
        };
        self.frame(at, request.write());
    }

    fn frame(&mut self, at: usize, frame: Bytes) {
        let connection = &mut self.connections[at];
        if !connection.session.has_room() {
            return;
        }
        let proofs = match RelayRequest::read(frame.clone()) {
            Ok(RelayRequest {
                kind: Some(Request::Auth(auth)),
                ..
            }) => auth.proofs,
            _ => Vec::new(),
        };
        match connection.session.handle_frame(frame) {
            Answer::Command { id, command } => {
                let key = command.key_needed();
                let has_it = key.is_none_or(|key| connection.proved.contains(&key));
                assert!(has_it, "a command without its key");
                check_command(&command);
                if let Command::Subscribe { queue, .. } = &command {
                    connection.delivered.remove(queue);
                    connection.unacked.remove(queue);
                }
                if let Command::Write(Write::Ack { queue, .. }) = &command {
                    connection.unacked.remove(queue);
                }
                let before = connection.unanswered.insert(id, command.clone());
                assert!(before.is_none(), "request {id} twice at once");
                assert!(connection.unanswered.len() <= self.limits.in_flight);
                self.mailboxes.handle_command(connection.id, id, command);
            }
            Answer::Answer(reply) => {
                check_reply(&reply);
                if matches!(reply.kind, Some(Reply::Done(_))) {
                    let keys = proofs
                        .iter()
                        .map(|proof| check_proof(proof, &connection.nonce));
                    connection.proved.extend(keys);
                }
            }
            Answer::End(ending, reply) => {
                assert_ne!(ending, Ending::LoginTimeout, "only time says so");
                reply.iter().for_each(check_reply);
                self.reconnect(at);
            }
            _ => panic!("an unknown step"),
        }
    }

    fn pause(&mut self, at: usize, time: Duration) {
        self.now += time;
        self.mailboxes.handle_timeout(self.now);
        let connection = &self.connections[at];
        if connection.session.handle_timeout(self.now).is_some() {
            assert!(connection.proved.is_empty(), "sent away after a login");
            self.reconnect(at);
        }
    }

    fn reconnect(&mut self, at: usize) {
        self.mailboxes.handle_closed(self.connections[at].id);
        self.connections[at] = self.connect();
    }

    /// Does what the mailboxes want done, until they want nothing more.
    fn run(&mut self) {
        while let Some(output) = self.mailboxes.poll_output() {
            match output {
                Output::Answer {
                    connection,
                    id,
                    kind,
                } => self.answer(connection, id, kind),
                Output::Push {
                    connection,
                    reply,
                    cost,
                } => self.push(connection, &reply, cost),
                Output::Store { ticket, operation } => {
                    let outcome = self.operate(operation);
                    self.mailboxes.handle_outcome(ticket, outcome, self.now);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn operate(&mut self, operation: Operation) -> Result<Outcome, StoreError> {
        if self.store_fails {
            let reason = "disk full".to_owned();
            return Err(StoreError { reason });
        }
        let now_ms = NOW_MS + u64::try_from(self.now.as_millis()).unwrap();
        match operation {
            Operation::Write(write) => {
                if let Write::Delete { queue } = &write {
                    // Another one under its name counts anew.
                    self.entries.retain(|(of, _), _| of != queue);
                }
                let mut written = self.store.commit(&[write], now_ms)?;
                Ok(Outcome::Written(written.remove(0)))
            }
            Operation::Read(read) => Ok(Outcome::Page(self.store.read(&read)?)),
            Operation::Scan { from, queues } => {
                Ok(Outcome::Scan(self.store.scan(from, queues, now_ms)?))
            }
            other => panic!("{other:?}"),
        }
    }

    fn by_id(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|it| it.id == id)
    }

    fn answer(&mut self, id: ConnectionId, request: u64, kind: Reply) {
        let connection = self.by_id(id).expect("an answer to nobody");
        let command = connection.unanswered.remove(&request);
        assert!(command.is_some(), "an answer to nothing");
        connection.session.handle_answer(request, &kind);
        assert_eq!(
            connection.session.is_idle(),
            connection.unanswered.is_empty()
        );
        check_reply(&RelayReply {
            id: request,
            kind: Some(kind),
        });
    }

    fn push(&mut self, id: ConnectionId, reply: &RelayReply, cost: Outbound) {
        check_reply(reply);
        let connection = self.by_id(id).expect("pushed to nobody");
        connection.unsent.push(cost);
        let Some(Reply::Deliver(deliver)) = &reply.kind else {
            return;
        };
        let queue = QueueId::try_from(deliver.queue.as_ref()).unwrap();
        assert!(
            connection.proved.contains(&queue),
            "delivered without a proof"
        );
        let before = connection.delivered.insert(queue, deliver.index);
        assert!(
            before < Some(deliver.index),
            "{before:?} before {}",
            deliver.index
        );
        let unacked = connection.unacked.entry(queue).or_default();
        *unacked += 1;
        assert!(*unacked <= WINDOW, "{unacked} without an ack");
        let envelope = EnvelopeId::of(&deliver.envelope);
        let first = *self
            .entries
            .entry((queue, deliver.index))
            .or_insert(envelope);
        assert_eq!(first, envelope, "index {} for two", deliver.index);
    }
}

fn request_of(step: Step, nonce: &[u8; 32], script: &mut Script<'_>) -> Option<Request> {
    let key = key(script);
    let queue = key.queue().to_vec();
    Some(match step {
        Step::Login => {
            let wrong = script.byte() == 255;
            let nonce = if wrong { &[0; 32] } else { nonce };
            let signature = relay_auth::prove(&key, nonce, &origin()).to_vec();
            let proof = wire::KeyProof {
                key: queue,
                signature,
            };
            Request::Auth(wire::Auth {
                proofs: vec![proof],
            })
        }
        Step::Create => Request::QueueCreate(wire::QueueCreate {
            queue,
            kind: i32::from(script.byte() % 3),
            write_token_hash: token(script).hash().to_vec(),
        }),
        Step::Delete => Request::QueueDelete(wire::QueueDelete { queue }),
        Step::Deposit => Request::Deposit(wire::Deposit {
            queue: queue.into(),
            write_token: token(script).to_vec().into(),
            envelope: Bytes::copy_from_slice(script.chunk()),
        }),
        Step::Append => Request::Append(wire::Append {
            queue: queue.into(),
            write_token: token(script).to_vec().into(),
            after_index: script.number(),
            entry: Bytes::copy_from_slice(script.chunk()),
        }),
        Step::Subscribe => Request::Subscribe(wire::Subscribe {
            queue,
            after_index: script.number(),
        }),
        Step::Ack => Request::AckUpTo(wire::AckUpTo {
            queue,
            index: script.number(),
        }),
        Step::Publish => Request::KeyPackagePublish(wire::KeyPackagePublish {
            owner: queue,
            token_hash: token(script).hash().to_vec(),
            packages: (0..script.byte() % 24)
                .map(|_| script.chunk().to_vec())
                .collect(),
            last_resort: script.chunk().to_vec(),
        }),
        Step::Take => Request::KeyPackageTake(wire::KeyPackageTake {
            owner: queue,
            token: token(script).to_vec(),
        }),
        _ => return None,
    })
}

/// A proof that counted is one.
fn check_proof(proof: &wire::KeyProof, nonce: &[u8; 32]) -> QueueId {
    let key = QueueId::try_from(proof.key.as_slice()).unwrap();
    relay_auth::check(&key, nonce, &origin(), &proof.signature).unwrap();
    key
}

fn check_command(command: &Command) {
    let Command::Write(write) = command else {
        return;
    };
    match write {
        Write::Deposit {
            envelope: bytes, ..
        }
        | Write::Append { entry: bytes, .. } => {
            assert!((1..=HANDSHAKE_MAX).contains(&bytes.len()));
        }
        Write::Publish {
            packages,
            last_resort,
            ..
        } => {
            assert!(packages.len() <= KEY_PACKAGES_MAX);
            let mut all = packages.iter().chain(last_resort);
            assert!(all.all(|package| (1..=KEY_PACKAGE_MAX).contains(&package.len())));
        }
        _ => {}
    }
}

/// What the relay says can be read at the other end.
fn check_reply(reply: &RelayReply) {
    let frame = reply.write();
    assert!(frame.len() <= RELAY_MESSAGE_MAX);
    assert_eq!(RelayReply::read(frame).as_ref(), Ok(reply));
}
