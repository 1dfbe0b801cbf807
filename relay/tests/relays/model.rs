//! Sessions, mailboxes and the real store together, without sockets, against a reference model:
//! clients that repeat themselves, stores that fail with an unknown outcome, power cuts.
//!
//! Checked (invariant 11 of the protocol): one index per envelope and one envelope per index, for
//! ever; nothing is delivered to who has not proved the key; per subscription indices increase and
//! the window holds; what is said to be deposited comes out exactly once, unless it was acked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use tincan_protocol::origin::Origin;
use tincan_protocol::relay_auth;
use tincan_protocol::wire::relay_reply::Kind as Reply;
use tincan_protocol::wire::relay_request::Kind as Request;
use tincan_protocol::wire::{self, Frame, RelayReply, RelayRequest};
use tincan_relay::RelayLimits;
use tincan_relay::mailbox::{
    ConnectionId, Mailboxes, Operation, Outbound, Outcome, Output, Session, Step, Ticket,
};
use tincan_relay::store::{RedbStore, Store, StoreError, Write};

use crate::support::client::{ack, deposit, key, subscribe};
use crate::support::disk::Disk;
use crate::support::{NOW_MS, TOKEN};

const CONNECTIONS: usize = 3;
const QUEUES: u8 = 2;
const WINDOW: usize = 3;

#[derive(Clone, Debug)]
enum Action {
    Reconnect {
        at: usize,
    },
    Login {
        at: usize,
        queue: u8,
    },
    Create {
        at: usize,
        queue: u8,
    },
    Deposit {
        at: usize,
        queue: u8,
        envelope: u8,
    },
    Subscribe {
        at: usize,
        queue: u8,
        from_start: bool,
    },
    Ack {
        at: usize,
        queue: u8,
    },
    /// The store runs this many of the operations that wait, as one batch.
    Store {
        operations: usize,
    },
    /// As `Store`, but a sync fails.
    FailingStore {
        operations: usize,
        syncs: u64,
    },
    /// The socket takes what waits for it.
    Write {
        at: usize,
    },
    PowerCut {
        fates: u64,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let (at, queue) = (0..CONNECTIONS, 1..=QUEUES);
    prop_oneof![
        1 => at.clone().prop_map(|at| Action::Reconnect { at }),
        4 => (at.clone(), queue.clone()).prop_map(|(at, queue)| Action::Login { at, queue }),
        2 => (at.clone(), queue.clone()).prop_map(|(at, queue)| Action::Create { at, queue }),
        12 => (at.clone(), queue.clone(), 0u8..16)
            .prop_map(|(at, queue, envelope)| Action::Deposit { at, queue, envelope }),
        4 => (at.clone(), queue.clone(), any::<bool>())
            .prop_map(|(at, queue, from_start)| Action::Subscribe { at, queue, from_start }),
        6 => (at.clone(), queue).prop_map(|(at, queue)| Action::Ack { at, queue }),
        10 => (1usize..12).prop_map(|operations| Action::Store { operations }),
        3 => (1usize..6, 0u64..3)
            .prop_map(|(operations, syncs)| Action::FailingStore { operations, syncs }),
        4 => at.prop_map(|at| Action::Write { at }),
        1 => any::<u64>().prop_map(|fates| Action::PowerCut { fates }),
    ]
}

/// What the model remembers of a queue.
#[derive(Default)]
struct Queue {
    attempted: BTreeSet<u8>,
    deposited: BTreeSet<u8>,
    index_of: BTreeMap<u8, u64>,
    envelope_at: BTreeMap<u64, u8>,
    /// Acks were sent up to here; whether one has happened is unknown until it is answered.
    ack_sent: u64,
    ack_done: u64,
    /// The reader's durable cursor.
    cursor: u64,
}

#[derive(Default)]
struct Subscription {
    last: u64,
    unacked: BTreeSet<u64>,
    /// Acks that were answered before it began: nothing up to here may come.
    floor: u64,
    drained: bool,
}

struct Connection {
    id: ConnectionId,
    nonce: [u8; 32],
    session: Session,
    proved: BTreeSet<u8>,
    subscriptions: BTreeMap<u8, Subscription>,
    requests: BTreeMap<u64, Request>,
    unsent: Outbound,
    next_request: u64,
}

struct World {
    disk: Disk,
    store: RedbStore,
    limits: RelayLimits,
    mailboxes: Mailboxes,
    waiting: VecDeque<(Ticket, Operation)>,
    connections: Vec<Connection>,
    next_connection: u64,
    queues: BTreeMap<u8, Queue>,
}

impl World {
    fn new() -> Self {
        let mut limits = RelayLimits::default();
        limits.window_envelopes = WINDOW;
        limits.outbound_frames = 2;
        let disk = Disk::default();
        let mut world = Self {
            store: disk.open(limits.clone()).unwrap(),
            disk,
            mailboxes: Mailboxes::new(limits.clone(), Duration::ZERO),
            limits,
            waiting: VecDeque::new(),
            connections: Vec::new(),
            next_connection: 0,
            queues: (1..=QUEUES)
                .map(|queue| (queue, Queue::default()))
                .collect(),
        };
        world.connect_all();
        // Queues must exist before any can be used; failures come later.
        for queue in 1..=QUEUES {
            world.login(0, queue);
            world.create(0, queue);
        }
        world.run_store(usize::MAX);
        world
    }

