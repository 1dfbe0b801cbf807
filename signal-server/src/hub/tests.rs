//! The hub with real sessions and real proofs, against what a bystander can know.

use super::*;
use proptest::prelude::*;
use tincan_protocol::keys::AddressKey;
use tincan_protocol::origin::Origin;
use tincan_protocol::signal::{ClientMessage, Nonce, decode, prove_login};

fn key(number: u8) -> AddressKey {
    AddressKey::from_seed(&[number; 32])
}

fn address(number: u8) -> SignalAddress {
    key(number).address()
}

fn origin() -> Origin {
    Origin::from_host_header("chat.example.org")
}

/// Hub and sessions, with everything the connections received so far.
struct World {
    hub: Hub,
    sessions: BTreeMap<ConnectionId, (Session, Nonce)>,
    received: BTreeMap<ConnectionId, Vec<ServerMessage>>,
    closed: BTreeMap<ConnectionId, CloseReason>,
    /// Whether sent texts count as written at once.
    reads: bool,
}

impl World {
    fn new(limits: HubLimits) -> Self {
        Self {
            hub: Hub::new(limits, None),
            sessions: BTreeMap::new(),
            received: BTreeMap::new(),
            closed: BTreeMap::new(),
            reads: true,
        }
    }

    fn connect(&mut self, number: u64) -> ConnectionId {
        let connection = ConnectionId(number);
        let nonce = Nonce([u8::try_from(number).unwrap(); 32]);
        self.sessions.insert(
            connection,
            (
                Session::new(nonce, origin(), &HubLimits::default(), Duration::ZERO),
                nonce,
            ),
        );
        self.hub.handle_connect(connection);
        connection
    }

    fn say(&mut self, connection: ConnectionId, message: &ClientMessage) {
        let Some((session, _)) = self.sessions.get_mut(&connection) else {
            return;
        };
        match session.handle_text(&encode(message).unwrap(), Duration::ZERO) {
            Step::Ask(request) => self.hub.handle_request(connection, request, 1000),
            Step::Reply(reply) | Step::Refuse(reply) => {
                self.received.entry(connection).or_default().push(reply)
            }
        }
        self.settle();
    }

    fn log_in(&mut self, connection: ConnectionId, numbers: &[u8]) {
        let Some((_, nonce)) = self.sessions.get(&connection) else {
            return;
        };
        let addresses = numbers
            .iter()
            .map(|number| prove_login(&key(*number), nonce, &origin()))
            .collect();
        self.say(connection, &ClientMessage::Login { addresses });
    }

    fn signal(&mut self, connection: ConnectionId, from: u8, to: u8, len: usize) {
        let body = Opaque(vec![from; len]);
        self.say(
            connection,
            &ClientMessage::Signal {
                to: address(to),
                from: address(from),
                body,
            },
        );
    }

    fn watch(&mut self, connection: ConnectionId, number: u8) {
        self.say(
            connection,
            &ClientMessage::Watch {
                addresses: vec![address(number)],
            },
        );
    }

    fn disconnect(&mut self, connection: ConnectionId) {
        self.sessions.remove(&connection);
        self.hub.handle_disconnect(connection);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(command) = self.hub.poll_command() {
            match command {
                Command::Send { connection, text } => {
                    if self.reads {
                        self.hub.handle_written(connection, text.len());
                    }
                    self.received
                        .entry(connection)
                        .or_default()
                        .push(decode(&text).unwrap());
                }
                Command::Close { connection, reason } => {
                    self.sessions.remove(&connection);
                    self.closed.insert(connection, reason);
                }
            }
        }
    }

    fn take(&mut self, connection: ConnectionId) -> Vec<ServerMessage> {
        self.received.remove(&connection).unwrap_or_default()
    }

    /// Everybody gone: nothing may be left.
    fn end(mut self) {
        for connection in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.disconnect(connection);
        }
        assert!(self.hub.connections.is_empty() && self.hub.addresses.is_empty());
    }
}

