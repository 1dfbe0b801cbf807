//! Who reads which queue, and what happens to each command.

use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tincan_protocol::ids::{EnvelopeId, QueueId};
use tincan_protocol::wire::{self, RelayReply, relay_reply};

use super::command::Command;
use super::connection::{Connection, Outbound};
use super::refusal::Refusal;
use super::subscription::{Subscription, SubscriptionId};
use super::sweep::{QUEUES_PER_STEP, Sweep};
use crate::limits::RelayLimits;
use crate::store::{Page, QueueKind, Read, Refused, Scan, StoreError, Write, Written};

/// Names a connection; chosen by the shell, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Names a store operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What the shell has to do. To be done in this order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Answer a command.
    Answer {
        /// To whom.
        connection: ConnectionId,
        /// The request's id.
        id: u64,
        /// The answer.
        kind: relay_reply::Kind,
    },
    /// Send something that no request in flight waits for. Report `cost` with
    /// [`Mailboxes::handle_sent`] once it is written.
    Push {
        /// To whom.
        connection: ConnectionId,
        /// The frame.
        reply: RelayReply,
        /// What it takes of the connection's room.
        cost: Outbound,
    },
    /// Run this on the store and hand the outcome to [`Mailboxes::handle_outcome`].
    Store {
        /// Names it.
        ticket: Ticket,
        /// What to run.
        operation: Operation,
    },
}

/// Something for the store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// For [`Store::commit`](crate::store::Store::commit).
    Write(Write),
    /// For [`Store::read`](crate::store::Store::read).
    Read(Read),
    /// For [`Store::scan`](crate::store::Store::scan).
    Scan {
        /// Where to begin.
        from: Option<QueueId>,
        /// Queues to look at.
        queues: usize,
    },
}

/// What the store made of an [`Operation`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Of a write, after its commit.
    Written(Written),
    /// Of a read.
    Page(Result<Page, Refused>),
    /// Of a scan.
    Scan(Scan),
}

/// Memory of a frame beside its envelope, bytes; so that many small ones are not free.
const FRAME_COST: usize = 128;

/// What to do when the store has answered.
#[derive(Debug)]
enum Pending {
    Write {
        connection: ConnectionId,
        id: u64,
        then: Then,
    },
    Read {
        connection: ConnectionId,
        subscription: SubscriptionId,
        reserved: Outbound,
    },
    Scan,
    Expire,
}

/// What a write means for others than the one who asked.
#[derive(Debug)]
enum Then {
    Nothing,
    Deposited {
        queue: QueueId,
        env_id: EnvelopeId,
        envelope: Bytes,
    },
    Appended {
        queue: QueueId,
        entry: Bytes,
    },
    Deleted {
        queue: QueueId,
    },
}

/// Who reads which queue, and what happens to each command.
#[derive(Debug)]
pub struct Mailboxes {
    limits: RelayLimits,
    connections: HashMap<ConnectionId, Connection>,
    subscriptions: HashMap<SubscriptionId, Subscription>,
    /// Oldest first.
    readers: HashMap<QueueId, Vec<SubscriptionId>>,
    pending: HashMap<Ticket, Pending>,
    next_ticket: u64,
    next_subscription: u64,
    sweep: Sweep,
    outputs: VecDeque<Output>,
}

impl Mailboxes {
    /// No connections yet. `now` is the time since some fixed moment, here and everywhere.
    #[must_use]
    pub fn new(limits: RelayLimits, now: Duration) -> Self {
        Self {
            limits,
            connections: HashMap::new(),
            subscriptions: HashMap::new(),
            readers: HashMap::new(),
            pending: HashMap::new(),
            next_ticket: 0,
            next_subscription: 0,
            sweep: Sweep::new(now),
            outputs: VecDeque::new(),
        }
    }

    /// A connection begins.
    pub fn handle_opened(&mut self, connection: ConnectionId) {
        self.connections.insert(connection, Connection::default());
    }