    fn connect_all(&mut self) {
        self.connections = (0..CONNECTIONS).map(|_| self.connect()).collect();
    }

    fn connect(&mut self) -> Connection {
        self.next_connection += 1;
        let id = ConnectionId(self.next_connection);
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&id.0.to_be_bytes());
        self.mailboxes.handle_opened(id);
        Connection {
            id,
            nonce,
            session: Session::new(nonce, origin(), &self.limits, Duration::ZERO),
            proved: BTreeSet::new(),
            subscriptions: BTreeMap::new(),
            requests: BTreeMap::new(),
            unsent: Outbound::default(),
            next_request: 1,
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Reconnect { at } => {
                self.mailboxes.handle_closed(self.connections[at].id);
                self.connections[at] = self.connect();
            }
            Action::Login { at, queue } => self.login(at, queue),
            Action::Create { at, queue } => self.create(at, queue),
            Action::Deposit {
                at,
                queue,
                envelope,
            } => {
                self.queue(queue).attempted.insert(envelope);
                self.request(at, deposit(&key(queue), [envelope]));
            }
            Action::Subscribe {
                at,
                queue,
                from_start,
            } => {
                let cursor = if from_start {
                    0
                } else {
                    self.queue(queue).cursor
                };
                self.request(at, subscribe(&key(queue), cursor));
            }
            Action::Ack { at, queue } => self.ack(at, queue),
            Action::Store { operations } => self.run_store(operations),
            Action::FailingStore { operations, syncs } => {
                self.disk.break_after(Some(syncs));
                self.run_store(operations);
                self.disk.break_after(None);
            }
            Action::Write { at } => self.write(at),
            Action::PowerCut { fates } => self.cut_power(fates),
        }
        self.handle_outputs();
    }

    fn queue(&mut self, queue: u8) -> &mut Queue {
        self.queues.get_mut(&queue).unwrap()
    }

    fn login(&mut self, at: usize, queue: u8) {
        let signature = relay_auth::prove(&key(queue), &self.connections[at].nonce, &origin());
        let proof = wire::KeyProof {
            key: key(queue).queue().to_vec(),
            signature: signature.to_vec(),
        };
        self.request(
            at,
            Request::Auth(wire::Auth {
                proofs: vec![proof],
            }),
        );
        self.connections[at].proved.insert(queue);
    }

    fn create(&mut self, at: usize, queue: u8) {
        let create = wire::QueueCreate {
            queue: key(queue).queue().to_vec(),
            kind: wire::QueueKind::Mailbox.into(),
            write_token_hash: TOKEN.hash().to_vec(),
        };
        self.request(at, Request::QueueCreate(create));
    }

    /// Acks the last delivery, as a reader does once it has stored it.
    fn ack(&mut self, at: usize, queue: u8) {
        let Some(subscription) = self.connections[at].subscriptions.get_mut(&queue) else {
            return;
        };
        let index = subscription.last;
        if index == 0 {
            return;
        }
        subscription.unacked.clear();
        let state = self.queue(queue);
        state.ack_sent = state.ack_sent.max(index);
        state.cursor = state.cursor.max(index);
        self.request(at, ack(&key(queue), index));
    }

    fn request(&mut self, at: usize, kind: Request) {
        let connection = &mut self.connections[at];
        if !connection.session.has_room() {
            return;
        }
        let id = connection.next_request;
        connection.next_request += 1;
        let frame = RelayRequest {
            id,
            kind: Some(kind.clone()),
        }
        .write();
        match connection.session.handle_frame(frame) {
            Step::Command { id, command } => {
                let key_needed = command.key_needed();
                let has_it = |needed| {
                    connection
                        .proved
                        .iter()
                        .any(|seed| key(*seed).queue() == needed)
                };
                assert!(key_needed.is_none_or(has_it), "a command without its key");
                connection.requests.insert(id, kind);
                self.mailboxes.handle_command(connection.id, id, command);
            }
            Step::Answer(_) => {}
            other => panic!("{other:?}"),
        }
        self.handle_outputs();
    }

