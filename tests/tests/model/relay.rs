//! The real relay without its sockets: `Mailboxes` over the real store, on a disk in memory.

use std::time::Duration;

use bytes::Bytes;
use tincan_protocol::ids::{EnvelopeId, QueueId, WriteToken};
use tincan_protocol::wire::relay_reply::Kind as Reply;
use tincan_relay::RelayLimits;
use tincan_relay::mailbox::{Command, ConnectionId, Mailboxes, Operation, Outcome, Output, Ticket};
use tincan_relay::store::{Page, QueueKind, Read, RedbStore, Store as _, StoreError, Write};

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

/// A write that is not in a transaction yet.
pub(crate) struct Taken {
    pub(crate) connection: ConnectionId,
    pub(crate) write: Write,
    ticket: Ticket,
}

impl Taken {
    fn queue(&self) -> QueueId {
        match &self.write {
            Write::Deposit { queue, .. }
            | Write::Append { queue, .. }
            | Write::Ack { queue, .. } => *queue,
            other => panic!("nobody here asks for {other:?}"),
        }
    }
}

pub(crate) struct Relay {
    mailboxes: Mailboxes,
    disk: Disk,
    store: RedbStore,
    /// In their order.
    taken: Vec<Taken>,
    next_connection: u64,
    next_queue: u64,
    next_request: u64,
}

impl Relay {
    pub(crate) fn new() -> Self {
        let disk = Disk::default();
        Self {
            mailboxes: Mailboxes::new(RelayLimits::default(), Duration::ZERO),
            store: disk.open(RelayLimits::default()).unwrap(),
            disk,
            taken: Vec::new(),
            next_connection: 0,
            next_queue: 0,
            next_request: 0,
        }
    }

    /// Its process ends together with the machine, and begins again.
    pub(crate) fn crash(&mut self) {
        // What the old store does to its disk as it goes does not matter to this one.
        self.disk = self.disk.copy();
        self.disk.crash(|| false);
        self.store = self.disk.open(RelayLimits::default()).unwrap();
        self.mailboxes = Mailboxes::new(RelayLimits::default(), Duration::ZERO);
        self.taken.clear();
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

    /// Until it is synced nothing is said to it; nor to an [ack](Self::ack).
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
        let mut said = self.command(connection, Command::Write(append));
        said.extend(self.sync(queue));
        said
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

    /// What is not durable yet of what a queue was given.
    pub(crate) fn taken(&self, queue: QueueId) -> impl Iterator<Item = &Taken> {
        self.taken
            .iter()
            .filter(move |taken| taken.queue() == queue)
    }

    /// Commits the first of it.
    pub(crate) fn sync(&mut self, queue: QueueId) -> Vec<Said> {
        let taken = self.take_first(queue);
        let writes = std::slice::from_ref(&taken.write);
        let mut written = self.store.commit(writes, NOW_MS).unwrap();
        self.settle(&taken, Ok(Outcome::Written(written.remove(0))))
    }

    /// Cannot commit the first of it: the disk is full.
    pub(crate) fn fail(&mut self, queue: QueueId) -> Vec<Said> {
        let taken = self.take_first(queue);
        let reason = "full".to_owned();
        self.settle(&taken, Err(StoreError { reason }))
    }

    fn settle(&mut self, taken: &Taken, outcome: Result<Outcome, StoreError>) -> Vec<Said> {
        self.mailboxes
            .handle_outcome(taken.ticket, outcome, Duration::ZERO);
        self.run(taken.connection)
    }

    fn take_first(&mut self, queue: QueueId) -> Taken {
        let mut taken = self.taken.iter();
        let first = taken.position(|taken| taken.queue() == queue);
        self.taken.remove(first.unwrap())
    }

    fn command(&mut self, connection: ConnectionId, command: Command) -> Vec<Said> {
        self.next_request += 1;
        self.mailboxes
            .handle_command(connection, self.next_request, command);
        self.run(connection)
    }

    /// What a command, or the end of a write, leads to: reads are done at once, as in the real relay
    /// those of a batch are; writes wait for their commit.
    fn run(&mut self, connection: ConnectionId) -> Vec<Said> {
        let mut said = Vec::new();
        while let Some(output) = self.mailboxes.poll_output() {
            match output {
                Output::Store {
                    ticket,
                    operation: Operation::Write(write),
                } => self.taken.push(Taken {
                    connection,
                    write,
                    ticket,
                }),
                Output::Store {
                    ticket,
                    operation: Operation::Read(read),
                } => {
                    let page = self.store.read(&read).unwrap();
                    let outcome = Ok(Outcome::Page(page));
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
        said
    }
}
