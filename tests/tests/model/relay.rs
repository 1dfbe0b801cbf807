//! The real relay without its sockets: `Mailboxes` over the real store, on a disk in memory.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tincan_protocol::ids::{EnvelopeId, QueueId, WriteToken};
use tincan_protocol::wire::relay_reply::Kind as Reply;
use tincan_relay::RelayLimits;
use tincan_relay::mailbox::{Command, ConnectionId, Mailboxes, Operation, Outcome, Output};
use tincan_relay::store::{Page, QueueKind, Read, RedbStore, Store as _, Write};

use super::relay_disk::Disk;

const TOKEN: WriteToken = WriteToken::from_bytes([7; 16]);

/// Some moment, Unix milliseconds: nothing here grows old.
const NOW_MS: u64 = 1_800_000_000_000;

/// What the relay says.
#[derive(Debug)]
pub(crate) enum Said {
    /// To a request.
    Answer(ConnectionId, Reply),
    /// By itself.
    Push(ConnectionId, Reply),
}

pub(crate) struct Relay {
    mailboxes: Mailboxes,
    store: RedbStore,
    next_connection: u64,
    next_queue: u64,
    next_request: u64,
}

impl Relay {
    pub(crate) fn new() -> Self {
        let limits = RelayLimits::default();
        Self {
            mailboxes: Mailboxes::new(limits.clone(), Duration::ZERO),
            store: Disk::default().open(limits).unwrap(),
            next_connection: 0,
            next_queue: 0,
            next_request: 0,
        }
    }

    /// A queue that nobody has used.
    pub(crate) fn queue(&mut self, kind: QueueKind) -> QueueId {
        self.next_queue += 1;
        let mut name = [0; 32];
        name[..8].copy_from_slice(&self.next_queue.to_be_bytes());
        let queue = QueueId::from_bytes(name);
        let token = TOKEN.hash();
        let create = Write::Create { queue, kind, token };
        self.store.commit(&[create], NOW_MS).unwrap();
        queue
    }

    pub(crate) fn connect(&mut self) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.mailboxes.handle_opened(connection);
        connection
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        self.mailboxes.handle_closed(connection);
    }

    pub(crate) fn subscribe(&mut self, connection: ConnectionId, queue: QueueId) -> Vec<Said> {
        let after_index = 0;
        self.command(connection, Command::Subscribe { queue, after_index })
    }

    pub(crate) fn deposit(
        &mut self,
        connection: ConnectionId,
        queue: QueueId,
        envelope: Bytes,
    ) -> Vec<Said> {
        let env_id = EnvelopeId::of(&envelope);
        let token = TOKEN.hash();
        let deposit = Write::Deposit {
            queue,
            token,
            env_id,
            envelope,
        };
        self.command(connection, Command::Write(deposit))
    }

    pub(crate) fn append(
        &mut self,
        connection: ConnectionId,
        queue: QueueId,
        after_index: u64,
        entry: Bytes,
    ) -> Vec<Said> {
        let env_id = EnvelopeId::of(&entry);
        let token = TOKEN.hash();
        let append = Write::Append {
            queue,
            token,
            after_index,
            env_id,
            entry,
        };
        self.command(connection, Command::Write(append))
    }

    pub(crate) fn ack(
        &mut self,
        connection: ConnectionId,
        queue: QueueId,
        index: u64,
    ) -> Vec<Said> {
        self.command(connection, Command::Write(Write::Ack { queue, index }))
    }

    /// Everything that is in a queue.
    pub(crate) fn page(&mut self, queue: QueueId) -> Page {
        let read = Read {
            queue,
            after_index: 0,
            max_entries: usize::MAX,
            max_bytes: usize::MAX,
        };
        self.store.read(&read).unwrap().unwrap()
    }

    fn command(&mut self, connection: ConnectionId, command: Command) -> Vec<Said> {
        self.next_request += 1;
        self.mailboxes
            .handle_command(connection, self.next_request, command);
        let mut said = Vec::new();
        let mut outputs = VecDeque::new();
        loop {
            outputs.extend(std::iter::from_fn(|| self.mailboxes.poll_output()));
            let Some(output) = outputs.pop_front() else {
                return said;
            };
            match output {
                Output::Store { ticket, operation } => {
                    let outcome = self.run(operation);
                    let outcome = Ok(outcome);
                    self.mailboxes
                        .handle_outcome(ticket, outcome, Duration::ZERO);
                }
                Output::Answer {
                    connection, kind, ..
                } => said.push(Said::Answer(connection, kind)),
                Output::Push {
                    connection,
                    reply,
                    cost,
                } => {
                    self.mailboxes.handle_sent(connection, cost);
                    said.push(Said::Push(connection, reply.kind.unwrap()));
                }
                other => panic!("the relay can want {other:?}: it needs an entry here"),
            }
        }
    }

    fn run(&mut self, operation: Operation) -> Outcome {
        match operation {
            Operation::Write(write) => {
                let mut written = self.store.commit(&[write], NOW_MS).unwrap();
                Outcome::Written(written.remove(0))
            }
            Operation::Read(read) => Outcome::Page(self.store.read(&read).unwrap()),
            other => panic!("the relay can want {other:?}: it needs an entry here"),
        }
    }
}