    /// A connection has ended. What it asked of the store still happens.
    pub fn handle_closed(&mut self, connection: ConnectionId) {
        let ended = self.connections.remove(&connection).unwrap_or_default();
        for subscription in ended.subscriptions.into_values() {
            self.remove(subscription);
        }
    }

    /// A command that the connection's [`Session`](super::Session) let through.
    pub fn handle_command(&mut self, connection: ConnectionId, id: u64, command: Command) {
        match command {
            Command::Subscribe { queue, after_index } => {
                self.subscribe(connection, id, queue, after_index);
            }
            Command::Write(write) => self.write(connection, id, write),
        }
    }

    /// Pushed frames have been written to the socket.
    pub fn handle_sent(&mut self, connection: ConnectionId, sent: Outbound) {
        if let Some(state) = self.connections.get_mut(&connection) {
            state.release(sent);
        }
        self.feed_starved(connection);
    }

    /// The store has run an operation, or could not.
    pub fn handle_outcome(
        &mut self,
        ticket: Ticket,
        outcome: Result<Outcome, StoreError>,
        now: Duration,
    ) {
        match (self.pending.remove(&ticket), outcome) {
            (
                Some(Pending::Write {
                    connection,
                    id,
                    then,
                }),
                Ok(Outcome::Written(written)),
            ) => {
                self.handle_written(connection, id, then, written);
            }
            (Some(Pending::Write { connection, id, .. }), _) => {
                self.answer(connection, id, Refusal::unavailable().kind());
            }
            (
                Some(Pending::Read {
                    connection,
                    subscription,
                    reserved,
                }),
                outcome,
            ) => {
                self.handle_read(connection, reserved, subscription, outcome);
            }
            (Some(Pending::Scan), Ok(Outcome::Scan(scan))) => {
                self.sweep.finish(Ok(scan.next), now);
                for queue in scan.stale {
                    self.store(Pending::Expire, Operation::Write(Write::Expire { queue }));
                }
            }
            (Some(Pending::Scan), _) => self.sweep.finish(Err(()), now),
            (Some(Pending::Expire) | None, _) => {}
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        if let Some(from) = self.sweep.start(now) {
            let operation = Operation::Scan {
                from,
                queues: QUEUES_PER_STEP,
            };
            self.store(Pending::Scan, operation);
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.sweep.due()
    }

    /// What to do next.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn write(&mut self, connection: ConnectionId, id: u64, write: Write) {
        if let Write::Ack { queue, index } = &write
            && self.open_window(connection, queue, *index) == Some(QueueKind::Log)
        {
            // On a log that was all there is to do: no transaction for it.
            return self.answer(connection, id, relay_reply::Kind::Done(wire::Done {}));
        }
        let then = match &write {
            Write::Deposit {
                queue,
                env_id,
                envelope,
                ..
            } => Then::Deposited {
                queue: *queue,
                env_id: *env_id,
                envelope: envelope.clone(),
            },
            Write::Append { queue, entry, .. } => Then::Appended {
                queue: *queue,
                entry: entry.clone(),
            },
            Write::Delete { queue } => Then::Deleted { queue: *queue },
            _ => Then::Nothing,
        };
        self.store(
            Pending::Write {
                connection,
                id,
                then,
            },
            Operation::Write(write),
        );
    }

    fn handle_written(&mut self, connection: ConnectionId, id: u64, then: Then, written: Written) {
        let kind = match (&written, &then) {
            (Written::Deposited { .. }, Then::Deposited { env_id, .. }) => {
                relay_reply::Kind::Deposited(wire::Deposited {
                    env_id: env_id.to_vec(),
                })
            }
            (Written::Appended { index, .. }, _) => {
                relay_reply::Kind::Appended(wire::Appended { index: *index })
            }
            (Written::Conflict { last_index }, _) => relay_reply::Kind::Conflict(wire::Conflict {
                last_index: *last_index,
            }),
            (
                Written::Stock {
                    single_use,
                    last_resort,
                },
                _,
            ) => {
                let (single_use, last_resort) = (*single_use, *last_resort);
                relay_reply::Kind::KeyPackageStock(wire::KeyPackageStock {
                    single_use,
                    last_resort,
                })
            }
            (Written::Package(package), _) => relay_reply::Kind::KeyPackage(wire::KeyPackage {
                package: package.to_vec(),
            }),
            (Written::Refused(refused), _) => Refusal::from(*refused).kind(),
            (Written::Done | Written::Deposited { .. }, _) => {
                relay_reply::Kind::Done(wire::Done {})
            }
        };
        self.answer(connection, id, kind);
        match (then, written) {
            (
                Then::Deposited {
                    queue, envelope, ..
                },
                Written::Deposited { index },
            ) => {
                self.announce(&queue, index, &envelope);
            }
            (Then::Appended { queue, entry }, Written::Appended { index }) => {
                self.announce(&queue, index, &entry);
            }
            (Then::Deleted { queue }, Written::Done) => {
                for subscription in self.readers.get(&queue).cloned().unwrap_or_default() {
                    self.end(subscription, Refused::NoSuchQueue.into());
                }
            }
            _ => {}
        }
    }

    /// Tells the queue's readers of an index that is durable now.
    fn announce(&mut self, queue: &QueueId, index: u64, envelope: &Bytes) {
        for id in self.readers.get(queue).cloned().unwrap_or_default() {
            let Some(subscription) = self.subscriptions.get_mut(&id) else {
                continue;
            };
            let connection = subscription.connection;
            let is_next = subscription.handle_new(index, &self.limits);
            let has_room = self
                .connections
                .get(&connection)
                .is_some_and(|c| c.has_room(&self.limits));
            if is_next && has_room {
                subscription.handle_delivered(index, envelope.len());
                self.deliver(connection, *queue, index, envelope.clone());
            } else {
                self.pump(id);
            }
        }
    }

    fn subscribe(
        &mut self,
        connection: ConnectionId,
        request: u64,
        queue: QueueId,
        after_index: u64,
    ) {
        let id = SubscriptionId(self.next_subscription);
        self.next_subscription += 1;
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        // A new cursor of the same reader: the old subscription ends without a word, unless it has
        // not been answered yet.
        if let Some(old) = state.subscriptions.insert(queue, id)
            && let Some(old) = self.remove(old)
            && old.kind.is_none()
        {
            self.answer(connection, old.request, Refusal::displaced().kind());
        }
        self.subscriptions.insert(
            id,
            Subscription::new(connection, queue, request, after_index),
        );
        self.readers.entry(queue).or_default().push(id);
        self.pump(id);
    }

    /// Reads on for a subscription if it is behind and there is room for more.
    fn pump(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let connection = subscription.connection;
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        if !subscription.wants_read(&self.limits) {
            return;
        }
        if !state.has_room(&self.limits) {
            return state.starve(id);
        }
        let read = subscription.start_read(&self.limits);
        let reserved = Outbound {
            frames: read.max_entries,
            bytes: read.max_bytes,
        };
        state.occupy(reserved);
        let pending = Pending::Read {
            connection,
            subscription: id,
            reserved,
        };
        self.store(pending, Operation::Read(read));
    }

    /// Lets subscriptions go on that waited for room on their connection.
    fn feed_starved(&mut self, connection: ConnectionId) {
        while let Some(state) = self.connections.get_mut(&connection)
            && let Some(subscription) = state.next_starved(&self.limits)
        {
            self.pump(subscription);
        }
    }

    fn handle_read(
        &mut self,
        connection: ConnectionId,
        reserved: Outbound,
        id: SubscriptionId,
        outcome: Result<Outcome, StoreError>,
    ) {
        if let Some(state) = self.connections.get_mut(&connection) {
            state.release(reserved);
        }
        match outcome {
            Ok(Outcome::Page(Ok(page))) => self.handle_page(id, page),
            Ok(Outcome::Page(Err(refused))) => self.end(id, refused.into()),
            _ => self.end(id, Refusal::unavailable()),
        }
        self.feed_starved(connection);
    }

    fn handle_page(&mut self, id: SubscriptionId, page: Page) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let (connection, queue, request) = (
            subscription.connection,
            subscription.queue,
            subscription.request,
        );
        let is_first = subscription.kind.is_none();
        subscription.handle_page(&page);
        let is_drained = subscription.take_drained();
        if is_first {
            self.answer(connection, request, relay_reply::Kind::Done(wire::Done {}));
            self.displace(&queue, page.kind);
            if !self.subscriptions.contains_key(&id) {
                return;
            }
        }
        for (index, envelope) in page.entries {
            self.deliver(connection, queue, index, envelope);
        }
        if is_drained {
            let drained = wire::Drained {
                queue: queue.to_vec(),
            };
            self.push(connection, 0, relay_reply::Kind::Drained(drained), 0);
        }
        self.pump(id);
    }

