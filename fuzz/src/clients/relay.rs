//! A relay that says what it likes.

use std::time::Duration;

use bytes::Bytes;
use tincan_peer::simulation::{
    Client, ClientOutput, ConversationNo, DepositTag, Frame, Lost, OwnQueue, RelayClient,
    RelayCommand,
};
use tincan_protocol::keys::QueueKey;
use tincan_protocol::wire::relay_reply::Kind;
use tincan_protocol::wire::{self, Frame as _, RelayReply, RelayRequest};
use tincan_protocol::{EnvelopeId, WriteToken};

use super::{STEPS_MAX, URL};
use crate::script::{self, Script};

/// Different mailboxes.
const QUEUES: u8 = 40;

/// One kind of step; a script names one by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A connection is made.
    Connect,
    /// Any bytes.
    Frame,
    /// A reply that can be read: its id, its kind, and what the kind needs.
    Reply,
    /// The connection breaks.
    Lose,
    Queues,
    Deposit,
    Ack,
    Publish,
    Take,
    Delete,
    /// Time passes.
    Pause,
}

const STEPS: [Step; 11] = [
    Step::Connect,
    Step::Frame,
    Step::Reply,
    Step::Lose,
    Step::Queues,
    Step::Deposit,
    Step::Ack,
    Step::Publish,
    Step::Take,
    Step::Delete,
    Step::Pause,
];

/// Commands of a driver, and whatever a relay answers: the client says only what a relay can read, nothing
/// before the challenge, each request under a number of its own, and no frame makes it say more than its
/// mailboxes explain.
pub fn relay_client(data: &[u8]) {
    let mut world = World {
        client: RelayClient::new(URL.parse().unwrap(), 1),
        is_connected: false,
        is_challenged: false,
        last_id: 0,
        queues: 0,
        now: Duration::ZERO,
    };
    script::play(data, &STEPS, STEPS_MAX, |step, script| {
        world.play(step, script)
    });
}

struct World {
    client: RelayClient,
    is_connected: bool,
    is_challenged: bool,
    /// Of the requests on this connection.
    last_id: u64,
    /// Mailboxes that are wanted.
    queues: usize,
    now: Duration,
}

impl World {
    fn play(&mut self, step: Step, script: &mut Script<'_>) {
        match step {
            Step::Connect => {
                if !self.is_connected {
                    (self.is_connected, self.last_id) = (true, 0);
                    self.now = Duration::ZERO;
                    self.client.handle_connected();
                }
            }
            Step::Frame => self.hear(script.chunk().to_vec().into()),
            Step::Reply => {
                let id = script.number();
                let kind = Some(reply(script));
                self.hear(RelayReply { id, kind }.write());
            }
            Step::Lose => self.lose(),
            Step::Queues => {
                let count = script.byte() % QUEUES;
                let queues = (0..count).map(|number| OwnQueue {
                    key: key(number),
                    token_hash: token().hash(),
                });
                if self.client.takes_commands() {
                    self.queues = usize::from(count);
                }
                self.command(RelayCommand::Queues(queues.collect()));
            }
            Step::Deposit => self.command(RelayCommand::Deposit {
                tag: DepositTag {
                    no: ConversationNo::from(1),
                    id: EnvelopeId::from_bytes([1; 32]),
                },
                queue: key(script.byte()).queue(),
                token: token(),
                envelope: script.chunk().to_vec().into(),
            }),
            Step::Ack => self.command(RelayCommand::Ack {
                queue: key(script.byte()).queue(),
                index: script.number(),
            }),
            Step::Publish => self.command(RelayCommand::Publish {
                owner: key(script.byte()),
                token_hash: token().hash(),
                packages: vec![script.chunk().to_vec()],
                last_resort: None,
            }),
            Step::Take => self.command(RelayCommand::TakeKeyPackage {
                request: 1,
                owner: key(script.byte()).queue(),
                token: token(),
            }),
            Step::Delete => self.command(RelayCommand::DeleteQueue(key(script.byte()))),
            Step::Pause => {
                self.now += Duration::from_millis(script.number() % 100_000);
                let result = self.client.handle_timeout(self.now);
                self.after(result, 1);
            }
        }
    }

    fn hear(&mut self, bytes: Bytes) {
        let read = RelayReply::read(bytes.clone());
        let is_challenge = read.is_ok_and(|it| matches!(it.kind, Some(Kind::Challenge(_))));
        self.is_challenged |= self.is_connected && is_challenge;
        let result = self.client.handle_frame(Frame::Binary(bytes), self.now);
        self.after(result, self.queues + 2);
    }

    fn command(&mut self, command: RelayCommand) {
        if self.client.takes_commands() {
            let result = self.client.handle_command(command, self.now);
            self.after(result, self.queues + 2);
        }
    }

    fn lose(&mut self) {
        self.client.handle_lost(Lost::new("it broke"));
        (self.is_connected, self.is_challenged) = (false, false);
        self.look(1);
    }

    fn after(&mut self, result: Result<(), Lost>, most: usize) {
        self.look(most);
        if result.is_err() {
            self.lose();
        }
    }

    /// Looks at what it wants.
    fn look(&mut self, most: usize) {
        let mut outputs = 0;
        while let Some(output) = self.client.poll_output() {
            outputs += 1;
            let ClientOutput::Send(frame) = output else {
                continue;
            };
            let Frame::Binary(bytes) = frame else {
                panic!("it speaks JSON to a relay");
            };
            assert!(self.is_challenged, "it speaks before the relay");
            let request = RelayRequest::read(bytes).expect("a request");
            assert!(request.id > self.last_id, "a number for two requests");
            self.last_id = request.id;
        }
        assert!(outputs <= most, "{outputs} outputs, at most {most}");
    }
}

fn key(number: u8) -> QueueKey {
    QueueKey::from_seed(&[number % QUEUES; 32])
}

fn token() -> WriteToken {
    WriteToken::from_bytes([7; 16])
}

fn reply(script: &mut Script<'_>) -> Kind {
    let kind = script.byte();
    let queue = |script: &mut Script<'_>| key(script.byte()).queue().to_vec();
    match kind % 8 {
        0 => Kind::Challenge(wire::Challenge {
            nonce: vec![7; 32],
            proto_major: 1,
            proto_minor: 0,
            store_id: vec![9; 16],
        }),
        1 => Kind::Done(wire::Done {}),
        2 => Kind::Deposited(wire::Deposited {
            env_id: vec![1; 32],
        }),
        3 => Kind::Deliver(wire::Deliver {
            queue: queue(script).into(),
            index: script.number(),
            envelope: script.chunk().to_vec().into(),
        }),
        4 => Kind::Drained(wire::Drained {
            queue: queue(script),
        }),
        5 => Kind::KeyPackage(wire::KeyPackage {
            package: script.chunk().to_vec(),
        }),
        6 => Kind::KeyPackageStock(wire::KeyPackageStock {
            single_use: u32::from(script.byte()),
            last_resort: true,
        }),
        _ => Kind::Error(wire::RelayError {
            code: i32::from(script.byte()),
            text: script.text(),
            retry_after_ms: script.number(),
        }),
    }
}
