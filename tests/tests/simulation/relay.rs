//! A relay: its real sessions, mailboxes and store, on a disk of ours, without sockets and threads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use redb::{Database, DatabaseError};
use tincan_protocol::keys::QueueKey;
use tincan_protocol::origin::Origin;
use tincan_protocol::wire::{
    self, Frame as _, RelayReply, RelayRequest, relay_reply, relay_request,
};
use tincan_protocol::{QueueId, relay_auth};
use tincan_relay::RelayLimits;
use tincan_relay::mailbox::{
    Command, ConnectionId, Mailboxes, Operation, Outcome, Output, Session, Step, Ticket,
};
use tincan_relay::store::{Read, RedbStore, Store as _, Write};

use crate::disk::Disk;
use crate::fuse::Fuse;
use crate::mailbox_book::MailboxBook;

/// Operations of one transaction: few, so that crashes fall between many.
const BATCH: usize = 8;

/// A relay's machine.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) disk: Disk,
    /// Whether its file is there.
    is_made: bool,
    fuse: Fuse,
    rng: SmallRng,
    limits: RelayLimits,
    process: Option<Process>,
    book: MailboxBook,
    /// It deletes one envelope more than was acknowledged: a defect.
    pub(crate) deletes_too_much: bool,
    /// It deletes what anybody acknowledges: a defect.
    pub(crate) obeys_anybody: bool,
    /// After how many operations the next process dies.
    doom: Option<u16>,
    /// Its wall clock was set by that much, milliseconds.
    jump_ms: i64,
    /// The lowest and the highest of these.
    jumps: (i64, i64),
}

#[derive(Debug)]
struct Process {
    store: RedbStore,
    mailboxes: Mailboxes,
    connections: BTreeMap<u64, Session>,
    waiting: VecDeque<(Ticket, Operation)>,
}

/// What the relay sends to a connection, or that it ends it.
#[derive(Debug)]
pub(crate) enum ToClient {
    Frame(u64, Bytes),
    Close(u64),
}

impl Relay {
    /// On an empty machine, or with what another one has on its disk.
    pub(crate) fn new(disk: Option<Disk>, seed: u64) -> Self {
        let mut limits = RelayLimits::default();
        // Small, so that it is full now and then.
        limits.mailbox_envelopes = 60;
        Self {
            is_made: disk.is_some(),
            disk: disk.unwrap_or_default(),
            fuse: Fuse::new(),
            rng: SmallRng::seed_from_u64(seed),
            limits,
            process: None,
            book: MailboxBook::default(),
            deletes_too_much: false,
            obeys_anybody: false,
            doom: None,
            jump_ms: 0,
            jumps: (0, 0),
        }
    }

    /// A process dies after so many more operations: this one, or else the next one while it begins.
    pub(crate) fn doom(&mut self, operations: u16) {
        if self.is_alive() {
            self.fuse.light(operations);
        } else {
            self.doom = Some(operations);
        }
    }

    /// Somebody sets its clock.
    pub(crate) fn jump(&mut self, ms: i64) {
        self.jump_ms += ms;
        let (lowest, highest) = self.jumps;
        self.jumps = (lowest.min(self.jump_ms), highest.max(self.jump_ms));
        self.book.may_expire = self.may_expire();
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn is_dying(&self) -> bool {
        self.fuse.is_burnt()
    }

    pub(crate) fn has_work(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| !process.waiting.is_empty())
    }