fn presence(number: u8, online: bool) -> ServerMessage {
    ServerMessage::Presence {
        address: address(number),
        online,
    }
}

#[test]
fn a_signal_reaches_the_holder_of_its_address() {
    let mut world = World::new(HubLimits::default());
    let (alice, bob) = (world.connect(1), world.connect(2));
    world.log_in(alice, &[1]);
    world.log_in(bob, &[2, 3]);
    assert_eq!(
        world.take(bob),
        [ServerMessage::Welcome {
            addresses: vec![address(2), address(3)],
            turn: None
        }]
    );
    world.take(alice);
    world.signal(alice, 1, 3, 5);
    let expected = ServerMessage::Signal {
        to: address(3),
        from: address(1),
        body: Opaque(vec![1; 5]),
    };
    assert_eq!(
        (world.take(bob), world.take(alice)),
        (vec![expected], vec![])
    );
    world.end();
}

#[test]
fn an_unknown_and_an_offline_address_get_the_same_silence() {
    let mut world = World::new(HubLimits::default());
    let (alice, bob, watcher) = (world.connect(1), world.connect(2), world.connect(3));
    world.log_in(alice, &[1]);
    world.log_in(bob, &[2]);
    world.log_in(watcher, &[4]);
    world.watch(watcher, 2);
    world.disconnect(bob);
    world.take(alice);
    world.signal(alice, 1, 2, 5);
    world.signal(alice, 1, 9, 5);
    assert_eq!(world.take(alice), []);
    world.end();
}

#[test]
fn a_foreign_from_is_refused() {
    let mut world = World::new(HubLimits::default());
    let (alice, bob) = (world.connect(1), world.connect(2));
    world.log_in(alice, &[1]);
    world.log_in(bob, &[2]);
    world.take(alice);
    world.take(bob);
    world.signal(alice, 3, 2, 5);
    assert!(matches!(
        world.take(alice)[..],
        [ServerMessage::Error {
            code: SignalErrorCode::Unauthorized,
            ..
        }]
    ));
    assert_eq!(world.take(bob), []);
    world.end();
}

#[test]
fn the_newest_login_wins_and_the_displaced_is_told() {
    let mut world = World::new(HubLimits::default());
    let (old, new, alice) = (world.connect(1), world.connect(2), world.connect(3));
    world.log_in(old, &[1]);
    world.log_in(alice, &[2]);
    world.watch(alice, 1);
    world.take(alice);
    world.take(old);
    world.log_in(new, &[1]);
    assert_eq!(
        world.take(old),
        [ServerMessage::Displaced {
            address: address(1)
        }]
    );
    world.take(new);
    world.signal(alice, 2, 1, 5);
    assert_eq!((world.take(old).len(), world.take(new).len()), (0, 1));
    // The address was online all the time, and stays so when the displaced one goes.
    world.disconnect(old);
    assert_eq!(world.take(alice), []);
    world.disconnect(new);
    assert_eq!(world.take(alice), [presence(1, false)]);
    world.end();
}

#[test]
fn a_repeated_login_changes_nothing() {
    let mut world = World::new(HubLimits::default());
    let alice = world.connect(1);
    world.log_in(alice, &[1]);
    world.watch(alice, 1);
    world.take(alice);
    world.log_in(alice, &[1, 1]);
    assert_eq!(
        world.take(alice),
        [ServerMessage::Welcome {
            addresses: vec![address(1); 2],
            turn: None
        }]
    );
    world.end();
}