    /// One batch: reads first, then all writes in one transaction.
    fn run_store(&mut self, operations: usize) {
        let count = operations.min(self.waiting.len());
        let (mut writes, mut tickets) = (Vec::<Write>::new(), Vec::new());
        for (ticket, operation) in self.waiting.drain(..count).collect::<Vec<_>>() {
            match operation {
                Operation::Write(write) => {
                    tickets.push(ticket);
                    writes.push(write);
                }
                Operation::Read(read) => {
                    let outcome = self.store.read(&read).map(Outcome::Page);
                    self.outcome(ticket, outcome);
                }
                other => panic!("{other:?}"),
            }
        }
        if writes.is_empty() {
            return;
        }
        match self.store.commit(&writes, NOW_MS) {
            Ok(written) => {
                for (ticket, written) in tickets.into_iter().zip(written) {
                    self.outcome(ticket, Ok(Outcome::Written(written)));
                }
            }
            Err(error) => {
                tickets
                    .into_iter()
                    .for_each(|ticket| self.outcome(ticket, Err(error.clone())));
            }
        }
    }

    fn outcome(&mut self, ticket: Ticket, outcome: Result<Outcome, StoreError>) {
        self.mailboxes
            .handle_outcome(ticket, outcome, Duration::ZERO);
        self.handle_outputs();
    }

    fn write(&mut self, at: usize) {
        let sent = std::mem::take(&mut self.connections[at].unsent);
        self.mailboxes.handle_sent(self.connections[at].id, sent);
        self.handle_outputs();
    }

    /// Everything but the disk is gone, and of the disk what was not synced is as it happens.
    fn cut_power(&mut self, mut fates: u64) {
        let disk = self.disk.copy();
        disk.crash(|| {
            fates = fates.rotate_left(1);
            fates & 1 == 1
        });
        self.store = disk.open(self.limits.clone()).unwrap();
        self.disk = disk;
        self.mailboxes = Mailboxes::new(self.limits.clone(), Duration::ZERO);
        self.waiting.clear();
        self.connect_all();
    }

    fn handle_outputs(&mut self) {
        while let Some(output) = self.mailboxes.poll_output() {
            match output {
                Output::Store { ticket, operation } => self.waiting.push_back((ticket, operation)),
                Output::Answer {
                    connection,
                    id,
                    kind,
                } => self.answer(connection, id, &kind),
                Output::Push {
                    connection,
                    reply,
                    cost,
                } => self.push(connection, reply, cost),
                other => panic!("{other:?}"),
            }
        }
    }

    fn answer(&mut self, connection: ConnectionId, id: u64, kind: &Reply) {
        let Some(connection) = self.connections.iter_mut().find(|c| c.id == connection) else {
            return;
        };
        connection.session.handle_answer(id, kind);
        let request = connection
            .requests
            .remove(&id)
            .expect("an answer to a request in flight");
        match (request, kind) {
            (Request::Deposit(request), Reply::Deposited(_)) => {
                let queue = seed_of(&request.queue);
                self.queues
                    .get_mut(&queue)
                    .unwrap()
                    .deposited
                    .insert(request.envelope[0]);
            }
            (Request::AckUpTo(request), Reply::Done(_)) => {
                let queue = self.queues.get_mut(&seed_of(&request.queue)).unwrap();
                queue.ack_done = queue.ack_done.max(request.index);
            }
            (Request::Subscribe(request), Reply::Done(_)) => {
                let queue = seed_of(&request.queue);
                let last = request.after_index;
                let subscription = Subscription {
                    last,
                    ..Subscription::default()
                };
                connection.subscriptions.insert(queue, subscription);
            }
            (_, Reply::Done(_) | Reply::Error(_)) => {}
            (request, reply) => panic!("{reply:?} for {request:?}"),
        }
    }

