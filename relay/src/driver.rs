//! The one task that owns the [`Mailboxes`]: connections on one side, the store on the other.
//!
//! Bounds: the store has one batch at a time; what waits for the next is bounded in operations and
//! bytes, above that no input is taken and so, at the end, no socket read. A connection whose
//! channel is full is let go: the mailboxes keep within its room, so only a connection that reads
//! nothing gets there.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tincan_protocol::wire::{RelayReply, relay_reply};
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::limits::RelayLimits;
use crate::mailbox::{Command, ConnectionId, Mailboxes, Operation, Outbound, Output, Ticket};
use crate::store_thread::{Batch, Outcomes, StoreThread};

/// Inputs that wait for the driver. Each is at most one frame of 1 MiB.
pub(crate) const INPUTS_MAX: usize = 64;

/// Operations that wait for the store, above which no input is taken. Chosen: a few batches.
const WAITING_MAX: usize = 4_096;

/// What connections tell the driver.
pub(crate) enum Input {
    Opened {
        connection: ConnectionId,
        outgoing: mpsc::Sender<Outgoing>,
    },
    Command {
        connection: ConnectionId,
        id: u64,
        command: Command,
    },
    Sent {
        connection: ConnectionId,
        sent: Outbound,
    },
    Closed {
        connection: ConnectionId,
    },
}

/// What the driver tells a connection.
pub(crate) enum Outgoing {
    Answer { id: u64, kind: relay_reply::Kind },
    Push { reply: RelayReply, cost: Outbound },
}

/// Room in a connection's channel: what the mailboxes may push, one window more, answers to all
/// that may be in flight, and some for marks and errors.
pub(crate) fn outgoing_max(limits: &RelayLimits) -> usize {
    limits.outbound_frames + limits.window_envelopes + limits.in_flight + 256
}

pub(crate) struct Driver {
    mailboxes: Mailboxes,
    limits: RelayLimits,
    connections: HashMap<ConnectionId, mpsc::Sender<Outgoing>>,
    store: StoreThread,
    store_works: Arc<AtomicBool>,
    waiting: VecDeque<(Ticket, Operation)>,
    waiting_bytes: usize,
    store_is_idle: bool,
    clock: Clock,
}

impl Driver {
    pub(crate) fn new(
        limits: RelayLimits,
        store: StoreThread,
        store_works: Arc<AtomicBool>,
        clock: Clock,
    ) -> Self {
        Self {
            mailboxes: Mailboxes::new(limits.clone(), clock.now()),
            limits,
            connections: HashMap::new(),
            store,
            store_works,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            store_is_idle: true,
            clock,
        }
    }

    /// Runs until `stop` is true, the last connection has ended and the store has done all it was
    /// given; then closes the store.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut taken = Vec::with_capacity(INPUTS_MAX);
        loop {
            let is_stopping = *stop.borrow_and_update();
            if is_stopping && self.is_finished() && inputs.is_empty() {
                break;
            }
            tokio::select! {
                outcomes = self.store.outcomes.recv() => match outcomes {
                    Some(outcomes) => self.handle_outcomes(outcomes),
                    None => break,
                },
                _ = inputs.recv_many(&mut taken, INPUTS_MAX), if self.has_room() => {
                    taken.drain(..).for_each(|input| self.handle_input(input));
                }
                () = self.clock.reach(self.mailboxes.poll_timeout()), if !is_stopping => {
                    self.mailboxes.handle_timeout(self.clock.now());
                }
                _ = stop.changed(), if !is_stopping => {}
            }
            self.handle_outputs();
            self.start_batch();
        }
        inputs.close();
        self.store_works.store(false, Ordering::Relaxed);
        self.store.close().await;
    }

    fn is_finished(&self) -> bool {
        self.connections.is_empty() && self.waiting.is_empty() && self.store_is_idle
    }

    fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX && self.waiting_bytes < self.limits.inbound_bytes
    }

    fn handle_input(&mut self, input: Input) {
        match input {
            Input::Opened {
                connection,
                outgoing,
            } => {
                self.connections.insert(connection, outgoing);
                self.mailboxes.handle_opened(connection);
            }
            Input::Command {
                connection,
                id,
                command,
            } => {
                self.mailboxes.handle_command(connection, id, command);
            }
            Input::Sent { connection, sent } => self.mailboxes.handle_sent(connection, sent),
            Input::Closed { connection } => self.let_go(connection),
        }
    }

    fn handle_outcomes(&mut self, outcomes: Outcomes) {
        self.store_is_idle = outcomes.is_last;
        let now = self.clock.now();
        for (ticket, outcome) in outcomes.outcomes {
            self.store_works.store(outcome.is_ok(), Ordering::Relaxed);
            self.mailboxes.handle_outcome(ticket, outcome, now);
        }
    }

    fn handle_outputs(&mut self) {
        while let Some(output) = self.mailboxes.poll_output() {
            match output {
                Output::Answer {
                    connection,
                    id,
                    kind,
                } => {
                    self.send(connection, Outgoing::Answer { id, kind });
                }
                Output::Push {
                    connection,
                    reply,
                    cost,
                } => {
                    self.send(connection, Outgoing::Push { reply, cost });
                }
                Output::Store { ticket, operation } => {
                    self.waiting_bytes += bytes(&operation);
                    self.waiting.push_back((ticket, operation));
                }
            }
        }
    }

    fn send(&mut self, connection: ConnectionId, outgoing: Outgoing) {
        let Some(channel) = self.connections.get(&connection) else {
            return;
        };
        if channel.try_send(outgoing).is_err() {
            self.let_go(connection);
        }
    }

    /// Forgets a connection. If it is still there, it ends when it finds its channel closed.
    fn let_go(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.mailboxes.handle_closed(connection);
    }

    /// Gives the store what waits for it, if it is idle: the group of one commit.
    fn start_batch(&mut self) {
        if !self.store_is_idle || self.waiting.is_empty() {
            return;
        }
        let mut batch = Batch::new();
        let mut batch_bytes = 0;
        while batch.len() < self.limits.batch_operations
            && batch_bytes < self.limits.batch_bytes
            && let Some((ticket, operation)) = self.waiting.pop_front()
        {
            batch_bytes += bytes(&operation);
            batch.push((ticket, operation));
        }
        self.waiting_bytes = self.waiting_bytes.saturating_sub(batch_bytes);
        self.store_is_idle = false;
        // Fails only if the thread has ended; its closed channel of outcomes then ends the driver.
        let _ = self.store.start(batch);
    }
}

fn bytes(operation: &Operation) -> usize {
    match operation {
        Operation::Write(write) => write.len(),
        Operation::Read(_) | Operation::Scan { .. } => 0,
    }
}