    /// A process begins on what the disk holds. False if it dies in the middle of that.
    pub(crate) fn start(&mut self, now: Duration) -> bool {
        self.fuse = Fuse::new();
        if let Some(operations) = self.doom.take() {
            self.fuse.light(operations);
        }
        if !self.is_made && !self.make() {
            return !self.fuse.is_burnt();
        }
        let (disk, fuse) = (self.disk.clone(), self.fuse.clone());
        let opener = move || -> Result<Database, DatabaseError> {
            Database::builder()
                .set_cache_size(1 << 20)
                .create_with_backend(disk.mount(&fuse))
        };
        let store = RedbStore::open_with(Path::new("simulated"), self.limits.clone(), opener);
        if self.fuse.is_burnt() {
            return false;
        }
        match store {
            Ok(store) => {
                self.process = Some(Process {
                    store,
                    mailboxes: Mailboxes::new(self.limits.clone(), now),
                    connections: BTreeMap::new(),
                    waiting: VecDeque::new(),
                });
                self.check_kept();
            }
            Err(error) => assert!(self.disk.is_full(), "the relay does not start: {error}"),
        }
        true
    }

    /// As the program does: its file is made beside its place, and moved there when it is whole.
    fn make(&mut self) -> bool {
        let beside = Disk::default();
        beside.set_room(self.disk.room());
        let made = Database::builder().create_with_backend(beside.mount(&self.fuse));
        drop(made);
        self.is_made = !self.fuse.is_burnt() && !beside.is_full();
        if self.is_made {
            self.disk = beside;
        }
        self.is_made
    }

    /// Whether its clock was set ahead so far that it may throw away what waits.
    pub(crate) fn may_expire(&self) -> bool {
        let span = u64::try_from(self.jumps.1 - self.jumps.0).unwrap();
        Duration::from_millis(span) >= self.limits.mailbox_ttl / 2
    }

    /// What it has called deposited is there.
    pub(crate) fn check_kept(&mut self) {
        let may_expire = self.may_expire();
        let Some(process) = &mut self.process else {
            return;
        };
        if may_expire {
            return;
        }
        for queue in self.book.queues().collect::<Vec<_>>() {
            let all = Read {
                queue,
                after_index: 0,
                max_entries: usize::MAX,
                max_bytes: usize::MAX,
            };
            let page = process.store.read(&all).unwrap();
            let entries = page.map_or_else(|_| Vec::new(), |page| page.entries);
            let bytes: u64 = entries.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            let count = entries.len() as u64;
            assert!(
                count <= self.limits.mailbox_envelopes && bytes <= self.limits.mailbox_bytes,
                "9: {count} envelopes of {bytes} bytes in a mailbox"
            );
            self.book.holds(queue, &entries);
        }
    }

    /// The power goes.
    pub(crate) fn crash(&mut self) {
        self.fuse.burn();
        self.process = None;
        self.book.died();
        self.disk.crash(&mut self.rng);
    }

    /// Its disk is lost; another one is put in.
    pub(crate) fn forget(&mut self) {
        self.fuse.burn();
        self.process = None;
        self.book = MailboxBook::default();
        self.book.may_expire = self.may_expire();
        (self.disk, self.is_made) = (Disk::default(), false);
    }

    pub(crate) fn open(&mut self, connection: u64, origin: Origin, now: Duration) -> Vec<ToClient> {
        let nonce = self.rng.random();
        let Some(process) = &mut self.process else {
            return vec![ToClient::Close(connection)];
        };
        let session = Session::new(nonce, origin, &self.limits, now);
        let challenge = session.challenge(process.store.id()).write();
        process.mailboxes.handle_opened(ConnectionId(connection));
        process.connections.insert(connection, session);
        vec![ToClient::Frame(connection, challenge)]
    }

