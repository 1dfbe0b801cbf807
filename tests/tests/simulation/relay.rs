//! A relay: its real sessions, mailboxes and store, on a disk of ours, without sockets and threads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use redb::{Database, DatabaseError};
use tincan_protocol::QueueId;
use tincan_protocol::origin::Origin;
use tincan_protocol::wire::{Frame as _, RelayReply, RelayRequest, relay_reply, relay_request};
use tincan_relay::RelayLimits;
use tincan_relay::mailbox::{
    ConnectionId, Mailboxes, Operation, Outcome, Output, Session, Step, Ticket,
};
use tincan_relay::store::{RedbStore, Store as _};

use crate::disk::Disk;
use crate::fuse::Fuse;

/// Operations of one transaction: few, so that crashes fall between many.
const BATCH: usize = 8;

/// A relay's machine.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) disk: Disk,
    fuse: Fuse,
    rng: SmallRng,
    limits: RelayLimits,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    store: RedbStore,
    mailboxes: Mailboxes,
    connections: BTreeMap<u64, Connection>,
    waiting: VecDeque<(Ticket, Operation)>,
}

#[derive(Debug)]
struct Connection {
    session: Session,
    /// Keys that were proved on it.
    proved: BTreeSet<QueueId>,
    /// The last index that was delivered, for each queue.
    delivered: BTreeMap<QueueId, u64>,
}

/// What the relay sends to a connection, or that it ends it.
#[derive(Debug)]
pub(crate) enum ToClient {
    Frame(u64, Bytes),
    Close(u64),
}

impl Relay {
    pub(crate) fn new(disk: Disk, seed: u64) -> Self {
        let mut limits = RelayLimits::default();
        // Small, so that it is full now and then.
        limits.mailbox_envelopes = 60;
        Self {
            disk,
            fuse: Fuse::new(),
            rng: SmallRng::seed_from_u64(seed),
            limits,
            process: None,
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn fuse(&self) -> &Fuse {
        &self.fuse
    }

    pub(crate) fn has_work(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| !process.waiting.is_empty())
    }

    /// A process begins on what the disk holds.
    pub(crate) fn start(&mut self, now: Duration) {
        self.fuse = Fuse::new();
        let (disk, fuse) = (self.disk.clone(), self.fuse.clone());
        let opener = move || -> Result<Database, DatabaseError> {
            Database::builder()
                .set_cache_size(1 << 20)
                .create_with_backend(disk.mount(&fuse))
        };
        match RedbStore::open_with(Path::new("simulated"), self.limits.clone(), opener) {
            Ok(store) => {
                self.process = Some(Process {
                    store,
                    mailboxes: Mailboxes::new(self.limits.clone(), now),
                    connections: BTreeMap::new(),
                    waiting: VecDeque::new(),
                });
            }
            Err(error) => assert!(self.disk.is_full(), "the relay does not start: {error}"),
        }
    }

    /// The power goes.
    pub(crate) fn crash(&mut self) {
        self.fuse.burn();
        self.process = None;
        self.disk.crash(&mut self.rng);
    }

    /// Its disk is lost; another one is put in.
    pub(crate) fn forget(&mut self) {
        self.fuse.burn();
        self.process = None;
        self.disk = Disk::default();
    }

    pub(crate) fn open(&mut self, connection: u64, origin: Origin, now: Duration) -> Vec<ToClient> {
        let nonce = self.rng.random();
        let Some(process) = &mut self.process else {
            return vec![ToClient::Close(connection)];
        };
        let session = Session::new(nonce, origin, &self.limits, now);
        let challenge = session.challenge(process.store.id()).write();
        process.mailboxes.handle_opened(ConnectionId(connection));
        let connected = Connection {
            session,
            proved: BTreeSet::new(),
            delivered: BTreeMap::new(),
        };
        process.connections.insert(connection, connected);
        vec![ToClient::Frame(connection, challenge)]
    }

    pub(crate) fn close(&mut self, connection: u64) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        process.connections.remove(&connection);
        process.mailboxes.handle_closed(ConnectionId(connection));
        self.outputs()
    }

    /// Whether the connection is read at all.
    pub(crate) fn reads(&self, connection: u64) -> bool {
        let process = self.process.as_ref();
        let connection = process.and_then(|process| process.connections.get(&connection));
        connection.is_some_and(|connection| connection.session.has_room())
    }