    /// Ends the oldest subscriptions of a queue that has more readers than it may have.
    fn displace(&mut self, queue: &QueueId, kind: QueueKind) {
        let readers_max = match kind {
            QueueKind::Mailbox => 1,
            QueueKind::Log => self.limits.log_readers,
        };
        let readers = self.readers.get(queue).cloned().unwrap_or_default();
        for oldest in readers
            .iter()
            .take(readers.len().saturating_sub(readers_max))
        {
            self.end(*oldest, Refusal::displaced());
        }
    }

    /// Ends a subscription with an error that carries the id of the request that made it.
    fn end(&mut self, id: SubscriptionId, refusal: Refusal) {
        let Some(subscription) = self.remove(id) else {
            return;
        };
        match subscription.kind {
            None => self.answer(
                subscription.connection,
                subscription.request,
                refusal.kind(),
            ),
            Some(_) => self.push(
                subscription.connection,
                subscription.request,
                refusal.kind(),
                0,
            ),
        }
    }

    fn remove(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let subscription = self.subscriptions.remove(&id)?;
        let queue = subscription.queue;
        if let Some(readers) = self.readers.get_mut(&queue) {
            readers.retain(|reader| *reader != id);
            if readers.is_empty() {
                self.readers.remove(&queue);
            }
        }
        if let Some(state) = self.connections.get_mut(&subscription.connection)
            && state.subscriptions.get(&queue) == Some(&id)
        {
            state.subscriptions.remove(&queue);
        }
        Some(subscription)
    }