    pub(crate) fn close(&mut self, connection: u64) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        process.connections.remove(&connection);
        self.book.closed(connection);
        process.mailboxes.handle_closed(ConnectionId(connection));
        self.outputs()
    }

    /// Whether the connection is read at all.
    pub(crate) fn reads(&self, connection: u64) -> bool {
        let process = self.process.as_ref();
        let connection = process.and_then(|process| process.connections.get(&connection));
        connection.is_some_and(Session::has_room)
    }

    pub(crate) fn handle_frame(&mut self, connection: u64, frame: Bytes) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        let Some(session) = process.connections.get_mut(&connection) else {
            return Vec::new();
        };
        self.book.asked(connection, &frame);
        if self.obeys_anybody
            && let Some((id, command)) = acknowledgement(&frame)
        {
            let id_of = ConnectionId(connection);
            process.mailboxes.handle_command(id_of, id, command);
            return self.outputs();
        }
        let frame = if self.deletes_too_much {
            acknowledge_more(frame)
        } else {
            frame
        };
        match session.handle_frame(frame) {
            Step::Command { id, command } => {
                let id_of = ConnectionId(connection);
                process.mailboxes.handle_command(id_of, id, command);
                self.outputs()
            }
            Step::Answer(reply) => {
                if let Some(kind) = &reply.kind {
                    self.book.says(connection, reply.id, kind);
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

    /// Somebody who knows the name of a mailbox, as all do who write there, and has proved a key of their own, would
    /// read it, empty it and delete it.
    pub(crate) fn intrude(
        &mut self,
        connection: u64,
        origin: &Origin,
        now: Duration,
    ) -> Vec<ToClient> {
        let count = self.book.queues().count();
        let some = usize::try_from(connection).unwrap() % count.max(1);
        let Some(queue) = self.book.queues().nth(some).map(|queue| queue.to_vec()) else {
            return Vec::new();
        };
        let mut all = self.open(connection, origin.clone(), now);
        let Some(nonce) = nonce_of(&all) else {
            return all;
        };
        let key = QueueKey::from_seed(&nonce);
        let proof = wire::KeyProof {
            key: key.queue().to_vec(),
            signature: relay_auth::prove(&key, &nonce, origin).to_vec(),
        };
        let kinds = [
            relay_request::Kind::Auth(wire::Auth {
                proofs: vec![proof],
            }),
            relay_request::Kind::Subscribe(wire::Subscribe {
                queue: queue.clone(),
                after_index: 0,
            }),
            relay_request::Kind::AckUpTo(wire::AckUpTo {
                queue: queue.clone(),
                index: u64::MAX - 1,
            }),
            relay_request::Kind::QueueDelete(wire::QueueDelete { queue }),
        ];
        for (id, kind) in (1..).zip(kinds) {
            let kind = Some(kind);
            let frame = RelayRequest { id, kind }.write();
            all.extend(self.handle_frame(connection, frame));
        }
        all.extend(self.close(connection));
        all
    }

    /// One batch of the store.
    pub(crate) fn work(&mut self, now: Duration, right_ms: u64) -> Vec<ToClient> {
        let now_ms = right_ms.saturating_add_signed(self.jump_ms);
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        let some = process.waiting.len().min(BATCH);
        let (mut tickets, mut writes) = (Vec::new(), Vec::new());
        let mut filled = BTreeSet::new();
        for (ticket, operation) in process.waiting.drain(..some) {
            let outcome = match operation {
                Operation::Write(write) => {
                    if let Write::Deposit { queue, .. } = &write {
                        filled.insert(*queue);
                    }
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
            Ok(written) => {
                let limit = self.limits.mailbox_envelopes;
                for queue in filled {
                    check_count(&mut process.store, queue, limit);
                }
                let written = written.into_iter();
                written
                    .map(|written| Ok(Outcome::Written(written)))
                    .collect()
            }
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
        let sessions = sessions.filter_map(Session::poll_timeout);
        sessions.chain(process.mailboxes.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) -> Vec<ToClient> {
        let Some(process) = &mut self.process else {
            return Vec::new();
        };
        process.mailboxes.handle_timeout(now);
        let connections = process.connections.iter();
        let late: Vec<u64> = connections
            .filter(|(_, session)| session.handle_timeout(now).is_some())
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
                    let Some(session) = process.connections.get_mut(&connection.0) else {
                        continue;
                    };
                    session.handle_answer(id, &kind);
                    self.book.says(connection.0, id, &kind);
                    let kind = Some(kind);
                    let frame = RelayReply { id, kind }.write();
                    all.push(ToClient::Frame(connection.0, frame));
                }
                Output::Push {
                    connection,
                    reply,
                    cost,
                } => {
                    if process.connections.contains_key(&connection.0) {
                        if let Some(kind) = &reply.kind {
                            self.book.says(connection.0, reply.id, kind);
                        }
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

/// Invariant 9, of a mailbox that was written to. Envelopes go away from the front alone, so the first index
/// tells how many there are, and the others need not be read; their bytes are counted when a process begins.
fn check_count(store: &mut RedbStore, queue: QueueId, limit: u64) {
    let first = Read {
        queue,
        after_index: 0,
        max_entries: 1,
        max_bytes: 0,
    };
    let page = store.read(&first).unwrap();
    let Ok(page) = page else { return };
    let count = page
        .entries
        .first()
        .map_or(0, |(first, _)| page.last_index - first + 1);
    assert!(count <= limit, "9: {count} envelopes in a mailbox");
}

fn nonce_of(challenged: &[ToClient]) -> Option<[u8; 32]> {
    challenged.iter().find_map(|output| match output {
        ToClient::Frame(_, frame) => match RelayReply::read(frame.clone()).ok()?.kind? {
            relay_reply::Kind::Challenge(challenge) => challenge.nonce.as_slice().try_into().ok(),
            _ => None,
        },
        _ => None,
    })
}

fn acknowledgement(frame: &Bytes) -> Option<(u64, Command)> {
    let request = RelayRequest::read(frame.clone()).ok()?;
    let Some(relay_request::Kind::AckUpTo(ack)) = request.kind else {
        return None;
    };
    let queue = QueueId::try_from(ack.queue.as_slice()).ok()?;
    let index = ack.index;
    Some((request.id, Command::Write(Write::Ack { queue, index })))
}

fn acknowledge_more(frame: Bytes) -> Bytes {
    match RelayRequest::read(frame.clone()) {
        Ok(RelayRequest {
            id,
            kind: Some(relay_request::Kind::AckUpTo(mut ack)),
        }) => {
            ack.index += 1;
            let kind = Some(relay_request::Kind::AckUpTo(ack));
            RelayRequest { id, kind }.write()
        }
        _ => frame,
    }
}

#[cfg(test)]
mod tests {
    use tincan_protocol::{EnvelopeId, WriteToken};
    use tincan_relay::store::QueueKind;

    use super::*;

    /// A relay with two envelopes in a mailbox, of which its book has one.
    fn filled() -> Relay {
        let mut relay = Relay::new(None, 1);
        assert!(relay.start(Duration::ZERO));
        let (queue, token) = (QUEUE, WriteToken::from_bytes([1; 16]).hash());
        let kind = QueueKind::Mailbox;
        let mut writes = vec![Write::Create { queue, kind, token }];
        writes.extend([b"one", b"two"].map(|bytes| Write::Deposit {
            queue,
            token,
            env_id: EnvelopeId::of(bytes),
            envelope: Bytes::from_static(bytes),
        }));
        let process = relay.process.as_mut().unwrap();
        process.store.commit(&writes, 1).unwrap();
        relay.book.has_taken(queue, EnvelopeId::of(b"one"));
        relay
    }

    const QUEUE: QueueId = QueueId::from_bytes([1; 32]);

    #[test]
    fn a_mailbox_may_be_full() {
        let mut relay = filled();
        relay.limits.mailbox_envelopes = 2;
        relay.check_kept();
        check_count(&mut relay.process.as_mut().unwrap().store, QUEUE, 2);
    }

    #[test]
    #[should_panic(expected = "9: 2 envelopes in a mailbox")]
    fn a_mailbox_that_is_written_to_beyond_its_limit() {
        check_count(&mut filled().process.as_mut().unwrap().store, QUEUE, 1);
    }

    #[test]
    #[should_panic(expected = "9: 2 envelopes of 6 bytes in a mailbox")]
    fn a_mailbox_that_is_found_beyond_its_limit() {
        let mut relay = filled();
        relay.limits.mailbox_bytes = 5;
        relay.check_kept();
    }
}