    pub(crate) fn handle_frame(&mut self, connection: u64, frame: Bytes) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        let Some(state) = process.connections.get_mut(&connection) else {
            return Vec::new();
        };
        let proofs = proofs_of(&frame);
        match state.session.handle_frame(frame) {
            Step::Command { id, command } => {
                let id_of = ConnectionId(connection);
                process.mailboxes.handle_command(id_of, id, command);
                self.outputs()
            }
            Step::Answer(reply) => {
                if matches!(reply.kind, Some(relay_reply::Kind::Done(_))) {
                    state.proved.extend(proofs);
                }
                vec![ToClient::Frame(connection, reply.write())]
            }
            Step::End(_, reply) => {
                let reply = reply.map(|reply| ToClient::Frame(connection, reply.write()));
                let mut all: Vec<ToClient> = reply.into_iter().collect();
                all.push(ToClient::Close(connection));
                all.extend(self.close(connection));
                all
            }
            other => panic!("{other:?}"),
        }
    }

    /// One batch of the store.
    pub(crate) fn work(&mut self, now: Duration, now_ms: u64) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        let some = process.waiting.len().min(BATCH);
        let (mut tickets, mut writes) = (Vec::new(), Vec::new());
        for (ticket, operation) in process.waiting.drain(..some) {
            let outcome = match operation {
                Operation::Write(write) => {
                    tickets.push(ticket);
                    writes.push(write);
                    continue;
                }
                Operation::Read(read) => process.store.read(&read).map(Outcome::Page),
                Operation::Scan { from, queues } => {
                    process.store.scan(from, queues, now_ms).map(Outcome::Scan)
                }
                other => panic!("{other:?}"),
            };
            process.mailboxes.handle_outcome(ticket, outcome, now);
        }
        if writes.is_empty() {
            return self.outputs();
        }
        let written = match process.store.commit(&writes, now_ms) {
            _ if self.fuse.is_burnt() => return Vec::new(),
            Ok(written) => written
                .into_iter()
                .map(|written| Ok(Outcome::Written(written)))
                .collect(),
            Err(error) => {
                assert!(self.disk.is_full(), "the relay's store fails: {error}");
                vec![Err(error); tickets.len()]
            }
        };
        for (ticket, outcome) in tickets.into_iter().zip(written) {
            process.mailboxes.handle_outcome(ticket, outcome, now);
        }
        self.outputs()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let process = self.process.as_ref()?;
        let sessions = process.connections.values();
        let sessions = sessions.filter_map(|connection| connection.session.poll_timeout());
        sessions.chain(process.mailboxes.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        process.mailboxes.handle_timeout(now);
        let connections = process.connections.iter();
        let late: Vec<u64> = connections
            .filter(|(_, connection)| connection.session.handle_timeout(now).is_some())
            .map(|(&id, _)| id)
            .collect();
        let mut all = self.outputs();
        for connection in late {
            all.push(ToClient::Close(connection));
            all.extend(self.close(connection));
        }
        all
    }

    fn outputs(&mut self) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        let mut all = Vec::new();
        while let Some(output) = process.mailboxes.poll_output() {
            match output {
                Output::Store { ticket, operation } => {
                    process.waiting.push_back((ticket, operation));
                }
                Output::Answer {
                    connection,
                    id,
                    kind,
                } => {
                    let Some(state) = process.connections.get_mut(&connection.0) else {
                        continue;
                    };
                    state.session.handle_answer(id, &kind);
                    let kind = Some(kind);
                    let frame = RelayReply { id, kind }.write();
                    all.push(ToClient::Frame(connection.0, frame));
                }
                Output::Push {
                    connection,
                    reply,
                    cost,
                } => {
                    if let Some(state) = process.connections.get_mut(&connection.0) {
                        state.check(&reply);
                        all.push(ToClient::Frame(connection.0, reply.write()));
                    }
                    process.mailboxes.handle_sent(connection, cost);
                }
                other => panic!("{other:?}"),
            }
        }
        all
    }
}

impl Connection {
    /// Invariant 11: indices increase, and nothing is delivered before its queue's key was proved.
    fn check(&mut self, reply: &RelayReply) {
        let Some(relay_reply::Kind::Deliver(deliver)) = &reply.kind else {
            return;
        };
        let queue = QueueId::try_from(deliver.queue.as_ref()).unwrap();
        assert!(self.proved.contains(&queue), "11: delivered before auth");
        let last = self.delivered.insert(queue, deliver.index).unwrap_or(0);
        assert!(last < deliver.index, "11: indices do not increase");
    }
}

fn proofs_of(frame: &Bytes) -> Vec<QueueId> {
    match RelayRequest::read(frame.clone()).map(|request| request.kind) {
        Ok(Some(relay_request::Kind::Auth(auth))) => auth
            .proofs
            .iter()
            .filter_map(|proof| QueueId::try_from(proof.key.as_slice()).ok())
            .collect(),
        _ => Vec::new(),
    }
}