    /// Opens the window of this connection's subscription, and says what kind of queue it is on.
    fn open_window(
        &mut self,
        connection: ConnectionId,
        queue: &QueueId,
        index: u64,
    ) -> Option<QueueKind> {
        let id = *self
            .connections
            .get(&connection)?
            .subscriptions
            .get(queue)?;
        let subscription = self.subscriptions.get_mut(&id)?;
        subscription.handle_ack(index);
        let kind = subscription.kind;
        self.pump(id);
        kind
    }

    fn deliver(&mut self, connection: ConnectionId, queue: QueueId, index: u64, envelope: Bytes) {
        let len = envelope.len();
        let deliver = wire::Deliver {
            queue: queue.to_vec().into(),
            index,
            envelope,
        };
        self.push(connection, 0, relay_reply::Kind::Deliver(deliver), len);
    }

    fn push(&mut self, connection: ConnectionId, id: u64, kind: relay_reply::Kind, len: usize) {
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        let cost = Outbound {
            frames: 1,
            bytes: FRAME_COST + len,
        };
        state.occupy(cost);
        let reply = RelayReply {
            id,
            kind: Some(kind),
        };
        self.outputs.push_back(Output::Push {
            connection,
            reply,
            cost,
        });
    }

    fn answer(&mut self, connection: ConnectionId, id: u64, kind: relay_reply::Kind) {
        if self.connections.contains_key(&connection) {
            self.outputs.push_back(Output::Answer {
                connection,
                id,
                kind,
            });
        }
    }

    fn store(&mut self, pending: Pending, operation: Operation) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.pending.insert(ticket, pending);
        self.outputs.push_back(Output::Store { ticket, operation });
    }
}