#[test]
fn watchers_learn_the_state_at_once_and_then_its_changes() {
    let mut world = World::new(HubLimits::default());
    let (watcher, alice) = (world.connect(1), world.connect(2));
    world.log_in(watcher, &[1]);
    world.take(watcher);
    world.watch(watcher, 2);
    assert_eq!(world.take(watcher), [presence(2, false)]);
    world.log_in(alice, &[2, 3]);
    assert_eq!(world.take(watcher), [presence(2, true)]);
    world.watch(watcher, 3);
    assert_eq!(world.take(watcher), [presence(3, true)]);
    world.say(
        alice,
        &ClientMessage::Logout {
            address: address(2),
        },
    );
    assert_eq!(world.take(watcher), [presence(2, false)]);
    world.say(
        watcher,
        &ClientMessage::Unwatch {
            addresses: vec![address(3)],
        },
    );
    world.disconnect(alice);
    assert_eq!(world.take(watcher), []);
    world.end();
}

#[test]
fn addresses_and_watches_are_bounded() {
    let mut world = World::new(HubLimits {
        addresses: 2,
        watches: 2,
        watchers: 1,
        ..HubLimits::default()
    });
    let (alice, bob) = (world.connect(1), world.connect(2));
    world.log_in(alice, &[1, 2]);
    world.log_in(alice, &[3]);
    world.log_in(bob, &[4]);
    assert!(matches!(
        world.take(alice)[1..],
        [ServerMessage::Error {
            code: SignalErrorCode::TooMany,
            ..
        }]
    ));
    world.say(
        alice,
        &ClientMessage::Watch {
            addresses: vec![address(5), address(6), address(7)],
        },
    );
    let told = world.take(alice);
    assert!(
        matches!(
            told[2..],
            [ServerMessage::Error {
                code: SignalErrorCode::TooMany,
                ..
            }]
        ),
        "{told:?}"
    );
    world.take(bob);
    world.watch(bob, 5);
    assert!(matches!(
        world.take(bob)[..],
        [ServerMessage::Error {
            code: SignalErrorCode::TooMany,
            ..
        }]
    ));
    world.end();
}

#[test]
fn a_flood_of_signals_costs_its_sender_and_not_the_recipient() {
    let limits = HubLimits {
        queue_signal_bytes: 10_000,
        queue_bytes: 20_000,
        ..HubLimits::default()
    };
    let mut world = World::new(limits);
    let (alice, bob) = (world.connect(1), world.connect(2));
    world.log_in(alice, &[1]);
    world.log_in(bob, &[2]);
    world.take(alice);
    world.take(bob);
    world.reads = false;
    (0..10).for_each(|_| world.signal(alice, 1, 2, 2000));
    let refused = world.take(alice);
    assert_eq!(world.take(bob).len() + refused.len(), 10);
    assert!(refused.iter().all(|it| matches!(
        it,
        ServerMessage::Error {
            code: SignalErrorCode::RateLimited,
            ..
        }
    )));
    assert!(world.closed.is_empty() && !refused.is_empty());
    world.end();
}

#[test]
fn who_does_not_read_is_closed_and_its_watchers_are_told() {
    let mut world = World::new(HubLimits {
        queue_bytes: 2000,
        ..HubLimits::default()
    });
    let (slow, watcher, coming) = (world.connect(1), world.connect(2), world.connect(3));
    world.log_in(slow, &[1]);
    world.log_in(watcher, &[2]);
    world.watch(watcher, 1);
    world.watch(slow, 3);
    world.take(watcher);
    world.reads = false;
    for _ in 0..20 {
        world.log_in(coming, &[3]);
        world.say(
            coming,
            &ClientMessage::Logout {
                address: address(3),
            },
        );
        let state = &world.hub.connections[&coming];
        let queued = state.queued;
        world.hub.handle_written(coming, queued);
    }
    assert_eq!(world.closed.get(&slow), Some(&CloseReason::SlowReader));
    assert_eq!(world.take(watcher), [presence(1, false)]);
    world.end();
}

#[test]
fn at_the_end_everybody_is_told_and_closed() {
    let mut world = World::new(HubLimits::default());
    let (alice, stranger) = (world.connect(1), world.connect(2));
    world.log_in(alice, &[1]);
    world.take(alice);
    world.hub.handle_shutdown();
    world.settle();
    for connection in [alice, stranger] {
        let told = world.take(connection);
        assert!(matches!(
            told[..],
            [ServerMessage::Error {
                code: SignalErrorCode::ShuttingDown,
                ..
            }]
        ));
        assert_eq!(
            world.closed.get(&connection),
            Some(&CloseReason::ShuttingDown)
        );
    }
    world.end();
}