    fn push(&mut self, connection: ConnectionId, reply: RelayReply, cost: Outbound) {
        let connection = self
            .connections
            .iter_mut()
            .find(|c| c.id == connection)
            .unwrap();
        connection.unsent.frames += cost.frames;
        connection.unsent.bytes += cost.bytes;
        // One page more than there is room for, and one mark that the queue is drained.
        assert!(connection.unsent.frames <= self.limits.outbound_frames + WINDOW + 1);
        match reply.kind.unwrap() {
            Reply::Deliver(deliver) => {
                let queue = seed_of(&deliver.queue);
                assert!(
                    connection.proved.contains(&queue),
                    "a delivery before its login"
                );
                let subscription = connection
                    .subscriptions
                    .get_mut(&queue)
                    .expect("a subscription");
                assert!(
                    deliver.index > subscription.last,
                    "{deliver:?} after {}",
                    subscription.last
                );
                assert!(
                    deliver.index > subscription.floor,
                    "an acked envelope came again"
                );
                let last = std::mem::replace(&mut subscription.last, deliver.index);
                subscription.unacked.insert(deliver.index);
                assert!(subscription.unacked.len() <= WINDOW, "the window is broken");
                let state = self.queues.get_mut(&queue).unwrap();
                let is_next = deliver.index == last + 1;
                assert!(
                    is_next || deliver.index - 1 <= state.ack_sent,
                    "{deliver:?} after {last}"
                );
                let envelope = deliver.envelope[0];
                assert!(state.attempted.contains(&envelope));
                assert_eq!(
                    *state.index_of.entry(envelope).or_insert(deliver.index),
                    deliver.index
                );
                assert_eq!(
                    *state.envelope_at.entry(deliver.index).or_insert(envelope),
                    envelope
                );
            }
            Reply::Drained(drained) => {
                let queue = seed_of(&drained.queue);
                connection.subscriptions.get_mut(&queue).unwrap().drained = true;
            }
            Reply::Error(_) => {}
            other => panic!("{other:?}"),
        }
    }

    /// Everything settles; then a fresh reader reads each queue to its end.
    fn finish(&mut self) {
        self.settle();
        for queue in 1..=QUEUES {
            self.act(Action::Reconnect { at: 0 });
            self.login(0, queue);
            self.request(0, subscribe(&key(queue), 0));
            let (acked_before, maybe_acked) =
                (self.queue(queue).ack_done, self.queue(queue).ack_sent);
            let mut found = Vec::new();
            for _ in 0..100 {
                self.settle();
                let Some(subscription) = self.connections[0].subscriptions.get_mut(&queue) else {
                    panic!("the queue is gone")
                };
                subscription.floor = acked_before;
                found.extend(subscription.unacked.iter().copied());
                if subscription.drained && subscription.unacked.is_empty() {
                    break;
                }
                self.ack(0, queue);
            }
            let state = self.queue(queue);
            let envelopes: Vec<u8> = found.iter().map(|index| state.envelope_at[index]).collect();
            let once: BTreeSet<u8> = envelopes.iter().copied().collect();
            assert_eq!(once.len(), envelopes.len(), "delivered twice");
            assert!(
                found.iter().all(|index| *index > acked_before),
                "an acked envelope came again"
            );
            for envelope in &state.deposited {
                // Never acked by anybody: it must have come now at the latest.
                let index = state.index_of.get(envelope);
                assert!(
                    index.is_some(),
                    "{envelope} was deposited and never delivered"
                );
            }
            let lost = state.deposited.difference(&once).any(|envelope| {
                // Gone without being delivered now: only an ack that was sent before may explain it.
                state.index_of[envelope] > maybe_acked
            });
            assert!(!lost, "an envelope was lost");
        }
    }

    fn settle(&mut self) {
        for _ in 0..200 {
            (0..CONNECTIONS).for_each(|at| self.write(at));
            if self.waiting.is_empty() {
                return;
            }
            self.run_store(usize::MAX);
        }
        panic!("it does not settle");
    }
}

fn origin() -> Origin {
    Origin::from_host_header("127.0.0.1:1")
}

fn seed_of(queue: &[u8]) -> u8 {
    (1..=QUEUES)
        .find(|seed| key(*seed).queue().as_bytes() == queue)
        .unwrap()
}

#[test]
fn a_reader_that_acks_without_reading_its_socket_is_sent_a_bounded_amount() {
    let mut world = World::new();
    world.login(0, 1);
    world.act(Action::Subscribe {
        at: 0,
        queue: 1,
        from_start: true,
    });
    for envelope in 0..30 {
        world.act(Action::Deposit {
            at: 1,
            queue: 1,
            envelope,
        });
        world.act(Action::Store { operations: 9 });
        world.act(Action::Ack { at: 0, queue: 1 });
        world.act(Action::Store { operations: 9 });
    }
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_deposited_comes_out_once_and_in_order(actions in prop::collection::vec(action(), 1..120)) {
        let mut world = World::new();
        for action in actions {
            world.act(action);
        }
        world.finish();
    }
}