#[derive(Clone, Debug)]
enum Op {
    Connect,
    Disconnect(u64),
    LogIn(u64, u8),
    LogOut(u64, u8),
    Signal(u64, u8, u8),
    Watch(u64, u8),
    Unwatch(u64, u8),
}

fn op() -> impl Strategy<Value = Op> {
    let (connection, number) = (1u64..6, 1u8..5);
    prop_oneof![
        Just(Op::Connect),
        connection.clone().prop_map(Op::Disconnect),
        (connection.clone(), number.clone()).prop_map(|(c, n)| Op::LogIn(c, n)),
        (connection.clone(), number.clone()).prop_map(|(c, n)| Op::LogOut(c, n)),
        (connection.clone(), number.clone(), number.clone())
            .prop_map(|(c, f, t)| Op::Signal(c, f, t)),
        (connection.clone(), number.clone()).prop_map(|(c, n)| Op::Watch(c, n)),
        (connection, number).prop_map(|(c, n)| Op::Unwatch(c, n)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A bystander's model: who proved what last, and who watches what.
    #[test]
    fn signals_go_from_proved_to_proved_and_presence_is_true(ops in proptest::collection::vec(op(), 1..120)) {
        let mut world = World::new(HubLimits::default());
        let mut holders: BTreeMap<u8, ConnectionId> = BTreeMap::new();
        let mut watched: BTreeMap<(ConnectionId, u8), bool> = BTreeMap::new();
        let mut next = 1;
        for op in ops {
            let mut expected_signal = None;
            match op {
                Op::Connect => {
                    world.connect(next);
                    next += 1;
                }
                Op::Disconnect(c) => {
                    world.disconnect(ConnectionId(c));
                    holders.retain(|_, holder| *holder != ConnectionId(c));
                    watched.retain(|(watcher, _), _| *watcher != ConnectionId(c));
                }
                Op::LogIn(c, n) => {
                    if world.sessions.contains_key(&ConnectionId(c)) {
                        holders.insert(n, ConnectionId(c));
                    }
                    world.log_in(ConnectionId(c), &[n]);
                }
                Op::LogOut(c, n) => {
                    if holders.get(&n) == Some(&ConnectionId(c)) {
                        holders.remove(&n);
                    }
                    world.say(ConnectionId(c), &ClientMessage::Logout { address: address(n) });
                }
                Op::Signal(c, from, to) => {
                    if holders.get(&from) == Some(&ConnectionId(c)) {
                        expected_signal = holders.get(&to).map(|to_whom| (*to_whom, from, to));
                    }
                    world.signal(ConnectionId(c), from, to, 3);
                }
                Op::Watch(c, n) => world.watch(ConnectionId(c), n),
                Op::Unwatch(c, n) => {
                    watched.remove(&(ConnectionId(c), n));
                    world.say(ConnectionId(c), &ClientMessage::Unwatch { addresses: vec![address(n)] });
                }
            }
            let mut signals = Vec::new();
            for (connection, messages) in std::mem::take(&mut world.received) {
                for message in messages {
                    match message {
                        ServerMessage::Signal { to, from, .. } => signals.push((connection, from, to)),
                        ServerMessage::Presence { address: of, online } => {
                            let number = (1..5).find(|number| address(*number) == of).unwrap();
                            watched.insert((connection, number), online);
                        }
                        _ => {}
                    }
                }
            }
            let expected = expected_signal.map(|(whom, from, to)| (whom, address(from), address(to)));
            prop_assert_eq!(signals, expected.into_iter().collect::<Vec<_>>());
            for ((_, number), online) in &watched {
                prop_assert_eq!(*online, holders.contains_key(number));
            }
        }
        world.end();
    }
}
